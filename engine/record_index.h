// engine/record_index.h: one hash table over every record in memory: memtables and the record cache.
//
// A point read is one probe here: all records of all memtables are in it (the newest for each key), and so
// are the records lately read from tables, "absent" included. Only a key that is not here has to be looked
// for in tables.
//
// Slots are eight bytes: 16 bits of hash and a 48-bit pointer. Growth is incremental, so that no turn of the
// reactor pays for a whole rehash (engine/record_slots.h). Cached records are evicted by S3-FIFO (Yang et
// al., SOSP 2023; engine/record_cache.h).
//
// Lifetime: nothing that find() returned is freed or moved before the next maintain(), so a command may keep
// views of values while it runs.
//
// Threads: the reactor only.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "engine/memtable.h"

namespace engine {

inline constexpr uint8_t kHomeCache = 0xff;  // MemRecord::home of a cached record; others name a memtable.

// A larger value is not cached: it would push out dozens of others, and the block cache holds it too.
inline constexpr uint64_t kCachedValueMax = 4096;

class RecordIndex {
 public:
  // `capacity_bytes`: of cached records with their share of slots; memtables' slots come on top. `hash_seed`:
  // the store's own, so that every `hash` below is hash_key(key, hash_seed).
  RecordIndex(uint64_t capacity_bytes, uint64_t hash_seed);
  ~RecordIndex();

  // The newest record in memory for the key; null if tables must be asked. Counts as a use.
  MemRecord* find(uint64_t hash, std::string_view key);
  // `record` (of a memtable) now stands for its key; what stood for it before, if cached, is dropped.
  void point_to(uint64_t hash, MemRecord* record);
  // The same for a key for which find() has just given null.
  void add(uint64_t hash, MemRecord* record);
  // As point_to(), for who does not want to wait for a cache line: it is asked for now and used when it has
  // come. Nobody can tell the difference.
  void point_to_soon(uint64_t hash, MemRecord* record);
  // Starts the load of the cache line that find() will need first.
  void prefetch(uint64_t hash) const;
  void prefetch_record(uint64_t hash) const;  // Of those behind it, once that line is there.

  // Remembers what tables say of a key: its value, or that it is absent. Requires: find() gave null.
  // Returns the cached copy (kUnsettled does not matter in it and is left out), whose lsn is 0: tables are
  // settled. A value over kCachedValueMax is not kept and null is returned.
  const MemRecord* cache(uint64_t hash, std::string_view key, std::string_view value, uint8_t flags);

  // A flushed memtable goes: every slot that points to `record` is emptied or, where the record is hot or the
  // cache has room to waste (less than half of it is used), takes a cached copy instead. Called for some
  // hundred records a turn.
  void retire(uint64_t hash, MemRecord* record);

  // Frees what drops have queued, evicts down to the capacity, and goes on with a growth. Once a turn,
  // between commands.
  void maintain();
  void set_capacity(uint64_t bytes);
  // Drops every cached record (memtables' stay).
  void clear_cache();

  uint64_t cached_records() const;
  uint64_t bytes() const;  // Slots and cached records, those that wait to be freed included.
  uint64_t hits() const;
  uint64_t misses() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace engine
