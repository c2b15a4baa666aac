#include "server/acl/rules.h"

#include <utility>

namespace server {

std::string_view describe(AclError error) {
  switch (error) {
    case AclError::kNone: return "";
    case AclError::kUnknownCommand: return "Unknown command or category name in ACL";
    case AclError::kSyntax: return "Syntax error";
    case AclError::kAfterAllKeys:
      return "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have "
             "any "
             "effect. Try 'resetkeys' to start with an empty list of patterns";
    case AclError::kAfterAllChannels:
      return "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not "
             "have "
             "any effect. Try 'resetchannels' to start with an empty list of channels";
    case AclError::kNoSuchPassword:
      return "The password you are trying to remove from the user does not exist";
    case AclError::kBadHash:
      return "The password hash must be exactly 64 characters and contain only lowercase hexadecimal "
             "characters";
    case AclError::kFirstArgumentOfSubcommand: return "Allowing first-arg of a subcommand is not supported";
  }
  return "Wrong format";
}

bool has_blanks(std::string_view text) {
  return text.find_first_of(std::string_view(" \t\n\v\f\r\0", 7)) != std::string_view::npos;
}

std::optional<std::vector<std::string>> merged_rules(std::span<const std::string_view> words, size_t* open) {
  std::vector<std::string> rules;
  std::optional<std::string> selector;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (word.starts_with('(') && !word.ends_with(')')) {
      selector = word;
      *open = i;
    } else if (selector) {
      selector->append(" ").append(word);
      if (!word.ends_with(')')) continue;
      rules.push_back(*std::exchange(selector, std::nullopt));
    } else {
      rules.emplace_back(word);
    }
  }
  if (selector) return std::nullopt;
  return rules;
}

}  // namespace server
