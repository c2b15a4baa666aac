// server/info.h: the text of INFO: Redis's sections and field names, and our own section Engine.
//
// Threads: the reactor.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace server {

class Server;

// `sections` as a client gave them: names in any case, "default", "all", "everything"; none: default.
std::string info_text(Server& server, std::span<const std::string_view> sections);

// 1234567 as "1.18M", the way Redis's *_human fields have it.
std::string human_bytes(uint64_t bytes);

}  // namespace server
