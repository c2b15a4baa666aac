// engine/merge_job.h: turns runs into new tables, in short slices: what flush and compaction both are.
//
// The inputs are merged newest first; of each key the newest record stays. On the way
//   - debts of kUnsettled records are paid (engine/record.h) and gathered as count deltas;
//   - a record that is dropped because a newer one shadows it, and that refers to an object which the newer
//     one does not refer to, is reported as a kill;
//   - what a dead object owns is dropped, and dropped headers of a dead database are reported as kills in
//     their turn;
//   - tombstones, and kUnsettled flags, go where no deeper run can hold the key.
//
// Threads: run_slice() on a worker, one slice at a time; everything else on the reactor between slices.
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

class MergeJob {
 public:
  // `inputs` newest first, owned (memtable iterators, run iterators); `keep_alive` is whatever they read
  // from. Table numbers are drawn from `next_number` (called on the worker; must be thread-safe or
  // pre-reserved).
  MergeJob(Env& env, const Schema& schema, MergeOptions options,
           std::vector<std::unique_ptr<Iterator>> inputs, std::vector<std::shared_ptr<const void>> keep_alive,
           std::function<uint64_t()> next_number);
  ~MergeJob();

  // Works until about `bytes` of input are merged or the end is reached (256 KB are some 0.5 ms, but for the
  // slice in which a file ends and is synced). Blocking. After an error the job is over and its output files
  // are removed; its inputs are as they were. Requires: !finished(), no error before.
  Status run_slice(uint64_t bytes);
  bool finished() const;
  MergeResult take_result();  // Requires: finished().
  // Removes what was written (the job is abandoned). Blocking: on a worker, like a slice.
  void discard();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace engine
