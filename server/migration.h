// server/migration.h: keys sent to another server with RESTORE, for MIGRATE.
//
// Threads: a worker: it blocks on the network, each step at most as long as the timeout.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace server {

struct MigrationTarget {
  std::string host, port;
  int64_t database = 0;
  int own_port = 0;  // Where this server listens.
  int timeout_ms = 1000;
  std::vector<std::string> auth;  // AUTH's arguments; empty: none is sent.
  bool replace = false;
};

struct MigratedKey {
  std::string key, payload;
  int64_t ttl_ms = 0;  // 0: it does not expire.
  bool taken = false;  // The other server has it.
};

// Sets `taken`. Returns the error for MIGRATE's reply, the first that there was; nothing: all keys were
// taken.
std::optional<std::string> send_keys(const MigrationTarget& target, std::vector<MigratedKey>* keys);

}  // namespace server
