#include "server/observe.h"

#include <string>
#include <vector>

#include "server/client.h"
#include "server/monitor.h"
#include "server/redact.h"
#include "server/server.h"

namespace server {
namespace {

bool is_slow(const Settings& settings, uint64_t duration_us) {
  return settings.slowlog_log_slower_than_us >= 0 &&
         duration_us >= static_cast<uint64_t>(settings.slowlog_log_slower_than_us);
}

}  // namespace

bool observed(Server& server, uint64_t duration_us) {
  const Settings& settings = server.settings();
  return is_slow(settings, duration_us) || settings.latency_monitor_threshold_ms > 0 ||
         !server.monitors().empty();
}

void observe(Server& server, const Client& client, const RanCommand& ran, uint64_t now_us) {
  const Settings& settings = server.settings();
  const uint32_t flags = ran.command.flags;
  const int64_t now_ms = server.wall_ms();
  const auto shown = redacted(ran.command, ran.args);
  if (is_slow(settings, ran.duration_us) && !(flags & cmd::kSkipSlowlog)) {
    server.slowlog().add(now_ms / 1000, ran.duration_us, shown.args, client.peer_address(),
                         client.session.name, settings.slowlog_max_len);
  }
  if (settings.latency_monitor_threshold_ms > 0) {
    server.latency().note(flags & cmd::kFast ? "fast-command" : "command", now_ms / 1000,
                          ran.duration_us / 1000, settings.latency_monitor_threshold_ms);
  }
  // Redis's flag says of EVAL only that it shows itself, before what it calls.
  const bool shown_to_monitors = !(flags & cmd::kAdmin) && (!(flags & cmd::kSkipMonitor) ||
                                                            ran.command.spec->group == Group::kScripting);
  if (!server.monitors().empty() && shown_to_monitors) {
    const int64_t unix_us = now_ms * 1000 + static_cast<int64_t>(now_us % 1000);
    const std::string line =
        monitor_line(unix_us, ran.database, ran.scripted ? nullptr : &client, shown.args);
    for (Client* monitor : server.monitors()) {
      if (Dispatcher::say_behind_reply(*monitor, line, 0)) continue;
      monitor->reply.raw(line);
      server.output_added(*monitor);
    }
  }
}

void count_calls(Server& server, const CallLog& calls) {
  Stats& stats = server.stats();
  const bool track_latency = server.settings().latency_tracking;
  for (const CallLog::Call& call : calls.calls()) {
    if (!call.error.empty()) stats.count_error(call.error);
    if (call.command == nullptr) continue;
    CommandStats& own = stats.by_command[call.command->id];
    ++stats.commands;
    ++own.calls;
    own.microseconds += call.duration_us;
    own.failed += !call.error.empty();
    if (track_latency) own.latency_ns.record(call.duration_us * 1000);
    stats.count_lookups(call.hits, call.misses);
  }
}

void observe_calls(Server& server, const Client& client, const CallLog& calls, uint64_t now_us) {
  for (const CallLog::Call& call : calls.calls()) {
    if (call.command == nullptr || !observed(server, call.duration_us)) continue;
    const std::vector<std::string_view> args(call.args.begin(), call.args.end());
    if (args.empty()) continue;  // Nobody looked yet when it ended.
    observe(server, client, {*call.command, args, call.duration_us, call.database, call.scripted}, now_us);
  }
}

}  // namespace server
