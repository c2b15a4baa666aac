// engine/block_cache.h: decompressed data blocks in memory, evicted by S3-FIFO (Yang et al., SOSP 2023).
//
// Threads: the reactor only.
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

  BlockRef find(BlockId id);        // Null when absent. Counts as a use.
  bool contains(BlockId id) const;  // Does not.
  void insert(BlockId id, BlockRef block);
  void erase_table(uint64_t table, uint32_t blocks);  // The file is gone.
  // Evicts down to the capacity. Blocks that someone else still refers to stay usable for them.
  void maintain();
  void set_capacity(uint64_t bytes);
  void clear();

  uint64_t bytes() const;
  uint64_t blocks() const;
  uint64_t hits() const;
  uint64_t misses() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace engine
