#include "server/types/string_chunk.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace server {

namespace {

static_assert(std::endian::native == std::endian::little);

// Eight bytes with their first bit highest; fewer at the end of the text are filled up with zeros.
uint64_t load_word(std::string_view bytes, uint64_t at) {
  uint64_t word = 0;
  std::memcpy(&word, bytes.data() + at, std::min<uint64_t>(8, bytes.size() - at));
  return __builtin_bswap64(word);
}

uint64_t count_words_plainly(const char* bytes, uint64_t words) {
  uint64_t bits = 0;
  for (uint64_t i = 0; i < words; ++i) {
    uint64_t word = 0;
    std::memcpy(&word, bytes + i * 8, 8);
    bits += static_cast<uint64_t>(std::popcount(word));
  }
  return bits;
}

#if defined(__x86_64__)
__attribute__((target("popcnt"))) uint64_t count_words_by_instruction(const char* bytes, uint64_t words) {
  uint64_t bits = 0;
  for (uint64_t i = 0; i < words; ++i) {
    uint64_t word = 0;
    std::memcpy(&word, bytes + i * 8, 8);
    bits += static_cast<uint64_t>(__builtin_popcountll(word));
  }
  return bits;
}
const auto count_words =
    __builtin_cpu_supports("popcnt") ? &count_words_by_instruction : &count_words_plainly;
#else
const auto count_words = &count_words_plainly;
#endif

// The bits of a byte from its `first` to its `last`, counted from the highest.
uint8_t byte_mask(uint64_t first, uint64_t last) {
  return static_cast<uint8_t>((0xff >> first) & (0xff << (7 - last)));
}

void append_number(std::string* out, uint64_t number) {
  out->push_back(static_cast<char>(number));
  out->push_back(static_cast<char>(number >> 8));
}

// Sets bits [first, last] of a chunk in `to`, which holds its bytes [from, from + size).
void set_bits(char* to, uint64_t from, uint64_t size, uint64_t first, uint64_t last) {
  const uint64_t begin = from * 8, end = (from + size) * 8;
  if (size == 0 || last < begin || first >= end) return;
  first = std::max(first, begin) - begin;
  last = std::min(last, end - 1) - begin;
  if (first > last) return;
  const uint64_t first_byte = first / 8, last_byte = last / 8;
  const auto add = [&](uint64_t at, uint8_t mask) {
    to[at] = static_cast<char>(static_cast<uint8_t>(to[at]) | mask);
  };
  if (first_byte == last_byte) return add(first_byte, byte_mask(first % 8, last % 8));
  add(first_byte, byte_mask(first % 8, 7));
  std::memset(to + first_byte + 1, 0xff, last_byte - first_byte - 1);
  add(last_byte, byte_mask(0, last % 8));
}

}  // namespace

uint64_t count_bits(std::string_view bytes, uint64_t first, uint64_t last) {
  const uint64_t first_byte = first / 8, last_byte = last / 8;
  const auto masked = [&](uint64_t at, uint8_t mask) {
    return static_cast<uint64_t>(std::popcount(static_cast<uint8_t>(static_cast<uint8_t>(bytes[at]) & mask)));
  };
  if (first_byte == last_byte) return masked(first_byte, byte_mask(first % 8, last % 8));
  uint64_t bits = masked(first_byte, byte_mask(first % 8, 7)) + masked(last_byte, byte_mask(0, last % 8));
  const std::string_view whole = bytes.substr(first_byte + 1, last_byte - first_byte - 1);
  const uint64_t words = whole.size() / 8;
  bits += count_words(whole.data(), words);
  for (uint64_t at = words * 8; at < whole.size(); ++at) bits += masked(first_byte + 1 + at, 0xff);
  return bits;
}

std::optional<uint64_t> find_bit(std::string_view bytes, bool value, uint64_t first, uint64_t last) {
  const std::string_view looked_at = bytes.substr(0, last / 8 + 1);
  for (uint64_t at = first / 64 * 8; at < looked_at.size(); at += 8) {
    uint64_t word = load_word(looked_at, at);
    if (!value) word = ~word;
    if (at * 8 < first) word &= ~uint64_t{0} >> (first - at * 8);
    if (word == 0) continue;
    const uint64_t found = at * 8 + static_cast<uint64_t>(std::countl_zero(word));
    if (found > last) break;
    return found;
  }
  return std::nullopt;
}

std::optional<Chunk> Chunk::parse(std::string_view record) {
  if (record.empty()) return std::nullopt;
  const auto form = static_cast<uint8_t>(record[0]);
  const std::string_view body = record.substr(1);
  if (form > static_cast<uint8_t>(Form::kRuns) || body.size() > kChunkBytes) return std::nullopt;
  const Chunk chunk(static_cast<Form>(form), body);
  if (chunk.form_ == Form::kOffsets && body.size() % 2 != 0) return std::nullopt;
  if (chunk.form_ == Form::kRuns && body.size() % 4 != 0) return std::nullopt;
  return chunk;
}

