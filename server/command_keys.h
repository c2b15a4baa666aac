// server/command_keys.h: which arguments of a command line are keys, and what the command does with them.
//
// Key specs answer for nearly every command; where they cannot (SET's flags depend on GET, SORT's STORE may
// stand anywhere) a function does. What is no well-formed call has no keys: the command itself will say what
// is wrong with it.
//
// Safe on any arguments: nothing beyond them is ever read, whatever numbers they contain.
//
// Threads: pure; any.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "server/command_table.h"

namespace server {

struct KeyAt {
  uint32_t position;  // Of the argument; the command's name is at 0.
  uint16_t flags;     // namespace key.
  bool operator==(const KeyAt&) const = default;
};

// Replaces *keys, in the order of the key specs. Empty: no keys, or no well-formed call.
void keys_of(const Command& command, std::span<const std::string_view> args, std::vector<KeyAt>* keys);

// Whether any call of the command has keys.
bool may_have_keys(const Command& command);

}  // namespace server
