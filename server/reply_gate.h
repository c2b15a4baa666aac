// server/reply_gate.h: holds a connection's replies until what they tell is safe.
//
//     output  ──────── free ────────│── held for LSN 90 ──│── held for LSN 120 ── and all behind it
//                                   ▲ open_until(commit points below 90)
//
// A reply carries the highest LSN that it wrote or saw and leaves when the commit point of its class has
// reached it. Replies leave in order, so whatever stands behind a held one waits with it.
//
// Invariants
//   G1  A byte behind a held reply's begin never leaves before that reply may.
//   G2  Per turn and connection there is one entry, however long the pipeline.
//
// Threads: the reactor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/lsn.h"

namespace server {

// How safe a write must be before its reply leaves.
enum class Durability : uint8_t {
  kWritten,  // Handed to the kernel: outlives a kill -9.
  kSynced,   // On stable storage: outlives a power cut.
};

struct CommitPoint {
  engine::Lsn written = 0;
  engine::Lsn synced = 0;
  uint64_t now_us = 0;
  engine::Lsn of(Durability durability) const { return durability == Durability::kSynced ? synced : written; }
};

class ReplyGate {
 public:
  // The reply that begins at output position `begin`, and all behind it, waits for `lsn` and the time
  // `due_us`. `frame` is the LSN at which this turn's log frame began: what lies in one frame gets there
  // together.
  void hold(uint64_t begin, engine::Lsn lsn, Durability durability, uint64_t due_us, engine::Lsn frame) {
    if (!empty()) {
      Entry& last = entries_.back();
      if (last.durability >= durability && last.due_us >= due_us && last.lsn >= lsn) return;
      if (last.durability == durability && last.lsn > frame && last.due_us == due_us) {
        last.lsn = lsn;
        return;
      }
    }
    entries_.push_back({begin, lsn, due_us, durability});
  }

  // The output position up to which bytes may leave; `end` if none is held.
  uint64_t open_until(const CommitPoint& commit, uint64_t end) {
    while (!empty()) {
      const Entry& first = entries_[first_];
      if (first.lsn > commit.of(first.durability) || first.due_us > commit.now_us) return first.begin;
      ++first_;
    }
    entries_.clear();  // Keeps its memory: the next turn allocates nothing.
    first_ = 0;
    return end;
  }

  bool empty() const { return first_ == entries_.size(); }
  // Whether some reply waits for more than `commit`, whatever the time.
  bool beyond(const CommitPoint& commit) const {
    return !empty() && entries_.back().lsn > commit.of(entries_.back().durability);
  }
  // When the first one's time comes. Requires: !empty().
  uint64_t due_us() const { return entries_[first_].due_us; }

 private:
  struct Entry {
    uint64_t begin;
    engine::Lsn lsn;
    uint64_t due_us;
    Durability durability;
  };
  std::vector<Entry> entries_;
  size_t first_ = 0;
};

}  // namespace server
