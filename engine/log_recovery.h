// engine/log_recovery.h: what a directory of segments says the history was.
//
// Segments are taken in the order of their first LSN, frames in the order of theirs. Where the chain breaks,
// at LSN e, everything else is searched for valid frames:
//
//     one says that the log was synced beyond e  ->  bytes that were on the disk are damaged: kCorruption
//     none does                                  ->  a power cut: the history ends at e, the rest is given up
//
// A segment may hold anything behind its last frame if a successor begins at the very LSN where it ends: that
// is how a cut is made for good without writing to the damaged file.
//
// Threads: blocking, on whatever thread opens the log.
#pragma once

#include <vector>

#include "engine/log.h"
#include "engine/log_segments.h"

namespace engine {

struct LogHistory {
  std::vector<LogSegmentPtr> segments;  // In order, adjacent; their files closed. Empty for a new history.
  std::vector<LogSegmentPtr> spares;    // Files with no history in them, fit to be recycled.
  // The last segment was closed properly and may be continued at its `offset`; else a new one must begin.
  bool clean = false;
  LogRecovery report;
};

// Replays, then removes what the history does not use and makes the result durable. Errors: as Log::open().
Result<LogHistory> recover_log(Env& env, const LogOptions& options, Lsn from, const Log::Replay& replay);

}  // namespace engine
