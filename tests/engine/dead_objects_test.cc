#include "engine/dead_objects.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

namespace engine {
namespace {

using Ids = std::vector<ObjectId>;

DeadObjects restored(const std::string& bytes) {
  DeadObjects dead;
  const Status s = dead.restore(bytes);
  INFO(s.message());
  REQUIRE(s.ok());
  return dead;
}

TEST_SUITE("engine/dead_objects") {
  TEST_CASE("a kill that a compaction found is usable at once") {
    DeadObjects dead;
    CHECK(dead.kill({7, 0}, 0));
    CHECK(dead.is_dead(7));
    CHECK(dead.usable(0)->contains(7));
    CHECK_FALSE(dead.usable(0)->contains(8));
    CHECK(dead.count() == 1);
  }

  TEST_CASE("D2: a reference below the present generation kills nothing") {
    DeadObjects dead;
    dead.moved(7, 2);
    CHECK_FALSE(dead.kill({7, 1}, 0));
    CHECK_FALSE(dead.is_dead(7));
    dead.moved(7, 1);  // Heard late: changes nothing.
    CHECK_FALSE(dead.kill({7, 1}, 0));
    CHECK(dead.kill({7, 2}, 0));
    CHECK(dead.is_dead(7));
  }

  TEST_CASE("D3: an id killed by a command is usable only when its log record is synced") {
    DeadObjects dead;
    CHECK(dead.kill({1, 0}, 100));
    CHECK(dead.kill({2, 0}, 200));
    CHECK(dead.is_dead(2));
    CHECK_FALSE(dead.usable(99)->contains(1));
    const auto at_100 = dead.usable(100);
    CHECK(at_100->contains(1));
    CHECK_FALSE(at_100->contains(2));
    CHECK(dead.usable(200)->contains(2));
    CHECK_FALSE(at_100->contains(2));  // What a worker holds does not change.
    CHECK(dead.kill({3, 0}, 150));     // Synced already.
    CHECK(dead.usable(200)->contains(3));
  }

  TEST_CASE("D4: dying twice is dying once, and the earlier way to be usable counts") {
    DeadObjects dead;
    CHECK(dead.kill({5, 0}, 100));
    CHECK_FALSE(dead.kill({5, 0}, 200));
    CHECK_FALSE(dead.usable(0)->contains(5));
    CHECK_FALSE(dead.kill({5, 0}, 0));
    CHECK(dead.usable(0)->contains(5));
    CHECK(dead.count() == 1);
    CHECK(dead.usable(300)->count() == 1);
  }

  TEST_CASE("nothing refers to no object, and killing it is nothing") {
    DeadObjects dead;
    CHECK_FALSE(dead.kill({kNoObject, 0}, 0));
    CHECK(dead.count() == 0);
  }

  TEST_CASE("a forgotten id is gone, its generation too, also when its kill was not synced yet") {
    DeadObjects dead;
    dead.moved(1, 5);
    dead.kill({1, 5}, 0);
    dead.kill({2, 0}, 100);
    dead.forget(1);
    dead.forget(2);
    CHECK(dead.ids().empty());
    CHECK(dead.usable(100)->count() == 0);
    const std::string empty = DeadObjects().serialize(0);
    CHECK(dead.serialize(100) == empty);
  }

  TEST_CASE("usable() gives the same set while nothing changes") {
    DeadObjects dead;
    dead.kill({1, 0}, 0);
    dead.kill({2, 0}, 100);
    const auto set = dead.usable(50);
    CHECK(dead.usable(60) == set);
    CHECK(dead.usable(100) != set);
  }

  TEST_CASE("serialize() tells what is flushed or synced, and the log must tell the rest again") {
    DeadObjects dead;
    dead.kill({1, 0}, 0);
    dead.kill({2, 0}, 100);
    dead.kill({3, 0}, 200);
    dead.moved(10, 1, 100);
    dead.moved(10, 2, 200);
    dead.moved(11, 1, 200);
    CHECK(restored(dead.serialize(0)).ids() == Ids{1});
    CHECK(restored(dead.serialize(150)).ids() == Ids{1, 2});
    CHECK(restored(dead.serialize(200)).ids() == Ids{1, 2, 3});

    DeadObjects back = restored(dead.serialize(150));
    CHECK_FALSE(back.kill({10, 0}, 0));  // Generation 1 at LSN 150.
    CHECK(back.kill({10, 1}, 0));
    CHECK(back.kill({11, 0}, 0));
    back = restored(dead.serialize(0));
    CHECK(back.kill({10, 0}, 0));

    dead.usable(200);
    CHECK(restored(dead.serialize(0)).ids() == Ids{1, 2, 3});
    back = restored(dead.serialize(0));
    CHECK_FALSE(back.kill({10, 1}, 0));
  }

  TEST_CASE("whatever died, ids(), count(), sets and a restored copy agree") {
    for (uint64_t seed = 0; seed < 20; ++seed) {
      CAPTURE(seed);
      std::mt19937_64 random(seed);
      DeadObjects dead;
      std::set<ObjectId> model;
      std::map<ObjectId, uint32_t> generations;
      for (int i = 0; i < 3000; ++i) {
        // Some close together, some on both sides of 2^32, some anywhere.
        const uint64_t choice = random() % 4;
        const ObjectId id = choice == 0   ? 1 + random()
                            : choice == 1 ? (uint64_t{1} << 32) - 50 + random() % 100
                                          : 1 + random() % 2000;
        switch (random() % 8) {
          case 0: dead.forget(id), model.erase(id), generations.erase(id); break;
          case 1: dead.moved(id, ++generations[id]); break;
          default:
            if (const auto now = generations.find(id); now != generations.end() && random() % 2 == 0) {
              CHECK_FALSE(dead.kill({id, now->second - 1}, 0));
            } else {
              CHECK(dead.kill({id, now == generations.end() ? 0 : now->second}, 0) ==
                    model.insert(id).second);
            }
        }
      }
      const Ids expected(model.begin(), model.end());
      CHECK(dead.ids() == expected);
      CHECK(dead.count() == expected.size());
      const auto set = dead.usable(0);
      for (const ObjectId id : expected) REQUIRE((set->contains(id) && dead.is_dead(id)));
      for (int i = 0; i < 1000; ++i) {
        const ObjectId id = random() % 3000;
        REQUIRE(set->contains(id) == (model.count(id) != 0));
      }
      CHECK(set->sample(1 << 20) == expected);
      const Ids some = set->sample(100);
      CHECK(some.size() == 100);
      CHECK(std::adjacent_find(some.begin(), some.end(), std::greater_equal<>()) == some.end());
      for (const ObjectId id : some) CHECK(model.count(id) != 0);

      DeadObjects copy = restored(dead.serialize(0));
      CHECK(copy.ids() == expected);
      CHECK(copy.serialize(0) == dead.serialize(0));
      for (const auto& [id, generation] : generations)
        if (model.count(id) == 0) CHECK_FALSE(copy.kill({id, generation - 1}, 0));
    }
  }

  TEST_CASE("a million dead ids that lie together take next to no bytes") {
    DeadObjects dead;
    for (ObjectId id = 1; id <= 1000000; ++id) dead.kill({id, 0}, 0);
    CHECK(dead.serialize(0).size() < 300);
    CHECK(restored(dead.serialize(0)).count() == 1000000);
  }

  TEST_CASE("damaged bytes are an error or a set, never a crash, and leave what was there") {
    DeadObjects dead;
    std::mt19937_64 random(4);
    for (int i = 0; i < 300; ++i) dead.kill({1 + random() % 100000, 0}, 0);
    for (ObjectId id = 200000; id < 210000; ++id) dead.kill({id, 0}, 0);
    for (int i = 0; i < 10; ++i) dead.moved(1000000 + random() % 100, 3);
    const std::string whole = dead.serialize(0);
    uint64_t refused = 0;
    for (size_t cut = 1; cut < whole.size(); ++cut) {
      DeadObjects copy;
      copy.kill({42, 0}, 0);
      REQUIRE(copy.restore(whole.substr(0, cut)).code() == Code::kCorruption);
      REQUIRE(copy.ids() == Ids{42});
    }
    for (size_t byte = 0; byte < whole.size(); ++byte) {
      for (int bit = 0; bit < 8; ++bit) {
        std::string flipped = whole;
        flipped[byte] = static_cast<char>(flipped[byte] ^ (1 << bit));
        DeadObjects copy;
        const Status s = copy.restore(flipped);
        refused += !s.ok();
        const Ids ids = copy.ids();  // What was believed is well formed.
        REQUIRE(std::is_sorted(ids.begin(), ids.end()));
        REQUIRE(ids.size() == copy.count());
      }
    }
    CHECK(refused > 0);
    CHECK(DeadObjects().restore("\x63").code() == Code::kTooNew);
    CHECK(DeadObjects().restore(whole + "x").code() == Code::kCorruption);
    CHECK(DeadObjects().restore("").ok());
  }
}

}  // namespace
}  // namespace engine
