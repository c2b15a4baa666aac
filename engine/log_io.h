// engine/log_io.h: the log's writes and syncs, as jobs that run once, here or there.
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "engine/log_segments.h"

namespace engine {

// A frame on its way to the file. Its `bytes` begin with room for the header.
struct LogWrite {
  LogSegmentPtr segment;
  uint64_t offset = 0;
  Lsn first = 0;
  Lsn synced = 0;
  std::string bytes;

  Status run() {
    seal_frame(bytes, segment->id, first, synced);
    return segment->file->write(offset, bytes);
  }
};

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
      const uint64_t start = clock.monotonic_us();
      for (const LogSegmentPtr& segment : syncs) {
        status = segment->file->sync();
        if (!status.ok()) return;
      }
      sync_us = clock.monotonic_us() - start;
    });
  }

 private:
  std::once_flag once_;
};

}  // namespace engine
