<?php
// phpredis, the extension in C, and PHP's sessions kept by it.
$port = (int) getenv('VARVE_PORT');
$failed = false;

function check(string $name, callable $run): void {
    global $failed;
    try {
        $run();
        echo "check $name\n";
    } catch (Throwable $e) {
        $failed = true;
        echo "failed $name :: ", strtok($e->getMessage(), "\n"), ' | line ', $e->getLine(), "\n";
    }
}

function equal($got, $wanted): void {
    if ($got !== $wanted) {
        throw new Exception('got ' . json_encode($got) . ', wanted ' . json_encode($wanted) . ' (line ' . debug_backtrace()[0]['line'] . ')');
    }
}

function connect(): Redis {
    global $port;
    $r = new Redis();
    $r->connect('127.0.0.1', $port);
    return $r;
}

$r = connect();
$r->setOption(Redis::OPT_MAX_RETRIES, 20);
$r->setOption(Redis::OPT_BACKOFF_BASE, 100);

check('strings', function () use ($r) {
    equal($r->set('s', 'v', ['nx', 'ex' => 100]), true);
    equal($r->set('s', 'w', ['nx']), false);
    $r->mSet(array_combine(array_map(fn($i) => "m:$i", range(0, 99)), range(0, 99)));
    equal($r->mGet(['m:5', 'none', 'm:99']), ['5', false, '99']);
    equal([$r->incrBy('n', 7), $r->incrByFloat('f', 0.5), $r->append('s', 'xyz'), $r->getRange('s', 1, 2)], [7, 0.5, 4, 'xy']);
    $blob = str_repeat(implode('', array_map('chr', range(0, 255))), 4096);
    $r->set("b\0\r\n", $blob);
    equal($r->get("b\0\r\n") === $blob, true);
});

check('hashes, lists, sets, sorted sets', function () use ($r) {
    $fields = array_combine(array_map(fn($i) => "f$i", range(0, 499)), range(0, 499));
    $r->hMSet('h', $fields);
    equal([$r->hLen('h'), $r->hGetAll('h') == $fields, $r->hIncrBy('h', 'f1', 2)], [500, true, 3]);
    $r->rPush('l', ...range(0, 299));
    equal([$r->lLen('l'), $r->lIndex('l', -1), $r->lPop('l'), $r->lRange('l', 0, 1)], [300, '299', '0', ['1', '2']]);
    $r->sAdd('s1', ...range(0, 99));
    $r->sAdd('s2', ...range(50, 149));
    equal([count($r->sInter('s1', 's2')), $r->sIsMember('s1', '7'), $r->sUnionStore('s3', 's1', 's2')], [50, true, 150]);
    foreach (range(0, 999) as $i) {
        $r->zAdd('z', $i, "m$i");
    }
    equal($r->zRange('z', 0, 1, true), ['m0' => 0.0, 'm1' => 1.0]);
    equal([$r->zRank('z', 'm700'), $r->zCount('z', '(10', '20'), $r->zPopMax('z')], [700, 10, ['m999' => 999.0]]);
    $r->geoadd('geo', 13.361389, 38.115556, 'Palermo', 15.087269, 37.502669, 'Catania');
    equal(round($r->geodist('geo', 'Palermo', 'Catania', 'km')), 166.0);
});

check('streams and groups', function () use ($r) {
    $ids = array_map(fn($i) => $r->xAdd('st', '*', ['n' => (string) $i]), range(0, 99));
    equal($r->xGroup('CREATE', 'st', 'g', '0'), true);
    equal(array_keys($r->xReadGroup('g', 'c', ['st' => '>'], 40)['st']), array_slice($ids, 0, 40));
    equal([$r->xAck('st', 'g', array_slice($ids, 0, 10)), $r->xPending('st', 'g')[0], $r->xLen('st')], [10, 30, 100]);
    equal($r->xRead(['st' => $ids[98]]), ['st' => [$ids[99] => ['n' => '99']]]);
});

check('pipelines', function () use ($r) {
    $p = $r->pipeline();
    foreach (range(0, 4999) as $i) {
        $p->set("p:$i", $i)->get("p:$i");
    }
    $got = $p->exec();
    equal([count($got), $got[0], $got[9999]], [10000, true, '4999']);
});

check('transactions with WATCH', function () use ($r) {
    $other = connect();
    $r->watch('w');
    $other->set('w', 1);
    equal($r->multi()->set('w', 2)->exec(), false);
    $r->watch('w');
    equal($r->multi()->incr('w')->get('w')->exec(), [2, '2']);
});

