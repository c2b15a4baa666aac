#include "engine/record_index.h"

#include <array>

#include "engine/record.h"
#include "engine/record_cache.h"
#include "engine/record_slots.h"
#include "engine/status.h"

namespace engine {
namespace {

constexpr uint8_t kHotHeat = 2;          // Reads that make a flushed record worth a cached copy.
constexpr unsigned kGroupsPerTurn = 32;  // Of a growth: some 10 us.
constexpr unsigned kPutOffMax = 8;

}  // namespace

struct RecordIndex::Impl {
  explicit Impl(uint64_t seed) : slots(seed), hash_seed(seed) {}

  uint64_t hash_of(const MemRecord* record) const { return hash_key(record->key(), hash_seed); }

  void point_to(uint64_t hash, MemRecord* record) {
    uint64_t* slot = slots.find(hash, record->key());
    if (slot == nullptr) {
      slots.insert(hash, record);
      return;
    }
    MemRecord* before = RecordSlots::record(*slot);
    if (before == record) return;
    RecordSlots::set(slot, record);
    if (before->home == kHomeCache) cache.drop(before);
  }

  static uint64_t bit_of(uint64_t hash) { return uint64_t{1} << (hash % 64); }
  bool put_off_perhaps(uint64_t hash) const { return (put_off_bits & bit_of(hash)) != 0; }
  void catch_up() {
    for (unsigned i = 0; i < put_off_count; ++i) point_to(put_off[i].hash, put_off[i].record);
    put_off_count = 0;
    put_off_bits = 0;
  }

  // A cached record's slot: it has one as long as it is not dropped.
  uint64_t* slot_of(uint64_t hash, const MemRecord* record) {
    uint64_t* slot = slots.find_record(hash, record);
    INVARIANT(slot != nullptr);
    return slot;
  }

  RecordSlots slots;
  RecordCache cache;
  // What point_to_soon() has been told, in order, and a bit for each hash of it.
  struct PutOff {
    uint64_t hash;
    MemRecord* record;
  };
  std::array<PutOff, kPutOffMax> put_off;
  unsigned put_off_count = 0;
  uint64_t put_off_bits = 0;
  uint64_t hash_seed;
  uint64_t hits = 0;
  uint64_t misses = 0;
};

RecordIndex::RecordIndex(uint64_t capacity_bytes, uint64_t hash_seed)
    : impl_(std::make_unique<Impl>(hash_seed)) {
  impl_->cache.set_capacity(capacity_bytes);
}

RecordIndex::~RecordIndex() = default;

MemRecord* RecordIndex::find(uint64_t hash, std::string_view key) {
  if (impl_->put_off_perhaps(hash)) [[unlikely]]
    impl_->catch_up();
  uint64_t* slot = impl_->slots.find(hash, key);
  if (slot == nullptr) {
    ++impl_->misses;
    return nullptr;
  }
  ++impl_->hits;
  MemRecord* record = RecordSlots::record(*slot);
  if (record->heat < kHeatMax) ++record->heat;
  return record;
}

void RecordIndex::point_to(uint64_t hash, MemRecord* record) {
  if (impl_->put_off_perhaps(hash)) [[unlikely]]
    impl_->catch_up();
  impl_->point_to(hash, record);
}

void RecordIndex::point_to_soon(uint64_t hash, MemRecord* record) {
  if (impl_->put_off_count == kPutOffMax) impl_->catch_up();
  impl_->slots.prefetch(hash);
  impl_->put_off[impl_->put_off_count++] = {hash, record};
  impl_->put_off_bits |= Impl::bit_of(hash);
}

void RecordIndex::add(uint64_t hash, MemRecord* record) { impl_->slots.insert(hash, record); }

void RecordIndex::prefetch(uint64_t hash) const { impl_->slots.prefetch(hash); }
void RecordIndex::prefetch_record(uint64_t hash) const { impl_->slots.prefetch_record(hash); }

const MemRecord* RecordIndex::cache(uint64_t hash, std::string_view key, std::string_view value,
                                    uint8_t flags) {
  INVARIANT(impl_->slots.find(hash, key) == nullptr);
  if (value.size() > kCachedValueMax) return nullptr;
  MemRecord* record = impl_->cache.add(hash, key, value, flags & kTombstone, 0);
  impl_->slots.insert(hash, record);
  return record;
}

void RecordIndex::retire(uint64_t hash, MemRecord* record) {
  impl_->catch_up();
  uint64_t* slot = impl_->slots.find_record(hash, record);
  if (slot == nullptr) return;  // A newer record stands for the key.
  const bool cacheable = record->value_size <= kCachedValueMax;
  if (cacheable && record->heat >= kHotHeat) {
    const uint8_t flags = record->flags & kTombstone;
    RecordSlots::set(slot, impl_->cache.add_hot(record->key(), record->value(), flags, record->lsn));
  } else if (cacheable && !record->tombstone() && impl_->cache.half_empty()) {
    RecordSlots::set(slot, impl_->cache.add(hash, record->key(), record->value(), kPut, record->lsn));
  } else {
    impl_->slots.erase(slot);
  }
}

void RecordIndex::maintain() {
  impl_->catch_up();
  impl_->cache.free_dropped();
  bool remember = false;
  while (MemRecord* victim = impl_->cache.next_victim(&remember)) {
    const uint64_t hash = impl_->hash_of(victim);
    impl_->slots.erase(impl_->slot_of(hash, victim));
    if (remember) impl_->cache.remember(hash);
    RecordCache::free_victim(victim);
  }
  impl_->slots.advance(kGroupsPerTurn);
}

void RecordIndex::set_capacity(uint64_t bytes) { impl_->cache.set_capacity(bytes); }

void RecordIndex::clear_cache() {
  impl_->catch_up();
  while (MemRecord* record = impl_->cache.any()) {
    impl_->slots.erase(impl_->slot_of(impl_->hash_of(record), record));
    impl_->cache.drop(record);
  }
}

uint64_t RecordIndex::cached_records() const { return impl_->cache.records(); }
uint64_t RecordIndex::bytes() const { return impl_->slots.bytes() + impl_->cache.bytes(); }
uint64_t RecordIndex::hits() const { return impl_->hits; }
uint64_t RecordIndex::misses() const { return impl_->misses; }

}  // namespace engine
