#include "engine/sample.h"

#include <algorithm>

#include "engine/memtable_tree.h"
#include "engine/record.h"

namespace engine {
namespace {

class Dice {
 public:
  explicit Dice(uint64_t seed) : state_(seed) {}
  uint64_t below(uint64_t bound) {  // SplitMix64. Requires: bound > 0.
    state_ += 0x9e3779b97f4a7c15;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return (z ^ (z >> 31)) % bound;
  }

 private:
  uint64_t state_;
};

// ---- memtables

// Where the range begins and ends in a tree.
struct TreeRange {
  tree::Path begin, end;
  bool ends = false;  // `end` bounds it.
};

TreeRange locate(const tree::Node* root, std::string_view begin, std::string_view end) {
  TreeRange range;
  tree::locate(root, begin, &range.begin);
  range.ends = !end.empty();
  if (range.ends) tree::locate(root, end, &range.end);
  return range;
}

// Which part of the tree's records lie before the path's place, if all nodes of a level have as many.
double part_before(const tree::Path& path) {
  double before = 0, share = 1;
  for (unsigned level = path.levels; level-- > 0;) {
    const double slots = path.node[level]->count;
    before += share * path.slot[level] / slots;
    share /= slots;
  }
  return before;
}

// Down from the root, at each node one of its children. Where the range covers a node in part, what is drawn
// outside of it counts as a miss: else the few records at an edge would be likelier than others.
Lookup::State sample_tree(const tree::Node* root, std::string_view begin, std::string_view end, Dice& dice,
                          std::string* key) {
  const TreeRange range = locate(root, begin, end);
  bool at_begin = true, at_end = range.ends;
  const tree::Node* node = root;
  for (unsigned level = range.begin.levels; level-- > 0;) {
    const unsigned first = at_begin ? range.begin.slot[level] : 0;
    // In a leaf the end's slot is the first beyond it.
    const unsigned behind = at_end ? range.end.slot[level] + (level > 0 ? 1 : 0) : node->count;
    if (first >= behind) return Lookup::State::kAbsent;
    const bool holds_range = at_begin && (at_end || !range.ends);
    const auto slot = holds_range ? first + static_cast<unsigned>(dice.below(behind - first))
                                  : static_cast<unsigned>(dice.below(node->count));
    if (slot < first || slot >= behind) return Lookup::State::kAbsent;
    if (level == 0) {
      if (node->record[slot]->tombstone()) return Lookup::State::kAbsent;
      *key = node->record[slot]->key();
      return Lookup::State::kFound;
    }
    at_begin = at_begin && slot == first;
    at_end = at_end && slot + 1 == behind;
    node = static_cast<const tree::Inner*>(node)->child[slot];
  }
  return Lookup::State::kAbsent;
}

// ---- tables

uint64_t records_within(const Table& table, std::string_view begin, std::string_view end) {
  const uint64_t bytes = table.approximate_bytes(begin, end);
  const uint64_t all = table.block_offset(table.blocks());
  if (bytes == 0 || all == 0) return 0;
  const double part = static_cast<double>(bytes) / static_cast<double>(all);
  return std::max<uint64_t>(1, static_cast<uint64_t>(part * static_cast<double>(table.meta().entries)));
}

Lookup::State sample_table(const Table& table, BlockSource& source, std::string_view begin,
                           std::string_view end, Dice& dice, std::string* key) {
  const uint32_t first = table.find_block(begin);
  const uint32_t last =
      end.empty() ? table.blocks() - 1 : std::min(table.find_block(end), table.blocks() - 1);
  if (first > last) return Lookup::State::kAbsent;
  const BlockRef block = source.block(table, first + static_cast<uint32_t>(dice.below(last - first + 1)));
  if (!block) return source.status().ok() ? Lookup::State::kCold : Lookup::State::kFailed;
  const uint32_t from = block->lower_bound(begin);
  const uint32_t to = end.empty() ? block->entries() : block->lower_bound(end);
  if (from >= to) return Lookup::State::kAbsent;
  // As in a tree: a miss at an edge of a long range.
  const bool exact = last - first < 2;
  const uint32_t record = exact ? from + static_cast<uint32_t>(dice.below(to - from))
                                : static_cast<uint32_t>(dice.below(block->entries()));
  if (record < from || record >= to) return Lookup::State::kAbsent;
  if (block->record(record).flags & kTombstone) return Lookup::State::kAbsent;
  *key = block->key(record);
  return Lookup::State::kFound;
}

constexpr size_t kTablesARun = 16;

// How many tables of the run begin before `end`; never fewer than lie before any key less than it.
size_t tables_before(const Run& run, std::string_view end) {
  const size_t at = run.lower_bound(end);
  const bool begins = at < run.tables().size() && std::string_view(run.tables()[at]->meta().smallest) < end;
  return at + (begins ? 1 : 0);
}

}  // namespace

uint64_t records_within(const MemtableRecords& memtable, std::string_view begin, std::string_view end) {
  if (memtable.records == 0) return 0;
  const TreeRange range = locate(memtable.root, begin, end);
  const double part = (range.ends ? part_before(range.end) : 1.0) - part_before(range.begin);
  // At least one: the places may be a few records apart and look like one.
  return std::max<uint64_t>(1, static_cast<uint64_t>(part * static_cast<double>(memtable.records)));
}

Lookup::State sample_runs(const std::vector<MemtableRecords>& memtables, const Version& version,
                          BlockSource& source, std::string_view begin, std::string_view end, uint64_t random,
                          std::string* key) {
  if (!end.empty() && end <= begin) return Lookup::State::kAbsent;
  Dice dice(random);
  // One pass: a run replaces the one chosen so far as often as its share of what was met says.
  uint64_t met = 0;
  const MemtableRecords* memtable = nullptr;
  const Table* table = nullptr;
  const auto chosen = [&](uint64_t records) {
    met += records;
    return records > 0 && dice.below(met) < records;
  };
  for (const MemtableRecords& one : memtables) {
    if (chosen(records_within(one, begin, end))) memtable = &one;
  }
  for (int n = 0; n < kLevels; ++n) {
    for (const Run& run : version.level(n).runs) {
      const size_t first = run.lower_bound(begin);
      const size_t tables = (end.empty() ? run.tables().size() : tables_before(run, end)) - first;
      // Of a long run a few tables stand for the others.
      const size_t looks = std::min(tables, kTablesARun);
      for (size_t i = 0; i < looks; ++i) {
        const Table& one = *run.tables()[first + (tables > looks ? dice.below(tables) : i)];
        if (!chosen(records_within(one, begin, end) * tables / looks)) continue;
        table = &one;
        memtable = nullptr;
      }
    }
  }
  if (memtable != nullptr) return sample_tree(memtable->root, begin, end, dice, key);
  if (table != nullptr) return sample_table(*table, source, begin, end, dice, key);
  return Lookup::State::kAbsent;
}

}  // namespace engine
