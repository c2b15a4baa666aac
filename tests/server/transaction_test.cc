#include "server/transaction.h"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

#include "tests/server/server_harness.h"

using namespace server;

namespace {

using Words = std::vector<std::string>;
using Replies = std::vector<std::string>;

const std::string kAborted = "(error) EXECABORT Transaction discarded because of previous errors.";

// MULTI, the commands, EXEC; what EXEC replies.
std::string transaction(Harness& harness, Peer& peer, const std::vector<Words>& commands) {
  CHECK(harness.call(peer, {"MULTI"}) == "OK");
  for (const Words& words : commands) CHECK(harness.call(peer, words) == "QUEUED");
  return harness.call(peer, {"EXEC"});
}

// ---- commands whose replies depend on nothing but what was done before

class Commands {
 public:
  explicit Commands(uint64_t seed) : random_(seed) {}

  uint64_t roll(uint64_t bound) { return random_() % bound; }
  Words next() {
    switch (roll(12)) {
      case 0:
      case 1: return string("s" + number(6));
      case 2:
      case 3: return hash("h" + number(2));
      case 4: return set("t" + number(2));
      case 5: return list("l" + number(2));
      case 6: return zset("z" + number(2));
      case 7: return key(any_key());
      default: return database();
    }
  }

 private:
  std::string number(uint64_t bound) { return std::to_string(roll(bound)); }
  std::string any_key() {
    static constexpr const char* kKinds = "shtlz";
    return kKinds[roll(5)] + number(3);
  }
  // With so many that the collection outgrows its header.
  Words many(Words words, const char* prefix, bool pairs) {
    for (uint64_t n = 0, count = roll(2) == 0 ? 200 : 3; n < count; ++n) {
      if (pairs) words.push_back(number(500));
      words.push_back(prefix + number(600));
    }
    return words;
  }

  Words string(const std::string& key) {
    switch (roll(8)) {
      case 0: return {"SET", key, std::string(roll(2000), 'x')};
      case 1: return {"SET", key, number(100)};
      case 2: return {"INCR", key};
      case 3: return {"APPEND", key, "abc"};
      case 4: return {"GETDEL", key};
      case 5: return {"SETNX", key, "n"};
      case 6: return {"MSET", key, "1", "s" + number(6), "2"};
      default: return {"GET", key};
    }
  }
  Words hash(const std::string& key) {
    switch (roll(6)) {
      case 0:
        return many({"HSET", key}, "f", true).size() % 2 == 0 ? many({"HSET", key}, "f", true)
                                                              : Words{"PING"};
      case 1: return {"HINCRBY", key, "n" + number(5), "3"};
      case 2: return {"HDEL", key, "f" + number(600), number(500)};
      case 3: return {"HLEN", key};
      default: return {"HGET", key, number(500)};
    }
  }
  Words set(const std::string& key) {
    switch (roll(5)) {
      case 0: return many({"SADD", key}, "m", false);
      case 1: return {"SREM", key, "m" + number(600), "m" + number(600)};
      case 2: return {"SINTERSTORE", "t2", "t0", "t1"};
      case 3: return {"SCARD", key};
      default: return {"SISMEMBER", key, "m" + number(600)};
    }
  }
  Words list(const std::string& key) {
    switch (roll(6)) {
      case 0: return many({"RPUSH", key}, "e", false);
      case 1: return {"LPOP", key, "3"};
      case 2: return {"LMOVE", key, "l" + number(2), "RIGHT", "LEFT"};
      case 3: return {"BLPOP", key, "0.001"};
      case 4: return {"LINDEX", key, number(200)};
      default: return {"LRANGE", key, "10", "20"};
    }
  }
  Words zset(const std::string& key) {
    switch (roll(5)) {
      case 0: return many({"ZADD", key}, "m", true);
      case 1: return {"ZREM", key, "m" + number(600)};
      case 2: return {"ZUNIONSTORE", "z2", "2", "z0", "z1"};
      case 3: return {"ZRANK", key, "m" + number(600)};
      default: return {"ZRANGE", key, "10", "20"};
    }
  }
  Words key(const std::string& key) {
    switch (roll(7)) {
      case 0: return {"DEL", key, any_key()};
      case 1: return {"RENAME", key, any_key()};
      case 2: return {"EXISTS", key, any_key()};
      case 3: return {"MOVE", key, number(3)};
      case 4: return {"COPY", key, any_key(), "DB", number(3), "REPLACE"};
      case 5: return {"KDELRANGE", "[s1", "[t1"};
      default: return {"TYPE", key};
    }
  }
  Words database() {
    switch (roll(14)) {
      case 0: return {"SELECT", number(3)};
      case 1: return {"SWAPDB", number(3), number(3)};
      case 2: return roll(4) == 0 ? Words{"FLUSHALL"} : Words{"FLUSHDB"};
      case 3: return {"CLIENT", "SETNAME", "n" + number(9)};
      case 4: return {"CLIENT", "GETNAME"};
      default: return {"DBSIZE"};
    }
  }

