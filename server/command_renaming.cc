#include "server/command_renaming.h"

#include <string>

namespace server {

engine::Status rename_commands(std::span<const Entry> directives, CommandTable& table) {
  for (const Entry& entry : directives) {
    if (entry.name != "rename-command") continue;
    const auto fail = [&](const std::string& why) {
      return engine::Status(engine::Code::kInvalid, entry.place() + ": 'rename-command': " + why);
    };
    if (entry.words.size() != 2) return fail("takes a command's name and its new one, \"\" for none");
    switch (table.rename(entry.words[0], entry.words[1])) {
      case CommandTable::Renamed::kDone: break;
      case CommandTable::Renamed::kUnknown:
        return fail("No such command in rename-command: " + entry.words[0]);
      case CommandTable::Renamed::kTaken:
        return fail("Target command name already exists: " + entry.words[1]);
    }
  }
  return {};
}

}  // namespace server
