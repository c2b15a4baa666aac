// engine/log_groups.h: frames on their way to the disk under kAlways, group after group, by one worker.
//
//     reactor                                                     worker
//     hand_over() ──▶ waiting ──── run() takes all of it ───────▶ written past the page cache, durable
//     collect()   ◀── outcome ◀── what is durable now, a report ─────────┘ and at once the next, if one waits
//
// Frames that are handed over while a group waits join it, into one frame for each segment. So between two
// syncs there is a mutex, and no way to the reactor and back: that took nearly as long as a sync.
//
// Invariants
//   G1  Groups are written one at a time, in the order in which they were handed over.
//   G2  Nothing is written after the first error; it is the outcome for good.
//   G3  A group begins on a page that no earlier one has touched (L6 of engine/log.h).
//
// Threads: the reactor, but for run().
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/env.h"
#include "engine/log_segments.h"
#include "engine/lsn.h"
#include "engine/status.h"

namespace engine {

// A frame on its way to the file. Its `bytes` begin with room for the header.
struct LogWrite {
  LogSegmentPtr segment;
  uint64_t offset = 0;
  Lsn first = 0;
  Lsn synced = 0;
  std::string bytes;

  void seal();
  Status run();  // Seals it and writes it through the page cache.
};

class LogGroups {
 public:
  // After so many groups run() returns, or a pool of few threads would run nothing else.
  static constexpr int kGroupsPerRun = 64;

  // What has become of the groups.
  struct Outcome {
    Lsn durable = 0;  // All that was handed over below this.
    Status status;
    uint64_t syncs = 0, sync_us = 0, sync_us_max = 0;  // Since the last collect().
  };
  struct Placed {
    uint64_t frames = 0, bytes = 0;  // More than there were.
    bool submit = false;             // Nobody is at it: run() has to be submitted.
  };

  explicit LogGroups(Lsn synced) { outcome_.durable = synced; }

  // Takes frames that end with `end` over and gives them their places in the files; what is left in `writes`
  // may be used again. Requires: all written elsewhere before is durable, and the segments have room.
  Placed hand_over(std::vector<LogWrite>& writes, Lsn end);
  // Whether run() has to be submitted for what waits.
  bool claim();

  // Whether there is an outcome to collect. Cheap.
  bool news() const { return news_.load(std::memory_order_acquire); }
  Outcome collect();

  // Writes what waits, and what comes meanwhile; `report` is called when there is news after there was none.
  // A second caller waits until the first is through. Threads: any.
  template <typename Report>
  void run(const Clock& clock, Report report) {
    const std::lock_guard turn(running_);
    for (int i = 0; i < kGroupsPerRun; ++i) {
      if (!take()) return;
      write(clock);
      if (publish()) report();
    }
    leave();
  }

 private:
  bool take();
  void write(const Clock& clock);
  bool publish();
  void leave();

  std::mutex running_;
  // Of whoever runs.
  std::vector<LogWrite> group_;
  Lsn group_end_ = 0;
  Lsn durable_ = 0;
  Status status_;
  uint64_t sync_us_ = 0;

  std::mutex mutex_;  // For all below. Never held during I/O.
  std::vector<LogWrite> waiting_;
  Lsn waiting_end_ = 0;
  bool submitted_ = false;  // run() is under way, or will be, and will look at what waits.
  Outcome outcome_;
  std::vector<std::string> spare_;  // Buffers that have grown to the size of a group.
  std::atomic<bool> news_ = false;  // Changed under the mutex.
};

}  // namespace engine
