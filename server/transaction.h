// server/transaction.h: what a connection has queued between MULTI and EXEC.
//
//     MULTI ─▶ open ──┬─ commands queue ─────▶ EXEC: run as one command, one batch, one log record
//                     └─ one is refused ─▶ aborted ─▶ EXEC: EXECABORT
//
// Queued arguments are copies: the buffer that they came in is read into again meanwhile. They count as
// unanswered input, so client-query-buffer-limit bounds them.
//
// Threads: the reactor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/command_table.h"

namespace server {

class Transaction {
 public:
  using Args = std::span<const std::string_view>;

  // `flags`: the command's, as they are for these arguments. Requires: !aborted().
  void queue(const Command& command, Args args, uint32_t flags, size_t bytes_to_write);
  // A command was refused: EXEC will say so. What is queued is not needed any more.
  void abort();
  bool aborted() const { return aborted_; }

  size_t size() const { return commands_.size(); }
  const Command& command(size_t index) const { return *commands_[index].command; }
  // Valid until the next call of args().
  Args args(size_t index) const;

  // ---- of all that is queued
  uint32_t flags() const { return flags_; }                  // The union of their command flags.
  uint32_t common_flags() const { return common_flags_; }    // Those that all of them have.
  size_t bytes_to_write() const { return bytes_to_write_; }  // What they may write, as far as can be told.
  bool has_lasting_effects() const { return has_lasting_effects_; }  // server/nested_call.h
  size_t memory_bytes() const;

  // What MULTI does not queue but runs at once.
  static bool runs_at_once(const Command& command);
  static bool is_exec(const Command& command);

 private:
  struct Queued {
    const Command* command;
    std::string bytes;           // All arguments, end to end.
    std::vector<uint32_t> ends;  // Of each, in there.
  };
  std::vector<Queued> commands_;
  mutable std::vector<std::string_view> args_;
  uint32_t flags_ = 0, common_flags_ = UINT32_MAX;
  size_t bytes_to_write_ = 0;
  size_t argument_bytes_ = 0;
  bool aborted_ = false;
  bool has_lasting_effects_ = false;
};

}  // namespace server
