// KEYS and KRANGE whose reply is longer than should be in memory: it goes out in pieces, from one moment.
#include "server/key_listing.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <set>
#include <string>
#include <vector>

#include "server/long_reply.h"
#include "server/reply_source.h"
#include "tests/server/server_harness.h"

using namespace server;

namespace {

using Words = std::vector<std::string>;

constexpr int kKeys = 12'000;
const std::string kPrefix(400, 'p');  // The names alone are 5 MB.

Words names(size_t count = kKeys) {
  std::set<std::string> sorted;
  for (size_t i = 0; i < count; ++i) sorted.insert(kPrefix + ":" + std::to_string(i));
  return {sorted.begin(), sorted.end()};
}

std::string listed(const Words& keys) {
  std::string text;
  for (const std::string& key : keys) text += (text.empty() ? "\"" : ", \"") + key + "\"";
  return "[" + text + "]";
}

void populate(Harness& harness, Peer& peer) {
  REQUIRE(harness.call(peer, {"DEBUG", "POPULATE", std::to_string(kKeys), kPrefix, "3"}) == "OK");
}

Client& client_of(Harness& harness, Peer& peer) {
  return *harness.server->clients().find(std::stoull(harness.call(peer, {"CLIENT", "ID"})));
}

// Lets the server make of the reply what it will while nobody reads; `look` after each step.
template <typename Look>
void let_it_fill(Harness& harness, Look look) {
  for (int i = 0; i < 3000; ++i) {
    harness.step();
    look();
  }
}

}  // namespace

