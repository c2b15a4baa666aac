// server/redact.h: commands as SLOWLOG and MONITOR may show them: without secrets.
//
// Threads: any; no state.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "server/command_table.h"

namespace server {

struct Redacted {
  std::vector<std::string_view> args;  // Views into the arguments, or "(redacted)".
};
Redacted redacted(const Command& command, std::span<const std::string_view> args);

}  // namespace server
