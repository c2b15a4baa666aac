// SCAN, KEYS, KRANGE, KCOUNT, KDELRANGE against a std::map.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>

#include "server/glob.h"
#include "server/key_bounds.h"
#include "server/range_deletion.h"
#include "tests/server/sim_server.h"

using namespace server;
using resp::Reply;
using resp::to_text;

namespace {

using Words = std::vector<std::string>;

std::vector<std::string> texts(const Reply& reply) {
  std::vector<std::string> all;
  for (const Reply& item : reply.items) all.push_back(item.text);
  return all;
}

// Keys with values, and which of them expire.
struct Model {
  struct Entry {
    std::string value;
    int64_t expiry_ms = kNoExpiry;
  };
  std::map<std::string, Entry> keys;

  void drop_expired(int64_t now_ms) {
    std::erase_if(keys, [&](const auto& key) {
      return key.second.expiry_ms != kNoExpiry && key.second.expiry_ms <= now_ms;
    });
  }
};

std::string random_key(engine::SimEntropy& dice) {
  static constexpr const char* kPrefixes[] = {"a:", "b:", "user:", "u"};
  return kPrefixes[dice.below(4)] + std::to_string(dice.below(400));
}

// One write, or the passing of time, in both.
void write_something(SimServer& sim, Model& model, engine::SimEntropy& dice) {
  const std::string key = random_key(dice);
  switch (dice.below(12)) {
    case 0:
    case 1:
      model.keys.erase(key);
      sim.command({"DEL", key});
      break;
    case 2: {
      const int64_t ms = 1 + static_cast<int64_t>(dice.below(50));
      model.keys[key] = {"short", sim.world.clock.wall_ms() + ms};
      sim.command({"SET", key, "short", "PX", std::to_string(ms)});
      break;
    }
    case 3:
      sim.world.clock.advance_ms(dice.below(20));
      model.drop_expired(sim.world.clock.wall_ms());
      break;
    case 4:
      if (dice.below(20) == 0) sim.restart();
      break;
    case 5: {  // Long ones are in chunks.
      const std::string value(40000 + dice.below(10000), 'v');
      if (dice.below(10) != 0) break;
      model.keys[key] = {value, kNoExpiry};
      sim.command({"SET", key, value});
      break;
    }
    default: {
      const std::string value(dice.below(150), static_cast<char>('a' + dice.below(26)));
      model.keys[key] = {value, kNoExpiry};
      sim.command({"SET", key, value});
    }
  }
}

struct Bounds {
  std::string min, max;
};
Bounds random_bounds(engine::SimEntropy& dice) {
  const auto bound = [&](const char* open) -> std::string {
    if (dice.below(5) == 0) return open;
    return (dice.below(2) == 0 ? "[" : "(") + random_key(dice).substr(0, 1 + dice.below(6));
  };
  return {bound("-"), bound("+")};
}

bool within(const Bounds& bounds, const std::string& key) {
  const auto parsed = parse_key_bounds(bounds.min, bounds.max);
  return parsed->contains(key) && !parsed->empty();
}

constexpr uint32_t kOften = UINT32_MAX / 4;

}  // namespace

