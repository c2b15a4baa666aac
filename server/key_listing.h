// server/key_listing.h: KEYS and KRANGE: the keys of a range, and perhaps their values, as one reply.
//
// A reply of up to kWholeBytesMax is made at once. A longer one goes out in pieces (server/reply_source.h),
// in two passes over one snapshot: RESP wants the number of elements first. In a transaction or a script a
// reply has to be whole, and one of more than kNestedBytesMax is an error.
//
// Threads: that of the view.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "server/command.h"
#include "server/key_bounds.h"

namespace server {

struct KeyQuery {
  KeyBounds bounds;
  bool reverse = false;
  bool values = false;
  int64_t offset = 0;
  int64_t count = -1;  // Negative: all.
  std::optional<std::string> type, pattern;
};

inline constexpr uint64_t kWholeBytesMax = 1 << 20;
inline constexpr uint64_t kNestedBytesMax = 512 << 20;

// Throws what the view throws.
void list_keys(CommandContext& c, const KeyQuery& query);

}  // namespace server
