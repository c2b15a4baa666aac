// tests/blackbox/differential.h: the same random commands to Varve and to the system's redis-server, and the
// replies compared. Without a redis-server the tests that use it pass over.
//
// VARVE_DIFFERENTIAL_SEEDS=first-last runs those seeds instead of the few of every day.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "tests/server/real_redis.h"
#include "tests/support/client.h"
#include "tests/support/server_process.h"

namespace differential {

using support::Command;

class Dice {
 public:
  explicit Dice(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15 + 1) {}
  uint64_t below(uint64_t bound) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return (state_ * 0x2545f4914f6cdd1d >> 33) % bound;
  }
  bool percent(uint64_t chance) { return below(100) < chance; }
  double between(double low, double high) {
    return low + (high - low) * static_cast<double>(below(1'000'001)) / 1e6;
  }
  std::string pick(std::initializer_list<const char*> of) { return of.begin()[below(of.size())]; }

 private:
  uint64_t state_;
};

// How far two replies must agree.
enum class Compare {
  kAll,
  kLength,  // Of arrays only how long they are: what is random, or in an order that nothing promises.
  kScan,    // A cursor of 0 and the same pairs in any order.
  kClocks,  // All but what tells of time, or of Redis's insides, in the replies about streams.
};
struct Step {
  Command command;
  Compare compare = Compare::kAll;
};

inline bool agree_but_for_clocks(const resp::Reply& a, const resp::Reply& b) {
  constexpr int64_t kSomeUnixTime = 1'000'000'000'000;
  if (a.kind != b.kind || a.items.size() != b.items.size()) return false;
  if (a.items.empty()) return a == b || (a.integer > kSomeUnixTime && b.integer > kSomeUnixTime);
  for (size_t i = 0; i < a.items.size(); ++i) {
    const std::string before = i > 0 ? a.items[i - 1].text : "";
    const bool skipped = before == "idle" || before == "radix-tree-keys" || before == "radix-tree-nodes";
    const bool idle = a.items.size() == 4 && i == 2 && a.items[i].kind == resp::Reply::Kind::kInteger;
    if (!skipped && !idle && !agree_but_for_clocks(a.items[i], b.items[i])) return false;
  }
  return true;
}

inline bool agree(const resp::Reply& a, const resp::Reply& b, Compare compare) {
  if (compare == Compare::kClocks) return agree_but_for_clocks(a, b);
  if (compare == Compare::kAll || a.kind != b.kind) return a == b;
  if (compare == Compare::kLength) {
    const bool aggregate = a.kind == resp::Reply::Kind::kArray;
    return aggregate ? a.items.size() == b.items.size() : a.is_error() ? a == b : true;
  }
  if (a.kind != resp::Reply::Kind::kArray || a.items.size() != 2) return a == b;
  const auto pairs = [](const resp::Reply& reply) {
    std::vector<std::string> out;
    const auto& items = reply.items[1].items;
    for (size_t i = 0; i + 1 < items.size(); i += 2) out.push_back(items[i].text + '\0' + items[i + 1].text);
    std::sort(out.begin(), out.end());
    return out;
  };
  return a.items[0] == b.items[0] && pairs(a) == pairs(b);
}

// `generate`: (Dice&) -> Step. `settings`: (Dice&) -> commands to both before a seed's steps.
template <typename Generate, typename Settings>
void run(uint64_t seeds, int steps, Generate generate, Settings settings) {
  const auto redis = RealRedis::start();
  if (redis == nullptr) {
    MESSAGE("no redis-server here");
    return;
  }
  const support::ServerProcess varve;
  support::Client client = support::Client::over_tcp(varve);
  uint64_t first = 1, last = seeds;
  if (const char* given = std::getenv("VARVE_DIFFERENTIAL_SEEDS")) {
    unsigned long long from = 0, to = 0;
    if (std::sscanf(given, "%llu-%llu", &from, &to) == 2) first = from, last = to;
  }
  for (uint64_t seed = first; seed <= last; ++seed) {
    CAPTURE(seed);
    Dice dice(seed);
    std::vector<Command> before = {{"FLUSHALL"}, {"HELLO", seed % 2 == 0 ? "3" : "2"}};
    for (Command& command : settings(dice)) before.push_back(std::move(command));
    for (const Command& command : before) {
      client.command(command);
      REQUIRE(redis->ask(command).has_value());
    }
    for (int i = 0; i < steps; ++i) {
      const Step step = generate(dice);
      const resp::Reply ours = client.command(step.command);
      const auto theirs = redis->ask(step.command);
      REQUIRE(theirs.has_value());
      if (agree(ours, *theirs, step.compare)) continue;
      std::string text;
      for (const std::string& word : step.command) text += word + " ";
      CAPTURE(i);
      CAPTURE(text);
      CAPTURE(to_text(ours));
      CAPTURE(to_text(*theirs));
      FAIL_CHECK("the replies differ");
      break;  // From here on the data do too.
    }
  }
}

}  // namespace differential
