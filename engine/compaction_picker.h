// engine/compaction_picker.h: what to merge next.
//
// Leveled, ratio 10 (levels sized from the last one up, so that space stays near 1.1 of the data), with L0
// sublevels. Scores: L0 by its depth of sublevels, others by bytes over target; files full of tombstones or
// of dead objects raise theirs. Within a level the table with the least overlap below goes first; one that
// overlaps nothing moves down without being read.
//
// Threads: a pure function; the reactor.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/dead_objects.h"
#include "engine/version.h"

namespace engine {

struct CompactionTuning {
  int l0_sublevels_start = 4;       // Depth at which L0 is merged down.
  uint64_t base_bytes = 256 << 20;  // Target of the first level below L0 that holds data.
  double ratio = 10;
  uint64_t table_bytes = 32 << 20;
  uint64_t input_bytes_max = 256 << 20;  // About the most that one compaction reads.
};

struct CompactionPlan {
  int input_level = 0;
  int output_level = 0;
  std::vector<TableRef> upper;       // Of input_level, newest run first.
  std::vector<TableRef> lower;       // Of output_level, overlapping.
  bool trivial_move = false;         // `upper` moves as it is.
  bool only_drop = false;            // Every key of `upper` belongs to dead objects: tables just go.
  std::vector<std::string> borders;  // MergeOptions::borders.
  uint64_t input_bytes() const;
};

// The most urgent compaction that touches none of `busy` (table numbers); nothing if the tree is in shape.
std::optional<CompactionPlan> pick_compaction(const Version& version, const CompactionTuning& tuning,
                                              const std::set<uint64_t>& busy, const DeadObjects::Set* dead,
                                              const Schema& schema);
// All that overlaps [begin, end_inclusive], from the top to the bottom: a COMPACT ordered by hand, one step
// at a time.
std::optional<CompactionPlan> pick_manual(const Version& version, const CompactionTuning& tuning,
                                          const std::set<uint64_t>& busy, std::string_view begin,
                                          std::string_view end_inclusive);
// Bytes that compactions would have to read and write before the tree is in shape: what writers are slowed
// by.
uint64_t compaction_debt(const Version& version, const CompactionTuning& tuning);
// The sublevel (run number) into which a flushed table goes: above all that it overlaps.
// Returns the run numbers for `tables`, given the L0 of `version` with its run numbers.
}  // namespace engine