  std::mt19937_64 random_;
};

// The same commands, one by one or in transactions, with saves between that leave little in memory.
Replies transcript(uint64_t seed, bool in_transactions, uint32_t cold_chance) {
  Harness harness(7, {}, cold_chance);
  const auto peer = harness.connect();
  Commands commands(seed);
  Replies out;
  for (int i = 0; i < 120; ++i) {
    std::vector<Words> group(1 + commands.roll(8));
    for (Words& words : group) words = commands.next();
    if (i % 10 == 9) CHECK(harness.call(*peer, {"DEBUG", "RELOAD"}) == "OK");
    std::string replies = "[";
    for (const Words& words : group) {
      if (in_transactions) break;
      if (replies.size() > 1) replies += ", ";
      replies += harness.call(*peer, words);
    }
    if (in_transactions)
      replies = transaction(harness, *peer, group);
    else
      replies += "]";
    std::string text;
    for (const Words& words : group) text += words[0] + " " + (words.size() > 1 ? words[1] : "") + ", ";
    out.push_back(text + replies);
  }
  CHECK(harness.server->dispatcher().waiting() == 0);
  if (cold_chance > 0) CHECK(harness.server->stats().cold_restarts > 20);
  return out;
}

// ---- WATCH

struct Watched {
  std::vector<Words> before;
  std::vector<Words> meanwhile;
  bool changed;
  int64_t wait_ms = 0;
};

std::string outcome(const Watched& one, uint32_t cold_chance, bool own) {
  Harness harness(3, {}, cold_chance);
  const auto peer = harness.connect();
  const auto other = harness.connect();
  for (const Words& words : one.before) harness.call(*other, words);
  harness.call(*other, {"DEBUG", "RELOAD"});
  CHECK(harness.call(*peer, {"WATCH", "k", "w"}) == "OK");
  CHECK(harness.call(*other, {"SELECT", "0"}) == "OK");
  for (const Words& words : one.meanwhile) harness.call(own ? *peer : *other, words);
  harness.world.clock.advance_us(static_cast<uint64_t>(one.wait_ms) * 1000);
  const std::string reply = transaction(harness, *peer, {{"PING"}});
  CHECK(harness.call(*peer, {"CLIENT", "INFO"}).find(" flags=U ") != std::string::npos);
  CHECK_FALSE(harness.server->key_watch().any());
  return reply;
}

Words big_hash() {
  Words words{"HSET", "k"};
  for (int n = 0; n < 300; ++n) {
    words.push_back("f" + std::to_string(n));
    words.push_back("a");
  }
  return words;
}

}  // namespace

