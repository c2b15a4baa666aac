#include "server/scripts/busy.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "engine/batch.h"
#include "server/authorize.h"
#include "server/client.h"
#include "server/log.h"
#include "server/present_reader.h"
#include "server/server.h"
#include "server/transaction.h"
#include "server/units.h"

namespace server {
namespace {

constexpr std::string_view kBusyFunction =
    "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.";

std::string_view busy_error(const ScriptRun& run) { return run.is_eval ? kBusyScript : kBusyFunction; }

bool has_word(std::span<const std::string_view> args, std::string_view word) {
  return std::any_of(args.begin(), args.end(),
                     [&](std::string_view arg) { return equals_ignoring_case(arg, word); });
}

}  // namespace

void Busy::look(ScriptRun& run) {
  if (!run.timed_out) {
    const uint64_t threshold_ms = server_.settings().busy_reply_threshold_ms;
    const uint64_t elapsed_ms = (server_.env().clock.monotonic_us() - run.started_us) / 1000;
    if (threshold_ms == 0 || elapsed_ms < threshold_ms) return;
    run.timed_out = true;
    log_warning(
        "Slow script detected: still in execution after %llu milliseconds. You can try killing the script "
        "using "
        "the %s command. Script name is: %s.",
        static_cast<unsigned long long>(elapsed_ms), run.is_eval ? "SCRIPT KILL" : "FUNCTION KILL",
        run.name.c_str());
  }
  running_ = &run;
  serve();
  running_ = nullptr;
}

std::string_view Busy::kill(bool is_eval) {
  if (running_ == nullptr) return "NOTBUSY No scripts in execution right now.";
  if (running_->wrote) {
    return "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either "
           "wait the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.";
  }
  if (is_eval != running_->is_eval) return busy_error(*running_);
  log_warning("Lua script killed by user with SCRIPT KILL.");
  running_->killed = true;
  return {};
}

void Busy::serve() {
  server_.listeners().accept_waiting();
  std::vector<pollfd> sockets;
  std::vector<Client*> clients;
  server_.clients().each([&](Client& client) {
    if (&client == &running_->context.client) return;  // Its reply may have begun, and may be taken back.
    // Who was answered in the turn in which the script began: that turn may not end for long.
    if (!client.output.empty()) client.send(server_.commit());
    if (client.closed() || client.waiting || !client.requests.empty() || client.closing_after_reply()) return;
    sockets.push_back({client.fd(), POLLIN, 0});
    clients.push_back(&client);
  });
  if (::poll(sockets.data(), sockets.size(), 0) <= 0) return;
  // A client that is closed meanwhile lives on until its handle has left the loop.
  for (size_t i = 0; i < clients.size(); ++i) {
    if ((sockets[i].revents & POLLIN) && !clients[i]->closed()) read(*clients[i]);
  }
}

void Busy::read(Client& client) {
  const std::span<char> room = client.input.room(client.parser.wanted());
  const ssize_t n = ::read(client.fd(), room.data(), room.size());
  if (n <= 0) return;  // The loop will find the same, and knows what to do.
  client.input.received(static_cast<size_t>(n));
  server_.stats().bytes_in += static_cast<uint64_t>(n);
  client.last_interaction_ms = server_.wall_ms();
  const Settings& settings = server_.settings();
  while (!client.closed() && !client.closing_after_reply()) {
    const bool authenticated = !must_authenticate(client.session);
    const resp::RequestLimits limits{static_cast<int64_t>(settings.proto_max_bulk_len), authenticated};
    if (client.parser.next(client.input, limits) != resp::RequestParser::Outcome::kMessage) break;
    answer(client, client.parser.args());
  }
  server_.output_added(client);
  client.send(server_.commit());
}

void Busy::answer(Client& client, std::span<const std::string_view> args) {
  const uint64_t mark = client.reply.mark();
  const Command* command = server_.table().find(args);
  const auto refuse = [&](std::string_view error) {
    std::string text(error);
    if (client.transaction && command != nullptr && Transaction::is_exec(*command)) {
      server_.end_transaction(client);
      text.insert(0, "EXECABORT Transaction discarded because of: ");
    } else if (client.transaction) {
      client.transaction->abort();
    }
    client.reply.error(text);
    if (command) ++server_.stats().by_command[command->id].rejected;
    server_.stats().count_error(std::string("-").append(text));
  };
  if (command == nullptr) {
    refuse("ERR " + unknown_command_message(server_.table(), args));
  } else if (!command->accepts(args.size())) {
    refuse("ERR " + wrong_arity_message(*command));
  } else if (const auto error = authorize(server_, client, *command, args); !error.empty()) {
    refuse(error);
  } else if (!(command->flags & cmd::kAllowBusy) ||
             (command->name == "shutdown" && !has_word(args, "nosave"))) {
    refuse(busy_error(*running_));
  } else {
    execute(client, *command, args);
  }
  if (client.session.reply_mode != ReplyMode::kOn) client.reply.rollback(mark);
}

void Busy::execute(Client& client, const Command& command, std::span<const std::string_view> args) {
  PresentReader present(server_.engine());
  engine::ReadContext reads;
  present.begin(reads);
  engine::Batch batch;
  View view(present, &server_.engine(), batch, server_.wall_ms());
  CommandContext context{args, view, client.reply, client, server_};
  context.database_number = client.session.database;
  context.database = server_.databases().object(client.session.database);
  const uint64_t mark = client.reply.mark();
  try {
    command.handler(context);
    ++server_.stats().commands;
    ++server_.stats().by_command[command.id].calls;
  } catch (...) {  // It wanted data, which nobody gets now.
    client.reply.rollback(mark);
    client.reply.error(busy_error(*running_));
  }
  if (command.name == "shutdown") {
    running_->killed = true;
    running_->killed_for_good = running_->wrote;
  }
}

}  // namespace server