TEST_SUITE("server/key_ranges") {
  TEST_CASE("KRANGE, KCOUNT and KEYS give what a map gives, with every option, cold or not") {
    for (uint64_t seed = 1; seed <= 6; ++seed) {
      CAPTURE(seed);
      SimServer sim(seed, seed % 2 == 0 ? kOften : 0);
      engine::SimEntropy dice(seed);
      Model model;
      for (int round = 0; round < 40; ++round) {
        for (int n = 0; n < 40; ++n) write_something(sim, model, dice);
        const Bounds bounds = random_bounds(dice);
        CAPTURE(bounds.min);
        CAPTURE(bounds.max);
        std::vector<std::string> expected;
        for (const auto& [key, entry] : model.keys)
          if (within(bounds, key)) expected.push_back(key);
        CHECK(sim.command({"KCOUNT", bounds.min, bounds.max}).integer ==
              static_cast<int64_t>(expected.size()));

        Words words{"KRANGE", bounds.min, bounds.max};
        if (dice.below(2) == 0) {
          std::swap(words[1], words[2]);
          words.push_back("rev");
          std::reverse(expected.begin(), expected.end());
        }
        if (dice.below(2) == 0) {
          const int64_t offset = static_cast<int64_t>(dice.below(30)) - 2;
          const int64_t count = static_cast<int64_t>(dice.below(30)) - 2;
          words.insert(words.end(), {"LIMIT", std::to_string(offset), std::to_string(count)});
          if (offset < 0 || offset > static_cast<int64_t>(expected.size()))
            expected.clear();
          else
            expected.erase(expected.begin(), expected.begin() + offset);
          if (count >= 0 && count < static_cast<int64_t>(expected.size()))
            expected.resize(static_cast<size_t>(count));
        }
        if (dice.below(4) == 0) {
          const bool strings = dice.below(2) == 0;
          words.insert(words.end(), {"TYPE", strings ? "STRING" : "hash"});
          if (!strings) expected.clear();
        }
        if (dice.below(2) == 0) {
          words.push_back("VALUES");
          std::vector<std::string> pairs;
          for (const std::string& key : expected) {
            pairs.push_back(key);
            pairs.push_back(model.keys[key].value);
          }
          expected = pairs;
        }
        CHECK(texts(sim.command(words)) == expected);

        static constexpr const char* kPatterns[] = {"*",  "user:1*", "a:1?",     "b:12",
                                                    "*1", "[ab]:*",  "nothing*", ""};
        const std::string pattern = kPatterns[dice.below(std::size(kPatterns))];
        std::vector<std::string> matches;
        for (const auto& [key, entry] : model.keys)
          if (glob_match(pattern, key)) matches.push_back(key);
        CHECK(texts(sim.command({"KEYS", pattern})) == matches);
      }
    }
  }

  TEST_CASE("a long range is walked by a worker, and gives the same") {
    SimServer sim(3);
    for (int n = 0; n < 6000; ++n) sim.command({"SET", "k" + std::to_string(n), "v"});
    CHECK(sim.command({"KCOUNT", "-", "+"}).integer == 6000);
    CHECK(sim.command({"KRANGE", "-", "+"}).items.size() == 6000);
    CHECK(sim.command({"KEYS", "*9"}).items.size() == 600);
    CHECK(sim.command({"SCAN", "0", "COUNT", "100000"}).items[1].items.size() == 6000);
    CHECK(sim.server->stats().long_reads >= 4);
    CHECK(sim.command({"KRANGE", "-", "+", "LIMIT", "0", "10"}).items.size() == 10);
  }

  TEST_CASE(
      "SCAN returns each key that is there from beginning to end, once, whatever is written meanwhile") {
    for (uint64_t seed = 1; seed <= 8; ++seed) {
      CAPTURE(seed);
      SimServer sim(seed, seed % 2 == 0 ? kOften : 0);
      engine::SimEntropy dice(seed);
      Model model;
      for (int n = 0; n < 600; ++n) write_something(sim, model, dice);
      for (int round = 0; round < 8; ++round) {
        const bool ranged = dice.below(2) == 0;
        const Bounds bounds = ranged ? random_bounds(dice) : Bounds{"-", "+"};
        static constexpr const char* kPatterns[] = {"*", "user:*", "u*1?", "*3"};
        const std::string pattern = kPatterns[dice.below(4)];
        CAPTURE(pattern);
        const auto wanted = [&](const std::string& key) {
          return within(bounds, key) && glob_match(pattern, key);
        };
        std::set<std::string> stayed, ever;
        for (const auto& [key, entry] : model.keys)
          if (wanted(key)) {
            stayed.insert(key);
            ever.insert(key);
          }
        std::set<std::string> seen;
        std::string cursor = "0", last;
        int pages = 0;
        do {
          REQUIRE(++pages < 2000);
          Words words{"SCAN", cursor, "MATCH", pattern};
          if (dice.below(2) == 0) words.insert(words.end(), {"COUNT", std::to_string(1 + dice.below(40))});
          if (ranged) words.insert(words.end(), {"RANGE", bounds.min, bounds.max});
          const Reply page = sim.command(words);
          REQUIRE(page.items.size() == 2);
          if (dice.below(4) == 0) {  // The reply was lost: asked again, it says the same.
            const Reply again = sim.command(words);
            CHECK(again.items[1] == page.items[1]);
          }
          for (const std::string& key : texts(page.items[1])) {
            REQUIRE(key > last);  // In order, so none twice.
            last = key;
            seen.insert(key);
          }
          cursor = page.items[0].text;
          for (uint64_t n = dice.below(10); n > 0; --n) {
            // Not write_something(): a restart would forget the cursor.
            const std::string key = random_key(dice);
            if (dice.below(2) == 0) {
              sim.command({"SET", key, std::string(dice.below(200), 'w')});
              model.keys[key] = {std::string(), kNoExpiry};
              if (wanted(key)) ever.insert(key);
            } else {
              sim.command({"DEL", key});
              model.keys.erase(key);
              stayed.erase(key);
            }
          }
          sim.world.clock.advance_ms(1);
          model.drop_expired(sim.world.clock.wall_ms());
          std::erase_if(stayed, [&](const std::string& key) { return !model.keys.contains(key); });
        } while (cursor != "0");
        for (const std::string& key : stayed) {
          CAPTURE(key);
          CHECK(seen.contains(key));
        }
        for (const std::string& key : seen) {
          CAPTURE(key);
          CHECK(ever.contains(key));
        }
        for (auto& [key, entry] : model.keys) entry.value.clear();
      }
    }
  }

  TEST_CASE("a cursor serves any connection, goes on after FLUSHDB, and one of another life is refused") {
    SimServer sim(5);
    for (int n = 0; n < 100; ++n) sim.command({"SET", "k" + std::to_string(100 + n), "v"});
    const std::string cursor = sim.command({"SCAN", "0", "COUNT", "50"}).items[0].text;
    auto other = sim.connect();
    sim.send(*other, {"SCAN", cursor, "COUNT", "50"});
    const Reply page = sim.wait(*other);
    CHECK(page.items[0].text == "0");
    CHECK(texts(page.items[1]).front() == "k150");
    sim.command({"FLUSHDB"});
    sim.command({"SET", "k100", "v"});
    sim.command({"SET", "k170", "v"});
    CHECK(sim.text({"SCAN", cursor}) == "[\"0\", [\"k170\"]]");
    sim.restart();
    CHECK(sim.text({"SCAN", cursor}) ==
          "(error) ERR unknown cursor, it is too old or not from this server: start again at 0");
    CHECK(sim.text({"SCAN", "abc"}) == "(error) ERR invalid cursor");
  }

  TEST_CASE("MATCH with a literal prefix looks at nothing else, and SCAN looks at COUNT keys and no more") {
    SimServer sim(6);
    for (int n = 0; n < 500; ++n) sim.command({"SET", "a" + std::to_string(n), "v"});
    sim.command({"SET", "b1", "v"});
    sim.command({"SET", "b2", "v"});
    for (int n = 0; n < 500; ++n) sim.command({"SET", "c" + std::to_string(n), "v"});
    CHECK(sim.text({"SCAN", "0", "MATCH", "b*"}) == "[\"0\", [\"b1\", \"b2\"]]");
    CHECK(sim.text({"SCAN", "0", "MATCH", "b2"}) == "[\"0\", [\"b2\"]]");
    const Reply page = sim.command({"SCAN", "0", "MATCH", "*b1", "COUNT", "20"});
    CHECK(page.items[0].text != "0");
    CHECK(page.items[1].items.empty());
  }

  TEST_CASE("KDELRANGE deletes what a map deletes, small ranges in one batch and long ones in steps") {
    for (uint64_t seed = 1; seed <= 4; ++seed) {
      CAPTURE(seed);
      SimServer sim(seed, seed % 2 == 0 ? kOften / 8 : 0);
      engine::SimEntropy dice(seed);
      Model model;
      for (int round = 0; round < 12; ++round) {
        for (int n = 0; n < 100; ++n) write_something(sim, model, dice);
        const Bounds bounds = random_bounds(dice);
        model.drop_expired(sim.world.clock.wall_ms());
        const int64_t expected = static_cast<int64_t>(
            std::erase_if(model.keys, [&](const auto& key) { return within(bounds, key.first); }));
        CHECK(sim.command({"KDELRANGE", bounds.min, bounds.max}).integer == expected);
        std::vector<std::string> left;
        for (const auto& [key, entry] : model.keys) left.push_back(key);
        REQUIRE(texts(sim.command({"KEYS", "*"})) == left);
      }
    }
  }

  TEST_CASE(
      "a long KDELRANGE lets others in between, deletes no key appended behind its end, and counts exactly") {
    for (const uint32_t cold : {uint32_t{0}, UINT32_MAX / 50}) {
      CAPTURE(cold);
      SimServer sim(9, cold);
      constexpr int kKeys = 3000;
      for (int n = 0; n < kKeys; ++n) {
        Words words{"SET", "k" + std::to_string(10000 + n), "v"};
        if (n % 3 == 0) words.insert(words.end(), {"EX", "1000"});
        sim.command(words);
      }
      sim.command({"SET", "a", "stays"});
      auto other = sim.connect();
      sim.send(*other, {"KDELRANGE", "[k", "+"});
      while (sim.command({"DBSIZE"}).integer == kKeys + 1) sim.step();  // Until it has begun.
      CHECK(!sim.replied(*other));
      int appended = 0;
      int64_t left = 0, least = kKeys;
      while (!sim.replied(*other)) {
        REQUIRE(sim.step());
        sim.command({"SET", "kz" + std::to_string(appended++), "later"});
        left = sim.command({"DBSIZE"}).integer - 1 - appended;
        CHECK(left <= least);
        least = left;
      }
      CHECK(appended > 2);
      CHECK(other->parser.reply().integer == kKeys);
      CHECK(sim.command({"DBSIZE"}).integer == 1 + appended);
      CHECK(sim.command({"KCOUNT", "[kz", "+"}).integer == appended);
    }
  }

  TEST_CASE("FLUSHDB ends a long KDELRANGE, and what is written after it stays") {
    SimServer sim(10);
    for (int n = 0; n < 3000; ++n) sim.command({"SET", "k" + std::to_string(n), "v"});
    auto other = sim.connect();
    sim.send(*other, {"KDELRANGE", "-", "+"});
    while (sim.command({"DBSIZE"}).integer == 3000) sim.step();
    sim.command({"FLUSHDB"});
    for (int n = 0; n < 3000; ++n) sim.command({"SET", "k" + std::to_string(n), "v"});
    const int64_t deleted = sim.wait(*other).integer;
    CHECK(deleted > 0);
    CHECK(deleted < 3000);
    CHECK(sim.command({"DBSIZE"}).integer == 3000);
  }
}
