// From a parsed request to its end, if nothing has to be waited for. What waits: dispatch_waits.cc.
#include "server/dispatch.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "server/authorize.h"
#include "server/key_watcher.h"
#include "server/log.h"
#include "server/observe.h"
#include "server/out_of_memory.h"
#include "server/replication.h"
#include "server/scripts/scripting.h"
#include "server/server.h"
#include "server/tracking.h"
#include "server/transaction.h"
#include "server/units.h"

namespace server {
namespace {

constexpr std::string_view kProtectedSuffix =
    " command not allowed. If the enable-debug-command option is set to \"local\", you can run it from a "
    "local "
    "connection, otherwise you need to set this option in the configuration file, and then restart the "
    "server.";

// What a command may write at most, as far as its arguments tell. If it writes more it asks again.
size_t write_estimate(std::span<const std::string_view> args) {
  size_t bytes = 512;
  for (std::string_view arg : args) bytes += arg.size() + 64;
  return bytes;
}

uint64_t mixed(uint64_t x) {  // splitmix64
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

std::string refusal_error(Server& server) {
  if (const auto refusal = server.replication().refusal(cmd::kWrite); !refusal.empty())
    return std::string(refusal);
  const engine::Status& status = server.engine().refusal();
  // What clients act on is the code; the sentence is for people.
  return std::string("MISCONF ") +
         (status.code() == engine::Code::kNoSpace ? "No disk space is left for writes: "
                                                  : "Errors writing to the log, writes are refused: ") +
         status.message();
}

// SUBSCRIBE and its relatives: what they say are pushes, which CLIENT REPLY does not silence.
bool confirms_by_push(const Command& command) {
  return (command.flags & cmd::kPubsub) && (command.flags & cmd::kNoScript);
}

// RESP2 cannot tell a reply from a message: a connection that listens takes only what is shaped alike.
bool runs_among_messages(const Command& command) {
  return confirms_by_push(command) || command.name == "ping" || command.name == "quit" ||
         command.name == "reset";
}

// What the command may do with these arguments.
uint32_t flags_of(Server& server, const Command& command, std::span<const std::string_view> args) {
  if (command.spec->group != Group::kScripting) [[likely]]
    return command.flags;
  return server.scripting().flags_of(command, args);
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

// Its reads tell whether it may go on at all, by a setting, and settings are the reactor's. It leaves for a
// worker by LongRead, once it has asked.
bool asks_after_reading(const Command& command) { return command.name == "lcs"; }

}  // namespace

std::string Dispatcher::storage_error(const engine::Status& status) {
  return "ERR The data could not be read: " + status.message();
}

Dispatcher::Dispatcher(Server& server, engine::Engine& engine, engine::Env& env)
    : server_(server), engine_(engine), env_(env), present_(engine), seed_(env.entropy.next()) {}

// ------------------------------------------------------------------ a connection's turn

void Dispatcher::process(Client& client) {
  if (client.waiting || client.closed() || server_.stopping()) return;
  const uint64_t begun_us = now_us_ = env_.clock.monotonic_us();
  turn_ms_ = env_.clock.wall_ms();
  turn_us_ = begun_us;
  client.last_interaction_ms = turn_ms_;
  for (unsigned left = kCommandsPerTurn;; --left) {
    if (client.requests.empty() && (client.closing_after_reply() || !parse(client))) break;
    if (left == 0 || now_us_ - begun_us > kTurnBudgetUs) {  // D3
      client.read_on(false);
      server_.work_left(client);
      return;
    }
    if (execute(client, client.requests.front()) == Ran::kWaits) {
      client.read_on(false);
      return;
    }
    if (client.closed()) return;
    client.requests.pop();
    if (client.closing_after_reply()) client.requests.clear();
  }
  client.read_on(!client.closing_after_reply());
}

bool Dispatcher::parse(Client& client) {
  const Settings& settings = server_.settings();
  const bool authenticated = !must_authenticate(client.session);
  const resp::RequestLimits limits{static_cast<int64_t>(settings.proto_max_bulk_len), authenticated};
  RequestQueue& queue = client.requests;
  while (queue.size() < kParseAhead) {
    const auto outcome = client.parser.next(client.input, limits);
    if (outcome == resp::RequestParser::Outcome::kNeedMore) break;
    if (outcome == resp::RequestParser::Outcome::kError) {
      if (!queue.empty()) break;  // What came before it is answered first; it stays an error.
      log_verbose("Protocol error (%s) from client: id=%llu addr=%s",
                  std::string(client.parser.error()).c_str(), static_cast<unsigned long long>(client.id),
                  client.peer_address().c_str());
      reject(client, nullptr, "ERR " + std::string(client.parser.error()));
      client.close_after_reply();
      break;
    }
    const auto args = client.parser.args();
    queue.push(server_.table().find(args), args);
    // An inline command's words live in the parser until it goes on; a password changes the limits.
    if (client.parser.is_inline() || !authenticated) break;
  }
  if (queue.size() > 1) prefetch(client);
  return !queue.empty();
}

void Dispatcher::prefetch(Client& client) {
  const ObjectId database = server_.databases().object(client.session.database);
  client.requests.each([&](const Request& request) {
    if (!request.command || request.command->first_key <= 0) return;
    const Args args = client.requests.args(request);
    const auto first = static_cast<size_t>(request.command->first_key);
    if (first >= args.size()) return;
    header_key(database, args[first], &key_);
    engine_.prefetch(key_);
  });
}

// ------------------------------------------------------------------ checks

Dispatcher::Ran Dispatcher::execute(Client& client, const Request request) {
  const Args args = client.requests.args(request);
  if (!request.command) {
    if (equals_ignoring_case(args[0], "post") || equals_ignoring_case(args[0], "host:")) {
      warn_of_http(client);
      client.close();
      return Ran::kDone;
    }
    reject(client, nullptr, "ERR " + unknown_command_message(server_.table(), args));
    return Ran::kDone;
  }
  const Command& command = *request.command;
  if (!client.waiting) {
    client.last_command = &command;
    ++client.commands;
    if (!command.accepts(args.size())) {
      reject(client, &command, "ERR " + wrong_arity_message(command));
      return Ran::kDone;
    }
    if (refused(client, command, args)) return Ran::kDone;
  }
  uint32_t flags = flags_of(server_, command, args);
  size_t estimate = write_estimate(args);
  bool queues = false;
  Run kind = Run::kInEarnest;
  if (client.transaction) [[unlikely]] {
    queues = !Transaction::runs_at_once(command);
    if (Transaction::is_exec(command)) {  // It is all that it runs.
      flags |= client.transaction->flags();
      estimate = client.transaction->bytes_to_write();
      if (client.transaction->has_lasting_effects()) kind = Run::kRehearsal;
    }
  }
  if (must_pause(flags)) return park(client, Waiting::For::kPause);
  admitted_bytes_ = 0;
  if (flags & cmd::kWrite) {
    switch (admit(flags, estimate)) {
      case engine::Engine::Admission::kOpen: break;
      case engine::Engine::Admission::kWait:
        if (queues) break;
        return park(client, Waiting::For::kAdmission);
      case engine::Engine::Admission::kRefused:
        reject(client, &command, refusal_error(server_));
        return Ran::kDone;
    }
  }
  if (queues) {
    queue(client, request);
    return Ran::kDone;
  }
  return run(client, request, flags, kind);
}

void Dispatcher::queue(Client& client, const Request& request) {
  const Args args = client.requests.args(request);
  const bool in_vain = client.transaction->aborted() || (client.watcher && client.watcher->touched());
  if (!in_vain)
    client.transaction->queue(*request.command, args, flags_of(server_, *request.command, args),
                              write_estimate(args));
  const uint64_t mark = client.reply.mark();
  client.reply.simple("QUEUED");
  after_reply(client, mark);
}

bool Dispatcher::refused(Client& client, const Command& command, Args args) {
  const uint32_t flags = flags_of(server_, command, args);
  const bool is_exec = client.transaction && Transaction::is_exec(command);
  const uint32_t queued = is_exec ? client.transaction->flags() : 0;
  const Settings& settings = server_.settings();
  // MODULE says itself that there are none.
  if ((command.flags & cmd::kProtected) && !command.name.starts_with("module|")) {
    const Allowed allowed = settings.enable_debug_command;
    if (allowed == Allowed::kNo || (allowed == Allowed::kLocal && !client.is_loopback())) {
      std::string name(command.name);
      for (char& c : name) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
      reject(client, &command, "ERR " + name + std::string(kProtectedSuffix));
      return true;
    }
  }
  // EXEC does what all that is queued does, and is as stale as the least that is.
  uint32_t effective = flags | queued;
  if (is_exec && !(client.transaction->common_flags() & cmd::kStale)) effective &= ~cmd::kStale;
  std::string_view error =
      authorize(server_, client, command, args, client.transaction ? Place::kQueued : Place::kTopLevel);
  if (error.empty() && client.transaction && (command.flags & cmd::kNoMulti)) [[unlikely]]
    error = "ERR Command not allowed inside a transaction";
  // What queues takes memory itself.
  if (error.empty() && memory_denied(settings) &&
      (((flags | queued) & cmd::kDenyOom) || (client.transaction && !Transaction::runs_at_once(command))))
      [[unlikely]]
    error = kOutOfMemory;
  if (error.empty()) error = server_.replication().refusal(effective);
  if (!error.empty()) {
    reject(client, &command, error);
    return true;
  }
  if (client.session.subscribed() && client.reply.version() == resp::Version::kResp2 &&
      !runs_among_messages(command)) {
    reject(client, &command,
           "ERR Can't execute '" + std::string(command.name) +
               "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are "
               "allowed in this context");
    return true;
  }
  return false;
}

bool Dispatcher::must_pause(uint32_t flags) const {
  if (server_.still()) [[unlikely]]
    return true;
  const Pause& pause = server_.pause;
  if (pause.until_ms == 0) [[likely]]
    return false;
  return pause.all || (flags & (cmd::kWrite | cmd::kMayReplicate));
}

engine::Engine::Admission Dispatcher::admit(uint32_t flags, size_t bytes) {
  if (!server_.replication().may_write()) [[unlikely]] {
    return server_.replication().is_replica() ? engine::Engine::Admission::kRefused
                                              : engine::Engine::Admission::kWait;
  }
  // What Redis does not deny when memory is short makes room, or at least does not take any.
  const bool erasing = !(flags & cmd::kDenyOom);
  const auto admission = engine_.admission(bytes, erasing);
  if (admission == engine::Engine::Admission::kOpen) admitted_bytes_ = bytes;
  return admission;
}

void Dispatcher::reject(Client& client, const Command* command, std::string_view error) {
  if (client.waiting && client.waiting->blocked) server_.blocking().remove(client.id);
  std::string line("-");
  if (command && Transaction::is_exec(*command)) {
    server_.end_transaction(client);
    const bool plain = error.starts_with("ERR ");
    line += "EXECABORT Transaction discarded because of: ";
    if (plain) error.remove_prefix(4);
  } else if (client.transaction) [[unlikely]] {
    client.transaction->abort();
  }
  line += error;
  const uint64_t mark = client.reply.mark();
  client.reply.error(std::string_view(line).substr(1));
  Stats& stats = server_.stats();
  if (command) ++stats.by_command[command->id].rejected;
  stats.count_error(line);
  after_reply(client, mark);
}

void Dispatcher::warn_of_http(Client& client) {
  static constexpr uint64_t kPauseUs = 60'000'000;
  if (last_http_warning_us_ != 0 && now_us_ - last_http_warning_us_ < kPauseUs) return;
  last_http_warning_us_ = now_us_;
  log_warning(
      "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands, which a "
      "web page "
      "could make a browser do (Cross Protocol Scripting). Connection from %s aborted.",
      client.peer_address().c_str());
}

// ------------------------------------------------------------------ running

void Dispatcher::hurry(engine::ReadContext& reads) {
  const uint32_t rounds = reads.fetches() - kRoundsBeforeReadAhead;
  reads.read_ahead(std::min(kReadAheadBlocksMax, uint32_t{8} << std::min(rounds, 16u)));
  if (reads.fetches() >= kRoundsBeforeBlocking) reads.may_block();
}

Dispatcher::Ran Dispatcher::run(Client& client, const Request& request, uint32_t flags, Run kind) {
  const Command& command = *request.command;
  Waiting* waiting = client.waiting.get();
  int64_t now_ms = turn_ms_ + static_cast<int64_t>((now_us_ - turn_us_) / 1000);
  uint64_t seed = 0;
  if (waiting) [[unlikely]] {  // D1
    if (waiting->runs++ == 0) {
      waiting->now_ms = now_ms;
      waiting->random_seed = mixed(seed_++);
    }
    now_ms = waiting->now_ms;
    seed = waiting->random_seed;
  } else {
    seed = mixed(seed_++);
  }

  const uint64_t mark = client.reply.mark();
  batch_.clear();
  if (!effects_.empty() || !effects_.reads.objects.empty()) [[unlikely]]
    effects_.clear();
  effects_.want(server_.wanted_events());
  if (!calls_.empty()) [[unlikely]]
    calls_.clear();
  effects_.reads.wanted = Tracking::remembers(client.session.tracking);
  // Pins of the last command go, those of a waiting one stay: they are why it gets further this time.
  if (context_.impl) [[unlikely]]
    context_ = engine::ReadContext();
  engine::ReadContext& reads = waiting ? waiting->context : context_;
  if (reads.fetches() >= kRoundsBeforeReadAhead) [[unlikely]]
    hurry(reads);
  present_.begin(reads);
  View view(present_, &engine_, batch_, now_ms);
  if (may_run_on_worker(command)) view.allow_long_read();
  CommandContext context{client.requests.args(request), view, client.reply, client, server_};
  const uint32_t client_database = client.session.database;
  context.database_number = client_database;
  context.database = server_.databases().object(client.session.database);
  context.random_seed = seed;
  context.effects = &effects_;
  KeyEvents key_events(effects_, context.database, context.database_number, &server_.databases(),
                       command.flags & cmd::kReadonly);
  key_events.note_all_objects(server_.tracking().wants_names(command));
  view.watch(&key_events);
  context.scripted = command.spec->group == Group::kScripting;
  context.rehearsal = kind == Run::kRehearsal;
  context.calls = &calls_;
  context.reads = &reads;
  context.block = &block_;
  if (block_.wanted) [[unlikely]]
    block_ = {};
  bool key_absent = false;  // Of the key that a waiter was woken for.

  const auto take_back = [&] {
    client.reply.rollback(mark);
    batch_.clear();
    effects_.take_back();
    calls_.clear();
  };
  // Becomes a waiting command, with the clock and seed of this run.
  const auto must_wait = [&](Waiting::For what) -> Waiting& {
    take_back();
    const bool first = !client.waiting;
    Waiting& now_waiting = wait(client, what);
    if (first) {
      now_waiting.now_ms = now_ms;
      now_waiting.random_seed = seed;
      now_waiting.runs = 1;
    }
    return now_waiting;
  };

  in_handler_ = true;
  try {
    if (waiting && waiting->ready_key) [[unlikely]] {
      context.ready_key = *waiting->ready_key;
      context.remembered = server_.blocking().remembered(client.id);
      const auto header = view.header(context.database, *waiting->ready_key);
      key_absent = !header;
      // Something of another type: it waits on, rather than fail.
      block_.wanted = !server_.blocking().wants(client.id, header);
    }
    if (!block_.wanted) command.handler(context);
    in_handler_ = false;
  } catch (const ColdRead&) {
    in_handler_ = false;
    const bool first = !client.waiting;
    // A walk over cold blocks would begin anew at each: a worker reads them as they come.
    if (!first && may_run_on_worker(command) && client.waiting->runs >= Stats::kRunsExpected &&
        !asks_after_reading(command)) {
      must_wait(Waiting::For::kWorker);
      run_on_worker(client, request);
      return Ran::kWaits;
    }
    Waiting& cold = must_wait(Waiting::For::kBlocks);
    if (first) cold.context = std::exchange(context_, engine::ReadContext());
    fetch(client);
    return Ran::kWaits;
  } catch (const LongRead&) {
    in_handler_ = false;
    must_wait(Waiting::For::kWorker);
    run_on_worker(client, request);
    return Ran::kWaits;
  } catch (const StorageError& error) {
    in_handler_ = false;
    take_back();
    log_warning("A command failed for want of its data: %s", error.status.message().c_str());
    client.reply.error(storage_error(error.status));
    context.rehearsal = false;  // That was it.
  }
  if (reads.blocked() > 0) [[unlikely]] {
    ++server_.stats().blocking_commands;
    server_.stats().blocking_reads += reads.blocked();
  }

  if (client.waiting && client.waiting->what == Waiting::For::kOutcome) return Ran::kWaits;
  if (block_.wanted) [[unlikely]] {
    INVARIANT(batch_.empty());
    take_back();
    block(client, key_absent);
    return Ran::kWaits;
  }
  if (context.rehearsal) [[unlikely]] {
    const size_t bytes = batch_.bytes().size();
    take_back();
    if (bytes > 0) {
      // What is left out may change what the rest writes, and then it is too late to wait.
      switch (admit(flags, 2 * bytes)) {
        case engine::Engine::Admission::kOpen: break;
        case engine::Engine::Admission::kWait:
          must_wait(Waiting::For::kAdmission);
          return park(client, Waiting::For::kAdmission);
        case engine::Engine::Admission::kRefused:
          reject(client, &command, refusal_error(server_));
          return Ran::kDone;
      }
    }
    if (!client.waiting) --seed_;  // The same dice: it would meet other cold blocks with others.
    return run(client, request, flags, Run::kInEarnest);
  }
  if ((command.flags & cmd::kReadonly) && calls_.empty())
    server_.stats().count_lookups(view.hits(), view.misses());
  engine::Lsn lsn = std::max(view.seen(), context.seen);
  Effects::Reads lasting;                    // What its own writes leave true.
  if (effects_.reads.wanted) [[unlikely]] {  // Before its own writes are told of.
    Tracking::note(command, context.args, 0, view.writes(), &effects_.reads);
    if (!batch_.empty()) lasting = server_.tracking().split_off_lasting(batch_, &effects_.reads);
    server_.tracking().remember(client, effects_.reads);
  }
  const bool wrote = !batch_.empty();
  if (wrote) {
    if (batch_.bytes().size() > admitted_bytes_) [[unlikely]] {
      switch (admit(flags, batch_.bytes().size())) {
        case engine::Engine::Admission::kOpen: break;
        case engine::Engine::Admission::kWait:
          if (context.lasting) {  // It cannot begin anew.
            take_back();
            reject(client, &command, "ERR There is no room for the writes of this transaction");
            return Ran::kDone;
          }
          must_wait(Waiting::For::kAdmission);
          return park(client, Waiting::For::kAdmission);
        case engine::Engine::Admission::kRefused:
          take_back();
          reject(client, &command, refusal_error(server_));
          return Ran::kDone;
      }
    }
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
  if (context.database_number != client_database && !context.scripted)
    client.session.database = context.database_number;  // SELECT.
  if (!view.expired().empty() && server_.on_expired_met) server_.on_expired_met(view.expired());
  finish(client, request, mark, lsn, wrote);
  server_.tracking().send();  // These two stand behind the client's own reply.
  if (!effects_.empty()) [[unlikely]]
    server_.deliver(effects_, lsn);
  if (server_.blocking().any_ready()) [[unlikely]]
    serve_blocked();
  return Ran::kDone;
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
  after_reply(client, mark, confirms_by_push(*request.command));
}

// The reply is whole: CLIENT REPLY may take it away, and the end of the turn sends it.
void Dispatcher::after_reply(Client& client, uint64_t mark, bool push) {
  ReplyMode& mode = client.session.reply_mode;
  if (mode != ReplyMode::kOn) [[unlikely]] {
    if (mode != ReplyMode::kSkipNext && !push) client.reply.rollback(mark);
    if (mode == ReplyMode::kSkip) mode = ReplyMode::kOn;
    if (mode == ReplyMode::kSkipNext) mode = ReplyMode::kSkip;
  }
  server_.output_added(client);
}

}  // namespace server
