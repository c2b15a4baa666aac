// server/commands/table_transactions.cc: the commands for transactions.
#include "server/commands/table.h"

namespace server {

namespace {
constexpr CommandSpec kRows[] = {
    {.name = "discard",
     .arity = 1,
     .flags = cmd::kNoScript | cmd::kLoading | cmd::kStale | cmd::kFast | cmd::kAllowBusy,
     .categories = acl::kTransaction,
     .group = Group::kTransactions,
     .since = "2.0.0",
     .summary = "Forget the commands queued since MULTI.",
     .complexity = "O(N) with N commands queued"},
    {.name = "exec",
     .arity = 1,
     .flags = cmd::kNoScript | cmd::kLoading | cmd::kStale | cmd::kSkipSlowlog,
     .categories = acl::kTransaction,
     .group = Group::kTransactions,
     .since = "1.2.0",
     .summary = "Run the commands queued since MULTI, all at once.",
     .complexity = "As the commands queued"},
    {.name = "multi",
     .arity = 1,
     .flags = cmd::kNoScript | cmd::kLoading | cmd::kStale | cmd::kFast | cmd::kAllowBusy,
     .categories = acl::kTransaction,
     .group = Group::kTransactions,
     .since = "1.2.0",
     .summary = "Start queueing commands for EXEC.",
     .complexity = "O(1)"},
    {.name = "unwatch",
     .arity = 1,
     .flags = cmd::kNoScript | cmd::kLoading | cmd::kStale | cmd::kFast | cmd::kAllowBusy,
     .categories = acl::kTransaction,
     .group = Group::kTransactions,
     .since = "2.2.0",
     .summary = "Forget all watched keys.",
     .complexity = "O(1)"},
    {.name = "watch",
     .arity = -2,
     .flags = cmd::kNoScript | cmd::kLoading | cmd::kStale | cmd::kFast | cmd::kAllowBusy,
     .categories = acl::kTransaction,
     .keys = {keys_from(1, -1, 1, key::kRo)},
     .group = Group::kTransactions,
     .since = "2.2.0",
     .summary = "Let the next EXEC fail when one of these keys changes before it.",
     .complexity = "O(1) for each key",
     .arguments = "key#0..."},
};
}  // namespace

constinit const std::span<const CommandSpec> kTransactionCommands = kRows;

}  // namespace server
