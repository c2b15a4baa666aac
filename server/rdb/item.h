// server/rdb/item.h: what a serialised value consists of, piece by piece.
//
// Threads: a plain value.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "server/keyspace.h"
#include "server/types/stream_id.h"

namespace server::rdb {

// Of a stream come its entries, then its state, then each group, behind that each of its consumers, and
// behind that what is pending for it.
struct Item {
  enum class Kind : uint8_t {
    kString,    // value
    kElement,   // value                                        of a list, in order
    kMember,    // name                                         of a set
    kScored,    // name, score                                  of a sorted set
    kField,     // name, value, expiry_ms                       of a hash
    kEntry,     // id, fields                                   of a stream, in order
    kStream,    // id: the last one ever, count: entries; first_id, deleted_id, added
    kGroup,     // name, id: the last one delivered, added: entries read
    kConsumer,  // name, value: its group, time_ms: last seen
    kPending,  // name, value: as of its consumer, id, time_ms: of its last delivery, count: of its deliveries
  };
  Kind kind = Kind::kString;
  std::string_view name, value;
  double score = 0;
  int64_t expiry_ms = kNoExpiry;
  StreamId id, first_id, deleted_id;
  uint64_t count = 0;
  uint64_t added = 0;
  // What `added` is where the writer did not know, and where the format does not tell.
  static constexpr uint64_t kUnknown = ~uint64_t{0}, kUntold = kUnknown - 1;
  int64_t time_ms = 0;
  std::vector<std::string_view> fields;  // Field and value in turn.
};

}  // namespace server::rdb
