// Removals so large that they go in steps: server/removal.h.
#include "server/removal.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "tests/server/sim_server.h"

using namespace server;

namespace {

constexpr int64_t kMembers = 12'500;
constexpr int64_t kAtOnce = 500;

// Members m10000, m10001, … with scores 10000, 10001, …, or all with one score.
void make_zset(SimServer& sim, const std::string& key, std::optional<int64_t> score = {}) {
  for (int64_t n = 10000; n < 10000 + kMembers;) {
    std::vector<std::string> words{"ZADD", key};
    for (const int64_t end = std::min(n + kAtOnce, 10000 + kMembers); n < end; ++n)
      words.insert(words.end(), {std::to_string(score.value_or(n)), "m" + std::to_string(n)});
    sim.command(words);
  }
  REQUIRE(sim.command({"ZCARD", key}).integer == kMembers);
}
// Entries 1-0, 2-0, …
void make_stream(SimServer& sim, const std::string& key, int64_t entries) {
  const auto made = sim.command({"EVAL",
                                 "for i = 1, ARGV[1] do redis.call('XADD', KEYS[1], i .. '-0', 'f', 'v') end "
                                 "return redis.call('XLEN', KEYS[1])",
                                 "1", key, std::to_string(entries)});
  REQUIRE(made.integer == entries);
}

}  // namespace

