// engine/log_cut.h: takes a store back to an earlier LSN, by giving up the end of its log.
//
// What was flushed cannot be taken back, nor what compactions and the manifest know of objects that died
// since: Engine::cut_floor() says how far back is possible. The order is a file, CUT, which the next open
// obeys before it replays the log (and lays aside if the store has got beyond it meanwhile): so a crash finds
// the old end or the new one.
//
// Threads: any one at a time; everything blocks.
#pragma once

#include <optional>
#include <string>

#include "engine/env.h"
#include "engine/lsn.h"

namespace engine {

// Durable once it returns OK.
Status order_cut(FileSystem& files, const std::string& directory, Lsn lsn);
// What is ordered; nothing: nothing is, or the order is damaged, as by a crash while it was written.
Result<std::optional<Lsn>> ordered_cut(FileSystem& files, const std::string& directory);
Status forget_cut(FileSystem& files, const std::string& directory);

// Makes the log end at `lsn`, or leaves it as it is if no record begins there. Requires: the log is not open.
// Errors: kIoError, kNoSpace; it ends where it did or somewhat nearer to `lsn` then.
Status cut_log(Env& env, const std::string& directory, Lsn lsn);

}  // namespace engine
