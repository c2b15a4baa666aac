// server/long_reply.h: the bound of replies whose length only the data knows (KEYS, KRANGE).
//
// A reply is built in memory before it is sent. Beyond this length it is an error instead: who wants more
// than that asks piece by piece (SCAN, LIMIT), which costs the server nothing.
#pragma once

#include <cstdint>

#include "resp/reply_writer.h"

namespace server {

inline constexpr uint64_t kLongReplyBytesMax = 512 << 20;

// Whether the reply begun at `mark` has become too long: then it is taken back and the error stands in its
// place.
inline bool reply_too_long(resp::ReplyWriter& reply, uint64_t mark, uint64_t bytes_max = kLongReplyBytesMax) {
  if (reply.mark() - mark <= bytes_max) return false;
  reply.rollback(mark);
  reply.error("ERR the reply would be longer than 512 MB: use SCAN, or KRANGE with LIMIT");
  return true;
}

}  // namespace server
