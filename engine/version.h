// engine/version.h: which tables make up the tree, at one moment.
//
// A level is a row of runs, newest first; a run is a row of tables with disjoint, rising key ranges. Level 0
// takes flushes: its runs are sublevels (a flush's tables go into the highest sublevel that no table above
// overlaps), so a read pays for the depth of overlap and not for the number of files. Deeper levels have one
// run each today; nothing here assumes it.
//
// Invariants
//   V1  For one key, a record in a newer run (lower level; same level, earlier run) is newer.
//   V2  Tables of one run do not overlap.
//   V3  A Version never changes. A table's file is removed only when no Version holds it.
//
// Threads: immutable; any.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "engine/table.h"

namespace engine {

using TableRef = std::shared_ptr<const Table>;

class Run {
 public:
  Run() = default;
  explicit Run(std::vector<TableRef> tables);  // Sorted here by smallest key.
  const std::vector<TableRef>& tables() const { return tables_; }
  uint64_t bytes() const { return bytes_; }
  // The one table whose range holds the key; null if none does. Binary search over key heads.
  const Table* find(std::string_view key) const;
  // Index of the first table whose largest key is >= key.
  size_t lower_bound(std::string_view key) const;

 private:
  std::vector<TableRef> tables_;
  std::vector<uint64_t> heads_;  // First eight bytes of each table's largest key, big-endian.
  uint64_t bytes_ = 0;
};

struct Level {
  std::vector<Run> runs;  // Newest first.
  uint64_t bytes() const;
  size_t tables() const;
};

inline constexpr int kLevels = 7;

class Version {
 public:
  using Levels = std::vector<Level>;  // Always kLevels of them.
  Version() : levels_(kLevels) {}
  explicit Version(Levels levels) : levels_(std::move(levels)) {}

  const Level& level(int n) const { return levels_[static_cast<size_t>(n)]; }
  // Newest first, calls visit(const Table&) for each table whose range holds `key` until it returns true.
  template <typename Visit>
  void visit(std::string_view key, Visit&& visit) const {
    for (const Level& level : levels_)
      for (const Run& run : level.runs)
        if (const Table* table = run.find(key); table && visit(*table)) return;
  }
  bool overlaps(std::string_view begin, std::string_view end_inclusive, int from_level) const;
  uint64_t bytes() const;
  size_t tables() const;
  uint64_t unsettled() const;
  std::vector<TableRef> all_tables() const;

 private:
  Levels levels_;
};
using VersionRef = std::shared_ptr<const Version>;

// Iterates one run, opening tables as it comes to them. `source` must outlive it.
std::unique_ptr<Iterator> run_iterator(const Run& run, BlockSource& source);
// Appends iterators for every run of the version that can hold keys in [begin, end) (empty end: no end),
// newest first.
void add_iterators(const Version& version, std::string_view begin, std::string_view end, BlockSource& source,
                   std::vector<std::unique_ptr<Iterator>>* out);

}  // namespace engine
