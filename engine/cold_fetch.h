// engine/cold_fetch.h: brings missing blocks into memory, each once however many wait for it.
//
// Where the system reads without a worker (Executor::begin) the reactor has a block's pages read, and checks
// and unpacks it itself when they are there: one or two microseconds, less than it takes to wake anybody.
// What does not come that way, and where there is none, a worker reads:
//
//     fetch() ─▶ begin() ─▶ ended() ─▶ decoded ──────────────────────────────────▶ arrived()
//            │                 └─▶ failed ─▼                                             ▲
//            └─▶ none, or a large block ─▶ nobody lingers: a job      ─▶ worker: reads ─▶ report()
//                                      └─▶ somebody does: its mailbox ─▶    ▲               │
//                                                                           └── lingers ◀───┘ ─▶ in vain
//
// Who reads one key after the other asks for the next block as soon as it has this one. A worker that has
// read a block therefore lingers for some tens of microseconds, before it sleeps: to wake it costs more, and
// the more the idler the machine. One at a time does.
//
// Threads: the reactor; blocks are read on workers and handed over, or decoded on the reactor.
#pragma once

#include <deque>
#include <memory>
#include <unordered_map>
#include <vector>

#include "engine/env.h"
#include "engine/read_context.h"

namespace engine {

class ColdFetcher {
 public:
  ColdFetcher(Env& env, BlockCache& cache);
  ~ColdFetcher();

  // Fetches what `context` misses, pins it there and calls `done`. A block that cannot be read is noted as
  // failed, and whoever reads it gets the error. `context` must stay where it is until then.
  void fetch(ReadContext& context, Task done);

  uint64_t fetches() const { return fetches_; }
  uint64_t blocks() const { return blocks_; }
  uint64_t without_worker() const { return without_worker_; }  // Of these blocks.
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
  class Pages;

  void read(std::unique_ptr<Order> order);
  bool begin(std::unique_ptr<Order>& order);
  void ended(std::unique_ptr<Pages> pages, int64_t got);
  std::unique_ptr<Pages> pages_for(const Order& order);
  void keep(std::unique_ptr<Pages> pages);
  void read_on_worker(std::unique_ptr<Order> order);
  void let_go(VersionRef version);
  void arrived(Order& order);

  Env& env_;
  BlockCache& cache_;
  const std::shared_ptr<Mailbox> mailbox_;  // A worker may linger when all else is gone.
  std::unordered_map<BlockId, std::vector<std::shared_ptr<Waiter>>, BlockIdHash> under_way_;
  size_t pages_under_way_ = 0;
  std::deque<std::unique_ptr<Order>> waiting_;  // For pages to end: these take memory.
  std::vector<std::unique_ptr<Pages>> spare_pages_;
  uint64_t fetches_ = 0, blocks_ = 0, without_worker_ = 0, bytes_ = 0, microseconds_ = 0;
};

}  // namespace engine
