#include "server/authorize.h"

namespace server {

std::string_view authorize(const Client& client, const Command& command, std::span<const std::string_view>,
                           const Settings& settings) {
  if (!client.session.authenticated && !settings.requirepass.empty() && !(command.flags & cmd::kNoAuth)) {
    return "NOAUTH Authentication required.";
  }
  return {};
}

bool credentials_match(std::string_view user, std::string_view password, const Settings& settings) {
  if (user != "default") return false;
  const std::string& right = settings.requirepass;
  if (right.empty()) return true;
  // Every byte of what was sent is compared, so the time tells nothing of how much of it was right.
  unsigned char difference = password.size() == right.size() ? 0 : 1;
  for (size_t i = 0; i < password.size(); ++i) {
    difference = static_cast<unsigned char>(difference | (password[i] ^ right[i % right.size()]));
  }
  return difference == 0;
}

}  // namespace server
