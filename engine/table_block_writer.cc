#include "engine/table_block_writer.h"

#include <algorithm>
#include <cstring>

#include "engine/table_format.h"

namespace engine {

using table_format::common_prefix;

namespace {

constexpr uint64_t kOffsetsNarrowMax = 0xffff;

uint64_t varint_bytes(uint64_t value) {
  uint64_t n = 1;
  for (; value >= 0x80; value >>= 7) ++n;
  return n;
}

char* put_varint(char* at, uint32_t value) {
  for (; value >= 0x80; value >>= 7) *at++ = static_cast<char>(value | 0x80);
  *at++ = static_cast<char>(value);
  return at;
}

// The length of a raw block; too high by at most the bytes by which varints shrink with the prefix.
uint64_t block_bytes(uint64_t entries, uint64_t entry_bytes, uint64_t prefix_bytes) {
  const uint64_t narrow =
      table_format::kBlockHeaderBytes + entries * 3 + 2 + entry_bytes - prefix_bytes * (entries - 1);
  return narrow <= kOffsetsNarrowMax ? narrow : narrow + 2 * (entries + 1);
}

}  // namespace

uint64_t BlockWriter::entry_bytes_max(uint64_t key_bytes, uint64_t value_bytes) {
  return varint_bytes(key_bytes << table_format::kRecordFlagBits) + key_bytes + value_bytes;
}

bool BlockWriter::fits(std::string_view key, std::string_view value, uint64_t bytes_max) const {
  if (records_.empty()) return true;
  if (records_.size() == table_format::kBlockEntriesMax) return false;
  const uint64_t prefix = common_prefix(first_key().substr(0, prefix_bytes_), key);
  return block_bytes(records_.size() + 1, entry_bytes_ + entry_bytes_max(key.size(), value.size()), prefix) <=
         bytes_max;
}

void BlockWriter::add(std::string_view key, std::string_view value, uint8_t flags, uint64_t hash) {
  prefix_bytes_ = records_.empty() ? key.size() : common_prefix(first_key().substr(0, prefix_bytes_), key);
  entry_bytes_ += entry_bytes_max(key.size(), value.size());
  records_.push_back({bytes_.size(), static_cast<uint32_t>(key.size()), static_cast<uint32_t>(value.size()),
                      flags, static_cast<uint8_t>(hash)});
  bytes_.append(key);
  bytes_.append(value);
}

void BlockWriter::finish(std::string& to) {
  const auto count = static_cast<uint32_t>(records_.size());
  const uint64_t bytes_max = block_bytes(count, entry_bytes_, prefix_bytes_);
  const bool wide = bytes_max > kOffsetsNarrowMax;
  to.resize(bytes_max);  // Cut to what it took below.
  char* const start = to.data();
  store(start, static_cast<uint16_t>(count));
  store(start + 2, static_cast<uint8_t>(wide ? table_format::kWideOffsets : 0));
  store(start + 3, uint8_t{0});
  store(start + 4, static_cast<uint32_t>(prefix_bytes_));
  char* const tags = start + table_format::kBlockHeaderBytes;
  char* const offsets = tags + count;
  char* at = offsets + (uint64_t{count} + 1) * (wide ? 4 : 2);
  const auto put_offset = [&](uint32_t i, const char* entry) {
    const auto offset = static_cast<uint32_t>(entry - start);
    if (wide) {
      store(offsets + 4 * uint64_t{i}, offset);
    } else {
      store(offsets + 2 * uint64_t{i}, static_cast<uint16_t>(offset));
    }
  };
  std::memcpy(at, first_key().data(), prefix_bytes_);
  at += prefix_bytes_;
  for (uint32_t i = 0; i < count; ++i) {
    const Record& r = records_[i];
    tags[i] = static_cast<char>(r.tag);
    put_offset(i, at);
    const auto suffix_bytes = static_cast<uint32_t>(r.key_bytes - prefix_bytes_);
    at = put_varint(at, suffix_bytes << table_format::kRecordFlagBits | r.flags);
    const uint64_t rest = uint64_t{suffix_bytes} + r.value_bytes;  // They lie side by side in bytes_ too.
    std::memcpy(at, bytes_.data() + r.at + prefix_bytes_, rest);
    at += rest;
  }
  put_offset(count, at);
  to.resize(static_cast<uint64_t>(at - start));

  bytes_.clear();
  records_.clear();
  entry_bytes_ = 0;
  prefix_bytes_ = 0;
}

}  // namespace engine
