// engine/loser_tree.h: which of many iterators is next (Knuth 5.4.1).
//
// Every inner node remembers the loser of the match played there, so a step replays one path from a leaf to
// the root: one comparison a level, on eight-byte heads. The least head among those that the winner has
// beaten is who comes second; while the winner stays below it nothing is replayed at all. Heads are taken
// behind the prefix that all keys at hand share (keys of one collection share nine bytes and more); where a
// key leaves the prefix, and where heads tie too often, the prefix is found anew.
//
//                 winner
//                   |
//              loser of 0|1 , 2|3
//              /            \        .
//        loser 0,1        loser 2,3
//         /     \          /     \   .
//       run 0  run 1    run 2   run 3        equal keys: the lower number (the newer run) comes first
//
// Unlike merging_iterator() it shows every record of a key, newest first: merges need the shadowed ones too.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/iterator.h"
#include "engine/key_head.h"

namespace engine {

class LoserTree {
 public:
  using State = Iterator::State;

  // `children` newest first.
  explicit LoserTree(std::vector<std::unique_ptr<Iterator>> children);

  // Moves every child by seek(child) and finds the first. All children are moved even when one is cold, so
  // that the source hears of all blocks that are needed at once.
  template <typename Seek>
  State start(bool backward, Seek&& seek) {
    backward_ = backward;
    for (const auto& child : children_) seek(*child);
    return build();
  }
  // Moves the winner on. Requires: state() == kAt.
  State step() {
    const size_t child = winner_;
    Iterator& at = *children_[child];
    const State state = backward_ ? at.prev() : at.next();
    if (state != State::kAt) [[unlikely]]
      return settle(child, state);
    Leaf& leaf = leaves_[child];
    leaf.key = at.key();
    if (!has_prefix(leaf.key, prefix_)) [[unlikely]]
      return settle(child, state);
    leaf.head = head_of(leaf.key);
    if (leaf.head >= second_head_) replay(child);
    return state_;
  }

  State state() const { return state_; }
  bool backward() const { return backward_; }
  // The winner. Requires: state() == kAt. The key is valid until the winner moves.
  std::string_view key() const { return leaves_[winner_].key; }
  const Iterator& winner() const { return *children_[winner_]; }
  // Whether step() will come to another record of the same key. Who comes second has lost to the winner.
  bool repeats() const {
    const Leaf& first = leaves_[winner_];
    if (first.head != second_head_) [[likely]]
      return false;
    for (size_t node = (winner_ + children_.size()) / 2; node > 0; node /= 2) {
      if (losers_[node].head != first.head) [[likely]]
        continue;
      const Leaf& loser = leaves_[losers_[node].child];
      if (!loser.at_end && loser.key == first.key) return true;
    }
    return false;
  }
  const Status& status() const;

  // The winner's head: going forward, a winner whose head is less than bound_head(key) lies before `key`, and
  // one whose head is not less may. Good as long as prefixes() stays the same.
  uint64_t head() const { return leaves_[winner_].head; }
  uint64_t prefixes() const { return prefixes_; }
  uint64_t bound_head(std::string_view key) const {
    if (has_prefix(key, prefix_)) return key_head(key.substr(prefix_.size()));
    return compare_keys(key, prefix_) > 0 ? ~uint64_t{0} : 0;
  }

 private:
  struct Leaf {
    uint64_t head = 0;  // Complemented when going backward, so that less is always earlier.
    std::string_view key;
    bool at_end = true;
  };

  struct Loser {
    uint64_t head = 0;  // Its leaf's, kept here so that a replay reads nothing but the path.
    uint32_t child = 0;
  };

  State build();
  bool load(size_t child, State state);  // False: the key lies outside the prefix.
  State settle(size_t child, State state);
  void find_prefix();
  void play_all();
  void replay(size_t child);
  void find_second();
  bool before(size_t a, size_t b) {
    if (leaves_[a].head != leaves_[b].head) [[likely]]
      return leaves_[a].head < leaves_[b].head;
    return before_by_key(a, b);
  }
  bool before_by_key(size_t a, size_t b);
  uint64_t head_of(std::string_view key) const {
    const uint64_t head = key_head(key.substr(prefix_.size()));
    return backward_ ? ~head : head;
  }

  const std::vector<std::unique_ptr<Iterator>> children_;
  std::vector<Leaf> leaves_;
  std::vector<Loser> losers_;  // Node n's parent is n/2; leaf i is node i + children.
  size_t winner_ = 0;
  uint64_t second_head_ = 0;  // The least head of the losers on the winner's path.
  std::string prefix_;
  uint64_t prefixes_ = 0;  // Found so far.
  uint32_t ties_ = 0;      // Since the prefix was found.
  uint32_t ties_max_ = kTiesMin;
  bool backward_ = false;
  State state_ = State::kEnd;

  static constexpr uint32_t kTiesMin = 64;
  static constexpr uint32_t kTiesMax = 1 << 20;
};

}  // namespace engine
