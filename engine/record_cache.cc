#include "engine/record_cache.h"

#include <malloc.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdlib>

#include "engine/record_index.h"
#include "engine/status.h"

namespace engine {
namespace {

// MemRecord::marks
constexpr uint8_t kInMain = 1;

constexpr uint8_t kPromotingHeat = 2;  // Reads that take a record from the small queue to the main one.
constexpr uint64_t kSmallDivisor = 10;
constexpr uint64_t kSlotShareBytes = 16;  // A slot, at the table's mean load.
constexpr uint64_t kBytesPerGhost = 256;  // About as many ghosts as records in the main queue.
constexpr uint64_t kGhostsMin = 1024;

uint32_t ghost_mark(uint64_t hash) { return static_cast<uint32_t>(hash >> 32) | 1; }

}  // namespace

// ---- GhostSet ----

void GhostSet::resize(uint64_t entries) {
  const uint64_t sets = std::bit_ceil(std::max(entries, kGhostsMin)) / kSetSize;
  if (sets == sets_.size()) return;
  sets_ = std::vector<Set>(sets);
  any_ = false;
}

void GhostSet::add(uint64_t hash) {
  any_ = true;
  Set& set = set_of(hash);
  std::copy_backward(set.mark, set.mark + kSetSize - 1, set.mark + kSetSize);
  set.mark[0] = ghost_mark(hash);
}

bool GhostSet::take(uint64_t hash) {
  if (!any_) return false;
  Set& set = set_of(hash);
  uint32_t* found = std::find(set.mark, set.mark + kSetSize, ghost_mark(hash));
  if (found == set.mark + kSetSize) return false;
  std::copy(found + 1, set.mark + kSetSize, found);
  set.mark[kSetSize - 1] = 0;
  return true;
}

// ---- RecordCache ----

RecordCache::Entry* RecordCache::entry_of(MemRecord* record) {
  return reinterpret_cast<Entry*>(reinterpret_cast<char*>(record) - offsetof(Entry, record));
}

// What the record really takes: malloc rounds up by as much as a fifth.
uint64_t RecordCache::charge(Entry* entry) { return malloc_usable_size(entry) + kSlotShareBytes; }

RecordCache::Queue& RecordCache::queue_of(const Entry* entry) {
  return (entry->record.marks & kInMain) != 0 ? main_ : small_;
}

RecordCache::~RecordCache() {
  while (MemRecord* record = any()) drop(record);
  free_dropped();
}

void RecordCache::set_capacity(uint64_t bytes) {
  capacity_bytes_ = bytes;
  ghosts_.resize(bytes / kBytesPerGhost);
}

void RecordCache::push(Queue& queue, Entry* entry) {
  entry->newer = nullptr;
  entry->older = queue.newest;
  (queue.newest != nullptr ? queue.newest->newer : queue.oldest) = entry;
  queue.newest = entry;
  ++queue.records;
  queue.bytes += charge(entry);
}

void RecordCache::unlink(Entry* entry) {
  Queue& queue = queue_of(entry);
  (entry->newer != nullptr ? entry->newer->older : queue.newest) = entry->older;
  (entry->older != nullptr ? entry->older->newer : queue.oldest) = entry->newer;
  --queue.records;
  queue.bytes -= charge(entry);
}

MemRecord* RecordCache::create(std::string_view key, std::string_view value, uint8_t flags, Lsn lsn,
                               bool to_main) {
  auto* entry = static_cast<Entry*>(std::malloc(sizeof(Entry) + key.size() + value.size()));
  INVARIANT(entry != nullptr);
  MemRecord* record = &entry->record;
  record->lsn = lsn;
  record->key_size = static_cast<uint32_t>(key.size());
  record->value_size = static_cast<uint32_t>(value.size());
  record->value_capacity = record->value_size;
  record->flags = flags;
  record->home = kHomeCache;
  record->heat = 0;
  record->marks = to_main ? kInMain : 0;
  char* bytes = reinterpret_cast<char*>(record + 1);
  std::memcpy(bytes, key.data(), key.size());
  // An absent key's value may be a null pointer.
  if (!value.empty()) std::memcpy(bytes + key.size(), value.data(), value.size());
  push(queue_of(entry), entry);
  return record;
}

MemRecord* RecordCache::add(uint64_t hash, std::string_view key, std::string_view value, uint8_t flags,
                            Lsn lsn) {
  return create(key, value, flags, lsn, ghosts_.take(hash));
}

MemRecord* RecordCache::add_hot(std::string_view key, std::string_view value, uint8_t flags, Lsn lsn) {
  return create(key, value, flags, lsn, true);
}

void RecordCache::drop(MemRecord* record) {
  Entry* entry = entry_of(record);
  unlink(entry);
  entry->older = dropped_;
  dropped_ = entry;
  dropped_bytes_ += charge(entry);
}

void RecordCache::free_dropped() {
  while (dropped_ != nullptr) {
    Entry* entry = dropped_;
    dropped_ = entry->older;
    std::free(entry);
  }
  dropped_bytes_ = 0;
}

MemRecord* RecordCache::next_victim(bool* remember) {
  while (cached_bytes() > capacity_bytes_) {
    const bool from_small = main_.records == 0 || small_.bytes > capacity_bytes_ / kSmallDivisor;
    Entry* entry = (from_small ? small_ : main_).oldest;
    // The neighbour is the next that will be looked at.
    __builtin_prefetch(entry->newer);
    MemRecord* record = &entry->record;
    unlink(entry);
    if (from_small && record->heat >= kPromotingHeat) {
      record->heat = 0;
      record->marks |= kInMain;
      push(main_, entry);
    } else if (!from_small && record->heat > 0) {
      --record->heat;
      push(main_, entry);
    } else {
      *remember = from_small;
      return record;
    }
  }
  return nullptr;
}

void RecordCache::free_victim(MemRecord* record) { std::free(entry_of(record)); }

MemRecord* RecordCache::any() const {
  Entry* entry = small_.oldest != nullptr ? small_.oldest : main_.oldest;
  return entry != nullptr ? &entry->record : nullptr;
}

}  // namespace engine
