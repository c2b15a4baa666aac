// One seeded sequence of commands of all families against a server whose blocks are all in memory and against
// ones whose blocks are not: every reply must be the same. A command that ran again after a cold block and
// had done something the first time, or that kept a pointer into a block that left, shows here.
#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

#include "tests/server/server_harness.h"
#include "tests/support/seeds.h"

using namespace server;

namespace {

using Words = std::vector<std::string>;

class Commands {
 public:
  explicit Commands(uint64_t seed) : random_(seed) {}

  // None whose reply tells the time or how long something took. What is drawn is drawn by the command's seed,
  // which a run that begins anew keeps, and so does one in earnest after its rehearsal.
  Words next() {
    if (queued_ > 0 && --queued_ == 0) return {"EXEC"};
    if (queued_ == 0 && roll(40) == 0) {
      queued_ = 2 + roll(6);
      return {"MULTI"};
    }
    if (queued_ > 0 && roll(4) == 0) return {"CLIENT", "SETNAME", "n" + number(9)};  // Its effect lasts.
    return data();
  }

 private:
  Words data() {
    const std::string name = std::to_string(roll(25));
    switch (roll(10)) {
      case 0:
      case 1: return string("s" + name);
      case 2: return big_string("b" + std::to_string(roll(4)));
      case 3: return key();
      case 4: return range();
      case 5: return hash("h" + std::to_string(roll(4)));
      case 6: return set("t" + std::to_string(roll(4)), "t" + std::to_string(roll(4)));
      case 7: return list("l" + std::to_string(roll(4)));
      case 8: return zset("z" + std::to_string(roll(4)));
      default: return care();
    }
  }

  uint64_t roll(uint64_t bound) { return random_() % bound; }
  std::string number(uint64_t bound) { return std::to_string(roll(bound)); }
  std::string text(uint64_t bytes) { return std::string(roll(bytes), static_cast<char>('a' + roll(26))); }
  std::string any_key() {
    static constexpr const char* kKinds = "sbhtlz";
    return kKinds[roll(6)] + number(25);
  }
  static std::string when() { return "4000000000"; }

