// server/scripts/sha1.h: SHA-1, by which Redis's users name scripts.
//
// It is a name here, not a protection: whoever can load a script may load any.
//
// Threads: pure functions; any.
#pragma once

#include <string>
#include <string_view>

namespace server {

// 40 hexadecimal digits, lower case.
std::string sha1_hex(std::string_view bytes);

}  // namespace server
