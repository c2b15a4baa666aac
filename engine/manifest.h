// engine/manifest.h: the file that says which files are live.
//
// An append-only row of checksummed edits (engine/manifest.cc draws them); a new one is begun with the whole
// state when the old has grown to four times that. CURRENT names it, replaced by rename. An edit is the only
// way by which the set of live tables changes.
//
// Invariants
//   N1  An edit is durable before a table that it forgets is removed, and after every table it adds is.
//   N2  After a crash the state is that of a prefix of the edits, none lost whose apply() returned.
//
// Threads: any one at a time (the engine runs edits one after the other on a worker).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/env.h"
#include "engine/lsn.h"
#include "engine/schema.h"
#include "engine/table.h"

namespace engine {

struct PlacedTable {
  int level = 0;
  // Runs of a level have numbers that rise with recency; equal numbers are one run.
  uint64_t run = 0;
  TableMeta meta;
};

// One atomic change.
struct VersionEdit {
  std::vector<PlacedTable> added;
  std::vector<uint64_t> removed;             // Table numbers. A number both removed and added has moved.
  std::optional<Lsn> flushed;                // Everything up to here is in tables: replay starts here.
  std::map<ObjectId, int64_t> count_deltas;  // Live keys by owner.
  std::vector<ObjectId> forgotten_counts;    // Owners that are gone.
  std::optional<uint64_t> next_table;
  std::optional<ObjectId> next_object;
  std::optional<std::string> dead_objects;  // DeadObjects::serialize, replaces the old.
  std::map<std::string, std::string>
      properties;  // Small facts of the store: hash seed, history id …; empty removes.
};

// The state that the edits add up to.
struct ManifestState {
  std::map<uint64_t, PlacedTable> tables;
  Lsn flushed = 0;
  std::map<ObjectId, int64_t> counts;  // None is zero.
  uint64_t next_table = 1;
  ObjectId next_object = 1;
  std::string dead_objects;
  std::map<std::string, std::string> properties;
  void apply(const VersionEdit& edit);
  // The edit that makes this of nothing.
  VersionEdit as_edit() const;
};

class Manifest {
 public:
  // Reads what CURRENT names, or creates an empty one in a directory without tables (with `initial` as first
  // edit). A torn end is cut (N2); what a crash has left of other manifests is removed. Blocking.
  // Errors: kCorruption naming file and offset; kTooNew; kIoError; kNoSpace.
  static Result<std::unique_ptr<Manifest>> open(FileSystem& files, const std::string& directory,
                                                const VersionEdit& initial);
  // Makes a new one of `state` in a directory that has tables, but no CURRENT. Blocking.
  static Status create(FileSystem& files, const std::string& directory, const VersionEdit& state);
  virtual ~Manifest() = default;
  virtual const ManifestState& state() const = 0;
  // Appends and syncs one edit. Blocking. Requires: removed tables are there, added ones are not.
  // After an error it is unknown whether a reopened manifest would show the edit, so no table that it names
  // may be removed; state() is without it. The next apply() first begins a new file from state(), and once
  // that returned OK the failed edit has never been.
  virtual Status apply(const VersionEdit& edit) = 0;
  virtual uint64_t file_bytes() const = 0;
};

}  // namespace engine
