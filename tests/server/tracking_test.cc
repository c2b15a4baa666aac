// Client-side caching: who is told of which keys, and when.
#include "server/tracking.h"

#include <doctest/doctest.h>

#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/server/server_harness.h"

using namespace server;

namespace {

using Words = std::vector<std::string>;

std::string invalid(const std::string& keys) { return ">[\"invalidate\", [" + keys + "]]"; }

std::unique_ptr<Peer> tracker(Harness& harness, Words options = {}) {
  auto peer = harness.connect();
  harness.call(*peer, {"HELLO", "3"});
  options.insert(options.begin(), {"CLIENT", "TRACKING", "ON"});
  REQUIRE(harness.call(*peer, options) == "OK");
  return peer;
}

// All that has come after a while.
Words heard(Harness& harness, Peer& peer) {
  for (int i = 0; i < 20; ++i) harness.step();
  return peer.received();
}

}  // namespace

TEST_SUITE("server/tracking") {
  TEST_CASE("I1, I3: who has read a key is told of the next change, once, and of no other key") {
    Harness harness(1);
    const auto peer = tracker(harness), writer = harness.connect();
    CHECK(harness.call(*peer, {"GET", "k"}) == "nil");
    CHECK(harness.call(*peer, {"MGET", "a", "b"}) == "[nil, nil]");
    CHECK(harness.server->tracking().keys() == 3);
    CHECK(harness.call(*writer, {"SET", "other", "1"}) == "OK");
    CHECK(harness.call(*writer, {"SET", "k", "1"}) == "OK");
    CHECK(harness.call(*writer, {"SET", "k", "2"}) == "OK");
    CHECK(harness.call(*writer, {"MSET", "b", "1", "a", "1"}) == "OK");
    CHECK(heard(harness, *peer) == Words{invalid("\"k\""), invalid("\"b\""), invalid("\"a\"")});
    CHECK(harness.call(*peer, {"GET", "k"}) == "\"2\"");
    peer->send({"SET", "k", "3"});
    CHECK(harness.replies(*peer, 2) == Words{"OK", invalid("\"k\"")});
    CHECK(harness.call(*peer, {"CLIENT", "TRACKING", "OFF"}) == "OK");
    CHECK(harness.call(*peer, {"GET", "k"}) == "\"3\"");
    CHECK(harness.call(*writer, {"DEL", "k"}) == "1");
    CHECK(heard(harness, *peer).empty());
  }

  TEST_CASE("I1: a transaction is told of what it writes behind a read, not of what it had written before") {
    Harness harness(1, {"--hash-max-listpack-entries", "4"});
    const auto peer = tracker(harness), writer = harness.connect();
    const auto heard_behind = [&](const Words& command) {
      peer->send(command);
      Words got = harness.replies(*peer, 1);
      got.erase(got.begin());
      for (const std::string& push : heard(harness, *peer)) got.push_back(push);
      return got;
    };
    const auto transaction = [&](const std::vector<Words>& commands) {
      harness.call(*peer, {"MULTI"});
      for (const Words& command : commands) harness.call(*peer, command);
      return heard_behind({"EXEC"});
    };
    CHECK(transaction({{"SET", "a", "1"}, {"GET", "a"}}).empty());
    CHECK(harness.call(*writer, {"SET", "a", "2"}) == "OK");
    CHECK(heard(harness, *peer) == Words{invalid("\"a\"")});
    CHECK(transaction({{"GET", "a"}, {"SET", "a", "3"}}) == Words{invalid("\"a\"")});
    CHECK(harness.call(*writer, {"SET", "a", "4"}) == "OK");
    CHECK(heard(harness, *peer).empty());
    // It knew of the key before.
    CHECK(harness.call(*peer, {"GET", "a"}) == "\"4\"");
    CHECK(transaction({{"SET", "a", "5"}, {"GET", "a"}}) == Words{invalid("\"a\"")});
    CHECK(harness.call(*writer, {"SET", "a", "6"}) == "OK");
    CHECK(heard(harness, *peer) == Words{invalid("\"a\"")});
    // A script stands for its keys at its last read.
    const std::string sets_and_gets = "redis.call('SET', KEYS[1], 'x') return redis.call('GET', KEYS[1])";
    const std::string gets_and_sets = "redis.call('GET', KEYS[1]) return redis.call('SET', KEYS[1], 'y')";
    CHECK(heard_behind({"EVAL", sets_and_gets, "1", "s"}).empty());
    CHECK(heard_behind({"EVAL", gets_and_sets, "1", "s"}) == Words{invalid("\"s\"")});
    // A large collection changes by its elements alone.
    for (int i = 0; i < 300; ++i)
      harness.call(*writer, {"HSET", "h", "field" + std::to_string(i), std::string(20, 'x')});
    CHECK(transaction({{"HSET", "h", "field1", std::string(20, 'y')}, {"HGET", "h", "field2"}}).empty());
    CHECK(transaction({{"HGET", "h", "field2"}, {"HSET", "h", "field1", std::string(20, 'z')}}) ==
          Words{invalid("\"h\"")});
    CHECK(transaction({{"GET", "nothing"}, {"FLUSHALL"}}) == Words{">[\"invalidate\", nil]"});
  }

  TEST_CASE("a large collection that changes by an element alone is told of") {
    Harness harness(1, {"--hash-max-listpack-entries", "4"});
    const auto peer = tracker(harness), writer = harness.connect();
    for (int i = 0; i < 300; ++i)
      harness.call(*writer, {"HSET", "h", "field" + std::to_string(i), std::string(20, 'x')});
    CHECK(harness.call(*peer, {"HGET", "h", "field7"}) == "\"" + std::string(20, 'x') + "\"");
    CHECK(harness.call(*writer, {"HSET", "h", "field8", std::string(20, 'y')}) == "0");
    CHECK(heard(harness, *peer) == Words{invalid("\"h\"")});
    // The object goes on under another name.
    harness.call(*peer, {"HLEN", "h"});
    CHECK(harness.call(*writer, {"RENAME", "h", "g"}) == "OK");
    CHECK(heard(harness, *peer) == Words{invalid("\"h\"")});
    harness.call(*peer, {"HLEN", "g"});
    CHECK(harness.call(*writer, {"HSET", "g", "field8", std::string(20, 'z')}) == "0");
    CHECK(heard(harness, *peer) == Words{invalid("\"g\"")});
  }

  TEST_CASE("a key whose time is up is told of") {
    Harness harness(1);
    const auto peer = tracker(harness), writer = harness.connect();
    CHECK(harness.call(*writer, {"SET", "k", "1", "PX", "50"}) == "OK");
    CHECK(harness.call(*peer, {"GET", "k"}) == "\"1\"");
    harness.world.clock.advance_us(100'000);
    CHECK(harness.call(*writer, {"GET", "k"}) == "nil");  // It is met, and reclaimed.
    CHECK(heard(harness, *peer) == Words{invalid("\"k\"")});
  }

  TEST_CASE("flushing invalidates everything") {
    Harness harness(1);
    const auto peer = tracker(harness), all = tracker(harness, {"BCAST"}), writer = harness.connect();
    CHECK(harness.call(*writer, {"SET", "other", "1"}) == "OK");
    CHECK(heard(harness, *all).size() == 1);
    harness.call(*peer, {"GET", "k"});
    CHECK(harness.call(*writer, {"FLUSHALL"}) == "OK");
    CHECK(heard(harness, *peer) == Words{">[\"invalidate\", nil]"});
    CHECK(heard(harness, *all) == Words{">[\"invalidate\", nil]"});
    CHECK(harness.server->tracking().keys() == 0);
    CHECK(harness.server->tracking().items() == 0);
  }

  TEST_CASE("flushing what is empty invalidates what was not there") {
    for (const char* how : {"FLUSHALL", "FLUSHDB"}) {
      CAPTURE(how);
      Harness harness(12);
      const auto reader = harness.connect(), writer = harness.connect();
      harness.call(*reader, {"HELLO", "3"});
      harness.call(*reader, {"CLIENT", "TRACKING", "ON"});
      harness.call(*reader, {"GET", "k"});
      CHECK(harness.call(*writer, {how}) == "OK");
      CHECK(harness.replies(*reader, 1).size() == 1);
      CHECK(harness.server->tracking().keys() == 0);
    }
  }

  TEST_CASE("when the last one stops tracking, what was read is forgotten") {
    Harness harness(13);
    const auto reader = harness.connect(), writer = harness.connect();
    harness.call(*reader, {"HELLO", "3"});
    harness.call(*reader, {"CLIENT", "TRACKING", "ON"});
    harness.call(*reader, {"GET", "k"});
    CHECK(harness.server->tracking().items() == 1);
    harness.call(*reader, {"CLIENT", "TRACKING", "OFF"});
    CHECK(harness.server->tracking().keys() == 0);
    CHECK(harness.server->tracking().items() == 0);
    harness.call(*reader, {"CLIENT", "TRACKING", "ON"});
    harness.call(*writer, {"SET", "k", "v"});
    CHECK(harness.call(*reader, {"PING"}) == "PONG");  // And no push before it.
  }

  TEST_CASE("BCAST tells of all keys with a prefix, together, at the end of a turn") {
    Harness harness(1);
    const auto peer = tracker(harness, {"BCAST", "PREFIX", "user:", "PREFIX", "obj"});
    const auto all = tracker(harness, {"BCAST", "NOLOOP"}), writer = harness.connect();
    CHECK(harness.server->tracking().prefix_count() == 3);
    CHECK(harness.call(*writer, {"MSET", "user:1", "x", "use", "x", "user:2", "x", "object", "x"}) == "OK");
    CHECK(heard(harness, *peer) == Words{invalid("\"object\""), invalid("\"user:1\", \"user:2\"")});
    CHECK(heard(harness, *all) == Words{invalid("\"object\", \"use\", \"user:1\", \"user:2\"")});
    CHECK(harness.call(*all, {"SET", "user:9", "x"}) == "OK");
    CHECK(heard(harness, *peer) == Words{invalid("\"user:9\"")});
    CHECK(heard(harness, *all).empty());
    CHECK(
        harness.call(*peer, {"CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "u"}) ==
        "(error) ERR Prefix 'u' overlaps with an existing prefix 'user:'. Prefixes for a single client must "
        "not overlap.");
    peer->hang_up();
    all->hang_up();
    harness.turns(5);
    CHECK(harness.server->tracking().prefix_count() == 0);
    CHECK(harness.server->tracking().clients() == 0);
  }

  TEST_CASE("OPTIN and OPTOUT go by the CLIENT CACHING right before a command") {
    Harness harness(1);
    const auto in = tracker(harness, {"OPTIN"}), out = tracker(harness, {"OPTOUT"}),
               writer = harness.connect();
    const auto change = [&](const char* key) { harness.call(*writer, {"INCR", key}); };
    harness.call(*in, {"GET", "a"});
    harness.call(*in, {"CLIENT", "CACHING", "YES"});
    CHECK(harness.call(*in, {"CLIENT", "TRACKINGINFO"}) ==
          "{\"flags\": ~[\"on\", \"optin\", \"caching-yes\"], \"redirect\": 0, \"prefixes\": []}");
    harness.call(*in, {"GET", "b"});
    harness.call(*in, {"GET", "c"});
    harness.call(*out, {"GET", "a"});
    harness.call(*out, {"CLIENT", "CACHING", "NO"});
    harness.call(*out, {"GET", "b"});
    for (const char* key : {"a", "b", "c"}) change(key);
    CHECK(heard(harness, *in) == Words{invalid("\"b\"")});
    CHECK(heard(harness, *out) == Words{invalid("\"a\"")});
  }

  TEST_CASE("another connection is told, in RESP2 by a message, and its end is noticed") {
    Harness harness(1);
    const auto channel = harness.connect(), peer = harness.connect(), writer = harness.connect();
    const std::string id = harness.call(*channel, {"CLIENT", "ID"});
    harness.call(*channel, {"SUBSCRIBE", "__redis__:invalidate"});
    harness.call(*peer, {"HELLO", "3"});
    CHECK(harness.call(*peer, {"CLIENT", "TRACKING", "ON", "REDIRECT", id}) == "OK");
    CHECK(harness.call(*peer, {"CLIENT", "GETREDIR"}) == id);
    harness.call(*peer, {"GET", "k"});
    harness.call(*writer, {"SET", "k", "1"});
    CHECK(heard(harness, *channel) == Words{"[\"message\", \"__redis__:invalidate\", [\"k\"]]"});
    harness.call(*writer, {"FLUSHALL"});
    CHECK(heard(harness, *channel) == Words{"[\"message\", \"__redis__:invalidate\", nil]"});
    harness.call(*peer, {"GET", "k"});
    channel->hang_up();
    harness.turns(5);
    harness.call(*writer, {"SET", "k", "1"});
    CHECK(heard(harness, *peer) == Words{">[\"tracking-redir-broken\", " + id + "]"});
    CHECK(harness.call(*peer, {"CLIENT", "INFO"}).find("flags=tRU") != std::string::npos);
  }

  TEST_CASE("a full table forgets keys, and says so to those who had read them") {
    Harness harness(1, {"--tracking-table-max-keys", "10"});
    const auto peer = tracker(harness);
    size_t told = 0;
    for (int i = 0; i < 50; ++i) {
      peer->send({"GET", "k" + std::to_string(i)});
      for (const std::string& reply : heard(harness, *peer)) told += reply != "nil";
      CHECK(harness.server->tracking().keys() <= 10);
    }
    CHECK(told == 40);
  }

  TEST_CASE("I1: what changes during a long read is told right behind the reply") {
    for (const Words& mode : {Words{}, Words{"BCAST"}}) {
      CAPTURE(mode.size());
      Harness harness(1, {"--set-max-intset-entries", "4"});
      const auto peer = tracker(harness, mode), writer = harness.connect();
      for (int i = 0; i < 30; ++i) {
        Words words{"SADD", "s"};
        for (int n = 0; n < 200; ++n) words.push_back("member-" + std::to_string(i * 200 + n));
        harness.call(*writer, words);
      }
      heard(harness, *peer);
      const auto long_reads = harness.server->stats().long_reads;
      peer->send({"SMEMBERS", "s"});
      harness.turns(10);  // The worker that reads has its snapshot, and does not get on.
      REQUIRE(harness.server->stats().long_reads == long_reads + 1);
      writer->send({"SREM", "s", "member-7"});
      harness.turns(10);
      CHECK(writer->received() == Words{"1"});
      peer->received();  // With BCAST it has been told, but will yet read what was before.
      const Words replies = harness.replies(*peer, 2);
      REQUIRE(replies.size() == 2);
      CHECK(replies[0].starts_with("~["));
      CHECK(replies[0].find("\"member-7\"") != std::string::npos);
      CHECK(replies[1] == invalid("\"s\""));
    }
  }

  TEST_CASE("I2: under appendfsync always nobody is told of what a power cut could take back") {
    Harness harness(1, {"--appendfsync", "always"});
    const auto peer = tracker(harness), listener = harness.connect(), writer = harness.connect();
    harness.call(*writer, {"CONFIG", "SET", "notify-keyspace-events", "KEA"});
    harness.call(*listener, {"PSUBSCRIBE", "*"});
    harness.call(*peer, {"GET", "k"});
    writer->send({"SET", "k", "1"});
    harness.turns(10);  // No worker runs: nothing is synced.
    CHECK(writer->received().empty());
    CHECK(peer->received().empty());
    CHECK(listener->received().empty());
    const auto speaker = harness.connect();
    speaker->send({"PUBLISH", "plain", "x"});
    harness.turns(5);
    CHECK(speaker->received() == Words{"1"});
    CHECK(harness.replies(*peer, 1) == Words{invalid("\"k\"")});
    CHECK(harness.replies(*listener, 3).size() == 3);
    CHECK(harness.replies(*writer, 1) == Words{"OK"});
  }

  TEST_CASE("I1: a model of caches never holds a value that is not the server's") {
    for (uint64_t seed = 1; seed <= 6; ++seed) {
      CAPTURE(seed);
      // Blocks that come late, and long reads.
      Harness harness(seed, {"--hash-max-listpack-entries", "4"}, seed % 2 == 0 ? 1u << 30 : 0);
      std::mt19937_64 random(seed);
      struct Cache {
        std::unique_ptr<Peer> peer;
        std::map<std::string, std::string> values;  // By command line.
      };
      std::vector<Cache> caches(3);
      for (size_t i = 0; i < caches.size(); ++i)
        caches[i].peer = tracker(harness, i == 2 ? Words{"BCAST"} : Words{});
      const auto writer = harness.connect();
      const auto key = [&] { return "h" + std::to_string(random() % 4); };
      const auto take_in = [](Cache& cache, const Words& replies) {
        for (const std::string& reply : replies) {
          if (!reply.starts_with(">[\"invalidate\"")) continue;
          if (reply.find("nil") != std::string::npos) cache.values.clear();
          std::erase_if(cache.values, [&](const auto& value) {
            return reply.find("\"" + value.first + "\"") != std::string::npos;
          });
        }
      };
      for (int step = 0; step < 800; ++step) {
        CAPTURE(step);
        if (random() % 3 == 0) {
          Cache& cache = caches[random() % caches.size()];
          const std::string name = key();
          cache.peer->send({"HGETALL", name});
          // While it is under way the other one writes.
          harness.turns(static_cast<int>(random() % 4));
          if (random() % 2 == 0)
            writer->send({"HSET", name, "f" + std::to_string(random() % 20), std::to_string(step)});
          for (bool answered = false; !answered;) {
            harness.step();
            for (const std::string& reply : cache.peer->received()) {
              const bool push = reply.starts_with(">");
              if (push)
                take_in(cache, {reply});
              else
                cache.values[name] = reply;
              answered |= !push;
            }
          }
        } else if (random() % 40 == 0) {
          writer->send({"FLUSHALL"});
        } else {
          const uint64_t what = random() % 10;
          const std::string field = "f" + std::to_string(random() % 20);
          if (what < 6)
            writer->send({"HSET", key(), field, std::string(1 + random() % 90, 'v') + std::to_string(step)});
          if (what == 6) writer->send({"HDEL", key(), field});
          if (what == 7) writer->send({"RENAME", key(), key()});
          if (what == 8) writer->send({"COPY", key(), key(), "REPLACE"});
          if (what == 9) writer->send({"DEL", key()});
        }
        if (step % 50 != 49) continue;
        if (seed % 2 == 0) harness.engine->drop_caches();
        for (int i = 0; i < 100; ++i) harness.step();
        writer->received();
        for (Cache& cache : caches) take_in(cache, cache.peer->received());
        const auto asker = harness.connect();
        harness.call(*asker, {"HELLO", "3"});
        for (const Cache& cache : caches) {
          for (const auto& [name, value] : cache.values) {
            CAPTURE(name);
            REQUIRE(harness.call(*asker, {"HGETALL", name}) == value);
          }
        }
      }
    }
  }
}
