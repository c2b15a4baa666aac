#include "server/types/zset.h"
#include "server/commands/zset_support.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "tests/server/data_bench.h"

using namespace server;
using server_test::DataBench;

namespace {

constexpr ObjectId kDatabase = 1'000'000;  // An id that the engine does not get round to giving out.

struct Model {
  std::map<std::string, double> scores;
  std::set<std::pair<double, std::string>> order;

  void put(const std::string& member, double score) {
    erase(member);
    scores[member] = score;
    order.emplace(score, member);
  }
  void erase(const std::string& member) {
    const auto at = scores.find(member);
    if (at == scores.end()) return;
    order.erase({at->second, member});
    scores.erase(at);
  }
  size_t rank(const std::pair<double, std::string>& of) const {
    return static_cast<size_t>(std::distance(order.begin(), order.lower_bound(of)));
  }
};

std::vector<std::pair<double, std::string>> walk(Zset::Cursor cursor, bool backward, size_t most = SIZE_MAX) {
  std::vector<std::pair<double, std::string>> out;
  for (; cursor.valid() && out.size() < most; cursor.step(backward))
    out.emplace_back(cursor.score(), cursor.member());
  return out;
}

double any_score(engine::SimEntropy& dice) {
  switch (dice.below(8)) {
    case 0: return std::numeric_limits<double>::infinity();
    case 1: return -std::numeric_limits<double>::infinity();
    case 2: return (static_cast<double>(dice.below(1000)) - 500) / 7;
    case 3: return static_cast<double>(dice.below(5)) * 1e300;
    default: return static_cast<double>(dice.below(40)) - 20;
  }
}

void compare_all(Zset& zset, const Model& model) {
  REQUIRE(zset.size() == model.order.size());
  const std::vector<std::pair<double, std::string>> expected(model.order.begin(), model.order.end());
  CHECK(walk(zset.first_from(kFirstBorder), false) == expected);
  CHECK(walk(zset.last_before(kLastBorder), true) ==
        std::vector<std::pair<double, std::string>>(expected.rbegin(), expected.rend()));
}

}  // namespace

