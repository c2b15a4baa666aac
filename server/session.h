// server/session.h: what commands know and change of a connection; nothing of sockets.
//
// Threads: the reactor.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "server/reply_gate.h"

namespace server {

// Whose replies are sent: CLIENT REPLY.
enum class ReplyMode : uint8_t {
  kOn,
  kOff,
  kSkipNext,  // This command was CLIENT REPLY SKIP: the next one's reply is skipped.
  kSkip,
};

struct Session {
  uint32_t database = 0;
  bool authenticated = false;
  bool monitor = false;
  bool no_evict = false;
  bool no_touch = false;
  ReplyMode reply_mode = ReplyMode::kOn;
  std::optional<Durability> durability;  // Nothing: as appendfsync says.
  std::string user = "default";
  std::string name;
  std::string library_name;
  std::string library_version;
};

}  // namespace server
