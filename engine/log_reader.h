// engine/log_reader.h: reads the log from an LSN on, behind the one who writes it.
//
// What has been handed to the kernel can be read, and nothing beyond: so under SyncPolicy::kAlways a reader
// sees only what is on stable storage. The newest records come from memory at once, older ones from the
// segments, by a worker. What it has not read yet stays in the log (LogPin), unless the log is told
// otherwise.
//
// Threads: the reactor. The Log must outlive it; a fetch() under way need not end before it is destroyed.
#pragma once

#include <functional>
#include <memory>

#include "engine/env.h"
#include "engine/log.h"

namespace engine {

class LogReader {
 public:
  // Requires: `from` begins a record, log.oldest() <= from <= log.written().
  LogReader(Env& env, Log& log, Lsn from);
  ~LogReader();
  LogReader(const LogReader&) = delete;
  LogReader& operator=(const LogReader&) = delete;

  Lsn position() const { return pin_->lsn(); }
  bool at_end() const { return position() >= log_.written(); }
  bool busy() const { return busy_; }

  // Takes the next records if they are in memory. Requires: !busy().
  bool take(LogChunk* chunk);
  // Takes the next records, some `bytes` of them and one frame at least, from the file; `done` is called on
  // the reactor. Requires: !busy(), !at_end(). Errors: kCorruption naming file and offset; kIoError.
  void fetch(uint64_t bytes, std::function<void(Result<LogChunk>)> done);

 private:
  struct Job;
  void finish(Job& job);

  Env& env_;
  Log& log_;
  std::shared_ptr<LogPin> pin_;
  bool busy_ = false;
  // Where reading goes on in the segment that was read last.
  std::shared_ptr<const LogSegment> segment_;
  std::shared_ptr<File> file_;
  uint64_t segment_id_ = 0;
  uint64_t offset_ = 0;
  Lsn offset_lsn_ = 0;                      // Of the frame at `offset_`.
  const std::shared_ptr<LogReader*> self_;  // Jobs find null here when the reader is gone.
};

}  // namespace engine
