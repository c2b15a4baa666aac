// server/scan_cursors.h: what the numbers that SCAN gives out stand for.
//
// A cursor is a place in the order of keys: everything up to a key has been looked at. Keys do not fit into
// the 64 bits that clients allow, so the place is kept here under a number. It is tied to nothing else: not
// to a connection, a database, a pattern or a snapshot, so it goes on rightly after FLUSHDB, SWAPDB and any
// writes.
//
//     SCAN 0      ─▶ b     SCAN b ─▶ c     SCAN c ─▶ d ...
//                          fresh: b c      fresh: c d, passed: b
//
// A client that asks with c has got c, so b, from which c came, is *passed*; c itself stays fresh until d is
// used, for the reply with d may be lost. Fresh and passed cursors are remembered, and forgotten (the one
// that was used longest ago first), apart from each other: a scan that runs fast forgets its own trail and
// not others' cursors.
//
// Invariants
//   S1  A number is given out once in the life of a process, and begins where another process hardly did:
//       a number that is not known here was forgotten or was never given by this process, and is refused.
//   S2  Numbers are above 0 and below 2^53: clients exist that keep them in a double.
//   S3  Memory is bounded: so many cursors and so many bytes of keys of either kind; the newest always stays.
//
// Threads: any; SCAN may run on a worker.
#pragma once

#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace server {

class ScanCursors {
 public:
  struct Limits {
    size_t cursors;
    size_t bytes;  // Of keys.
  };
  static constexpr Limits kFreshLimits{48 << 10, 16 << 20};
  static constexpr Limits kPassedLimits{16 << 10, 8 << 20};

  // `random` decides where numbers begin (S1).
  explicit ScanCursors(uint64_t random, Limits fresh = kFreshLimits, Limits passed = kPassedLimits);

  // The key up to which `cursor` has come; nothing: it is not known.
  std::optional<std::string> find(uint64_t cursor);
  // A new cursor, for what follows `key`. `from` is the cursor that it continues; 0: a scan's first page.
  uint64_t add(std::string_view key, uint64_t from);

 private:
  struct Entry {
    uint64_t cursor;
    uint64_t from;
    std::string key;
    bool passed;
  };
  using Entries = std::list<Entry>;  // Used last first.
  struct Memory {
    Limits limits;
    Entries entries;
    size_t bytes = 0;
  };

  Memory& memory_of(const Entry& entry) { return entry.passed ? passed_ : fresh_; }
  void trim(Memory& memory);

  std::mutex mutex_;  // Guards all below.
  uint64_t next_;
  Memory fresh_, passed_;
  std::unordered_map<uint64_t, Entries::iterator> by_cursor_;
};

}  // namespace server
