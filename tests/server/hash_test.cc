#include "server/types/hash.h"

#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <set>
#include <vector>

#include "server/types/sample.h"
#include "tests/server/data_bench.h"

using namespace server;

namespace {

constexpr ObjectId kDatabase = 1'000'000;  // An id that the engine does not get round to giving out.

struct StoreBench : server_test::DataBench {
  using DataBench::DataBench;
  // The handler is also given a random seed, the same in all its runs.
  template <typename Handler>
  void run(Handler&& handler) {
    const uint64_t random_seed = dice.next();
    DataBench::run([&](View& view) { handler(view, random_seed); });
  }
};

// Fields by name: the value, and when it expires.
using Model = std::map<std::string, std::pair<std::string, int64_t>>;

void forget_past(Model& model, int64_t now_ms) {
  std::erase_if(model, [&](const auto& field) {
    return field.second.second != kNoExpiry && field.second.second <= now_ms;
  });
}

std::optional<Header> live_header(View& view) { return view.header(kDatabase, "h"); }

// Everything that a reader can see of the hash is what the model says.
void check_all(StoreBench& bench, Model& model) {
  forget_past(model, bench.world.clock.wall_ms());
  bench.run([&](View& view, uint64_t) {
    const auto header = live_header(view);
    CHECK(header.has_value() == !model.empty());
    Hash hash(view, kDatabase, "h", header);
    CHECK(hash.size() == model.size());
    Model seen;
    hash.each([&](const Hash::Field& field) {
      CHECK(seen.emplace(field.name, std::pair(field.value, field.expiry_ms)).second);
      return true;
    });
    CHECK(seen == model);
  });
}

int64_t entries_in_index_by_time(StoreBench& bench) {
  int64_t entries = 0;
  bench.run([&](View& view, uint64_t) {
    entries = 0;
    auto range = view.range(expiry_begin(), "U");
    for (bool there = range.seek_first(); there; there = range.next()) ++entries;
  });
  return entries;
}

}  // namespace