void Chunk::encode(std::string_view bytes, std::string* record) {
  record->clear();
  // The zeros at the end go: by words, then by bytes.
  uint64_t size = bytes.size();
  while (size >= 8 && load_word(bytes, size - 8) == 0) size -= 8;
  while (size > 0 && bytes[size - 1] == 0) --size;
  bytes = bytes.substr(0, size);
  if (bytes.empty()) return;

  // Positions or runs, where they take half the space or less. Most texts are done with after a few words.
  const uint64_t allowed = size / 2;
  uint64_t positions = 0, runs = 0, carry = 0;
  for (uint64_t at = 0; at < size; at += 8) {
    const uint64_t word = load_word(bytes, at);
    if (word != 0) {
      positions += static_cast<uint64_t>(std::popcount(word));
      runs += static_cast<uint64_t>(std::popcount(word & ~(word >> 1 | carry << 63)));
    }
    carry = word & 1;
    if (2 * positions > allowed && 4 * runs > allowed) {
      record->push_back(static_cast<char>(Form::kBytes));
      record->append(bytes);
      return;
    }
  }
  if (2 * positions <= 4 * runs) {
    record->reserve(1 + 2 * positions);
    record->push_back(static_cast<char>(Form::kOffsets));
    for (uint64_t at = 0; at < size; at += 8) {
      for (uint64_t word = load_word(bytes, at); word != 0;) {
        const auto bit = static_cast<uint64_t>(std::countl_zero(word));
        append_number(record, at * 8 + bit);
        word &= ~(uint64_t{1} << (63 - bit));
      }
    }
    return;
  }
  record->reserve(1 + 4 * runs);
  record->push_back(static_cast<char>(Form::kRuns));
  const uint64_t last = size * 8 - 1;
  for (auto first = find_bit(bytes, true, 0, last); first;) {
    const auto behind = find_bit(bytes, false, *first, last);
    append_number(record, *first);
    append_number(record, behind ? *behind - 1 : last);
    first = behind ? find_bit(bytes, true, *behind, last) : std::nullopt;
  }
}

uint16_t Chunk::number(uint64_t index) const {
  uint16_t value = 0;
  std::memcpy(&value, body_.data() + 2 * index, 2);
  return value;
}

uint64_t Chunk::lower_bound(uint64_t value, uint64_t begin, uint64_t step) const {
  uint64_t low = 0, high = numbers() / step;
  while (low < high) {
    const uint64_t middle = (low + high) / 2;
    if (number(begin + middle * step) < value)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

void Chunk::read(uint64_t from, uint64_t size, char* to) const {
  if (form_ == Form::kBytes) {
    const std::string_view part = from < body_.size() ? body_.substr(from, size) : std::string_view();
    if (!part.empty()) std::memcpy(to, part.data(), part.size());
    std::memset(to + part.size(), 0, size - part.size());
    return;
  }
  std::memset(to, 0, size);
  if (form_ == Form::kOffsets) {
    for (uint64_t i = lower_bound(from * 8, 0, 1); i < numbers(); ++i) {
      const uint64_t bit = number(i);
      if (bit < from * 8 || bit >= (from + size) * 8) break;
      char& byte = to[bit / 8 - from];
      byte = static_cast<char>(static_cast<uint8_t>(byte) | 0x80 >> bit % 8);
    }
    return;
  }
  for (uint64_t run = lower_bound(from * 8, 1, 2); run < numbers() / 2; ++run) {
    if (number(2 * run) >= (from + size) * 8) break;
    set_bits(to, from, size, number(2 * run), number(2 * run + 1));
  }
}

uint64_t Chunk::count(uint64_t first, uint64_t last) const {
  switch (form_) {
    case Form::kBytes:
      if (first >= body_.size() * 8) return 0;
      return count_bits(body_, first, std::min(last, body_.size() * 8 - 1));
    case Form::kOffsets: {
      const uint64_t begin = lower_bound(first, 0, 1), end = lower_bound(last + 1, 0, 1);
      return end > begin ? end - begin : 0;
    }
    case Form::kRuns: break;
  }
  uint64_t bits = 0;
  for (uint64_t run = lower_bound(first, 1, 2); run < numbers() / 2; ++run) {
    const uint64_t begin = std::max<uint64_t>(number(2 * run), first);
    const uint64_t end = std::min<uint64_t>(number(2 * run + 1), last);
    if (begin > last) break;
    if (begin <= end) bits += end - begin + 1;
  }
  return bits;
}

std::optional<uint64_t> Chunk::find(bool value, uint64_t first, uint64_t last) const {
  const uint64_t count = numbers();
  uint64_t at = first;
  switch (form_) {
    case Form::kBytes: {
      const uint64_t bits = body_.size() * 8;
      if (first < bits)
        if (const auto found = find_bit(body_, value, first, std::min(last, bits - 1))) return found;
      at = std::max(first, bits);  // From here on zeros.
      return !value && at <= last ? std::optional(at) : std::nullopt;
    }
    case Form::kOffsets: {
      uint64_t i = lower_bound(first, 0, 1);
      if (value) {
        const bool there = i < count && number(i) >= first && number(i) <= last;
        return there ? std::optional<uint64_t>(number(i)) : std::nullopt;
      }
      for (; i < count && number(i) == at; ++i) ++at;
      return at <= last ? std::optional(at) : std::nullopt;
    }
    case Form::kRuns: break;
  }
  for (uint64_t run = lower_bound(first, 1, 2); run < count / 2; ++run) {
    const uint64_t begin = number(2 * run);
    if (value) {
      at = std::max(begin, first);
      return at <= last ? std::optional(at) : std::nullopt;
    }
    if (begin > at) break;
    at = std::max(at, number(2 * run + 1) + uint64_t{1});
  }
  return !value && at <= last ? std::optional(at) : std::nullopt;
}

}  // namespace server