  Words string(const std::string& key) {
    switch (roll(18)) {
      case 0: return {"SET", key, text(400)};
      case 1: return {"SET", key, text(40), "NX", "GET"};
      case 2: return {"SET", key, number(1000), "XX", "KEEPTTL"};
      case 3: return {"SET", key, text(40), "EXAT", when()};
      case 4: return {"GET", key};
      case 5: return {"GETSET", key, text(60)};
      case 6: return {"GETDEL", key};
      case 7: return {"GETEX", key, "EXAT", when()};
      case 8: return {"MGET", key, any_key(), any_key(), "absent"};
      case 9: return {"MSET", key, number(100), "s" + number(25), text(300)};
      case 10: return {"MSETNX", key, "1", "s" + number(40), "2"};
      case 11: return {"APPEND", key, text(50)};
      case 12: return {"STRLEN", key};
      case 13: return {"INCRBY", key, number(50)};
      case 14: return {"INCRBYFLOAT", key, "0.5"};
      case 15: return {"SETNX", key, text(30)};
      case 16: return {"LCS", key, "s" + number(25)};
      default: return {"DECR", key};
    }
  }
  Words big_string(const std::string& key) {
    switch (roll(6)) {
      case 0: return {"SETRANGE", key, number(40000), text(3000)};
      case 1: return {"GETRANGE", key, number(40000), number(60000)};
      case 2: return {"APPEND", key, text(9000)};
      case 3: return {"STRLEN", key};
      case 4: return {"SETBIT", key, number(300000), number(2)};
      default: return roll(8) == 0 ? Words{"SET", key, text(20000)} : Words{"GETBIT", key, number(300000)};
    }
  }
  Words key() {
    switch (roll(16)) {
      case 0: return {"DEL", any_key(), any_key()};
      case 1: return {"UNLINK", any_key()};
      case 2: return {"EXISTS", any_key(), any_key(), any_key()};
      case 3: return {"TYPE", any_key()};
      case 4: return {"RENAME", any_key(), any_key()};
      case 5: return {"RENAMENX", any_key(), any_key()};
      case 6: return {"COPY", any_key(), any_key(), "REPLACE"};
      case 7: return {"EXPIREAT", any_key(), when(), roll(2) == 0 ? "NX" : "GT"};
      case 8: return roll(4) == 0 ? Words{"EXPIREAT", any_key(), "1"} : Words{"TOUCH", any_key()};
      case 9: return {"EXPIRETIME", any_key()};
      case 10: return {"PERSIST", any_key()};
      case 11: return {"DBSIZE"};
      case 12: return {"KEYS", "*" + number(10)};
      case 13: return {"SCAN", "0", "COUNT", "1000", "MATCH", "*1*"};
      case 14: return {"OBJECT", "ENCODING", any_key()};
      default: return {"MOVE", any_key(), "1"};
    }
  }
  Words range() {
    switch (roll(6)) {
      case 0: return {"KRANGE", "[h", "(t9"};
      case 1: return {"KRANGE", "-", "+", "REV", "LIMIT", number(5), "20"};
      case 2: return {"KCOUNT", "[s", "+"};
      case 3: return {"KRANGE", "[s1", "[s2", "VALUES"};
      case 4: return roll(6) == 0 ? Words{"KDELRANGE", "[s1", "[s12"} : Words{"KCOUNT", "-", "+"};
      default: return {"SCAN", "0", "COUNT", "1000", "RANGE", "[l", "(u"};
    }
  }
  Words hash(const std::string& key) {
    const std::string field = "f" + number(300);
    switch (roll(14)) {
      case 12: return {"HRANDFIELD", key, roll(2) == 0 ? "5" : "-5", "WITHVALUES"};
      case 13: return {"HRANDFIELD", key};
      case 0:
      case 1:
      case 2: return {"HSET", key, field, text(80), "f" + number(300), text(30), "f" + number(300), "1"};
      case 3: return {"HGET", key, field};
      case 4: return {"HMGET", key, field, "f1", "absent"};
      case 5: return {"HDEL", key, field, "f" + number(300)};
      case 6: return {"HLEN", key};
      case 7: return {"HINCRBY", key, "n" + number(5), "3"};
      case 8: return {"HEXISTS", key, field};
      case 9: return {"HGETALL", key};
      case 10: return {"HSTRLEN", key, field};
      default: return {"HSETNX", key, field, text(20)};
    }
  }
  Words set(const std::string& key, const std::string& other) {
    const std::string member = "m" + number(400);
    switch (roll(13)) {
      case 10: return {"SPOP", key, number(5)};
      case 11: return {"SRANDMEMBER", key, roll(2) == 0 ? "5" : "-5"};
      case 12: return {"SPOP", key};
      case 0:
      case 1:
      case 2: return {"SADD", key, member, "m" + number(400), "m" + number(400), number(1000)};
      case 3: return {"SREM", key, member};
      case 4: return {"SISMEMBER", key, member};
      case 5: return {"SCARD", key};
      case 6: return {"SINTERCARD", "2", key, other};
      case 7: return {"SUNIONSTORE", "t" + number(4), key, other};
      case 8: return {"SMOVE", key, other, member};
      default: return {"SMISMEMBER", key, member, "m1", "m2"};
    }
  }
  Words list(const std::string& key) {
    switch (roll(11)) {
      case 0:
      case 1: return {"RPUSH", key, text(50), number(100), text(200)};
      case 2:
      case 3: return {"LPUSH", key, text(50), number(100)};
      case 4: return {"LPOP", key, number(4)};
      case 5: return {"RPOP", key};
      case 6: return {"LRANGE", key, number(30), number(80)};
      case 7: return {"LINDEX", key, number(60)};
      case 8: return {"LLEN", key};
      case 9: return {"LSET", key, number(40), text(30)};
      default: return {"LMOVE", key, "l" + number(4), "LEFT", "RIGHT"};
    }
  }
  Words zset(const std::string& key) {
    const std::string member = "m" + number(300);
    switch (roll(12)) {
      case 11: return {"ZRANDMEMBER", key, roll(2) == 0 ? "5" : "-5", "WITHSCORES"};
      case 0:
      case 1:
      case 2: return {"ZADD", key, number(1000), member, number(1000), "m" + number(300)};
      case 3: return {"ZSCORE", key, member};
      case 4: return {"ZRANK", key, member};
      case 5: return {"ZRANGE", key, number(50), number(90), "WITHSCORES"};
      case 6: return {"ZRANGEBYSCORE", key, number(500), number(1000), "LIMIT", "1", "20"};
      case 7: return {"ZREM", key, member};
      case 8: return {"ZINCRBY", key, "1.5", member};
      case 9: return {"ZCOUNT", key, number(500), "(900"};
      default: return {"ZPOPMIN", key, "2"};
    }
  }
  Words care() {
    switch (roll(12)) {
      case 0: return {"SAVE"};
      case 1: return {"DEBUG", "RELOAD"};
      case 2: return roll(3) == 0 ? Words{"COMPACT"} : Words{"PING"};
      case 3: return roll(20) == 0 ? Words{"FLUSHDB"} : Words{"DBSIZE"};
      case 4: return roll(3) == 0 ? Words{"SWAPDB", "0", "1"} : Words{"DBSIZE"};
      default: return string("s" + number(25));
    }
  }

  std::mt19937_64 random_;
  uint64_t queued_ = 0;  // So many until EXEC, with it; 0: not in a transaction.
};

std::vector<std::string> transcript(uint64_t seed, uint32_t cold_chance, int commands) {
  Harness harness(seed, {}, cold_chance);
  const auto peer = harness.connect();
  Commands sequence(seed);
  std::vector<std::string> out;
  for (int i = 0; i < commands; ++i) {
    const Words words = sequence.next();
    out.push_back(words[0] + ": " + harness.call(*peer, words));
  }
  if (cold_chance != 0) CHECK(harness.server->stats().cold_restarts > 100);
  CHECK(harness.server->dispatcher().waiting() == 0);
  return out;
}

void compare_runs(uint64_t seed, int commands) {
  CAPTURE(seed);
  const auto warm = transcript(seed, 0, commands);
  for (const uint32_t cold_chance : {UINT32_MAX / 4, UINT32_MAX / 10 * 9}) {
    CAPTURE(cold_chance);
    const auto cold = transcript(seed, cold_chance, commands);
    for (size_t i = 0; i < warm.size(); ++i) {
      CAPTURE(i);
      REQUIRE(cold[i] == warm[i]);
    }
  }
}

}  // namespace

TEST_SUITE("server/cold_replies") {
  TEST_CASE("all families of commands reply alike, whether blocks are in memory or have to be fetched") {
    for (uint64_t seed = 1; seed <= 2; ++seed) compare_runs(seed, 2500);
  }
}

TEST_SUITE("slow/server/cold_replies") {
  TEST_CASE("the same, for long, or for the seeds of VARVE_SEEDS (first-last)") {
    const auto [first, last] = support::seeds(10, 50);
    for (uint64_t seed = first; seed <= last; ++seed) compare_runs(seed, 6000);
  }
}
