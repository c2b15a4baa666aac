#include "server/commands/set_support.h"

#include "server/errors.h"
#include "server/server.h"

namespace server {

bool find_set(CommandContext& c, std::string_view key, std::optional<Header>* header) {
  *header = c.view.header(c.database, key);
  if (!*header || (*header)->type == Type::kSet) return true;
  c.reply.error(kWrongType);
  return false;
}

SetLimits set_limits(CommandContext& c) { return {c.server.settings().set_max_intset_entries}; }

}  // namespace server
