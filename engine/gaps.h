// engine/gaps.h: stretches of keys without a live record, remembered by those who walked over them.
//
// What is popped from the head of a queue leaves tombstones there until compaction takes them away, and every
// reader of the head would pass all of them again: a queue of a million pops would cost a million steps each.
// So whoever has passed many says from where to where, and the next one seeks past them.
//
//     a  x x x x x x x x x x x  k  l  m        x: tombstone
//        └──── [b, k) ───────┘                 found by one walk, extended by the next
//
// Invariants
//   G1  No key in a gap has a live record in the present state: a put takes its key out of the gap.
//
// Threads: the reactor. Only of the present state: snapshots are walked by workers, which delay nobody.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

namespace engine {

class Gaps {
 public:
  // [begin, end) was found to have no live record. Joins what it touches.
  void note(std::string_view begin, std::string_view end);
  // A record of `key` was put.
  void put(std::string_view key) {
    if (!gaps_.empty()) [[unlikely]]
      split(key);
  }
  // The end of the gap that `key` is in; null if it is in none. Valid until the next change.
  const std::string* end_of(std::string_view key) const;
  // The begin of the gap that what lies right before `key` is in; null likewise.
  const std::string* begin_before(std::string_view key) const;

  size_t size() const { return gaps_.size(); }

 private:
  using Map = std::map<std::string, std::string, std::less<>>;  // Begin -> end; apart from each other.
  void split(std::string_view key);
  void make_room();

  Map gaps_;
  std::string hand_;  // Where the last one was given up.
};

inline constexpr size_t kGapsMax = 1024;
inline constexpr size_t kGapBytesMax = 1024;  // Of its two keys: longer ones are not remembered.

}  // namespace engine
