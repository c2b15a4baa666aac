// server/acl/acl.h: a server's users and the log of what they were refused, as one part.
//
// Threads: the reactor.
#pragma once

#include <string>

#include "engine/env.h"
#include "engine/status.h"
#include "server/acl/log.h"
#include "server/acl/users.h"

namespace server {

class Client;
class Config;
class Server;

class Acl {
 public:
  Acl(const CommandTable& table, const Config& config) : users(table), table_(table), config_(config) {}

  AclUsers users;
  AclLog log;
  std::string last_error;  // Of authorize().

  // The users that the configuration names, or its ACL file, and requirepass. Errors: kInvalid, both or wrong
  // ones.
  engine::Status start(engine::FileSystem& files);
  AclGround ground() const;
  // What the configuration file has to say of users: nothing when requirepass says it all, or when they have
  // a file.
  std::vector<std::string> lines_of_config() const;

 private:
  const CommandTable& table_;
  const Config& config_;
};

// `user` is gone: so are its connections. The one whose command did it still gets its reply.
void close_clients_of(Server& server, const AclUser& user, Client* current);

}  // namespace server
