#include "server/redact.h"

#include <algorithm>

#include "server/config.h"
#include "server/units.h"

namespace server {

Redacted redacted(const Command& command, std::span<const std::string_view> args) {
  static constexpr std::string_view kHidden = "(redacted)";
  Redacted shown{{args.begin(), args.end()}};
  auto& words = shown.args;
  if (command.name == "auth") {
    for (size_t i = 1; i < words.size(); ++i) words[i] = kHidden;
  } else if (command.name == "hello") {
    for (size_t i = 2; i + 2 < words.size(); ++i) {
      if (equals_ignoring_case(words[i], "auth")) words[i + 1] = words[i + 2] = kHidden;
    }
  } else if (command.name == "acl|setuser") {
    for (size_t i = 2; i < words.size(); ++i) words[i] = kHidden;
  } else if (command.name == "config|set") {
    for (size_t i = 2; i + 1 < words.size(); i += 2) {
      if (Config::is_sensitive(words[i])) words[i + 1] = kHidden;
    }
  } else if (command.name == "migrate") {
    for (size_t i = 6; i < words.size() && !equals_ignoring_case(words[i], "keys"); ++i) {
      const size_t secrets = equals_ignoring_case(words[i], "auth")    ? 1
                             : equals_ignoring_case(words[i], "auth2") ? 2
                                                                       : 0;
      for (size_t end = std::min(words.size(), i + 1 + secrets); i + 1 < end;) words[++i] = kHidden;
    }
  }
  return shown;
}

}  // namespace server
