#include "server/types/rank_index.h"

#include <doctest/doctest.h>

#include <map>

#include "server/types/separator_list.h"
#include "tests/server/data_bench.h"

using namespace server;
using server_test::DataBench;

namespace {

uint64_t weigh(std::string_view value) { return std::stoull(std::string(value)); }

RankIndex::Plan plan_of(uint64_t children_max, bool weighed) {
  return {"Se", "Sc", weighed ? &weigh : nullptr, children_max};
}

using Model = std::map<std::string, uint64_t>;  // Key -> weight.

uint64_t total(const Model& model) {
  uint64_t sum = 0;
  for (const auto& [key, weight] : model) sum += weight;
  return sum;
}

// R1 to R5, read from the records themselves. Returns how many lists are left out.
size_t check_invariants(View& view, const RankIndex::Root& root, const Model& model,
                        bool short_lists = true) {
  struct Counter {
    uint64_t weight, children;
  };
  std::map<int, std::map<std::string, Counter>> levels;
  std::map<int, std::map<std::string, std::vector<std::string>>> lists;
  auto range = view.range("Sc", "Sd");
  for (bool there = range.seek_first(); there; there = range.next()) {
    const auto tag = static_cast<uint8_t>(range.key()[2]);
    if (tag >= 0x80) {
      CHECK(range.value().size() <= RankIndex::kListBytesMax);
      lists[tag - 0x80][std::string(range.key().substr(3))] = SeparatorList(range.value()).all();
      continue;
    }
    engine::FieldReader fields(range.value());
    const uint64_t weight = fields.number(), children = fields.number();
    levels[tag][std::string(range.key().substr(3))] = {weight, children};
  }
  REQUIRE(levels.size() == root.levels);
  std::map<int, std::map<std::string, std::vector<std::string>>> expected;
  for (const auto& [level, counters] : levels) {
    const auto above = levels.find(level + 1);
    for (const auto& [separator, counter] : counters) {
      std::string parent;
      if (above != levels.end()) parent = std::prev(above->second.upper_bound(separator))->first;
      if (separator != parent) expected[level][parent].push_back(separator);
    }
  }
  if (short_lists) {
    CHECK(lists == expected);
  } else {
    for (const auto& [level, parents] : lists)
      for (const auto& [parent, separators] : parents) CHECK(separators == expected[level][parent]);
  }
  std::map<std::string, Counter> below;
  for (const auto& [key, weight] : model) below[key] = {weight, 0};
  for (const auto& [level, counters] : levels) {
    CAPTURE(level);
    REQUIRE(counters.begin()->first.empty());
    if (level > 1)
      for (const auto& [separator, counter] : counters) CHECK(below.contains(separator));
    for (auto at = counters.begin(); at != counters.end(); ++at) {
      CAPTURE(at->first);
      uint64_t weight = 0, children = 0;
      for (auto child = below.lower_bound(at->first);
           child != below.end() && (std::next(at) == counters.end() || child->first < std::next(at)->first);
           ++child) {
        weight += child->second.weight;
        ++children;
        if (level > 1 && child->second.weight == 0) CHECK(child->first == at->first);
      }
      CHECK(at->second.weight == weight);
      CHECK(at->second.children == children);
      if (level == root.levels && weight == 0) CHECK(at->first.empty());
    }
    below = counters;
  }
  uint64_t weight = 0;
  for (const auto& [separator, counter] : below) weight += counter.weight;
  CHECK(root.weight == weight);
  CHECK(root.children == below.size());
  size_t lists_expected = 0, lists_there = 0;
  for (const auto& [level, parents] : expected) lists_expected += parents.size();
  for (const auto& [level, parents] : lists) lists_there += parents.size();
  return lists_expected - lists_there;
}

}  // namespace

