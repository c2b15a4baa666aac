#include "server/types/hyperloglog.h"

#include <doctest/doctest.h>

#include <cmath>

#include "engine/sim.h"

using namespace server;

namespace {

constexpr uint64_t kSparseMax = 3000;

HllPlace place_of(uint64_t number) { return hll_place(std::to_string(number)); }

HllRegisters registers_of(const HyperLogLog& hll) {
  HllRegisters registers{};
  REQUIRE(hll_merge(hll.bytes(), &registers));
  return registers;
}

}  // namespace

TEST_SUITE("server/hyperloglog") {
  TEST_CASE("sparse and dense hold the same registers, which are the greatest seen") {
    engine::SimEntropy dice(1);
    HyperLogLog sparse = HyperLogLog::empty(), dense = HyperLogLog::empty();
    REQUIRE(dense.make_dense());
    HllRegisters expected{};
    for (int n = 0; n < 3000; ++n) {
      const HllPlace place{static_cast<uint32_t>(dice.below(kHllRegisters)),
                           static_cast<uint8_t>(1 + dice.below(dice.below(50) == 0 && n > 1000 ? 51 : 8))};
      const bool raises = place.value > expected[place.index];
      if (raises) expected[place.index] = place.value;
      const auto outcome = raises ? HyperLogLog::Outcome::kChanged : HyperLogLog::Outcome::kSame;
      CHECK(sparse.raise(place, 20'000) == outcome);
      CHECK(dense.raise(place, 0) == outcome);
      if (n == 1000) CHECK_FALSE(hll_is_dense(sparse.bytes()));
      if (n % 100 == 0) CHECK(hll_count(sparse.bytes()) == hll_count(dense.bytes()));
    }
    CHECK(registers_of(sparse) == expected);
    CHECK(registers_of(dense) == expected);
    CHECK(hll_count(expected) == hll_count(dense.bytes()));
  }

  TEST_CASE("the estimate is near, from one element to a million") {
    HyperLogLog hll = HyperLogLog::empty();
    CHECK(hll_count(hll.bytes()) == 0);
    uint64_t checkpoint = 1;
    for (uint64_t n = 1; n <= 1'000'000; ++n) {
      hll.raise(place_of(n), kSparseMax);
      if (n != checkpoint) continue;
      CAPTURE(n);
      const double off = std::abs(static_cast<double>(*hll_count(hll.bytes())) - static_cast<double>(n));
      CHECK(off <= 0.03 * static_cast<double>(n));
      checkpoint *= 10;
    }
    CHECK(hll.bytes().size() == kHllDenseBytes);
  }

  TEST_CASE("whatever the bytes, they are read without harm, and what is unsound is called so") {
    engine::SimEntropy dice(2);
    uint64_t corrupt = 0, sound = 0;
    for (int round = 0; round < 4000; ++round) {
      HyperLogLog good = HyperLogLog::empty();
      for (uint64_t i = dice.below(40); i > 0; --i) good.raise(place_of(dice.next()), kSparseMax);
      if (dice.below(10) == 0) REQUIRE(good.make_dense());
      std::string bytes = good.bytes();
      for (uint64_t i = dice.below(4); i > 0; --i) {
        const uint64_t at = dice.below(bytes.size());
        switch (dice.below(4)) {
          case 0: bytes[at] = static_cast<char>(dice.next()); break;
          case 1: bytes.resize(at); break;
          case 2: bytes.append(1 + dice.below(40'000), static_cast<char>(dice.next())); break;
          case 3: bytes.insert(at, 1, static_cast<char>(dice.next())); break;
        }
        if (bytes.empty()) break;
      }
      if (!is_hyperloglog(bytes)) continue;
      HllRegisters registers{};
      const bool merges = hll_merge(bytes, &registers);
      const auto count = hll_count(bytes);
      if (count) CHECK((merges || !hll_is_dense(bytes)));
      (merges ? sound : corrupt) += 1;
      hll_decode(bytes);
      HyperLogLog hll(bytes);
      for (int i = 0; i < 20; ++i) {
        const auto outcome = hll.raise(
            {static_cast<uint32_t>(dice.below(kHllRegisters)), static_cast<uint8_t>(1 + dice.below(51))},
            kSparseMax);
        if (merges && count) CHECK(outcome != HyperLogLog::Outcome::kCorrupt);
      }
    }
    CHECK(corrupt > 500);
    CHECK(sound > 500);
  }
}
