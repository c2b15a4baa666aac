// server/string_value.h: how a string lies in the store.
//
//     inline     header payload = the bytes
//     chunked    header refers to an object, payload = length (8, little-endian);
//                elements: chunk number (4, big-endian) -> up to kChunkBytes bytes
//
// Chunk n holds the bytes from n * kChunkBytes on. A chunk that is absent or short is filled up with zeros,
// so a far SETRANGE costs one small record. A value is chunked when it is written long, or when it is changed
// in place and no longer small; then SETRANGE, APPEND, GETRANGE and the bit commands touch only what they
// change.
//
// Threads: that of the view.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "server/view.h"

namespace server {

inline constexpr uint64_t kChunkBytes = 8 << 10;
inline constexpr uint64_t kInlineMax = 32 << 10;        // A value written whole is inline up to this.
inline constexpr uint64_t kInlineChangedMax = 8 << 10;  // One that is changed in place, up to this.

// A string's place, for the commands on its bytes.
struct StringKey {
  ObjectId database;
  std::string_view name;
};

uint64_t string_length(const Header& header);

// All of it: a view into the record where it is inline, else assembled in *scratch.
std::string_view read_string(View& view, const Header& header, std::string* scratch);
// `length` bytes from `offset`. Requires: they are within it.
std::string_view read_string_range(View& view, const Header& header, uint64_t offset, uint64_t length,
                                   std::string* scratch);

// Writes a new value whole. `blind`: the writer has not looked what is there (a plain SET).
void write_string(View& view, const StringKey& key, std::string_view value, int64_t expiry_ms, bool blind);

// Overwrites the bytes from `offset`, growing the value with zeros where needed. `old` is what
// view.header() gave; without one a new value begins. Returns the new length.
uint64_t write_string_range(View& view, const StringKey& key, const std::optional<Header>& old,
                            uint64_t offset, std::string_view bytes);

}  // namespace server
