// server/authorize.h: who may do what. One function, asked before every command, and again for each command
// inside another one.
//
// Threads: the reactor.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "server/acl/user.h"
#include "server/client.h"
#include "server/command_table.h"

namespace server {

class Server;

// Where a command stands: it shapes the error and the entry of ACL LOG.
enum class Place : uint8_t {
  kTopLevel,
  kQueued,  // On its way into MULTI's queue.
  kExec,    // Allowed when it was queued, and now about to run.
  kScript,
};

std::string_view refuse(Server& server, const Client& client, const Command& command,
                        std::span<const std::string_view> args, Place place);

// Empty: go ahead. Otherwise the error, with its code, good until the next one; ACL LOG tells of it.
// Who may do everything pays for one branch.
inline std::string_view authorize(Server& server, const Client& client, const Command& command,
                                  std::span<const std::string_view> args, Place place = Place::kTopLevel) {
  if (client.session.authenticated && client.session.user->unrestricted()) [[likely]]
    return {};
  return refuse(server, client, command, args, place);
}

// It has to say who it is before anything else.
inline bool must_authenticate(const Session& session) {
  return !session.authenticated && !session.user->is_open();
}

// What a connection is before it says who it is.
void become_default_user(Server& server, Session& session);

// Makes the connection the user's if the password is right; ACL LOG tells of it if it is not. `by`: the
// command's name as it was sent.
bool authenticate(Server& server, Client& client, std::string_view user, std::string_view password,
                  std::string_view by);

// For commands that make up names of keys (SORT BY and GET): whether the user may run this one and read every
// key.
bool may_read_every_key(const Client& client, const Command& command, std::span<const std::string_view> args);

}  // namespace server
