// server/observe.h: what SLOWLOG, LATENCY and MONITOR show of a command that has run, and what INFO counts of
// those that ran inside it.
//
// Threads: the reactor.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "server/call_log.h"
#include "server/command_table.h"

namespace server {

class Client;
class Server;

// Whether anybody looks at a command that took so long.
bool observed(Server& server, uint64_t duration_us);

struct RanCommand {
  const Command& command;
  std::span<const std::string_view> args;
  uint64_t duration_us;
  uint32_t database;  // After it: SELECT is shown with the database that it chose.
  bool scripted = false;
};
// `now_us`: the monotonic clock, for the last digits of MONITOR's time.
void observe(Server& server, const Client& client, const RanCommand& ran, uint64_t now_us);

// Once, when the run that they belong to stands.
void count_calls(Server& server, const CallLog& calls);
void observe_calls(Server& server, const Client& client, const CallLog& calls, uint64_t now_us);

}  // namespace server
