// engine/memtable_tree.h: the copy-on-write B+tree inside a memtable.
//
// A node has 64 slots in three parallel arrays; a leaf has no children:
//
//     head[i]      8 bytes of slot i's key from `prefix` on, big-endian, zeros past the key's end
//     record[i]    leaf: the record.  inner: a record whose key is the smallest that child i may hold
//     child[i]     inner only
//
// Keys that lie together begin alike (a database, user:0000...), so the heads start behind the bytes that all
// keys of a node share, its `prefix`. Every key in a node lies between two fences, the separators left and
// right of the path to it, and has what both fences have: such a prefix needs no look. At the edges of the
// tree there is but one fence or none; there a prefix of the keys at hand is kept in the node (`text`), a
// search compares it first, and a new key that does not share it shortens it.
//
// Heads that are equal prove nothing ("a" and "a\0" have the same), so then the keys are compared.
//
// A separator may outlive its record's place in the tree: records stay in the arena, and so does the key.
//
// Nodes are only ever added to (deletion is a record: a tombstone), so nothing is merged.
//
// Threads: see engine/memtable.h. Not here: who may see which node (Memtable keeps the list of views).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/arena.h"
#include "engine/memtable.h"

namespace engine::tree {

inline constexpr unsigned kSlots = 64;
inline constexpr unsigned kTextBytes = 48;  // Fills the node's first cache line.
inline constexpr unsigned kLevelsMax = 12;  // Nodes are at least half full but at the right edge: 32^12 keys.

struct Node {
  uint64_t epoch;  // When it was made: a view taken in that epoch or later can see it.
  uint32_t prefix;
  uint16_t count;
  uint8_t level;  // 0 is a leaf.
  bool checked;   // The prefix holds for the keys in here only, and is in `text`.
  char text[kTextBytes];
  uint64_t head[kSlots];  // All ones from `count` on, so that a search need not know the count.
  MemRecord* record[kSlots];
};

static_assert(offsetof(Node, head) == 64);

// The key of slot 0 is not looked at: child 0 may hold all that is below slot 1.
struct Inner : Node {
  Node* child[kSlots];
};

// The way from a root to a slot, by level.
struct Path {
  const Node* node[kLevelsMax];
  unsigned slot[kLevelsMax];
  unsigned levels = 0;  // 0: an empty tree.

  const Node* leaf() const { return node[0]; }
};

// The record of `key` below `root` (null: an empty tree), or null.
MemRecord* find(const Node* root, std::string_view key);

// Where `key` is or, if it is absent (false), where it belongs: the slot may then be one past the leaf's
// last.
bool locate(const Node* root, std::string_view key, Path* path);

// A tree that is being written. `visible_epoch`: nodes made in it or before may be seen by a view and are
// copied before they are written; 0 if there is no view.
class Tree {
 public:
  explicit Tree(Arena& arena) : arena_(arena) {}

  const Node* root() const { return root_; }
  uint64_t epoch() const { return epoch_; }

  // As locate() below its root. Right beside the key that was inserted last it needs no walk: a list that is
  // pushed to, a stream, rising numbers.
  bool locate(std::string_view key, Path* path) const;

  // From now on nodes are of a new epoch. Returns the one that ended.
  uint64_t end_epoch() { return epoch_++; }

  // Both take a path that one of the locate()s has just found in this tree.
  void replace(const Path& path, MemRecord* record, uint64_t visible_epoch);
  void insert(const Path& path, MemRecord* record, uint64_t visible_epoch);

  // Requires: no view is alive. What was copied for views is used for new nodes from now on.
  void reuse_replaced();

 private:
  struct Way;  // A path all of whose nodes may be written.

  bool beside_last(std::string_view key, bool* equal, unsigned* slot) const;

  Way own(const Path& path, uint64_t visible_epoch);
  Node* new_node(unsigned level);
  Node* copy(const Node* node);
  void insert_leaf(Way& way, MemRecord* record);  // And has `last_` follow.
  void insert_child(Way& way, unsigned level, MemRecord* separator, Node* child);
  void grow(Node* left, MemRecord* separator, Node* right);

  Arena& arena_;
  Node* root_ = nullptr;
  uint64_t epoch_ = 1;
  const MemRecord* last_inserted_ = nullptr;
  Path last_;                    // To it, if it went beside the one before: else keys have no order, and
                                 // to look beside it would be in vain. No levels: none.
  std::vector<Node*> replaced_;  // By copies; only views can still see them.
  std::vector<Node*> free_leaves_;
  std::vector<Node*> free_inners_;
};

// A position in a tree that is not written meanwhile.
class Cursor {
 public:
  bool at() const { return record_ != nullptr; }
  const MemRecord* record() const { return record_; }

  void seek_first(const Node* root);
  void seek_last(const Node* root);
  void seek(const Node* root, std::string_view key);
  void seek_before(const Node* root, std::string_view key);
  void next() {  // Requires: at().
    const Node* leaf = path_.leaf();
    const unsigned slot = ++path_.slot[0];
    if (slot >= leaf->count) [[unlikely]] {
      next_leaf();
      return;
    }
    record_ = leaf->record[slot];
    // Records lie in the order of their writing, so each is a cache miss: ask for it some steps ahead.
    if (slot + kAhead < leaf->count) __builtin_prefetch(leaf->record[slot + kAhead]);
  }
  void prev() {  // Requires: at().
    const Node* leaf = path_.leaf();
    if (path_.slot[0] == 0) [[unlikely]] {
      prev_leaf();
      return;
    }
    const unsigned slot = --path_.slot[0];
    record_ = leaf->record[slot];
    if (slot >= kAhead) __builtin_prefetch(leaf->record[slot - kAhead]);
  }

 private:
  static constexpr unsigned kAhead = 8;

  void next_leaf();
  void prev_leaf();
  void descend_first(unsigned level);
  void descend_last(unsigned level);

  Path path_;
  const MemRecord* record_ = nullptr;
};

}  // namespace engine::tree