TEST_SUITE("server/removal") {
  TEST_CASE("a long ZREMRANGEBY… lets others in between, takes what it should and counts exactly") {
    struct Way {
      std::vector<std::string> words;
      int64_t first, last;  // What goes, as scores.
    };
    const Way ways[] = {
        {{"ZREMRANGEBYRANK", "z", "0", "10999"}, 10000, 20999},         // From the front,
        {{"ZREMRANGEBYSCORE", "z", "(11000", "+inf"}, 11001, 22499},    // the back,
        {{"ZREMRANGEBYLEX", "z", "[m11000", "(m22000"}, 11000, 21999},  // the middle.
    };
    for (const uint32_t cold : {uint32_t{0}, UINT32_MAX / 100}) {
      for (const Way& way : ways) {
        CAPTURE(cold);
        CAPTURE(way.words[0]);
        SimServer sim(11, cold);
        const bool by_lex = way.words[0] == "ZREMRANGEBYLEX";  // Which asks for equal scores.
        make_zset(sim, "z", by_lex ? std::optional<int64_t>(1) : std::nullopt);
        auto other = sim.connect();
        sim.send(*other, way.words);
        int64_t looks = 0, last = kMembers;
        while (!sim.replied(*other)) {
          sim.step();
          const int64_t left = sim.command({"ZCARD", "z"}).integer;
          CHECK(left <= last);
          looks += left < last;
          last = left;
        }
        CHECK(looks > 10);
        CHECK(other->parser.reply().integer == way.last - way.first + 1);
        CHECK(last == kMembers - (way.last - way.first + 1));
        std::vector<std::string> expected;
        for (int64_t n = 10000; n < 10000 + kMembers; ++n)
          if (n < way.first || n > way.last) expected.push_back("m" + std::to_string(n));
        const auto all = sim.command({"ZRANGE", "z", "0", "-1"});
        REQUIRE(all.items.size() == expected.size());
        for (size_t i = 0; i < expected.size(); ++i) REQUIRE(all.items[i].text == expected[i]);
        CHECK(sim.text({"ZSCORE", "z", "m" + std::to_string(way.first)}) == "nil");
        CHECK(sim.command({"ZRANK", "z", expected.back()}).integer == last - 1);
      }
    }
  }

  TEST_CASE("what is written behind a long removal stays, and what takes the key's place is not touched") {
    SimServer sim(12);
    make_zset(sim, "z");
    auto other = sim.connect();
    sim.send(*other, {"ZREMRANGEBYRANK", "z", "0", "11999"});
    while (sim.command({"ZCARD", "z"}).integer > kMembers - 2000) sim.step();
    CHECK(!sim.replied(*other));
    sim.command({"ZADD", "z", "1", "early", "10000.5", "late"});
    CHECK(sim.wait(*other).integer == 12000);
    CHECK(sim.command({"ZCARD", "z"}).integer == kMembers - 12000 + 2);

    make_zset(sim, "y");
    make_zset(sim, "other");
    sim.send(*other, {"ZREMRANGEBYRANK", "y", "0", "11999"});
    while (sim.command({"ZCARD", "y"}).integer > kMembers - 2000) sim.step();
    sim.command({"RENAME", "other", "y"});  // At no moment is there nothing at the key.
    const int64_t removed = sim.wait(*other).integer;
    CHECK(removed >= 2000);
    CHECK(removed < 12000);
    CHECK(sim.command({"ZCARD", "y"}).integer == kMembers);
  }

  TEST_CASE("R4: a long pop lets others in between, and shows each member once, to whoever took it") {
    struct Way {
      std::vector<std::string> words;
      bool in_order;
    };
    const Way ways[] = {{{"ZPOPMIN", "z", "11000"}, true},
                        {{"ZPOPMAX", "z", "11000"}, true},
                        {{"ZMPOP", "1", "z", "MIN", "COUNT", "11000"}, true},
                        {{"BZMPOP", "0", "1", "z", "MAX", "COUNT", "11000"}, true},
                        {{"SPOP", "s", "10200"}, false}};
    for (const uint32_t cold : {uint32_t{0}, UINT32_MAX / 100}) {
      for (const Way& way : ways) {
        CAPTURE(cold);
        CAPTURE(way.words[0]);
        SimServer sim(17, cold);
        make_zset(sim, "z");
        for (int64_t n = 0; n < kMembers; n += kAtOnce) {
          std::vector<std::string> words{"SADD", "s"};
          for (int64_t i = n; i < n + kAtOnce; ++i) words.push_back("m" + std::to_string(10000 + i));
          sim.command(words);
        }
        auto other = sim.connect();
        sim.send(*other, way.words);
        std::vector<std::string> taken;  // By anybody.
        size_t looks = 0;
        bool answered = sim.replied(*other);
        while (!answered) {
          if (++looks % 5 == 0) {
            const bool zset = way.in_order;
            const auto popped = sim.command({zset ? "ZPOPMIN" : "SPOP", zset ? "z" : "s", "1"});
            if (!popped.items.empty()) taken.push_back(popped.items[0].text);
          }
          sim.step();
          answered = sim.replied(*other);
        }
        CHECK(looks > 10);
        const resp::Reply reply = other->parser.reply();
        const bool flat = way.words[0].starts_with("ZPOP");
        const auto& items =
            way.words[0].find("MPOP") != std::string::npos ? reply.items[1].items : reply.items;
        const size_t count = flat ? items.size() / 2 : items.size();
        CHECK(count == (way.in_order ? 11000 : 10200));
        for (size_t i = 0; i < count; ++i) {
          if (flat)
            taken.push_back(items[2 * i].text);
          else
            taken.push_back(way.in_order ? items[i].items[0].text : items[i].text);
        }
        const auto rest =
            way.in_order ? sim.command({"ZRANGE", "z", "0", "-1"}) : sim.command({"SMEMBERS", "s"});
        for (const resp::Reply& item : rest.items) taken.push_back(item.text);
        std::sort(taken.begin(), taken.end());
        CHECK(std::unique(taken.begin(), taken.end()) == taken.end());
        CHECK(taken.size() == static_cast<size_t>(kMembers));
        CHECK(taken.front() == "m10000");
        CHECK(taken.back() == "m" + std::to_string(10000 + kMembers - 1));
      }
    }
  }

  TEST_CASE("R4: when its client leaves a long pop takes no more") {
    SimServer sim(18);
    make_zset(sim, "z");
    auto other = sim.connect();
    sim.send(*other, {"ZPOPMIN", "z", "12000"});
    while (sim.command({"ZCARD", "z"}).integer > kMembers - 2000) sim.step();
    other->client->close();
    for (int n = 0; n < 300; ++n) sim.step();
    CHECK(sim.command({"ZCARD", "z"}).integer > kMembers - 4000);
  }

  TEST_CASE("all of a sorted set, and what a transaction removes, goes at once") {
    SimServer sim(13);
    make_zset(sim, "z");
    CHECK(sim.command({"ZREMRANGEBYSCORE", "z", "-inf", "+inf"}).integer == kMembers);
    CHECK(sim.command({"EXISTS", "z"}).integer == 0);
    make_zset(sim, "z");
    sim.command({"MULTI"});
    sim.command({"ZREMRANGEBYRANK", "z", "1", "-1"});
    sim.command({"ZCARD", "z"});
    const auto replies = sim.command({"EXEC"});
    REQUIRE(replies.items.size() == 2);
    CHECK(replies.items[0].integer == kMembers - 1);
    CHECK(replies.items[1].integer == 1);
  }

  TEST_CASE("a long XTRIM lets others in between, by length and by id") {
    for (const bool by_id : {false, true}) {
      CAPTURE(by_id);
      SimServer sim(14);
      make_stream(sim, "s", 22'000);
      auto other = sim.connect();
      if (by_id)
        sim.send(*other, {"XTRIM", "s", "MINID", "11101"});
      else
        sim.send(*other, {"XTRIM", "s", "MAXLEN", "10900"});
      int looks = 0;
      for (int64_t last = 22'000; !sim.replied(*other);) {
        sim.step();
        const int64_t left = sim.command({"XLEN", "s"}).integer;
        looks += left < last;
        last = left;
      }
      CHECK(looks > 10);
      CHECK(other->parser.reply().integer == 11'100);
      CHECK(sim.command({"XLEN", "s"}).integer == 10'900);
      CHECK(sim.command({"XRANGE", "s", "-", "+", "COUNT", "1"}).items[0].items[0].text == "11101-0");
      CHECK(sim.command({"XINFO", "STREAM", "s"}).items.size() > 0);
    }
  }
}
