#include "server/monitor.h"

#include <cstdio>

#include "server/client.h"

namespace server {

std::string monitor_line(int64_t unix_us, uint32_t database, const Client* client,
                         std::span<const std::string_view> args) {
  char time[64];
  std::snprintf(time, sizeof(time), "+%lld.%06lld [%u ", static_cast<long long>(unix_us / 1000000),
                static_cast<long long>(unix_us % 1000000), database);
  std::string line = time;
  if (client == nullptr) {
    line += "lua";
  } else if (client->is_unix_socket()) {
    line += "unix:";
    line += client->local_address().substr(0, client->local_address().size() - 2);
  } else {
    line += client->peer_address();
  }
  line += ']';
  for (std::string_view arg : args) {
    line += ' ';
    append_quoted(&line, arg);
  }
  line += "\r\n";
  return line;
}

void append_quoted(std::string* out, std::string_view bytes) {
  *out += '"';
  for (const char c : bytes) {
    switch (c) {
      case '\\': *out += "\\\\"; break;
      case '"': *out += "\\\""; break;
      case '\n': *out += "\\n"; break;
      case '\r': *out += "\\r"; break;
      case '\t': *out += "\\t"; break;
      case '\a': *out += "\\a"; break;
      case '\b': *out += "\\b"; break;
      default:
        if (c >= ' ' && c <= '~') {
          *out += c;
        } else {
          char hex[8];
          std::snprintf(hex, sizeof(hex), "\\x%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
          *out += hex;
        }
    }
  }
  *out += '"';
}

}  // namespace server
