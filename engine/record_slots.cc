#include "engine/record_slots.h"

#include <emmintrin.h>
#include <sys/mman.h>

#include <algorithm>

#include "engine/record.h"
#include "engine/status.h"

namespace engine {
namespace {

constexpr uint64_t kFirstGroups = 64;  // A page.

// A new array is made when more than this share of the slots is not empty.
constexpr uint64_t kUsedNumerator = 13;
constexpr uint64_t kUsedDenominator = 16;

// A write moves so many groups. A new array of g groups starts at most half full (4 g slots) and succeeds one
// of at most 2 g groups, hence at most 2 g slots are added until all has moved.
constexpr unsigned kGroupsPerWrite = 1;
// The records of groups so far ahead are asked for, whose keys must be hashed anew.
constexpr uint64_t kGroupsAhead = 2;
constexpr uint64_t kGiveBackGroups = (1 << 20) / 64;

uint64_t tag_of(uint64_t hash) { return (hash >> 48) | 1; }

// Of each slot whose tag is `tag`, bit 7 of byte i is set for slot i.
uint64_t matches(const uint64_t* slots, uint64_t tag) {
  const __m128i wanted = _mm_set1_epi16(static_cast<int16_t>(tag));
  uint64_t found = 0;
  for (int i = 0; i < 4; ++i) {
    const __m128i two = _mm_load_si128(reinterpret_cast<const __m128i*>(slots) + i);
    const auto mask = static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi16(two, wanted)));
    found |= uint64_t{mask} << (16 * i);
  }
  return found & 0x8080808080808080;
}

bool has_empty(const uint64_t* slots) {
  // SSE2 compares 32 bits at most; an empty slot is the only one whose both halves are zero.
  const __m128i zero = _mm_setzero_si128();
  __m128i any = zero;
  for (int i = 0; i < 4; ++i) {
    const __m128i halves = _mm_cmpeq_epi32(_mm_load_si128(reinterpret_cast<const __m128i*>(slots) + i), zero);
    any = _mm_or_si128(any, _mm_and_si128(halves, _mm_shuffle_epi32(halves, _MM_SHUFFLE(2, 3, 0, 1))));
  }
  return _mm_movemask_epi8(any) != 0;
}

}  // namespace

RecordSlots::RecordSlots(uint64_t hash_seed) : now_(allocate(kFirstGroups)), hash_seed_(hash_seed) {}

RecordSlots::~RecordSlots() {
  release(now_);
  release(old_);
}

