// server/commands/debug.cc: DEBUG, for the server's developers.
#include <cmath>
#include <string>

#include <unistd.h>

#include "server/bindings.h"
#include "server/command.h"
#include "server/errors.h"
#include "server/log.h"
#include "server/nested_call.h"
#include "server/server.h"
#include "server/units.h"

namespace server {
namespace {

void sleep(CommandContext& c) {  // The whole server sleeps: that is what it is for.
  const auto seconds = parse_double(c.args[2]);
  if (seconds && *seconds > 0 && std::isfinite(*seconds)) {
    timespec pause{};
    pause.tv_sec = static_cast<time_t>(*seconds);
    pause.tv_nsec = static_cast<long>((*seconds - std::floor(*seconds)) * 1e9);
    ::nanosleep(&pause, nullptr);
  }
  c.reply.ok();
}

void engine_dump(CommandContext& c) { c.reply.verbatim("txt", c.server.engine().describe()); }

void object(CommandContext& c) {
  c.view.watch(nullptr);  // To look at a key from outside is no use of it.
  const auto header = c.view.header(c.database, c.args[2]);
  if (!header) return c.reply.error(kNoSuchKey);
  c.reply.simple("Value at:" + std::to_string(header->object.id) +
                 " refcount:1 encoding:" + (header->object.id == engine::kNoObject ? "inline" : "elements") +
                 " serializedlength:" + std::to_string(header->payload.size()) +
                 " lru:0 lru_seconds_idle:0 type:" + type_name(header->type));
}

void set_active_expire(CommandContext& c) {
  const auto on = parse_integer(c.args[2]);
  if (!on) return c.reply.error(kNotAnInteger);
  c.server.active_expire = *on != 0;
  c.reply.ok();
}

// Everything to tables and out of memory: what is read from here on comes from disk.
void reload(CommandContext& c) {
  if (cannot_wait(c)) return;
  c.server.dispatcher().suspend(c.client);
  c.server.save([&server = c.server, &client = c.client](const engine::Status& status) {
    server.engine().drop_caches();
    server.dispatcher().answer(client, [status](resp::ReplyWriter& reply) {
      if (status.ok()) return reply.ok();
      reply.error("ERR Error trying to save: " + status.message());
    });
  });
}

void drop_caches(CommandContext& c) {
  c.server.engine().drop_caches();
  c.reply.ok();
}

void log(CommandContext& c) {
  log_warning("DEBUG LOG: %s", std::string(c.args[2]).c_str());
  c.reply.ok();
}

void error(CommandContext& c) { c.reply.error(c.args[2]); }

void protocol(CommandContext& c) {
  const std::string type = lower(c.args[2]);
  resp::ReplyWriter& reply = c.reply;
  if (type == "string") return reply.bulk("Hello World");
  if (type == "integer") return reply.integer(12345);
  if (type == "double") return reply.number(3.141);
  if (type == "null") return reply.null();
  if (type == "bignum") return reply.big_number("1234567999999999999999999999999999999");
  if (type == "true") return reply.boolean(true);
  if (type == "false") return reply.boolean(false);
  if (type == "verbatim") return reply.verbatim("txt", "This is a verbatim\nstring");
  if (type == "array" || type == "set") {
    type == "array" ? reply.array(3) : reply.set(3);
    for (int i = 0; i < 3; ++i) reply.integer(i);
    return;
  }
  if (type == "map") {
    reply.map(3);
    for (int i = 0; i < 3; ++i) {
      reply.integer(i);
      reply.boolean(i == 1);
    }
    return;
  }
  if (type == "attrib") {
    if (reply.version() == resp::Version::kResp3) {
      reply.attribute(1);
      reply.bulk("key-popularity");
      reply.array(2);
      reply.bulk("key:123");
      reply.integer(90);
    }
    return reply.bulk("Some real reply following the attribute");
  }
  if (type == "push") {
    reply.push(2);
    reply.bulk("server-cpu-usage");
    return reply.integer(42);
  }
  reply.error(
      "ERR Wrong protocol type name. Please use one of the following: "
      "string|integer|double|null|array|set|map|attrib|push|verbatim|true|false");
}

void help(CommandContext& c);

struct Subcommand {
  const char* name;
  size_t argument_count;  // With DEBUG and its name.
  void (*run)(CommandContext&);
  const char* synopsis;
  const char* summary;
};
constexpr Subcommand kSubcommands[] = {
    {"sleep", 3, &sleep, "SLEEP <seconds>", "Stop the server for <seconds>. Decimals allowed."},
    {"engine", 2, &engine_dump, "ENGINE", "Every level, run and table of the tree."},
    {"jmap", 2, &engine_dump, "JMAP", "The same."},
    {"object", 3, &object, "OBJECT <key>", "Show how <key> is stored."},
    {"set-active-expire", 3, &set_active_expire, "SET-ACTIVE-EXPIRE <0|1>",
     "Whether expired keys that nobody asks for are reclaimed."},
    {"reload", 2, &reload, "RELOAD", "Write everything to tables and forget what is cached."},
    {"drop-caches", 2, &drop_caches, "DROP-CACHES", "Forget what is cached."},
    {"log", 3, &log, "LOG <message>", "Write <message> to the server's log."},
    {"error", 3, &error, "ERROR <string>", "Reply with <string> as an error."},
    {"protocol", 3, &protocol, "PROTOCOL <type>", "Reply with a value of the given type of the protocol."},
    {"help", 2, &help, "HELP", "Prints this help."},
};

void help(CommandContext& c) {
  c.reply.array(1 + 2 * std::size(kSubcommands));
  c.reply.simple("DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
  for (const Subcommand& subcommand : kSubcommands) {
    c.reply.simple(subcommand.synopsis);
    c.reply.simple(std::string("    ") + subcommand.summary);
  }
}

void debug(CommandContext& c) {
  for (const Subcommand& subcommand : kSubcommands) {
    if (equals_ignoring_case(c.args[1], subcommand.name) && c.args.size() == subcommand.argument_count) {
      return subcommand.run(c);
    }
  }
  c.reply.error("ERR unknown subcommand or wrong number of arguments for '" +
                std::string(c.args[1].substr(0, 128)) + "'. Try DEBUG HELP.");
}

constexpr Binding kBindings[] = {{"debug", &debug}};

}  // namespace

void bind_debug_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
