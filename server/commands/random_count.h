// server/commands/random_count.h: the count of SRANDMEMBER, HRANDFIELD and ZRANDMEMBER.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

#include "resp/reply_writer.h"
#include "server/errors.h"
#include "server/units.h"

namespace server {

// A negative count allows repetitions, and so a short command could ask for a reply without end. Redis would
// go on until memory is out; past this many we refuse.
inline constexpr int64_t kRandomRepliesMax = 1 << 26;

// Nothing: the error is written.
inline std::optional<int64_t> parse_random_count(std::string_view text, resp::ReplyWriter& reply) {
  const auto count = parse_integer(text);
  if (!count) {
    reply.error(kNotAnInteger);
    return std::nullopt;
  }
  if (*count == std::numeric_limits<int64_t>::min()) {
    reply.error("ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807");
    return std::nullopt;
  }
  return count;
}

inline bool random_replies_allowed(int64_t negative_count, resp::ReplyWriter& reply) {
  if (negative_count >= -kRandomRepliesMax) return true;
  reply.error("ERR value is out of range");
  return false;
}

}  // namespace server
