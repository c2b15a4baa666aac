#include "server/authorize.h"

#include "server/acl/acl.h"
#include "server/client_info.h"
#include "server/server.h"

namespace server {
namespace {

using Reason = AclLogEntry::Reason;
using Context = AclLogEntry::Context;

void log_refusal(Server& server, const Client& client, Reason reason, Context context, std::string object,
                 std::string user) {
  const int64_t now_ms = server.wall_ms();
  server.acl().log.add(
      {reason, context, std::move(object), std::move(user), now_ms, client_line(client, now_ms)},
      server.settings().acllog_max_len);
}

std::string error_of(Denial denial, const Command& command, Place place) {
  switch (place) {
    case Place::kTopLevel:
    case Place::kQueued: {
      std::string text = "NOPERM this user has no permissions to ";
      if (denial == Denial::kCommand) return text + "run the '" + std::string(command.name) + "' command";
      return text + (denial == Denial::kKey ? "access one of the keys used as arguments"
                                            : "access one of the channels used as arguments");
    }
    case Place::kExec: {
      std::string text =
          "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. "
          "This "
          "command is no longer allowed for the following reason: ";
      if (denial == Denial::kCommand) return text + "no permission to execute the command or subcommand";
      return text + (denial == Denial::kKey
                         ? "no permission to touch the specified keys"
                         : "no permission to access one of the channels used as arguments");
    }
    case Place::kScript: break;
  }
  const std::string text = "ERR The user executing the script can't ";
  if (denial == Denial::kCommand) return text + "run this command or subcommand";
  return text + (denial == Denial::kKey ? "access at least one of the keys mentioned in the command arguments"
                                        : "publish to the channel mentioned in the command");
}

Context context_of(Place place) {
  if (place == Place::kTopLevel) return Context::kTopLevel;
  return place == Place::kScript ? Context::kScript : Context::kMulti;
}

}  // namespace

std::string_view refuse(Server& server, const Client& client, const Command& command,
                        std::span<const std::string_view> args, Place place) {
  if (must_authenticate(client.session) && !(command.flags & cmd::kNoAuth)) {
    return "NOAUTH Authentication required.";
  }
  const AclUser& user = *client.session.user;
  if (user.unrestricted()) return {};
  const Verdict verdict = user.check(command, args);
  if (verdict.allowed()) return {};
  const bool of_command = verdict.denial == Denial::kCommand;
  log_refusal(server, client,
              of_command                       ? Reason::kCommand
              : verdict.denial == Denial::kKey ? Reason::kKey
                                               : Reason::kChannel,
              context_of(place), std::string(of_command ? command.name : args[verdict.argument]),
              user.name());
  return server.acl().last_error = error_of(verdict.denial, command, place);
}

void become_default_user(Server& server, Session& session) {
  const AclUser& user = server.acl().users.default_user();
  session.user = &user;
  session.authenticated = user.is_open();
}

bool authenticate(Server& server, Client& client, std::string_view user, std::string_view password,
                  std::string_view by) {
  const AclUser* found = server.acl().users.find(user);
  if (!found || !found->knows(password)) {
    log_refusal(server, client, Reason::kAuth, Context::kTopLevel, std::string(by), std::string(user));
    return false;
  }
  client.session.user = found;
  client.session.authenticated = true;
  return true;
}

bool may_read_every_key(const Client& client, const Command& command,
                        std::span<const std::string_view> args) {
  const AclUser& user = *client.session.user;
  return user.unrestricted() || user.may_read_every_key(command, args);
}

}  // namespace server
