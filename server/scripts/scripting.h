// server/scripts/scripting.h: all that runs scripts.
//
// Threads: the reactor.
#pragma once

#include <span>
#include <string_view>

#include "server/scripts/busy.h"
#include "server/scripts/functions.h"
#include "server/scripts/scripts.h"

namespace server {

struct Scripting {
  explicit Scripting(Server& server) : busy(server), scripts(server, busy), functions(server, busy) {}

  // What EVAL, FCALL and their relatives may do with these arguments: a script's first line and a function's
  // flags say more than the command does. Of other commands: their flags.
  uint32_t flags_of(const Command& command, std::span<const std::string_view> args) const;

  Busy busy;
  Scripts scripts;
  Functions functions;
  bool call_anything = false;  // DEBUG SET-DISABLE-DENY-SCRIPTS: what is denied to scripts is not.
};

}  // namespace server
