// tests/support/seeds.h: how many seeds a random test runs: few by itself, as many as one likes by hand.
//
//     VARVE_SEEDS=1-100000 build/varve-test-engine --no-skip -ts='slow/engine/crash'
#pragma once

#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>

namespace support {

struct Seeds {
  uint64_t first;
  uint64_t last;  // It too.
};

// Those of VARVE_SEEDS ("first-last", or one), or else these.
inline Seeds seeds(uint64_t first, uint64_t last) {
  const char* const wanted = std::getenv("VARVE_SEEDS");
  if (wanted == nullptr) return {first, last};
  const std::string text = wanted;
  const size_t dash = text.find('-');
  const Seeds range{std::stoull(text), std::stoull(dash == text.npos ? text : text.substr(dash + 1))};
  if (range.first > range.last) throw std::invalid_argument("VARVE_SEEDS: " + text);
  return range;
}

}  // namespace support