TEST_SUITE("server/rank_index") {
  TEST_CASE("ranks and places are those of a plain ordered map, whatever is added and removed") {
    for (uint64_t seed = 1; seed <= 8; ++seed) {
      CAPTURE(seed);
      DataBench bench(seed, seed % 2 == 0 ? UINT32_MAX / 8 : 0);
      const bool weighed = seed % 3 != 0;
      const RankIndex::Plan plan = plan_of(4 + seed % 3 * 3, weighed);
      Model stored;
      RankIndex::Root root;
      for (int round = 0; round < 80; ++round) {
        CAPTURE(round);
        const uint64_t script = bench.dice.next();
        // Growing, shrinking to nothing, and all in between.
        const uint64_t adds = round % 20 < 12 ? 7 : 2;
        Model model;
        RankIndex::Root new_root;
        bench.run([&](View& view) {
          engine::SimEntropy dice(script);
          model = stored;
          RankIndex index(view, plan, root);
          for (int i = 0; i < 30; ++i) {
            std::string key = std::to_string(dice.below(round % 3 == 0 ? 30 : 400));
            if (dice.below(5) == 0) key += std::string(dice.below(3), 'x');
            const auto at = model.find(key);
            const uint64_t weight = weighed ? 1 + dice.below(9) : 1;
            const uint64_t dart = dice.below(12);
            if (dart < adds) {
              if (at != model.end()) continue;
              view.put("Se" + key, std::to_string(weight));
              index.add(key, weight);
              model[key] = weight;
            } else if (dart < 9) {
              const auto victim = model.lower_bound(key);
              if (victim == model.end()) continue;
              view.erase("Se" + victim->first);
              index.remove(victim->first, victim->second);
              model.erase(victim);
            } else if (dart == 9) {
              uint64_t before = 0;
              for (auto other = model.begin(); other != model.lower_bound(key); ++other)
                before += other->second;
              REQUIRE(index.weight_before(key) == before);
            } else {
              const uint64_t sum = total(model);
              uint64_t position = dice.below(sum + 1);
              const auto place = index.at(position);
              REQUIRE(place.has_value() == (position < sum));
              if (!place) continue;
              auto other = model.begin();
              for (; position >= other->second; ++other) position -= other->second;
              REQUIRE(place->key == other->first);
              REQUIRE(place->offset == position);
            }
          }
          index.flush();
          new_root = index.root();
          if (round % 5 == 0) check_invariants(view, new_root, model);
        });
        stored = model;
        root = new_root;
        if (round % 16 == 15) bench.restart();
      }
    }
  }

  TEST_CASE("R5: where separators are too long to be listed they are sought") {
    DataBench bench(17, 0, 1 << 20);
    Model model;
    RankIndex::Root root;
    uint64_t listed = 0, left_out = 0;
    for (int round = 0; round < 60; ++round) {
      CAPTURE(round);
      const RankIndex::Root old = root;
      const Model before = model;
      const uint64_t script = bench.dice.next();
      bench.run([&](View& view) {
        engine::SimEntropy dice(script);
        model = before;
        RankIndex index(view, plan_of(4, false), old);
        for (int i = 0; i < 8; ++i) {
          // Two families that begin differently: nothing is shared by all, and each separator is long.
          std::string key(1, dice.below(2) == 0 ? 'a' : 'b');
          key += std::string(9000, 'x') + std::to_string(dice.below(200));
          const auto at = model.find(key);
          if (at == model.end() && dice.below(10) < (round < 40 ? 9 : 2)) {
            view.put("Se" + key, {});
            index.add(key);
            model[key] = 1;
          } else if (at != model.end()) {
            view.erase("Se" + key);
            index.remove(key);
            model.erase(at);
          }
        }
        index.flush();
        root = index.root();
      });
      bench.run([&](View& view) {
        left_out += check_invariants(view, root, model, false);
        RankIndex index(view, plan_of(4, false), root);
        uint64_t position = 0;
        for (const auto& [key, weight] : model) {
          CHECK(index.weight_before(key) == position);
          ++position;
        }
        auto range = view.range("Sc\x81", "Sd");
        for (bool there = range.seek_first(); there; there = range.next()) ++listed;
      });
    }
    CHECK(listed > 0);
    CHECK(left_out > 0);
  }

  TEST_CASE("what is built in order is what would have been added one by one") {
    for (const uint64_t count : {0u, 1u, 3u, 4u, 5u, 12u, 13u, 100u, 1000u}) {
      CAPTURE(count);
      DataBench bench(count + 1);
      Model model;
      RankIndex::Root root;
      bench.run([&](View& view) {
        model.clear();
        RankIndex::Builder builder(view, plan_of(4, true));
        for (uint64_t i = 0; i < count; ++i) {
          const std::string key = std::to_string(100000 + i * 7);
          const uint64_t weight = 1 + i % 5;
          view.put("Se" + key, std::to_string(weight));
          builder.add(key, weight);
          model[key] = weight;
        }
        root = builder.finish();
      });
      CHECK((root.levels > 0) == (count > 3));
      bench.run([&](View& view) { check_invariants(view, root, model); });
      bench.run([&](View& view) {
        RankIndex index(view, plan_of(4, true), root);
        uint64_t position = 0;
        for (const auto& [key, weight] : model) {
          REQUIRE(index.weight_before(key) == position);
          REQUIRE(index.at(position)->key == key);
          position += weight;
        }
        CHECK(!index.at(position).has_value());
      });
    }
  }

  TEST_CASE("with many thousand elements a question touches some hundred records, a change only a few") {
    constexpr uint64_t kCount = 60'000, kMax = 64;
    DataBench bench(5, 0, 1 << 20);
    const auto key_of = [](uint64_t i) {
      std::string key(8, '\0');
      for (int b = 0; b < 8; ++b) key[b] = static_cast<char>(i >> (56 - 8 * b));
      return key;
    };
    RankIndex::Root root;
    for (uint64_t begin = 0; begin < kCount; begin += 2000) {
      const RankIndex::Root old = root;
      bench.run([&](View& view) {
        RankIndex index(view, plan_of(kMax, false), old);
        for (uint64_t i = begin; i < begin + 2000; ++i) {
          view.put("Se" + key_of(i * 2), {});
          index.add(key_of(i * 2));
        }
        index.flush();
        root = index.root();
      });
      // Neighbours share the counters in hand: a write for each element, a few for each split.
      CHECK(bench.written < 2000 + 2000 / (kMax / 2) * 8);
    }
    REQUIRE(root.weight == kCount);
    REQUIRE(root.levels == 2);
    for (int i = 0; i < 200; ++i) {
      const uint64_t n = bench.dice.below(kCount);
      bench.run([&](View& view) {
        RankIndex index(view, plan_of(kMax, false), root);
        CHECK(index.weight_before(key_of(n * 2 + 1)) == n + 1);
      });
      CHECK(bench.touched <= 3 * (kMax + 3));
      bench.run([&](View& view) {
        RankIndex index(view, plan_of(kMax, false), root);
        CHECK(index.at(n)->key == key_of(n * 2));
      });
      CHECK(bench.touched <= 3 * (kMax + 3));
    }
    uint64_t most_touched = 0, most_written = 0, touched = 0, added = 0;
    for (int i = 0; i < 500; ++i) {
      const std::string key = key_of(bench.dice.below(kCount) * 2 + 1);
      bool is_new = false;
      const RankIndex::Root old = root;
      bench.run([&](View& view) {
        is_new = !view.get("Se" + key).has_value();
        if (!is_new) return;
        view.put("Se" + key, {});
        RankIndex index(view, plan_of(kMax, false), old);
        index.add(key);
        index.flush();
        root = index.root();
      });
      if (!is_new) continue;
      ++added;
      touched += bench.touched;
      most_touched = std::max(most_touched, bench.touched);
      most_written = std::max(most_written, bench.written);
    }
    CHECK(touched / added < 12);           // The splits included.
    CHECK(most_touched < 3 * (kMax + 8));  // Every level split at once.
    CHECK(most_written < 16);
    // A queue's front, full of erased records, is passed over when the owner says where it ends.
    const RankIndex::Root old = root;
    bench.run([&](View& view) {
      RankIndex index(view, plan_of(kMax, false), old);
      std::vector<std::string> doomed;
      {
        auto range = view.range("Se", "Sf");
        for (bool there = range.seek_first(); there && doomed.size() < 50'000; there = range.next())
          doomed.emplace_back(range.key().substr(2));
      }
      for (const std::string& key : doomed) {
        view.erase("Se" + key);
        index.remove(key);
      }
      index.flush();
      root = index.root();
    });
    CHECK(bench.written < 50'000 + 50'000 / (kMax / 2) * 4);
    bench.run([&](View& view) {
      RankIndex index(view, plan_of(kMax, false), root);
      CHECK(index.at(0).has_value());
      CHECK(index.weight_before(index.at(0)->key) == 0);
    });
    CHECK(bench.touched < 8 * (kMax + 3));
  }

  TEST_CASE("counters that do not add up are a storage error, not a wrong answer") {
    DataBench bench(9);
    RankIndex::Root root;
    bench.run([&](View& view) {
      RankIndex index(view, plan_of(4, false), {});
      for (int i = 0; i < 50; ++i) {
        const std::string key = std::to_string(100 + i);
        view.put("Se" + key, {});
        index.add(key);
      }
      index.flush();
      root = index.root();
    });
    bench.run([&](View& view) {
      view.erase("Se140");
      view.erase("Se141");
      view.erase("Se142");
      view.erase("Se143");
      RankIndex index(view, plan_of(4, false), root);
      // What lies beside the hole is found where it was; what fell into it is refused.
      CHECK(index.at(10)->key == "110");
      CHECK_THROWS_AS(index.at(43), StorageError);
      CHECK(index.at(49)->key == "149");
    });
    bench.run([&](View& view) {
      view.put(std::string("Sc\1", 3), "\xff");
      RankIndex index(view, plan_of(4, false), root);
      CHECK_THROWS_AS(index.weight_before("101"), StorageError);
    });
  }
}
