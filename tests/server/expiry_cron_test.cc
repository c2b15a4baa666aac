#include "server/expiry_cron.h"

#include <doctest/doctest.h>

#include <map>

#include "server/types/hash.h"
#include "tests/server/expiry_bench.h"

using namespace server;

namespace {

using Words = std::vector<std::string>;
constexpr uint32_t kOften = UINT32_MAX / 4;

}  // namespace

TEST_SUITE("server/expiry_cron") {
  TEST_CASE("E1, E2: exactly the expired keys go, each told of once, whatever the clock does") {
    for (uint64_t seed = 1; seed <= 8; ++seed) {
      CAPTURE(seed);
      ExpiryBench bench(seed, seed % 2 == 0 ? kOften : 0);
      engine::SimEntropy dice(seed);
      std::map<std::pair<uint32_t, std::string>, int64_t> model;  // When each key expires.
      bench.told = [&](uint32_t database, const std::string& key) {
        CAPTURE(key);
        const auto at = model.find({database, key});
        REQUIRE(at != model.end());
        REQUIRE(at->second != kNoExpiry);
        REQUIRE(at->second <= bench.now());
        model.erase(at);
      };
      uint32_t database = 0;
      int64_t latest = 0;
      for (int round = 0; round < 1500; ++round) {
        const std::string key = "k" + std::to_string(dice.below(120));
        const auto visible = [&] {
          const auto at = model.find({database, key});
          return at != model.end() && (at->second == kNoExpiry || at->second > bench.now());
        };
        // A command may let time pass while it waits, so none that could expire within that time is used.
        switch (dice.below(12)) {
          case 0:
          case 1:
          case 2: {
            const int64_t when = bench.now() + 1000 + static_cast<int64_t>(dice.below(5000));
            bench.sim.command({"SET", key, std::string(dice.below(60), 'v'), "PXAT", std::to_string(when)});
            model[{database, key}] = when;
            break;
          }
          case 3:
            bench.sim.command({"SET", key, "plain"});
            model[{database, key}] = kNoExpiry;
            break;
          case 4: {
            const int64_t when = bench.now() + 1000 + static_cast<int64_t>(dice.below(3000));
            const bool was = visible();
            bench.sim.command({"PEXPIREAT", key, std::to_string(when)});
            if (was) model[{database, key}] = when;
            break;
          }
          case 5: {
            const bool was = visible();
            bench.sim.command({"DEL", key});
            if (was) model.erase({database, key});
            break;
          }
          case 6:
            database = static_cast<uint32_t>(dice.below(3));
            bench.sim.command({"SELECT", std::to_string(database)});
            break;
          case 7:
            if (dice.below(20) == 0) {
              bench.sim.command({"FLUSHDB"});
              std::erase_if(model, [&](const auto& entry) { return entry.first.first == database; });
            } else if (dice.below(20) == 0) {
              bench.sim.command({"SWAPDB", "0", "1"});
              std::map<std::pair<uint32_t, std::string>, int64_t> swapped;
              for (const auto& [at, when] : model)
                swapped[{at.first < 2 ? 1 - at.first : at.first, at.second}] = when;
              model = std::move(swapped);
            } else if (dice.below(30) == 0) {
              bench.restart();
              bench.sim.command({"SELECT", std::to_string(database)});
            }
            break;
          case 8: bench.sim.world.clock.advance_ms(dice.below(800)); break;
          case 9:
            if (dice.below(10) == 0) {  // The clock jumps, forward or back.
              latest = std::max(latest, bench.now());
              const int64_t jump = static_cast<int64_t>(dice.below(8000)) - 4000;
              bench.sim.world.clock.set_wall_ms(bench.now() + jump);
            }
            break;
          case 10: bench.tick(); break;
          case 11: {  // No reader sees an expired key, reclaimed or not.
            const bool expected = visible();
            REQUIRE(bench.sim.command({"EXISTS", key}).integer == (expected ? 1 : 0));
            break;
          }
        }
      }
      // Long enough for a sweep to find what the jumps have left below the floor.
      for (int n = 0; n < 150; ++n) {
        bench.sim.world.clock.advance_ms(100);
        bench.tick();
      }
      for (const auto& [key, when] : model) {
        CAPTURE(key.second);
        CHECK((when == kNoExpiry || when > bench.now()));
      }
      CHECK(bench.index().second == 0);
      for (uint32_t number = 0; number < 3; ++number) {
        bench.sim.command({"SELECT", std::to_string(number)});
        size_t keys = 0;
        for (const auto& [key, when] : model) keys += key.first == number;
        CHECK(bench.sim.command({"DBSIZE"}).integer == static_cast<int64_t>(keys));
      }
    }
  }

  TEST_CASE("E3: entries that an overwrite or FLUSHDB left behind go when they are due, and nobody is told") {
    ExpiryBench bench(21);
    bench.told = [](uint32_t, const std::string& key) { FAIL(key); };
    for (int n = 0; n < 300; ++n) {
      const std::string key = "k" + std::to_string(n);
      bench.sim.command({"SET", key, "v", "PX", "500"});
      if (n % 2 == 0) bench.sim.command({"SET", key, "w"});
    }
    bench.sim.command({"SELECT", "1"});
    bench.sim.command({"SET", "x", "v", "PX", "500"});
    bench.sim.command({"FLUSHDB"});
    bench.sim.command({"SELECT", "0"});
    for (int n = 1; n < 300; n += 2) bench.sim.command({"PERSIST", "k" + std::to_string(n)});
    CHECK(bench.index().first == 151);
    bench.sim.world.clock.advance_ms(1000);
    for (int n = 0; n < 3; ++n) bench.tick();
    CHECK(bench.index().first == 0);
    CHECK(bench.sim.command({"DBSIZE"}).integer == 300);
  }

  TEST_CASE("a backlog of any length goes in turns, and survives a restart in between") {
    ExpiryBench bench(22);
    int gone = 0;
    bench.told = [&](uint32_t, const std::string&) { ++gone; };
    for (int n = 0; n < 2000; ++n) bench.sim.command({"SET", "k" + std::to_string(n), "v", "PX", "900000"});
    bench.sim.world.clock.advance_ms(1'000'000);
    bench.cron->tick(true);
    for (int n = 0; n < 5; ++n) bench.sim.step();
    bench.restart();
    for (int n = 0; n < 3; ++n) bench.tick();
    CHECK(gone <= 2000);
    CHECK(bench.sim.command({"DBSIZE"}).integer == 0);
    CHECK(bench.index().first == 0);
  }

  TEST_CASE("fields of a hash that are due go too, some at a time, and the hash with the last one") {
    ExpiryBench bench(25);
    std::vector<std::string> gone;
    bench.told = [&](uint32_t, const std::string& key) { gone.push_back(key); };
    std::vector<std::string> names;
    for (int n = 0; n < 1000; ++n) names.push_back("f" + std::to_string(n));
    const std::vector<std::string_view> fields(names.begin(), names.end());
    const ObjectId database = bench.sim.server->databases().object(0);
    const int64_t when = bench.now() + 100'000;
    for (const char* key : {"some", "all"}) {
      bool saved = false;
      bench.sim.server->batches().run(
          [&](View& view) {
            Hash hash(view, database, key, view.header(database, key));
            hash.load(fields);
            for (size_t n = 0; n < fields.size(); ++n)
              hash.set(n, "v", key == std::string("all") || n % 2 == 0 ? when : kNoExpiry);
            hash.save({}, 1);
          },
          [&](const BatchRunner::Outcome& outcome) { saved = outcome.status.ok(); });
      while (!saved) bench.sim.step();
    }
    CHECK(bench.index().first == 2);
    bench.sim.world.clock.advance_ms(200'000);
    for (int n = 0; n < 3; ++n) bench.tick();
    CHECK(bench.index().first == 0);
    CHECK(gone == std::vector<std::string>{"all"});
    CHECK(bench.sim.command({"DBSIZE"}).integer == 1);
    CHECK(bench.sim.command({"HLEN", "some"}).integer == 500);
  }

  TEST_CASE("with active expiry off only keys that are met go") {
    ExpiryBench bench(23);
    std::vector<std::string> gone;
    bench.told = [&](uint32_t, const std::string& key) { gone.push_back(key); };
    for (const char* key : {"a", "b", "c"}) bench.sim.command({"SET", key, "v", "PX", "10000"});
    bench.sim.world.clock.advance_ms(20000);
    for (int n = 0; n < 5; ++n) bench.tick(false);
    CHECK(bench.sim.command({"DBSIZE"}).integer == 3);
    CHECK(bench.sim.command({"GET", "b"}).is_null());
    bench.tick(false);
    CHECK(gone == std::vector<std::string>{"b"});
    CHECK(bench.sim.command({"DBSIZE"}).integer == 2);
    for (int n = 0; n < 2; ++n) bench.tick(true);
    CHECK(gone == std::vector<std::string>{"b", "a", "c"});
  }

  TEST_CASE("a key that was written long expired is found by a sweep") {
    ExpiryBench bench(24);
    bench.sim.command({"SET", "first", "v", "PX", "1000"});
    bench.sim.world.clock.advance_ms(2000);
    for (int n = 0; n < 2; ++n) bench.tick();
    CHECK(bench.sim.command({"DBSIZE"}).integer == 0);
    bench.sim.command({"SET", "past", "v", "PXAT", "1000"});
    CHECK(bench.sim.command({"DBSIZE"}).integer == 1);
    bench.sim.world.clock.advance_us(ExpiryCron::kSweepIntervalUs);
    for (int n = 0; n < 3; ++n) bench.tick();
    CHECK(bench.sim.command({"DBSIZE"}).integer == 0);
  }
}
