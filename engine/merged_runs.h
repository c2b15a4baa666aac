// engine/merged_runs.h: many runs as one, the newest record of each key winning: the work of
// merging_iterator(), for those who cannot afford a virtual call and a copy of the position more a record.
//
// Tombstones are shown, shadowed records are not. Both directions; a change of direction costs a seek in
// every child. A child that is cold or failed makes the whole so.
//
// Threads: its owner's.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/loser_tree.h"

namespace engine {

class MergedRuns {
 public:
  using State = Iterator::State;

  // `children` newest first.
  explicit MergedRuns(std::vector<std::unique_ptr<Iterator>> children) : tree_(std::move(children)) {}

  State seek_first() {
    return tree_.start(false, [](Iterator& it) { it.seek_first(); });
  }
  State seek_last() {
    return tree_.start(true, [](Iterator& it) { it.seek_last(); });
  }
  State seek(std::string_view key) {
    last_key_.assign(key);  // It may be a view of what a child is on.
    return tree_.start(false, [this](Iterator& it) { it.seek(last_key_); });
  }
  State seek_before(std::string_view key) {
    last_key_.assign(key);
    return tree_.start(true, [this](Iterator& it) { it.seek_before(last_key_); });
  }
  State next() {
    if (!tree_.backward()) [[likely]]
      return skip_shadowed();
    last_key_.assign(tree_.key());
    tree_.start(false, [this](Iterator& it) { it.seek(last_key_); });
    const bool same = tree_.state() == State::kAt && tree_.key() == last_key_;
    return same ? skip_shadowed() : tree_.state();
  }
  State prev() {
    if (tree_.backward()) [[likely]]
      return skip_shadowed();
    last_key_.assign(tree_.key());
    return tree_.start(true, [this](Iterator& it) { it.seek_before(last_key_); });
  }

  // Requires: the last move returned kAt; so for all below but status(). Good until the next move.
  const Iterator& here() const { return tree_.winner(); }
  std::string_view key() const { return tree_.key(); }
  uint8_t flags() const { return tree_.winner().flags(); }
  // As compare_keys(key(), bound.key) < 0, mostly by one comparison of integers. Requires: going forward.
  struct Bound {
    std::string_view key;
    uint64_t head = 0, prefixes = 0;
  };
  bool below(Bound* bound) const {
    if (bound->prefixes != tree_.prefixes()) [[unlikely]] {
      bound->prefixes = tree_.prefixes();
      bound->head = tree_.bound_head(bound->key);
    }
    return tree_.head() < bound->head || compare_keys(tree_.key(), bound->key) < 0;
  }
  const Status& status() const { return tree_.status(); }

 private:
  // Leaves the record shown and all older ones of its key.
  State skip_shadowed() {
    while (tree_.repeats()) {
      if (tree_.step() != State::kAt) return tree_.state();
    }
    return tree_.step();
  }

  LoserTree tree_;
  std::string last_key_;
};

}  // namespace engine
