// server/batch_runner.h: runs a handler that no connection waits for (expiry, a long deletion), as the
// dispatcher runs commands: over a view, again after each cold block, its batch applied whole once there is
// room.
//
//     run() ─▶ attempt ─┬─▶ applied ─▶ done
//                ▲      ├─ ColdRead ─▶ fetch ─┐
//                │      └─ no room  ─▶ wait ──┤ retry()
//                └────────────────────────────┘
//
// Threads: the reactor.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "engine/engine.h"
#include "engine/env.h"
#include "server/view.h"

namespace server {

class BatchRunner {
 public:
  using Body = std::function<void(View&)>;  // May run several times; its clock stands still.
  struct Outcome {
    engine::Status status;  // Not OK: nothing was applied.
    engine::Lsn end = 0;    // Where the batch ended; what it showed or wrote is settled when this is.
  };
  using Done = std::function<void(const Outcome&)>;
  // How a batch is applied; what else has to know of writes is told there.
  using Apply = std::function<engine::Lsn(engine::Batch&)>;
  // False: nothing may be written now, by whoever it may be.
  using MayWrite = std::function<bool()>;

  BatchRunner(engine::Engine& engine, engine::Env& env, Apply apply, MayWrite may_write = nullptr);

  // `done` is called once, perhaps within this call. `makes_room`: it erases, or what it writes is little.
  // Errors: kInvalid after stop(); what refuses writes; what
  // the view threw.
  void run(Body body, Done done, bool makes_room = true);
  // There may be room now: when the engine has made progress.
  void retry();
  bool any_waiting() const { return !waiting_.empty(); }
  // While held nothing is attempted and no block is kept: the store is being exchanged. Then retry().
  void hold(bool held) { held_ = held; }
  // Nothing is applied any more. What waits for room is over; what waits for a block is once that comes.
  void stop();

 private:
  struct Run;
  void attempt(const std::shared_ptr<Run>& run);

  engine::Engine& engine_;
  engine::Env& env_;
  const Apply apply_;
  const MayWrite may_write_;
  bool stopped_ = false;
  bool held_ = false;
  std::vector<std::shared_ptr<Run>> waiting_;  // For room.
};

}  // namespace server
