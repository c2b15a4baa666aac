#include "server/view.h"

#include <doctest/doctest.h>

#include <map>

#include "tests/server/data_bench.h"

using namespace server;
using server_test::DataBench;

namespace {

// What stands in the index by time.
std::vector<std::string> index_by_time(DataBench& bench) {
  std::vector<std::string> entries;
  bench.run([&](View& view) {
    entries.clear();
    auto range = view.range(expiry_begin(), "U");
    for (bool there = range.seek_first(); there; there = range.next()) entries.emplace_back(range.key());
  });
  return entries;
}

}  // namespace

TEST_SUITE("server/view") {
  TEST_CASE("reads and ranges see the handler's own writes over what is stored, in both directions") {
    for (uint64_t seed = 1; seed <= 6; ++seed) {
      CAPTURE(seed);
      DataBench bench(seed, seed % 2 == 0 ? UINT32_MAX / 5 : 0);
      std::map<std::string, std::string> stored;
      for (int round = 0; round < 60; ++round) {
        std::map<std::string, std::string> model;
        const uint64_t script = bench.dice.next();
        bench.run([&](View& view) {
          engine::SimEntropy dice(script);  // The same at every run of the handler.
          model = stored;
          for (int i = 0; i < 30; ++i) {
            const std::string key = "k" + std::to_string(dice.below(200));
            switch (dice.below(6)) {
              case 0:
              case 1:
                model[key] = std::string(dice.below(100), 'x') + std::to_string(i);
                view.put(key, model[key]);
                break;
              case 2:
                model.erase(key);
                view.erase(key);
                break;
              case 3: {
                const auto value = view.get(key);
                REQUIRE(value.has_value() == model.contains(key));
                if (value) CHECK(*value == model[key]);
                break;
              }
              case 4: {  // A walk that erases behind itself and turns round now and then.
                auto range = view.range("k1", "k8");
                auto at = model.lower_bound(key);
                bool there = range.seek(key);
                for (int step = 0; step < 10; ++step) {
                  if (at == model.begin() && key < "k1") at = model.lower_bound("k1");
                  if (key < "k1" && step == 0) at = model.lower_bound("k1");
                  const bool expected = at != model.end() && at->first < "k8";
                  REQUIRE(there == expected);
                  if (!there) break;
                  CHECK(range.key() == at->first);
                  CHECK(range.value() == at->second);
                  if (dice.below(4) == 0) {
                    view.erase(at->first);
                    at = model.erase(at);
                    there = range.next();
                  } else if (dice.below(3) == 0) {
                    there = range.prev();
                    const bool any = at != model.begin() && std::prev(at)->first >= "k1";
                    REQUIRE(there == any);
                    if (!there) break;
                    --at;
                  } else {
                    there = range.next();
                    ++at;
                  }
                }
                break;
              }
              case 5: {
                auto range = view.range("k", "l");
                std::vector<std::string> backwards;
                for (bool there = range.seek_last(); there; there = range.prev())
                  backwards.emplace_back(range.key());
                std::vector<std::string> expected;
                for (auto at = model.rbegin(); at != model.rend(); ++at) expected.push_back(at->first);
                REQUIRE(backwards == expected);
                break;
              }
            }
          }
        });
        stored = model;
      }
    }
  }

  TEST_CASE("an expired header is not there, is named for reclaiming, and the index by time follows") {
    DataBench bench(3);
    const int64_t now = bench.world.clock.wall_ms();
    Header header;
    header.payload = "v";
    header.expiry_ms = now + 1000;
    bench.run([&](View& view) { view.put_header(1, "key", header); });
    CHECK(index_by_time(bench) == std::vector<std::string>{expiry_key(now + 1000, 1, "key")});
    header.expiry_ms = now + 2000;
    bench.run([&](View& view) { view.put_header(1, "key", header); });
    CHECK(index_by_time(bench) == std::vector<std::string>{expiry_key(now + 2000, 1, "key")});
    bench.run([&](View& view) { CHECK(view.header(1, "key").has_value()); });
    bench.world.clock.advance_ms(2000);
    bench.run([&](View& view) {
      CHECK(!view.header(1, "key").has_value());
      REQUIRE(view.expired().size() == 1);
      CHECK(view.expired()[0].user_key == "key");
    });
    bench.run([&](View& view) { view.erase_header(1, "key"); });
    CHECK(index_by_time(bench).empty());
    CHECK(bench.engine->count(1) == 0);
  }

  TEST_CASE("the index by time has the key's expiry and its elements' first one, and follows both") {
    DataBench bench(6);
    const int64_t now = bench.world.clock.wall_ms();
    const auto entry = [&](int64_t ms, std::string_view key) { return expiry_key(now + ms, 1, key); };
    using Entries = std::vector<std::string>;
    Header header;
    header.type = Type::kHash;
    header.payload = "p";
    header.elements_expiry_ms = now + 100;
    bench.run([&](View& view) { view.put_header(1, "k", header); });
    CHECK(index_by_time(bench) == Entries{entry(100, "k")});
    header.expiry_ms = now + 100;  // The same moment: one entry for both ...
    bench.run([&](View& view) { view.put_header(1, "k", header); });
    CHECK(index_by_time(bench) == Entries{entry(100, "k")});
    bench.run([&](View& view) {  // ... which stays as long as one of them needs it.
      const auto old = view.header(1, "k");
      header.expiry_ms = kNoExpiry;
      view.put_header(1, "k", header, old);
    });
    CHECK(index_by_time(bench) == Entries{entry(100, "k")});
    header.expiry_ms = now + 300;
    header.elements_expiry_ms = now + 200;
    bench.run([&](View& view) { view.put_header(1, "k", header); });
    CHECK(index_by_time(bench) == Entries{entry(200, "k"), entry(300, "k")});
    bench.run([&](View& view) { view.move_header(1, "k", 1, "l"); });
    CHECK(index_by_time(bench) == Entries{entry(200, "l"), entry(300, "l")});
    bench.run([&](View& view) { view.erase_header(1, "l"); });
    CHECK(index_by_time(bench).empty());
  }

  TEST_CASE("many keys are read in one round, own writes included") {
    DataBench bench(7, UINT32_MAX / 3);
    std::vector<std::string> keys;
    for (int i = 0; i < 400; ++i) keys.push_back("key" + std::to_string(i));
    bench.run([&](View& view) {
      for (size_t i = 0; i < keys.size(); i += 2) view.put(keys[i], "v" + keys[i] + std::string(60, '.'));
    });
    bench.run([&](View& view) {
      view.put(keys[1], "own");
      view.erase(keys[2]);
      std::vector<std::optional<std::string_view>> values(3, "old");
      view.get_all(keys, &values);
      REQUIRE(values.size() == keys.size());
      CHECK(values[1] == "own");
      CHECK(!values[2]);
      CHECK(!values[3]);
      CHECK(values[4] == "vkey4" + std::string(60, '.'));
    });
  }

  TEST_CASE("a header moves with its object, and the count stays right") {
    DataBench bench(4);
    ObjectId object = 0;
    REQUIRE(bench.engine->new_object() == 1);  // The database's.
    bench.run([&](View& view) {
      Header header;
      header.type = Type::kHash;
      header.object = {object = view.new_object(), 0};
      view.put_header(1, "a", header);
      std::string key;
      element_key(object, "field", &key);
      view.put(key, "value");
    });
    CHECK(bench.engine->count(1) == 1);
    bench.run([&](View& view) { view.move_header(1, "a", 1, "b"); });
    CHECK(bench.engine->count(1) == 1);
    bench.run([&](View& view) {
      CHECK(!view.header(1, "a").has_value());
      const auto header = view.header(1, "b");
      REQUIRE(header.has_value());
      CHECK(header->object.id == object);
      CHECK(header->object.generation == 1);
    });
  }

  TEST_CASE("what has been erased and is passed over counts as walked, and the next one passes it quickly") {
    engine::SimWorld world(6);
    KeyspaceSchema schema;
    engine::EngineOptions options;
    options.directory = "/db";
    options.memory_bytes = 16 << 20;
    options.reserve_bytes = 0;
    auto opened = engine::Engine::open(world.env, options, schema, nullptr);
    REQUIRE(opened.ok());
    const auto engine = std::move(opened).value();
    constexpr int kErased = 5 * static_cast<int>(kStepsOnReactor);
    for (const bool erased : {false, true}) {
      engine::Batch batch;
      for (int i = 0; i < kErased; ++i) {
        const std::string key = "Sk" + std::to_string(100000 + i);
        erased ? batch.erase(key, engine::Existence::kPresent) : batch.put(key, "v");
      }
      if (!erased) batch.put("Sm", "live");
      engine->apply(batch);
      engine->end_turn();
      world.executor.run_all();
    }
    const auto first = [&](bool may_leave) {
      engine::ReadContext context;
      engine::Batch batch;
      const auto reader = engine->reader(context);
      View view(*reader, engine.get(), batch, world.clock.wall_ms());
      if (may_leave) view.allow_long_read();
      auto range = view.range("Sk", "Sz");
      REQUIRE(range.seek_first());
      CHECK(range.key() == "Sm");
    };
    CHECK_THROWS_AS(first(true), LongRead);
    first(false);  // A writer cannot leave.
    first(true);
    engine->stop([](engine::Status) {});
    world.executor.run_all();
  }

  TEST_CASE("a read-only handler leaves when it has walked long, a writer does not") {
    DataBench bench(5);
    bench.run([&](View& view) {
      view.allow_long_read();
      CHECK_THROWS_AS(view.charge(kStepsOnReactor + 1), LongRead);
    });
    bench.run([&](View& view) {
      view.allow_long_read();
      view.put("k", "v");
      CHECK_NOTHROW(view.charge(kStepsOnReactor + 1));
    });
  }
}
