// A connection's turn: requests are parsed ahead, checked, and run one after the other.
#include "server/dispatch.h"

#include <string>
#include <utility>

#include "server/authorize.h"
#include "server/log.h"
#include "server/out_of_memory.h"
#include "server/replication.h"
#include "server/scripts/scripting.h"
#include "server/server.h"
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

// RESP2 cannot tell a reply from a message: a connection that listens takes only what is shaped alike.
bool runs_among_messages(const Command& command) {
  return command.confirms_by_push() || command.name == "ping" || command.name == "quit" ||
         command.name == "reset";
}

// What the command may do with these arguments.
uint32_t flags_of(Server& server, const Command& command, std::span<const std::string_view> args) {
  if (command.spec->group != Group::kScripting) [[likely]]
    return command.flags;
  return server.scripting().flags_of(command, args);
}

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
      case engine::Engine::Admission::kRefused: reject(client, &command, refusal_error()); return Ran::kDone;
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
  if (!pause.any()) [[likely]]
    return false;
  return pause.all || (flags & (cmd::kWrite | cmd::kMayReplicate));
}

std::string Dispatcher::refusal_error() const {
  if (const auto refusal = server_.replication().refusal(cmd::kWrite); !refusal.empty())
    return std::string(refusal);
  const engine::Status& status = engine_.refusal();
  // What clients act on is the code; the sentence is for people.
  return std::string("MISCONF ") +
         (status.code() == engine::Code::kNoSpace ? "No disk space is left for writes: "
                                                  : "Errors writing to the log, writes are refused: ") +
         status.message();
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
