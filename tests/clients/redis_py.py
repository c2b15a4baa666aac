"""redis-py, with its own parser or hiredis's (VARVE_PARSER=hiredis)."""

import os
import threading
import time

import redis
from harness import PORT, check, done, equal, eventually, restart_server
from redis.connection import ConnectionPool, HiredisParser, PythonParser

HIREDIS = os.environ.get("VARVE_PARSER") == "hiredis"
pool = ConnectionPool(host="127.0.0.1", port=PORT, decode_responses=True,
                      parser_class=HiredisParser if HIREDIS else PythonParser)
r = redis.Redis(connection_pool=pool)


@check("strings")
def _():
    equal(r.set("s", "v", ex=100, nx=True), True)
    equal(r.set("s", "w", nx=True), None)
    equal(r.set("s", "w", get=True, keepttl=True), "v")
    equal(0 < r.ttl("s") <= 100, True)
    equal(r.mset({f"m:{i}": i for i in range(100)}), True)
    equal(r.mget("m:5", "none", "m:99"), ["5", None, "99"])
    equal([r.incr("n"), r.incrbyfloat("f", 0.5), r.append("a", "xyz"), r.getrange("a", 1, -1)], [1, 0.5, 3, "yz"])
    blob = bytes(range(256)) * 4096
    raw = redis.Redis(port=PORT)
    raw.set(b"blob\x00\r\n", blob)
    equal(raw.get(b"blob\x00\r\n"), blob)
    equal(raw.getdel(b"blob\x00\r\n"), blob)
    equal([r.setbit("bits", 4_000_000_000, 1), r.bitcount("bits"), r.pfadd("hll", *range(1000)) and 970 < r.pfcount("hll") < 1030],
          [0, 1, True])


@check("hashes")
def _():
    equal(r.hset("h", mapping={f"f{i}": i for i in range(1000)}), 1000)
    equal(r.hgetall("h"), {f"f{i}": str(i) for i in range(1000)})
    equal([r.hincrby("h", "f1", 4), r.hmget("h", "f1", "none"), r.hdel("h", "f2", "f2"), r.hlen("h")], [5, ["5", None], 1, 999])
    equal(dict(r.hscan_iter("h", match="f9*"))["f999"], "999")


@check("lists")
def _():
    equal(r.rpush("l", *range(500)), 500)
    equal([r.lindex("l", 250), r.lpos("l", "400"), r.lrange("l", -2, -1), r.lpop("l", 2)], ["250", 400, ["498", "499"], ["0", "1"]])
    equal([r.linsert("l", "before", "10", "x"), r.lrem("l", 0, "x"), r.ltrim("l", 0, 9), r.llen("l")], [499, 1, True, 10])
    equal([r.lmove("l", "l2", "RIGHT", "LEFT"), r.lrange("l2", 0, -1)], ["11", ["11"]])


@check("sets")
def _():
    equal([r.sadd("s1", *range(300)), r.sadd("s2", *range(200, 400))], [300, 200])
    equal(r.sinter("s1", "s2"), {str(i) for i in range(200, 300)})
    equal([r.sintercard(2, ["s1", "s2"], limit=7), r.sdiffstore("s3", "s1", "s2"), r.smismember("s1", "1", "no")], [7, 200, [1, 0]])
    equal({m for m in r.sscan_iter("s1")}, {str(i) for i in range(300)})


@check("sorted sets")
def _():
    equal(r.zadd("z", {f"m{i:04}": i for i in range(1000)}), 1000)
    equal([r.zrank("z", "m0500"), r.zrevrank("z", "m0500"), r.zcount("z", "(10", 20)], [500, 499, 10])
    equal(r.zrange("z", 0, 1, withscores=True), [("m0000", 0.0), ("m0001", 1.0)])
    equal(r.zrange("z", "+inf", "(997", byscore=True, desc=True, offset=0, num=5), ["m0999", "m0998"])
    equal([r.zincrby("z", 0.5, "m0001"), r.zpopmin("z"), r.zmpop(1, ["z"], max=True)], [1.5, [("m0000", 0.0)], ["z", [["m0999", "999"]]]])
    equal(len(list(r.zscan_iter("z"))), 998)
    r.geoadd("geo", (13.361389, 38.115556, "Palermo", 15.087269, 37.502669, "Catania"))
    equal(r.geosearch("geo", longitude=15, latitude=37, unit="km", radius=200, sort="ASC"), ["Catania", "Palermo"])


@check("streams and groups")
def _():
    ids = [r.xadd("st", {"n": i}, maxlen=5000, approximate=True) for i in range(300)]
    r.xgroup_create("st", "g", id="0")
    first = r.xreadgroup("g", "alice", {"st": ">"}, count=100)[0][1]
    equal([i for i, _ in first], ids[:100])
    equal(r.xack("st", "g", *ids[:40]), 40)
    equal([r.xpending("st", "g")["pending"], len(r.xpending_range("st", "g", "-", "+", 1000, consumername="alice"))], [60, 60])
    equal([i for i, _ in r.xautoclaim("st", "g", "bob", min_idle_time=0, start_id="0-0", count=100)[1]], ids[40:100])
    equal([r.xinfo_groups("st")[0]["lag"], r.xlen("st"), len(r.xrange("st", ids[5], ids[9]))], [200, 300, 5])
    equal(r.xread({"st": ids[-2]}, block=1000)[0][1], [(ids[-1], {"n": "299"})])


