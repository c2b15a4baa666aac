// server/commands/debug.cc: DEBUG, for the server's developers.
#include <cmath>
#include <string>

#include <unistd.h>

#include "server/bindings.h"
#include "server/command.h"
#include "server/commands/debug_data.h"
#include "server/errors.h"
#include "server/log.h"
#include "server/scripts/scripting.h"
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

void set_active_expire(CommandContext& c) {
  const auto on = parse_integer(c.args[2]);
  if (!on) return c.reply.error(kNotAnInteger);
  c.server.active_expire = *on != 0;
  c.reply.ok();
}

void pause_cron(CommandContext& c) {
  const auto on = parse_integer(c.args[2]);
  if (!on) return c.reply.error(kNotAnInteger);
  c.server.cron_paused = *on != 0;
  c.reply.ok();
}

void disable_deny_scripts(CommandContext& c) {
  const auto on = parse_integer(c.args[2]);
  if (!on) return c.reply.error(kNotAnInteger);
  c.server.scripting().call_anything = *on != 0;
  c.reply.ok();
}

// Redis's switches for what is not here: a number is taken, and nothing depends on it.
void without_effect(CommandContext& c) { c.reply.ok(); }

void packed_threshold(CommandContext& c) {
  const auto bytes = parse_memory(c.args[2]);
  if (!bytes || *bytes > uint64_t{4} << 30) {
    return c.reply.error("ERR argument must be a memory value bigger than 1 and smaller than 4gb");
  }
  c.reply.ok();
}

void no_such_structure(CommandContext& c) {
  c.reply.error(
      "ERR There are no listpacks, quicklists and hash tables here; DEBUG OBJECT says how a key is stored.");
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
    if (reply.version() == resp::Version::kResp2) {
      return reply.error("ERR RESP2 is not supported by this command");
    }
    reply.push(2);
    reply.bulk("server-cpu-usage");
    reply.integer(42);
    return reply.bulk("Some real reply following the push reply");
  }
  reply.error(
      "ERR Wrong protocol type name. Please use one of the following: "
      "string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false");
}

void help(CommandContext& c);

struct Subcommand {
  const char* name;
  size_t least, most;  // Arguments, with DEBUG and its name.
  void (*run)(CommandContext&);
  const char* synopsis;
  const char* summary;
};
constexpr Subcommand kSubcommands[] = {
    {"sleep", 3, 3, &sleep, "SLEEP <seconds>", "Stop the server for <seconds>. Decimals allowed."},
    {"engine", 2, 2, &engine_dump, "ENGINE", "Every level, run and table of the tree."},
    {"jmap", 2, 2, &engine_dump, "JMAP", "The same."},
    {"object", 3, 3, &debug_object, "OBJECT <key>", "Show how <key> is stored."},
    {"set-active-expire", 3, 3, &set_active_expire, "SET-ACTIVE-EXPIRE <0|1>",
     "Whether expired keys that nobody asks for are reclaimed."},
    {"set-disable-deny-scripts", 3, 3, &disable_deny_scripts, "SET-DISABLE-DENY-SCRIPTS <0|1>",
     "Whether scripts may call what is denied to scripts."},
    {"pause-cron", 3, 3, &pause_cron, "PAUSE-CRON <0|1>",
     "Whether to leave undone what is done ten times a second: expiry, timeouts and limits of clients, "
     "rates."},
    {"reload", 2, 5, &debug_reload, "RELOAD [NOFLUSH MERGE] [NOSAVE]",
     "Write everything to tables, close the store and open it again."},
    {"loadaof", 2, 2, &debug_loadaof, "LOADAOF", "Close the store and open it again: the log is replayed."},
    {"digest", 2, 2, &debug_digest, "DIGEST", "A digest of all data, as Redis makes it."},
    {"digest-value", 2, SIZE_MAX, &debug_digest_value, "DIGEST-VALUE <key> [<key> ...]",
     "Digests of the values of keys."},
    {"populate", 3, 5, &debug_populate, "POPULATE <count> [<prefix>] [<size>]",
     "Create <count> string keys named <prefix>:<number>, those that are there aside."},
    {"quicklist-packed-threshold", 3, 3, &packed_threshold, "QUICKLIST-PACKED-THRESHOLD <size>",
     "Accepted, without effect: lists are no quicklists here."},
    {"replybuffer", 4, 4, &without_effect, "REPLYBUFFER PEAK-RESET-TIME|RESIZING <value>",
     "Accepted, without effect: replies are a chain of chunks that comes and goes with them."},
    {"listpack", 3, 3, &no_such_structure, "LISTPACK <key>", "An error."},
    {"ziplist", 3, 3, &no_such_structure, "ZIPLIST <key>", "An error."},
    {"quicklist", 3, 4, &no_such_structure, "QUICKLIST <key>", "An error."},
    {"htstats", 3, 3, &no_such_structure, "HTSTATS <database>", "An error."},
    {"htstats-key", 3, 3, &no_such_structure, "HTSTATS-KEY <key>", "An error."},
    {"drop-caches", 2, 2, &drop_caches, "DROP-CACHES", "Forget what is cached."},
    {"log", 3, 3, &log, "LOG <message>", "Write <message> to the server's log."},
    {"error", 3, 3, &error, "ERROR <string>", "Reply with <string> as an error."},
    {"protocol", 3, 3, &protocol, "PROTOCOL <type>", "Reply with a value of the given type of the protocol."},
    {"help", 2, 2, &help, "HELP", "Prints this help."},
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
    if (equals_ignoring_case(c.args[1], subcommand.name) && c.args.size() >= subcommand.least &&
        c.args.size() <= subcommand.most) {
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
