// server/commands/table_hyperloglog.cc: the commands for HyperLogLogs.
#include "server/commands/table.h"

namespace server {

namespace {
constexpr CommandSpec kRows[] = {
    {.name = "pfadd",
     .arity = -2,
     .flags = cmd::kWrite | cmd::kDenyOom | cmd::kFast,
     .categories = acl::kHyperLogLog,
     .keys = {key_at(1, key::kRw | key::kInsert)},
     .group = Group::kHyperLogLog,
     .since = "2.8.9",
     .summary = "Let a HyperLogLog see elements.",
     .complexity = "O(1) for each element",
     .arguments = "key#0 [element...]"},
    {.name = "pfcount",
     .arity = -2,
     .flags = cmd::kReadonly | cmd::kMayReplicate,
     .categories = acl::kHyperLogLog,
     .keys = {keys_from(1, -1, 1, key::kRw | key::kAccess,
                        "RW for the estimate that it may keep beside the registers")},
     .group = Group::kHyperLogLog,
     .since = "2.8.9",
     .summary = "Estimate how many different elements HyperLogLogs have seen.",
     .complexity = "O(1) for one key, O(N) for N keys",
     .arguments = "key#0..."},
    {.name = "pfdebug",
     .arity = 3,
     .flags = cmd::kWrite | cmd::kDenyOom | cmd::kAdmin,
     .categories = acl::kHyperLogLog,
     .keys = {key_at(2, key::kRw | key::kAccess)},
     .group = Group::kHyperLogLog,
     .doc_flags = doc::kSyscmd,
     .since = "2.8.9",
     .summary = "Look into the registers of a HyperLogLog.",
     .complexity = "N/A",
     .arguments = "subcommand key#0"},
    {.name = "pfmerge",
     .arity = -2,
     .flags = cmd::kWrite | cmd::kDenyOom,
     .categories = acl::kHyperLogLog,
     .keys = {key_at(1, key::kRw | key::kAccess | key::kInsert),
              keys_from(2, -1, 1, key::kRo | key::kAccess)},
     .group = Group::kHyperLogLog,
     .since = "2.8.9",
     .summary = "Merge HyperLogLogs into one.",
     .complexity = "O(N) with N keys",
     .arguments = "destkey#0 sourcekey#1..."},
    {.name = "pfselftest",
     .arity = 1,
     .flags = cmd::kAdmin,
     .categories = acl::kHyperLogLog,
     .group = Group::kHyperLogLog,
     .doc_flags = doc::kSyscmd,
     .since = "2.8.9",
     .summary = "Test the HyperLogLog implementation.",
     .complexity = "N/A"},
};
}  // namespace

constinit const std::span<const CommandSpec> kHyperLogLogCommands = kRows;

}  // namespace server
