// What collections hold, as replies that are longer than should be in memory: they go out in pieces, from one
// moment. How pieces come and go is tested with KEYS (key_listing_test.cc).
#include "server/long_reply.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/server/server_harness.h"

using namespace server;

namespace {

using Words = std::vector<std::string>;

constexpr int kElements = 1500;
const std::string kValue(2000, 'v');

std::string number(int i) {
  const std::string digits = std::to_string(i);
  return std::string(5 - digits.size(), '0') + digits;
}

// A collection of each type, 3 MB each.
void populate(Harness& harness, Peer& peer) {
  for (int begin = 0; begin < kElements; begin += 100) {
    Words hash{"HSET", "hash"}, timed{"HSET", "timed"}, set{"SADD", "set"}, list{"RPUSH", "list"},
        zset{"ZADD", "zset"}, lex{"ZADD", "lex"};
    for (int i = begin; i < begin + 100; ++i) {
      const std::string member = number(i) + kValue;
      hash.insert(hash.end(), {number(i), i % 7 == 0 ? "" : kValue});
      timed.insert(timed.end(), {number(i), kValue});
      set.push_back(member);
      list.push_back(member);
      zset.insert(zset.end(), {std::to_string(i / 3), member});
      lex.insert(lex.end(), {"0", member});
      REQUIRE(
          harness.call(peer, {"XADD", "stream", std::to_string(i / 5 + 1) + "-" + std::to_string(i % 5 + 1),
                              "field", kValue}) != "");
    }
    for (const Words& command : {hash, timed, set, list, zset, lex}) harness.call(peer, command);
  }
  for (int i = 0; i < kElements; i += 4)
    harness.call(peer, {"HPEXPIRE", "timed", "10", "FIELDS", "1", number(i)});
  harness.world.clock.advance_us(20'000);
}

const std::vector<Words> kLongReads{
    {"HGETALL", "hash"},
    {"HVALS", "hash"},
    {"HGETALL", "timed"},
    {"SMEMBERS", "set"},
    {"LRANGE", "list", "0", "-1"},
    {"LRANGE", "list", "17", "-100"},
    {"ZRANGE", "zset", "0", "-1"},
    {"ZRANGE", "zset", "5", "-7", "REV", "WITHSCORES"},
    {"ZRANGE", "zset", "(50", "450", "BYSCORE", "WITHSCORES"},
    {"ZRANGE", "zset", "450", "(50", "BYSCORE", "REV", "LIMIT", "3", "1000"},
    {"ZRANGEBYSCORE", "zset", "-inf", "+inf", "LIMIT", "250", "-1"},
    {"ZREVRANGEBYLEX", "lex", "[01250", "(00100", "LIMIT", "70", "900"},
    {"XRANGE", "stream", "-", "+"},
    {"XRANGE", "stream", "(7-2", "250", "COUNT", "800"},
    {"XREVRANGE", "stream", "+", "30-3"},
    {"XREVRANGE", "stream", "290-2", "5", "COUNT", "601"},
};

}  // namespace

TEST_SUITE("server/long_reply") {
  TEST_CASE("in pieces there is what a transaction shows whole, of every type, in RESP2 and RESP3") {
    for (uint64_t seed = 1; seed <= 4; ++seed) {
      CAPTURE(seed);
      Harness harness(seed, {}, seed % 2 == 0 ? UINT32_MAX / 8 : 0);
      const auto peer = harness.connect(), whole = harness.connect();
      populate(harness, *peer);
      if (seed > 2) {
        harness.call(*peer, {"HELLO", "3"});
        harness.call(*whole, {"HELLO", "3"});
      }
      uint64_t in_pieces = 0;
      for (const Words& read : kLongReads) {
        CAPTURE(read[0] + " " + read[1]);
        harness.call(*whole, {"MULTI"});
        harness.call(*whole, read);
        const std::string expected = harness.call(*whole, {"EXEC"});
        REQUIRE(expected.size() > kWholeBytesMax);
        CHECK(harness.server->stats().piecewise_replies == in_pieces);
        const std::string got = harness.call(*peer, read);
        CHECK("[" + got + "]" == expected);
        CHECK(harness.server->stats().piecewise_replies == ++in_pieces);
      }
    }
  }

  TEST_CASE("what is written while it is sent is not in it") {
    for (const Words& read : kLongReads) {
      CAPTURE(read[0] + " " + read[1]);
      Harness harness(21);
      const auto peer = harness.connect(), reader = harness.connect();
      populate(harness, *peer);
      harness.call(*peer, {"MULTI"});
      harness.call(*peer, read);
      const std::string expected = harness.call(*peer, {"EXEC"});
      reader->send(read);
      for (int i = 0; i < 3000; ++i) harness.step();  // As much as fits, for nobody takes anything.
      harness.call(*peer, {"HSET", "hash", "more", "1", number(1), "2"});
      harness.call(*peer, {"HDEL", "timed", number(5)});
      harness.call(*peer, {"SREM", "set", number(1000) + kValue});
      harness.call(*peer, {"LPUSH", "list", "before"});
      harness.call(*peer, {"LSET", "list", "1450", "other"});
      harness.call(*peer, {"ZADD", "zset", "-1", "first", "5000", number(0) + kValue});
      harness.call(*peer, {"ZREMRANGEBYLEX", "lex", "[005", "[01"});
      harness.call(*peer, {"XTRIM", "stream", "MAXLEN", "100"});
      harness.call(*peer, {"DEBUG", "DROP-CACHES"});
      harness.call(*peer, {"FLUSHALL"});
      CHECK("[" + harness.replies(*reader, 1)[0] + "]" == expected);
    }
  }

  TEST_CASE("a client that tracks hears of what it was sent in pieces, behind it") {
    Harness harness(22);
    const auto peer = harness.connect(), reader = harness.connect();
    populate(harness, *peer);
    harness.call(*reader, {"HELLO", "3"});
    harness.call(*reader, {"CLIENT", "TRACKING", "ON"});
    reader->send({"SMEMBERS", "set"});
    for (int i = 0; i < 3000; ++i) harness.step();
    harness.call(*peer, {"SADD", "set", "more"});
    const Words got = harness.replies(*reader, 2);
    CHECK(got[0].size() > kWholeBytesMax);
    CHECK(got[1] == R"(>["invalidate", ["set"]])");
    harness.call(*reader, {"HGETALL", "hash"});
    harness.call(*peer, {"HSET", "hash", "more", "1"});
    CHECK(harness.replies(*reader, 1) == Words{R"(>["invalidate", ["hash"]])"});
  }
}
