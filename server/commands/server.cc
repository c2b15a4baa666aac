// server/commands/server.cc: the server's own life: TIME, SAVE, SHUTDOWN, COMPACT.
#include <memory>
#include <string>

#include "server/bindings.h"
#include "server/command.h"
#include "server/errors.h"
#include "server/keyspace.h"
#include "server/log.h"
#include "server/server.h"
#include "server/units.h"

namespace server {
namespace {

void time(CommandContext& c) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  c.reply.array(2);
  c.reply.bulk_integer(now.tv_sec);
  c.reply.bulk_integer(now.tv_nsec / 1000);
}

// Everything is on its way to disk already; a save moves it from the log to tables, and the clock of
// LASTSAVE.
void save(CommandContext& c) {
  c.server.dispatcher().suspend(c.client);
  c.server.save([&server = c.server, &client = c.client](const engine::Status& status) {
    server.dispatcher().answer(client, [status](resp::ReplyWriter& reply) {
      if (status.ok()) return reply.ok();
      reply.error("ERR Saving failed: " + status.message());
    });
  });
}

void bgsave(CommandContext& c) {
  const bool schedule = c.args.size() == 2 && equals_ignoring_case(c.args[1], "schedule");
  if (c.args.size() > 2 || (c.args.size() == 2 && !schedule)) return c.reply.error(kSyntaxError);
  if (c.server.save_running() && !schedule) return c.reply.error("ERR Background save already in progress");
  c.server.save([](const engine::Status& status) {
    if (status.ok()) log_notice("Background saving terminated with success");
  });
  c.reply.simple("Background saving started");
}

void bgrewriteaof(CommandContext& c) {
  c.server.save([](const engine::Status&) {});  // What it is for: a log with nothing in it to replay.
  c.reply.simple("Background append only file rewriting started");
}

void lastsave(CommandContext& c) { c.reply.integer(c.server.last_save_ms() / 1000); }

void shut_down(CommandContext& c) {
  Shutdown::How how;
  bool abort = false, nosave = false;
  for (std::string_view arg : c.args.subspan(1)) {
    if (equals_ignoring_case(arg, "nosave") && !how.save) {
      nosave = true;
    } else if (equals_ignoring_case(arg, "save") && !nosave) {
      how.save = true;
    } else if (equals_ignoring_case(arg, "now")) {
      how.now = true;
    } else if (equals_ignoring_case(arg, "force")) {
      how.force = true;
    } else if (equals_ignoring_case(arg, "abort")) {
      abort = true;
    } else {
      return c.reply.error(kSyntaxError);
    }
  }
  Shutdown& shutdown = c.server.shutdown();
  if (abort) {
    if (nosave || how.save || how.now || how.force) return c.reply.error(kSyntaxError);
    if (!shutdown.abort()) return c.reply.error("ERR No shutdown in progress.");
    return c.reply.ok();
  }
  // No reply: the connection ends, or the server goes on. Beside a busy script nobody can wait.
  shutdown.request(how, c.block == nullptr ? nullptr : &c.client);
}

void compact(CommandContext& c) {
  std::string begin = header_begin(engine::kNoObject), end;
  if (c.args.size() == 3) {
    header_key(c.database, c.args[1], &begin);
    header_key(c.database, c.args[2], &end);
  } else if (c.args.size() == 1) {
    begin.clear();
    end.assign(1, '\xff');
  } else {
    return c.reply.error(kSyntaxError);
  }
  c.server.dispatcher().suspend(c.client);
  c.server.engine().compact(std::move(begin), std::move(end),
                            [&server = c.server, &client = c.client](const engine::Status& status) {
                              server.dispatcher().answer(client, [status](resp::ReplyWriter& reply) {
                                if (status.ok()) return reply.ok();
                                reply.error("ERR Compaction failed: " + status.message());
                              });
                            });
}

constexpr Binding kBindings[] = {
    {"time", &time},         {"save", &save},          {"bgsave", &bgsave},  {"bgrewriteaof", &bgrewriteaof},
    {"lastsave", &lastsave}, {"shutdown", &shut_down}, {"compact", &compact}};

}  // namespace

void bind_server_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
