// server/monitor.h: the line that MONITOR shows of a command.
//
// Threads: any; no state.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace server {

class Client;

// `+1339518083.107412 [0 127.0.0.1:60866] "keys" "*"` and CRLF.
// `client`: who sent it; null: a script.
std::string monitor_line(int64_t unix_us, uint32_t database, const Client* client,
                         std::span<const std::string_view> args);

// As Redis quotes bytes: "a\x00\n\"".
void append_quoted(std::string* out, std::string_view bytes);

}  // namespace server
