// server/scripts/busy.h: what others can do while a script runs for too long.
//
// A script that has run for busy-reply-threshold ms lets the server look at its sockets from within: it
// accepts connections and reads requests, and answers each with -BUSY, unless it is one of the few that are
// allowed then (SCRIPT KILL, FUNCTION KILL, SHUTDOWN NOSAVE, AUTH …). Nothing else happens meanwhile: the
// event loop is not entered, no timer fires, no other command's data is touched. So the script stays atomic.
//
// Whoever has requests queued, or a command that waits, is left alone: they go on when the script has ended.
//
// Threads: the reactor.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "server/scripts/script_run.h"

namespace server {

inline constexpr std::string_view kBusyScript =
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.";

class Busy final : public Interrupt {
 public:
  explicit Busy(Server& server) : server_(server) {}

  void look(ScriptRun& run) override;
  // SCRIPT KILL, FUNCTION KILL: the error, or nothing: it will end.
  std::string_view kill(bool is_eval);
  // The script that others wait for; null: there is none.
  const ScriptRun* running() const { return running_; }

 private:
  void serve();
  void read(Client& client);
  void answer(Client& client, std::span<const std::string_view> args);
  void execute(Client& client, const Command& command, std::span<const std::string_view> args);

  Server& server_;
  ScriptRun* running_ = nullptr;
};

}  // namespace server
