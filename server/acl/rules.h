// server/acl/rules.h: what a rule of an access control list is read with, and what may be wrong with it.
//
//     on off nopass resetpass reset        >password <password #hash !hash
//     +command -command +command|sub       +@category -@category allcommands nocommands
//     ~pattern %R~pattern %W~pattern       allkeys resetkeys
//     &pattern allchannels resetchannels   (rules of a selector) clearselectors
//
// Threads: values.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace server {

class CommandTable;

// What rules are about.
struct AclGround {
  const CommandTable& table;
  bool all_channels_at_first;  // acl-pubsub-default: what a new selector may listen to.
};

enum class AclError : uint8_t {
  kNone,
  kUnknownCommand,  // Or category.
  kSyntax,
  kAfterAllKeys,      // A pattern where all keys are allowed already.
  kAfterAllChannels,  // The same of channels.
  kNoSuchPassword,
  kBadHash,
  kFirstArgumentOfSubcommand,
};
// For people, without "ERR ".
std::string_view describe(AclError error);

// Names and patterns never hold what would break a line of rules.
bool has_blanks(std::string_view text);

// "(+get", "~a)" is one selector's rule, "(+get ~a)". Nothing: the parenthesis that *open names is never
// closed.
std::optional<std::vector<std::string>> merged_rules(std::span<const std::string_view> words, size_t* open);

}  // namespace server
