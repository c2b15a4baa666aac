// One run of a command: its handler over a view, and what becomes of what it leaves.
#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>

#include "server/dispatch.h"
#include "server/key_watcher.h"
#include "server/log.h"
#include "server/observe.h"
#include "server/replication.h"
#include "server/scripts/scripting.h"
#include "server/server.h"
#include "server/tracking.h"
#include "server/transaction.h"

namespace server {
namespace {

uint64_t mixed(uint64_t x) {  // splitmix64
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

// A script's error is in most cases that of a command that it called, which is counted with that. `line`: the
// beginning of it; the script's name stands at its end.
bool comes_from_inside(std::string_view line, const CallLog& calls) {
  return std::any_of(calls.calls().begin(), calls.calls().end(), [&](const CallLog::Call& call) {
    const std::string_view inner = std::string_view(call.error).substr(0, call.error.find('\r'));
    return !inner.empty() && line.starts_with(inner.substr(0, line.size()));
  });
}

// Scripts that only read have the flag of those that may, but Lua belongs to the reactor.
bool may_run_on_worker(const Command& command) {
  return (command.flags & cmd::kReadonly) && !(command.categories & acl::kScripting);
}

}  // namespace

// ------------------------------------------------------------------ before the handler

// The clock and the dice of a command.
struct Dispatcher::Fate {
  int64_t now_ms;
  uint64_t random_seed;
};

// What a handler is given for one run.
struct Dispatcher::Attempt {
  Attempt(Dispatcher& dispatcher, Client& run_for, const Request& asked, uint32_t may, Run kind);

