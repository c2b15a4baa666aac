#include "server/commands/set_support.h"

#include "server/commands/find_header.h"
#include "server/long_write.h"

namespace server {

bool find_set(CommandContext& c, std::string_view key, std::optional<Header>* header) {
  return find_header(c, Type::kSet, key, header);
}

SetLimits set_limits(CommandContext& c) { return {settings_of(c).set_max_intset_entries}; }

}  // namespace server
