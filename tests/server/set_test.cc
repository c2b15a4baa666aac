#include "server/types/set.h"

#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <set>
#include <vector>

#include "server/types/sample.h"
#include "server/types/set_algebra.h"
#include "tests/server/data_bench.h"

using namespace server;

namespace {

constexpr ObjectId kDatabase = 1'000'000;  // An id that the engine does not get round to giving out.
using Names = std::vector<std::string_view>;
using Model = std::set<std::string>;

struct Bench : server_test::DataBench {
  using DataBench::DataBench;
  // The handler is also given a random seed, the same in all its runs.
  template <typename Handler>
  void run(Handler&& handler) {
    const uint64_t random_seed = dice.next();
    DataBench::run([&](View& view) { handler(view, random_seed); });
  }

  void add(std::string_view key, const Names& names, const SetLimits& limits) {
    run([&](View& view, uint64_t random_seed) {
      Set set(view, kDatabase, key, view.header(kDatabase, key));
      set.load(names);
      for (size_t i = 0; i < names.size(); ++i) set.add(i);
      set.save(limits, random_seed);
    });
  }
  std::vector<std::string> members(std::string_view key) {
    std::vector<std::string> seen;
    run([&](View& view, uint64_t) {
      seen.clear();
      Set set(view, kDatabase, key, view.header(kDatabase, key));
      set.each([&](const Set::Member& member) {
        seen.emplace_back(member.name);
        return true;
      });
      CHECK(seen.size() == set.size());
    });
    return seen;
  }
  std::string encoding(std::string_view key) {
    std::string name;
    run([&](View& view, uint64_t) { name = set_encoding(*view.header(kDatabase, key)); });
    return name;
  }
};

void check_all(Bench& bench, const Model& model) {
  const auto members = bench.members("s");
  const Model seen(members.begin(), members.end());
  CHECK(seen.size() == members.size());
  CHECK(seen == model);
}

}  // namespace

