// server/commands/string_support.h: what the string commands share.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "server/command.h"
#include "server/string_value.h"

namespace server {

// The string's header, or nothing if the key is absent. False: it holds something else, and the error is
// written.
bool find_string(CommandContext& c, std::string_view key, std::optional<Header>* header);

inline StringKey string_key(CommandContext& c, std::string_view key) { return {c.database, key}; }

// Whether a string of `length` bytes may be made; if not the error is written. Reactor only.
bool length_allowed(CommandContext& c, uint64_t length);

// Sixteen hex digits of the XXH3 hash of a value: what DIGEST gives and IFDEQ and IFDNE compare.
std::string value_digest(std::string_view value);

// IFEQ, IFNE, IFDEQ, IFDNE.
struct ValueCondition {
  enum class Kind : uint8_t { kNone, kEqual, kNotEqual, kDigestEqual, kDigestNotEqual };
  Kind kind = Kind::kNone;
  std::string_view operand;

  // Takes "IFEQ value" and the like from args[*at], and moves *at past it; false if it is something else.
  bool take(std::span<const std::string_view> args, size_t* at);
  // For the present value; nothing for an absent key.
  bool holds(const std::optional<std::string_view>& value) const;
};

}  // namespace server
