// tests/blackbox/blocked.h: connections that have sent a command and wait for its answer.
#pragma once

#include <chrono>
#include <string>
#include <thread>

#include "tests/support/client.h"

namespace support {

// Returns once `count` connections are blocked, as `control` sees it.
inline void wait_for_blocked(Client& control, int count) {
  const std::string wanted = "blocked_clients:" + std::to_string(count) + "\r\n";
  while (control.command({"INFO", "clients"}).text.find(wanted) == std::string::npos)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

// A connection that waits, the `count`-th of them.
inline Client blocked(const ServerProcess& server, Client& control, int count, const Command& words) {
  Client client = Client::over_tcp(server);
  client.send(words);
  wait_for_blocked(control, count);
  return client;
}

}  // namespace support