TEST_SUITE("server/hash") {
  TEST_CASE("a hash is a map, whatever is done to it, inline and large, cold and through restarts") {
    for (uint64_t seed = 1; seed <= 12; ++seed) {
      CAPTURE(seed);
      StoreBench bench(seed, seed % 2 == 0 ? UINT32_MAX / 8 : 0);
      const HashLimits limits{.listpack_entries = seed % 3 == 0 ? 0u : seed % 3 == 1 ? 5u : 512u};
      const bool timed = seed % 4 < 2;
      const uint64_t names = seed % 5 == 0 ? 12 : 80;
      Model model;
      for (int round = 0; round < 250; ++round) {
        CAPTURE(round);
        // What the command does is drawn before it runs, for it may run often.
        std::vector<std::string> given(1 + bench.dice.below(6));
        for (auto& name : given) name = "field:" + std::to_string(bench.dice.below(names));
        const uint64_t what = bench.dice.below(timed ? 10 : 7);
        const uint64_t script = bench.dice.next();
        if (what == 9) bench.world.clock.advance_ms(bench.dice.below(200));
        forget_past(model, bench.world.clock.wall_ms());
        const Model before = model;
        bench.run([&](View& view, uint64_t random_seed) {
          engine::SimEntropy dice(script);
          model = before;
          const auto header = live_header(view);
          REQUIRE(header.has_value() == !before.empty());
          Hash hash(view, kDatabase, "h", header);
          const std::vector<std::string_view> views(given.begin(), given.end());
          hash.load(views);
          std::vector<std::string> values(given.size());
          for (size_t i = 0; i < given.size(); ++i) {
            const auto in_model = model.find(given[i]);
            const Hash::Field* field = hash.field(i);
            REQUIRE((field != nullptr) == (in_model != model.end()));
            if (field) {
              CHECK(field->value == in_model->second.first);
              CHECK(field->expiry_ms == in_model->second.second);
            }
            if (what < 5) {
              values[i] = std::string(dice.below(40), 'v') + std::to_string(round);
              hash.set(i, values[i]);
              model[given[i]] = {values[i], kNoExpiry};
            } else if (what < 7) {
              hash.erase(i);
              model.erase(given[i]);
            } else if (field) {
              const int64_t expiry_ms = view.now_ms() + 1 + static_cast<int64_t>(dice.below(500));
              hash.set(i, field->value, expiry_ms);
              model[given[i]].second = expiry_ms;
            }
          }
          CHECK(hash.save(limits, random_seed) == !model.empty());
        });
        if (timed && bench.dice.below(4) == 0) {
          const uint64_t max = 1 + bench.dice.below(5);
          bench.run([&](View& view, uint64_t) {
            const auto header = live_header(view);
            if (!header) return;
            uint64_t reclaimed = 0;
            CHECK(Hash(view, kDatabase, "h", header).reclaim(max, &reclaimed));
          });
        }
        if (bench.dice.below(60) == 0) bench.restart();
        if (bench.dice.below(8) == 0) check_all(bench, model);
      }
      check_all(bench, model);
    }
  }

  TEST_CASE("fields named twice in one command are one field") {
    for (const uint64_t entries : {0u, 512u}) {
      StoreBench bench(3);
      // More than are compared one by one.
      std::vector<std::string_view> pairs;
      for (int i = 0; i < 12; ++i) {
        pairs.insert(pairs.end(), {"a", i % 2 ? "odd" : "even"});
        pairs.insert(pairs.end(), {"b", "b"});
      }
      for (int round = 0; round < 2; ++round) {
        bench.run([&](View& view, uint64_t random_seed) {
          Hash hash(view, kDatabase, "h", live_header(view));
          hash.load(pairs, 2);
          for (size_t i = 0; i < pairs.size() / 2; ++i) hash.set(i, pairs[2 * i + 1]);
          hash.save({.listpack_entries = entries}, random_seed);
        });
        Model model{{"a", {"odd", kNoExpiry}}, {"b", {"b", kNoExpiry}}};
        check_all(bench, model);
      }
    }
  }

  TEST_CASE("inline fields keep the order in which they came") {
    StoreBench bench(4);
    bench.run([&](View& view, uint64_t random_seed) {
      Hash hash(view, kDatabase, "h", std::nullopt);
      const std::vector<std::string_view> names{"z", "a", "m"};
      hash.load(names);
      for (size_t i = 0; i < 3; ++i) hash.set(i, "1");
      hash.save({}, random_seed);
    });
    std::vector<std::string> order;
    bench.run([&](View& view, uint64_t random_seed) {
      Hash hash(view, kDatabase, "h", live_header(view));
      const std::vector<std::string_view> names{"q", "a"};
      hash.load(names);
      hash.set(0, "2");
      hash.set(1, "2");
      hash.save({}, random_seed);
    });
    bench.run([&](View& view, uint64_t) {
      Hash(view, kDatabase, "h", live_header(view)).each([&](const Hash::Field& field) {
        order.push_back(std::string(field.name) + std::string(field.value));
        return true;
      });
    });
    CHECK(order == std::vector<std::string>{"z1", "a2", "m1", "q2"});
  }

  TEST_CASE("OBJECT ENCODING's name follows Redis's limits, and never goes back") {
    StoreBench bench(5);
    const HashLimits limits{.listpack_entries = 3, .listpack_value_bytes = 8};
    const auto encoding_after = [&](std::vector<std::string_view> names, std::string_view value, bool erase) {
      std::string encoding;
      bench.run([&](View& view, uint64_t random_seed) {
        Hash hash(view, kDatabase, "h", live_header(view));
        hash.load(names);
        for (size_t i = 0; i < names.size(); ++i) erase ? hash.erase(i) : hash.set(i, value);
        hash.save(limits, random_seed);
      });
      bench.run([&](View& view, uint64_t) { encoding = hash_encoding(*live_header(view)); });
      return encoding;
    };
    CHECK(encoding_after({"a"}, "12345678", false) == "listpack");
    CHECK(encoding_after({"a", "b", "c"}, "", false) == "listpack");
    CHECK(encoding_after({"d"}, "", false) == "hashtable");
    CHECK(encoding_after({"d", "c"}, "", true) == "hashtable");
    bench.run([&](View& view, uint64_t) { view.erase_header(kDatabase, "h"); });
    CHECK(encoding_after({"a"}, "123456789", false) == "hashtable");
    CHECK(encoding_after({"b"}, "", false) == "hashtable");
  }

  TEST_CASE("a scan meets every field that is there all the time, once, however others come and go") {
    for (uint64_t seed = 1; seed <= 4; ++seed) {
      CAPTURE(seed);
      StoreBench bench(seed, seed % 2 == 0 ? UINT32_MAX / 8 : 0);
      const auto change = [&](std::string_view name, bool add) {
        bench.run([&](View& view, uint64_t random_seed) {
          Hash hash(view, kDatabase, "h", live_header(view));
          hash.load({&name, 1});
          add ? hash.set(0, "v") : hash.erase(0);
          hash.save({.listpack_entries = 0}, random_seed);
        });
      };
      for (int i = 0; i < 300; ++i) change("stays" + std::to_string(i), true);
      std::map<std::string, int> seen;
      uint64_t cursor = 0;
      do {
        change("comes" + std::to_string(bench.dice.below(50)), bench.dice.below(2) == 0);
        uint64_t next = 0;
        std::vector<std::string> batch;
        bench.run([&](View& view, uint64_t) {
          batch.clear();
          next = Hash(view, kDatabase, "h", live_header(view)).scan(cursor, 7, [&](const Hash::Field& field) {
            batch.emplace_back(field.name);
          });
        });
        CHECK(batch.size() <= 8);
        for (const auto& name : batch) ++seen[name];
        CHECK((next == 0 || next > cursor));
        cursor = next;
      } while (cursor != 0);
      for (int i = 0; i < 300; ++i) CHECK(seen["stays" + std::to_string(i)] == 1);
    }
  }

  TEST_CASE("every field is drawn about as often as any other, and samples hold no field twice") {
    for (const uint64_t fields : {20u, 500u}) {
      CAPTURE(fields);
      StoreBench bench(fields);
      std::vector<std::string> names(fields);
      for (uint64_t i = 0; i < fields; ++i) names[i] = "field" + std::to_string(i);
      const std::vector<std::string_view> views(names.begin(), names.end());
      bench.run([&](View& view, uint64_t random_seed) {
        Hash hash(view, kDatabase, "h", std::nullopt);
        hash.load(views);
        for (size_t i = 0; i < views.size(); ++i) hash.set(i, "v");
        hash.save({}, random_seed);
      });
      constexpr uint64_t kDrawsEach = 100;
      std::map<std::string, uint64_t, std::less<>> drawn;
      bench.run([&](View& view, uint64_t random_seed) {
        Hash hash(view, kDatabase, "h", live_header(view));
        REQUIRE(hash.large() == (fields > 100));
        Random random(random_seed);
        for (uint64_t i = 0; i < fields * kDrawsEach; ++i)
          hash.draw(random, [&](const Hash::Field& field) { ++drawn[std::string(field.name)]; });
        for (const uint64_t wanted : {uint64_t{1}, fields / 60, fields / 2, fields}) {
          std::set<std::string> sample;
          sample_distinct(hash, fields, wanted, random,
                          [&](const Hash::Field& field) { CHECK(sample.emplace(field.name).second); });
          CHECK(sample.size() == wanted);
        }
      });
      CHECK(drawn.size() == fields);
      double chi_square = 0;
      for (const auto& [name, count] : drawn) {
        const double off = static_cast<double>(count) - kDrawsEach;
        chi_square += off * off / kDrawsEach;
      }
      // Mean: fields - 1, deviation: sqrt(2 * fields). The seed is fixed, so this does not flicker.
      CHECK(chi_square < static_cast<double>(fields) + 5 * std::sqrt(2.0 * static_cast<double>(fields)));
    }
  }

  TEST_CASE("F3: a hash all of whose fields are past is an expired key") {
    for (const uint64_t entries : {0u, 512u}) {
      StoreBench bench(7);
      const int64_t now = bench.world.clock.wall_ms();
      const std::vector<std::string_view> names{"a", "b"};
      const auto set = [&](int64_t a_ms, int64_t b_ms) {
        bench.run([&](View& view, uint64_t random_seed) {
          Hash hash(view, kDatabase, "h", live_header(view));
          hash.load(names);
          hash.set(0, "1", a_ms);
          hash.set(1, "2", b_ms);
          CHECK(hash.save({.listpack_entries = entries}, random_seed));
        });
      };
      set(now + 500, now + 100);
      bench.world.clock.advance_ms(100);
      Model model{{"a", {"1", now + 500}}};
      check_all(bench, model);
      bench.world.clock.advance_ms(400);
      bench.run([&](View& view, uint64_t) {
        CHECK(!live_header(view).has_value());
        CHECK(view.expired().size() == 1);
      });
      // What is written then begins anew.
      set(kNoExpiry, now + 1000);
      model = {{"a", {"1", kNoExpiry}}, {"b", {"2", now + 1000}}};
      check_all(bench, model);
      bench.world.clock.advance_ms(1000);
      model.erase("b");
      check_all(bench, model);
    }
  }

  TEST_CASE("F2: the index by time names the hash at its next expiry, and reclaiming follows it to the end") {
    for (const uint64_t entries : {0u, 512u}) {
      CAPTURE(entries);
      StoreBench bench(8);
      const int64_t now = bench.world.clock.wall_ms();
      std::vector<std::string> names{"stays"};
      for (int i = 1; i <= 9; ++i) names.push_back("f" + std::to_string(i));
      const std::vector<std::string_view> views(names.begin(), names.end());
      bench.run([&](View& view, uint64_t random_seed) {
        Hash hash(view, kDatabase, "h", std::nullopt);
        hash.load(views);
        for (size_t i = 0; i < views.size(); ++i)
          hash.set(i, "v", i == 0 ? kNoExpiry : now + 100 * static_cast<int64_t>(i));
        hash.save({.listpack_entries = entries}, random_seed);
      });
      uint64_t reclaimed_in_all = 0;
      for (int rounds = 0; entries_in_index_by_time(bench) > 0; ++rounds) {
        REQUIRE(rounds < 40);
        CHECK(entries_in_index_by_time(bench) == 1);
        bench.world.clock.advance_ms(150);
        bench.run([&](View& view, uint64_t) {
          const auto header = live_header(view);
          REQUIRE(header.has_value());
          CHECK(header->elements_expiry_ms != kNoExpiry);
          if (header->elements_expiry_ms > view.now_ms()) return;
          uint64_t reclaimed = 0;
          CHECK(Hash(view, kDatabase, "h", header).reclaim(1, &reclaimed));
          reclaimed_in_all += reclaimed;
        });
      }
      CHECK(reclaimed_in_all == 9);
      Model model{{"stays", {"v", kNoExpiry}}};
      check_all(bench, model);
    }
  }
}
