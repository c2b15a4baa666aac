// server/acl/selector.h: one set of permissions: commands, keys and channels. A user has one, and may have
// more.
//
// A command is allowed by a user when one of its selectors allows it with all of its keys and channels.
//
// Threads: the reactor.
#pragma once

#include <bitset>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/acl/rules.h"
#include "server/command_keys.h"
#include "server/command_table.h"

namespace server {

// By rising weight: of what several selectors object to, the greatest is told.
enum class Denial : uint8_t { kNone, kCommand, kKey, kChannel };

struct Verdict {
  Denial denial = Denial::kNone;
  uint32_t argument = 0;  // Of kKey and kChannel: which argument it is.
  bool allowed() const { return denial == Denial::kNone; }
};

// A command about to run; its keys are looked for when a selector first asks.
struct AclCall {
  const Command& command;
  std::span<const std::string_view> args;
  std::optional<std::vector<KeyAt>> keys = std::nullopt;
};

class AclSelector {
 public:
  explicit AclSelector(bool all_channels) : all_channels_(all_channels) {}

  // Carries out one rule. On an error nothing has changed.
  AclError apply(const CommandTable& table, std::string_view rule);

  // Nothing is forbidden, also of commands to come.
  bool unrestricted() const { return all_commands_ && all_keys_ && all_channels_; }
  bool all_channels() const { return all_channels_; }
  const std::vector<std::string>& channels() const { return channels_; }

  Verdict check(AclCall& call) const;
  // Whether every key there is may be read.
  bool may_read_every_key() const;

  // As rules: "+@all -@dangerous", "~a* %R~b", "&news.*"; each may be empty but the first. The rules for
  // commands are shortest where categories fit.
  std::string command_rules(const CommandTable& table) const;
  std::string key_rules() const;
  std::string channel_rules() const;
  // All of it, in the form in which ACL LIST shows it.
  std::string rules(const CommandTable& table) const;

 private:
  static constexpr size_t kCommandsMax = 1024;
  static constexpr unsigned kReads = 1, kWrites = 2;
  struct KeyPattern {
    std::string text;
    unsigned access;
  };
  class CommandRules;

  void allow_all_commands(bool allow);
  void allow(const CommandTable& table, const Command& command, bool allow);
  void allow_category(const CommandTable& table, uint32_t category, bool allow);
  AclError apply_command(const CommandTable& table, std::string_view name, bool allow);
  AclError apply_key_pattern(std::string_view rule);
  AclError apply_channel(std::string_view pattern);
  bool allows_command(const AclCall& call) const;
  bool allows_key(std::string_view key, uint16_t flags) const;

  bool all_commands_ = false;     // Every bit is set.
  bool future_commands_ = false;  // It began with +@all: described as what is taken from that.
  bool all_keys_ = false;
  bool all_channels_ = false;
  std::bitset<kCommandsMax> commands_;                            // By id.
  std::map<uint16_t, std::vector<std::string>> first_arguments_;  // Of a command that is not allowed as such.
  std::vector<KeyPattern> keys_;
  std::vector<std::string> channels_;
};

// Whether one of the patterns lets somebody use a channel, or, if it is a pattern itself, names just that.
bool allows_channel(std::span<const std::string> patterns, std::string_view channel, bool is_pattern);

}  // namespace server