check('scripts: EVALSHA, and EVAL when it is not known', function () use ($r) {
    $script = "return {KEYS[1], ARGV[1], redis.call('INCR', KEYS[1])}";
    $r->script('flush');
    equal($r->evalSha(sha1($script), ['e', 'a'], 1), false);
    equal(str_starts_with($r->getLastError(), 'NOSCRIPT'), true);
    $r->clearLastError();
    equal($r->eval($script, ['e', 'a'], 1), ['e', 'a', 1]);
    equal($r->evalSha(sha1($script), ['e', 'b'], 1), ['e', 'b', 2]);
});

check('blocking pops in another process, and pub/sub', function () use ($r, $port) {
    $code = '$r = new Redis(); $r->connect("127.0.0.1", ' . $port . '); $a = $r->blPop(["bl"], 10); $b = $r->bzPopMin(["bz"], 10);
        $r->subscribe(["news"], function ($r, $channel, $text) use ($a, $b) { echo json_encode([$a, $b, $channel, $text]);
            posix_kill(getmypid(), 9); });';  // phpredis would wait for another message, for a minute
    $waiter = proc_open([PHP_BINARY, '-r', $code], [1 => ['pipe', 'w']], $pipes);
    $until = microtime(true) + 20;
    while ($r->info('clients')['blocked_clients'] != 1 && microtime(true) < $until) {
        usleep(20000);
    }
    $r->rPush('bl', 'x');
    $r->zAdd('bz', 1, 'm');
    while ($r->publish('news', 'hi') == 0 && microtime(true) < $until) {
        usleep(20000);
    }
    equal(stream_get_contents($pipes[1]), '[["bl","x"],["bz","m","1"],"news","hi"]');
    proc_close($waiter);
});

check('iterators: SCAN, and over a range', function () use ($r) {
    $r->setOption(Redis::OPT_SCAN, Redis::SCAN_RETRY);
    $found = [];
    for ($it = null; ($keys = $r->scan($it, 'm:*', 9)) !== false;) {
        $found += array_flip($keys);
    }
    equal(count($found), 100);
    $all = 0;
    for ($it = null; ($fields = $r->hScan('h', $it)) !== false;) {
        $all += count($fields);
    }
    equal($all, 500);
    $found = [];
    $cursor = '0';
    do {
        [$cursor, $keys] = $r->rawCommand('SCAN', $cursor, 'RANGE', '[p:2000', '(p:2100', 'COUNT', '10');
        $found += array_flip($keys);
    } while ($cursor !== '0');
    $wanted = array_filter(array_map(fn($i) => "p:$i", range(0, 4999)), fn($k) => strcmp($k, 'p:2000') >= 0 && strcmp($k, 'p:2100') < 0);
    equal(count($found), count($wanted));
});

check('PHP sessions, with locks', function () use ($port) {
    $settings = ['session.save_handler=redis', "session.save_path=tcp://127.0.0.1:$port", 'redis.session.locking_enabled=1', 'session.use_cookies=0',
                 'redis.session.lock_retries=500', 'session.cache_limiter='];
    $command = [PHP_BINARY];
    foreach ($settings as $setting) {
        array_push($command, '-d', $setting);
    }
    array_push($command, '-r', 'for ($i = 0; $i < 10; ++$i) { session_id("abc"); session_start(); $_SESSION["n"] = ($_SESSION["n"] ?? 0) + 1; session_write_close(); }
        echo $_SESSION["n"];');
    $visits = array_map(fn() => proc_open($command, [1 => ['file', '/dev/null', 'w']], $pipes), range(1, 3));
    array_map('proc_close', $visits);
    $last = proc_open($command, [1 => ['pipe', 'w']], $pipes);
    equal(stream_get_contents($pipes[1]), '40');
    proc_close($last);
});

check('a restart of the server: reconnects, and all is there', function () use ($r) {
    $now = fn() => [$r->dbSize(), $r->hGetAll('h'), $r->zRange('z', 0, -1)];
    $before = $now();
    echo "restart kill\n";
    fgets(STDIN);
    try {
        $r->ping();
    } catch (RedisException $e) {
        $r = connect();
    }
    equal([$r->dbSize(), $r->hGetAll('h'), $r->zRange('z', 0, -1)], $before);
});

echo 'version ', phpversion('redis'), "\n";
exit($failed ? 1 : 0);
