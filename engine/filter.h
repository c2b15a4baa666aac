// engine/filter.h: a split-block Bloom filter over key hashes (Putze, Sanders, Singler 2007; Apple 2017).
//
// A key has one block of 256 bits, picked by the upper half of its hash, and one bit in each of the block's
// eight 32-bit lanes, picked by the lower half. So a probe touches one half of one cache line, and all eight
// lanes are tested at once where the CPU has AVX2.
//
//     bits per key      8       10      12      16
//     false positives   2.7 %   1.2 %   0.6 %   0.2 %     (a plain Bloom filter has 0.8 % at 10)
//
// Threads: a Filter is immutable; any.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace engine {

class Filter {
 public:
  static constexpr uint64_t kBlockBytes = 32;

  // No filter: contains everything.
  Filter() = default;
  // Over keys of these hashes; duplicates do no harm. bits_per_key = 0 makes none.
  Filter(std::span<const uint64_t> hashes, uint32_t bits_per_key);
  // From bytes() of another. Requires: bytes.size() % kBlockBytes == 0.
  explicit Filter(std::string_view bytes);

  // False: no key of this hash was there when it was built. 2 to 7 ns, and a cache miss if not prefetched.
  bool may_contain(uint64_t hash) const;
  void prefetch(uint64_t hash) const {
    if (blocks_ != 0) __builtin_prefetch(words_.get() + block_of(hash) * 8);
  }

  std::string_view bytes() const {
    return {reinterpret_cast<const char*>(words_.get()), blocks_ * kBlockBytes};
  }

 private:
  struct Free {
    void operator()(uint32_t* words) const;
  };
  uint64_t block_of(uint64_t hash) const { return ((hash >> 32) * blocks_) >> 32; }
  void allocate(uint64_t blocks);

  std::unique_ptr<uint32_t, Free> words_;  // Eight a block, aligned to a cache line.
  uint64_t blocks_ = 0;
};

}  // namespace engine
