// engine/table_block.h: one data block in memory, decompressed, its arrays usable in place.
//
// The bytes are drawn in engine/table_format.h; engine/table_block_writer.h makes them. Everything that
// a reader follows (counts, offsets, lengths, the order of keys) is checked once, when the Block is made, so
// that reading needs no checks and a hostile block can do no harm.
//
// Invariants
//   B1  A Block has at least one entry, and its keys rise strictly.
//   B2  Nothing that its accessors return reaches outside it.
//
// Threads: a Block is immutable, but references to it are counted without atomics (the reactor copies them
// all the time): all references to one Block belong to one thread at a time. A block read by a worker crosses
// to the reactor as the only reference there is: BlockRef::hand_over() insists on that.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "engine/status.h"
#include "engine/table_format.h"

namespace engine {

struct BlockEntry {
  std::string_view value;
  uint8_t flags;
};

class BlockRef;

class Block {
 public:
  struct Record {
    std::string_view suffix;  // The key is prefix() + suffix.
    std::string_view value;
    uint8_t flags;
  };

  // `section` is a data block's content and trailer as read from disk, its checksum verified.
  // Errors: kCorruption with a sentence that names neither file nor offset.
  static Result<BlockRef> make(std::string_view section);

  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  uint32_t entries() const { return entries_; }
  std::string_view prefix() const { return {bytes() + prefix_at_, prefix_bytes_}; }
  // Requires: i < entries().
  Record record(uint32_t i) const;
  std::string key(uint32_t i) const;

  // The entry of exactly `key`; `hash` is hash_key(key, the store's seed). Some 15 ns when in the CPU's
  // cache.
  std::optional<BlockEntry> find(std::string_view key, uint64_t hash) const;
  // The number of the first entry whose key is >= `key`; entries() when all are less.
  uint32_t lower_bound(std::string_view key) const;

  // Starts the loads that any way of reading begins with: header, tags, first offsets.
  void prefetch() const {
    __builtin_prefetch(this);
    __builtin_prefetch(reinterpret_cast<const char*>(this) + 64);
    __builtin_prefetch(reinterpret_cast<const char*>(this) + 128);
  }

  uint64_t memory_bytes() const { return memory_bytes_; }  // What the allocator gave for it.

  // How much more than its content a Block takes in memory.
  static constexpr uint64_t kOverheadBytes = 64;
  // So many bytes behind the last record may be read: tags are compared and suffixes copied 16 at a time.
  static constexpr uint64_t kSlackBytes = 16;

 private:
  friend class BlockRef;

  Block() = default;
  static Block* allocate(uint32_t size);
  Status validate();

  char* bytes() { return reinterpret_cast<char*>(this + 1); }
  const char* bytes() const { return reinterpret_cast<const char*>(this + 1); }
  const char* tags() const { return bytes() + table_format::kBlockHeaderBytes; }
  uint32_t offset(uint32_t i) const {
    const char* array = tags() + entries_;
    return wide_ ? load<uint32_t>(array + 4 * size_t{i}) : load<uint16_t>(array + 2 * size_t{i});
  }

  uint32_t references_ = 1;
  uint32_t size_ = 0;  // Of bytes().
  uint32_t entries_ = 0;
  uint32_t prefix_at_ = 0;
  uint32_t prefix_bytes_ = 0;
  bool wide_ = false;  // Offsets are u32.
  uint64_t memory_bytes_ = 0;
};
static_assert(sizeof(Block) + 16 <= Block::kOverheadBytes);

// A shared reference to a Block, or null.
class BlockRef {
 public:
  BlockRef() = default;
  BlockRef(const BlockRef& other) : block_(other.block_) {
    if (block_ != nullptr) ++block_->references_;
  }
  BlockRef(BlockRef&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  BlockRef& operator=(BlockRef other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~BlockRef() {
    if (block_ != nullptr && --block_->references_ == 0) destroy(block_);
  }

  explicit operator bool() const { return block_ != nullptr; }
  const Block& operator*() const { return *block_; }
  const Block* operator->() const { return block_; }
  bool operator==(const BlockRef&) const = default;

  // Whether nobody else refers to the block.
  bool sole() const { return block_ != nullptr && block_->references_ == 1; }
  // For the moment of crossing to another thread. Requires: null or sole().
  BlockRef hand_over() && {
    INVARIANT(block_ == nullptr || sole());
    return std::move(*this);
  }

 private:
  friend class Block;
  explicit BlockRef(Block* owned) : block_(owned) {}
  static void destroy(Block* block);

  Block* block_ = nullptr;
};

inline Block::Record Block::record(uint32_t i) const {
  const uint32_t begin = offset(i);
  const uint32_t end = offset(i + 1);
  const char* at = bytes() + begin;
  uint32_t head = static_cast<uint8_t>(*at++);
  if (head >= 0x80) [[unlikely]] {  // A varint of several bytes; its end was checked by validate().
    head &= 0x7f;
    for (int shift = 7;; shift += 7) {
      const auto byte = static_cast<uint8_t>(*at++);
      head |= static_cast<uint32_t>(byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
  }
  const uint32_t suffix_bytes = head >> table_format::kRecordFlagBits;
  const char* value = at + suffix_bytes;
  return {{at, suffix_bytes},
          {value, static_cast<size_t>(bytes() + end - value)},
          static_cast<uint8_t>(head & ((1U << table_format::kRecordFlagBits) - 1))};
}

}  // namespace engine
