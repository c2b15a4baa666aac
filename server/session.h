// server/session.h: what commands know and change of a connection; nothing of sockets.
//
// Threads: the reactor.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "server/reply_gate.h"

namespace server {

class AclUser;

// Whose replies are sent: CLIENT REPLY.
enum class ReplyMode : uint8_t {
  kOn,
  kOff,
  kSkipNext,  // This command was CLIENT REPLY SKIP: the next one's reply is skipped.
  kSkip,
};

// CLIENT TRACKING (server/tracking.h).
struct TrackingMode {
  bool on = false;
  bool broadcast = false;        // BCAST: all keys with certain prefixes, read or not.
  bool opt_in = false;           // Only what is read right after CLIENT CACHING yes.
  bool opt_out = false;          // All but what is read right after CLIENT CACHING no.
  bool no_loop = false;          // Not of keys that it wrote itself.
  bool caching = false;          // The next command comes right after CLIENT CACHING.
  bool redirect_broken = false;  // Whom it redirects to is gone.
  uint64_t redirect = 0;         // Who is told; 0: the client itself.
};

struct Session {
  uint32_t database = 0;
  bool authenticated = false;
  bool monitor = false;
  bool no_evict = false;
  bool no_touch = false;
  ReplyMode reply_mode = ReplyMode::kOn;
  // To channels, patterns and shard channels: PubSub::Kind. Kept by server/pubsub.
  std::array<uint32_t, 3> subscriptions{};
  bool subscribed() const { return (subscriptions[0] | subscriptions[1] | subscriptions[2]) != 0; }
  TrackingMode tracking;
  std::optional<Durability> durability;  // Nothing: as appendfsync says.
  const AclUser* user = nullptr;  // From the first moment on somebody: become_default_user() says whom.
  std::string name;
  std::string library_name;
  std::string library_version;
};

}  // namespace server
