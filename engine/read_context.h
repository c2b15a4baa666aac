// engine/read_context.h: what a ReadContext holds, and the block source that fills it in.
//
// Threads: the reactor only.
#pragma once

#include <utility>
#include <vector>

#include "engine/block_cache.h"
#include "engine/engine.h"
#include "engine/version.h"

namespace engine {

struct ReadContext::Impl {
  std::vector<std::pair<BlockId, BlockRef>>
      pins;  // Fetched for this command, or holding a value it was given.
  std::vector<std::pair<const Table*, uint32_t>> missing;
  std::vector<std::pair<BlockId, Status>> failed;  // Blocks that could not be read.
  VersionRef version;  // Keeps the tables of `missing` open until they are fetched.
  uint32_t fetches = 0;
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

 private:
  bool pretend_cold();

  BlockCache& cache_;
  uint32_t cold_chance_;
  uint64_t* dice_;
  ReadContext* context_ = nullptr;
  const VersionRef* version_ = nullptr;
  Status status_;
};

}  // namespace engine
