// server/acl/subscribers.h: who listens to what it may not hear any more.
//
// Threads: the reactor.
#pragma once

#include "server/acl/user.h"

namespace server {

class Client;
class Server;

// `user` is about to become what `draft` is: closes its connections that listen to a channel, or by a
// pattern, that it may not use then. `current`, whose command this is, still gets its reply.
void close_unlawful_subscribers(Server& server, const AclUser& user, const AclUser& draft,
                                const Client& current);

}  // namespace server
