// ioredis: RESP2, offline queue, automatic pipelining, commands made of scripts.
'use strict';
const { assert, check, done, eventually, main, port, range, restartServer, versionOf } = require('./harness');
const Redis = require('ioredis');
const connect = (options) => new (Redis.Redis || Redis.default || Redis)({ port, host: '127.0.0.1', ...options });

main(async () => {
  const r = connect();
  r.on('error', () => {});

  await check('strings', async () => {
    assert.equal(await r.set('s', 'v', 'EX', 100, 'NX'), 'OK');
    assert.equal(await r.set('s', 'w', 'NX'), null);
    assert.equal(await r.set('s', 'w', 'KEEPTTL', 'GET'), 'v');
    await r.mset(Object.fromEntries(range(100).map((i) => ['m:' + i, i])));
    assert.deepEqual(await r.mget('m:5', 'none', 'm:99'), ['5', null, '99']);
    assert.deepEqual([await r.incrby('n', 7), await r.incrbyfloat('f', 0.5), await r.strlen('s')], [7, '0.5', 1]);
    const blob = Buffer.from(range(1 << 20).map((i) => i & 255));
    await r.set(Buffer.from('b\0\r\n'), blob);
    assert(blob.equals(await r.getBuffer(Buffer.from('b\0\r\n'))));
  });

  await check('hashes, lists, sets, sorted sets', async () => {
    await r.hset('h', Object.fromEntries(range(500).map((i) => ['f' + i, i])));
    assert.deepEqual([await r.hlen('h'), (await r.hgetall('h')).f499, await r.hincrby('h', 'f1', 2)], [500, '499', 3]);
    await r.rpush('l', ...range(300));
    assert.deepEqual([await r.llen('l'), await r.lindex('l', -1), await r.lpop('l', 2), await r.lpos('l', 50)], [300, '299', ['0', '1'], 48]);
    await r.sadd('s1', ...range(100)), await r.sadd('s2', ...range(100, 50));
    assert.deepEqual([(await r.sinter('s1', 's2')).length, await r.sismember('s1', 7), await r.sunionstore('s3', 's1', 's2')], [50, 1, 150]);
    await r.zadd('z', ...range(1000).flatMap((i) => [i, 'm' + i]));
    assert.deepEqual(await r.zrange('z', 1, '(3', 'BYSCORE', 'WITHSCORES'), ['m1', '1', 'm2', '2']);
    assert.deepEqual([await r.zrank('z', 'm700'), await r.zpopmax('z'), await r.zcard('z')], [700, ['m999', '999'], 999]);
  });

  await check('streams and groups', async () => {
    const ids = [];
    for (const i of range(100)) ids.push(await r.xadd('st', '*', 'n', i));
    await r.xgroup('CREATE', 'st', 'g', '0');
    const [[, first]] = await r.xreadgroup('GROUP', 'g', 'c', 'COUNT', 40, 'STREAMS', 'st', '>');
    assert.deepEqual(first.map((e) => e[0]), ids.slice(0, 40));
    assert.equal(await r.xack('st', 'g', ...ids.slice(0, 10)), 10);
    assert.equal((await r.xpending('st', 'g'))[0], 30);
    assert.equal((await r.xautoclaim('st', 'g', 'd', 0, '0'))[1].length, 30);
    const reader = connect();
    const waiting = reader.xread('BLOCK', 5000, 'STREAMS', 'st', '$');
    await eventually(async () => (await r.info('clients')).includes('blocked_clients:1'));
    await r.xadd('st', '*', 'n', 'new');
    assert.equal((await waiting)[0][1][0][1][1], 'new');
    reader.disconnect();
  });

  await check('pipelines, automatic ones too', async () => {
    const p = r.pipeline();
    range(5000).forEach((i) => p.set('p:' + i, i).get('p:' + i));
    const got = await p.exec();
    assert(got.every(([error, value], i) => error === null && value === (i % 2 ? String((i - 1) / 2) : 'OK')));
    const auto = connect({ enableAutoPipelining: true });
    assert.deepEqual(await Promise.all(range(500).map((i) => auto.get('p:' + i))), range(500).map(String));
    auto.disconnect();
  });

  await check('transactions with WATCH', async () => {
    const [a, b] = [connect(), connect()];
    await a.watch('w');
    await b.set('w', 1);
    assert.equal(await a.multi().set('w', 2).exec(), null);
    await a.watch('w');
    assert.deepEqual(await a.multi().incr('w').get('w').exec(), [[null, 2], [null, '2']]);
    a.disconnect(), b.disconnect();
  });

  await check('scripts as commands: EVALSHA, and EVAL when it is not known', async () => {
    r.defineCommand('addAll', { numberOfKeys: 1, lua: "local n = 0 for _, v in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do n = n + tonumber(v) end return n" });
    await r.script('FLUSH');
    await r.rpush('numbers', ...range(101));
    assert.deepEqual([await r.addAll('numbers'), await r.addAll('numbers')], [5050, 5050]);
    assert.deepEqual(await r.pipeline().addAll('numbers').exec(), [[null, 5050]]);
  });

  await check('pub/sub and patterns', async () => {
    const heard = connect();
    const got = [];
    heard.on('message', (channel, text) => got.push([channel, text]));
    heard.on('pmessage', (pattern, channel, text) => got.push([pattern, channel, text]));
    await heard.subscribe('news'), await heard.psubscribe('n*');
    assert.equal(await r.publish('news', 'hi'), 2);
    await eventually(() => got.length === 2);
    assert.deepEqual(got.sort((x, y) => x.length - y.length), [['news', 'hi'], ['n*', 'news', 'hi']]);
    heard.disconnect();
  });

  await check('blocking pops in another connection', async () => {
    const waiter = connect();
    const waiting = [waiter.blpop('bl', 10), waiter.bzpopmax('bz', 10), waiter.brpoplpush('bl', 'bl2', 10)];
    await eventually(async () => (await r.info('clients')).includes('blocked_clients:1'));
    await r.rpush('bl', 'x'), await r.zadd('bz', 1, 'm'), await r.lpush('bl', 'y');
    assert.deepEqual(await Promise.all(waiting), [['bl', 'x'], ['bz', 'm', '1'], 'y']);
    waiter.disconnect();
  });

  await check('SCAN streams, over a range too', async () => {
    const read = async (stream) => { const all = []; for await (const some of stream) all.push(...some); return all; };
    assert.equal(new Set(await read(r.scanStream({ match: 'm:*', count: 9 }))).size, 100);
    assert.equal((await read(r.hscanStream('h'))).length, 2 * 500);
    assert.equal((await read(r.zscanStream('z', { match: 'm9*' }))).length, 2 * 110);
    const found = new Set();
    let cursor = '0';
    do {
      let keys;
      [cursor, keys] = await r.call('SCAN', cursor, 'RANGE', '[p:2000', '(p:2100', 'COUNT', 10);
      keys.forEach((k) => found.add(k));
    } while (cursor !== '0');
    assert.deepEqual([...found].sort(), range(5000).map((i) => 'p:' + i).filter((k) => k >= 'p:2000' && k < 'p:2100').sort());
  });

  await check('a restart of the server: queued commands go out afterwards, subscriptions come back, all is there', async () => {
    const heard = connect();
    heard.on('error', () => {});
    const got = [];
    heard.on('message', (channel, text) => got.push(text));
    await heard.subscribe('after');
    const before = [await r.dbsize(), await r.hgetall('h'), await r.zrange('z', 0, -1)];
    await restartServer('term');
    await eventually(async () => (await r.publish('after', 'back')) === 1);
    await eventually(() => got.length > 0);
    assert.deepEqual([await r.dbsize(), await r.hgetall('h'), await r.zrange('z', 0, -1)], before);
    heard.disconnect();
  });

  done(versionOf('ioredis'));
});
