// engine/log.h: the write-ahead log, what makes a write durable.
//
// Records are appended on the reactor; end_turn() closes the turn's records into one frame and sees that
// it reaches the file: written by the reactor itself when that cannot block, or handed to a worker. A log is
// a row of segments (engine/log_format.h draws them), prepared ahead, recycled behind.
//
// Invariants
//   L1  Frames reach the file in LSN order; frame n+1 starts where frame n ends.
//   L2  What a returned OK sync covered is seen by every later replay.
//   L3  The first failed write or sync closes the log for good: failure() says how, written() and synced()
//       stand still. A failed sync is never retried.
//   L4  Space is allocated before it is promised: while room() covers a record, appending it cannot meet a
//       full disk.
//   L5  The reactor never writes to a file that is being synced: a worker does, beside the sync.
//   L6  No sector that holds a synced frame is written again: after a sync the next frame starts on a new
//       page.
//
// Threads: the reactor. Its jobs on workers touch only bytes and files handed to them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "engine/env.h"
#include "engine/lsn.h"

namespace engine {

enum class SyncPolicy : uint8_t {
  kAlways,    // Every frame is synced at once; frames that arrive meanwhile share the next sync.
  kEverySec,  // A sync a second.
  kNo,        // The system decides.
};

struct LogOptions {
  std::string directory;
  uint64_t segment_bytes = 32 << 20;  // A multiple of 4096, from 16 KB.
  SyncPolicy policy = SyncPolicy::kEverySec;
  uint64_t keep_bytes = 0;  // See Log::keep().
};

// What replay found.
struct LogRecovery {
  Lsn end = 0;             // Where the history ends.
  uint64_t records = 0;    // Replayed.
  uint64_t bytes = 0;      // Of them.
  uint64_t cut_bytes = 0;  // Behind the first damage, given up as the tail of a power cut.
  std::string cut_at;      // File and offset of it, empty if the log ended cleanly.
  bool clean = false;      // The log was closed by close(), and nothing behind its end is missing.
};

struct LogSegment;

// A position that a reader of the log has not passed. Threads: the reactor.
class LogPin {
 public:
  explicit LogPin(Lsn lsn) : lsn_(lsn) {}
  Lsn lsn() const { return lsn_; }
  void advance(Lsn lsn) { lsn_ = lsn; }

 private:
  Lsn lsn_;
};

// Records as a frame's payload has them (each its length and its bytes), whole ones.
struct LogChunk {
  Lsn first = 0, end = 0;
  std::string payload;
};

class Log {
 public:
  using Replay = std::function<Status(Lsn end, std::string_view record)>;

  // Replays every record that ends above `from` in order, then opens the log for appending at its end.
  // Blocking. A directory without segments begins a history at LSN `from`. Errors: kCorruption (damage below
  // what a later valid frame says was synced, a gap between segments, a history that starts above `from`),
  // naming file and offset; kTooNew; whatever `replay` returned.
  static Result<std::unique_ptr<Log>> open(Env& env, const LogOptions& options, Lsn from,
                                           const Replay& replay, LogRecovery* recovery);
  // Without close() it is as if the process had been killed: jobs under way may still write. So the directory
  // is not to be opened again by this process before they have ended.
  virtual ~Log() = default;

  // Adds a record to this turn's frame and returns where it ends, which is end() plus its size. Nothing
  // blocks. Requires: failure().ok(), 0 < record.size() <= room(), not closed.
  virtual Lsn append(std::string_view record) = 0;
  // Closes the frame. Once per turn of the reactor; nothing appended, nothing done.
  virtual void end_turn() = 0;

  virtual Lsn end() const = 0;      // Where the next record begins.
  virtual Lsn written() const = 0;  // Handed to the kernel up to here.
  virtual Lsn synced() const = 0;   // On stable storage up to here.
  // Bytes of records that can still be appended without asking the disk for space. A segment is being
  // prepared while there is less than one to spare.
  virtual uint64_t room() const = 0;
  // For a record that is larger than room(): has a segment prepared that takes it. Progress tells when room()
  // has grown.
  virtual void reserve(uint64_t bytes) = 0;
  virtual const Status& failure() const = 0;
  // Why the next segment could not be prepared (a full disk, usually); OK otherwise. Tried again by tick().
  virtual const Status& preparation() const = 0;

  // Called on the reactor whenever written(), synced(), room(), failure() or preparation() changed: from a
  // job's completion, or from within end_turn(), tick(), request_sync(), set_policy() or close(). It must not
  // append.
  virtual void on_progress(std::function<void()> listener) = 0;

  // Asks for a sync of all that is appended; progress tells when it is done.
  virtual void request_sync() = 0;
  virtual void set_policy(SyncPolicy policy) = 0;
  // Some ten times a second: the sync of kEverySec, retries of preparation().
  virtual void tick() = 0;

  // No one will replay or read records that end at or below `lsn`: their segments may be recycled.
  virtual void release(Lsn lsn) = 0;
  virtual Lsn oldest() const = 0;  // The first LSN still in a segment.

  // ---- reading it while it is written (engine/log_reader.h)
  // Segments with records above the pin stay, released or not, as long as the pin lives. Requires: lsn >=
  // oldest().
  virtual std::shared_ptr<LogPin> pin(Lsn lsn) = 0;
  // Keeps so many bytes of records behind the end though nobody needs them; on a full disk, none.
  virtual void keep(uint64_t bytes) = 0;
  // The segment that holds the record which begins at `lsn`, and the LSN up to which it can be read from the
  // file; null: it is gone, or not yet written.
  virtual std::shared_ptr<const LogSegment> find_segment(Lsn lsn, Lsn* until) const = 0;
  // The newest records are also in memory while there is a pin. False: not those at `lsn`.
  virtual bool recent(Lsn lsn, LogChunk* chunk) const = 0;

  // Writes and syncs what is left and says in the log that this was all, blocking. Nothing may be appended
  // afterwards.
  virtual Status close() = 0;
  // After close(): none of its jobs is left, and the directory may be opened again.
  virtual bool idle() const = 0;

  struct Stats {
    uint64_t frames = 0, bytes_written = 0, syncs = 0, sync_us = 0, sync_us_max = 0, segments = 0;
  };
  virtual Stats stats() const = 0;
};

}  // namespace engine
