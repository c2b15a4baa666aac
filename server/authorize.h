// server/authorize.h: who may do what. One function, asked before every command.
//
// There is one user, "default": whoever knows requirepass, or anybody if it is empty.
//
// Threads: the reactor.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "server/client.h"
#include "server/command_table.h"
#include "server/settings.h"

namespace server {

// Empty: go ahead. Otherwise the error, with its code.
std::string_view authorize(const Client& client, const Command& command,
                           std::span<const std::string_view> args, const Settings& settings);

// Whether these credentials are right. Takes the same time whichever byte is wrong.
bool credentials_match(std::string_view user, std::string_view password, const Settings& settings);

}  // namespace server
