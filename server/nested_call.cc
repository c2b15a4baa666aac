#include "server/nested_call.h"

#include <algorithm>
#include <array>
#include <string>

#include "server/client.h"
#include "server/key_watcher.h"
#include "server/server.h"
#include "server/tracking.h"

namespace server {
namespace {

bool is_script(const Command& command) { return command.spec->group == Group::kScripting; }

// Who sees calls: MONITOR all of them, SLOWLOG slow ones.
bool args_are_wanted(Server& server, uint64_t duration_us) {
  const int64_t threshold_us = server.settings().slowlog_log_slower_than_us;
  return !server.monitors().empty() ||
         (threshold_us >= 0 && duration_us >= static_cast<uint64_t>(threshold_us));
}

}  // namespace

bool has_lasting_effect(const Command& command) {
  if (command.flags & (cmd::kWrite | cmd::kReadonly | cmd::kMayReplicate)) return false;
  // SELECT's is the context's, PUBLISH's among the effects (it may replicate); of these there is none.
  for (const std::string_view name : {"select", "ping", "echo", "time", "info", "role", "wait", "unwatch",
                                      "lastsave", "config|get", "client|id", "client|info", "client|list",
                                      "client|getname", "object|help", "pubsub|channels", "pubsub|numsub"})
    if (command.name == name) return false;
  return command.spec->group != Group::kScripting || command.is_subcommand();
}

bool cannot_wait(CommandContext& c) {
  if (!c.nested) return false;
  c.reply.error("ERR This command waits for its outcome, which it cannot do in a transaction or a script");
  return true;
}

void nested_call(CommandContext& outer, const Command& command, std::span<const std::string_view> args,
                 resp::ReplyWriter& reply) {
  const bool lasting = has_lasting_effect(command);
  outer.random_seed = outer.random_seed * 6364136223846793005 + 1442695040888963407;  // For a rehearsal too.
  if (lasting && outer.rehearsal) return;
  if (lasting) {
    outer.lasting = true;
    outer.reads->may_block();
  }

  Server& server = outer.server;
  CommandContext inner{args, outer.view, reply, outer.client, server};
  inner.nested = true;
  inner.scripted = is_script(command);
  inner.rehearsal = outer.rehearsal;
  inner.reads = outer.reads;
  inner.calls = outer.calls;
  inner.database_number = outer.database_number;
  inner.databases_changed = outer.databases_changed;
  inner.database = outer.databases_changed ? server.databases().object(outer.view, outer.database_number)
                                           : server.databases().object(outer.database_number);
  inner.random_seed = outer.random_seed;
  inner.bulk_max = outer.bulk_max;
  inner.effects = outer.effects;

  const size_t call = outer.calls != nullptr ? outer.calls->begin(&command) : 0;
  const uint64_t started_us = server.env().clock.monotonic_us();
  const uint32_t hits = outer.view.hits(), misses = outer.view.misses();
  const uint64_t mark = reply.mark();
  const size_t names_before = inner.effects->reads.keys.size();
  KeyEvents key_events(*inner.effects, inner.database, inner.database_number, &server.databases(),
                       command.flags & cmd::kReadonly);
  key_events.note_all_objects(outer.server.tracking().wants_names(command));
  outer.view.watch(&key_events);
  command.handler(inner);
  outer.view.watch(nullptr);

  if (inner.effects->reads.wanted)
    Tracking::note(command, args, names_before, outer.view.writes(), &inner.effects->reads);
  outer.seen = std::max(outer.seen, inner.seen);
  outer.lasting |= inner.lasting;
  outer.databases_changed = inner.databases_changed;
  if (!is_script(command)) outer.database_number = inner.database_number;  // A script's SELECT ends with it.
  if (outer.calls == nullptr) return;
  CallLog::Call& entry = outer.calls->at(call);
  entry.duration_us = server.env().clock.monotonic_us() - started_us;
  entry.database = inner.database_number;
  entry.scripted = outer.scripted;
  if (command.flags & cmd::kReadonly) {
    entry.hits = outer.view.hits() - hits;
    entry.misses = outer.view.misses() - misses;
  }
  std::array<char, 48> beginning;
  const size_t shown = reply.out().copy(mark, beginning);
  if (shown > 0 && beginning[0] == '-') [[unlikely]]
    entry.error.assign(beginning.data(), shown);
  if (args_are_wanted(server, entry.duration_us)) [[unlikely]]
    entry.args.assign(args.begin(), args.end());
}

}  // namespace server
