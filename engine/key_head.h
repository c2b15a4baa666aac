// engine/key_head.h: the first eight bytes of a key as one integer that orders as the bytes do.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace engine {

inline uint64_t load_head(const char* from) {
  uint64_t head;
  std::memcpy(&head, from, sizeof head);
  return std::endian::native == std::endian::little ? __builtin_bswap64(head) : head;
}

// Shorter keys are padded with zeros: equal heads decide nothing, unequal ones decide.
inline uint64_t key_head(std::string_view key) {
  if (key.size() >= sizeof(uint64_t)) [[likely]]
    return load_head(key.data());
  char padded[sizeof(uint64_t)] = {};
  if (!key.empty()) std::memcpy(padded, key.data(), key.size());
  return load_head(padded);
}

// As string_view::compare, without a call: neighbours mostly differ in one of the first few words.
inline int compare_keys(std::string_view a, std::string_view b) {
  const size_t limit = std::min(a.size(), b.size());
  size_t n = 0;
  for (; n + sizeof(uint64_t) <= limit; n += sizeof(uint64_t)) {
    const uint64_t left = load_head(a.data() + n), right = load_head(b.data() + n);
    if (left != right) return left < right ? -1 : 1;
  }
  for (; n < limit; ++n) {
    const auto left = static_cast<unsigned char>(a[n]), right = static_cast<unsigned char>(b[n]);
    if (left != right) return left < right ? -1 : 1;
  }
  return a.size() < b.size() ? -1 : a.size() > b.size() ? 1 : 0;
}

// Whether key.starts_with(prefix), without a call.
inline bool has_prefix(std::string_view key, std::string_view prefix) {
  if (key.size() < prefix.size()) return false;
  const size_t size = prefix.size();
  size_t n = 0;
  for (; n + sizeof(uint64_t) <= size; n += sizeof(uint64_t))
    if (std::memcmp(key.data() + n, prefix.data() + n, sizeof(uint64_t)) != 0) return false;
  if (size >= sizeof(uint64_t)) {  // The last word, over some bytes once more.
    n = size - sizeof(uint64_t);
    return std::memcmp(key.data() + n, prefix.data() + n, sizeof(uint64_t)) == 0;
  }
  for (; n < size; ++n)
    if (key[n] != prefix[n]) return false;
  return true;
}

inline size_t common_prefix(std::string_view a, std::string_view b) {
  const size_t limit = std::min(a.size(), b.size());
  size_t n = 0;
  while (n < limit && a[n] == b[n]) ++n;
  return n;
}

}  // namespace engine
