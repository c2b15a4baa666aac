// server/commands/set_support.h: what the set commands share.
#pragma once

#include <optional>
#include <string_view>

#include "server/command.h"
#include "server/types/set.h"

namespace server {

// The set's header, or nothing if the key is absent. False: it holds something else, and the error is
// written.
bool find_set(CommandContext& c, std::string_view key, std::optional<Header>* header);

// Reactor only.
SetLimits set_limits(CommandContext& c);

}  // namespace server
