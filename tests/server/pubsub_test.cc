// Channels, patterns, shard channels: who hears what, when, and in which shape.
#include "server/pubsub.h"

#include <doctest/doctest.h>

#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "server/glob.h"
#include "tests/server/server_harness.h"

using namespace server;

namespace {

using Words = std::vector<std::string>;

}  // namespace

TEST_SUITE("server/pubsub") {
  TEST_CASE("confirmations and messages have Redis's shape in RESP2 and in RESP3") {
    for (const char* version : {"2", "3"}) {
      CAPTURE(version);
      Harness harness(1);
      const auto listener = harness.connect(), speaker = harness.connect();
      const bool push = version[0] == '3';
      const auto frame = [push](const std::string& items) { return (push ? ">[" : "[") + items + "]"; };
      harness.call(*listener, {"HELLO", version});
      listener->send({"SUBSCRIBE", "a", "b", "a"});
      listener->send({"PSUBSCRIBE", "a*"});
      listener->send({"SSUBSCRIBE", "a"});
      CHECK(harness.replies(*listener, 5) ==
            Words{frame("\"subscribe\", \"a\", 1"), frame("\"subscribe\", \"b\", 2"),
                  frame("\"subscribe\", \"a\", 2"), frame("\"psubscribe\", \"a*\", 3"),
                  frame("\"ssubscribe\", \"a\", 1")});
      CHECK(harness.call(*speaker, {"PUBLISH", "a", "hello"}) == "2");
      CHECK(harness.call(*speaker, {"SPUBLISH", "a", "shard"}) == "1");
      CHECK(harness.call(*speaker, {"PUBLISH", "c", "nobody"}) == "0");
      CHECK(harness.replies(*listener, 3) == Words{frame("\"message\", \"a\", \"hello\""),
                                                   frame("\"pmessage\", \"a*\", \"a\", \"hello\""),
                                                   frame("\"smessage\", \"a\", \"shard\"")});
      listener->send({"UNSUBSCRIBE", "a", "x"});
      listener->send({"UNSUBSCRIBE"});
      listener->send({"PUNSUBSCRIBE"});
      listener->send({"SUNSUBSCRIBE"});
      listener->send({"SUNSUBSCRIBE"});
      listener->send({"PING"});
      CHECK(harness.replies(*listener, 7) ==
            Words{frame("\"unsubscribe\", \"a\", 2"), frame("\"unsubscribe\", \"x\", 2"),
                  frame("\"unsubscribe\", \"b\", 1"), frame("\"punsubscribe\", \"a*\", 0"),
                  frame("\"sunsubscribe\", \"a\", 0"), frame("\"sunsubscribe\", nil, 0"), "PONG"});
      CHECK(harness.server->pubsub().silent());
    }
  }

  TEST_CASE("a RESP2 connection that listens runs only what is shaped like a message") {
    Harness harness(1);
    const auto listener = harness.connect();
    CHECK(harness.call(*listener, {"SSUBSCRIBE", "a"}) == "[\"ssubscribe\", \"a\", 1]");
    for (const Words& command :
         {Words{"GET", "k"}, Words{"PUBLISH", "a", "x"}, Words{"CLIENT", "ID"}, Words{"PUBSUB", "NUMPAT"}}) {
      CAPTURE(command[0]);
      const std::string name = command[0] == "GET"       ? "get"
                               : command[0] == "PUBLISH" ? "publish"
                               : command[0] == "CLIENT"  ? "client|id"
                                                         : "pubsub|numpat";
      CHECK(
          harness.call(*listener, command) ==
          "(error) ERR Can't execute '" + name +
              "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context");
    }
    CHECK(harness.call(*listener, {"PING"}) == "[\"pong\", \"\"]");
    CHECK(harness.call(*listener, {"PING", "x"}) == "[\"pong\", \"x\"]");
    CHECK(harness.call(*listener, {"SUNSUBSCRIBE"}) == "[\"sunsubscribe\", \"a\", 0]");
    CHECK(harness.call(*listener, {"GET", "k"}) == "nil");
  }

  TEST_CASE("who is closed or reset listens to nothing any more") {
    Harness harness(1);
    const auto listener = harness.connect(), other = harness.connect();
    for (const auto& peer : {listener.get(), other.get()}) {
      peer->send({"SUBSCRIBE", "a"});
      peer->send({"PSUBSCRIBE", "*"});
      peer->send({"SSUBSCRIBE", "s"});
      harness.replies(*peer, 3);
    }
    CHECK(harness.server->pubsub().receivers("a", false) == 4);
    CHECK(harness.call(*other, {"RESET"}) == "RESET");
    CHECK(harness.server->pubsub().receivers("a", false) == 2);
    CHECK(harness.call(*other, {"PUBLISH", "a", "x"}) == "2");
    listener->hang_up();
    harness.turns(5);
    CHECK(harness.server->pubsub().silent());
    CHECK(harness.server->pubsub().size(PubSub::Kind::kPattern) == 0);
    CHECK(harness.call(*other, {"PUBLISH", "a", "x"}) == "0");
  }

  TEST_CASE("a client that hears itself gets its reply first, and messages lie between replies") {
    Harness harness(1);
    const auto peer = harness.connect();
    harness.call(*peer, {"HELLO", "3"});
    CHECK(harness.call(*peer, {"SUBSCRIBE", "a"}) == ">[\"subscribe\", \"a\", 1]");
    peer->send({"PUBLISH", "a", "1"});
    peer->send({"PING"});
    peer->send({"PUBLISH", "a", "2"});
    CHECK(harness.replies(*peer, 5) ==
          Words{"1", ">[\"message\", \"a\", \"1\"]", "PONG", "1", ">[\"message\", \"a\", \"2\"]"});
  }

  TEST_CASE("a message overtakes a reply that waits for the disk") {
    Harness harness(1);
    const auto reader = harness.connect(), speaker = harness.connect();
    CHECK(harness.call(*speaker, {"SET", "cold", "value"}) == "OK");
    CHECK(harness.call(*speaker, {"DEBUG", "RELOAD"}) == "OK");
    harness.call(*reader, {"HELLO", "3"});
    harness.call(*reader, {"SUBSCRIBE", "a"});
    reader->send({"GET", "cold"});
    harness.turns(10);  // No worker runs: the block does not come.
    CHECK(harness.server->dispatcher().waiting() == 1);
    speaker->send({"PUBLISH", "a", "x"});
    harness.turns(5);
    CHECK(speaker->received() == Words{"1"});
    CHECK(reader->received() == Words{">[\"message\", \"a\", \"x\"]"});
    CHECK(harness.replies(*reader, 1) == Words{"\"value\""});
  }

  TEST_CASE("CLIENT REPLY OFF silences replies, not messages and confirmations") {
    Harness harness(1);
    const auto peer = harness.connect(), speaker = harness.connect();
    harness.call(*peer, {"HELLO", "3"});
    peer->send({"CLIENT", "REPLY", "OFF"});
    peer->send({"SUBSCRIBE", "a"});
    peer->send({"PING"});
    CHECK(harness.replies(*peer, 1) == Words{">[\"subscribe\", \"a\", 1]"});
    CHECK(harness.call(*speaker, {"PUBLISH", "a", "x"}) == "1");
    CHECK(harness.replies(*peer, 1) == Words{">[\"message\", \"a\", \"x\"]"});
  }

  TEST_CASE("PUBSUB tells who listens to what") {
    Harness harness(1);
    const auto one = harness.connect(), two = harness.connect(), asker = harness.connect();
    harness.call(*one, {"SUBSCRIBE", "news"});
    harness.call(*two, {"SUBSCRIBE", "news"});
    harness.call(*two, {"PSUBSCRIBE", "n*"});
    harness.call(*one, {"PSUBSCRIBE", "n*"});
    harness.call(*one, {"SSUBSCRIBE", "shard"});
    CHECK(harness.call(*asker, {"PUBSUB", "CHANNELS"}) == "[\"news\"]");
    CHECK(harness.call(*asker, {"PUBSUB", "CHANNELS", "x*"}) == "[]");
    CHECK(harness.call(*asker, {"PUBSUB", "NUMSUB", "news", "x"}) == "[\"news\", 2, \"x\", 0]");
    CHECK(harness.call(*asker, {"PUBSUB", "NUMSUB"}) == "[]");
    CHECK(harness.call(*asker, {"PUBSUB", "NUMPAT"}) == "1");
    CHECK(harness.call(*asker, {"PUBSUB", "SHARDCHANNELS", "s?ard"}) == "[\"shard\"]");
    CHECK(harness.call(*asker, {"PUBSUB", "SHARDNUMSUB", "shard", "news"}) == "[\"shard\", 1, \"news\", 0]");
    CHECK(harness.call(*asker, {"PUBSUB", "CHANNELS", "a", "b"}) ==
          "(error) ERR unknown subcommand or wrong number of arguments for 'CHANNELS'. Try PUBSUB HELP.");
    const std::string list = harness.call(*asker, {"CLIENT", "LIST", "TYPE", "pubsub"});
    CHECK(list.find("flags=PU") != std::string::npos);
    CHECK(list.find(" sub=1 psub=1 ssub=1 ") != std::string::npos);
    CHECK(harness.call(*asker, {"INFO", "stats"}).find("pubsub_patterns:1") != std::string::npos);
    CHECK(harness.call(*asker, {"CLIENT", "KILL", "TYPE", "pubsub"}) == "2");
    harness.turns(5);
    CHECK(harness.server->pubsub().silent());
  }

  TEST_CASE("subscriptions agree with a model, whoever comes and goes") {
    for (uint64_t seed = 1; seed <= 5; ++seed) {
      CAPTURE(seed);
      Harness harness(seed);
      std::mt19937_64 random(seed);
      constexpr size_t kPeers = 6;
      std::vector<std::unique_ptr<Peer>> peers;
      std::vector<std::set<std::string>> channels(kPeers), patterns(kPeers);
      for (size_t i = 0; i < kPeers; ++i) {
        peers.push_back(harness.connect());
        harness.call(*peers[i], {"HELLO", "3"});
      }
      const auto speaker = harness.connect();
      const Words names = {"", "a", "ab", "abc", "b", "bc", "a*", "ab?"};
      const Words globs = {"*", "a*", "ab*", "?", "a?", "[ab]*", "abc", "\\a*", "b?", "a\\**", ""};
      for (int step = 0; step < 400; ++step) {
        CAPTURE(step);
        const size_t who = random() % kPeers;
        const std::string name = names[random() % names.size()];
        const std::string glob = globs[random() % globs.size()];
        switch (random() % 8) {
          case 0:
          case 1: harness.call(*peers[who], {"SUBSCRIBE", name}), channels[who].insert(name); break;
          case 2: harness.call(*peers[who], {"UNSUBSCRIBE", name}), channels[who].erase(name); break;
          case 3:
          case 4: harness.call(*peers[who], {"PSUBSCRIBE", glob}), patterns[who].insert(glob); break;
          case 5: harness.call(*peers[who], {"PUNSUBSCRIBE", glob}), patterns[who].erase(glob); break;
          case 6: {
            if (random() % 5 != 0) break;
            peers[who] = harness.connect();  // The old connection is closed.
            harness.call(*peers[who], {"HELLO", "3"});
            harness.turns(3);
            channels[who].clear(), patterns[who].clear();
            break;
          }
          default: {
            const std::string text = std::to_string(step);
            size_t expected = 0;
            std::vector<std::multiset<std::string>> heard(kPeers);
            for (size_t i = 0; i < kPeers; ++i) {
              if (channels[i].contains(name))
                heard[i].insert(">[\"message\", \"" + name + "\", \"" + text + "\"]");
              for (const std::string& pattern : patterns[i]) {
                if (!glob_match(pattern, name)) continue;
                heard[i].insert(">[\"pmessage\", \"" + pattern + "\", \"" + name + "\", \"" + text + "\"]");
              }
              expected += heard[i].size();
            }
            CHECK(harness.call(*speaker, {"PUBLISH", name, text}) == std::to_string(expected));
            for (size_t i = 0; i < kPeers; ++i) {
              const Words got = harness.replies(*peers[i], heard[i].size());
              REQUIRE(std::multiset<std::string>(got.begin(), got.end()) == heard[i]);
            }
          }
        }
      }
    }
  }

  TEST_CASE("a hundred thousand subscriptions and as many patterns stay cheap") {
    Harness harness(1);
    const auto many = harness.connect(), speaker = harness.connect();
    constexpr int kCount = 100'000, kAtOnce = 1000;
    for (const char* command : {"SUBSCRIBE", "PSUBSCRIBE"}) {
      for (int i = 0; i < kCount; i += kAtOnce) {
        Words words{command};
        for (int n = i; n < i + kAtOnce; ++n)
          words.push_back("c" + std::to_string(n) + (command[0] == 'P' ? ":*" : ""));
        many->send(words);
        harness.replies(*many, kAtOnce);
      }
    }
    const PubSub& pubsub = harness.server->pubsub();
    CHECK(pubsub.size(PubSub::Kind::kChannel) == kCount);
    CHECK(pubsub.size(PubSub::Kind::kPattern) == kCount);
    // With a walk over all patterns each of these would take milliseconds, and the test minutes.
    for (int i = 0; i < kCount; ++i) {
      REQUIRE(pubsub.receivers("c" + std::to_string(i), false) == 1);
      REQUIRE(pubsub.receivers("c" + std::to_string(i) + ":x", false) == 1);
    }
    CHECK(harness.call(*speaker, {"PUBLISH", "c77:x", "m"}) == "1");
    many->hang_up();
    harness.turns(5);
    CHECK(pubsub.silent());
  }

  TEST_CASE("a listener that does not read is closed by the limits of its own class") {
    Harness harness(1, {"--client-output-buffer-limit", "normal 0 0 0 slave 0 0 0 pubsub 2mb 0 0"});
    const auto listener = harness.connect(), speaker = harness.connect();
    harness.call(*listener, {"SUBSCRIBE", "a"});
    const std::string text(200'000, 'x');
    int heard = 0;
    for (int i = 0; i < 100 && !harness.server->pubsub().silent(); ++i, ++heard) {
      harness.call(*speaker, {"PUBLISH", "a", text});
      harness.turns(2);
    }
    CHECK(heard > 10);
    CHECK(heard < 40);
    CHECK(harness.server->stats().output_limit_disconnections == 1);
  }
}
