// server/rdb/value_reader.h: one serialised value, read piece by piece, in every form that Redis has had.
//
// A collection of millions is never here as a whole, where the form lets it be read in parts: plain
// collections element by element, quicklists and streams node by node. Sorted sets and hashes that are one
// listpack are small anyway.
//
// Threads: any, one at a time. Not here: whether elements come twice (who stores them sees that).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "server/rdb/format.h"
#include "server/rdb/input.h"
#include "server/rdb/item.h"
#include "server/rdb/packed_values.h"
#include "server/rdb/stream_reader.h"

namespace server::rdb {

class ValueReader {
 public:
  // What a type byte stands for; nothing if it is no type, or a module's.
  static std::optional<Type> type_of(uint8_t byte);

  // Requires: type_of(type) is something.
  void begin(ValueType type);
  // kItem: *item is the next piece; what it refers to lives until the next call. kEnd: the value is complete.
  // kMore: feed `in`, then again; not before, as a node may be half read. kDamaged: in.damage() says what.
  Step next(Input& in, Item* item);

 private:
  Step open(Input& in);
  Step next_unit(Input& in, Item* item);
  Step next_plain(Input& in, Item* item);
  Step next_packed(Input& in, Item* item);
  Step shown(Item::Kind kind, Item* item);
  bool packed_score(const PackedValue& value, double* score);

  ValueType type_ = ValueType::kString;
  enum class Phase : uint8_t { kBegin, kUnits, kEnd } phase_ = Phase::kEnd;
  uint64_t left_ = 0;  // Units: elements, or nodes of packed ones.
  bool any_ = false;   // Some element has been shown.
  int64_t first_expiry_ms_ = 0;
  std::optional<PackedReader> packed_;
  std::string blob_, name_, value_;  // What does not stand in the input as it is.
  std::unique_ptr<StreamReader> stream_;
};

}  // namespace server::rdb
