// server/listener.h: the doors: TCP addresses and a unix socket.
//
// Threads: the reactor.
#pragma once

#include <uv.h>

#include <memory>
#include <string>
#include <vector>

#include "engine/status.h"
#include "server/settings.h"

namespace server {

class ListenerOwner {
 public:
  virtual void on_connection(int fd, bool unix_socket) = 0;  // Takes over a non-blocking socket.

 protected:
  ~ListenerOwner() = default;
};

class Listeners {
 public:
  Listeners(uv_loop_t* loop, ListenerOwner& owner) : loop_(loop), owner_(owner) {}
  ~Listeners();

  // Opens what the settings name, besides what is open. Errors: an address that is not marked optional by
  // '-', in Redis's words; then nothing more is opened.
  engine::Status open(const Settings& settings);
  // Takes in whoever waits at the doors, outside of the loop's turn.
  void accept_waiting();
  // Closes all, at once; the unix socket's file goes.
  void close();
  // After a change of addresses or port. Errors: as open(); then no TCP door is open, until the next call.
  engine::Status reopen_tcp(const Settings& settings);

  const std::vector<std::string>& tcp_addresses() const { return tcp_addresses_; }  // "127.0.0.1:6379"
  const std::string& unix_path() const { return unix_path_; }

 private:
  struct Door;
  engine::Status open_tcp(const Settings& settings, std::vector<Door*>* opened,
                          std::vector<std::string>* names);
  engine::Status open_unix(const Settings& settings);
  Door* add_door(int fd, bool unix_socket);
  static void close_door(Door* door);

  uv_loop_t* const loop_;
  ListenerOwner& owner_;
  std::vector<Door*> tcp_, unix_;  // Each is deleted when libuv has closed its handle.
  std::vector<std::string> tcp_addresses_;
  std::string unix_path_;
};

}  // namespace server
