// engine/cold_fetch.h: brings missing blocks into memory, each once however many wait for it.
//
// Who reads one key after the other asks for the next block as soon as it has this one. A worker that has
// read a block therefore lingers for some tens of microseconds, before it sleeps: to wake it costs more, and
// the more the idler the machine. One at a time does:
//
//     fetch() ─▶ nobody lingers: a job      ─▶ worker: reads ─▶ report() ─▶ arrived()
//            └─▶ somebody does: its mailbox ─▶    ▲               │
//                                                 └── lingers ◀───┘ ─▶ in vain: the job is over
//
// Threads: the reactor; blocks are read on workers and handed over.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "engine/env.h"
#include "engine/read_context.h"

namespace engine {

class ColdFetcher {
 public:
  ColdFetcher(Env& env, BlockCache& cache);

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

  struct Order;
  class Mailbox;

  void read(std::unique_ptr<Order> order);
  void arrived(Order& order);

  Env& env_;
  BlockCache& cache_;
  const std::shared_ptr<Mailbox> mailbox_;  // A worker may linger when all else is gone.
  std::unordered_map<BlockId, std::vector<std::shared_ptr<Waiter>>, BlockIdHash> under_way_;
  uint64_t fetches_ = 0, blocks_ = 0, bytes_ = 0, microseconds_ = 0;
};

}  // namespace engine
