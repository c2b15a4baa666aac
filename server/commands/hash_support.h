// server/commands/hash_support.h: what the hash commands share.
#pragma once

#include <optional>
#include <string_view>

#include "server/command.h"
#include "server/types/hash.h"

namespace server {

// The hash's header, or nothing if the key is absent. False: it holds something else, and the error is
// written.
bool find_hash(CommandContext& c, std::string_view key, std::optional<Header>* header);

// Writes the changes of a hash to its key. Reactor only.
bool save_hash(CommandContext& c, Hash& hash);

// An event of the hash at args[1]; `gone`: and that it has no fields left.
void tell_hash(CommandContext& c, const char* name, bool gone = false);

}  // namespace server
