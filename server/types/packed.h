// server/types/packed.h: numbers and byte strings one behind the other, as inline collections hold them.
//
// Little-endian; varints as in LEB128. Readers throw StorageError where bytes are missing: on disk that is
// damage.
//
// Threads: pure functions; any.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "server/view.h"

namespace server {

[[noreturn]] inline void malformed() {
  throw StorageError{engine::Status(engine::Code::kCorruption, "a collection's header is malformed")};
}

inline constexpr size_t kVarintBytesMax = 10;

// Returns where the next thing goes.
inline char* put_varint(char* out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) *out++ = static_cast<char>(value | 0x80);
  *out++ = static_cast<char>(value);
  return out;
}

inline void put_varint(std::string* out, uint64_t value) {
  char bytes[kVarintBytesMax];
  out->append(bytes, static_cast<size_t>(put_varint(bytes, value) - bytes));
}

inline uint64_t take_varint(std::string_view* in) {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (in->empty()) malformed();
    const auto byte = static_cast<uint8_t>((*in)[0]);
    in->remove_prefix(1);
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  malformed();
}

inline void put_bytes(std::string* out, std::string_view bytes) {
  put_varint(out, bytes.size());
  out->append(bytes);
}

inline std::string_view take_bytes(std::string_view* in) {
  const uint64_t size = take_varint(in);
  if (size > in->size()) malformed();
  const std::string_view bytes = in->substr(0, size);
  in->remove_prefix(size);
  return bytes;
}

template <typename T>
void put_fixed(std::string* out, T value) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out->append(bytes, sizeof(T));
}

template <typename T>
T take_fixed(std::string_view* in) {
  if (in->size() < sizeof(T)) malformed();
  T value;
  std::memcpy(&value, in->data(), sizeof(T));
  in->remove_prefix(sizeof(T));
  return value;
}

}  // namespace server
