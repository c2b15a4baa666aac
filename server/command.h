// server/command.h: what a command's handler is given.
#pragma once

#include <span>
#include <string_view>

#include "resp/reply_writer.h"
#include "server/view.h"

namespace server {

class Server;
class Client;

struct CommandContext {
  std::span<const std::string_view> args;  // args[0] is the command's name (and args[1] a subcommand's).
  View& view;
  resp::ReplyWriter& reply;
  Client& client;
  Server& server;
};

}  // namespace server
