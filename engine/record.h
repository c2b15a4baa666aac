// engine/record.h: what one run of the tree knows of one key.
//
// A run (a memtable, a level) holds at most one record a key; the newest run that has one wins. There are no
// sequence numbers: a snapshot is a set of runs, not a filter over them.
#pragma once

#include <xxhash.h>

#include <cstdint>
#include <string_view>

namespace engine {

// A record's flags, the same in memory and on disk.
//
// kUnsettled keeps counts exact though plain writes are blind. It says: when this record was written nobody
// knew whether a live record lay beneath it, so if one does, the count of its owner is one too high. Rules
// for a merge in which `newer` shadows `older` of the same key:
//   - newer is unsettled and older is a put: the owner's count falls by one;
//   - the result is unsettled exactly if `older` was (the older debt lies deeper and remains).
// A record that reaches the bottom (no deeper run can hold its key) is settled: the flag goes.
enum RecordFlags : uint8_t {
  kPut = 0,
  kTombstone = 1,
  kUnsettled = 2,
};

// The one hash of a key: record index, block tags and filters all use it. The seed is the store's own.
inline uint64_t hash_key(std::string_view key, uint64_t seed) {
  return XXH3_64bits_withSeed(key.data(), key.size(), seed);
}

}  // namespace engine
