// engine/cold_fetch.h: brings missing blocks into memory, each once however many wait for it.
//
// Threads: the reactor; blocks are read on workers, one job a block, and handed over.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "engine/env.h"
#include "engine/read_context.h"

namespace engine {

class ColdFetcher {
 public:
  ColdFetcher(Env& env, BlockCache& cache) : env_(env), cache_(cache) {}

  // Fetches what `context` misses, pins it there and calls `done`. A block that cannot be read is noted as
  // failed, and whoever reads it gets the error. `context` must stay where it is until then.
  void fetch(ReadContext& context, Task done);

  uint64_t fetches() const { return fetches_; }
  uint64_t blocks() const { return blocks_; }
  uint64_t bytes() const { return bytes_; }
  uint64_t microseconds() const { return microseconds_; }  // From order to arrival, summed over blocks.
  bool idle() const { return under_way_.empty(); }

 private:
  struct Waiter {
    ReadContext* context;
    Task done;
    size_t blocks_left;
  };

  void arrived(BlockId id, Result<BlockRef> block, uint64_t started_us);

  Env& env_;
  BlockCache& cache_;
  std::unordered_map<BlockId, std::vector<std::shared_ptr<Waiter>>, BlockIdHash> under_way_;
  uint64_t fetches_ = 0, blocks_ = 0, bytes_ = 0, microseconds_ = 0;
};

}  // namespace engine
