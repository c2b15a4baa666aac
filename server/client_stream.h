// server/client_stream.h: a connection that speaks no RESP any more: a replica's, or the one to our primary.
//
// Threads: the reactor.
#pragma once

namespace server {

class Client;

class ClientStream {
 public:
  virtual ~ClientStream() = default;
  virtual void on_input(Client& client) = 0;  // Takes what it can use from client.input.
  virtual void on_sent(Client&) {}            // Some of client.output has left. Adds nothing to it.
  virtual void on_gone(Client& client) = 0;   // The connection is closed.
  virtual bool to_primary() const = 0;        // Else it is a replica's.
};

}  // namespace server
