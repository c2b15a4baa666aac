// engine/compaction_picker.h: what to merge next.
//
// Leveled, with L0 sublevels. Levels are sized from the last one up, each a tenth of the one below, as many
// as it takes until the first, the *base*, is small enough; so space stays near 1.1 of the data. L0 goes to
// the base when it is deep; a level that is over its size goes to the next, the table with the least overlap
// below first. What overlaps nothing moves down without being read; what is wholly dead goes without being
// read.
//
//     L0     run 5          [======]             depth 3 here: the tables of one column, and what they
//            run 4    [====][======]             overlap in the base, are a merge; older ones that overlap
//            run 3    [====][======][====]       must come along (V1 of version.h), newer ones need not
//     base            [=  ===  ====  == ]
//     last            [=================]
//
// Write amplification is mostly that of L0 into the base: base/L0 of it for each byte. Hence a deep L0
// (sublevels cost a read a filter probe each, some 20 ns) and a base that is allowed to grow before a level
// is put above it.
//
// What must be so for the plans to be right, besides V1 and V2: at most one job touches a level within a
// range of keys at a time. The picker sees to it from the tables in `busy`.
//
// Threads: pure functions; the reactor.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/dead_objects.h"
#include "engine/version.h"

namespace engine {

// The defaults are for memtables of 64 MB: base_bytes and flush_table_bytes go with their size. Simulated,
// uniformly random keys compressed to 0.57 are then written 2.4 times in all (log and flush included) when
// there are 1.2 GB of them, 3.3 times when 2.5, 4.4 when 7.5, 6.4 when 25. Ten sublevels would save a tenth
// of it, half the base a twentieth.
struct CompactionTuning {
  int l0_sublevels_start = 8;            // Depth at which L0 is merged down.
  uint64_t base_bytes = 1 << 30;         // When the base is larger, a level is put above it.
  double ratio = 10;                     // Of a level to the one above it.
  uint64_t table_bytes = 32 << 20;       // Of tables below L0.
  uint64_t flush_table_bytes = 8 << 20;  // Of tables in L0: small, so that L0 falls into columns.
  uint64_t input_bytes_max = 256 << 20;  // About the most that one compaction reads.
};

struct CompactionPlan {
  int input_level = 0;
  int output_level = 0;  // May be the input level: its tables are written anew without what is dead in them.
  uint64_t output_run = 1;           // PlacedTable::run of what comes out.
  std::vector<TableRef> upper;       // Of input_level, newest run first.
  std::vector<TableRef> lower;       // Of output_level, overlapping.
  std::vector<Run> inputs;           // Upper and lower as runs, newest first: what a merge reads.
  bool trivial_move = false;         // `upper` moves as it is.
  bool only_drop = false;            // Every key of `upper` belongs to dead objects: tables just go.
  std::vector<std::string> borders;  // MergeOptions::borders.
  uint64_t input_bytes() const;
};

// The most urgent compaction that gets in the way of none that works on `busy` (table numbers); nothing if
// the tree is in shape. `dead` may be null.
std::optional<CompactionPlan> pick_compaction(const Version& version, const CompactionTuning& tuning,
                                              const std::set<uint64_t>& busy, const DeadObjects::Set* dead,
                                              const Schema& schema);
// All that overlaps [begin, end_inclusive] (an empty end: no end), from the top to the bottom, where
// tombstones and unsettled records go: a COMPACT ordered by hand, one step at a time. Nothing: done, or in
// the way of `busy`.
std::optional<CompactionPlan> pick_manual(const Version& version, const CompactionTuning& tuning,
                                          const std::set<uint64_t>& busy, std::string_view begin,
                                          std::string_view end_inclusive);
// The tables of L0 around `key` that lie one above the other, and what of the base they go to. Nothing: there
// are no two such, or they are in the way of `busy`.
std::optional<CompactionPlan> pick_column(const Version& version, const CompactionTuning& tuning,
                                          const std::set<uint64_t>& busy, std::string_view key);
// About how many bytes compactions would have to read and write before the tree is in shape: what writers are
// slowed by. 0 when it is; rises smoothly from there.
uint64_t compaction_debt(const Version& version, const CompactionTuning& tuning);

// Where the files of a flush are best cut: MergeOptions::borders, with flush_table_bytes as its table_bytes.
// (Where they go in L0 tells place_flush() of engine/version.h.)
std::vector<std::string> flush_borders(const Version& version, const CompactionTuning& tuning);

// Sizes of levels, for those who want to look: what the functions above go by.
struct LevelTargets {
  int base = kLevels - 1;       // Where L0 is merged to: no level above holds data.
  std::vector<uint64_t> bytes;  // By level; levels above the base have 0, the last has no limit.
};
LevelTargets level_targets(const Version& version, const CompactionTuning& tuning);
// The most tables of L0 that hold one key between them.
int l0_depth(const Version& version);

}  // namespace engine
