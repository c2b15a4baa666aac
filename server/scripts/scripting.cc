#include "server/scripts/scripting.h"

#include "server/command_table.h"
#include "server/scripts/script_flags.h"

namespace server {

uint32_t Scripting::flags_of(const Command& command, std::span<const std::string_view> args) const {
  if (command.spec->group != Group::kScripting || command.is_subcommand() || args.size() < 2)
    return command.flags;
  std::optional<uint32_t> flags;
  if (command.name == "fcall" || command.name == "fcall_ro")
    flags = functions.flags(args[1]);
  else if (command.name == "eval" || command.name == "eval_ro")
    flags = scripts.flags(args[1], Scripts::By::kText);
  else if (command.name == "evalsha" || command.name == "evalsha_ro")
    flags = scripts.flags(args[1], Scripts::By::kSha1);
  return flags ? command_flags_of(command.flags, *flags) : command.flags;
}

}  // namespace server