TEST_SUITE("server/key_listing") {
  TEST_CASE(
      "P1: a long reply is one moment's, whatever is written while it is sent, and never whole in memory") {
    for (uint64_t seed = 1; seed <= 4; ++seed) {
      CAPTURE(seed);
      Harness harness(seed, {}, seed % 2 == 0 ? UINT32_MAX / 8 : 0);
      const auto reader = harness.connect(), writer = harness.connect();
      populate(harness, *writer);
      const Client& client = client_of(harness, *reader);
      reader->send({"KRANGE", "-", "+"});
      size_t most = 0;
      let_it_fill(harness, [&] { most = std::max(most, client.output.size()); });
      CHECK(most > ReplySource::kPieceBytes);
      CHECK(most <= PiecewiseReply::kOutputMax + 2 * ReplySource::kPieceBytes);
      CHECK(harness.call(*writer, {"SET", kPrefix + ":5000", "new"}) == "OK");
      CHECK(harness.call(*writer, {"SET", kPrefix + ":5000x", "new"}) == "OK");
      CHECK(harness.call(*writer, {"DEL", kPrefix + ":7000"}) == "1");
      CHECK(harness.call(*writer, {"FLUSHALL"}) == "OK");
      CHECK(harness.call(*writer, {"DEBUG", "DROP-CACHES"}) == "OK");
      reader->send({"DBSIZE"});  // Comes behind it.
      CHECK(harness.replies(*reader, 2) == Words{listed(names()), "0"});
      CHECK(harness.server->stats().piecewise_replies == 1);
      CHECK(harness.server->dispatcher().waiting() == 0);
    }
  }

  TEST_CASE("in pieces there is what there would be in one, with every option, in RESP2 and RESP3") {
    Harness harness(7);
    const auto peer = harness.connect();
    populate(harness, *peer);
    harness.call(*peer, {"RPUSH", "list", "a"});
    const Words all = names();
    Words reversed(all.rbegin(), all.rend());
    CHECK(harness.call(*peer, {"KRANGE", "+", "[p", "REV"}) == listed(reversed));
    CHECK(harness.call(*peer, {"KEYS", "p*"}) == listed(all));
    Words middle(all.begin() + 100, all.begin() + 9100);
    CHECK(harness.call(*peer, {"KRANGE", "-", "+", "LIMIT", "100", "9000", "TYPE", "string"}) ==
          listed(middle));
    Words nines;
    std::copy_if(all.begin(), all.end(), std::back_inserter(nines),
                 [](const std::string& key) { return key.find('9') != std::string::npos; });
    REQUIRE(nines.size() * kPrefix.size() > kWholeBytesMax);
    CHECK(harness.call(*peer, {"KEYS", "*9*"}) == listed(nines));
    Words pairs, nested;
    for (const std::string& key : all) {
      pairs.push_back(key);
      pairs.push_back("val");
      nested.push_back("[\"" + key + "\", \"val\"]");
    }
    // POPULATE cuts "value:N" to three bytes.
    CHECK(harness.call(*peer, {"KRANGE", "[p", "+", "VALUES"}) == listed(pairs));
    harness.call(*peer, {"HELLO", "3"});
    std::string text;
    for (const std::string& pair : nested) text += (text.empty() ? "" : ", ") + pair;
    CHECK(harness.call(*peer, {"KRANGE", "[p", "+", "VALUES"}) == "[" + text + "]");
    CHECK(harness.server->stats().piecewise_replies == 6);
  }

  TEST_CASE("in a transaction and in a script it is whole") {
    Harness harness(8);
    const auto peer = harness.connect();
    populate(harness, *peer);
    CHECK(harness.call(*peer, {"EVAL", "return #redis.call('KEYS', '*')", "0"}) == std::to_string(kKeys));
    harness.call(*peer, {"MULTI"});
    harness.call(*peer, {"KRANGE", "-", "+"});
    CHECK(harness.call(*peer, {"EXEC"}) == "[" + listed(names()) + "]");
    CHECK(harness.server->stats().piecewise_replies == 0);
  }

  TEST_CASE("messages stand behind a reply that is sent in pieces, not in it") {
    Harness harness(9);
    const auto reader = harness.connect(), writer = harness.connect();
    populate(harness, *writer);
    harness.call(*reader, {"HELLO", "3"});
    harness.call(*reader, {"CLIENT", "TRACKING", "ON"});
    harness.call(*reader, {"GET", kPrefix + ":1"});
    harness.call(*reader, {"SUBSCRIBE", "news"});
    reader->send({"KEYS", "*"});
    let_it_fill(harness, [] {});
    CHECK(harness.call(*writer, {"PUBLISH", "news", "one"}) == "1");
    CHECK(harness.call(*writer, {"SET", kPrefix + ":1", "x"}) == "OK");
    CHECK(harness.replies(*reader, 3) == Words{listed(names()), R"(>["message", "news", "one"])",
                                               ">[\"invalidate\", [\"" + kPrefix + ":1\"]]"});
  }

  TEST_CASE("P2: under appendfsync always no byte of it leaves before what it shows is safe") {
    Harness harness(10, {"--appendfsync", "always"});
    const auto reader = harness.connect(), writer = harness.connect();
    populate(harness, *writer);
    reader->send({"KEYS", "*"});
    writer->send({"SET", "late", "1"});
    const Words got = harness.replies(*reader, 1);
    CHECK((got == Words{listed(names())} || got[0].find("late") == 2));
    if (got[0].find("late") == 2) CHECK(harness.engine->synced() >= harness.engine->end());
  }

  TEST_CASE("whose connection ends in the middle leaves nothing behind, and CLIENT REPLY OFF makes nothing") {
    std::signal(SIGPIPE, SIG_IGN);  // As the program does.
    Harness harness(11);
    const auto peer = harness.connect();
    populate(harness, *peer);
    for (int steps = 0; steps < 60; steps += 3) {
      CAPTURE(steps);
      const auto reader = harness.connect();
      reader->send({"KEYS", "*"});
      for (int i = 0; i < steps * 20; ++i) harness.step();
      reader->hang_up();
      for (int i = 0; i < 2000 && harness.server->clients().size() > 1; ++i) harness.step();
      CHECK(harness.server->clients().size() == 1);
      CHECK(harness.server->dispatcher().waiting() == 0);
    }
    const auto killed = harness.connect();
    const std::string id = harness.call(*killed, {"CLIENT", "ID"});
    killed->send({"KEYS", "*"});
    let_it_fill(harness, [] {});
    CHECK(harness.call(*peer, {"CLIENT", "KILL", "ID", id}) == "1");
    CHECK(harness.server->dispatcher().waiting() == 0);
    const auto silent = harness.connect();
    silent->send({"CLIENT", "REPLY", "OFF"});
    silent->send({"KEYS", "*"});
    silent->send({"CLIENT", "REPLY", "ON"});
    CHECK(harness.replies(*silent, 1) == Words{"OK"});
  }

  TEST_CASE("who takes nothing of a long reply for a minute is disconnected, and only he") {
    Harness harness(12);
    const auto stuck = harness.connect(), slow = harness.connect();
    populate(harness, *slow);
    stuck->send({"KEYS", "*"});
    slow->send({"KEYS", "*"});
    let_it_fill(harness, [] {});
    // Clients are looked at once a second of the loop's own clock.
    for (int i = 0; harness.server->clients().size() == 2 && i < 30000; ++i) {
      harness.step();
      ::usleep(1000);
      if (i % 500 != 0) continue;
      harness.world.clock.advance_us(20'000'000);
      while (slow->take()) {
      }
    }
    CHECK(harness.server->clients().size() == 1);
    CHECK(harness.replies(*slow, 1) == Words{listed(names())});
  }
}
