// server/key_bounds.h: a range of user keys, as KRANGE, KCOUNT, KDELRANGE and SCAN RANGE are given it.
//
//     [key   from key on, or up to it            (key   the same without key itself
//     -      before all keys                     +      behind all keys
//
// as ZRANGE BYLEX reads them. Keys are in the order of their bytes. Bounds that cross make an empty range.
//
// Threads: any; no state.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "engine/schema.h"
#include "server/keyspace.h"

namespace server {

// Keys k with begin <= k < end; without an end all from begin on.
struct KeyBounds {
  std::string begin;
  std::optional<std::string> end;

  bool empty() const { return end && *end <= begin; }
  bool contains(std::string_view key) const { return key >= begin && !(end && key >= *end); }
  void only(std::string_view key);  // That key, if it is within them.
  void only_up_to(std::string_view key);
  void only_with_prefix(std::string_view prefix);
  void only_after(std::string_view key);
  void only_before(std::string_view key);

  // Where the headers of these keys lie.
  engine::KeyRange headers(ObjectId database) const;
};

// Nothing if one of the two is no bound: kBadKeyBound is the error.
std::optional<KeyBounds> parse_key_bounds(std::string_view min, std::string_view max);

inline constexpr std::string_view kBadKeyBound = "ERR min or max not valid string range item";

}  // namespace server
