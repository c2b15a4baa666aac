// engine/log_segments.h: the files of the log: prepared ahead, taken, retired.
//
//     (nothing) --create, zero, header, sync--> ready --take()--> written by the log
//         ^                                       ^                      |
//         |                                       |                   retire()
//         +------------------ removed <-------- retired <----------------+
//                              (over-long,        |
//                               or too many)      +--renamed, new header, synced--> ready
//
// A ready file is zeroed (or holds frames of an earlier life) to its full size, so that writing it needs no
// space and a sync of it no change of metadata. Its directory entry is durable. Its header has a new id.
//
// Threads: the reactor; one job at a time on the kLog lane, in slices, so that a sync need not wait for one.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/env.h"
#include "engine/log_format.h"

namespace engine {

struct LogSegment {
  std::string path;
  uint64_t id = 0;
  uint64_t bytes = 0;
  std::unique_ptr<File> file;  // Open while anything may be written or has to be synced.
  // The log's, from take() on:
  Lsn first = 0;
  Lsn end = 0;                          // Once closed.
  uint64_t offset = kFirstFrameOffset;  // Where the next frame goes.
  bool named = false;                   // Its name is that of `first`.

  // The largest record that can join the frame being gathered, though a sync may begin before that is
  // written, and a page is kept for the mark of a proper close.
  uint64_t room(uint64_t frame_so_far) const;
};
using LogSegmentPtr = std::shared_ptr<LogSegment>;

// The making of one ready segment, in steps that each block for at most a megabyte or so.
class LogSegmentMaker {
 public:
  static LogSegmentMaker fresh(Env& env, const std::string& directory, uint64_t bytes);
  // Makes a retired file into a new segment. Requires: nobody will read it any more.
  static LogSegmentMaker recycled(Env& env, const std::string& directory, LogSegmentPtr old);

  // True when it is ready. After an error the file has been removed, if the disk allowed.
  Result<bool> step();
  LogSegmentPtr take() { return std::move(segment_); }

 private:
  Status create();
  Status zero();
  Status reuse();
  Status finish();

  FileSystem* files_ = nullptr;
  std::string directory_;
  std::string old_path_;  // Empty if fresh.
  LogSegmentPtr segment_;
  uint64_t zeroed_ = 0;
  bool made_ = false;  // The file exists, or the old one has been opened.
};

class LogSegmentPool {
 public:
  // `changed` is called on the reactor whenever room() or status() has.
  LogSegmentPool(Env& env, std::string directory, uint64_t segment_bytes, std::function<void()> changed);
  ~LogSegmentPool();

  // A ready segment for a frame of one record of that size: the smallest that takes it. Null if there is
  // none.
  LogSegmentPtr take(uint64_t record_bytes);
  uint64_t room() const;  // The largest record for which take() has one.
  // Prepares one that takes a record of this size, unless there is one.
  void reserve(uint64_t record_bytes);
  // The oldest first. Its records will not be read any more.
  void retire(LogSegmentPtr segment);
  // Keeps one ready; after a failure once a second.
  void tick();
  // Begins nothing more.
  void stop() { stopped_ = true; }
  bool busy() const { return busy_; }
  // Why the last attempt to prepare one failed.
  const Status& status() const { return status_; }

 private:
  struct Job;
  void start();
  void run(std::shared_ptr<Job> job);
  void finish(Job& job);

  Env& env_;
  const std::string directory_;
  const uint64_t segment_bytes_;
  const std::function<void()> changed_;
  std::vector<LogSegmentPtr> ready_;
  std::deque<LogSegmentPtr> retired_;
  uint64_t reserve_ = 0;  // The record size asked for, until there is a segment for it.
  bool busy_ = false;
  bool stopped_ = false;
  Status status_;
  uint64_t retry_at_us_ = 0;
  const std::shared_ptr<LogSegmentPool*> self_;  // Jobs find null here when the pool is gone.
};

}  // namespace engine
