// server/acl/password.h: passwords as they are kept: SHA-256, in 64 lower-case hexadecimal digits.
//
// Threads: any; no state.
#pragma once

#include <string>
#include <string_view>

namespace server {

std::string password_hash(std::string_view password);

// Whether text could be what password_hash() returns.
bool is_password_hash(std::string_view text);

// Compares two hashes in a time that tells nothing of where they differ.
bool same_hash(std::string_view a, std::string_view b);

}  // namespace server
