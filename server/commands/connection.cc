// server/commands/connection.cc: the commands by which a client makes itself known.
#include <climits>
#include <string>

#include "server/acl/acl.h"
#include "server/authorize.h"
#include "server/bindings.h"
#include "server/client_names.h"
#include "server/command.h"
#include "server/errors.h"
#include "server/pubsub.h"
#include "server/replication.h"
#include "server/server.h"
#include "server/tracking.h"
#include "server/units.h"
#include "server/version.h"

namespace server {
namespace {

void ping(CommandContext& c) {
  if (c.args.size() > 2) return c.reply.error("ERR wrong number of arguments for 'ping' command");
  const std::string_view text = c.args.size() == 2 ? c.args[1] : "";
  if (c.client.session.subscribed() && c.reply.version() == resp::Version::kResp2) {
    c.reply.array(2);  // Shaped like what else comes.
    c.reply.bulk("pong");
    c.reply.bulk(text);
  } else if (c.args.size() == 2) {
    c.reply.bulk(text);
  } else {
    c.reply.simple("PONG");
  }
}

void echo(CommandContext& c) { c.reply.bulk(c.args[1]); }

void quit(CommandContext& c) {
  c.reply.ok();
  c.client.close_after_reply();
}

void select(CommandContext& c) {
  const auto number = parse_integer(c.args[1]);
  if (!number) return c.reply.error(kNotAnInteger);
  if (*number < INT_MIN || *number > INT_MAX) {
    return c.reply.error("ERR value is out of range, value must between -2147483648 and 2147483647");
  }
  if (*number < 0 || *number >= c.server.databases().count()) return c.reply.error(kBadDatabase);
  c.database_number = static_cast<uint32_t>(*number);
  c.reply.ok();
}

void auth(CommandContext& c) {
  if (c.args.size() > 3) return c.reply.error(kSyntaxError);
  if (c.args.size() == 2 && c.server.acl().users.default_user().needs_no_password()) {
    return c.reply.error(
        "ERR AUTH <password> called without any password configured for the default user. Are you sure your "
        "configuration is correct?");
  }
  const std::string_view user = c.args.size() == 3 ? c.args[1] : "default";
  if (!authenticate(c.server, c.client, user, c.args.back(), c.args[0])) return c.reply.error(kWrongPassword);
  c.reply.ok();
}

void hello(CommandContext& c) {
  int64_t protocol = 0;
  if (c.args.size() >= 2) {
    const auto wanted = parse_integer(c.args[1]);
    if (!wanted) return c.reply.error("ERR Protocol version is not an integer or out of range");
    if (*wanted != 2 && *wanted != 3) return c.reply.error("NOPROTO unsupported protocol version");
    protocol = *wanted;
  }
  std::optional<std::string_view> user, password, name;
  for (size_t i = 2; i < c.args.size(); ++i) {
    const size_t more = c.args.size() - 1 - i;
    if (equals_ignoring_case(c.args[i], "auth") && more >= 2) {
      user = c.args[i + 1];
      password = c.args[i + 2];
      i += 2;
    } else if (equals_ignoring_case(c.args[i], "setname") && more >= 1) {
      name = c.args[++i];
      if (!valid_client_name(*name)) return c.reply.error(kBadClientName);
    } else {
      return c.reply.error("ERR Syntax error in HELLO option '" + std::string(c.args[i]) + "'");
    }
  }
  Session& session = c.client.session;
  if (user && !authenticate(c.server, c.client, *user, *password, c.args[0]))
    return c.reply.error(kWrongPassword);
  if (!session.authenticated) {
    return c.reply.error(
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> "
        "<pass> "
        "option can be used to authenticate the client and select the RESP protocol version at the "
        "same time");
  }
  if (name) session.name = *name;
  if (protocol != 0) c.reply.set_version(protocol == 3 ? resp::Version::kResp3 : resp::Version::kResp2);
  c.reply.map(7);
  c.reply.bulk("server");
  c.reply.bulk("redis");
  c.reply.bulk("version");
  c.reply.bulk(kRedisVersion);
  c.reply.bulk("proto");
  c.reply.integer(static_cast<int64_t>(c.reply.version()));
  c.reply.bulk("id");
  c.reply.integer(static_cast<int64_t>(c.client.id));
  c.reply.bulk("mode");
  c.reply.bulk("standalone");
  c.reply.bulk("role");
  c.reply.bulk(c.server.replication().is_replica() ? "replica" : "master");
  c.reply.bulk("modules");
  c.reply.array(0);
}

void reset(CommandContext& c) {
  Session& session = c.client.session;
  if (session.monitor) std::erase(c.server.monitors(), &c.client);
  c.server.pubsub().forget(c.client);
  c.server.end_transaction(c.client);
  c.server.tracking().disable(c.client);
  session = Session();
  become_default_user(c.server, session);
  c.reply.set_version(resp::Version::kResp2);
  c.reply.simple("RESET");
}

constexpr Binding kBindings[] = {{"ping", &ping}, {"echo", &echo},   {"quit", &quit},  {"select", &select},
                                 {"auth", &auth}, {"hello", &hello}, {"reset", &reset}};

}  // namespace

void bind_connection_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
