// engine/key_head.h: the first eight bytes of a key as one integer that orders as the bytes do.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace engine {

// Shorter keys are padded with zeros: equal heads decide nothing, unequal ones decide.
inline uint64_t key_head(std::string_view key) {
  uint64_t head = 0;
  if (key.size() >= sizeof head) [[likely]] {
    std::memcpy(&head, key.data(), sizeof head);
  } else if (!key.empty()) {
    std::memcpy(&head, key.data(), key.size());
  }
  return std::endian::native == std::endian::little ? __builtin_bswap64(head) : head;
}

inline size_t common_prefix(std::string_view a, std::string_view b) {
  const size_t limit = std::min(a.size(), b.size());
  size_t n = 0;
  while (n < limit && a[n] == b[n]) ++n;
  return n;
}

}  // namespace engine
