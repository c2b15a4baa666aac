// server/types/stream_id.h: the name of a stream's entry: milliseconds and a number within them.
//
// In keys it is 16 bytes, big-endian, so that byte order is the entries' order.
//
// Threads: pure functions; any. Not here: how clients write one (server/commands/stream_support.h).
#pragma once

#include <compare>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "server/types/packed.h"

namespace server {

struct StreamId {
  uint64_t ms = 0, seq = 0;
  auto operator<=>(const StreamId&) const = default;

  // False: there is none, and it has wrapped around.
  bool increment() {
    if (++seq == 0) ++ms;
    return ms != 0 || seq != 0;
  }
  bool decrement() {
    const bool first = ms == 0 && seq == 0;
    if (seq-- == 0) --ms;
    return !first;
  }
};

inline constexpr StreamId kNoStreamId{};  // No entry has it.
inline constexpr StreamId kStreamIdMax{UINT64_MAX, UINT64_MAX};
inline constexpr size_t kStreamIdBytes = 16;

inline void put_stream_id_key(std::string* out, StreamId id) {
  put_fixed(out, __builtin_bswap64(id.ms));
  put_fixed(out, __builtin_bswap64(id.seq));
}
inline StreamId take_stream_id_key(std::string_view* in) {
  const auto ms = __builtin_bswap64(take_fixed<uint64_t>(in));
  return {ms, __builtin_bswap64(take_fixed<uint64_t>(in))};
}

inline void put_stream_id(std::string* out, StreamId id) {
  put_varint(out, id.ms);
  put_varint(out, id.seq);
}
inline StreamId take_stream_id(std::string_view* in) {
  const uint64_t ms = take_varint(in);
  return {ms, take_varint(in)};
}

}  // namespace server
