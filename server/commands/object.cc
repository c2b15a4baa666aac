// server/commands/object.cc: OBJECT: how a value is kept, in Redis's words.
//
// Neither idle times nor frequencies are kept for keys: most of them are on disk, and caches decide by block.
// So an idle time is 0, and FREQ gives what Redis gives without an LFU policy.
#include "server/bindings.h"
#include "server/command.h"
#include "server/commands/command_docs.h"
#include "server/object_encoding.h"
#include "server/server.h"

namespace server {
namespace {

// To look at a key from outside is no use of it: nobody is told if it is not there.
std::optional<Header> look_at(CommandContext& c) {
  c.view.watch(nullptr);
  return c.view.header(c.database, c.args[2]);
}

void encoding(CommandContext& c) {
  const auto header = look_at(c);
  if (!header) return c.reply.null();
  c.reply.bulk(object_encoding(c.view, *header));
}

void freq(CommandContext& c) {
  if (!look_at(c)) return c.reply.null();
  c.reply.error(
      "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when "
      "switching "
      "between policies at runtime LRU and LFU data will take some time to adjust.");
}

void idletime(CommandContext& c) {
  if (!look_at(c)) return c.reply.null();
  c.reply.integer(0);
}

void refcount(CommandContext& c) {
  if (!look_at(c)) return c.reply.null();
  c.reply.integer(1);
}

void help(CommandContext& c) { container_help(c.server.table(), "object", c.reply); }

constexpr Binding kBindings[] = {{"object|encoding", &encoding},
                                 {"object|freq", &freq},
                                 {"object|idletime", &idletime},
                                 {"object|refcount", &refcount},
                                 {"object|help", &help}};

}  // namespace

void bind_object_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
