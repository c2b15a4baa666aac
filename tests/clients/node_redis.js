// node-redis (the package called redis): RESP3 and its client-side cache.
'use strict';
const { assert, check, done, eventually, main, port, range, restartServer, versionOf } = require('./harness');
const redis = require('redis');

async function connect(options) {
  const client = redis.createClient({ url: `redis://127.0.0.1:${port}`, RESP: 3, ...options });
  client.on('error', () => {});
  return client.connect();
}
const plain = (value) => JSON.parse(JSON.stringify(value));

main(async () => {
  const r = await connect();

  await check('strings', async () => {
    assert.equal(await r.set('s', 'v', { EX: 100, NX: true }), 'OK');
    assert.equal(await r.set('s', 'w', { NX: true }), null);
    assert.equal(await r.set('s', 'w', { KEEPTTL: true, GET: true }), 'v');
    await r.mSet(range(100).map((i) => ['m:' + i, String(i)]));
    assert.deepEqual(await r.mGet(['m:5', 'none', 'm:99']), ['5', null, '99']);
    assert.deepEqual([await r.incrBy('n', 7), await r.append('s', 'xyz'), await r.getRange('s', 1, 2)], [7, 4, 'xy']);
  });

  await check('hashes, lists, sets, sorted sets: the types of RESP3', async () => {
    await r.hSet('h', Object.fromEntries(range(500).map((i) => ['f' + i, String(i)])));
    assert.deepEqual([await r.hLen('h'), plain(await r.hGetAll('h')).f499], [500, '499']);
    await r.rPush('l', range(300).map(String));
    assert.deepEqual([await r.lLen('l'), await r.lRange('l', -2, -1), await r.lPos('l', '50')], [300, ['298', '299'], 50]);
    await r.sAdd('s1', range(100).map(String)), await r.sAdd('s2', range(100, 50).map(String));
    assert.deepEqual([[...await r.sInter(['s1', 's2'])].length, await r.sCard('s1')], [50, 100]);
    await r.zAdd('z', range(1000).map((i) => ({ score: i + 0.5, value: 'm' + i })));
    assert.deepEqual(plain(await r.zRangeWithScores('z', 0, 1)), [{ value: 'm0', score: 0.5 }, { value: 'm1', score: 1.5 }]);
    assert.deepEqual([await r.zScore('z', 'm9'), await r.zRank('z', 'm700'), plain(await r.zPopMax('z'))], [9.5, 700, { value: 'm999', score: 999.5 }]);
    await r.geoAdd('geo', [{ longitude: 13.361389, latitude: 38.115556, member: 'Palermo' }, { longitude: 15.087269, latitude: 37.502669, member: 'Catania' }]);
    assert.equal(Math.round(await r.geoDist('geo', 'Palermo', 'Catania', 'km')), 166);
  });

  await check('streams and groups', async () => {
    const ids = [];
    for (const i of range(100)) ids.push(await r.xAdd('st', '*', { n: String(i) }));
    await r.xGroupCreate('st', 'g', '0');
    const read = plain(await r.xReadGroup('g', 'c', { key: 'st', id: '>' }, { COUNT: 40 }));
    assert(JSON.stringify(read).includes(ids[39]) && !JSON.stringify(read).includes(ids[40]));
    assert.equal(await r.xAck('st', 'g', ids.slice(0, 10)), 10);
    assert.equal((await r.xPending('st', 'g')).pending, 30);
    assert.equal((await r.xAutoClaim('st', 'g', 'd', 0, '0')).messages.length, 30);
    assert.deepEqual([await r.xLen('st'), (await r.xRange('st', ids[3], ids[5])).length, (await r.xInfoGroups('st'))[0].name], [100, 3, 'g']);
  });

  await check('pipelines: what one turn asks goes out at once', async () => {
    const got = await Promise.all(range(5000).flatMap((i) => [r.set('p:' + i, String(i)), r.get('p:' + i)]));
    assert(got.every((value, i) => value === (i % 2 ? String((i - 1) / 2) : 'OK')));
  });

  await check('transactions with WATCH', async () => {
    const a = await connect();
    await a.watch('w');
    await r.set('w', '1');
    await assert.rejects(a.multi().set('w', '2').exec(), redis.WatchError);
    await a.watch('w');
    assert.deepEqual(await a.multi().incr('w').get('w').hGetAll('none').exec().then(plain), [2, '2', {}]);
    a.destroy();
  });

  await check('scripts and functions', async () => {
    const s = await connect({ scripts: { twice: redis.defineScript({ NUMBER_OF_KEYS: 1, SCRIPT: "return redis.call('INCRBY', KEYS[1], ARGV[1] * 2)",
      parseCommand(parser, key, n) { parser.pushKey(key), parser.push(String(n)); }, transformReply: undefined }) } });
    await r.scriptFlush();
    assert.deepEqual([await s.twice('t', 4), await s.twice('t', 1)], [8, 10]);
    await r.functionLoad("#!lua name=lib\nredis.register_function('hi', function() return {double = 1.5} end)", { REPLACE: true });
    await r.fCall('hi', { keys: [], arguments: [] });
    assert.equal(plain(await r.functionList())[0].library_name, 'lib');
    s.destroy();
  });

  await check('pub/sub: plain, patterns, sharded', async () => {
    const heard = await connect();
    const got = [];
    await heard.subscribe('news', (text) => got.push('plain ' + text));
    await heard.pSubscribe('n*', (text) => got.push('pattern ' + text));
    await heard.sSubscribe('shard', (text) => got.push('sharded ' + text));
    await r.publish('news', 'a'), await r.sPublish('shard', 'b');
    await eventually(() => got.length === 3);
    assert.deepEqual(got.sort(), ['pattern a', 'plain a', 'sharded b']);
    assert.deepEqual(await r.pubSubChannels(), ['news']);
    heard.destroy();
  });

  await check('blocking pops in another connection', async () => {
    const waiter = await connect();
    const waiting = [waiter.blPop('bl', 10), waiter.bzPopMax('bz', 10), waiter.blMove('bl', 'bl2', 'LEFT', 'RIGHT', 10)];
    await eventually(async () => (await r.info('clients')).includes('blocked_clients:1'));
    await r.rPush('bl', 'x'), await r.zAdd('bz', { score: 1, value: 'm' }), await r.lPush('bl', 'y');
    assert.deepEqual(plain(await Promise.all(waiting)), [{ key: 'bl', element: 'x' }, { key: 'bz', value: 'm', score: 1 }, 'y']);
    waiter.destroy();
  });

  await check('scan iterators, over a range too', async () => {
    const read = async (iterator) => { const all = []; for await (const some of iterator) all.push(...[].concat(some)); return all; };
    assert.equal(new Set(await read(r.scanIterator({ MATCH: 'm:*', COUNT: 9 }))).size, 100);
    assert.equal((await read(r.hScanIterator('h'))).length, 500);
    assert.equal((await read(r.zScanIterator('z', { MATCH: 'm9*' }))).length, 110);
    const found = new Set();
    let cursor = '0';
    do {
      let keys;
      [cursor, keys] = await r.sendCommand(['SCAN', String(cursor), 'RANGE', '[p:2000', '(p:2100', 'COUNT', '10']);
      keys.forEach((k) => found.add(k));
    } while (String(cursor) !== '0');
    assert.deepEqual([...found].sort(), range(5000).map((i) => 'p:' + i).filter((k) => k >= 'p:2000' && k < 'p:2100').sort());
  });

  await check('client-side caching: a hit costs no request, a write elsewhere is seen', async () => {
    const cached = await connect({ clientSideCache: { ttl: 0, maxEntries: 1000, evictPolicy: 'LRU' } });
    const served = async () => Number(/cmdstat_get:calls=(\d+)/.exec(await r.info('commandstats'))[1]);
    assert.equal(await cached.get('m:7'), '7');
    const before = await served();
    for (let i = 0; i < 100; ++i) assert.equal(await cached.get('m:7'), '7');
    assert.equal(await served(), before);
    await r.set('m:7', 'new');
    await eventually(async () => (await cached.get('m:7')) === 'new');
    await r.hSet('h', 'f1', 'new');
    assert.equal(await cached.hGet('h', 'f1'), 'new');
    cached.destroy();
  });

  await check('a restart of the server: reconnects, and all is there', async () => {
    const before = [await r.dbSize(), plain(await r.hGetAll('h')), await r.zRange('z', 0, -1)];
    await restartServer('kill');
    let got;
    await eventually(async () => { try { got = await r.dbSize(); return true; } catch (error) { return false; } });
    assert.deepEqual([got, plain(await r.hGetAll('h')), await r.zRange('z', 0, -1)], before);
    assert.equal((await r.scriptExists(['f'.repeat(40)])).length, 1);
  });

  done(versionOf('redis', '@redis/client'));
});
