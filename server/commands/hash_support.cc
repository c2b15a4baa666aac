#include "server/commands/hash_support.h"

#include "server/errors.h"
#include "server/server.h"

namespace server {

bool find_hash(CommandContext& c, std::string_view key, std::optional<Header>* header) {
  *header = c.view.header(c.database, key);
  if (!*header || (*header)->type == Type::kHash) return true;
  c.reply.error(kWrongType);
  return false;
}

bool save_hash(CommandContext& c, Hash& hash) {
  const Settings& settings = c.server.settings();
  return hash.save({settings.hash_max_listpack_entries, settings.hash_max_listpack_value_bytes},
                   c.random_seed);
}

void tell_hash(CommandContext& c, const char* name, bool gone) {
  c.event(notify::kHash, name, c.args[1]);
  if (gone) c.event(notify::kGeneric, "del", c.args[1]);
}

}  // namespace server
