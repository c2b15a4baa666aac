// engine/version.h: which tables make up the tree, at one moment.
//
// A level is a row of runs, newest first; a run is a row of tables with disjoint, rising key ranges. Level 0
// takes flushes: its runs are sublevels (a flushed table goes into the lowest sublevel that has every table
// it overlaps below it), so a read pays for the depth of overlap and not for the number of files. Deeper
// levels have one run each today; nothing here assumes it.
//
// Runs of a level have numbers that rise with recency. An edit names a table's place by (level, run number),
// so a run lives as long as a table is in it and its number comes back when it is filled again:
//
//     L0   run 3            [c d]                a flush of [a b] [c d] [e z] now: [a b] into run 2,
//          run 2                      [e g]      above what it overlaps in run 1; [c d] into a new run 4;
//          run 1   [a      b]      [f  m]        [e z] into run 3, above [e g]
//     L6   run 1   [a   e] [f  k] [l    z]
//
// Invariants
//   V1  For one key, a record in a newer run (lower level; same level, earlier run) is newer.
//   V2  Tables of one run do not overlap.
//   V3  A Version never changes. A table's file is removed only when no Version holds it.
//
// Threads: immutable; any.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/iterator.h"
#include "engine/table.h"

namespace engine {

struct ManifestState;
struct VersionEdit;

using TableRef = std::shared_ptr<const Table>;
using TableMap = std::map<uint64_t, TableRef>;  // By number.

// Cheap to copy: copies share one body.
class Run {
 public:
  Run();
  explicit Run(std::vector<TableRef> tables,
               uint64_t number = 1);  // Sorted here by smallest key. Requires: V2.
  uint64_t number() const { return body_->number; }
  const std::vector<TableRef>& tables() const { return body_->tables; }
  uint64_t bytes() const { return body_->bytes; }
  // The one table whose range holds the key; null if none does. Binary search over key heads.
  const Table* find(std::string_view key) const;
  // Index of the first table whose largest key is >= key; tables().size() if none.
  size_t lower_bound(std::string_view key) const;
  // The tables that overlap [begin, end_inclusive], as indices [first, last).
  std::pair<size_t, size_t> overlapping(std::string_view begin, std::string_view end_inclusive) const;

 private:
  struct Body {
    uint64_t number = 1;
    std::vector<TableRef> tables;
    std::string prefix;           // Common to the largest keys of all tables.
    std::vector<uint64_t> heads;  // Eight bytes of each table's largest key behind the prefix, big-endian.
    uint64_t bytes = 0;
  };
  std::shared_ptr<const Body> body_;
};

struct Level {
  std::vector<Run> runs;  // Newest first, none empty.
  uint64_t bytes() const;
  size_t tables() const;
};

inline constexpr int kLevels = 7;

class Version {
 public:
  using Levels = std::vector<Level>;  // Always kLevels of them.
  Version() : levels_(kLevels) {}
  explicit Version(Levels levels);

  const Level& level(int n) const { return levels_[static_cast<size_t>(n)]; }
  // Newest first, calls visit(const Table&) for each table that by its range and its filter may hold `key`,
  // until it returns true. `hash` is the key's. Returns how many tables their filters ruled out.
  template <typename Visit>
  size_t visit(std::string_view key, uint64_t hash, Visit&& visit) const {
    // A filter's line is a cache miss: those of several runs are waited for together.
    std::array<const Table*, kVisitedTogether> tables;
    size_t ruled_out = 0;
    for (size_t at = 0; at < runs_.size();) {
      size_t found = 0;
      for (; at < runs_.size() && found < tables.size(); ++at) {
        const Table* table = runs_[at].find(key);
        if (table == nullptr) continue;
        table->prefetch_filter(hash);
        tables[found++] = table;
      }
      for (size_t i = 0; i < found; ++i) {
        if (!tables[i]->may_contain(hash))
          ++ruled_out;
        else if (visit(*tables[i]))
          return ruled_out;
      }
    }
    return ruled_out;
  }
  bool overlaps(std::string_view begin, std::string_view end_inclusive, int from_level) const;
  uint64_t bytes() const;
  size_t tables() const;
  uint64_t unsettled() const;
  std::vector<TableRef> all_tables() const;

 private:
  static constexpr size_t kVisitedTogether = 12;
  Levels levels_;
  std::vector<Run> runs_;  // Of all levels, newest first.
};
using VersionRef = std::shared_ptr<const Version>;

// The version that a manifest's state describes. Requires: `opened` has every table of it, V2.
VersionRef build_version(const ManifestState& state, const TableMap& opened);
// The version after one more edit; runs that it does not touch are shared. Requires: `opened` has every table
// that the edit adds, moved ones excepted; the edit fits `old` (V2).
VersionRef apply_edit(const Version& old, const VersionEdit& edit, const TableMap& opened);

// The runs of level 0 into which flushed tables go, one for each of `tables` (disjoint, as a flush makes
// them): above everything that the table overlaps, and as low as that allows. Those of one flush may go into
// different runs.
std::vector<uint64_t> place_flush(const Version& version, const std::vector<TableMeta>& tables);

// Iterates one run, opening tables as it comes to them. `source` must outlive it.
std::unique_ptr<Iterator> run_iterator(const Run& run, BlockSource& source);
// Appends iterators for every run of the version that can hold keys in [begin, end) (empty end: no end),
// newest first. Outside that range they may miss records. Returns how many of them are of L0.
size_t add_iterators(const Version& version, std::string_view begin, std::string_view end,
                     BlockSource& source, std::vector<std::unique_ptr<Iterator>>* out);

}  // namespace engine
