// engine/merge_output.h: the tables that a merge makes: their bytes, and, beside it, the disk's part.
//
//     add() ─▶ TableBuilder ─▶ stretches ─▶ hand_over() ─▶ work(): create, write, sync, then read back whole
//     the merge's slice, on one worker                     the errand, on another one at the same time
//
// A merge that writes where it stands waits for the disk about half of its time. So a slice only fills
// memory, and what it has filled is written while the next one runs. No more than two slices' output waits
// like this: the next step begins when both sides of the last are over.
//
// Invariants
//   O1  The two sides share nothing but what hand_over() moves, while neither runs.
//   O2  done() only when every table was written, synced and read back as it was meant, and the directory
//       synced.
//
// Threads: add() and finish() on one worker, work() on another; the rest on the reactor, between steps.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/env.h"
#include "engine/table_builder.h"
#include "engine/table_read_back.h"

namespace engine {

struct MergeOptions;

class MergeOutput {
 public:
  // `options` outlives it.
  MergeOutput(FileSystem& files, const MergeOptions& options, std::function<uint64_t()> next_number);
  ~MergeOutput();

  // The slice's side: memory only.
  Status add(std::string_view key, std::string_view value, uint8_t flags);
  Status finish();  // No record follows.

  // Between the sides.
  void hand_over();
  bool has_work() const { return !done_ && (!handed_.empty() || !unread_.empty() || ended_); }
  bool done() const { return done_; }
  const std::vector<TableMeta>& tables() const { return tables_; }  // Requires: done().

  // The errand's side: writes all that was handed over and reads back about `bytes` of what is whole.
  // Errors: those of File; kIoError where the disk returns other bytes than were written.
  Status work(uint64_t bytes);

  // Removes every file of it. Blocking. Requires: neither side runs, and none will.
  void remove_all();

 private:
  // Some bytes of one table, in the order of the file.
  struct Stretch;
  class Sink;

  bool pass_borders(std::string_view key);
  bool ends_before(bool at_border) const;
  void begin_file();
  Status end_file();
  Status write(Stretch& stretch);
  Status read_back(uint64_t bytes);
  std::string path_of(uint64_t number) const;

  FileSystem& files_;
  const MergeOptions& options_;
  const std::function<uint64_t()> next_number_;

  // The slice's.
  std::unique_ptr<TableBuilder> builder_;  // Of the table that is being made.
  uint64_t number_ = 0;                    // Its.
  std::deque<Stretch> made_;
  bool finished_ = false;
  size_t border_ = 0;            // The first border behind the last key.
  uint64_t borders_passed_ = 0;  // Since the table began.

  // The errand's.
  std::deque<Stretch> handed_;
  bool ended_ = false;  // What was handed over is all.
  std::unique_ptr<File> file_;
  uint64_t file_bytes_ = 0;  // Of file_, so far.
  std::vector<uint64_t> created_;
  std::deque<TableMeta> unread_;  // Written and synced.
  std::unique_ptr<TableReadBack> reading_back_;
  std::vector<TableMeta> tables_;  // Read back, too.
  bool done_ = false;
};

}  // namespace engine
