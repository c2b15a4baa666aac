// server/types/bitmap.h: strings as bitmaps: counting, finding and combining without reading what is not
// there.
//
// Work and memory go with the chunks that hold anything, not with the length: a bitmap of 512 MB with one bit
// is one small record.
//
// Threads: that of the view.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "server/string_value.h"

namespace server {

// Of bits [first, last]. Requires: first <= last, within the string. Charges.
uint64_t count_bits(View& view, const Header& header, uint64_t first, uint64_t last);
// The first bit of this value in [first, last]. Requires and charges as above.
std::optional<uint64_t> find_bit(View& view, const Header& header, bool value, uint64_t first, uint64_t last);

enum class BitOperation : uint8_t { kAnd, kOr, kXor, kNot };

// The operands combined, the shorter ones filled up with zeros, become the value of `to`: `length` bytes, of
// which only the chunks with any bit set are written. Requires: `length` > 0 is that of the longest; one
// operand for kNot.
void combine_bitmaps(View& view, const StringKey& to, BitOperation operation,
                     std::span<const std::optional<Header>> operands, uint64_t length);

}  // namespace server
