// server/scripts/script_run.h: one run of a script: a command that runs commands.
//
// The commands inside use the script's own view, batch and effects (server/nested_call.h), so all that a
// script wrote is applied together, also what it wrote before it failed. When a command inside meets cold
// data the run is left and taken back as a whole; nothing in Lua remembers it, and the next run sees the same
// clock and the same random numbers.
//
// A script that takes long lets others be heard: every kInstructionsBetweenLooks instructions
// Interrupt::look() is called.
//
// Threads: the reactor.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "resp/output_buffer.h"
#include "resp/reply_writer.h"
#include "server/command.h"
#include "server/scripts/interpreter.h"

namespace server {

struct Command;

inline constexpr int kInstructionsBetweenLooks = 100'000;

struct ScriptRun {
  ScriptRun(CommandContext& context, std::string_view name);

  // Runs a command; its reply in wire form, valid until the next call. An error of the checks before it is
  // in *refusal, without a reply. Throws what the view throws.
  std::string_view call(std::span<const std::string_view> args, std::string* refusal);
  // Redis's drand48: 31 bits of what follows the seed.
  void seed_random(int32_t seed);
  int32_t next_random();

  CommandContext& context;
  const std::string name;  // The SHA1 of a script, the name of a function.
  bool is_eval = true;
  bool read_only = false;
  bool allow_oom = false;
  resp::Version version = resp::Version::kResp2;  // In which the script gets replies.
  bool wrote = false;                             // A command that may write has been called.
  uint64_t started_us = 0;
  bool timed_out = false;  // Others have been told that the server is busy.
  bool killed = false;
  bool killed_for_good = false;  // By SHUTDOWN NOSAVE: what it wrote is dropped.

 private:
  std::string refuse(const Command* command, std::span<const std::string_view> args);
  void note_refusal(const Command* command, const std::string& refusal);

  uint64_t random_ = 0;
  resp::OutputBuffer output_;
  std::string wire_;
};

// What is called while a script runs long.
class Interrupt {
 public:
  virtual void look(ScriptRun& run) = 0;

 protected:
  ~Interrupt() = default;
};

struct ScriptCall {
  std::string_view name;
  bool is_eval = true;
  uint32_t flags = 0;                 // namespace script
  bool by_read_only_command = false;  // EVAL_RO and the like.
  std::span<const std::string_view> keys, args;
  std::function<void(lua_State*)> push_function;
};
// Runs it and writes the reply. Throws what the view throws.
void run_script(Interpreter& interpreter, Interrupt& interrupt, CommandContext& c, const ScriptCall& call);

}  // namespace server
