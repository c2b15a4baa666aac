// engine/read_context.h: what a ReadContext holds, and the block source that fills it in.
//
// Threads: the reactor only.
#pragma once

#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "engine/block_cache.h"
#include "engine/engine.h"
#include "engine/version.h"

namespace engine {

struct BlockIdHash {
  size_t operator()(const BlockId& id) const {
    return (id.table * 0x9e3779b97f4a7c15u) ^ (id.index * 0xff51afd7ed558ccdu);
  }
};

struct ReadContext::Impl {
  std::unordered_map<BlockId, BlockRef, BlockIdHash> pins;  // Fetched for this command.
  std::vector<BlockRef> held;                               // Holding a value that it was given.
  std::vector<std::pair<const Table*, uint32_t>> missing;
  std::unordered_set<BlockId, BlockIdHash> noted;           // The same, to look up.
  std::unordered_map<BlockId, Status, BlockIdHash> failed;  // Blocks that could not be read.
  VersionRef version;  // Keeps the tables of `missing` open until they are fetched.
  uint32_t fetches = 0;
  uint32_t read_ahead = 0;
  bool may_block = false;
  uint64_t blocked = 0;

  void miss(const Table& table, uint32_t index) {
    if (noted.insert({table.meta().number, index}).second) missing.emplace_back(&table, index);
  }
};

// Blocks out of memory, or noted as missing.
class CachedBlocks final : public BlockSource {
 public:
  // With `cold_chance` (of 2^32), drawn from `dice`, a block that is not pinned is missing though it is
  // cached.
  CachedBlocks(BlockCache& cache, uint32_t cold_chance, uint64_t* dice)
      : cache_(cache), cold_chance_(cold_chance), dice_(dice) {}

  // What is missing is noted in `context`, whose tables belong to `version`.
  void attach(ReadContext& context, const VersionRef& version) {
    context_ = &context;
    version_ = &version;
  }

  BlockRef block(const Table& table, uint32_t index) override;
  const Status& status() const override { return status_; }

  // From here on blocks are asked for one after the other, as iterators do: ReadContext::read_ahead holds.
  void walks() { walks_ = true; }

 private:
  bool pretend_cold();
  bool at_hand(BlockId id) const;
  uint32_t behind(const Table& table, uint32_t index, uint32_t blocks_max, bool* forward) const;
  BlockRef read_here(const Table& table, uint32_t index);

  BlockCache& cache_;
  uint32_t cold_chance_;
  uint64_t* dice_;
  ReadContext* context_ = nullptr;
  const VersionRef* version_ = nullptr;
  Status status_;
  bool walks_ = false;
};

}  // namespace engine
