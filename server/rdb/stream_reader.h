// server/rdb/stream_reader.h: a serialised stream, read piece by piece.
//
//     nodes | { first id (16) | listpack } ... | entries | last id [| first id | last deleted id | added]
//     groups | { name | last id [| read] | pending | { id (16) | time (8) | deliveries } ...
//                consumers | { name | seen (8) [| active (8)] | pending | { id (16) } ... } ... } ...
//
//     listpack   entries | deleted | fields | field ... | 0 |
//                { flags | ms - first | sequence - first | [fields] | values or fields and values | length }
//
// What stands in brackets came with later types. Ids must rise and names differ; what is pending in a group
// is kept (some 40 bytes each) until its consumers say whose it is, and each must be somebody's.
//
// Threads: any, one at a time.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "server/rdb/format.h"
#include "server/rdb/input.h"
#include "server/rdb/item.h"
#include "server/rdb/packed_values.h"

namespace server::rdb {

class StreamReader {
 public:
  explicit StreamReader(ValueType type) : type_(type) {}
  Step next(Input& in, Item* item);  // As ValueReader's.

 private:
  bool later(ValueType type) const { return type_ >= type; }
  Step next_node(Input& in);
  Step next_entry(Input& in, Item* item);
  bool open_node();
  bool take_number(int64_t* number);
  bool take_text(std::deque<std::string>* scratch, std::string_view* text);
  bool read_entry(int64_t flags, Item* item);
  Step read_state(Input& in, Item* item);
  Step read_group(Input& in, Item* item);
  Step read_pending(Input& in);
  Step read_consumers(Input& in);
  Step read_consumer(Input& in, Item* item);
  Step read_owned(Input& in, Item* item);
  bool all_owned() const;

  const ValueType type_;
  enum class Phase : uint8_t {
    kBegin,
    kNodes,
    kState,
    kGroups,
    kPending,
    kConsumerCount,
    kConsumers,
    kOwned,
    kEnd
  } phase_ = Phase::kBegin;
  uint64_t nodes_ = 0, groups_ = 0, pending_ = 0, consumers_ = 0;  // Still to come.

  // Of the node
  std::string blob_, name_;
  std::optional<PackedReader> packed_;
  StreamId first_;
  int64_t present_ = 0, deleted_ = 0;  // Entries still to come.
  std::vector<std::string> master_;    // Its fields.
  std::deque<std::string> numbers_;

  // Of the group
  struct Pending {
    StreamId id;
    int64_t time_ms;
    uint64_t count;
    bool owned;
  };
  std::vector<Pending> all_pending_;  // In order.
  std::string group_, consumer_;
  std::set<std::string, std::less<>> group_names_, consumer_names_;

  StreamId last_;  // Of the entries so far.
  uint64_t entries_ = 0;
};

}  // namespace server::rdb
