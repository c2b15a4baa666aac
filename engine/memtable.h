// engine/memtable.h: the newest run: an arena and a copy-on-write B+tree over it.
//
// Nodes have 64 slots, each with the first eight bytes of its key (big-endian, so that integers compare as
// keys do), which settles most comparisons without touching the key. Inserting is some seven times cheaper
// than in a skip list.
//
// Invariants
//   M1  What a TreeView can reach never changes while the view is alive: nodes are copied before they are
//       written, and a record is replaced by another instead of being overwritten.
//   M2  What no living view can reach is written in place: no node is copied, and a value that fits is
//       overwritten.
//   M3  Nothing is freed before the memtable and the last view are: views and frozen memtables are read by
//       workers. (Nodes that were copied for views serve again when the last view has gone; replaced records
//       never.)
//
// Threads: the reactor writes, takes views and reads through the Memtable; TreeViews and their iterators may
// be read and let go by any thread.
// Not here: looking a key up quickly (engine/record_index.h), the tree itself (engine/memtable_tree.h).
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "engine/iterator.h"
#include "engine/lsn.h"
#include "engine/record.h"

namespace engine {

namespace tree {
struct Node;
}

// A record in memory: this head, then key_size + value_size bytes. Memtables and the record cache share it,
// so that one pointer in the record index stands for either.
struct MemRecord {
  Lsn lsn;  // Where in the log the write ended; a reply that shows it waits for that.
  uint32_t key_size;
  uint32_t value_size;
  uint32_t value_capacity;  // Bytes for a value in place, >= value_size.
  uint8_t flags;            // RecordFlags. In the record cache a tombstone says: known to be absent.
  uint8_t home;             // Which memtable (RecordHome), or the cache.
  uint8_t heat;             // Reads since it was last looked at by eviction, saturating.
  uint8_t marks;  // Notes of the memtable or the cache for itself; readers of views never look here.

  const char* bytes() const { return reinterpret_cast<const char*>(this + 1); }
  std::string_view key() const { return {bytes(), key_size}; }
  std::string_view value() const { return {bytes() + key_size, value_size}; }
  bool tombstone() const { return (flags & kTombstone) != 0; }
  // The record whose key() an iterator over a memtable has just given.
  static MemRecord* of_key(std::string_view key) {
    return reinterpret_cast<MemRecord*>(const_cast<char*>(key.data())) - 1;
  }
};
static_assert(sizeof(MemRecord) == 24);

class Memtable {
 public:
  // The tree as it was at one moment. Cheap to copy. Keeps its memtable's memory alive.
  class TreeView;

  explicit Memtable(uint8_t home);
  ~Memtable();
  Memtable(const Memtable&) = delete;
  Memtable& operator=(const Memtable&) = delete;

  // Makes (key, value, flags) the record of `key`. `old` is this memtable's present record for the key: with
  // it, no tree walk is needed to overwrite in place. Null if the record index has no record of this memtable
  // (`home`) for the key. Returns the record that now stands for the key: `old` itself when overwritten in
  // place (M2). `value` may lie in `old`. Requires: not frozen.
  MemRecord* put(std::string_view key, std::string_view value, uint8_t flags, Lsn lsn, MemRecord* old);

  // The present record of `key`, tombstones included; null if there is none. A tree walk.
  const MemRecord* find(std::string_view key) const;

  // An iterator over the tree as it is now and as it is written to later: for one command on the reactor,
  // which writes nothing while it runs.
  std::unique_ptr<Iterator> iterator() const;

  // The tree as it is now (M1). O(1).
  std::shared_ptr<const TreeView> view();

  // No write will come any more. Views taken from now on, and before, stay valid while they or the memtable
  // live.
  void freeze();

  const tree::Node* root() const;  // For engine/sample.h. Null: empty.

  uint64_t bytes() const;      // Arena bytes in use, replaced records included.
  uint64_t records() const;    // Keys, tombstones included.
  uint64_t unsettled() const;  // Present records with kUnsettled.
  Lsn first_lsn() const;       // Of the first and the last put(); 0 when empty.
  Lsn last_lsn() const;

 private:
  struct Impl;
  class View;
  class LiveIterator;
  class ViewIterator;

  std::shared_ptr<Impl> impl_;
};

class Memtable::TreeView {
 public:
  virtual ~TreeView() = default;
  virtual const MemRecord* find(std::string_view key) const = 0;
  virtual std::unique_ptr<Iterator> iterator() const = 0;  // Keeps the view alive.
  virtual uint64_t records() const = 0;
  virtual const tree::Node* root() const = 0;
};

}  // namespace engine
