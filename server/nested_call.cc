#include "server/nested_call.h"

#include <algorithm>

#include "server/client.h"
#include "server/key_watcher.h"
#include "server/server.h"

namespace server {

void nested_call(CommandContext& outer, const Command& command, std::span<const std::string_view> args,
                 resp::ReplyWriter& reply) {
  CommandContext inner{args, outer.view, reply, outer.client, outer.server};
  inner.database_number = outer.database_number;
  inner.database = outer.database;
  inner.random_seed = outer.random_seed = outer.random_seed * 6364136223846793005 + 1442695040888963407;
  inner.effects = outer.effects;
  KeyEvents key_events(*inner.effects, inner.database, inner.database_number, &outer.server.databases(),
                       command.flags & cmd::kReadonly);
  outer.view.watch(&key_events);
  command.handler(inner);
  outer.view.watch(nullptr);
  outer.seen = std::max(outer.seen, inner.seen);
  outer.databases_changed |= inner.databases_changed;
}

}  // namespace server
