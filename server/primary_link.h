// server/primary_link.h: the connection to the primary: found, opened, introduced.
//
//     open() ─▶ the name is looked up ─▶ its addresses are tried ─▶ AUTH, VARVESYNC ─┬▶ on_ready
//                                                           it knows no VARVESYNC ─└▶ on_stranger
//        any failure on the way, and the connection's end ─▶ on_end (not after close())
//
// From then on the connection is a Client with a stream, so CLIENT LIST shows it and CLIENT KILL ends it.
//
// Threads: the reactor; names are looked up by a worker of libuv.
#pragma once

#include <uv.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace server {

class Client;
class Server;

class PrimaryLink {
 public:
  struct Events {
    std::function<void()> on_ready;
    std::function<void()> on_stranger;  // It is a Redis, or something that speaks like one.
    std::function<void(std::string_view)> on_bytes;
    std::function<bool()> wants_input;
    std::function<void(const std::string& why)> on_end;
  };
  PrimaryLink(Server& server, uv_loop_t* loop, Events events);
  ~PrimaryLink();

  void open(const std::string& host, int port);
  void close();
  void send(std::string_view bytes);
  Client* client() const { return client_; }  // Null: not connected.
  void read_on();                             // There may be room again for what was not wanted.

 private:
  class Stream;
  struct Lookup;
  struct Attempt;

  void looked_up(Lookup& lookup, int status);
  void try_next(const std::string& failure);
  void connected(int fd);
  void end(const std::string& why);

  Server& server_;
  uv_loop_t* const loop_;
  const Events events_;
  Lookup* lookup_ = nullptr;    // Under way.
  Attempt* attempt_ = nullptr;  // Under way.
  addrinfo* addresses_ = nullptr;
  addrinfo* next_ = nullptr;
  Client* client_ = nullptr;
};

}  // namespace server
