#include "server/histogram.h"

#include <doctest/doctest.h>

#include <random>

using server::Histogram;

TEST_SUITE("server/histogram") {
  TEST_CASE("a value is found again to within one part in 128, and exactly below 256") {
    std::mt19937_64 random(7);
    for (int i = 0; i < 20000; ++i) {
      const uint64_t value = random() >> (34 + random() % 30);
      CAPTURE(value);
      Histogram histogram;
      histogram.record(value);
      const uint64_t found = histogram.percentile(50);
      REQUIRE(found >= value);
      REQUIRE(found - value <= value / 128);
      if (value < 256) REQUIRE(found == value);
    }
  }

  TEST_CASE("percentiles are those of the sorted values, to within a bucket") {
    Histogram histogram;
    for (uint64_t value = 1; value <= 10000; ++value) histogram.record(value * 100);
    for (const double percent : {0.1, 1.0, 50.0, 90.0, 99.0, 99.9, 100.0}) {
      CAPTURE(percent);
      const double exact = 10000 * percent;
      const double found = static_cast<double>(histogram.percentile(percent));
      CHECK(found >= exact);
      CHECK(found <= exact * 1.01);
    }
  }

  TEST_CASE("counts up to a value grow with it and end at all of them") {
    Histogram histogram;
    std::mt19937_64 random(8);
    for (int i = 0; i < 1000; ++i) histogram.record(random() % 1'000'000);
    uint64_t before = 0;
    for (uint64_t level = 1; level <= Histogram::kValueMax; level *= 2) {
      REQUIRE(histogram.count_up_to(level) >= before);
      before = histogram.count_up_to(level);
    }
    CHECK(before == 1000);
  }

  TEST_CASE("what is longer than a second counts as a second, and an empty histogram says 0") {
    Histogram histogram;
    CHECK(histogram.percentile(50) == 0);
    histogram.record(UINT64_MAX);
    CHECK(histogram.percentile(50) >= Histogram::kValueMax);
    histogram.reset();
    CHECK(histogram.count() == 0);
    CHECK(histogram.count_up_to(Histogram::kValueMax) == 0);
  }
}
