// engine/record_cache.h: the cached records of the record index, and which of them to let go: S3-FIFO.
//
//     add() ----> small (10 %) -- read twice or more --> main <----+
//       |           |                                     ^ |      | read since: heat - 1,
//       |           | no: freed, its hash is a ghost      | +------+ once more around
//       |           v                                     | |
//       |        [ghosts]                                 | +--> not read: freed
//       +-- its hash is a ghost --------------------------+
//
// So what is read once passes through a tenth of the memory and does not push out what is read often. A hit
// costs one saturating counter (MemRecord::heat), no list is touched.
//
// Threads: the reactor only. Not here: who finds the records (engine/record_slots.h).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/memtable.h"

namespace engine {

inline constexpr uint8_t kHeatMax = 3;

// The hashes of the records that were evicted last from the small queue, approximately: 32 bits of each, in
// sets of 16 that forget the oldest first. One cache line a question.
class GhostSet {
 public:
  void resize(uint64_t entries);  // Forgets all if the size, a power of two, changes.
  void add(uint64_t hash);
  bool take(uint64_t hash);  // Whether it was there; it no longer is.
  uint64_t bytes() const { return sets_.size() * sizeof(Set); }

 private:
  static constexpr unsigned kSetSize = 16;
  struct alignas(64) Set {
    uint32_t mark[kSetSize];  // Newest first; 0 is none.
  };
  Set& set_of(uint64_t hash) { return sets_[hash & (sets_.size() - 1)]; }

  std::vector<Set> sets_;
  bool any_ = false;  // Until the cache is full there are none, and looking for one costs a cache miss.
};

class RecordCache {
 public:
  RecordCache() = default;
  ~RecordCache();
  RecordCache(const RecordCache&) = delete;
  RecordCache& operator=(const RecordCache&) = delete;

  void set_capacity(uint64_t bytes);

  MemRecord* add(uint64_t hash, std::string_view key, std::string_view value, uint8_t flags, Lsn lsn);
  // As add(), for a record that has proved to be read often.
  MemRecord* add_hot(std::string_view key, std::string_view value, uint8_t flags, Lsn lsn);
  // Takes the record out; it is freed by the next free_dropped().
  void drop(MemRecord* record);
  void free_dropped();

  // Over its capacity: takes out the record that should go first; the caller hands it to free_victim(). Null:
  // within the capacity. Where it sets `remember`, the caller is to remember() the victim's hash.
  MemRecord* next_victim(bool* remember);
  void remember(uint64_t hash) { ghosts_.add(hash); }
  static void free_victim(MemRecord* record);

  // Any record, or null if there is none.
  MemRecord* any() const;

  uint64_t records() const { return small_.records + main_.records; }
  uint64_t cached_bytes() const { return small_.bytes + main_.bytes; }  // As the capacity counts them.
  bool half_empty() const { return cached_bytes() < capacity_bytes_ / 2; }
  uint64_t bytes() const { return cached_bytes() + dropped_bytes_ + ghosts_.bytes(); }

 private:
  struct Entry {
    Entry* newer;
    Entry* older;
    MemRecord record;  // Then its key and value.
  };
  struct Queue {
    Entry* newest = nullptr;
    Entry* oldest = nullptr;
    uint64_t records = 0;
    uint64_t bytes = 0;
  };

  static Entry* entry_of(MemRecord* record);
  static uint64_t charge(Entry* entry);
  Queue& queue_of(const Entry* entry);
  MemRecord* create(std::string_view key, std::string_view value, uint8_t flags, Lsn lsn, bool to_main);
  void push(Queue& queue, Entry* entry);
  void unlink(Entry* entry);

  uint64_t capacity_bytes_ = 0;
  Queue small_;
  Queue main_;
  GhostSet ghosts_;
  Entry* dropped_ = nullptr;  // Chained by `older`.
  uint64_t dropped_bytes_ = 0;
};

}  // namespace engine
