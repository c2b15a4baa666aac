// server/nested_call.h: one command run inside another one: EXEC's, a script's.
//
// It has the outer command's view, batch, clock and effects: it sees what came before it in the same
// transaction, and all of it is applied together or, when the outer run is left by ColdRead, not at all. The
// database that SELECT chose and the databases that FLUSHDB and SWAPDB made are those of the calls after it.
//
// Most commands have no effect but their writes, their reply and their Effects, and can be taken back. One
// with a *lasting effect* (CONFIG SET, CLIENT SETNAME) cannot: it must happen once. So a run that contains
// some is first *rehearsed* without them: it meets the cold blocks and learns how much it writes, while
// nothing lasts. Then it runs in earnest. From the first lasting effect on it may not be left any more: what
// is cold all the same is read where it stands (engine::ReadContext::may_block), and counted.
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

// Whether it changes the connection or the server at once.
bool has_lasting_effect(const Command& command);

// For the handler of a command that waits for what it started (Dispatcher::suspend). True: it runs inside
// another one, where nothing waits; the error is written.
bool cannot_wait(CommandContext& c);

}  // namespace server
