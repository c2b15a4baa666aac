// SPOP of large sets, which takes what it has drawn ahead (server/drawn_members.h).
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>

#include "server/drawn_members.h"
#include "tests/server/sim_server.h"

using namespace server;

namespace {

using Model = std::set<std::string>;

void add(SimServer& sim, Model& model, const std::string& key, int first, int end) {
  std::vector<std::string> words{"SADD", key};
  for (int n = first; n < end; ++n) {
    words.push_back("member:" + std::to_string(n));
    model.insert(words.back());
  }
  sim.command(words);
}

void pop(SimServer& sim, Model& model, const std::string& key) {
  const std::string name = sim.command({"SPOP", key}).text;
  CAPTURE(name);
  REQUIRE(model.erase(name) == 1);
}

}  // namespace

TEST_SUITE("server/spop") {
  TEST_CASE("a pop gives a member and takes it away, whatever becomes of what was drawn ahead") {
    for (uint64_t seed = 1; seed <= 6; ++seed) {
      CAPTURE(seed);
      SimServer sim(seed, seed % 2 == 0 ? UINT32_MAX / 16 : 0);
      engine::SimEntropy dice(seed);
      Model model;
      for (int n = 0; n < 1000; n += 100) add(sim, model, "set", n, n + 100);
      for (int round = 0; round < 1200 && !model.empty(); ++round) {
        CAPTURE(round);
        const uint64_t dart = dice.below(100);
        if (dart < 70) {
          pop(sim, model, "set");
        } else if (dart < 80) {
          // Neighbours in the order of hashes are what has been drawn ahead.
          const auto found = sim.command({"SSCAN", "set", "0", "COUNT", "30"});
          std::vector<std::string> words{"SREM", "set"};
          for (const auto& member : found.items[1].items) words.push_back(member.text);
          if (words.size() > 2 && words.size() < model.size() / 2) {
            sim.command(words);
            for (size_t i = 2; i < words.size(); ++i) REQUIRE(model.erase(words[i]) == 1);
          }
        } else if (dart < 90) {
          sim.command({"MULTI"});
          for (int i = 0; i < 3; ++i) sim.command({"SPOP", "set"});
          if (dart < 83) {
            sim.command({"DISCARD"});
            continue;
          }
          const auto popped = sim.command({"EXEC"});
          for (const auto& one : popped.items)
            if (!one.is_null()) REQUIRE(model.erase(one.text) == 1);
        } else if (dart < 96) {
          const int first = static_cast<int>(dice.below(2000));
          add(sim, model, "set", first, first + 20);
        } else if (dart < 98) {
          sim.command({"RENAME", "set", "other"});
          sim.command({"COPY", "other", "set"});
          sim.command({"SPOP", "other"});
          sim.command({"DEL", "other"});
        } else {
          sim.restart();
        }
        REQUIRE(sim.command({"SCARD", "set"}).integer == static_cast<int64_t>(model.size()));
      }
      while (!model.empty()) pop(sim, model, "set");
      CHECK(sim.command({"SPOP", "set"}).is_null());
    }
  }

  TEST_CASE("a set that is gone and made anew gives only what it has now") {
    SimServer sim(3);
    Model old, model;
    for (int n = 0; n < 1000; n += 100) add(sim, old, "set", n, n + 100);
    pop(sim, old, "set");
    sim.command({"DEL", "set"});
    for (int n = 5000; n < 6000; n += 100) add(sim, model, "set", n, n + 100);
    while (!model.empty()) pop(sim, model, "set");
  }

  TEST_CASE("every member is popped about as often as any other") {
    constexpr int kMembers = 1000, kRounds = 40, kPops = 250;
    SimServer sim(4);
    Model model;
    for (int n = 0; n < kMembers; n += 100) add(sim, model, "set", n, n + 100);
    std::map<std::string, int> popped;
    for (int round = 0; round < kRounds; ++round) {
      std::vector<std::string> back{"SADD", "set"};
      for (int i = 0; i < kPops; ++i) {
        back.push_back(sim.command({"SPOP", "set"}).text);
        ++popped[back.back()];
      }
      // What comes back is as likely as what has stayed.
      REQUIRE(sim.command(back).integer == kPops);
    }
    CHECK(popped.size() == kMembers);
    const auto [least, most] = std::minmax_element(
        popped.begin(), popped.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
    // 10 are expected, with a deviation of 2.7.
    CHECK(least->second >= 1);
    CHECK(most->second <= 22);
  }

  TEST_CASE("names are kept for so many sets, the least lately used make room") {
    DrawnMembers drawn;
    for (engine::ObjectId set = 1; set <= DrawnMembers::kSetsMax; ++set) drawn.of(set).push_back("name");
    CHECK(drawn.of(1).size() == 1);
    CHECK(drawn.of(1000).empty());
    CHECK(drawn.of(1).size() == 1);
    CHECK(drawn.of(3).size() == 1);
    CHECK(drawn.of(2).empty());  // It had gone for 1000's sake.
    CHECK(DrawnMembers::wanted(127) < 2);
    CHECK(DrawnMembers::wanted(6400) == DrawnMembers::kNamesMax);
  }
}
