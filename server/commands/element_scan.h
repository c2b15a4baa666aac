// server/commands/scan_options.h: the arguments that HSCAN, SSCAN and ZSCAN share.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "resp/reply_writer.h"
#include "server/glob.h"

namespace server {

struct ScanOptions {
  std::string_view pattern;  // Empty and `matches_all`: everything.
  bool matches_all = true;
  uint64_t count = 10;
  bool no_values = false;

  bool matches(std::string_view name) const { return matches_all || glob_match(pattern, name); }
};

// "ERR invalid cursor" is written if it is none.
std::optional<uint64_t> parse_cursor(std::string_view text, resp::ReplyWriter& reply);

// From the first option on. False: the error is written.
bool parse_scan_options(std::span<const std::string_view> args, bool allow_no_values, ScanOptions* options,
                        resp::ReplyWriter& reply);

// The reply for an absent key.
void reply_empty_scan(resp::ReplyWriter& reply);

}  // namespace server
