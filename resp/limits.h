// resp/limits.h: what a client may ask of the parser. The numbers are those of Redis 7.0.
#pragma once

#include <cstddef>
#include <cstdint>

namespace resp {

// A line (an inline command, or the count line of an array or a bulk string) ends within so many bytes.
inline constexpr size_t kLineBytesMax = 64 * 1024;

// Arguments of one command. Only the announcement is limited here: memory grows with the bytes that came.
inline constexpr int64_t kArgumentsMax = INT32_MAX;
inline constexpr int64_t kUnauthenticatedArgumentsMax = 10;

// Bytes of one argument; the first is the default of the setting proto-max-bulk-len.
inline constexpr int64_t kBulkBytesMax = int64_t{512} << 20;
inline constexpr int64_t kUnauthenticatedBulkBytesMax = 16 * 1024;

// Replies nested deeper are refused by ReplyParser.
inline constexpr size_t kReplyDepthMax = 128;

// The limits that differ between connections, or change while one is open.
struct RequestLimits {
  int64_t bulk_bytes_max = kBulkBytesMax;
  bool authenticated = true;  // False: the connection still owes a password.
};

}  // namespace resp
