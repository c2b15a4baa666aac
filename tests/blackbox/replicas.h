// tests/blackbox/replicas.h: what tests of several servers ask them.
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>

#include "tests/support/client.h"
#include "tests/support/server_process.h"

namespace replicas {

using resp::Reply;
using resp::to_text;
using support::Client;
using support::Command;
using support::ServerProcess;

inline std::string ask(ServerProcess& server, const Command& command) {
  Client client = Client::over_tcp(server);
  return to_text(client.command(command));
}

inline std::string info(ServerProcess& server, const std::string& field) {
  Client client = Client::over_tcp(server);
  const std::string text = client.command({"INFO", "everything"}).text;
  const size_t at = text.find("\n" + field + ":");
  if (at == std::string::npos) return "(none)";
  const size_t begin = at + field.size() + 2;
  return text.substr(begin, text.find('\r', begin) - begin);
}

// A test that waits for ever would say nothing: half a minute is more than any of this takes.
inline void until(const std::string& what, const std::function<bool()>& true_now) {
  for (int i = 0; i < 3000; ++i) {
    try {
      if (true_now()) return;
    } catch (const std::runtime_error&) {
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  FAIL("never came to be: " << what);
}

// `port`: the primary's, or that of a proxy before it.
inline void follow(ServerProcess& replica, int port) {
  REQUIRE(ask(replica, {"REPLICAOF", "127.0.0.1", std::to_string(port)}).find("OK") != std::string::npos);
}
inline void follow(ServerProcess& replica, ServerProcess& primary) { follow(replica, primary.port()); }

inline void in_step(ServerProcess& replica, ServerProcess& primary) {
  until("replica in step", [&] {
    return info(replica, "master_link_status") == "up" &&
           info(replica, "slave_repl_offset") == info(primary, "master_repl_offset") &&
           info(replica, "master_replid") == info(primary, "master_replid");
  });
}

inline std::map<std::string, std::string> all_strings(ServerProcess& server) {
  Client client = Client::over_tcp(server);
  std::map<std::string, std::string> found;
  for (const Reply& key : client.command({"KEYS", "*"}).items)
    found[key.text] = client.command({"GET", key.text}).text;
  return found;
}

}  // namespace replicas
