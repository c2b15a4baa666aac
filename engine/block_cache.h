// engine/block_cache.h: decompressed data blocks in memory, evicted by S3-FIFO (Yang et al., SOSP 2023).
//
//     insert ──▶ small queue (a tenth) ──used twice or more──▶ main queue ──not used since──▶ gone
//                      │ else                    ▲               ▲    │ used: once more round,
//                      ▼                         │               └────┘ one use forgotten
//                  ghost queue ──inserted again──┘
//
// So what a scan brings in passes through the small queue and out again, and what is hot stays. A ghost is
// the name of a block that was evicted not long ago; there are at most as many as blocks.
//
// A use is a find(). Whoever runs a command again after fetching its blocks should take them from where it
// pinned them, not from here, or one command counts as many uses.
//
// Threads: the reactor only. Blocks read by workers arrive as BlockRef::hand_over() says.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/table_block.h"

namespace engine {

struct BlockId {
  uint64_t table;
  uint32_t index;
  bool operator==(const BlockId&) const = default;
};

class BlockCache {
 public:
  explicit BlockCache(uint64_t capacity_bytes);
  ~BlockCache();

  BlockRef find(BlockId id);        // Null when absent. Counts as a use. Some 10 ns and its cache misses.
  bool contains(BlockId id) const;  // Does not.
  // Never evicts: that is maintain()'s. A block that is there already stays. Requires: block not null.
  void insert(BlockId id, BlockRef block);
  void erase_table(uint64_t table, uint32_t blocks);  // The file is gone.
  // Evicts down to the capacity. Blocks that someone else still refers to stay usable for them.
  void maintain();
  void set_capacity(uint64_t bytes);
  void clear();

  uint64_t bytes() const;  // All that the cache takes: blocks, and what it takes to find and to forget them.
  uint64_t blocks() const;
  uint64_t hits() const;
  uint64_t misses() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace engine
