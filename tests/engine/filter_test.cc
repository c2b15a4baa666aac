#include "engine/filter.h"

#include <doctest/doctest.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "engine/record.h"

namespace {

using engine::Filter;

std::vector<uint64_t> hashes_of_numbers(uint64_t first, uint64_t count) {
  std::vector<uint64_t> hashes;
  for (uint64_t i = first; i < first + count; ++i)
    hashes.push_back(engine::hash_key("key:" + std::to_string(i), 77));
  return hashes;
}

double false_positives(const Filter& filter, const std::vector<uint64_t>& absent) {
  uint64_t hits = 0;
  for (const uint64_t hash : absent) hits += filter.may_contain(hash);
  return static_cast<double>(hits) / static_cast<double>(absent.size());
}

}  // namespace

TEST_SUITE("engine/filter") {
  TEST_CASE("a key that was put in is never denied") {
    for (const uint64_t count : {1, 2, 25, 26, 1000, 100000}) {
      for (const uint32_t bits : {1U, 5U, 10U, 16U}) {
        CAPTURE(count);
        CAPTURE(bits);
        const auto hashes = hashes_of_numbers(0, count);
        const Filter filter(hashes, bits);
        uint64_t denied = 0;
        for (const uint64_t hash : hashes) denied += !filter.may_contain(hash);
        CHECK(denied == 0);
      }
    }
  }

  TEST_CASE("at 10 bits a key at most 1.5 % of absent keys pass") {
    const auto absent = hashes_of_numbers(1000000, 200000);
    for (const uint64_t count : {1000, 20000, 200000}) {
      CAPTURE(count);
      const Filter filter(hashes_of_numbers(0, count), 10);
      CHECK(filter.bytes().size() <= count * 10 / 8 + Filter::kBlockBytes);
      CHECK(false_positives(filter, absent) < 0.015);
    }
  }

  TEST_CASE("more bits let fewer absent keys pass") {
    const auto absent = hashes_of_numbers(1000000, 200000);
    const auto hashes = hashes_of_numbers(0, 50000);
    const double at8 = false_positives(Filter(hashes, 8), absent);
    const double at12 = false_positives(Filter(hashes, 12), absent);
    const double at16 = false_positives(Filter(hashes, 16), absent);
    CHECK(at8 < 0.035);
    CHECK(at12 < at8 / 2);
    CHECK(at16 < at12 / 2);
  }

  TEST_CASE("a filter made from the bytes of another answers alike") {
    const Filter filter(hashes_of_numbers(0, 1000), 10);
    const Filter copy(filter.bytes());
    CHECK(copy.bytes() == filter.bytes());
    for (const uint64_t hash : hashes_of_numbers(500, 5000)) {
      REQUIRE(copy.may_contain(hash) == filter.may_contain(hash));
    }
  }

  TEST_CASE("the vector code sets the bits that the format names, one a lane") {
    // The other half of format compatibility: a CPU without AVX2 must read what one with it wrote.
    constexpr uint32_t kSalts[8] = {0x47b6137b, 0x44974d91, 0x8824ad5b, 0xa2b7289d,
                                    0x705495c7, 0x2df1424b, 0x9efc4947, 0x5c6bfb31};
    for (const uint64_t hash : hashes_of_numbers(0, 1000)) {
      const Filter filter(std::vector<uint64_t>{hash}, 10);
      REQUIRE(filter.bytes().size() == Filter::kBlockBytes);
      for (int lane = 0; lane < 8; ++lane) {
        uint32_t word;
        std::memcpy(&word, filter.bytes().data() + 4 * lane, 4);
        REQUIRE(word == 1U << ((static_cast<uint32_t>(hash) * kSalts[lane]) >> 27));
      }
    }
  }

  TEST_CASE("no filter lets everything pass") {
    for (const Filter& filter :
         {Filter(), Filter(hashes_of_numbers(0, 100), 0), Filter(std::string_view())}) {
      CHECK(filter.bytes().empty());
      filter.prefetch(5);
      CHECK(filter.may_contain(5));
    }
  }
}
