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

  Status run(bool durable = false) {
    seal_frame(bytes, segment->id, first, synced);
    return durable ? segment->file->write_synced(offset, bytes) : segment->file->write(offset, bytes);
  }
};

// Frames to write, then files to sync. Whoever calls run() second waits until the first is through: so
// close() can do on the reactor what is still queued for a worker, or wait for what one has begun.
struct LogJob {
  std::vector<LogWrite> writes;
  std::vector<LogSegmentPtr> syncs;
  bool sync = false;
  bool write_through = false;  // Nothing else has to be synced: each write is durable when it returns.
  Lsn end = 0;                 // Written, or synced, up to here when it has succeeded.

  // Set by run(), read on the reactor once it has returned there or its completion has arrived.
  Status status;
  uint64_t sync_us = 0;
  bool completed = false;  // The reactor's.

  void run(const Clock& clock) {
    std::call_once(once_, [this, &clock] {
      const uint64_t begun = clock.monotonic_us();
      for (LogWrite& write : writes) {
        status = write.run(write_through);
        if (!status.ok()) return;
      }
      if (!sync) return;
      const uint64_t written = clock.monotonic_us();
      sync_us = written - begun;
      if (write_through) return;
      for (const LogSegmentPtr& segment : syncs) {
        status = segment->file->sync();
        if (!status.ok()) return;
      }
      sync_us = clock.monotonic_us() - written;
    });
  }

 private:
  std::once_flag once_;
};

}  // namespace engine
