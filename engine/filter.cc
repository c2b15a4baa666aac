#include "engine/filter.h"

#include <cstdlib>
#include <cstring>
#include <new>

#include "engine/status.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace engine {

namespace {

constexpr uint64_t kCacheLine = 64;
constexpr uint64_t kBlocksMax = uint64_t{1} << 32;  // block_of() has 32 bits to pick with.

// Odd multipliers, one a lane: the top five bits of hash * salt name the bit. Part of the format.
alignas(32) constexpr uint32_t kSalts[8] = {0x47b6137b, 0x44974d91, 0x8824ad5b, 0xa2b7289d,
                                            0x705495c7, 0x2df1424b, 0x9efc4947, 0x5c6bfb31};

bool test_block(const uint32_t* block, uint32_t hash) {
  uint32_t missing = 0;
  for (int lane = 0; lane < 8; ++lane) missing |= ~(block[lane] >> ((hash * kSalts[lane]) >> 27)) & 1;
  return missing == 0;
}

void set_block(uint32_t* block, uint32_t hash) {
  for (int lane = 0; lane < 8; ++lane) block[lane] |= 1U << ((hash * kSalts[lane]) >> 27);
}

#if defined(__x86_64__)
// The build targets plain x86-64, so AVX2 is asked for function by function and chosen when running.
__attribute__((target("avx2"))) __m256i mask_avx2(uint32_t hash) {
  const __m256i salts = _mm256_load_si256(reinterpret_cast<const __m256i*>(kSalts));
  const __m256i bits =
      _mm256_srli_epi32(_mm256_mullo_epi32(_mm256_set1_epi32(static_cast<int>(hash)), salts), 27);
  return _mm256_sllv_epi32(_mm256_set1_epi32(1), bits);
}

__attribute__((target("avx2"))) bool test_block_avx2(const uint32_t* block, uint32_t hash) {
  return _mm256_testc_si256(_mm256_load_si256(reinterpret_cast<const __m256i*>(block)), mask_avx2(hash)) != 0;
}

__attribute__((target("avx2"))) void set_block_avx2(uint32_t* block, uint32_t hash) {
  auto* const at = reinterpret_cast<__m256i*>(block);
  _mm256_store_si256(at, _mm256_or_si256(_mm256_load_si256(at), mask_avx2(hash)));
}

const bool kAvx2 = __builtin_cpu_supports("avx2") != 0;
#endif

}  // namespace

void Filter::Free::operator()(uint32_t* words) const { std::free(words); }

void Filter::allocate(uint64_t blocks) {
  if (blocks == 0) return;
  const uint64_t bytes = (blocks * kBlockBytes + kCacheLine - 1) / kCacheLine * kCacheLine;
  words_.reset(static_cast<uint32_t*>(std::aligned_alloc(kCacheLine, bytes)));
  if (words_ == nullptr) throw std::bad_alloc();
  blocks_ = blocks;
}

Filter::Filter(std::span<const uint64_t> hashes, uint32_t bits_per_key) {
  constexpr uint64_t kBlockBits = kBlockBytes * 8;
  uint64_t blocks = (hashes.size() * bits_per_key + kBlockBits - 1) / kBlockBits;
  if (blocks > kBlocksMax) blocks = kBlocksMax;
  allocate(blocks);
  if (blocks_ == 0) return;
  std::memset(words_.get(), 0, blocks_ * kBlockBytes);
  // Each key touches a random line: ask for lines well ahead of writing them.
  constexpr size_t kAhead = 16;
  for (size_t i = 0; i < hashes.size(); ++i) {
    if (i + kAhead < hashes.size()) __builtin_prefetch(words_.get() + block_of(hashes[i + kAhead]) * 8, 1);
    uint32_t* const block = words_.get() + block_of(hashes[i]) * 8;
    const auto low = static_cast<uint32_t>(hashes[i]);
#if defined(__x86_64__)
    if (kAvx2) {
      set_block_avx2(block, low);
      continue;
    }
#endif
    set_block(block, low);
  }
}

Filter::Filter(std::string_view bytes) {
  INVARIANT(bytes.size() % kBlockBytes == 0 && bytes.size() / kBlockBytes <= kBlocksMax);
  allocate(bytes.size() / kBlockBytes);
  if (blocks_ != 0) std::memcpy(words_.get(), bytes.data(), bytes.size());
}

bool Filter::may_contain(uint64_t hash) const {
  if (blocks_ == 0) return true;
  const uint32_t* const block = words_.get() + block_of(hash) * 8;
  const auto low = static_cast<uint32_t>(hash);
#if defined(__x86_64__)
  if (kAvx2) return test_block_avx2(block, low);
#endif
  return test_block(block, low);
}

}  // namespace engine
