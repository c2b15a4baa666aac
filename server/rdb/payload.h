// server/rdb/payload.h: one key's value as DUMP gives it and RESTORE takes it.
//
//     type (1) | value | version (2) | CRC-64 of all before (8)
//
// Threads: those of the view.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "server/rdb/store.h"
#include "server/rdb/value_writer.h"

namespace server::rdb {

inline constexpr uint64_t kPayloadBytesMax = 512 << 20;

// False: it would be longer than kPayloadBytesMax. Replaces *out.
// A hash of which fields expire has a form that only Redis 7.4 and later know; others refuse it.
bool dump(const ValueWriter::Source& source, std::string* out);

// The value without its footer; nothing if version or checksum are wrong.
std::optional<std::string_view> verified_payload(std::string_view payload);

// Writes a verified payload as a key. Errors: kCorruption: it is damaged or an element comes twice; then
// nothing has been written, nor taken away.
struct Restore {
  ObjectId database;
  std::string_view key;
  int64_t expiry_ms = kNoExpiry;
  bool replace = false;  // Something is there that goes.
  bool only_check = false;
};
engine::Status restore(View& view, const Restore& what, std::string_view payload, const StoreLimits& limits,
                       uint64_t random_seed);

}  // namespace server::rdb
