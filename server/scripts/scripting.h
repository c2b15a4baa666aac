// server/scripts/scripting.h: all that runs scripts.
//
// Threads: the reactor.
#pragma once

#include "server/scripts/busy.h"
#include "server/scripts/functions.h"
#include "server/scripts/scripts.h"

namespace server {

struct Scripting {
  explicit Scripting(Server& server) : busy(server), scripts(server, busy), functions(server, busy) {}

  Busy busy;
  Scripts scripts;
  Functions functions;
};

}  // namespace server
