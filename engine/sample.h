// engine/sample.h: draws a record of a key range by chance, without walking it.
//
// First a run is drawn by how many records it has in the range, about; then a block and a record in it, or a
// way down the memtable's tree. So each record is about as likely as any other; a key that stands in several
// runs is likelier, and what is drawn may be a tombstone, or shadowed by a newer record: the caller looks the
// key up.
//
// Threads: that of the block source.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/reader.h"
#include "engine/table.h"
#include "engine/version.h"

namespace engine {

namespace tree {
struct Node;
}

// A memtable's tree and how many records it has.
struct MemtableRecords {
  const tree::Node* root;
  uint64_t records;
};

// About how many of its records lie in the range; at least one if it has any.
uint64_t records_within(const MemtableRecords& memtable, std::string_view begin, std::string_view end);

// As Reader::sample(). kFailed: the source's status() tells why.
Lookup::State sample_runs(const std::vector<MemtableRecords>& memtables, const Version& version,
                          BlockSource& source, std::string_view begin, std::string_view end, uint64_t random,
                          std::string* key);

}  // namespace engine
