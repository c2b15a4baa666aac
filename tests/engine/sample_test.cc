#include "engine/sample.h"

#include <doctest/doctest.h>

#include <map>

#include "engine/engine.h"
#include "engine/sim.h"

using namespace engine;

namespace {

struct Bench {
  explicit Bench(uint64_t seed, uint32_t cold_chance = 0) : world(seed) {
    EngineOptions options;
    options.directory = "/db";
    options.memory_bytes = 1 << 20;
    options.memtable_bytes = 16 << 10;
    options.log_segment_bytes = 64 << 10;
    options.reserve_bytes = 0;
    options.cold_chance = cold_chance;
    auto opened = Engine::open(world.env, options, schema, nullptr);
    REQUIRE(opened.ok());
    engine = std::move(opened).value();
  }
  ~Bench() {
    engine->stop([](const Status&) {});
    world.executor.run_all();
  }

  void write(const std::string& key, const std::string* value) {
    Batch batch;
    value != nullptr ? batch.put(key, *value) : batch.erase(key);
    while (engine->admission(batch.bytes().size(), false) != Engine::Admission::kOpen) {
      engine->end_turn();
      REQUIRE(world.executor.run_one());
    }
    engine->apply(batch);
    engine->end_turn();
    world.executor.run_one();
  }

  // A draw from the present state, as often as blocks are cold.
  std::string draw(const std::string& begin, const std::string& end, uint64_t random) {
    ReadContext context;
    for (;;) {
      std::string key;
      switch (engine->reader(context)->sample(begin, end, random, &key)) {
        case Lookup::State::kFound: return key;
        case Lookup::State::kAbsent: return {};
        case Lookup::State::kFailed: FAIL("a block could not be read"); return {};
        case Lookup::State::kCold: break;
      }
      bool fetched = false;
      engine->fetch(context, [&] { fetched = true; });
      while (!fetched) REQUIRE(world.executor.run_one());
    }
  }

  SimWorld world;
  PlainSchema schema;
  std::unique_ptr<Engine> engine;
};

}  // namespace

TEST_SUITE("engine/sample") {
  TEST_CASE(
      "each key of a range is about as likely as any other, in memtables and tables, now and in a snapshot") {
    for (const uint32_t cold_chance : {uint32_t{0}, UINT32_MAX / 5}) {
      CAPTURE(cold_chance);
      Bench bench(1, cold_chance);
      SimEntropy dice(2);
      // Names of very uneven distances; records of very uneven sizes lie around the range.
      std::map<std::string, int> drawn;
      const std::string value(40, 'v'), large(900, 'v');
      for (int n = 0; n < 1500; ++n) {
        if (n % 3 == 0) {
          const std::string key = "m" + std::to_string(n % 7 == 0 ? n : n * n);
          bench.write(key, &value);
          drawn[key] = 0;
        }
        bench.write("a" + std::to_string(n), &large);
        bench.write("z" + std::to_string(n), n % 2 == 0 ? &value : nullptr);
      }
      const auto snapshot = bench.engine->snapshot();
      const auto reader = snapshot->reader();
      const int draws = static_cast<int>(drawn.size()) * 40;
      int hits = 0;
      for (int n = 0; n < draws; ++n) {
        std::string key;
        if (n % 2 == 0)
          key = bench.draw("m", "n", dice.next());
        else if (reader->sample("m", "n", dice.next(), &key) != Lookup::State::kFound)
          key.clear();
        if (key.empty()) continue;
        const auto at = drawn.find(key);
        REQUIRE(at != drawn.end());
        ++at->second;
        ++hits;
      }
      CHECK(hits > draws / 2);
      const double mean = static_cast<double>(hits) / static_cast<double>(drawn.size());
      for (const auto& [key, times] : drawn) {
        CAPTURE(key);
        CHECK(times > mean / 8);
        CHECK(times < mean * 8);
      }
    }
  }

  TEST_CASE("what is drawn lies within the bounds, and an empty range gives nothing") {
    for (uint64_t seed = 1; seed <= 6; ++seed) {
      CAPTURE(seed);
      Bench bench(seed, seed % 2 == 0 ? UINT32_MAX / 5 : 0);
      SimEntropy dice(seed);
      std::map<std::string, bool> keys;
      const auto word = [&] { return "k" + std::to_string(dice.below(3000)); };
      const std::string value(50, 'v');
      int hits = 0;
      for (int round = 0; round < 300; ++round) {
        for (int n = 0; n < 10; ++n) {
          const std::string key = word();
          const bool put = dice.below(4) != 0;
          bench.write(key, put ? &value : nullptr);
          keys[key] = put;
        }
        const std::string begin = word(), end = dice.below(4) == 0 ? "" : word();
        CAPTURE(begin);
        CAPTURE(end);
        const auto snapshot = bench.engine->snapshot();
        const auto reader = snapshot->reader();
        for (int n = 0; n < 10; ++n) {
          std::string key;
          if (n % 2 == 0)
            key = bench.draw(begin, end, dice.next());
          else
            (void)reader->sample(begin, end, dice.next(), &key);
          if (key.empty()) continue;
          ++hits;
          REQUIRE(key >= begin);
          REQUIRE((end.empty() || key < end));
          REQUIRE(keys.contains(key));
        }
      }
      CHECK(hits > 500);
    }
  }
}
