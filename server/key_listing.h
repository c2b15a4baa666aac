// server/key_listing.h: KEYS and KRANGE: the keys of a range, and perhaps their values, as one reply.
//
// A long reply (server/long_reply.h) is made in two passes over one snapshot: RESP wants the number of
// elements first.
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

// Throws what the view throws.
void list_keys(CommandContext& c, const KeyQuery& query);

}  // namespace server