TEST_SUITE("server/set") {
  TEST_CASE("a set is a set, whatever is done to it, inline and large, cold and through restarts") {
    for (uint64_t seed = 1; seed <= 12; ++seed) {
      CAPTURE(seed);
      Bench bench(seed, seed % 2 == 0 ? UINT32_MAX / 8 : 0);
      const SetLimits limits{seed % 3 == 0 ? 0u : seed % 3 == 1 ? 5u : 512u};
      const uint64_t names = seed % 5 == 0 ? 12 : 120;
      Model model;
      for (int round = 0; round < 250; ++round) {
        CAPTURE(round);
        std::vector<std::string> given(1 + bench.dice.below(12));
        for (auto& name : given) {
          name = std::to_string(bench.dice.below(names));
          if (seed % 4 == 0) name = "member:" + name;
        }
        const bool adds = bench.dice.below(5) < 3;
        const Model before = model;
        bench.run([&](View& view, uint64_t random_seed) {
          model = before;
          const auto header = view.header(kDatabase, "s");
          REQUIRE(header.has_value() == !before.empty());
          Set set(view, kDatabase, "s", header);
          CHECK(set.size() == model.size());
          const Names views(given.begin(), given.end());
          set.load(views);
          std::vector<char> contained;
          set.contains(given, &contained);
          for (size_t i = 0; i < given.size(); ++i) {
            CHECK(static_cast<bool>(contained[i]) == before.contains(given[i]));
            REQUIRE(set.has(i) == model.contains(given[i]));
            adds ? set.add(i) : set.remove(i);
            adds ? (void)model.insert(given[i]) : (void)model.erase(given[i]);
          }
          CHECK(set.save(limits, random_seed) == !model.empty());
        });
        if (bench.dice.below(60) == 0) bench.restart();
        if (bench.dice.below(8) == 0) check_all(bench, model);
      }
      check_all(bench, model);
    }
  }

  TEST_CASE(
      "integers stand in their order, and Redis's encoding is lost with the first other member or one too "
      "many") {
    Bench bench(2);
    const SetLimits limits{4};
    bench.add("s", {"10", "-3", "7"}, limits);
    CHECK(bench.members("s") == std::vector<std::string>{"-3", "7", "10"});
    CHECK(bench.encoding("s") == "intset");
    bench.add("s", {"007"}, limits);
    CHECK(bench.encoding("s") == "hashtable");
    bench.add("t", {"1", "2", "3", "4"}, limits);
    CHECK(bench.encoding("t") == "intset");
    bench.add("t", {"5"}, limits);
    CHECK(bench.encoding("t") == "hashtable");
    bench.run([&](View& view, uint64_t random_seed) {
      Set set(view, kDatabase, "t", view.header(kDatabase, "t"));
      set.load(Names{"5", "4"});
      set.remove(0);
      set.remove(1);
      set.save(limits, random_seed);
    });
    CHECK(bench.encoding("t") == "hashtable");
  }

  TEST_CASE("a scan meets every member that is there all the time, once, however others come and go") {
    for (uint64_t seed = 1; seed <= 4; ++seed) {
      CAPTURE(seed);
      Bench bench(seed, seed % 2 == 0 ? UINT32_MAX / 8 : 0);
      std::vector<std::string> names(300);
      for (size_t i = 0; i < names.size(); ++i) names[i] = "stays" + std::to_string(i);
      bench.add("s", Names(names.begin(), names.end()), {});
      std::map<std::string, int> seen;
      uint64_t cursor = 0;
      do {
        const std::string comes = "comes" + std::to_string(bench.dice.below(50));
        bench.run([&](View& view, uint64_t random_seed) {
          Set set(view, kDatabase, "s", view.header(kDatabase, "s"));
          set.load(Names{comes});
          set.has(0) ? set.remove(0) : set.add(0);
          set.save({}, random_seed);
        });
        uint64_t next = 0;
        std::vector<std::string> batch;
        bench.run([&](View& view, uint64_t) {
          batch.clear();
          next = Set(view, kDatabase, "s", view.header(kDatabase, "s"))
                     .scan(cursor, 7, [&](const Set::Member& member) { batch.emplace_back(member.name); });
        });
        CHECK(batch.size() <= 8);
        for (const auto& name : batch) ++seen[name];
        CHECK((next == 0 || next > cursor));
        CHECK(next < uint64_t{1} << 53);
        cursor = next;
      } while (cursor != 0);
      for (const auto& name : names) CHECK(seen[name] == 1);
    }
  }

  TEST_CASE("every member is drawn about as often as any other, by a bounded number of steps") {
    for (const uint64_t count : {30u, 3000u}) {
      CAPTURE(count);
      Bench bench(count, 0, 64 << 10);
      std::vector<std::string> names(count);
      for (uint64_t i = 0; i < count; ++i) names[i] = "member" + std::to_string(i);
      bench.add("s", Names(names.begin(), names.end()), {});
      constexpr uint64_t kDrawsEach = 20;
      std::map<std::string, uint64_t, std::less<>> drawn;
      bench.run([&](View& view, uint64_t random_seed) {
        drawn.clear();
        Set set(view, kDatabase, "s", view.header(kDatabase, "s"));
        Random random(random_seed);
        for (uint64_t i = 0; i < count * kDrawsEach; ++i)
          set.draw(random, [&](const Set::Member& member) { ++drawn[std::string(member.name)]; });
      });
      CHECK(bench.touched < count * kDrawsEach * 80);
      double chi_square = 0;
      for (const auto& name : names) {
        const double off = static_cast<double>(drawn[name]) - kDrawsEach;
        chi_square += off * off / kDrawsEach;
      }
      // Mean: count - 1, deviation: sqrt(2 * count). The seed is fixed, so this does not flicker.
      CHECK(chi_square < static_cast<double>(count) + 5 * std::sqrt(2.0 * static_cast<double>(count)));
    }
  }

  TEST_CASE("a draw for removal favours no member by much, and goes round at the end") {
    Bench bench(9, 0, 64 << 10);
    constexpr uint64_t kMembers = 300;
    std::vector<std::string> names(kMembers);
    for (uint64_t i = 0; i < kMembers; ++i) names[i] = "member" + std::to_string(i);
    bench.add("s", Names(names.begin(), names.end()), {});
    constexpr uint64_t kDrawsEach = 60;
    std::map<std::string, uint64_t> drawn;
    bench.run([&](View& view, uint64_t random_seed) {
      drawn.clear();
      Set set(view, kDatabase, "s", view.header(kDatabase, "s"));
      REQUIRE(set.large());
      Random random(random_seed);
      for (uint64_t i = 0; i < kMembers * kDrawsEach; ++i)
        set.draw_to_remove(random, [&](const Set::Member& member) { ++drawn[std::string(member.name)]; });
    });
    CHECK(bench.touched < kMembers * kDrawsEach * 10);
    for (const auto& name : names) {
      CHECK(drawn[name] > kDrawsEach / 6);
      CHECK(drawn[name] < kDrawsEach * 3);
    }
  }

  TEST_CASE("the places of many draws from a cold set are fetched together") {
    Bench bench(11, 0, 64 << 10);
    std::vector<std::string> names(8000);
    for (size_t i = 0; i < names.size(); ++i)
      names[i] = "a member with a name of some length" + std::to_string(i);
    bench.add("s", Names(names.begin(), names.end()), {});
    for (const bool removing : {false, true}) {
      CAPTURE(removing);
      bench.engine->flush([](engine::Status) {});
      bench.world.executor.run_all();
      bench.engine->drop_caches();
      bench.run([&](View& view, uint64_t random_seed) {
        Set set(view, kDatabase, "s", view.header(kDatabase, "s"));
        Random random(random_seed);
        Model sample;
        const auto use = [&](const Set::Member& member) { CHECK(sample.emplace(member.name).second); };
        Emptied<Set> emptied{set};
        if (removing)
          sample_distinct(emptied, set.size(), 150, random, use);
        else
          sample_distinct(set, set.size(), 150, random, use);
        CHECK(sample.size() == 150);
      });
      // The header, the places, and here and there a block behind one of them. One by one they would be a
      // hundred.
      CHECK(bench.fetches > 0);
      CHECK(bench.fetches < 15);
    }
  }

  TEST_CASE("samples are as large as wanted and hold nothing twice") {
    Bench bench(6);
    std::vector<std::string> names(2000);
    for (size_t i = 0; i < names.size(); ++i) names[i] = "member" + std::to_string(i);
    bench.add("s", Names(names.begin(), names.end()), {});
    bench.run([&](View& view, uint64_t random_seed) {
      Set set(view, kDatabase, "s", view.header(kDatabase, "s"));
      Random random(random_seed);
      for (const uint64_t wanted : {0u, 1u, 30u, 500u, 1999u, 2000u}) {
        Model sample;
        sample_distinct(set, set.size(), wanted, random,
                        [&](const Set::Member& member) { CHECK(sample.emplace(member.name).second); });
        CHECK(sample.size() == wanted);
      }
    });
  }

  TEST_CASE(
      "intersection, union and difference are those of mathematics, for sets of any size and cold ones") {
    for (uint64_t seed = 1; seed <= 12; ++seed) {
      CAPTURE(seed);
      Bench bench(seed, seed % 2 == 0 ? UINT32_MAX / 16 : 0);
      const std::vector<std::string> keys{"a", "b", "c", "absent"};
      std::map<std::string, Model> models;
      for (const auto& key : keys) {
        if (key == "absent") continue;
        const uint64_t size = 1 + bench.dice.below(seed % 3 == 0 ? 40 : 400);
        for (uint64_t i = 0; i < size; ++i) models[key].insert(std::to_string(bench.dice.below(500)));
        bench.add(key, Names(models[key].begin(), models[key].end()), {64});
      }
      for (int round = 0; round < 12; ++round) {
        std::vector<std::string> given(1 + bench.dice.below(4));
        for (auto& key : given) key = keys[bench.dice.below(round < 8 ? 3 : 4)];
        Model in_all = models[given[0]], in_any, only_in_first = models[given[0]];
        for (size_t i = 0; i < given.size(); ++i) {
          std::erase_if(in_all, [&](const auto& name) { return !models[given[i]].contains(name); });
          in_any.insert(models[given[i]].begin(), models[given[i]].end());
          if (i > 0)
            std::erase_if(only_in_first, [&](const auto& name) { return models[given[i]].contains(name); });
        }
        const std::pair<void (*)(std::span<Set>, const UseMember&), const Model*> operations[] = {
            {&intersect, &in_all}, {&unite, &in_any}, {&subtract, &only_in_first}};
        for (const auto& [operation, expected] : operations) {
          const uint64_t limit = 1 + bench.dice.below(20);
          bench.run([&, operation = operation](View& view, uint64_t random_seed) {
            std::vector<Set> sets;
            for (const auto& key : given)
              sets.emplace_back(view, kDatabase, key, view.header(kDatabase, key));
            Model result;
            SetBuilder builder;
            operation(sets, [&](std::string_view member) {
              CHECK(result.emplace(member).second);
              builder.add(member);
              return true;
            });
            CHECK(result == *expected);
            uint64_t limited = 0;
            operation(sets, [&](std::string_view) { return ++limited < limit; });
            CHECK(limited == std::min<uint64_t>(limit, expected->size()));
            builder.write(view, kDatabase, "stored", kNoExpiry, {64}, random_seed);
          });
          const auto stored = bench.members("stored");
          CHECK(Model(stored.begin(), stored.end()) == *expected);
        }
      }
    }
  }

  TEST_CASE("names are found among few and among many, and each has one slot") {
    for (const size_t given : {1u, 8u, 9u, 200u}) {
      CAPTURE(given);
      engine::SimEntropy dice(given);
      std::vector<std::string> names(given);
      for (auto& name : names) name = std::to_string(dice.below(given));
      const Names views(names.begin(), names.end());
      const NameIndex index(views);
      CHECK(index.size() == Model(names.begin(), names.end()).size());
      for (size_t i = 0; i < given; ++i) {
        CHECK(index.name(index.slot(i)) == names[i]);
        CHECK(index.find(names[i]) == index.slot(i));
      }
      CHECK(!index.find("none"));
    }
  }
}
