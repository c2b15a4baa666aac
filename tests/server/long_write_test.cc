// Commands that a worker works out and that write in steps, but are seen as a whole: server/long_write.h.
#include "server/long_write.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/server/server_harness.h"
#include "tests/server/sim_server.h"

using namespace server;

namespace {

using Words = std::vector<std::string>;

constexpr int kElements = 3500;  // More than are walked over on the reactor.

std::string member(int n) { return "m" + std::to_string(10000 + n); }

// Elements first … first + kElements - 1 of each.
void make(SimServer& sim, const std::string& kind, const std::string& key, int first = 0) {
  for (int n = first; n < first + kElements;) {
    Words words{kind, key};
    for (const int end = std::min(n + 250, first + kElements); n < end; ++n) {
      if (kind == "ZADD") words.push_back(std::to_string(n * 7 % kElements));
      words.push_back(member(n));
      if (kind == "HSET") words.push_back("v" + std::to_string(n));
    }
    sim.command(words);
  }
}
void make_stream(SimServer& sim, const std::string& key) {
  for (int n = 1; n <= kElements; ++n) sim.command({"XADD", key, std::to_string(n) + "-1", "f", member(n)});
  sim.command({"XGROUP", "CREATE", key, "g", "5"});
}
void make_geo(SimServer& sim, const std::string& key) {
  for (int n = 0; n < kElements;) {
    Words words{"GEOADD", key};
    for (const int end = std::min(n + 250, kElements); n < end; ++n)
      words.insert(words.end(), {std::to_string(n % 170), std::to_string(n % 80), member(n)});
    sim.command(words);
  }
}

// All that a key holds, in an order of its own.
std::vector<std::string> content(SimServer& sim, const std::string& key) {
  const std::string type = sim.text({"TYPE", key});
  Words ask{"DUMP", key};
  if (type == "set") ask = {"SMEMBERS", key};
  if (type == "zset") ask = {"ZRANGE", key, "0", "-1", "WITHSCORES"};
  if (type == "list") ask = {"LRANGE", key, "0", "-1"};
  if (type == "hash") ask = {"HGETALL", key};
  if (type == "stream") ask = {"XRANGE", key, "-", "+"};
  const resp::Reply reply = sim.command(ask);
  std::vector<std::string> all{type};
  if (ask[0] == "DUMP") all.push_back(reply.text);
  for (const resp::Reply& item : reply.items) all.push_back(resp::to_text(item));
  if (type == "set" || type == "hash") std::sort(all.begin(), all.end());
  return all;
}

// The same command in a transaction, where all is done at once.
resp::Reply at_once(SimServer& sim, const Words& words) {
  sim.command({"MULTI"});
  sim.command(words);
  const resp::Reply all = sim.command({"EXEC"});
  REQUIRE(all.items.size() == 1);
  return all.items[0];
}

template <typename Reader>
std::set<std::string> records(Reader& reader, const std::string& begin, const std::string& end) {
  std::set<std::string> keys;
  auto all = reader.iterator(begin, end);
  for (auto at = all->seek(begin); at == engine::Iterator::State::kAt; at = all->next())
    keys.emplace(all->key());
  return keys;
}
std::set<std::string> building(engine::Engine& engine) {
  const auto snapshot = engine.snapshot();
  const auto reader = snapshot->reader();
  return records(*reader, building_begin(), building_end());
}

// What is asked for with the key "to" instead of the one written.
Words with_destination(Words words, const std::string& to) {
  for (std::string& word : words)
    if (word == "to") word = to;
  return words;
}

void make_all(SimServer& sim) {
  make(sim, "SADD", "s");
  make(sim, "SADD", "t", kElements / 4);
  make(sim, "ZADD", "z");
  make(sim, "RPUSH", "l");
  make(sim, "HSET", "h");
  make_stream(sim, "x");
  make_geo(sim, "g");
  sim.command({"SET", "big", std::string(300'000, 'b')});
  sim.command({"EXPIRE", "h", "100000"});
}

// Sends it and waits until it is under way on a worker.
void begin(SimServer& sim, SimServer::Connection& on, const Words& words) {
  const uint64_t before = sim.server->stats().long_writes;
  sim.send(on, words);
  for (int n = 0; sim.server->stats().long_writes == before; ++n) {
    REQUIRE(n < 1000);
    REQUIRE(!sim.replied(on));
    sim.step();
  }
}

const Words kBuilders[] = {
    {"COPY", "s", "to"},
    {"COPY", "z", "to", "REPLACE"},
    {"COPY", "l", "to"},
    {"COPY", "h", "to"},
    {"COPY", "x", "to"},
    {"SUNIONSTORE", "to", "s", "t"},
    {"SINTERSTORE", "to", "s", "t"},
    {"SDIFFSTORE", "to", "s", "t"},
    {"ZUNIONSTORE", "to", "2", "z", "t", "WEIGHTS", "2", "3"},
    {"ZINTERSTORE", "to", "2", "z", "g"},
    {"ZDIFFSTORE", "to", "2", "z", "t"},
    {"ZRANGESTORE", "to", "z", "0", "-1"},
    {"SORT", "l", "ALPHA", "DESC", "STORE", "to"},
    {"GEOSEARCHSTORE", "to", "g", "FROMLONLAT", "0", "0", "BYRADIUS", "30000", "km"},
};

}  // namespace

TEST_SUITE("server/long_write") {
  TEST_CASE(
      "W1: a long command lets others in between, nobody sees a part of it, and its outcome is the same") {
    for (const uint32_t cold : {uint32_t{0}, UINT32_MAX / 200}) {
      SimServer sim(21, cold);
      make_all(sim);
      auto other = sim.connect();
      for (const Words& words : kBuilders) {
        CAPTURE(cold);
        CAPTURE(words[0]);
        CAPTURE(words[1]);
        const uint64_t before = sim.server->stats().long_writes;
        sim.send(*other, with_destination(words, "to"));
        int turns = 0;
        bool answered = sim.replied(*other);
        while (!answered) {
          sim.step();
          answered = sim.replied(*other);
          const bool there = sim.command({"EXISTS", "to"}).integer == 1;
          // It is there when the last batch is, and the answer may leave a little later.
          if (!there) ++turns;
          if (there) CHECK(building(*sim.engine).empty());
        }
        CHECK(turns > 1);  // How many the dice say: what is small, as SDIFFSTORE's is, goes in one batch.
        CHECK(sim.server->stats().long_writes == before + 1);
        const std::string reply = resp::to_text(other->parser.reply());
        CHECK(reply == resp::to_text(at_once(sim, with_destination(words, "twin"))));
        CHECK(content(sim, "to") == content(sim, "twin"));
        CHECK(sim.text({"TTL", "to"}) == sim.text({"TTL", "twin"}));
        // It can be worked with, and goes as a whole.
        CHECK(sim.command({"DEL", "to", "twin"}).integer == 2);
        CHECK(sim.command({"DBSIZE"}).integer == 8);
      }
      CHECK(building(*sim.engine).empty());
    }
  }

  TEST_CASE("RESTORE of much, BITOP and a COPY of a long string go the same way") {
    SimServer sim(22);
    make_all(sim);
    auto other = sim.connect();
    for (const std::string key : {"s", "z", "l", "h", "x", "big"}) {
      CAPTURE(key);
      const std::string payload = sim.command({"DUMP", key}).text;
      CHECK(sim.text({"RESTORE", "to", "0", payload.substr(0, payload.size() - 1) + "?"})
                .starts_with("(error)"));
      const uint64_t before = sim.server->stats().long_writes;
      sim.send(*other, {"RESTORE", "to", "0", payload});
      CHECK(resp::to_text(sim.wait(*other)) == "OK");
      CAPTURE(payload.size());
      CHECK(sim.server->stats().long_writes - before == 1);
      CHECK(content(sim, "to") == content(sim, key));
      CHECK(sim.text({"RESTORE", "to", "0", payload}).starts_with("(error) BUSYKEY"));
      CHECK(sim.text({"RESTORE", "to", "100000", payload, "REPLACE"}) == "OK");
      CHECK(content(sim, "to") == content(sim, key));
      sim.command({"DEL", "to"});
    }
    CHECK(sim.command({"COPY", "big", "to"}).integer == 1);
    CHECK(sim.command({"GET", "to"}).text == std::string(300'000, 'b'));
    CHECK(building(*sim.engine).empty());
  }

  TEST_CASE("W2: what it reads is of one moment; what it writes has not changed since, or it begins anew") {
    SimServer sim(23);
    make(sim, "SADD", "s");
    make(sim, "SADD", "t", kElements);
    auto other = sim.connect();

    // A source changes: the result is of the moment before.
    begin(sim, *other, {"SUNIONSTORE", "to", "s", "t"});
    sim.command({"SADD", "s", "late"});
    CHECK(sim.wait(*other).integer == 2 * kElements);
    CHECK(sim.command({"SISMEMBER", "to", "late"}).integer == 0);
    CHECK(sim.server->stats().long_writes_redone == 0);

    // The destination is a source, too: no write to it may be lost.
    begin(sim, *other, {"SUNIONSTORE", "t", "s", "t"});
    sim.command({"SADD", "t", "lost?"});
    CHECK(sim.wait(*other).integer == 2 * kElements + 2);
    CHECK(sim.command({"SISMEMBER", "t", "lost?"}).integer == 1);
    CHECK(sim.server->stats().long_writes_redone >= 1);

    // Again and again: in the end it is done at once.
    const uint64_t redone = sim.server->stats().long_writes_redone;
    sim.send(*other, {"SUNIONSTORE", "t", "s", "t"});
    int writes = 0;
    while (!sim.replied(*other)) {
      sim.command({"SADD", "t", "w" + std::to_string(writes++)});
      sim.step();
    }
    CHECK(sim.server->stats().long_writes_redone == redone + LongWrite::kAttempts);
    for (int n = 0; n + 1 < writes; ++n)
      CHECK(sim.command({"SISMEMBER", "t", "w" + std::to_string(n)}).integer == 1);

    // COPY looks for what is in its way at the end.
    begin(sim, *other, {"COPY", "s", "new"});
    sim.command({"SET", "new", "here first"});
    CHECK(sim.wait(*other).integer == 0);
    CHECK(sim.text({"GET", "new"}) == "\"here first\"");
    CHECK(building(*sim.engine).empty());
  }

  TEST_CASE("a database that is emptied or swapped meanwhile is seen by it") {
    SimServer sim(24);
    make(sim, "SADD", "s");
    auto other = sim.connect();
    begin(sim, *other, {"COPY", "s", "to", "DB", "3"});
    sim.command({"SWAPDB", "3", "4"});
    CHECK(sim.wait(*other).integer == 1);
    sim.command({"SELECT", "3"});
    CHECK(sim.command({"SCARD", "to"}).integer == kElements);
    sim.command({"SELECT", "0"});

    begin(sim, *other, {"COPY", "s", "to"});
    sim.command({"FLUSHDB"});
    CHECK(sim.wait(*other).integer == 0);  // There is nothing to copy any more.
    CHECK(sim.command({"DBSIZE"}).integer == 0);
    for (int n = 0; n < 200; ++n) sim.step();
    CHECK(building(*sim.engine).empty());
  }

  TEST_CASE("LINSERT, LREM and LPOP search a long list where nobody waits, and lose no push") {
    for (const uint32_t cold : {uint32_t{0}, UINT32_MAX / 200}) {
      SimServer sim(25, cold);
      make(sim, "RPUSH", "l");
      auto other = sim.connect();
      std::vector<std::string> model;
      for (int n = 0; n < kElements; ++n) model.push_back(member(n));
      const std::vector<Words> commands = {
          {"LINSERT", "l", "AFTER", member(3000), "in"},
          {"LREM", "l", "0", member(3100)},
          {"LREM", "l", "-1", member(5)},
          {"LINSERT", "l", "BEFORE", "nowhere", "x"},
          {"LPOP", "l", "2500"},
      };
      for (const Words& words : commands) {
        CAPTURE(words[0]);
        begin(sim, *other, words);
        sim.command({"RPUSH", "l", "pushed"});
        model.emplace_back("pushed");
        const resp::Reply reply = sim.wait(*other);
        const auto at = [&](const std::string& value) {
          return std::find(model.begin(), model.end(), value);
        };
        if (words[0] == "LINSERT" && words[3] != "nowhere") model.insert(at(member(3000)) + 1, "in");
        if (words[0] == "LREM") {
          CHECK(reply.integer == 1);
          model.erase(at(words[3]));
        }
        if (words[0] == "LPOP") {
          REQUIRE(reply.items.size() == 2500);
          for (size_t i = 0; i < 2500; ++i) REQUIRE(reply.items[i].text == model[i]);
          model.erase(model.begin(), model.begin() + 2500);
        }
        const resp::Reply all = sim.command({"LRANGE", "l", "0", "-1"});
        REQUIRE(all.items.size() == model.size());
        for (size_t i = 0; i < model.size(); ++i) REQUIRE(all.items[i].text == model[i]);
      }
    }
  }

  TEST_CASE("an LREM, a SPOP or a ZPOPMIN that leaves little is seen at once, and keeps the key's time") {
    SimServer sim(28);
    auto other = sim.connect();
    Words pushed;
    for (int round = 0; round < 13; ++round) {
      Words l{"RPUSH", "l"}, s{"SADD", "s"}, z{"ZADD", "z"};
      for (int n = round * 1000; n < (round + 1) * 1000; ++n) {
        l.insert(l.end(), {n % 7 == 0 ? member(n) : "same"});
        s.push_back(member(n));
        z.insert(z.end(), {std::to_string(n), member(n)});
        pushed.push_back(l.back());
      }
      for (const Words& words : {l, s, z}) sim.command(words);
    }
    for (const char* key : {"l", "s", "z"}) sim.command({"EXPIRE", key, "100000"});
    const auto watched = [&](const Words& words, const Words& count) {
      begin(sim, *other, words);
      std::set<int64_t> seen{sim.command(count).integer};
      resp::Reply reply;
      for (bool answered = false; !answered;) {
        sim.step();
        answered = sim.replied(*other);
        seen.insert(sim.command(count).integer);
      }
      CHECK(seen.size() <= 2);  // Before and after.
      return other->parser.reply();
    };
    // The last 10000 of them; those in front stay.
    const resp::Reply removed = watched({"LREM", "l", "-10000", "same"}, {"LLEN", "l"});
    CAPTURE(resp::to_text(removed));
    CHECK(removed.integer == 10000);
    int skipped = 0;
    for (size_t i = pushed.size(); i-- > 0 && skipped < 10000;)
      if (pushed[i] == "same") ++skipped, pushed.erase(pushed.begin() + static_cast<ptrdiff_t>(i));
    const resp::Reply all = sim.command({"LRANGE", "l", "0", "-1"});
    REQUIRE(all.items.size() == pushed.size());
    for (size_t i = 0; i < pushed.size(); ++i) REQUIRE(all.items[i].text == pushed[i]);
    CHECK(sim.command({"TTL", "l"}).integer > 90'000);
    CHECK(sim.command({"RPUSH", "l", "last"}).integer == static_cast<int64_t>(pushed.size()) + 1);

    const resp::Reply popped = watched({"SPOP", "s", "12000"}, {"SCARD", "s"});
    std::set<std::string> names;
    for (const resp::Reply& item : popped.items) names.insert(item.text);
    CHECK(names.size() == 12000);
    for (const resp::Reply& item : sim.command({"SMEMBERS", "s"}).items) names.insert(item.text);
    CHECK(names.size() == 13000);
    CHECK(sim.command({"TTL", "s"}).integer > 90'000);

    CHECK(watched({"ZPOPMAX", "z", "20000"}, {"ZCARD", "z"}).items.size() == 26000);
    CHECK(sim.command({"EXISTS", "z"}).integer == 0);
    CHECK(watched({"LREM", "l", "0", "same"}, {"LLEN", "l"}).integer == 1142);
    CHECK(building(*sim.engine).empty());
  }

  TEST_CASE("W3: when its client leaves it is dropped, and so is what it has built") {
    SimServer sim(26);
    make(sim, "SADD", "s");
    auto other = sim.connect();
    sim.send(*other, {"COPY", "s", "to"});
    for (int n = 0; building(*sim.engine).empty(); ++n) {
      REQUIRE(n < 1000);
      sim.step();
    }
    other->client->close();
    for (int n = 0; n < 300; ++n) sim.step();
    CHECK(building(*sim.engine).empty());
    CHECK(sim.command({"EXISTS", "to"}).integer == 0);
    CHECK(sim.command({"SCARD", "s"}).integer == kElements);
  }

  TEST_CASE("whoever waits for the key is served, and events tell of it once") {
    Harness harness(27, {"--notify-keyspace-events", "AKEn"});
    const auto peer = harness.connect(), waiter = harness.connect(), listener = harness.connect();
    for (int n = 0; n < kElements; n += 500) {
      Words words{"RPUSH", "l"};
      for (int i = n; i < n + 500; ++i) words.push_back(member(i));
      harness.call(*peer, words);
    }
    harness.call(*listener, {"PSUBSCRIBE", "__keyevent*"});
    waiter->send({"BLPOP", "to", "0"});
    harness.turns(5);
    CHECK(harness.call(*peer, {"COPY", "l", "to"}) == "1");
    CHECK(harness.replies(*waiter, 1)[0].find(member(0)) != std::string::npos);
    CHECK(harness.call(*peer, {"LLEN", "to"}) == std::to_string(kElements - 1));
    CHECK(harness.server->stats().long_writes == 1);
    harness.turns(5);
    std::string told;
    for (const std::string& message : listener->received()) told += message + "\n";
    size_t copies = 0;
    for (size_t at = told.find("copy_to"); at != std::string::npos; at = told.find("copy_to", at + 1))
      ++copies;
    CHECK(copies == 1);
    CHECK(told.find("lpop") != std::string::npos);
  }

  TEST_CASE(
      "W3: wherever the power is cut, the result is there as a whole or not at all, and nothing leaks") {
    constexpr const char* kAlways[] = {"--appendfsync", "always"};
    const std::vector<Words> commands = {
        {"COPY", "s", "to"}, {"SUNIONSTORE", "to", "s", "t"}, {"SUNIONSTORE", "s", "s", "t"}};
    const auto prepare = [](Harness& harness, Peer& peer) {
      for (int n = 0; n < kElements; n += 500) {
        Words s{"SADD", "s"}, t{"SADD", "t"};
        for (int i = n; i < n + 500; ++i) {
          s.push_back(member(i));
          t.push_back(member(i + kElements));
        }
        harness.call(peer, s);
        harness.call(peer, t);
      }
    };
    for (const Words& command : commands) {
      uint64_t first = 0, last = 0;
      {
        Harness harness(31, {kAlways[0], kAlways[1]});
        const auto peer = harness.connect();
        prepare(harness, *peer);
        first = harness.world.disk->operations().size();
        harness.call(*peer, command);
        CHECK(harness.server->stats().long_writes == 1);
        last = harness.world.disk->operations().size();
      }
      REQUIRE(last > first + 5);
      std::mt19937_64 random(31);
      int unfinished = 0;
      for (int round = 0; round < 12; ++round) {
        const uint64_t at = first + random() % (last - first + 1);
        CAPTURE(command[0]);
        CAPTURE(at);
        std::unique_ptr<engine::SimDisk> disk;
        bool acknowledged = false;
        {
          Harness harness(31, {kAlways[0], kAlways[1]});
          const auto peer = harness.connect();
          prepare(harness, *peer);
          harness.world.disk->cut_power_at(at);
          peer->send(command);
          for (int steps = 0; steps < 3000 && !acknowledged && !peer->closed(); ++steps) {
            harness.step();
            for (const std::string& reply : peer->received()) acknowledged = !reply.starts_with("(error)");
            if (harness.world.disk->power_is_cut() && steps < 2900) steps = 2900;
          }
          disk = harness.world.disk->crash(at * 31 + round, {.junk = round % 2 == 1});
        }
        Harness again(77, {kAlways[0], kAlways[1]}, 0, std::move(disk));
        // Swept by now; its object is dead.
        unfinished += command[0] == "COPY" && again.engine->stats().dead_objects > 0;
        const auto peer = again.connect();
        const std::string key = command[0] == "COPY" ? command[2] : command[1];
        const std::string count = again.call(*peer, {"SCARD", key});
        const std::string whole = std::to_string(command[0] == "COPY" ? kElements : 2 * kElements);
        const std::string before = key == "s" ? std::to_string(kElements) : "0";
        CAPTURE(count);
        CAPTURE(acknowledged);
        CHECK((count == whole || (count == before && !acknowledged)));
        for (int steps = 0; steps < 300; ++steps) again.step();
        CHECK(building(*again.engine).empty());
        // What nobody refers to goes: only members that can be reached are left.
        CHECK(again.call(*peer, {"COMPACT"}) == "OK");
        const auto snapshot = again.engine->snapshot();
        const auto reader = snapshot->reader();
        size_t reachable = 0;
        for (const char* set : {"s", "t", "to"}) reachable += std::stoul(again.call(*peer, {"SCARD", set}));
        CHECK(records(*reader, "S", "T").size() == reachable);
      }
      CHECK((unfinished > 0 || command[0] != "COPY"));
    }
  }
}
