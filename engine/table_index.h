// engine/table_index.h: which block of a table holds a key: separators as flat arrays of heads and tails.
//
// The bytes, and what a separator's head and tail are, stand in engine/table_format.h. In memory all
// partitions lie in one array; heads are searched without branches (some 30 ns for 300 thousand blocks' worth
// in cache), and tails are looked at only where heads are equal.
//
// Threads: a TableIndex is immutable; any. A TableIndexWriter belongs to one thread.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "engine/status.h"
#include "engine/table_format.h"

namespace engine {

// An index node, decoded: its arrays, each child's separator last.
struct IndexNode {
  std::vector<uint64_t> heads;
  std::vector<uint32_t> lengths;    // Of the children, trailers included.
  std::vector<uint32_t> tail_ends;  // In tails; the first tail begins at 0.
  std::string tails;

  size_t size() const { return heads.size(); }
  std::string_view tail(size_t i) const {
    const uint32_t begin = i == 0 ? 0 : tail_ends[i - 1];
    return std::string_view(tails).substr(begin, tail_ends[i] - begin);
  }
  // `separator` stands without the file's common prefix.
  void add(std::string_view separator, uint32_t length);
  void add(uint64_t head, std::string_view tail, uint32_t length);
  // How separator i orders against a key (without the common prefix), as memcmp does.
  int compare(size_t i, uint64_t head, std::string_view tail) const;

  void encode(std::string& to) const;
  // Errors: kCorruption with a sentence that names neither file nor offset.
  static Result<IndexNode> decode(std::string_view bytes);
};

// The head and the tail of a key that stands without the common prefix. `rest` is that key past its head.
struct SplitKey {
  uint64_t head;
  uint8_t head_bytes;  // min(length, 8)
  std::string_view rest;
};
inline SplitKey split_key(std::string_view suffix) {
  constexpr size_t kHeadBytes = 8;
  if (suffix.size() >= kHeadBytes) {
    return {__builtin_bswap64(load<uint64_t>(suffix.data())), kHeadBytes, suffix.substr(kHeadBytes)};
  }
  char padded[kHeadBytes] = {};
  if (!suffix.empty()) std::memcpy(padded, suffix.data(), suffix.size());
  return {__builtin_bswap64(load<uint64_t>(padded)), static_cast<uint8_t>(suffix.size()), {}};
}

class TableIndex {
 public:
  TableIndex() = default;
  static constexpr uint64_t kTailBytesMax = UINT32_MAX;

  // `nodes` are the partitions in order. Requires: their separators rise, over all of them, their tails
  // together are at most kTailBytesMax, and the lengths add up to data_bytes.
  TableIndex(std::string_view smallest, std::string_view largest, const std::vector<IndexNode>& nodes,
             uint64_t data_bytes);

  uint32_t blocks() const { return static_cast<uint32_t>(heads_.size()); }
  // The one block that would hold `key`; blocks() when the key is greater than the largest.
  uint32_t find(std::string_view key) const;
  // Where block i begins; for i = blocks(), where the last one ends.
  uint64_t offset(uint32_t i) const { return narrow_.empty() ? wide_[i] : narrow_[i]; }
  // Whether a block i whose keys reach from `first` to `last` is in its place.
  bool covers(uint32_t i, std::string_view first, std::string_view last) const {
    return find(first) == i && find(last) == i;
  }
  uint64_t memory_bytes() const;

 private:
  std::string_view tail(size_t i) const {
    if (tail_begins_.empty()) return {tails_.data() + i, i + 1 < heads_.size() ? 1 : tails_.size() - i};
    return {tails_.data() + tail_begins_[i], tail_begins_[i + 1] - tail_begins_[i]};
  }

  std::string prefix_;
  std::vector<uint64_t> heads_;
  // One more than heads_; empty when all tails but the last are one byte, as is usual with short keys.
  std::vector<uint32_t> tail_begins_;
  std::vector<char> tails_;
  std::vector<uint32_t> narrow_;  // Offsets of a file below 4 GB ...
  std::vector<uint64_t> wide_;    // ... or of a longer one. One more than heads_.
};

// Gathers a table's blocks as they are written.
class TableIndexWriter {
 public:
  // The block before ended with `last`; the next one begins with `next`.
  // Requires: add_block() was called for the block before; last < next.
  void separate(std::string_view last, std::string_view next);
  void add_block(uint64_t length) { lengths_.push_back(static_cast<uint32_t>(length)); }
  size_t blocks() const { return lengths_.size(); }
  uint64_t separator_bytes() const { return separators_.size(); }

  // The partitions. To be called once, after the last block, when the file's range is known.
  std::vector<IndexNode> finish(std::string_view smallest, std::string_view largest);

 private:
  std::vector<uint32_t> lengths_;
  std::vector<uint64_t> separator_ends_;
  std::string separators_;
};

}  // namespace engine
