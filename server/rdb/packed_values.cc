#include "server/rdb/packed_values.h"

#include <cstring>

namespace server::rdb {
namespace {

constexpr size_t kListpackHeader = 6;  // Bytes (4), entries (2; 65535: not known).
constexpr size_t kZiplistHeader = 10;  // Bytes (4), offset of the last entry (4), entries (2; the same).
constexpr size_t kIntsetHeader = 8;    // Bytes a number (4), numbers (4).
constexpr uint64_t kCountUnknown = 65535;
constexpr uint8_t kPackedEnd = 0xff;

// How many bytes a listpack's length backwards takes; the borders are Redis's.
size_t backward_bytes(uint64_t length) {
  if (length <= 127) return 1;
  if (length < 16383) return 2;
  if (length < 2097151) return 3;
  return length < 268435455 ? 4 : 5;
}

int64_t sign_extended(uint64_t value, unsigned bits) {
  const unsigned shift = 64 - bits;
  return static_cast<int64_t>(value << shift) >> shift;
}

}  // namespace

std::string_view PackedValue::text(std::string* scratch) const {
  if (!is_number) return bytes;
  *scratch = std::to_string(number);
  return *scratch;
}

template <typename T>
T PackedReader::little(size_t at) const {
  T value;
  std::memcpy(&value, bytes_.data() + at, sizeof(T));
  return value;
}

bool PackedReader::open() {
  switch (packing_) {
    case Packing::kListpack:
      if (bytes_.size() < kListpackHeader + 1 || little<uint32_t>(0) != bytes_.size()) return false;
      count_ = little<uint16_t>(4);
      counted_ = count_ != kCountUnknown;
      at_ = kListpackHeader;
      break;
    case Packing::kZiplist:
      if (bytes_.size() < kZiplistHeader + 1 || little<uint32_t>(0) != bytes_.size()) return false;
      if (little<uint32_t>(4) >= bytes_.size()) return false;
      count_ = little<uint16_t>(8);
      counted_ = count_ != kCountUnknown;
      at_ = kZiplistHeader;
      break;
    case Packing::kIntset:
      if (bytes_.size() < kIntsetHeader) return false;
      width_ = little<uint32_t>(0);
      count_ = little<uint32_t>(4);
      if (width_ != 2 && width_ != 4 && width_ != 8) return false;
      if (bytes_.size() - kIntsetHeader != count_ * width_) return false;
      at_ = kIntsetHeader;
      return true;
    case Packing::kZipmap:
      if (bytes_.size() < 2) return false;
      count_ = uint64_t{byte(0)} * 2;
      counted_ = byte(0) < 254;
      at_ = 1;
      break;
  }
  return byte(bytes_.size() - 1) == kPackedEnd;
}

PackedReader::Step PackedReader::next(PackedValue* value) {
  if (!opened_ && !open()) return Step::kDamaged;
  opened_ = true;
  if (packing_ == Packing::kIntset) return next_integer(value);
  if (left() == 0) return Step::kDamaged;
  if (byte(at_) == kPackedEnd) {
    if (left() != 1 || (counted_ && seen_ != count_)) return Step::kDamaged;
    // A walk backwards would begin there.
    if (packing_ == Packing::kZiplist && little<uint32_t>(4) != at_ - previous_) return Step::kDamaged;
    return Step::kEnd;
  }
  ++seen_;
  *value = {};
  switch (packing_) {
    case Packing::kListpack: return next_listpack(value);
    case Packing::kZiplist: return next_ziplist(value);
    default: return next_zipmap(value);
  }
}

PackedReader::Step PackedReader::next_listpack(PackedValue* value) {
  const uint8_t first = byte(at_);
  size_t header = 1;    // Of the entry, before its bytes,
  uint64_t length = 0;  // and so many bytes.
  const auto number = [&](size_t size, unsigned bits) {
    header += size;
    if (left() < header) return;
    uint64_t raw = 0;
    std::memcpy(&raw, bytes_.data() + at_ + 1, size);
    value->is_number = true;
    value->number = sign_extended(raw, bits);
  };
  if (first < 0x80) {
    value->is_number = true;
    value->number = first;
  } else if (first < 0xc0) {
    length = first & 0x3f;
  } else if (first < 0xe0) {
    header = 2;
    if (left() < header) return Step::kDamaged;
    value->is_number = true;
    value->number = sign_extended(uint64_t{first & 0x1fu} << 8 | byte(at_ + 1), 13);
  } else if (first < 0xf0) {
    header = 2;
    if (left() < header) return Step::kDamaged;
    length = uint64_t{first & 0x0fu} << 8 | byte(at_ + 1);
  } else {
    switch (first) {
      case 0xf0:
        header = 5;
        if (left() < header) return Step::kDamaged;
        length = little<uint32_t>(at_ + 1);
        break;
      case 0xf1: number(2, 16); break;
      case 0xf2: number(3, 24); break;
      case 0xf3: number(4, 32); break;
      case 0xf4: number(8, 64); break;
      default: return Step::kDamaged;
    }
  }
  if (left() < header || left() - header < length) return Step::kDamaged;
  if (!value->is_number) value->bytes = bytes_.substr(at_ + header, length);
  // Then the length once more, readable from its end.
  const uint64_t whole = header + length;
  const size_t back = backward_bytes(whole);
  if (left() - whole < back) return Step::kDamaged;
  for (size_t i = 0; i < back; ++i) {
    const auto expected = static_cast<uint8_t>((whole >> (7 * (back - 1 - i)) & 127) | (i == 0 ? 0 : 128));
    if (byte(at_ + whole + i) != expected) return Step::kDamaged;
  }
  at_ += whole + back;
  return Step::kValue;
}

PackedReader::Step PackedReader::next_ziplist(PackedValue* value) {
  const size_t begin = at_;
  size_t at = at_;
  const auto has = [&](uint64_t count) { return bytes_.size() - at >= count; };
  // The length of the entry before.
  size_t previous = byte(at++);
  if (previous == 254) {
    if (!has(4)) return Step::kDamaged;
    previous = little<uint32_t>(at);
    at += 4;
  }
  if (previous != previous_ || !has(1)) return Step::kDamaged;
  const uint8_t first = byte(at++);
  uint64_t length = 0;
  switch (first >> 6) {
    case 0: length = first & 0x3f; break;
    case 1:
      if (!has(1)) return Step::kDamaged;
      length = uint64_t{first & 0x3fu} << 8 | byte(at++);
      break;
    case 2:
      if (first != 0x80 || !has(4)) return Step::kDamaged;
      length = __builtin_bswap32(little<uint32_t>(at));
      at += 4;
      break;
    default: {
      size_t size = 0;
      switch (first) {
        case 0xc0: size = 2; break;
        case 0xd0: size = 4; break;
        case 0xe0: size = 8; break;
        case 0xf0: size = 3; break;
        case 0xfe: size = 1; break;
        default:
          if (first < 0xf1 || first > 0xfd) return Step::kDamaged;
          value->number = (first & 0x0f) - 1;
      }
      value->is_number = true;
      if (!has(size)) return Step::kDamaged;
      if (size > 0) {
        uint64_t raw = 0;
        std::memcpy(&raw, bytes_.data() + at, size);
        value->number = sign_extended(raw, static_cast<unsigned>(size) * 8);
        at += size;
      }
    }
  }
  // The end byte comes behind it, so it must not reach that.
  if (!has(length) || bytes_.size() - at - length < 1) return Step::kDamaged;
  if (!value->is_number) value->bytes = bytes_.substr(at, length);
  at_ = at + length;
  previous_ = at_ - begin;
  return Step::kValue;
}

PackedReader::Step PackedReader::next_integer(PackedValue* value) {
  if (left() == 0) return Step::kEnd;
  uint64_t raw = 0;
  std::memcpy(&raw, bytes_.data() + at_, width_);
  *value = {};
  value->is_number = true;
  value->number = sign_extended(raw, width_ * 8);
  if (seen_ > 0 && value->number <= last_number_) return Step::kDamaged;  // They rise.
  last_number_ = value->number;
  ++seen_;
  at_ += width_;
  return Step::kValue;
}

// Field and value in turn; behind a value's length stands how many bytes are left free behind it.
PackedReader::Step PackedReader::next_zipmap(PackedValue* value) {
  const bool is_value = seen_ % 2 == 0;
  size_t at = at_;
  const auto has = [&](uint64_t count) { return bytes_.size() - at >= count; };
  uint64_t length = byte(at++);
  if (length == 255) return Step::kDamaged;
  if (length == 254) {
    if (!has(4)) return Step::kDamaged;
    length = little<uint32_t>(at);
    at += 4;
  }
  uint64_t spare = 0;
  if (is_value) {
    if (!has(1)) return Step::kDamaged;
    spare = byte(at++);
  }
  if (!has(length) || bytes_.size() - at - length < spare + 1) return Step::kDamaged;
  value->bytes = bytes_.substr(at, length);
  at_ = at + length + spare;
  return Step::kValue;
}

}  // namespace server::rdb
