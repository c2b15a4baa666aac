#include "server/types/bitmap.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

namespace server {

namespace {

constexpr uint64_t kStepsPerBytes = 4;  // Counting 8 KB takes as long as so many steps of a walk.

using Words = std::array<uint64_t, kChunkBytes / 8>;

void charge(View& view, const Chunk& chunk) {
  if (chunk.form() == Chunk::Form::kBytes) view.charge(kStepsPerBytes);
}

// The part of [first, last] that lies in chunk `number`, within the chunk.
struct Span {
  uint64_t first, last;
};
Span span_in(uint64_t number, uint64_t first, uint64_t last) {
  const uint64_t begin = number * kChunkBits;
  return {std::max(first, begin) - begin, std::min(last, begin + kChunkBits - 1) - begin};
}

// An operand of a combination: its chunks, and the one at hand as bytes.
struct Operand {
  StringChunks chunks;
  bool there;  // Whether chunks stands on one.

  Operand(View& view, const Header& header) : chunks(view, header, 0, true), there(chunks.next()) {}
};

void apply(BitOperation operation, const Words& from, Words* to) {
  for (size_t i = 0; i < to->size(); ++i) {
    switch (operation) {
      case BitOperation::kAnd: (*to)[i] &= from[i]; break;
      case BitOperation::kOr: (*to)[i] |= from[i]; break;
      case BitOperation::kXor: (*to)[i] ^= from[i]; break;
      case BitOperation::kNot: (*to)[i] = ~from[i]; break;
    }
  }
}

// The number of the next chunk in which the outcome may have a bit, from `from` on.
std::optional<uint64_t> next_number(BitOperation operation, std::span<Operand> operands, uint64_t from,
                                    uint64_t end) {
  if (operation == BitOperation::kNot) return from < end ? std::optional(from) : std::nullopt;
  std::optional<uint64_t> number;
  if (operation != BitOperation::kAnd) {
    for (const Operand& operand : operands)
      if (operand.there) number = std::min(number.value_or(end), operand.chunks.number());
    return number;
  }
  // Only where all have one: each goes on to where the furthest stands, until none has to.
  number = from;
  for (size_t agree = 0, i = 0; agree < operands.size(); i = (i + 1) % operands.size()) {
    Operand& operand = operands[i];
    while (operand.there && operand.chunks.number() < *number) operand.there = operand.chunks.next();
    if (!operand.there) return std::nullopt;
    agree = operand.chunks.number() == *number ? agree + 1 : 1;
    number = operand.chunks.number();
  }
  return number;
}

}  // namespace

uint64_t count_bits(View& view, const Header& header, uint64_t first, uint64_t last) {
  uint64_t bits = 0;
  StringChunks chunks(view, header, first / kChunkBits);
  while (chunks.next() && chunks.number() <= last / kChunkBits) {
    const Span within = span_in(chunks.number(), first, last);
    bits += chunks.chunk().count(within.first, within.last);
    charge(view, chunks.chunk());
  }
  return bits;
}

std::optional<uint64_t> find_bit(View& view, const Header& header, bool value, uint64_t first,
                                 uint64_t last) {
  uint64_t at = first;  // Up to here there is none.
  StringChunks chunks(view, header, first / kChunkBits);
  while (chunks.next() && chunks.number() <= last / kChunkBits) {
    const uint64_t begin = chunks.number() * kChunkBits;
    if (!value && begin > at) return at;  // A chunk that is not there is zeros.
    const Span within = span_in(chunks.number(), at, last);
    if (const auto found = chunks.chunk().find(value, within.first, within.last)) return begin + *found;
    charge(view, chunks.chunk());
    at = begin + kChunkBits;
  }
  return !value && at <= last ? std::optional(at) : std::nullopt;
}

void combine_bitmaps(View& view, const StringKey& to, BitOperation operation,
                     std::span<const std::optional<Header>> operands, uint64_t length) {
  std::vector<Operand> present;
  bool some_absent = false;
  for (const auto& header : operands) {
    if (header && string_length(*header) > 0)
      present.emplace_back(view, *header);
    else
      some_absent = true;
  }
  // Written at the end: a walk beside a growing batch would have to look into it at every step.
  std::vector<NumberedRecord> outcome;
  const uint64_t end = (length + kChunkBytes - 1) / kChunkBytes;
  Words sum, one;
  std::string record, all_set;
  Chunk::encode(std::string(kChunkBytes, '\xff'), &all_set);
  for (uint64_t from = 0; !(operation == BitOperation::kAnd && some_absent);) {
    const auto number = next_number(operation, present, from, end);
    if (!number) break;
    const uint64_t bytes = std::min(kChunkBytes, length - *number * kChunkBytes);
    from = *number + 1;
    // Where NOT meets no chunk, every bit is set.
    const bool absent = !present[0].there || present[0].chunks.number() != *number;
    if (operation == BitOperation::kNot && absent && bytes == kChunkBytes) {
      outcome.emplace_back(*number, all_set);
      continue;
    }
    bool first = true;
    if (operation == BitOperation::kNot) sum.fill(0);
    for (Operand& operand : present) {
      if (!operand.there || operand.chunks.number() != *number) continue;
      Words& into = first ? sum : one;
      operand.chunks.chunk().read(0, kChunkBytes, reinterpret_cast<char*>(into.data()));
      if (!first) apply(operation, one, &sum);
      first = false;
      operand.there = operand.chunks.next();
    }
    if (operation == BitOperation::kNot) apply(operation, sum, &sum);
    Chunk::encode({reinterpret_cast<const char*>(sum.data()), bytes}, &record);
    if (!record.empty()) outcome.emplace_back(*number, record);
  }
  write_string_chunks(view, to, length, outcome, kNoExpiry);
}

}  // namespace server
