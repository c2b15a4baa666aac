// server/commands/modules.cc: MODULE, of which there are none.
#include "server/bindings.h"
#include "server/command.h"
#include "server/commands/command_docs.h"
#include "server/server.h"

namespace server {
namespace {

void list(CommandContext& c) { c.reply.array(0); }
void refuse(CommandContext& c) { c.reply.error("ERR Varve has no modules"); }
void help(CommandContext& c) { container_help(c.server.table(), "module", c.reply); }

constexpr Binding kBindings[] = {{"module|list", &list},
                                 {"module|load", &refuse},
                                 {"module|loadex", &refuse},
                                 {"module|unload", &refuse},
                                 {"module|help", &help}};

}  // namespace

void bind_module_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
