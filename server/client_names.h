// server/client_names.h: what a client may call itself: printable, without blanks, so that CLIENT LIST can
// be cut at them.
#pragma once

#include <algorithm>
#include <string_view>

namespace server {

inline constexpr std::string_view kBadClientName =
    "ERR Client names cannot contain spaces, newlines or special characters.";

inline bool valid_client_name(std::string_view name) {
  return std::all_of(name.begin(), name.end(), [](char c) { return c >= '!' && c <= '~'; });
}

}  // namespace server
