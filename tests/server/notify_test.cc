// Keyspace events that no command says itself: keys whose time is up, and keys that are new or missed.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/server/server_harness.h"

using namespace server;

namespace {

using Words = std::vector<std::string>;

struct Bench {
  explicit Bench(const char* classes) : listener(harness.connect()), peer(harness.connect()) {
    harness.call(*peer, {"CONFIG", "SET", "notify-keyspace-events", classes});
    harness.call(*listener, {"HELLO", "3"});
    harness.call(*listener, {"PSUBSCRIBE", "__keyevent@0__:*"});
  }
  std::string call(const Words& words) { return harness.call(*peer, words); }
  void wait_ms(uint64_t ms) { harness.world.clock.advance_us(ms * 1000); }
  // "event key", all that have come.
  Words heard() {
    for (int i = 0; i < 50; ++i) harness.step();
    Words events;
    for (const std::string& push : listener->received()) {
      const size_t event = push.find("__:", push.find("*\"")) + 3, end = push.find('"', event);
      events.push_back(push.substr(event, end - event) + " " + push.substr(end + 4, push.size() - end - 6));
    }
    return events;
  }

  Harness harness{1};
  std::unique_ptr<Peer> listener, peer;
};

}  // namespace

TEST_SUITE("server/notify") {
  TEST_CASE("an expired key is told of once, whether it is met or written over") {
    Bench bench("EAn");
    bench.call({"SET", "met", "1", "PX", "10"});
    bench.call({"SET", "over", "1", "PX", "10"});
    bench.call({"SET", "counted", "1", "PX", "10"});
    CHECK(bench.heard().size() == 9);
    bench.wait_ms(20);
    CHECK(bench.call({"GET", "met"}) == "nil");
    CHECK(bench.heard() == Words{"expired met"});
    CHECK(bench.call({"SET", "over", "2"}) == "OK");  // Blind otherwise, but now somebody listens.
    CHECK(bench.call({"INCR", "counted"}) == "1");
    CHECK(bench.heard() ==
          Words{"expired over", "new over", "set over", "expired counted", "new counted", "incrby counted"});
    CHECK(bench.harness.server->stats().expired_keys == 3);
    CHECK(bench.heard().empty());
  }

  TEST_CASE("a hash tells of fields that expire, and of its own end") {
    Bench bench("EA");
    bench.call({"HSET", "h", "a", "1", "b", "2"});
    bench.call({"HPEXPIRE", "h", "10", "FIELDS", "1", "a"});
    CHECK(bench.heard() == Words{"hset h", "hexpire h"});
    bench.call({"HPEXPIRE", "h", "0", "FIELDS", "1", "a"});
    CHECK(bench.heard() == Words{"hdel h"});
    bench.call({"HPEXPIRE", "h", "10", "FIELDS", "1", "b"});
    CHECK(bench.heard() == Words{"hexpire h"});
    bench.wait_ms(20);
    CHECK(bench.call({"HGET", "h", "b"}) == "nil");
    CHECK(bench.heard() == Words{"hexpired h", "del h"});
  }

  TEST_CASE("nobody hears of classes that are not wanted, nor of anything without K or E") {
    Bench bench("Eg");
    bench.call({"SET", "k", "1", "EX", "100"});
    bench.call({"DEL", "k"});
    CHECK(bench.heard() == Words{"expire k", "del k"});
    bench.call({"CONFIG", "SET", "notify-keyspace-events", "A"});
    bench.call({"SET", "k", "1"});
    CHECK(bench.heard().empty());
  }

  TEST_CASE("KDELRANGE tells of each key that it deletes, also in steps") {
    Bench bench("Eg");
    Words all{"MSET"};
    for (int i = 0; i < 1500; ++i) all.insert(all.end(), {"key" + std::to_string(i), "x"});
    CHECK(bench.call(all) == "OK");
    CHECK(bench.call({"KDELRANGE", "[key1", "[key10"}) == "2");
    CHECK(bench.heard() == Words{"del key1", "del key10"});
    CHECK(bench.call({"KDELRANGE", "-", "+"}) == "1498");
    CHECK(bench.heard().size() == 1498);
  }
}