@check("pipelines")
def _():
    with r.pipeline(transaction=False) as p:
        for i in range(5000):
            p.set(f"p:{i}", i).get(f"p:{i}")
        equal(p.execute(), [x for i in range(5000) for x in (True, str(i))])
    with r.pipeline(transaction=False) as p:
        p.set("text", "a").incr("text").get("text")
        got = p.execute(raise_on_error=False)
        equal([got[0], str(got[1]), got[2]], [True, "value is not an integer or out of range", "a"])


@check("WATCH: no increment is lost among threads")
def _():
    def add():
        for _ in range(25):
            def step(p):
                value = int(p.get("counter") or 0)
                p.multi()
                p.set("counter", value + 1)
            r.transaction(step, "counter")
    threads = [threading.Thread(target=add) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    equal(r.get("counter"), "100")


@check("scripts: EVALSHA, and EVAL when it is not known")
def _():
    r.script_flush()
    script = r.register_script("redis.call('RPUSH', KEYS[1], ARGV[1]) return {redis.call('LLEN', KEYS[1]), 'x', false}")
    equal([script(["sl"], ["a"]), script(["sl"], ["b"]), r.script_exists(script.sha)], [[1, "x", None], [2, "x", None], [True]])
    r.function_load("#!lua name=lib\nredis.register_function('twice', function(keys, args) return args[1] * 2 end)", replace=True)
    equal(r.fcall("twice", 0, 21), 42)


@check("locks")
def _():
    with r.lock("a lock", timeout=10) as held:
        equal(r.lock("a lock").acquire(blocking=False), False)
        held.extend(5)
    equal(r.exists("a lock"), 0)


@check("pub/sub, patterns and keyspace events")
def _():
    r.config_set("notify-keyspace-events", "KEA")
    with r.pubsub() as heard:
        heard.subscribe("news")
        heard.psubscribe("__keyevent@0__:expired", "n?ws")
        for _ in range(3):
            heard.get_message(timeout=5)
        equal(r.publish("news", "hello"), 2)
        r.set("short", 1, px=10)
        got = [heard.get_message(timeout=5) for _ in range(3)]
        equal(sorted((m["type"], m["channel"], m["data"]) for m in got),
              [("message", "news", "hello"), ("pmessage", "__keyevent@0__:expired", "short"), ("pmessage", "news", "hello")])
    r.config_set("notify-keyspace-events", "")


@check("blocking pops in another connection")
def _():
    got = []
    def wait():
        got.extend([r.blpop("bl", timeout=10), r.bzpopmin("bz", timeout=10), r.blmove("bl", "bl2", timeout=10)])
    waiter = threading.Thread(target=wait)
    waiter.start()
    eventually(lambda: r.info("clients")["blocked_clients"] >= 1)
    r.rpush("bl", "1")
    r.zadd("bz", {"m": 2})
    r.rpush("bl", "3")
    waiter.join(10)
    equal(got, [("bl", "1"), ("bz", "m", 2.0), "3"])
    start = time.monotonic()
    equal([r.brpop("nothing", timeout=1), time.monotonic() - start >= 1], [None, True])


@check("iterators: SCAN, SCAN TYPE, SCAN over a range")
def _():
    equal({k for k in r.scan_iter("m:*", count=7)}, {f"m:{i}" for i in range(100)})
    equal({k for k in r.scan_iter(_type="zset")}, {"z", "geo"})
    found, cursor = [], 0
    while True:
        cursor, keys = r.execute_command("SCAN", cursor, "RANGE", "[p:1000", "(p:1100", "COUNT", 9)
        found += keys
        if int(cursor) == 0:
            break
    equal(sorted(set(found)), sorted(k for k in (f"p:{i}" for i in range(5000)) if "p:1000" <= k < "p:1100"))
    equal(r.execute_command("KRANGE", "[m:10", "(m:12"), ["m:10", "m:11"])


@check("what a client asks of a server")
def _():
    equal(r.info("server")["redis_version"].startswith("7."), True)
    equal(r.config_get("maxmemory-policy"), {"maxmemory-policy": "noeviction"})
    equal(r.client_setname("me") and r.client_getname(), "me")
    equal(any(c["name"] == "me" for c in r.client_list()), True)
    equal([r.command_count() > 200, r.dbsize() > 5000, r.memory_usage("h") > 0, r.object("encoding", "n")], [True, True, True, "int"])
    equal(r.slowlog_get() is not None and r.time()[0] > 0, True)
    equal([r.restore("n2", 0, redis.Redis(port=PORT).dump("n")), r.get("n2")], ["OK", "1"])


@check("errors become exceptions of the right class")
def _():
    for command, wanted in ((("GET", "h"), redis.ResponseError), (("EVALSHA", "f" * 40, 0), redis.exceptions.NoScriptError),
                            (("NOSUCH", "x"), redis.ResponseError)):
        try:
            r.execute_command(*command)
            raise AssertionError(f"{command} was served")
        except wanted:
            pass


@check("a restart of the server: reconnects, and all is there")
def _():
    before = (r.dbsize(), r.hgetall("h"), r.zrange("z", 0, -1, withscores=True), r.xpending("st", "g"), r.lrange("l", 0, -1))
    restart_server("kill")
    again = redis.Redis(port=PORT, decode_responses=True, connection_pool=pool,
                        retry_on_error=[redis.ConnectionError], retry=redis.retry.Retry(redis.backoff.ConstantBackoff(0.1), 20))
    try:
        again.ping()
    except redis.ConnectionError:  # the one that the crash cut
        again.ping()
    equal((r.dbsize(), r.hgetall("h"), r.zrange("z", 0, -1, withscores=True), r.xpending("st", "g"), r.lrange("l", 0, -1)), before)


if HIREDIS:
    import hiredis
    done(f"{redis.__version__} with hiredis {hiredis.__version__}")
done(redis.__version__)
