// engine/record_slots.h: the hash table of the record index: hashes to record pointers, growing bit by bit.
//
// Eight slots of eight bytes make a group, one cache line, compared as a whole with SSE2:
//
//     bits 63..48                   47..0
//     +-----------------------------+--------------------+      0 is an empty slot, 1 a deleted one, behind
//     | top 16 bits of hash, odd    | record             |      which a search goes on
//     +-----------------------------+--------------------+
//
// The low bits of the hash choose the group; a full group overflows to the next. When too few empty slots are
// left a second array of the right size is made, and each write moves a group of the old array over to it.
// Until that has ended both are searched.
//
// Invariants
//   S1  A search from a key's group meets its slot before it meets a group that has an empty one.
//   S2  All groups of the old array before `moved_` are void: a search there leaves them out.
//
// Memory comes from mmap: zeros (all empty) without touching it, and the old array is given back as it is
// moved.
//
// Threads: the reactor only.
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/memtable.h"

namespace engine {

class RecordSlots {
 public:
  explicit RecordSlots(uint64_t hash_seed);
  ~RecordSlots();
  RecordSlots(const RecordSlots&) = delete;
  RecordSlots& operator=(const RecordSlots&) = delete;

  // The slot of the key, or null; valid until the next insert() or advance().
  uint64_t* find(uint64_t hash, std::string_view key);
  // The slot that holds exactly this record, or null. Does not touch the record.
  uint64_t* find_record(uint64_t hash, const MemRecord* record);
  void prefetch(uint64_t hash) const {
    __builtin_prefetch(&now_.groups[hash & now_.mask]);
    if (old_.groups != nullptr) __builtin_prefetch(&old_.groups[hash & old_.mask]);
  }
  // And of the record that it points to. Waits for the slot's own line unless prefetch() was called some time
  // ago.
  void prefetch_record(uint64_t hash) const;

  static MemRecord* record(uint64_t slot) { return reinterpret_cast<MemRecord*>(slot & kPointerMask); }
  // Lets the slot hold another record of the same key.
  static void set(uint64_t* slot, MemRecord* record) {
    *slot = (*slot & ~kPointerMask) | reinterpret_cast<uintptr_t>(record);
  }
  // Requires: find() gave null. Moves a little of a growth in progress.
  void insert(uint64_t hash, MemRecord* record);
  void erase(uint64_t* slot);

  // Goes on with a growth, if there is one, by some groups.
  void advance(unsigned groups);

  uint64_t records() const { return records_; }
  uint64_t bytes() const;

 private:
  static constexpr unsigned kGroupSlots = 8;
  static constexpr uint64_t kPointerMask = (uint64_t{1} << 48) - 1;
  static constexpr uint64_t kDeleted = 1;

  struct alignas(64) Group {
    uint64_t slot[kGroupSlots];
  };
  struct Array {
    Group* groups = nullptr;
    uint64_t mask = 0;  // Groups - 1.
    uint64_t used = 0;  // Slots that are not empty.
  };

  static Array allocate(uint64_t groups);
  static void release(Array& array);
  template <typename Match>
  static uint64_t* search(const Array& array, uint64_t first, uint64_t wrap_to, uint64_t hash, Match&& match);
  template <typename Match>
  uint64_t* search_both(uint64_t hash, Match&& match);
  static void place(Array& array, uint64_t hash, uint64_t slot);
  void begin_move();
  void move_group();

  Array now_;
  Array old_;                // While growing.
  uint64_t moved_ = 0;       // Groups of old_ that are in now_.
  uint64_t given_back_ = 0;  // Groups of old_ whose memory has gone back to the system.
  uint64_t records_ = 0;
  uint64_t hash_seed_;
};

}  // namespace engine
