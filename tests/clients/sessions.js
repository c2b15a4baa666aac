// express-session over connect-redis, and rate-limiter-flexible: web applications' everyday use.
'use strict';
const http = require('http');
const { assert, check, done, eventually, main, port, range, restartServer, sleep, versionOf } = require('./harness');
const express = require('express');
const session = require('express-session');
const redis = require('redis');
const connectRedis = require('connect-redis');
const limiter = require('rate-limiter-flexible');

main(async () => {
  const client = redis.createClient({ url: `redis://127.0.0.1:${port}` });
  client.on('error', () => {});
  await client.connect();
  const app = express();
  const Store = connectRedis.RedisStore || connectRedis.default;
  app.use(session({ store: new Store({ client, prefix: 'sess:', ttl: 600 }), secret: 'x', resave: false, saveUninitialized: false }));
  app.get('/put', (request, response) => { request.session.basket = (request.session.basket || []).concat(request.query.item); response.json(request.session.basket); });
  app.get('/basket', (request, response) => response.json(request.session.basket || []));
  app.get('/leave', (request, response) => request.session.destroy(() => response.json('bye')));
  const web = http.createServer(app);
  await new Promise((resolve) => web.listen(0, '127.0.0.1', resolve));

  class Visitor {
    async get(path) {
      const answer = await fetch(`http://127.0.0.1:${web.address().port}${path}`, { headers: this.cookie ? { cookie: this.cookie } : {} });
      this.cookie = (answer.headers.get('set-cookie') || this.cookie || '').split(';')[0];
      return answer.json();
    }
  }
  const visitors = range(20).map(() => new Visitor());

  await check('20 visitors fill their baskets at once', async () => {
    await Promise.all(visitors.map(async (v, i) => { for (const n of range(5)) await v.get(`/put?item=${i}-${n}`); }));
    for (const [i, v] of visitors.entries()) assert.deepEqual(await v.get('/basket'), range(5).map((n) => `${i}-${n}`));
    assert.equal((await client.keys('sess:*')).length, 20);
    assert(await client.ttl((await client.keys('sess:*'))[0]) > 500);
  });

  await check('who leaves leaves nothing behind', async () => {
    await visitors[0].get('/leave');
    assert.deepEqual([await visitors[0].get('/basket'), (await client.keys('sess:*')).length], [[], 19]);
  });

  await check('sessions outlive a restart of the server', async () => {
    await restartServer('kill');
    await eventually(async () => { try { return (await client.ping()) === 'PONG'; } catch (error) { return false; } });
    assert.deepEqual(await visitors[7].get('/basket'), range(5).map((n) => `7-${n}`));
  });

  await check('rate-limiter-flexible: exactly so many pass, and more when the window is over', async () => {
    const limit = new limiter.RateLimiterRedis({ storeClient: client, points: 25, duration: 2, keyPrefix: 'rl', useRedisPackage: true });
    const tried = await Promise.allSettled(range(60).map(() => limit.consume('ada')));
    assert.equal(tried.filter((t) => t.status === 'fulfilled').length, 25);
    const refused = tried.find((t) => t.status === 'rejected').reason;
    assert(refused.msBeforeNext > 0 && refused.msBeforeNext <= 2000, String(refused.msBeforeNext));
    await sleep(refused.msBeforeNext + 50);
    assert.equal((await limit.consume('ada')).remainingPoints, 24);
    await limit.penalty('ada', 3);
    assert.equal((await limit.get('ada')).consumedPoints, 4);
  });

  await check('a token bucket in Lua: the server\'s clock, whole tokens', async () => {
    const bucket = `local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000)
      local held = redis.call('HMGET', KEYS[1], 'tokens', 'at')
      local size, each = tonumber(ARGV[1]), tonumber(ARGV[2])
      local tokens = math.min(size, (tonumber(held[1]) or size) + math.floor((now - (tonumber(held[2]) or now)) / each))
      local ok = tokens > 0 and 1 or 0
      redis.call('HSET', KEYS[1], 'tokens', tokens - ok, 'at', now) redis.call('PEXPIRE', KEYS[1], size * each)
      return ok`;
    const tried = await Promise.all(range(50).map(() => client.eval(bucket, { keys: ['bucket'], arguments: ['10', '100000'] })));
    assert.equal(tried.reduce((a, b) => a + b), 10);
    assert(await client.pTTL('bucket') > 0);
  });

  done(versionOf('express-session', 'connect-redis', 'rate-limiter-flexible'));
});
