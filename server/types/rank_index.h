// server/types/rank_index.h: which element is the n-th, and how many lie before this one.
//
// The elements are records of the owner in key order. Beside them lie counters, a few hundred times fewer a
// level, small records that say how much lies between one separator and the next:
//
//     counters | level (1) | separator        ->  weight (varint) | children (varint)
//     counters | 128 + level (1) | separator  ->  the separators of level `level` under the counter of
//                                                 `separator` one level up (or under the root), but the first
//                                                 (server/types/separator_list.h)
//
//     root     weight 2900                                  three children         kept by the owner
//     level 2  "" 1400            k 900          t 600
//     level 1  "" 500 c 600 f 300 k 400 p 500    t 600      a child of level 2 each
//     level 0  . . . . . . . . . . . . . . . . . . . . .    the elements, weight 1 unless the owner says
//
// Adding or removing an element changes one counter a level, found by point reads, which cost a fraction of
// what ordered seeks over all runs do: that is what the lists of separators are for; only splits and the end
// of a counter write them. A counter with too many children is split in two; one with none goes. A question
// walks at most `children_max` counters a level and as many elements: some ten microseconds with ten million
// elements in memory. Up to children_max elements there are no counters.
//
// Invariants
//   R1  Separators are lower bounds: a counter counts what lies in [its separator, the next one of its
//       level). The first separator of each level is empty.
//   R2  A separator of level n + 1 is also one of level n: a bucket's first child begins where it does.
//   R3  A counter's weight is the sum of its children's; `children` is their number.
//   R4  A counter without weight stays only where R1 or R2 needs it.
//   R5  A list of separators is complete, and left out where it is empty or has once taken more than
//       kListBytesMax (long members that differ late): there separators are sought.
//
// Threads: those of the view. Not here: the elements, which the owner writes and erases.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/fields.h"
#include "server/view.h"

namespace server {

class RankIndex {
 public:
  static constexpr uint64_t kChildrenMax = 256;
  static constexpr size_t kListBytesMax = 16 << 10;

  // What the owner keeps of the index from command to command.
  struct Root {
    uint64_t weight = 0;
    uint64_t children = 0;
    uint8_t levels = 0;
    bool operator==(const Root&) const = default;
    void write(engine::FieldWriter& out) const;
    static Root read(engine::FieldReader& in);
  };

  // Where things lie, and what they weigh. Element keys below are without their prefix.
  struct Plan {
    std::string elements;                                 // Prefix of all elements, and of nothing else.
    std::string counters;                                 // The same of the counters.
    uint64_t (*weigh)(std::string_view value) = nullptr;  // At least 1. Null: 1 each.
    uint64_t children_max = kChildrenMax;                 // At least 4.
  };

  RankIndex(View& view, Plan plan, const Root& root) : view_(view), plan_(std::move(plan)), root_(root) {}

  const Root& root() const { return root_; }

  // ---- changes. The element itself is written first. Counters are written by flush(), which every change
  // of place and every question also does: changes near each other cost one write a level.
  void add(std::string_view key, uint64_t weight = 1);
  void remove(std::string_view key, uint64_t weight = 1);
  void flush();  // Requires: called after the last change.
  // Reads now what a change at `key` will need. For the first change of a command, before its first write:
  // from then on every walk would also have to look into the batch.
  void approach(std::string_view key);

  // ---- questions
  // The weight of all elements whose key is less than `key`.
  uint64_t weight_before(std::string_view key);
  // The element that holds position `position`, counted from 0 by weight.
  struct Place {
    std::string key;
    uint64_t offset;  // Of the position within the element's weight.
  };
  std::optional<Place> at(uint64_t position);
  // From now on walks skip what lies before `key`: the caller knows that no element does (a queue's front is
  // full of erased records).
  void begin_at(std::string_view key) { begin_ = key; }

  // Makes the index of a collection that is written in order, without reading anything.
  class Builder;

 private:
  struct Counter {
    uint64_t weight = 0;
    uint64_t children = 0;
  };
  // A counter in hand, on the way from the root to some element.
  struct Step {
    std::string separator;
    Counter counter;
    std::optional<std::string> next;  // Where the bucket ends; empty: nowhere. Looked up when asked for.
    bool changed = false;
  };

  // Both in key_: valid until the next.
  const std::string& counter_key(size_t level, std::string_view separator);
  static constexpr uint8_t kList = 0x80;  // Added to the level in a list's key.
  const std::string& list_key(size_t level, std::string_view parent);
  static void put_list(View& view, const std::string& key, std::span<const std::string> separators);
  static void put_counter(View& view, const std::string& key, const Counter& counter);
  static Counter decode(std::string_view value);
  uint64_t weight_of(std::string_view value) const;
  View::Range& counters();
  std::string_view separator_here(size_t level);  // Of counters().
  const std::string& next_separator(size_t level);
  bool in_hand(size_t level, std::string_view key);
  void walk_to(std::string_view key);  // Puts the way to `key` in hand.
  bool find_in_list(size_t level, std::string_view key);
  std::string_view parent_of(size_t level) const;  // The separator above the step in hand.
  uint64_t siblings(size_t level) const;           // It and its likes under that.
  void list_separator(size_t level, std::string_view separator);
  void strike_separator(size_t level, std::string_view separator);
  void part_list(size_t level, std::string_view left, std::string_view right);
  void change(std::string_view key, uint64_t minus, uint64_t plus);
  void split(size_t level);
  void grow();
  void prune();

  View& view_;
  Plan plan_;
  Root root_;
  std::string begin_;
  std::vector<Step> way_;  // way_[n] is of level n + 1; empty or `levels` long.
  std::string way_key_;    // Where it leads.
  std::optional<View::Range> counters_;
  std::string key_;  // Scratch.
};

class RankIndex::Builder {
 public:
  Builder(View& view, Plan plan) : view_(view), plan_(std::move(plan)) {}
  // Requires: rising keys.
  void add(std::string_view key, uint64_t weight = 1);
  Root finish();

 private:
  void pass_up(size_t level);  // The pending counter of `level` is full.
  std::string key_of(size_t tag, std::string_view separator) const;
  void write_list(size_t level);

  struct Pending {
    std::string separator;
    Counter counter;
    std::vector<std::string> below;  // The separators of its children, where those are counters.
  };
  View& view_;
  Plan plan_;
  std::string last_key_;
  std::vector<Pending> pending_;  // [n]: the counter of level n + 1 that is being filled.
};

}  // namespace server
