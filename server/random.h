// server/random.h: the dice of a command.
//
// A handler may run several times and must choose the same each time: it makes its dice from
// CommandContext::random_seed. Good enough for fair picks (SplitMix64; Steele, Lea, Flood 2014), no secret.
//
// Threads: the owner's only.
#pragma once

#include <cstdint>

namespace server {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t next() {
    state_ += 0x9e3779b97f4a7c15;
    uint64_t x = state_;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
  }

  // Each of 0 .. bound-1 alike. Requires: bound > 0.
  uint64_t below(uint64_t bound) {
    // The high half of a product is fair but for the first few values of the low half (Lemire 2019).
    const uint64_t unfair = -bound % bound;
    for (;;) {
      const __uint128_t product = static_cast<__uint128_t>(next()) * bound;
      if (static_cast<uint64_t>(product) >= unfair) return static_cast<uint64_t>(product >> 64);
    }
  }

 private:
  uint64_t state_;
};

}  // namespace server
