// server/command_renaming.h: rename-command of the configuration.
#pragma once

#include <span>

#include "engine/status.h"
#include "server/command_table.h"
#include "server/config/entry.h"

namespace server {

// Does what the directives `rename-command NAME NEW-NAME` among `directives` say, in their order.
// Errors: kInvalid, naming the place.
engine::Status rename_commands(std::span<const Entry> directives, CommandTable& table);

}  // namespace server
