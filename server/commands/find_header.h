// server/commands/find_header.h: the first thing that a command on one type does.
#pragma once

#include <optional>
#include <string_view>

#include "server/command.h"
#include "server/errors.h"

namespace server {

// The header of a key of that type, or nothing if the key is absent. False: it holds something else, and the
// error is written.
inline bool find_header(CommandContext& c, Type type, std::string_view key, std::optional<Header>* header) {
  *header = c.view.header(c.database, key);
  if (!*header || (*header)->type == type) return true;
  c.reply.error(kWrongType);
  return false;
}

}  // namespace server
