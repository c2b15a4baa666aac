#include "server/commands/hash_support.h"

#include "server/commands/find_header.h"
#include "server/server.h"

namespace server {

bool find_hash(CommandContext& c, std::string_view key, std::optional<Header>* header) {
  return find_header(c, Type::kHash, key, header);
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
