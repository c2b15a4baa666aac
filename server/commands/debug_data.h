// server/commands/debug_data.h: the subcommands of DEBUG that look at the data or make some.
#pragma once

#include "server/command.h"

namespace server {

void debug_object(CommandContext& c);        // DEBUG OBJECT key
void debug_digest(CommandContext& c);        // DEBUG DIGEST
void debug_digest_value(CommandContext& c);  // DEBUG DIGEST-VALUE key …
void debug_reload(CommandContext& c);        // DEBUG RELOAD [MERGE] [NOFLUSH] [NOSAVE]
void debug_loadaof(CommandContext& c);       // DEBUG LOADAOF
void debug_populate(CommandContext& c);      // DEBUG POPULATE count [prefix] [size]

}  // namespace server
