#include "server/scripts/script_flags.h"

#include <vector>

#include "server/command_spec.h"
#include "server/config/entry.h"

namespace server {

uint32_t command_flags_of(uint32_t command_flags, uint32_t script_flags) {
  if (script_flags & script::kCompatible) return command_flags;
  uint32_t flags = command_flags & ~(cmd::kStale | cmd::kDenyOom | cmd::kWrite | cmd::kMayReplicate);
  if (!(script_flags & (script::kAllowOom | script::kNoWrites))) flags |= cmd::kDenyOom;
  if (!(script_flags & script::kNoWrites)) flags |= cmd::kWrite;
  if (script_flags & script::kAllowStale) flags |= cmd::kStale;
  return flags;
}

ScriptHead read_script_head(std::string_view text) {
  ScriptHead head;
  if (!text.starts_with("#!")) return head;
  const auto fail = [&](std::string error) {
    head.error = std::move(error);
    return head;
  };
  const size_t end = text.find('\n');
  if (end == std::string_view::npos) return fail("Invalid script shebang");
  const auto words = split_words(text.substr(0, end));
  if (!words || words->empty()) return fail("Invalid engine in script shebang");
  if (words->front() != "#!lua") return fail("Unexpected engine in script shebang: " + words->front());
  head.flags = 0;
  head.bytes = end;  // The line's end stays, so that line numbers do.
  for (size_t i = 1; i < words->size(); ++i) {
    std::string_view word = (*words)[i];
    if (!word.starts_with("flags=")) return fail("Unknown lua shebang option: " + std::string(word));
    word.remove_prefix(6);
    while (!word.empty()) {
      const size_t comma = word.find(',');
      const std::string_view name = word.substr(0, comma);
      word.remove_prefix(comma == std::string_view::npos ? word.size() : comma + 1);
      uint32_t flag = 0;
      for (const auto& known : script::kFlagNames)
        if (known.name == name) flag = known.flag;
      if (flag == 0) return fail("Unexpected flag in script shebang: " + std::string(name));
      head.flags |= flag;
    }
  }
  return head;
}

}  // namespace server
