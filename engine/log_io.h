// engine/log_io.h: the log's writes and syncs, as jobs that run once, here or there.
//
// Not here: those of kAlways (engine/log_groups.h).
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "engine/log_groups.h"

namespace engine {

// Frames to write, then files to sync. Whoever calls run() second waits until the first is through: so
// close() can do on the reactor what is still queued for a worker, or wait for what one has begun.
struct LogJob {
  std::vector<LogWrite> writes;
  std::vector<LogSegmentPtr> syncs;
  bool sync = false;
  Lsn end = 0;  // Written, or synced, up to here when it has succeeded.

  // Set by run(), read on the reactor once it has returned there or its completion has arrived.
  Status status;
  uint64_t sync_us = 0;
  bool completed = false;  // The reactor's.

  void run(const Clock& clock) {
    std::call_once(once_, [this, &clock] {
      for (LogWrite& write : writes) {
        status = write.run();
        if (!status.ok()) return;
      }
      if (!sync) return;
      const uint64_t begun = clock.monotonic_us();
      for (const LogSegmentPtr& segment : syncs) {
        status = segment->file->sync();
        if (!status.ok()) return;
      }
      sync_us = clock.monotonic_us() - begun;
    });
  }

 private:
  std::once_flag once_;
};

}  // namespace engine