TEST_SUITE("server/zset") {
  TEST_CASE("Z1: a sorted set is an ordered map by score and member, inline and large, through restarts") {
    for (uint64_t seed = 1; seed <= 8; ++seed) {
      CAPTURE(seed);
      DataBench bench(seed, seed % 2 == 0 ? UINT32_MAX / 8 : 0);
      ZsetLimits limits;
      limits.entries = seed % 4 < 2 ? 4 : 128;
      limits.payload_bytes = seed % 3 == 0 ? 100 : 1500;
      limits.children_max = 4 + seed;
      Model stored;
      for (int round = 0; round < 100; ++round) {
        CAPTURE(round);
        const uint64_t script = bench.dice.next();
        Model model;
        bench.run([&](View& view) {
          engine::SimEntropy dice(script);
          model = stored;
          std::vector<std::string> names;  // Members must live as long as the Zset.
          for (int i = 0; i < 12; ++i) names.push_back("m" + std::to_string(dice.below(120)));
          Zset zset(view, view.header(kDatabase, "z"), limits);
          for (const std::string& member : names) {
            const auto at = model.scores.find(member);
            const auto present = zset.score(member);
            REQUIRE(present.has_value() == (at != model.scores.end()));
            if (present) REQUIRE(*present == at->second);
            switch (dice.below(round % 10 < 7 ? 7 : 12)) {
              case 0:
              case 1:
              case 2: {
                const double score = any_score(dice);
                if (present && *present == score) break;
                zset.put(member, score, present);
                model.put(member, score);
                break;
              }
              case 3: {
                const double score = any_score(dice);
                CHECK(zset.rank(border_at(score)) == model.rank({score, ""}));
                const auto after =
                    model.rank({std::nextafter(score, std::numeric_limits<double>::infinity()), ""});
                CHECK(zset.rank(border_after(score)) ==
                      (std::isinf(score) && score > 0 ? model.order.size() : after));
                CHECK(zset.rank(border_at(score, member)) == model.rank({score, member}));
                CHECK(zset.rank(border_after(score, member)) == model.rank({score, member + '\0'}));
                break;
              }
              case 4: {
                const uint64_t rank = dice.below(model.order.size() + 1);
                auto found = walk(zset.at(rank), false, 3);
                auto expected = model.order.begin();
                std::advance(expected, rank);
                for (const auto& pair : found) CHECK(pair == *expected++);
                CHECK(found.size() == std::min<size_t>(3, model.order.size() - rank));
                break;
              }
              case 5: {
                const double score = any_score(dice);
                auto found = walk(zset.last_before(border_at(score, member)), true, 3);
                auto expected = model.order.lower_bound({score, member});
                for (const auto& pair : found) CHECK(pair == *--expected);
                CHECK(found.size() == std::min<size_t>(3, model.rank({score, member})));
                break;
              }
              default:
                if (!present) break;
                zset.erase(member, *present);
                model.erase(member);
            }
          }
          zset.save(kDatabase, "z");
        });
        stored = model;
        if (round % 7 == 3) {
          // Now and then a whole range goes: from the front, from the back, from anywhere.
          const uint64_t begin = bench.dice.below(3) == 0 ? 0 : bench.dice.below(stored.order.size() + 1);
          const uint64_t end = bench.dice.below(3) == 0
                                   ? stored.order.size()
                                   : begin + bench.dice.below(stored.order.size() - begin + 1);
          bench.run([&](View& view) {
            const auto header = view.header(kDatabase, "z");
            REQUIRE(header.has_value() == !stored.order.empty());
            if (!header) return;
            Zset zset(view, header, limits);
            auto border = [&](uint64_t rank) {
              if (rank == stored.order.size()) return std::string(kLastBorder);
              auto at = zset.at(rank);
              return border_at(at.score(), at.member());
            };
            const std::string first = border(begin), last = border(end);
            CHECK(zset.erase_between(first, last) == end - begin);
            zset.save(kDatabase, "z");
          });
          auto from = stored.order.begin();
          std::advance(from, begin);
          for (uint64_t i = begin; i < end; ++i) {
            stored.scores.erase(from->second);
            from = stored.order.erase(from);
          }
        }
        if (round % 16 == 15) bench.restart();
        bench.run([&](View& view) {
          const auto header = view.header(kDatabase, "z");
          REQUIRE(header.has_value() == !stored.order.empty());
          Zset zset(view, header, limits);
          compare_all(zset, stored);
          if (!header || header->object.id != engine::kNoObject) return;
          CHECK(stored.order.size() <= limits.entries);
          CHECK(header->payload.size() <= limits.payload_bytes + 3);
        });
      }
    }
  }

  TEST_CASE("a set written whole reads as if it had been put together one by one") {
    for (const uint64_t count : {1u, 4u, 5u, 200u}) {
      CAPTURE(count);
      DataBench bench(count);
      ZsetLimits limits;
      limits.entries = 4;
      limits.children_max = 8;
      std::vector<std::string> names;
      for (uint64_t i = 0; i < count; ++i) names.push_back("member" + std::to_string(1000 + i));
      Model model;
      for (uint64_t i = 0; i < count; ++i) model.put(names[i], static_cast<double>(i / 3));
      bench.run([&](View& view) {
        std::vector<ScoredMember> sorted;
        for (const auto& [score, member] : model.order) sorted.push_back({score, member});
        Zset::write(view, kDatabase, "z", sorted, limits);
      });
      bench.run([&](View& view) {
        Zset zset(view, view.header(kDatabase, "z"), limits);
        compare_all(zset, model);
        for (const auto& [member, score] : model.scores) CHECK(zset.score(member) == score);
        uint64_t rank = 0;
        for (const auto& [score, member] : model.order) CHECK(zset.rank(border_at(score, member)) == rank++);
      });
    }
  }

  TEST_CASE("every element is found once by a scan, in pieces about as long as asked for") {
    DataBench bench(3);
    ZsetLimits limits;
    limits.entries = 4;
    std::vector<std::string> names;
    for (int i = 0; i < 300; ++i) names.push_back("m" + std::to_string(i));
    bench.run([&](View& view) {
      Zset zset(view, std::nullopt, limits);
      for (const std::string& name : names) zset.put(name, 1, std::nullopt);
      zset.save(kDatabase, "z");
    });
    std::set<std::string> seen;
    uint64_t cursor = 0, calls = 0;
    do {
      bench.run([&](View& view) {
        std::vector<Zset::Found> found;
        cursor = Zset(view, view.header(kDatabase, "z"), limits).scan(cursor, 10, &found);
        CHECK(found.size() <= 12);
        for (const auto& [member, score] : found) CHECK(seen.insert(member).second);
      });
      ++calls;
    } while (cursor != 0);
    CHECK(seen.size() == names.size());
    CHECK(calls >= 25);
  }

  TEST_CASE("Z3: a queue that a million have passed through still finds its front in a few steps") {
    // Both ways in which queues are emptied: by range, and member by member from the front.
    for (const bool by_range : {true, false}) {
      CAPTURE(by_range);
      DataBench bench(4, 0, 4 << 20);
      ZsetLimits limits;
      limits.entries = 4;
      for (int i = 0; i < 3000; ++i) {
        const std::string name = "job" + std::to_string(i);
        bench.run([&](View& view) {
          Zset zset(view, view.header(kDatabase, "q"), limits);
          zset.put(name, i, std::nullopt);
          zset.save(kDatabase, "q");
        });
        if (i < 20) continue;
        bench.run([&](View& view) {
          Zset zset(view, view.header(kDatabase, "q"), limits);
          if (by_range) {
            CHECK(zset.erase_between(kFirstBorder, border_after(i - 20)) == 1);
          } else {
            const auto front = zset.at(0);
            REQUIRE(front.valid());
            CHECK(front.score() == i - 20);
            const std::string member(front.member());
            zset.erase(member, front.score());
          }
          zset.save(kDatabase, "q");
        });
        CHECK(bench.touched < 40);
      }
      std::string low;
      bench.run([&](View& view) {
        const auto header = view.header(kDatabase, "q");
        engine::FieldReader fields(header->payload.substr(1));
        RankIndex::Root::read(fields);
        low = fields.text();
      });
      CHECK(low > border_at(2900));
    }
  }

  TEST_CASE("the sign of zero is kept where Redis keeps it, and makes no difference to the order") {
    DataBench bench(6);
    for (const uint64_t entries : {1u, 128u}) {
      CAPTURE(entries);
      ZsetLimits limits;
      limits.entries = entries;
      bench.run([&](View& view) {
        Zset zset(view, std::nullopt, limits);
        zset.put("b", 0.0, std::nullopt);
        zset.put("a", -0.0, std::nullopt);
        zset.put("c", -0.0, std::nullopt);
        zset.save(kDatabase, "z");
      });
      bench.run([&](View& view) {
        Zset zset(view, view.header(kDatabase, "z"), limits);
        const auto all = walk(zset.at(0), false);
        REQUIRE(all.size() == 3);
        CHECK(all[0].second == "a");
        CHECK(all[1].second == "b");
        CHECK(all[2].second == "c");
        CHECK(std::signbit(all[0].first) == (entries == 1));
        CHECK(!std::signbit(all[1].first));
        CHECK(std::signbit(*zset.score("c")) == (entries == 1));
        CHECK(Zset::says_skiplist(*view.header(kDatabase, "z")) == (entries == 1));
      });
    }
  }

  // Redis looks for the ends by member alone, whatever the scores are: its own suite asks for "[b" to "[c" of
  // these.
  TEST_CASE("a range by member is found among different scores, if members rise with them") {
    DataBench bench(7);
    for (const uint64_t entries : {1u, 128u}) {
      ZsetLimits limits;
      limits.entries = entries;
      bench.run([&](View& view) {
        Zset zset(view, std::nullopt, limits);
        double score = 1;
        for (const char* member : {"a", "b", "c", "d"}) zset.put(member, score++, std::nullopt);
        zset.save(kDatabase, "z");
      });
      const auto found = [&](const char* min, const char* max) {
        std::string members;
        bench.run([&](View& view) {
          Zset zset(view, view.header(kDatabase, "z"), limits);
          const ZsetRange range = parse_lex_range(min, max)->in(zset);
          members.clear();
          for (auto cursor = zset.first_from(range.first); cursor.valid() && cursor.lies_before(range.end);
               cursor.next())
            members += cursor.member();
        });
        return members;
      };
      CHECK(found("[b", "[c") == "bc");
      CHECK(found("(b", "[c") == "c");
      CHECK(found("[b", "(c") == "b");
      CHECK(found("-", "(c") == "ab");
      CHECK(found("(a", "+") == "bcd");
      CHECK(found("[aa", "[bb") == "b");
      CHECK(found("[e", "+") == "");
      CHECK(found("+", "-") == "");
    }
  }
}
