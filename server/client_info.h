// server/client_info.h: a connection as CLIENT LIST and CLIENT INFO show it.
//
// Threads: the reactor.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "server/client.h"
#include "server/settings.h"

namespace server {

std::string client_line(const Client& client, int64_t now_ms);  // Without the line's end.

// "normal", "slave", "replica", "pubsub", "master" in any case, as CLIENT LIST TYPE takes them. kPrimary has
// no class of its own in settings.
enum class ClientType : uint8_t { kNormal, kReplica, kPubsub, kPrimary };
std::optional<ClientType> client_type_of(std::string_view name);
ClientType type_of(const Client& client);

}  // namespace server
