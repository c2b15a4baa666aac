// server/commands/table.h: the rows of the command table, one array a family.
//
// Adding a command is one row here (in alphabetical order, a container before its subcommands) and one
// function, named in the family's list of bindings.
#pragma once

#include <span>

#include "server/command_spec.h"

namespace server {

extern const std::span<const CommandSpec> kBitmapCommands;
extern const std::span<const CommandSpec> kClusterCommands;
extern const std::span<const CommandSpec> kConnectionCommands;
extern const std::span<const CommandSpec> kGenericCommands;
extern const std::span<const CommandSpec> kGeoCommands;
extern const std::span<const CommandSpec> kHashCommands;
extern const std::span<const CommandSpec> kHyperLogLogCommands;
extern const std::span<const CommandSpec> kIntrospectionCommands;
extern const std::span<const CommandSpec> kListCommands;
extern const std::span<const CommandSpec> kPubsubCommands;
extern const std::span<const CommandSpec> kScriptingCommands;
extern const std::span<const CommandSpec> kSentinelCommands;
extern const std::span<const CommandSpec> kServerCommands;
extern const std::span<const CommandSpec> kSetCommands;
extern const std::span<const CommandSpec> kSortedSetCommands;
extern const std::span<const CommandSpec> kStreamCommands;
extern const std::span<const CommandSpec> kStringCommands;
extern const std::span<const CommandSpec> kTransactionCommands;

}  // namespace server
