// server/nested_call.h: one command run inside another one: EXEC's, a script's.
//
// It has the outer command's view, batch, clock and effects: it sees what came before it in the same
// transaction, and all of it is applied together or, when the outer run is left by ColdRead, not at all.
//
// Threads: the reactor.
#pragma once

#include <span>
#include <string_view>

#include "server/command.h"
#include "server/command_table.h"

namespace server {

// Runs `command` now and lets `outer` take over what it set. Its reply
// goes to `reply`. It never waits for a key: it finds nothing instead.
// Requires: the number of arguments fits, the user may run it, and it may run in a transaction or a script.
// Throws what the view throws; the caller lets that pass.
void nested_call(CommandContext& outer, const Command& command, std::span<const std::string_view> args,
                 resp::ReplyWriter& reply);

}  // namespace server