RecordSlots::Array RecordSlots::allocate(uint64_t groups) {
  void* memory =
      mmap(nullptr, groups * sizeof(Group), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  INVARIANT(memory != MAP_FAILED);
  // No MADV_HUGEPAGE: the kernel may compact memory for it while the reactor waits (12 ms were measured), and
  // look-ups were not faster by it.
  return {static_cast<Group*>(memory), groups - 1, 0};
}

void RecordSlots::release(Array& array) {
  if (array.groups != nullptr) munmap(array.groups, (array.mask + 1) * sizeof(Group));
  array = {};
}

uint64_t RecordSlots::bytes() const {
  const uint64_t old_groups = old_.groups != nullptr ? old_.mask + 1 - given_back_ : 0;
  return (now_.mask + 1 + old_groups) * sizeof(Group);
}

// From group `first` on; after the last group comes `wrap_to`, since those before it are void.
template <typename Match>
uint64_t* RecordSlots::search(const Array& array, uint64_t first, uint64_t wrap_to, uint64_t hash,
                              Match&& match) {
  const uint64_t tag = tag_of(hash);
  uint64_t at = first;
  do {
    uint64_t* slots = array.groups[at].slot;
    for (uint64_t found = matches(slots, tag); found != 0; found &= found - 1) {
      uint64_t* slot = &slots[__builtin_ctzll(found) / 8];
      if (match(record(*slot))) return slot;
    }
    if (has_empty(slots)) return nullptr;
    at = at == array.mask ? wrap_to : at + 1;
  } while (at != first);
  return nullptr;
}

template <typename Match>
uint64_t* RecordSlots::search_both(uint64_t hash, Match&& match) {
  const uint64_t home = hash & now_.mask;
  if (old_.groups == nullptr) [[likely]]
    return search(now_, home, 0, hash, match);
  const uint64_t old_home = hash & old_.mask;
  if (old_home >= moved_) {
    // Most likely not moved yet.
    if (uint64_t* slot = search(old_, old_home, moved_, hash, match)) return slot;
    return search(now_, home, 0, hash, match);
  }
  // Its group has moved, but it may have overflowed into one that has not.
  if (uint64_t* slot = search(now_, home, 0, hash, match)) return slot;
  return search(old_, moved_, moved_, hash, match);
}

uint64_t* RecordSlots::find(uint64_t hash, std::string_view key) {
  return search_both(hash, [key](const MemRecord* record) { return record->key() == key; });
}

uint64_t* RecordSlots::find_record(uint64_t hash, const MemRecord* wanted) {
  return search_both(hash, [wanted](const MemRecord* record) { return record == wanted; });
}

void RecordSlots::prefetch_record(uint64_t hash) const {
  const auto of = [tag = tag_of(hash)](const Group& group) {
    for (uint64_t found = matches(group.slot, tag); found != 0; found &= found - 1) {
      const auto* bytes = reinterpret_cast<const char*>(record(group.slot[__builtin_ctzll(found) / 8]));
      __builtin_prefetch(bytes);
      __builtin_prefetch(bytes + sizeof(Group));  // The key, or the value to be replaced.
    }
  };
  of(now_.groups[hash & now_.mask]);
  if (old_.groups != nullptr && (hash & old_.mask) >= moved_) of(old_.groups[hash & old_.mask]);
}

// Requires: the array has an empty or deleted slot.
void RecordSlots::place(Array& array, uint64_t hash, uint64_t slot) {
  for (uint64_t at = hash & array.mask;; at = (at + 1) & array.mask) {
    for (uint64_t& there : array.groups[at].slot) {
      if (there > kDeleted) continue;
      if (there == 0) ++array.used;
      there = slot;
      return;
    }
  }
}

void RecordSlots::insert(uint64_t hash, MemRecord* record) {
  const auto address = reinterpret_cast<uintptr_t>(record);
  INVARIANT((address & ~kPointerMask) == 0 && address > kDeleted);
  if (old_.groups == nullptr &&
      now_.used * kUsedDenominator >= (now_.mask + 1) * kGroupSlots * kUsedNumerator) {
    begin_move();
  }
  advance(kGroupsPerWrite);
  place(now_, hash, (tag_of(hash) << 48) | address);
  ++records_;
}

void RecordSlots::erase(uint64_t* slot) {
  --records_;
  auto* group = reinterpret_cast<Group*>(reinterpret_cast<uintptr_t>(slot) & ~uintptr_t{sizeof(Group) - 1});
  // Where there is an empty slot no search went past this group, so one more does no harm (S1).
  if (has_empty(group->slot)) {
    *slot = 0;
    const bool in_old = old_.groups != nullptr && group >= old_.groups && group <= old_.groups + old_.mask;
    --(in_old ? old_ : now_).used;
  } else {
    *slot = kDeleted;
  }
}

void RecordSlots::begin_move() {
  // Many of the slots may be deleted ones: then the same size, or half of it, will do.
  uint64_t groups = std::max(kFirstGroups, (now_.mask + 1) / 2);
  while (groups * kGroupSlots < records_ * 2) groups *= 2;
  old_ = now_;
  now_ = allocate(groups);
  moved_ = 0;
  given_back_ = 0;
}

void RecordSlots::move_group() {
  Group& group = old_.groups[moved_];
  if (moved_ + kGroupsAhead <= old_.mask) {
    for (const uint64_t slot : old_.groups[moved_ + kGroupsAhead].slot) {
      if (slot > kDeleted) __builtin_prefetch(record(slot));
    }
  }
  for (const uint64_t slot : group.slot) {
    if (slot <= kDeleted) continue;
    place(now_, hash_key(record(slot)->key(), hash_seed_), slot);
  }
  ++moved_;
}

void RecordSlots::advance(unsigned groups) {
  if (old_.groups == nullptr) return;
  for (unsigned i = 0; i < groups && moved_ <= old_.mask; ++i) move_group();
  if (moved_ > old_.mask) {
    release(old_);
  } else if (moved_ - given_back_ >= kGiveBackGroups) {
    // To unmap hundreds of megabytes at once would hold the reactor for milliseconds.
    madvise(&old_.groups[given_back_], kGiveBackGroups * sizeof(Group), MADV_DONTNEED);
    given_back_ += kGiveBackGroups;
  }
}

}  // namespace engine