  Client& client;
  const Request& request;
  const Command& command;
  const uint32_t flags;  // What it may do with these arguments.
  const Fate fate;
  const uint64_t mark;             // Where its reply begins.
  const uint32_t database_number;  // Its client's, before: it may change it (SELECT, RESET).
  engine::ReadContext& reads;
  View view;
  CommandContext context;
  KeyEvents key_events;
  bool key_absent = false;  // The key that it was woken for.
};

// D1
Dispatcher::Fate Dispatcher::fate_of(Client& client) {
  const int64_t now_ms = turn_ms_ + static_cast<int64_t>((now_us_ - turn_us_) / 1000);
  if (!client.waiting) [[likely]]
    return {now_ms, mixed(seed_++)};
  Waiting& waiting = *client.waiting;
  if (waiting.runs++ == 0) {
    waiting.now_ms = now_ms;
    waiting.random_seed = mixed(seed_++);
  }
  return {waiting.now_ms, waiting.random_seed};
}

// What this run reads through. Pins of the last command go, those of a waiting one stay: they are why it
// gets further this time.
engine::ReadContext& Dispatcher::reads_of(Client& client) {
  if (context_.impl) [[unlikely]]
    context_ = engine::ReadContext();
  engine::ReadContext& reads = client.waiting ? client.waiting->context : context_;
  if (reads.fetches() >= kRoundsBeforeReadAhead) [[unlikely]]
    hurry(reads);
  present_.begin(reads);
  return reads;
}

void Dispatcher::hurry(engine::ReadContext& reads) {
  const uint32_t rounds = reads.fetches() - kRoundsBeforeReadAhead;
  reads.read_ahead(std::min(kReadAheadBlocksMax, uint32_t{8} << std::min(rounds, 16u)));
  if (reads.fetches() >= kRoundsBeforeBlocking) reads.may_block();
}

Dispatcher::Attempt::Attempt(Dispatcher& dispatcher, Client& run_for, const Request& asked, uint32_t may,
                             Run kind)
    : client(run_for),
      request(asked),
      command(*asked.command),
      flags(may),
      fate(dispatcher.fate_of(run_for)),
      mark(run_for.reply.mark()),
      database_number(run_for.session.database),
      reads(dispatcher.reads_of(run_for)),
      view(dispatcher.present_, &dispatcher.engine_, dispatcher.batch_, fate.now_ms),
      context{run_for.requests.args(asked), view, run_for.reply, run_for, dispatcher.server_},
      key_events(dispatcher.effects_, dispatcher.server_.databases().object(run_for.session.database),
                 run_for.session.database, &dispatcher.server_.databases(), command.flags & cmd::kReadonly) {
  Server& server = dispatcher.server_;
  dispatcher.effects_.want(server.wanted_events());
  dispatcher.effects_.reads.wanted = Tracking::remembers(client.session.tracking);
  if (may_run_on_worker(command)) view.allow_long_read();
  key_events.note_all_objects(server.tracking().wants_names(command));
  view.watch(&key_events);
  context.database_number = client.session.database;
  context.database = server.databases().object(client.session.database);
  context.random_seed = fate.random_seed;
  context.bulk_max = server.settings().proto_max_bulk_len;
  context.effects = &dispatcher.effects_;
  context.scripted = command.spec->group == Group::kScripting;
  context.rehearsal = kind == Run::kRehearsal;
  context.calls = &dispatcher.calls_;
  context.reads = &reads;
  context.block = &dispatcher.block_;
  const Waiting* const waits = client.waiting.get();
  if (waits == nullptr || (!waits->blocked && waits->long_writes < LongWrite::kAttempts))
    context.long_write_wanted = &dispatcher.long_write_;
}

void Dispatcher::clear_scratch() {
  batch_.clear();
  if (!effects_.empty() || !effects_.reads.objects.empty()) [[unlikely]]
    effects_.clear();
  if (!calls_.empty()) [[unlikely]]
    calls_.clear();
  if (block_.wanted) [[unlikely]]
    block_ = {};
  if (long_write_.wanted) [[unlikely]]
    long_write_ = {};
}

// ------------------------------------------------------------------ the run

Dispatcher::Ran Dispatcher::run(Client& client, const Request& request, uint32_t flags, Run kind) {
  clear_scratch();
  Attempt attempt(*this, client, request, flags, kind);
  if (call(attempt) == Ran::kWaits) return Ran::kWaits;
  if (client.waiting && client.waiting->what == Waiting::For::kOutcome) return Ran::kWaits;
  if (block_.wanted) [[unlikely]] {
    INVARIANT(batch_.empty());
    take_back(attempt);
    block(client, attempt.key_absent);
    return Ran::kWaits;
  }
  if (attempt.context.rehearsal) [[unlikely]]
    return rehearsed(attempt);
  if (batch_.bytes().size() > admitted_bytes_) [[unlikely]] {
    if (const auto outcome = find_room(attempt, batch_.bytes().size())) return *outcome;
  }
  settle(attempt);
  return Ran::kDone;
}

// The handler, and all that it may throw.
Dispatcher::Ran Dispatcher::call(Attempt& attempt) {
  Client& client = attempt.client;
  const Command& command = attempt.command;
  in_handler_ = true;
  try {
    if (client.waiting && client.waiting->ready_key) [[unlikely]]
      meet_key(attempt);
    if (!block_.wanted) command.handler(attempt.context);
    in_handler_ = false;
  } catch (const ColdRead&) {
    in_handler_ = false;
    const bool first = !client.waiting;
    // A walk over cold blocks would begin anew at each: a worker reads them as they come.
    if (!first && long_write_.wanted && client.waiting->runs >= Stats::kRunsExpected)
      return begin_long_write(attempt);
    if (!first && may_run_on_worker(command) && client.waiting->runs >= Stats::kRunsExpected) {
      must_wait(attempt, Waiting::For::kWorker);
      run_on_worker(client, attempt.request);
      return Ran::kWaits;
    }
    Waiting& cold = must_wait(attempt, Waiting::For::kBlocks);
    if (first) cold.context = std::exchange(context_, engine::ReadContext());
    fetch(client);
    return Ran::kWaits;
  } catch (const LongRead&) {
    in_handler_ = false;
    if (long_write_.wanted) return begin_long_write(attempt);
    must_wait(attempt, Waiting::For::kWorker);
    run_on_worker(client, attempt.request);
    return Ran::kWaits;
  } catch (const StorageError& error) {
    in_handler_ = false;
    take_back(attempt);
    log_warning("A command failed for want of its data: %s", error.status.message().c_str());
    client.reply.error(storage_error(error.status));
    attempt.context.rehearsal = false;  // That was it.
  }
  if (attempt.reads.blocked() > 0) [[unlikely]] {
    ++server_.stats().blocking_commands;
    server_.stats().blocking_reads += attempt.reads.blocked();
  }
  return Ran::kDone;
}

Dispatcher::Ran Dispatcher::begin_long_write(const Attempt& attempt) {
  must_wait(attempt, Waiting::For::kOutcome);
  const CommandContext& context = attempt.context;
  const LongWrite::Job job{attempt.command.handler,  context.args,     attempt.fate.now_ms,
                           attempt.fate.random_seed, context.bulk_max, context.database_number,
                           context.database};
  std::make_shared<LongWrite>(server_, attempt.client, job, std::move(long_write_))->start();
  return Ran::kWaits;
}

// It waited for a key, and this one has been written.
void Dispatcher::meet_key(Attempt& attempt) {
  const Client& client = attempt.client;
  CommandContext& context = attempt.context;
  context.ready_key = *client.waiting->ready_key;
  context.remembered = server_.blocking().remembered(client.id);
  const auto header = attempt.view.header(context.database, *context.ready_key);
  attempt.key_absent = !header;
  // Something of another type: it waits on, rather than fail.
  block_.wanted = !server_.blocking().wants(client.id, header);
}

void Dispatcher::take_back(const Attempt& attempt) {
  attempt.client.reply.rollback(attempt.mark);
  batch_.clear();
  effects_.take_back();
  calls_.clear();
}

// Becomes a waiting command, with the clock and the dice of this run.
Waiting& Dispatcher::must_wait(const Attempt& attempt, Waiting::For what) {
  take_back(attempt);
  const bool first = !attempt.client.waiting;
  Waiting& waiting = wait(attempt.client, what);
  if (first) {
    waiting.now_ms = attempt.fate.now_ms;
    waiting.random_seed = attempt.fate.random_seed;
    waiting.runs = 1;
  }
  return waiting;
}

// Room for what it writes. Where there is none it waits, or has been refused.
std::optional<Dispatcher::Ran> Dispatcher::find_room(const Attempt& attempt, size_t bytes) {
  Client& client = attempt.client;
  switch (admit(attempt.flags, bytes)) {
    case engine::Engine::Admission::kOpen: return std::nullopt;
    case engine::Engine::Admission::kWait:
      if (attempt.context.lasting) {  // It cannot begin anew.
        take_back(attempt);
        reject(client, &attempt.command, "ERR There is no room for the writes of this transaction");
        return Ran::kDone;
      }
      must_wait(attempt, Waiting::For::kAdmission);
      return park(client, Waiting::For::kAdmission);
    case engine::Engine::Admission::kRefused:
      take_back(attempt);
      reject(client, &attempt.command, refusal_error());
      return Ran::kDone;
  }
  __builtin_unreachable();
}

// Now in earnest, with what it left out.
Dispatcher::Ran Dispatcher::rehearsed(Attempt& attempt) {
  const size_t bytes = batch_.bytes().size();
  take_back(attempt);
  if (bytes > 0) {
    // What is left out may change what the rest writes, and then it is too late to wait.
    if (const auto outcome = find_room(attempt, 2 * bytes)) return *outcome;
  }
  if (!attempt.client.waiting) --seed_;  // The same dice: it would meet other cold blocks with others.
  return run(attempt.client, attempt.request, attempt.flags, Run::kInEarnest);
}

// ------------------------------------------------------------------ what it leaves

void Dispatcher::settle(Attempt& attempt) {
  Client& client = attempt.client;
  const CommandContext& context = attempt.context;
  const View& view = attempt.view;
  if ((attempt.command.flags & cmd::kReadonly) && calls_.empty())
    server_.stats().count_lookups(view.hits(), view.misses());
  engine::Lsn lsn = std::max(view.seen(), context.seen);
  Effects::Reads lasting;                    // What its own writes leave true.
  if (effects_.reads.wanted) [[unlikely]] {  // Before its own writes are told of.
    Tracking::note(attempt.command, context.args, 0, view.writes(), &effects_.reads);
    if (!batch_.empty()) lasting = server_.tracking().split_off_lasting(batch_, &effects_.reads);
    server_.tracking().remember(client, effects_.reads);
  }
  const bool wrote = !batch_.empty();
  if (wrote) {
    if (context.ends_transaction) server_.end_transaction(client);  // Its own writes void nothing.
    server_.tracking().looked_at(effects_.reads.objects);
    lsn = std::max(lsn, server_.apply(batch_, client.id));  // D2
    client.last_write_lsn = lsn;
    if (!lasting.keys.empty()) [[unlikely]]
      server_.tracking().remember(client, lasting);
    if (context.databases_changed) {
      server_.databases().refresh(batch_);
      server_.scripting().functions.refresh(batch_);
    }
    if (server_.blocking().size() > 0) [[unlikely]] {
      server_.blocking().applied(batch_, server_.databases());
      if (context.databases_changed) server_.blocking().databases_changed();
    }
  }
  if (context.ends_transaction) [[unlikely]]
    server_.end_transaction(client);
  if (context.database_number != attempt.database_number && !context.scripted)
    client.session.database = context.database_number;  // SELECT.
  if (!view.expired().empty() && server_.on_expired_met) server_.on_expired_met(view.expired());
  finish(client, attempt.request, attempt.mark, lsn, wrote);
  server_.tracking().send();  // These two stand behind the client's own reply.
  if (!effects_.empty()) [[unlikely]]
    server_.deliver(effects_, lsn);
  if (server_.blocking().any_ready()) [[unlikely]]
    serve_blocked();
}

void Dispatcher::finish(Client& client, const Request& request, uint64_t mark, engine::Lsn lsn, bool wrote) {
  if (client.session.tracking.caching && !client.transaction && !request.command->name.starts_with("client|"))
      [[unlikely]]
    client.session.tracking.caching = false;  // It was about this command.
  if (client.waiting && client.waiting->blocked) server_.blocking().remove(client.id);
  const uint64_t started_us = client.waiting ? client.waiting->started_us : now_us_;
  const uint64_t ended_us = env_.clock.monotonic_us();
  const Durability durability = client.session.durability.value_or(server_.default_durability());
  const bool must_be_held = lsn > server_.commit().of(durability);
  if (must_be_held && engine_.log_failed()) [[unlikely]] {
    // It would wait for ever.
    client.reply.rollback(mark);
    client.reply.error("MISCONF Errors writing to the log: what this command has read was never made safe: " +
                       engine_.refusal().message());
    lsn = 0;
  }
  std::array<char, 48> beginning;
  const size_t shown = client.output.copy(mark, beginning);
  const bool failed = shown > 0 && beginning[0] == '-';
  Stats& stats = server_.stats();
  const Command& command = *request.command;
  CommandStats& own = stats.by_command[command.id];
  const uint64_t duration_us = ended_us - started_us;
  ++stats.commands;
  ++own.calls;
  own.microseconds += duration_us;
  if (server_.settings().latency_tracking) own.latency_ns.record(duration_us * 1000);
  if (failed) [[unlikely]] {
    ++own.failed;
    if (!comes_from_inside({beginning.data(), shown}, calls_)) stats.count_error({beginning.data(), shown});
  }

  const uint64_t delay_us = wrote ? engine_.delay_us() : 0;
  if ((must_be_held && lsn > 0) || delay_us > 0) {
    client.gate.hold(mark, lsn, durability, delay_us > 0 ? ended_us + delay_us : 0, server_.frame());
    if (durability == Durability::kSynced) server_.sync_wanted();
  }

  const auto show_calls = [&] {
    if (!calls_.empty()) [[unlikely]]
      observe_calls(server_, client, calls_, ended_us);
  };
  // A transaction is shown at its end, a script at its beginning.
  const bool is_script = command.spec->group == Group::kScripting;
  if (!is_script) show_calls();
  if (observed(server_, duration_us)) [[unlikely]] {
    const Args args = client.requests.args(request);
    observe(server_, client, {command, args, duration_us, client.session.database}, ended_us);
  }
  if (is_script) show_calls();
  if (!calls_.empty()) [[unlikely]] {
    count_calls(server_, calls_);
    calls_.clear();
  }
  now_us_ = ended_us;
  after_reply(client, mark, request.command->confirms_by_push());
}

}  // namespace server
