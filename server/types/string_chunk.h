// server/types/string_chunk.h: the record of one chunk of a long string.
//
//     form (1) | body
//
//     kBytes       the chunk's bytes, without the zeros at its end
//     kOffsets     the offsets of its set bits, rising, 2 bytes each, little-endian
//     kRuns        its runs of set bits: first and last offset of each, 2 + 2 bytes, rising
//
// A chunk has 2^16 bits, so these are the three containers of Roaring, and a long string is a Roaring bitmap
// whose containers are records: one bit far out costs a record of 3 bytes. (Roaring's own serialised form
// would put a header of 16 bytes before each container, and Debian's version cannot check what it reads.)
// Bits are counted as Redis does: bit 0 is the highest of byte 0. A chunk without a set bit has no record.
//
// Threads: pure functions; any. Not here: where chunks lie (server/string_value.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace server {

inline constexpr uint64_t kChunkBytes = 8 << 10;
inline constexpr uint64_t kChunkBits = kChunkBytes * 8;
static_assert(kChunkBits == 1 << 16);  // Offsets of bits take 2 bytes.

// ---- bits of plain bytes; first and last are offsets of bits, both included

// Requires: first <= last < bytes.size() * 8. Some 8 bytes a cycle.
uint64_t count_bits(std::string_view bytes, uint64_t first, uint64_t last);
// The first bit of this value in [first, last]. Requires: as count_bits().
std::optional<uint64_t> find_bit(std::string_view bytes, bool value, uint64_t first, uint64_t last);

class Chunk {
 public:
  enum class Form : uint8_t { kBytes = 0, kOffsets = 1, kRuns = 2 };

  // Nullopt: no chunk's record (a damaged store; the caller says so).
  static std::optional<Chunk> parse(std::string_view record);
  // A chunk that has no record of its own, e.g. a part of an inline string. Requires: <= kChunkBytes.
  static Chunk of(std::string_view bytes) { return Chunk(Form::kBytes, bytes); }
  // The record of these bytes, in the shortest form; empty if all are zero. Replaces *record.
  static void encode(std::string_view bytes, std::string* record);

  Form form() const { return form_; }
  // Bytes [from, from + size) of the chunk, zeros included. Requires: within the chunk.
  void read(uint64_t from, uint64_t size, char* to) const;
  // As the functions above, over all kChunkBits.
  uint64_t count(uint64_t first, uint64_t last) const;
  std::optional<uint64_t> find(bool value, uint64_t first, uint64_t last) const;

 private:
  Chunk(Form form, std::string_view body) : form_(form), body_(body) {}
  uint16_t number(uint64_t index) const;  // Of the body's.
  uint64_t numbers() const { return body_.size() / 2; }
  // The index of the first number that is not below `value`, among every `step`th from `begin`.
  uint64_t lower_bound(uint64_t value, uint64_t begin, uint64_t step) const;

  Form form_;
  std::string_view body_;
};

}  // namespace server
