// engine/merge_job.h: turns runs into new tables, in short steps: what flush and compaction both are.
//
// A step is a slice, which merges in memory, and beside it an errand, which writes what the last slice made,
// reads back what is whole, and reads what the next slice will want:
//
//     begin_step() ─┬─▶ slice()  on one worker  ─┬─▶ begin_step() … until finished()
//                   └─▶ errand() on another one ─┘
//
// The inputs are merged newest first; of each key the newest record stays. On the way
//   - debts of kUnsettled records are paid (engine/record.h) and gathered as count deltas;
//   - a record that is dropped because a newer one shadows it, and that refers to an object which the newer
//     one does not refer to, is reported as a kill;
//   - what a dead object owns is dropped, and dropped headers of a dead database are reported as kills in
//     their turn;
//   - tombstones, and kUnsettled flags, go where no deeper run can hold the key.
//
// Threads: slice() and errand() on workers, each once a step, at the same time or not; everything else on the
// reactor between steps.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/dead_objects.h"
#include "engine/iterator.h"
#include "engine/schema.h"
#include "engine/table_builder.h"
#include "engine/version.h"

namespace engine {

struct MergeOptions {
  TableOptions table;
  std::string directory;
  uint64_t table_bytes = 32 << 20;  // A file is cut near this size …
  // … and at these keys: borders of the level below the output, so that a later merge takes few of them.
  // Sorted.
  std::vector<std::string> borders;
  // What lies below the output, to know the bottom. Null: something may lie below every key.
  VersionRef below;
  int below_level = 0;  // The first level of `below` that counts as below.
  std::shared_ptr<const DeadObjects::Set> dead;
  Lsn first_lsn = 0, last_lsn = 0;  // Of the inputs together.
};

struct MergeResult {
  std::vector<TableMeta> tables;             // Synced and read back; the directory is synced too.
  std::map<ObjectId, int64_t> count_deltas;  // None is zero.
  std::vector<Reference> kills;              // Perhaps some twice.
  uint64_t read_records = 0, written_records = 0, written_bytes = 0;
};

class RunAhead;

class MergeJob {
 public:
  // `inputs` newest first, owned (memtable iterators, run iterators); `keep_alive` is whatever they read
  // from; `ahead` those of their sources that the errands fill. Table numbers are drawn from `next_number`
  // (called on the worker; must be thread-safe or pre-reserved).
  MergeJob(Env& env, const Schema& schema, MergeOptions options,
           std::vector<std::unique_ptr<Iterator>> inputs, std::vector<std::shared_ptr<const void>> keep_alive,
           std::function<uint64_t()> next_number, std::vector<std::shared_ptr<RunAhead>> ahead = {});
  ~MergeJob();

  // Gives to each side what the other has done. Requires: neither runs, !finished(), no error before.
  void begin_step();
  bool has_slice() const;   // There is input left.
  bool has_errand() const;  // One of the two is true until finished().
  // Merges until about `bytes` of input are read or the end is reached: 256 KB are some 0.5 ms.
  Status slice(uint64_t bytes);
  // Writes, about as much as a slice makes, and reads, blocking.
  Status errand(uint64_t bytes);
  // All of a step on one worker; after an error, discard() too.
  Status run_step(uint64_t bytes);
  bool finished() const;
  MergeResult take_result();  // Requires: finished().
  // Removes what was written: the job is abandoned, or has failed, its inputs as they were. Blocking: on a
  // worker, but between steps.
  void discard();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace engine
