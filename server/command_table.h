// server/command_table.h: which commands there are, and which function carries each of them out.
//
// All of Redis 7.0's commands are known, and Varve's own. A command is *served* once a function has been
// bound to it; one that is not is answered as unknown, though its facts can be looked up.
//
//     constexpr Binding kBindings[] = {{"get", &get}, {"set", &set}, {"client|list", &client_list}};
//     table.bind(kBindings);
//
// Invariants
//   T1  A container stands right before its subcommands, in the order of the rows, families in a fixed order.
//   T2  A Command's address, id and facts never change; only bind() changes its handler.
//   T3  A container is served when it or one of its subcommands has a handler.
//   T4  A renamed command keeps its own name for lookup(), and so in ACL rules and in what COMMAND tells.
//
// Threads: bound by one thread before others see it, constant from then on.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/command_spec.h"

namespace server {

struct CommandContext;
using Handler = void (*)(CommandContext&);

struct Binding {
  std::string_view name;  // As in the table: "get", "config|get".
  Handler handler;
};

struct Command {
  const CommandSpec* spec = nullptr;
  std::string_view name;      // In full and in lower case: "config|get".
  Handler handler = nullptr;  // Null: not served, or a container that is nothing without a subcommand.
  uint32_t flags = 0;         // The row's, and kMovableKeys where it follows from the key specs.
  uint32_t categories = 0;    // The row's, and those that follow from the flags.
  uint16_t id = 0;            // Its place in CommandTable::commands().
  uint16_t parent = 0;        // The id of its container; its own for others.
  uint16_t subcommand_count = 0;
  bool served = false;
  // Where keys stand, as clients before key specs wanted it: 0, 0, 0 when that cannot be said.
  int16_t first_key = 0, last_key = 0, key_step = 0;

  bool accepts(size_t argument_count) const {  // With the name.
    const int count = static_cast<int>(argument_count);
    return spec->arity >= 0 ? count == spec->arity : count >= -spec->arity;
  }
  bool is_subcommand() const { return parent != id; }
  // SUBSCRIBE and its relatives: what they say are pushes, which CLIENT REPLY does not silence.
  bool confirms_by_push() const { return (flags & cmd::kPubsub) && (flags & cmd::kNoScript); }
};

class CommandTable {
 public:
  CommandTable();  // Every command known, none served.
  CommandTable(CommandTable&&) noexcept;
  ~CommandTable();

  // Requires: every name is in the table and not yet bound.
  void bind(std::span<const Binding> bindings);

  // Clients find the command by `new_name` from now on; by none if that is empty, and COMMAND does not list
  // it any more. Both in any case. Requires: everything is bound; no client is served yet.
  enum class Renamed : uint8_t { kDone, kUnknown, kTaken };
  Renamed rename(std::string_view name, std::string_view new_name);

  // The command that a client asks for: null when it is not served. 10 to 20 ns; any case.
  // Of a container: the subcommand named by args[1], or itself when there is no args[1]; then its arity or
  // its handler has the answer. Requires: args not empty.
  const Command* find(std::span<const std::string_view> args) const;

  // By its own full name, "get" or "config|get", in any case; also what is not served.
  const Command* lookup(std::string_view full_name) const;

  std::span<const Command> commands() const { return commands_; }  // T1
  std::span<const Command> subcommands(const Command& container) const {
    return commands().subspan(container.id + 1u, container.subcommand_count);
  }

 private:
  struct Names;
  const Command* find_word(const Names& names, std::string_view word, uint32_t parent) const;

  std::vector<Command> commands_;
  std::unique_ptr<Names> names_;      // As clients say them.
  std::unique_ptr<Names> own_names_;  // Null: the same.
};

// The errors for what find() does not find and for what accepts() refuses, without "ERR ".
std::string unknown_command_message(const CommandTable& table, std::span<const std::string_view> args);
std::string wrong_arity_message(const Command& command);

// The name of a category ("keyspace") by its bit, and the bit of a name in any case (0: there is none).
std::string_view category_name(uint32_t category);
uint32_t category_of(std::string_view name);

}  // namespace server
