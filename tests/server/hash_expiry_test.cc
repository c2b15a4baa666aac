#include <doctest/doctest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/server/expiry_bench.h"

using namespace server;

namespace {

using Words = std::vector<std::string>;

}  // namespace

TEST_SUITE("server/hash_expiry") {
  TEST_CASE("replies and errors are those of Redis 8.0") {
    ExpiryBench bench(1);
    const std::string kMissing =
        "(error) ERR Mandatory argument FIELDS is missing or not at the right position";
    const std::string kMismatch = "(error) ERR The `numfields` parameter must match the number of arguments";
    const std::string day_ms = std::to_string(bench.now() + 86'400'000);
    const struct {
      Words words;
      std::string reply;
    } kScript[] = {
        {{"SET", "string", "x"}, "OK"},
        {{"HEXPIRE", "absent", "10", "FIELDS", "2", "a", "b"}, "[-2, -2]"},
        {{"HTTL", "absent", "FIELDS", "1", "a"}, "[-2]"},
        {{"HPERSIST", "absent", "FIELDS", "1", "a"}, "[-2]"},
        {{"HGETEX", "absent", "FIELDS", "1", "a"}, "[nil]"},
        {{"HGETDEL", "absent", "FIELDS", "1", "a"}, "[nil]"},
        {{"HSET", "h", "a", "1", "b", "2", "c", "3"}, "3"},
        {{"HEXPIRE", "h", "100", "FIELDS", "3", "a", "none", "a"}, "[1, -2, 1]"},
        {{"HTTL", "h", "FIELDS", "3", "a", "b", "none"}, "[100, -1, -2]"},
        {{"HEXPIRE", "h", "50", "GT", "FIELDS", "2", "a", "b"}, "[0, 0]"},
        {{"HEXPIRE", "h", "50", "NX", "FIELDS", "2", "a", "b"}, "[0, 1]"},
        {{"HEXPIRE", "h", "40", "LT", "FIELDS", "3", "a", "b", "c"}, "[1, 1, 1]"},
        {{"HEXPIRE", "h", "60", "XX", "FIELDS", "1", "a"}, "[1]"},
        {{"HPERSIST", "h", "FIELDS", "3", "a", "a", "none"}, "[1, -1, -2]"},
        {{"HPEXPIREAT", "h", day_ms, "FIELDS", "1", "a"}, "[1]"},
        {{"HPEXPIRETIME", "h", "FIELDS", "1", "a"}, "[" + day_ms + "]"},
        {{"HSET", "h", "a", "1"}, "0"},
        {{"HTTL", "h", "FIELDS", "1", "a"}, "[-1]"},
        {{"HEXPIRE", "h", "0", "FIELDS", "2", "a", "a"}, "[2, -2]"},
        {{"HEXPIREAT", "h", "1", "XX", "FIELDS", "2", "b", "b"}, "[2, -2]"},
        {{"HLEN", "h"}, "1"},
        {{"HEXPIRE", "string", "10", "FIELDS", "1", "a"},
         "(error) WRONGTYPE Operation against a key holding the wrong kind of value"},
        {{"HEXPIRE", "h", "x", "FIELDS", "1", "a"}, "(error) ERR value is not an integer or out of range"},
        {{"HEXPIRE", "h", "-1", "FIELDS", "1", "a"}, "(error) ERR invalid expire time, must be >= 0"},
        {{"HEXPIRE", "h", "70368744178", "FIELDS", "1", "a"},
         "(error) ERR invalid expire time in 'hexpire' command"},
        {{"HPEXPIRE", "h", "70368744177664", "FIELDS", "1", "a"},
         "(error) ERR invalid expire time in 'hpexpire' command"},
        {{"HEXPIRE", "h", "1", "NX", "XX", "FIELDS", "1", "a"}, kMissing},
        {{"HEXPIRE", "h", "1", "FIELDS", "0", "a"},
         "(error) ERR Parameter `numFields` should be greater than 0"},
        {{"HEXPIRE", "h", "1", "FIELDS", "2", "a"}, kMismatch},
        {{"HTTL", "h", "FIELDS", "0", "a"}, "(error) ERR Number of fields must be a positive integer"},
        {{"HTTL", "h", "FIELDS", "9223372036854775807", "a"}, kMismatch},
        {{"HTTL", "h", "x", "1", "a"}, kMissing},
        {{"HSETEX", "h", "FNX", "EX", "10", "FIELDS", "1", "c", "9"}, "0"},
        {{"HSETEX", "h", "FXX", "EX", "10", "FIELDS", "2", "c", "9", "d", "9"}, "0"},
        {{"HSETEX", "h", "FXX", "EX", "10", "FIELDS", "1", "c", "9"}, "1"},
        {{"HSETEX", "h", "KEEPTTL", "FIELDS", "1", "c", "8"}, "1"},
        {{"HTTL", "h", "FIELDS", "1", "c"}, "[10]"},
        {{"HGETEX", "h", "EX", "20", "FIELDS", "2", "c", "d"}, "[\"8\", nil]"},
        {{"HTTL", "h", "FIELDS", "1", "c"}, "[20]"},
        {{"HGETEX", "h", "PERSIST", "FIELDS", "1", "c"}, "[\"8\"]"},
        {{"HTTL", "h", "FIELDS", "1", "c"}, "[-1]"},
        {{"HGETEX", "h", "EX", "FIELDS", "1", "c"}, "(error) ERR value is not an integer or out of range"},
        {{"HSETEX", "h", "EX", "1", "KEEPTTL", "FIELDS", "1", "c", "9"},
         "(error) ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified"},
        {{"HSETEX", "h", "FNX", "FXX", "FIELDS", "1", "c", "9"},
         "(error) ERR Only one of FXX or FNX arguments can be specified"},
        {{"HSETEX", "h", "FOO", "FIELDS", "1", "c", "9"}, "(error) ERR unknown argument: FOO"},
        {{"HSETEX", "h", "FIELDS", "2", "c", "9"},
         "(error) ERR wrong number of arguments for 'hsetex' command"},
        {{"HSETEX", "h", "FIELDS", "0", "c", "9"}, "(error) ERR invalid number of fields"},
        {{"HGETDEL", "h", "FIELDS", "2", "c", "c"}, "[\"8\", nil]"},
        {{"EXISTS", "h"}, "0"},
        {{"HSETEX", "h", "PXAT", "1", "FIELDS", "1", "c", "9"}, "1"},
        {{"EXISTS", "h"}, "0"},
        {{"HSETEX", "h", "EX", "10", "FIELDS", "1", "n", "5"}, "1"},
        {{"HINCRBY", "h", "n", "2"}, "7"},
        {{"HINCRBYFLOAT", "h", "n", "0.5"}, "\"7.5\""},
        {{"HTTL", "h", "FIELDS", "1", "n"}, "[10]"},
        {{"RENAME", "h", "i"}, "OK"},
        {{"HTTL", "i", "FIELDS", "1", "n"}, "[10]"},
    };
    for (const auto& [words, reply] : kScript) {
      std::string said;
      for (const auto& word : words) said += word + ' ';
      CAPTURE(said);
      CHECK(bench.sim.text(words) == reply);
    }
  }

  TEST_CASE("no reader sees a field that is past, reclaimed or not, and in the end all are reclaimed") {
    for (uint64_t seed = 1; seed <= 8; ++seed) {
      CAPTURE(seed);
      ExpiryBench bench(seed, seed % 2 == 0 ? UINT32_MAX / 8 : 0);
      engine::SimEntropy dice(seed);
      if (seed % 4 < 2) bench.sim.text({"CONFIG", "SET", "hash-max-listpack-entries", "0"});
      // When each field of each hash expires.
      std::map<std::string, std::map<std::string, int64_t>> model;
      const auto forget_past = [&] {
        for (auto& [key, fields] : model)
          std::erase_if(fields,
                        [&](const auto& f) { return f.second != kNoExpiry && f.second <= bench.now(); });
        std::erase_if(model, [](const auto& hash) { return hash.second.empty(); });
      };
      for (int round = 0; round < 700; ++round) {
        CAPTURE(round);
        const std::string key = "h" + std::to_string(dice.below(4));
        const std::string field = "f" + std::to_string(dice.below(30));
        forget_past();
        // A command may let time pass while it waits, so nothing expires within that time.
        const int64_t when = bench.now() + 1000 + static_cast<int64_t>(dice.below(3000));
        switch (dice.below(12)) {
          case 0:
          case 1:
            bench.sim.command({"HSET", key, field, "v", field + "'", "w"});
            model[key][field] = model[key][field + "'"] = kNoExpiry;
            break;
          case 2:
          case 3:
          case 4:
            bench.sim.command({"HSETEX", key, "PXAT", std::to_string(when), "FIELDS", "1", field, "v"});
            model[key][field] = when;
            break;
          case 5: {
            const bool there = model.contains(key) && model[key].contains(field);
            const auto reply =
                bench.sim.command({"HPEXPIREAT", key, std::to_string(when), "FIELDS", "1", field});
            REQUIRE(reply.items.size() == 1);
            if (there && reply.items[0].integer == 1) model[key][field] = when;
            break;
          }
          case 6:
            bench.sim.command({"HDEL", key, field});
            if (model.contains(key)) model[key].erase(field);
            break;
          case 7:
            if (dice.below(4) == 0) {
              bench.sim.command({"DEL", key});
              model.erase(key);
            } else if (dice.below(4) == 0 && model.contains(key)) {
              bench.sim.command({"RENAME", key, "h0"});
              model["h0"] = model[key];
              if (key != "h0") model.erase(key);
            } else if (dice.below(10) == 0) {
              bench.restart();
              if (seed % 4 < 2) bench.sim.text({"CONFIG", "SET", "hash-max-listpack-entries", "0"});
            }
            break;
          case 8: bench.sim.world.clock.advance_ms(dice.below(700)); break;
          case 9: bench.tick(); break;
          default: {
            const auto all = bench.sim.command({"HGETALL", key});
            const auto length = bench.sim.command({"HLEN", key});
            const auto exists = bench.sim.command({"EXISTS", key});
            forget_past();
            // Time may have passed between the three, never by as much as a field lives.
            std::set<std::string> seen;
            for (size_t i = 0; i < all.items.size(); i += 2) seen.insert(all.items[i].text);
            std::set<std::string> expected;
            if (model.contains(key))
              for (const auto& [name, ms] : model[key]) expected.insert(name);
            for (const auto& name : expected) CHECK(seen.contains(name));
            CHECK(length.integer >= static_cast<int64_t>(expected.size()));
            CHECK(length.integer <= static_cast<int64_t>(seen.size()));
            CHECK((exists.integer == 1 || expected.empty()));
          }
        }
      }
      for (int n = 0; n < 80; ++n) {
        bench.sim.world.clock.advance_ms(100);
        bench.tick();
      }
      forget_past();
      CHECK(bench.index().first == 0);
      CHECK(bench.sim.command({"DBSIZE"}).integer == static_cast<int64_t>(model.size()));
      for (const auto& [key, fields] : model) {
        CAPTURE(key);
        CHECK(bench.sim.command({"HLEN", key}).integer == static_cast<int64_t>(fields.size()));
        for (const auto& [name, ms] : fields) CHECK(bench.sim.command({"HEXISTS", key, name}).integer == 1);
      }
    }
  }

  TEST_CASE("thousands of fields due at once go in turns, all of them, and other keys meanwhile") {
    uint64_t keys_told = 0;
    ExpiryBench bench(31);
    bench.told = [&](uint32_t, const std::string&) { ++keys_told; };
    for (int n = 0; n < 25; ++n) {
      Words words{"HSETEX", "h", "PX", std::to_string(50'000 + n), "FIELDS", "100"};
      for (int f = 0; f < 100; ++f) words.insert(words.end(), {"f" + std::to_string(100 * n + f), "v"});
      REQUIRE(bench.sim.text(words) == "1");
    }
    bench.sim.text({"HSET", "h", "stays", "v"});
    bench.sim.text({"SET", "other", "v", "PX", "60000"});
    bench.sim.world.clock.advance_ms(70'000);
    CHECK(bench.sim.text({"HLEN", "h"}) == "1");
    for (int n = 0; n < 3; ++n) bench.tick();
    CHECK(keys_told == 1);
    CHECK(bench.index().first == 0);
    CHECK(bench.sim.text({"HGETALL", "h"}) == "[\"stays\", \"v\"]");
  }

  TEST_CASE("a hash whose last field is reclaimed is told of as gone") {
    uint64_t keys_told = 0;
    ExpiryBench bench(32);
    bench.told = [&](uint32_t, const std::string&) { ++keys_told; };
    bench.sim.text({"HSETEX", "h", "PX", "5000", "FIELDS", "2", "a", "1", "b", "2"});
    bench.sim.world.clock.advance_ms(6000);
    bench.tick();
    bench.tick();
    CHECK(keys_told == 1);
    CHECK(bench.sim.text({"DBSIZE"}) == "0");
    CHECK(bench.index().first == 0);
  }
}
