// server/commands/config.cc: CONFIG.
#include <vector>

#include "server/acl/acl.h"
#include "server/bindings.h"
#include "server/command.h"
#include "server/commands/command_docs.h"
#include "server/config.h"
#include "server/log.h"
#include "server/server.h"

namespace server {
namespace {

void config_get(CommandContext& c) {
  const auto pairs = c.server.config().get(c.args.subspan(2));
  c.reply.map(pairs.size());
  for (const auto& [name, value] : pairs) {
    c.reply.bulk(std::string_view(name));
    c.reply.bulk(std::string_view(value));
  }
}

void config_set(CommandContext& c) {
  if (c.args.size() % 2 != 0) return c.reply.error("ERR wrong number of arguments for 'config|set' command");
  std::vector<Config::Pair> pairs;
  for (size_t i = 2; i < c.args.size(); i += 2) pairs.emplace_back(c.args[i], c.args[i + 1]);
  const std::string error = c.server.config().set(pairs, c.client.is_loopback());
  if (!error.empty()) return c.reply.error(error);
  c.reply.ok();
}

void config_rewrite(CommandContext& c) {
  const std::vector<std::string> users = c.server.acl().lines_of_config();
  const std::string error =
      c.server.config().rewrite(c.server.env().files, c.server.settings().aclfile.empty() ? &users : nullptr);
  if (!error.empty()) {
    log_warning("CONFIG REWRITE failed: %s", error.c_str());
    return c.reply.error(error);
  }
  c.reply.ok();
}

void config_resetstat(CommandContext& c) {
  c.server.stats().reset();
  c.reply.ok();
}

void config_help(CommandContext& c) { container_help(c.server.table(), "config", c.reply); }

constexpr Binding kBindings[] = {{"config|get", &config_get},
                                 {"config|set", &config_set},
                                 {"config|rewrite", &config_rewrite},
                                 {"config|resetstat", &config_resetstat},
                                 {"config|help", &config_help}};

}  // namespace

void bind_config_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