TEST_SUITE("server/transaction") {
  TEST_CASE("commands are queued after MULTI and replied to by EXEC, or forgotten by DISCARD") {
    Harness harness(1);
    const auto peer = harness.connect();
    const auto call = [&](const Words& words) { return harness.call(*peer, words); };
    CHECK(call({"EXEC"}) == "(error) ERR EXEC without MULTI");
    CHECK(call({"DISCARD"}) == "(error) ERR DISCARD without MULTI");
    CHECK(transaction(harness, *peer, {}) == "[]");
    CHECK(
        transaction(harness, *peer, {{"SET", "a", "1"}, {"INCR", "a"}, {"LPUSH", "a", "x"}, {"GET", "a"}}) ==
        "[OK, 2, (error) WRONGTYPE Operation against a key holding the wrong kind of value, \"2\"]");
    CHECK(call({"MULTI"}) == "OK");
    CHECK(call({"SET", "a", "9"}) == "QUEUED");
    CHECK(call({"MULTI"}) == "(error) ERR MULTI calls can not be nested");
    CHECK(call({"WATCH", "a"}) == "(error) ERR WATCH inside MULTI is not allowed");
    CHECK(call({"CLIENT", "INFO"}) == "QUEUED");
    CHECK(call({"DISCARD"}) == "OK");
    CHECK(call({"GET", "a"}) == "\"2\"");
    CHECK(call({"MULTI"}) == "OK");
    CHECK(call({"RESET"}) == "RESET");
    CHECK(call({"EXEC"}) == "(error) ERR EXEC without MULTI");
  }

  TEST_CASE("a command that is refused while queueing aborts the transaction") {
    Harness harness(1);
    const auto peer = harness.connect();
    const auto call = [&](const Words& words) { return harness.call(*peer, words); };
    const std::vector<Words> refused = {{"NOSUCH"}, {"GET"}, {"SAVE"}, {"COMPACT"}, {"DISCARD", "x"}};
    for (const Words& words : refused) {
      CAPTURE(words[0]);
      CHECK(call({"MULTI"}) == "OK");
      CHECK(call({"SET", "a", "1"}) == "QUEUED");
      CHECK(call(words).starts_with("(error)"));
      CHECK(call({"SET", "b", "1"}) == "QUEUED");
      CHECK(call({"EXEC"}) == kAborted);
      CHECK(call({"EXISTS", "a", "b"}) == "0");
    }
    CHECK(call({"MULTI"}) == "OK");
    CHECK(call({"EXEC", "x"}) ==
          "(error) EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command");
    CHECK(call({"EXEC"}) == "(error) ERR EXEC without MULTI");
    // What cannot be refused before it runs says so itself.
    CHECK(transaction(harness, *peer, {{"DEBUG", "RELOAD"}}).find("cannot do in a transaction") !=
          std::string::npos);
  }

  TEST_CASE(
      "a transaction replies what its commands would have replied one by one, however often it begins anew") {
    for (uint64_t seed = 1; seed <= 4; ++seed) {
      CAPTURE(seed);
      const Replies plain = transcript(seed, false, 0);
      for (const uint32_t cold_chance : {0u, UINT32_MAX / 4, UINT32_MAX / 10 * 9}) {
        CAPTURE(cold_chance);
        const Replies grouped = transcript(seed, true, cold_chance);
        for (size_t i = 0; i < plain.size(); ++i) {
          CAPTURE(i);
          REQUIRE(grouped[i] == plain[i]);
        }
      }
    }
  }

  TEST_CASE("EXEC happens wholly or not at all when the power is cut, and wholly once it was acknowledged") {
    for (uint64_t seed = 1; seed <= 6; ++seed) {
      CAPTURE(seed);
      Harness harness(seed, {"--appendfsync", seed % 2 == 0 ? "always" : "everysec"});
      const auto peer = harness.connect();
      std::mt19937_64 random(seed);
      int acknowledged = 0;
      for (int i = 1; i <= 30; ++i) {
        peer->send({"MULTI"});
        for (int n = 0; n < 8; ++n)
          peer->send({"SET", "k" + std::to_string(n), std::to_string(i) + std::string(random() % 900, ' ')});
        peer->send({"RPUSH", "list", std::to_string(i)});
        peer->send({"EXEC"});
        const uint64_t steps = random() % 6;
        for (uint64_t step = 0; step < steps; ++step) harness.step();
        if (i % 6 != 0) {
          harness.replies(*peer, 11 - peer->received().size());
          acknowledged = i;
          continue;
        }
        // With this one perhaps under way.
        const auto already = peer->received().size();
        Harness after(seed + 100, {}, 0, harness.world.disk->crash(random()));
        const auto reader = after.connect();
        const std::string first = after.call(*reader, {"GET", "k0"});
        const int value = first == "nil" ? 0 : std::stoi(first.substr(1));
        for (int n = 1; n < 8; ++n) {
          const std::string other = after.call(*reader, {"GET", "k" + std::to_string(n)});
          CHECK((other == "nil" ? 0 : std::stoi(other.substr(1))) == value);
        }
        CHECK(after.call(*reader, {"LLEN", "list"}) == std::to_string(value));
        if (seed % 2 == 0) CHECK(value >= acknowledged);
        CHECK(value <= i);
        harness.replies(*peer, 11 - already);
        acknowledged = i;
      }
    }
  }

  TEST_CASE("EXEC is refused when what is queued may not run any more") {
    Harness harness(1);
    const auto peer = harness.connect(), other = harness.connect();
    const std::string few =
        "(error) EXECABORT Transaction discarded because of: NOREPLICAS Not enough good "
        "replicas to write.";
    harness.call(*peer, {"MULTI"});
    harness.call(*peer, {"SET", "k", "1"});
    CHECK(harness.call(*other, {"CONFIG", "SET", "min-replicas-to-write", "1"}) == "OK");
    CHECK(harness.call(*peer, {"EXEC"}) == few);
    CHECK(harness.call(*peer, {"EXEC"}) == "(error) ERR EXEC without MULTI");
    CHECK(transaction(harness, *peer, {{"GET", "k"}}) == "[nil]");
    CHECK(harness.call(*other, {"CONFIG", "SET", "min-replicas-to-write", "0"}) == "OK");
    CHECK(transaction(harness, *peer, {{"SET", "k", "1"}}) == "[OK]");
  }

  TEST_CASE("what cannot be taken back happens once, though the rest is cold") {
    Harness harness(5, {}, UINT32_MAX);
    const auto peer = harness.connect();
    std::vector<Words> commands;
    for (int n = 0; n < 6; ++n) {
      const std::string key = "k" + std::to_string(n);
      harness.call(*peer, {"SET", key, std::string(3000, 'x')});
      commands.push_back({"STRLEN", key});
      commands.push_back({"BGSAVE"});  // Only one can run at a time.
    }
    harness.call(*peer, {"DEBUG", "RELOAD"});
    const uint64_t restarts = harness.server->stats().cold_restarts;
    const std::string reply = transaction(harness, *peer, commands);
    CHECK(harness.server->stats().cold_restarts > restarts);
    const std::string running = "(error) ERR Background save already in progress";
    CHECK(reply == "[3000, Background saving started, 3000, " + running + ", 3000, " + running + ", 3000, " +
                       running + ", 3000, " + running + ", 3000, " + running + "]");
    const CommandStats& saves =
        harness.server->stats().by_command[harness.server->table().lookup("bgsave")->id];
    CHECK(saves.calls == 6);
    CHECK(saves.failed == 5);
  }

  TEST_CASE("calls inside a transaction are counted once, as if each had come by itself") {
    Harness harness(6, {"--slowlog-log-slower-than", "0"}, UINT32_MAX / 2);
    const auto peer = harness.connect();
    harness.call(*peer, {"SET", "s", std::string(3000, 'x')});
    harness.call(*peer, big_hash());
    harness.call(*peer, {"DEBUG", "RELOAD"});
    const auto monitor = harness.connect();
    CHECK(harness.call(*monitor, {"MONITOR"}) == "OK");
    harness.server->stats().reset();
    transaction(harness, *peer,
                {{"SELECT", "0"}, {"STRLEN", "s"}, {"HGET", "k", "f7"}, {"GET", "none"}, {"INCR", "s"}});
    const Stats& stats = harness.server->stats();
    CHECK(stats.cold_restarts > 0);
    for (const char* name : {"multi", "exec", "select", "strlen", "hget", "get", "incr"}) {
      CAPTURE(name);
      CHECK(stats.by_command[harness.server->table().lookup(name)->id].calls == 1);
    }
    CHECK(stats.by_command[harness.server->table().lookup("incr")->id].failed == 1);
    CHECK(stats.commands == 7);
    CHECK(stats.keyspace_hits == 2);
    CHECK(stats.keyspace_misses == 1);
    CHECK(stats.errors.at("ERR") == 1);
    Replies seen;
    for (const std::string& line : harness.replies(*monitor, 7)) {
      const size_t from = line.find("] ") + 2;
      seen.push_back(line.substr(from, line.find('"', from + 1) - from + 1));
    }
    CHECK(seen ==
          Replies{"\"MULTI\"", "\"SELECT\"", "\"STRLEN\"", "\"HGET\"", "\"GET\"", "\"INCR\"", "\"EXEC\""});
    CHECK(harness.server->slowlog().entries().front().args[0] == "INCR");  // EXEC itself is not logged.
  }

  TEST_CASE("what is queued counts as unanswered input, and a connection that queues too much is closed") {
    Harness harness(8, {"--client-query-buffer-limit", "1mb"});
    const auto peer = harness.connect();
    CHECK(harness.call(*peer, {"MULTI"}) == "OK");
    for (int i = 0; i < 9; ++i)
      CHECK(harness.call(*peer, {"SET", "k", std::string(100'000, 'x')}) == "QUEUED");
    const std::string info = harness.call(*harness.connect(), {"CLIENT", "LIST"});
    CHECK(info.find(" flags=xU ") != std::string::npos);
    CHECK(info.find(" multi=9 ") != std::string::npos);
    for (int i = 0; i < 3 && !peer->closed(); ++i) {
      peer->send({"SET", "k", std::string(100'000, 'x')});
      harness.turns(3);
      peer->received();
    }
    CHECK(peer->closed());
    CHECK(harness.server->stats().query_limit_disconnections == 1);
  }

  TEST_CASE("a write over a large cold collection begins anew a few times, and not once for each block") {
    Harness harness(9);
    const auto peer = harness.connect();
    for (int batch = 0; batch < 40; ++batch) {
      Words words{"RPUSH", "list"};
      for (int n = 0; n < 200; ++n) words.push_back(std::to_string(batch) + std::string(150, 'v'));
      harness.call(*peer, words);
    }
    harness.call(*peer, {"DEBUG", "RELOAD"});
    const engine::EngineStats before = harness.engine->stats();
    const uint64_t restarts = harness.server->stats().cold_restarts;
    CHECK(transaction(harness, *peer, {{"COPY", "list", "copy"}}) == "[1]");
    CHECK(harness.engine->stats().cold_blocks - before.cold_blocks > 40);
    CHECK(harness.server->stats().cold_restarts - restarts < 20);
    CHECK(harness.call(*peer, {"LLEN", "copy"}) == "8000");
    CHECK(harness.call(*peer, {"LINDEX", "copy", "-1"}) == harness.call(*peer, {"LINDEX", "list", "-1"}));
  }

  TEST_CASE("the keys of a transaction are fetched together") {
    Harness harness(11);
    const auto peer = harness.connect();
    std::vector<Words> commands;
    std::string sizes;
    for (int n = 0; n < 60; ++n) {
      harness.call(*peer, {"SET", "k" + std::to_string(n), std::string(1500, 'x')});
      commands.push_back({"STRLEN", "k" + std::to_string(n)});
      sizes += n == 0 ? "1500" : ", 1500";
    }
    harness.call(*peer, {"DEBUG", "RELOAD"});
    const uint64_t restarts = harness.server->stats().cold_restarts;
    CHECK(transaction(harness, *peer, commands) == "[" + sizes + "]");
    CHECK(harness.server->stats().cold_restarts - restarts == 2);
  }

  TEST_CASE("what leaps from one cold place to the next reads on the spot in the end, and is counted") {
    Harness harness(10);
    const auto peer = harness.connect();
    std::vector<Words> commands;
    std::string sizes;
    for (int n = 0; n < 200; ++n) {
      harness.call(*peer, {"HSET", "h", "f" + std::to_string(n), std::string(3000, 'x')});
      commands.push_back({"HSTRLEN", "h", "f" + std::to_string(n)});
      sizes += n == 0 ? "3000" : ", 3000";
    }
    harness.call(*peer, {"DEBUG", "RELOAD"});
    CHECK(transaction(harness, *peer, commands) == "[" + sizes + "]");
    const Stats& stats = harness.server->stats();
    CHECK(stats.cold_restarts == Dispatcher::kRoundsBeforeBlocking);
    CHECK(stats.blocking_commands == 1);
    CHECK(stats.blocking_reads > 50);
  }
}

TEST_SUITE("server/key_watch") {
  TEST_CASE("EXEC gives nil exactly when a watched key has changed, whoever changed it") {
    const Words set_k{"SET", "k", "1"};
    Words other_field{"HSET", "k", "f7", "b"};
    const std::vector<Watched> cases = {
        {{set_k}, {}, false},
        {{set_k}, {{"SET", "other", "1"}, {"GET", "k"}}, false},
        {{set_k}, {set_k}, true},
        {{set_k}, {{"DEL", "k"}}, true},
        {{}, {{"DEL", "k"}}, false},
        {{}, {set_k, {"DEL", "k"}}, true},
        {{}, {{"SET", "w", "1"}}, true},
        {{set_k}, {{"RENAME", "k", "x"}}, true},
        {{{"SET", "x", "1"}}, {{"RENAME", "x", "k"}}, true},
        {{set_k}, {{"EXPIRE", "k", "100"}}, true},
        {{set_k}, {{"SELECT", "1"}, set_k, {"SELECT", "0"}}, false},
        // Elements that are written without their header.
        {{big_hash()}, {other_field}, true},
        {{big_hash()}, {{"HGET", "k", "f7"}, {"HSET", "other", "f7", "b"}}, false},
        {{big_hash(), {"COPY", "k", "x"}}, {{"HSET", "x", "f7", "b"}}, false},
        // Databases as a whole.
        {{set_k}, {{"FLUSHDB"}}, true},
        {{{"SET", "other", "1"}}, {{"FLUSHDB"}}, false},
        {{{"SET", "other", "1"}}, {{"FLUSHALL"}}, false},
        {{{"SET", "other", "1"}}, {{"FLUSHDB"}, set_k}, true},
        {{set_k}, {{"SELECT", "1"}, {"FLUSHDB"}, {"SELECT", "0"}}, false},
        {{set_k}, {{"SWAPDB", "0", "1"}}, true},
        {{}, {{"SWAPDB", "0", "1"}}, false},
        {{{"SELECT", "1"}, set_k}, {{"SWAPDB", "1", "0"}}, true},
        {{}, {{"SWAPDB", "0", "1"}, set_k}, true},
        // Time.
        {{{"SET", "k", "1", "PX", "50"}}, {}, true, 100},
        {{{"SET", "k", "1", "PX", "5000"}}, {}, false, 100},
        {{{"SET", "k", "1", "PXAT", "1"}}, {{"DEBUG", "SET-ACTIVE-EXPIRE", "1"}}, false, 200},
        {{{"SET", "k", "1", "PXAT", "1"}}, {{"DEL", "k"}}, false},
        {{{"SET", "k", "1", "PXAT", "1"}}, {set_k}, true},
    };
    for (size_t i = 0; i < cases.size(); ++i) {
      CAPTURE(i);
      for (const uint32_t cold_chance : {0u, UINT32_MAX / 2}) {
        for (const bool own : {false, true}) {
          CAPTURE(cold_chance);
          CAPTURE(own);
          CHECK(outcome(cases[i], cold_chance, own) == (cases[i].changed ? "nil" : "[PONG]"));
        }
      }
    }
  }

  TEST_CASE("UNWATCH, DISCARD and EXEC forget what is watched; what EXEC itself writes voids nothing") {
    Harness harness(1);
    const auto peer = harness.connect();
    const auto other = harness.connect();
    const auto touch = [&] { CHECK(harness.call(*other, {"INCR", "k"}) != ""); };
    harness.call(*peer, {"WATCH", "k"});
    touch();
    CHECK(harness.call(*peer, {"CLIENT", "INFO"}).find(" flags=dU ") != std::string::npos);
    CHECK(harness.call(*peer, {"UNWATCH"}) == "OK");
    CHECK(transaction(harness, *peer, {{"PING"}}) == "[PONG]");
    harness.call(*peer, {"WATCH", "k"});
    touch();
    harness.call(*peer, {"MULTI"});
    CHECK(harness.call(*peer, {"DISCARD"}) == "OK");
    CHECK(transaction(harness, *peer, {{"PING"}}) == "[PONG]");
    harness.call(*peer, {"WATCH", "k"});
    CHECK(transaction(harness, *peer, {{"SET", "k", "5"}, {"UNWATCH"}, {"INCR", "k"}}) == "[OK, OK, 6]");
    CHECK_FALSE(harness.server->key_watch().any());
    CHECK(transaction(harness, *peer, {{"PING"}}) == "[PONG]");
    // The end of a connection, too.
    harness.call(*peer, {"WATCH", "k"});
    CHECK(harness.server->key_watch().any());
    peer->hang_up();
    harness.turns(5);
    CHECK_FALSE(harness.server->key_watch().any());
    touch();
  }

  TEST_CASE("a watched key that changes while EXEC waits for the disk voids it") {
    Harness harness(2);
    const auto peer = harness.connect();
    const auto other = harness.connect();
    harness.call(*peer, {"SET", "cold", std::string(3000, 'x')});
    harness.call(*peer, {"DEBUG", "RELOAD"});
    harness.call(*peer, {"WATCH", "k"});
    harness.call(*peer, {"MULTI"});
    harness.call(*peer, {"SET", "k", "mine"});
    harness.call(*peer, {"STRLEN", "cold"});
    peer->send({"EXEC"});
    harness.turn();
    REQUIRE(harness.server->dispatcher().waiting() == 1);
    other->send({"SET", "k", "yours"});
    harness.turns(3);
    CHECK(other->received() == Replies{"OK"});
    CHECK(harness.replies(*peer, 1) == Replies{"nil"});
    CHECK(harness.call(*peer, {"GET", "k"}) == "\"yours\"");
  }
}
