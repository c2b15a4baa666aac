// server/commands/command.cc: COMMAND.
#include "server/command.h"
#include "server/bindings.h"
#include "server/commands/command_docs.h"
#include "server/server.h"

namespace server {
namespace {

constexpr Binding kBindings[] = {
    {"command", [](CommandContext& c) { command_info_of_all(c.server.table(), c.reply); }},
    {"command|count", [](CommandContext& c) { command_count(c.server.table(), c.reply); }},
    {"command|list", [](CommandContext& c) { command_list(c.server.table(), c.args, c.reply); }},
    {"command|info", [](CommandContext& c) { command_info(c.server.table(), c.args, c.reply); }},
    {"command|docs", [](CommandContext& c) { command_docs(c.server.table(), c.args, c.reply); }},
    {"command|getkeys",
     [](CommandContext& c) { command_getkeys(c.server.table(), c.args, KeyDetail::kNames, c.reply); }},
    {"command|getkeysandflags",
     [](CommandContext& c) {
       command_getkeys(c.server.table(), c.args, KeyDetail::kNamesAndFlags, c.reply);
     }},
    {"command|help", [](CommandContext& c) { container_help(c.server.table(), "command", c.reply); }}};

}  // namespace

void bind_command_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
