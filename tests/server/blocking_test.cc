#include "server/blocking.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "server/databases.h"
#include "tests/server/data_bench.h"

using namespace server;
using server_test::DataBench;

namespace {

struct Bench {
  Bench() { REQUIRE(databases.open(*data.engine, 2).ok()); }

  void wait(uint64_t client, std::vector<std::string_view> keys, uint64_t deadline_us = 0,
            uint32_t database = 0) {
    blocking.add(client, database, {true, Type::kList, keys, 0}, deadline_us);
  }
  // One command that writes these keys, in this order.
  void put(const std::vector<std::string>& keys, uint32_t database = 0) {
    engine::Batch batch;
    std::string key;
    for (const std::string& user_key : keys) {
      header_key(databases.object(database), user_key, &key);
      batch.put(key, "x");
    }
    element_key(99, "a", &key);
    batch.put(key, "an element");
    blocking.applied(batch, databases);
  }
  // "client:key" of whose turn it is, or "nobody".
  std::string turn() {
    const auto turn = blocking.next();
    return turn ? std::to_string(turn->client) + ":" + std::string(turn->key) : "nobody";
  }

  DataBench data{1};
  Databases databases;
  Blocking blocking;
};

}  // namespace

TEST_SUITE("server/blocking") {
  TEST_CASE("B1: who came first is tried first, and one that is tried in vain keeps its place") {
    Bench b;
    for (const uint64_t client : {5, 3, 9}) b.wait(client, {"k"});
    CHECK(b.turn() == "nobody");
    b.put({"other"});
    CHECK_FALSE(b.blocking.any_ready());
    b.put({"k"});
    CHECK(b.turn() == "5:k");
    CHECK(b.blocking.passed(5, false, 0) == Unblock::kNo);
    CHECK(b.turn() == "3:k");
    b.blocking.remove(3);
    CHECK(b.turn() == "9:k");
    b.blocking.passed(9, false, 0);
    CHECK(b.turn() == "nobody");
    b.put({"k"});
    CHECK(b.turn() == "5:k");
    b.blocking.remove(5);
    CHECK(b.turn() == "9:k");
    b.blocking.remove(9);
    CHECK(b.turn() == "nobody");
    CHECK(b.blocking.size() == 0);
  }

  TEST_CASE("nobody behind is tried once a key has nothing left") {
    Bench b;
    b.wait(1, {"k"});
    b.wait(2, {"k"});
    b.put({"k"});
    CHECK(b.turn() == "1:k");
    b.blocking.passed(1, true, 0);
    CHECK(b.turn() == "nobody");
    b.put({"k"});
    CHECK(b.turn() == "1:k");
  }

  TEST_CASE("B2: while a waiter runs, its key waits and other keys do not") {
    Bench b;
    b.wait(1, {"a"});
    b.wait(2, {"a"});
    b.wait(3, {"b"});
    b.put({"a", "b"});
    CHECK(b.turn() == "1:a");
    CHECK(b.turn() == "3:b");
    CHECK(b.turn() == "nobody");
    b.put({"a"});
    CHECK(b.turn() == "nobody");
    b.blocking.remove(1);
    CHECK(b.turn() == "2:a");
  }

  TEST_CASE("B3: keys are served as they were written, and a waiter for the key that was") {
    Bench b;
    b.wait(1, {"a", "b", "b"});
    b.wait(2, {"b", "a"});
    b.put({"b", "a"});
    CHECK(b.turn() == "1:b");
    b.blocking.remove(1);
    CHECK(b.turn() == "2:b");
    b.blocking.passed(2, true, 0);
    CHECK(b.turn() == "2:a");
  }

  TEST_CASE("a key that becomes ready while its waiter runs for another one is not forgotten") {
    Bench b;
    b.wait(1, {"a", "b"});
    b.put({"a"});
    CHECK(b.turn() == "1:a");
    b.put({"b"});
    CHECK(b.turn() == "nobody");
    b.blocking.passed(1, true, 0);
    const std::string first = b.turn();
    b.blocking.passed(1, true, 0);
    const std::string second = b.turn();
    CHECK((first == "1:b" || second == "1:b"));
  }

  TEST_CASE("a key is waited for in its database, wherever that database is") {
    Bench b;
    b.wait(1, {"k"}, 0, 0);
    b.wait(2, {"k"}, 0, 1);
    b.put({"k"}, 1);
    CHECK(b.turn() == "2:k");
    b.blocking.passed(2, false, 0);
    CHECK(b.turn() == "nobody");
    b.blocking.databases_changed();
    CHECK(b.turn() != "nobody");
    CHECK(b.turn() != "nobody");
  }

  TEST_CASE("waits end in time, those that run when they have run") {
    Bench b;
    b.wait(1, {"k"}, 300);
    b.wait(2, {"k"}, 100);
    b.wait(3, {"k"});
    CHECK(b.blocking.next_deadline_us() == 100);
    CHECK(b.blocking.due(99).empty());
    CHECK(b.blocking.due(300) == std::vector<uint64_t>{2, 1});
    b.blocking.remove(2);
    b.put({"k"});
    CHECK(b.turn() == "1:k");
    CHECK(b.blocking.next_deadline_us() == 0);
    CHECK(b.blocking.passed(1, true, 299) == Unblock::kNo);
    CHECK(b.blocking.next_deadline_us() == 300);
    b.put({"k"});
    CHECK(b.turn() == "1:k");
    CHECK(b.blocking.passed(1, true, 300) == Unblock::kTimeout);

    CHECK(b.blocking.end(7, Unblock::kError) == Blocking::Ended::kNotWaiting);
    CHECK(b.blocking.end(3, Unblock::kError) == Blocking::Ended::kNow);
    b.blocking.remove(1);
    b.put({"k"});
    CHECK(b.turn() == "3:k");
    CHECK(b.blocking.end(3, Unblock::kError) == Blocking::Ended::kLater);
    CHECK(b.blocking.passed(3, true, 1) == Unblock::kError);
  }
}
