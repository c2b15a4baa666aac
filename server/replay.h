// server/replay.h: writes that another server has decided on, made here: batch after batch, in order.
//
//     run() ─▶ attempt ─┬─▶ applied, told to whoever has to know ─▶ done
//                ▲      ├─ ColdRead ─▶ fetch ──────────────┐
//                │      └─ no room, or nobody may write ───┤ retry()
//                └─────────────────────────────────────────┘
//
// Threads: the reactor.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "engine/engine.h"
#include "server/effects.h"
#include "server/view.h"

namespace server {

class Server;

class Replay {
 public:
  struct Scene {
    View& view;
    engine::ReadContext& reads;
    Effects& effects;
  };
  using Body = std::function<void(Scene&)>;  // May run several times.
  // Not OK: nothing was applied. The LSN: where the batch ended.
  using Done = std::function<void(const engine::Status&, engine::Lsn)>;

  // `may_write`: asked again each time.
  Replay(Server& server, std::function<bool()> may_write);
  ~Replay();

  // `now_ms`: the clock of the body. What another server wrote to was alive there, however late it comes
  // here: if the body meets expired keys, it begins anew with the clock at the last moment when all were
  // there. `done` is called once, perhaps within this call, but not after cancel(). Requires: !busy().
  void run(int64_t now_ms, Body body, Done done);
  bool busy() const { return run_ != nullptr; }
  void retry();   // There may be room now.
  void cancel();  // What has not been applied never will be.

 private:
  struct Run;
  void attempt(const std::shared_ptr<Run>& run);
  void end(const std::shared_ptr<Run>& run, const engine::Status& status, engine::Lsn lsn);

  Server& server_;
  const std::function<bool()> may_write_;
  std::shared_ptr<Run> run_;
};

}  // namespace server
