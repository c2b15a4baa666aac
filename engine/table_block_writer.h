// engine/table_block_writer.h: gathers records in rising key order and makes the bytes of a data block of
// them.
//
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace engine {

class BlockWriter {
 public:
  // Whether the block, raw, would stay within `bytes_max` with this record in it. An empty block takes any
  // record.
  bool fits(std::string_view key, std::string_view value, uint64_t bytes_max) const;
  // Requires: key greater than the last; entries() < table_format::kBlockEntriesMax.
  void add(std::string_view key, std::string_view value, uint8_t flags, uint64_t hash);

  uint32_t entries() const { return static_cast<uint32_t>(records_.size()); }
  bool empty() const { return records_.empty(); }
  std::string_view first_key() const { return key_of(records_.front()); }
  std::string_view last_key() const { return key_of(records_.back()); }

  // Replaces `to` by the raw block and starts an empty one.
  void finish(std::string& to);

 private:
  struct Record {
    uint64_t at;  // In bytes_: key, then value.
    uint32_t key_bytes;
    uint32_t value_bytes;
    uint8_t flags;
    uint8_t tag;
  };
  std::string_view key_of(const Record& r) const { return {bytes_.data() + r.at, r.key_bytes}; }
  static uint64_t entry_bytes_max(uint64_t key_bytes, uint64_t value_bytes);

  std::string bytes_;
  std::vector<Record> records_;
  uint64_t entry_bytes_ = 0;   // Of all entries, were there no prefix.
  uint64_t prefix_bytes_ = 0;  // Common to all keys so far.
};

}  // namespace engine
