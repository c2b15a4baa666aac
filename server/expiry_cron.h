// server/expiry_cron.h: reclaims expired keys.
//
// No reader sees an expired key (View decides that by its header); this is about giving back what it takes.
// The index by time names the keys that are due, in order; each is looked at before it goes, for the index
// may be stale: a plain SET does not look what it overwrites, and FLUSHDB leaves the entries of all keys
// behind. An entry may also say that fields of a hash are due; then these go.
//
//     tick(), met() ─▶ turn: due entries, met keys ─▶ one batch ─▶ told of, one by one ─┐
//                       ▲                                                               │ more is due
//                       └──────────── other work of the reactor first ◀─────────────────┘
//
// Reclaimed entries leave tombstones behind, which nobody should walk over ten times a second: turns begin at
// a *floor*. Below it nothing is due, as far as is known; what is written below it all the same (a clock that
// went back, a time long past) is found by a *sweep*, by a worker, over a snapshot, every few seconds and at
// the start.
//
// Invariants
//   E1  A key is deleted only if its header, read in the batch's own view, has expired.
//   E2  Every key that is deleted here is told of once, after its deletion has been applied.
//   E3  An index entry goes with its header, or when no header of a living database agrees with it.
//
// Threads: the reactor; sweeps run on a worker.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"
#include "engine/env.h"
#include "server/batch_runner.h"
#include "server/view.h"

namespace server {

class ExpiryCron {
 public:
  struct Host {
    // The number of the database that is at this object now; nothing: it is dead.
    std::function<std::optional<uint32_t>(ObjectId)> database_number;
    // E2.
    std::function<void(uint32_t database, std::string_view user_key)> expired;
    // Fields of a hash were; `all`: and with them the key.
    std::function<void(uint32_t database, std::string_view user_key, bool all)> fields_expired;
  };
  static constexpr size_t kEntriesATurn = 128;
  static constexpr uint64_t kElementsAtOnce = 256;
  static constexpr size_t kMetMax = 1024;  // Waiting. What is dropped is due in the index all the same.
  static constexpr uint64_t kSweepIntervalUs = 10'000'000;

  ExpiryCron(engine::Engine& engine, engine::Env& env, BatchRunner& runner, Host host);

  // Ten times a second. `active`: not only keys that are met, but all that are due.
  void tick(bool active);
  // Commands met these expired.
  void met(const std::vector<View::Expired>& keys);
  // Begins nothing more.
  void stop() { stopped_ = true; }

 private:
  // What a run of a turn has found, for when its batch has been applied.
  struct Turn {
    struct Gone {
      uint32_t database;
      std::string user_key;
      bool fields = false;  // Only fields, ...
      bool all = false;     // ... but those were all it had.
    };
    std::vector<Gone> gone;
    std::vector<View::Expired> unfinished;  // With more elements due than were taken.
    std::string reached;                    // The last index entry looked at.
    bool more = false;
    size_t met = 0;  // So many from the front of met_.
  };

  void begin_turn();
  void turn(View& view);
  void reclaim(View& view, ObjectId database, std::string_view user_key, std::string_view index_key);
  void turn_done(const BatchRunner::Outcome& outcome);
  void sweep();

  engine::Engine& engine_;
  engine::Env& env_;
  BatchRunner& runner_;
  const Host host_;
  bool stopped_ = false;
  bool active_ = false;
  bool turning_ = false;
  bool sweeping_ = false;
  std::deque<View::Expired> met_;
  std::string floor_;  // Empty until the first sweep.
  uint64_t swept_us_ = 0;
  Turn turn_;
};

}  // namespace server
