#include "server/acl/selector.h"

#include <algorithm>

#include "engine/status.h"
#include "server/glob.h"
#include "server/units.h"

namespace server {
namespace {

bool is(std::string_view rule, std::string_view word) { return equals_ignoring_case(rule, word); }

// Where a command's channels stand: from args[1] on.
struct Channels {
  size_t count;  // At most.
  bool are_patterns;
};
std::optional<Channels> channels_of(const Command& command) {
  constexpr size_t kAll = SIZE_MAX;
  if (command.name == "publish" || command.name == "spublish") return Channels{1, false};
  if (command.name == "subscribe" || command.name == "ssubscribe") return Channels{kAll, false};
  if (command.name == "psubscribe") return Channels{kAll, true};
  return std::nullopt;
}

// As ACL rules know it: those of another kind of server are not there.
const Command* command_of_rule(const CommandTable& table, std::string_view name) {
  const Command* command = table.lookup(name);
  return command && !(command->flags & cmd::kOnlySentinel) ? command : nullptr;
}

}  // namespace

AclError AclSelector::apply(const CommandTable& table, std::string_view rule) {
  INVARIANT(table.commands().size() <= kCommandsMax);
  if (is(rule, "allkeys") || rule == "~*") {
    all_keys_ = true;
    keys_.clear();
  } else if (is(rule, "resetkeys")) {
    all_keys_ = false;
    keys_.clear();
  } else if (is(rule, "allchannels") || rule == "&*") {
    all_channels_ = true;
    channels_.clear();
  } else if (is(rule, "resetchannels")) {
    all_channels_ = false;
    channels_.clear();
  } else if (is(rule, "allcommands") || is(rule, "+@all")) {
    allow_all_commands(true);
  } else if (is(rule, "nocommands") || is(rule, "-@all")) {
    allow_all_commands(false);
  } else if (rule.starts_with('~') || rule.starts_with('%')) {
    return apply_key_pattern(rule);
  } else if (rule.starts_with('&')) {
    return apply_channel(rule.substr(1));
  } else if (rule.starts_with("+@") || rule.starts_with("-@")) {
    const uint32_t category = category_of(rule.substr(2));
    if (category == 0) return AclError::kUnknownCommand;
    allow_category(table, category, rule[0] == '+');
  } else if (rule.starts_with('+') || rule.starts_with('-')) {
    return apply_command(table, rule.substr(1), rule[0] == '+');
  } else {
    return AclError::kSyntax;
  }
  return AclError::kNone;
}

void AclSelector::allow_all_commands(bool allow) {
  allow ? commands_.set() : commands_.reset();
  all_commands_ = future_commands_ = allow;
  first_arguments_.clear();
}

void AclSelector::allow(const CommandTable& table, const Command& command, bool allow) {
  commands_.set(command.id, allow);
  first_arguments_.erase(command.id);
  for (const Command& subcommand : table.subcommands(command)) {
    if (!(subcommand.flags & cmd::kOnlySentinel)) commands_.set(subcommand.id, allow);
  }
  if (!allow) all_commands_ = false;
}

void AclSelector::allow_category(const CommandTable& table, uint32_t category, bool allowed) {
  for (const Command& command : table.commands()) {
    if ((command.categories & category) && !(command.flags & cmd::kOnlySentinel)) {
      allow(table, command, allowed);
    }
  }
}

AclError AclSelector::apply_command(const CommandTable& table, std::string_view name, bool allowed) {
  const Command* command = command_of_rule(table, name);
  const size_t bar = name.rfind('|');
  if (allowed && bar != std::string_view::npos) {
    const Command* container = command_of_rule(table, name.substr(0, bar));
    if (!container) return AclError::kUnknownCommand;
    if (container->is_subcommand()) return AclError::kFirstArgumentOfSubcommand;
    const std::string_view argument = name.substr(bar + 1);
    if (argument.empty()) return AclError::kSyntax;
    if (container->subcommand_count == 0) {
      auto& known = first_arguments_[container->id];
      const auto same = [&](const std::string& other) { return is(other, argument); };
      if (std::none_of(known.begin(), known.end(), same)) known.emplace_back(argument);
      return AclError::kNone;
    }
  }
  if (!command) return AclError::kUnknownCommand;
  allow(table, *command, allowed);
  return AclError::kNone;
}

AclError AclSelector::apply_key_pattern(std::string_view rule) {
  if (all_keys_) return AclError::kAfterAllKeys;
  unsigned access = kReads | kWrites;
  size_t begin = 1;
  if (rule[0] == '%') {
    access = 0;
    for (; begin < rule.size() && rule[begin] != '~'; ++begin) {
      const char letter = lower_char(rule[begin]);
      const unsigned more = letter == 'r' ? kReads : letter == 'w' ? kWrites : 0;
      if (more == 0 || (access & more)) return AclError::kSyntax;
      access |= more;
    }
    if (access == 0) return AclError::kSyntax;
    begin = std::min(begin + 1, rule.size());
  }
  const std::string_view pattern = rule.substr(begin);
  if (has_blanks(pattern)) return AclError::kSyntax;
  for (KeyPattern& known : keys_) {
    if (known.text != pattern) continue;
    known.access |= access;
    return AclError::kNone;
  }
  keys_.push_back({std::string(pattern), access});
  return AclError::kNone;
}

AclError AclSelector::apply_channel(std::string_view pattern) {
  if (all_channels_) return AclError::kAfterAllChannels;
  if (has_blanks(pattern)) return AclError::kSyntax;
  if (std::find(channels_.begin(), channels_.end(), pattern) == channels_.end())
    channels_.emplace_back(pattern);
  return AclError::kNone;
}

// ------------------------------------------------------------------ checks

bool AclSelector::allows_command(const AclCall& call) const {
  if (all_commands_ || (call.command.flags & cmd::kNoAuth) || commands_.test(call.command.id)) return true;
  if (call.args.size() < 2) return false;
  const auto found = first_arguments_.find(call.command.id);
  if (found == first_arguments_.end()) return false;
  return std::any_of(found->second.begin(), found->second.end(),
                     [&](const std::string& allowed) { return is(allowed, call.args[1]); });
}

bool AclSelector::allows_key(std::string_view key, uint16_t flags) const {
  unsigned needed = 0;
  if (flags & key::kAccess) needed |= kReads;
  if (flags & (key::kInsert | key::kDelete | key::kUpdate)) needed |= kWrites;
  return std::any_of(keys_.begin(), keys_.end(), [&](const KeyPattern& pattern) {
    return (pattern.access & needed) == needed && glob_match(pattern.text, key);
  });
}

Verdict AclSelector::check(AclCall& call) const {
  if (!allows_command(call)) return {Denial::kCommand};
  if (!all_keys_ && may_have_keys(call.command)) {
    if (!call.keys) keys_of(call.command, call.args, &call.keys.emplace());
    for (const KeyAt& at : *call.keys) {
      if (!(at.flags & key::kNotKey) && !allows_key(call.args[at.position], at.flags)) {
        return {Denial::kKey, at.position};
      }
    }
  }
  if (all_channels_) return {};
  if (const auto channels = channels_of(call.command)) {
    const size_t end = channels->count < call.args.size() ? 1 + channels->count : call.args.size();
    for (uint32_t i = 1; i < end; ++i) {
      if (!allows_channel(channels_, call.args[i], channels->are_patterns)) return {Denial::kChannel, i};
    }
  }
  return {};
}

bool AclSelector::may_read_every_key() const {
  return all_keys_ || std::any_of(keys_.begin(), keys_.end(), [](const KeyPattern& pattern) {
           return (pattern.access & kReads) && pattern.text == "*";
         });
}

bool allows_channel(std::span<const std::string> patterns, std::string_view channel, bool is_pattern) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
    return is_pattern ? pattern == channel : glob_match(pattern, channel);
  });
}

}  // namespace server
