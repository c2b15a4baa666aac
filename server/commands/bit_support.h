// server/commands/bit_support.h: what the commands on bitmaps share.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "server/command.h"

namespace server {

// An offset of a bit that a string may have. If it is none the error is written.
std::optional<uint64_t> parse_bit_offset(CommandContext& c, std::string_view text);
// The same where "#n" stands for the place of the n-th integer of `width` bits.
std::optional<uint64_t> parse_field_offset(CommandContext& c, std::string_view text, unsigned width);

}  // namespace server
