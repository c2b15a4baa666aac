// server/commands/acl.cc: ACL: the users, what each may do, and what was refused.
#include <string>
#include <vector>

#include "server/acl/acl.h"
#include "server/acl/file.h"
#include "server/acl/subscribers.h"
#include "server/authorize.h"
#include "server/bindings.h"
#include "server/command.h"
#include "server/commands/command_docs.h"
#include "server/errors.h"
#include "server/log.h"
#include "server/server.h"
#include "server/units.h"

namespace server {
namespace {

AclUsers& users(CommandContext& c) { return c.server.acl().users; }

void wrong_arguments(CommandContext& c) {
  c.reply.error("ERR unknown subcommand or wrong number of arguments for '" +
                std::string(c.args[1].substr(0, 128)) + "'. Try ACL HELP.");
}

// ------------------------------------------------------------------ users

void acl_setuser(CommandContext& c) {
  const std::string_view name = c.args[2];
  if (has_blanks(name)) return c.reply.error("ERR Usernames can't contain spaces or null characters");
  const auto draft = users(c).drafted(c.server.acl().ground(), name, c.args.subspan(3));
  if (!draft.ok()) return c.reply.error("ERR " + draft.status().message());
  if (const AclUser* known = users(c).find(name))
    close_unlawful_subscribers(c.server, *known, draft.value(), c.client);
  users(c).adopt(draft.value());
  c.reply.ok();
}

void acl_deluser(CommandContext& c) {
  for (std::string_view name : c.args.subspan(2)) {
    if (name == "default") return c.reply.error("ERR The 'default' user cannot be removed");
  }
  int64_t removed = 0;
  for (std::string_view name : c.args.subspan(2)) {
    if (const auto user = users(c).remove(name)) {
      close_clients_of(c.server, *user, &c.client);
      ++removed;
    }
  }
  c.reply.integer(removed);
}

void describe(CommandContext& c, const AclSelector& selector) {
  c.reply.bulk("commands");
  c.reply.bulk(selector.command_rules(c.server.table()));
  c.reply.bulk("keys");
  c.reply.bulk(selector.key_rules());
  c.reply.bulk("channels");
  c.reply.bulk(selector.channel_rules());
}

void acl_getuser(CommandContext& c) {
  const AclUser* user = users(c).find(c.args[2]);
  if (!user) return c.reply.null();
  c.reply.map(6);
  c.reply.bulk("flags");
  const auto flags = user->flags();
  c.reply.set(flags.size());
  for (std::string_view flag : flags) c.reply.bulk(flag);
  c.reply.bulk("passwords");
  c.reply.array(user->passwords().size());
  for (const std::string& hash : user->passwords()) c.reply.bulk(std::string_view(hash));
  const std::span<const AclSelector> selectors = user->selectors();
  describe(c, selectors[0]);
  c.reply.bulk("selectors");
  c.reply.array(selectors.size() - 1);
  for (const AclSelector& selector : selectors.subspan(1)) {
    c.reply.map(3);
    describe(c, selector);
  }
}

void acl_list(CommandContext& c) {
  c.reply.array(users(c).all().size());
  for (const auto& [name, user] : users(c).all()) c.reply.bulk(user_line(*user, c.server.table()));
}

void acl_users(CommandContext& c) {
  c.reply.array(users(c).all().size());
  for (const auto& [name, user] : users(c).all()) c.reply.bulk(std::string_view(name));
}

void acl_whoami(CommandContext& c) { c.reply.bulk(std::string_view(c.client.session.user->name())); }

// ------------------------------------------------------------------ the file

// False: there is none, and the caller has been told.
bool has_file(CommandContext& c) {
  if (!c.server.settings().aclfile.empty()) return true;
  c.reply.error(
      "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the "
      "ACL "
      "SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in "
      "order "
      "to store users in the Redis configuration.");
  return false;
}

void acl_load(CommandContext& c) {
  if (!has_file(c)) return;
  auto loaded = load_acl_file(c.server.env().files, c.server.acl().ground(), c.server.settings().aclfile);
  if (!loaded.ok()) return c.reply.error("ERR " + loaded.status().message());
  const auto gone = users(c).replace(std::move(loaded).value());
  for (const auto& user : gone) close_clients_of(c.server, *user, &c.client);
  c.reply.ok();
}

void acl_save(CommandContext& c) {
  if (!has_file(c)) return;
  const auto status =
      save_acl_file(c.server.env().files, users(c), c.server.table(), c.server.settings().aclfile);
  if (status.ok()) return c.reply.ok();
  log_warning("ACL SAVE failed: %s", status.message().c_str());
  c.reply.error(
      "ERR There was an error trying to save the ACLs. Please check the server logs for more information");
}

// ------------------------------------------------------------------ what there is

void acl_cat(CommandContext& c) {
  if (c.args.size() == 2) {
    c.reply.array(acl::kCategoryCount);
    for (int i = 0; i < acl::kCategoryCount; ++i) c.reply.bulk(category_name(uint32_t{1} << i));
    return;
  }
  if (c.args.size() > 3) return wrong_arguments(c);
  const uint32_t category = category_of(c.args[2]);
  if (category == 0) {
    return c.reply.error("ERR Unknown category '" + std::string(c.args[2].substr(0, 128)) + "'");
  }
  std::vector<std::string_view> names;
  for (const Command& command : c.server.table().commands()) {
    if (command.served && (command.categories & category)) names.push_back(command.name);
  }
  c.reply.array(names.size());
  for (std::string_view name : names) c.reply.bulk(name);
}

void acl_genpass(CommandContext& c) {
  constexpr int64_t kBitsMax = 4096;
  int64_t bits = 256;
  if (c.args.size() > 3) return wrong_arguments(c);
  if (c.args.size() == 3) {
    const auto wanted = parse_integer(c.args[2]);
    if (!wanted) return c.reply.error(kNotAnInteger);
    bits = *wanted;
  }
  if (bits <= 0 || bits > kBitsMax) {
    return c.reply.error(
        "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up "
        "to " +
        std::to_string(kBitsMax));
  }
  std::string password;
  for (uint64_t random = 0, left = 0; password.size() < static_cast<size_t>((bits + 3) / 4);
       random >>= 4, --left) {
    if (left == 0) {
      random = c.server.env().entropy.next();
      left = 16;
    }
    password += "0123456789abcdef"[random & 15];
  }
  c.reply.bulk(std::string_view(password));
}

void acl_dryrun(CommandContext& c) {
  const AclUser* user = users(c).find(c.args[2]);
  if (!user) return c.reply.error("ERR User '" + std::string(c.args[2]) + "' not found");
  const auto args = c.args.subspan(3);
  const Command* command = c.server.table().find(args);
  if (!command) return c.reply.error("ERR Command '" + std::string(args[0]) + "' not found");
  if (!command->accepts(args.size())) return c.reply.error("ERR " + wrong_arity_message(*command));
  const Verdict verdict = user->check(*command, args);
  const std::string text = "This user has no permissions to ";
  switch (verdict.denial) {
    case Denial::kNone: return c.reply.ok();
    case Denial::kCommand: return c.reply.bulk(text + "run the '" + std::string(command->name) + "' command");
    case Denial::kKey:
      return c.reply.bulk(text + "access the '" + std::string(args[verdict.argument]) + "' key");
    case Denial::kChannel:
      return c.reply.bulk(text + "access the '" + std::string(args[verdict.argument]) + "' channel");
  }
}

// ------------------------------------------------------------------ the log

void acl_log(CommandContext& c) {
  AclLog& log = c.server.acl().log;
  int64_t count = 10;
  if (c.args.size() > 3) return wrong_arguments(c);
  if (c.args.size() == 3) {
    if (equals_ignoring_case(c.args[2], "reset")) {
      log.clear();
      return c.reply.ok();
    }
    const auto wanted = parse_integer(c.args[2]);
    if (!wanted) return c.reply.error(kNotAnInteger);
    count = std::max<int64_t>(*wanted, 0);
  }
  const size_t shown =
      static_cast<size_t>(std::min<int64_t>(count, static_cast<int64_t>(log.entries().size())));
  const int64_t now_ms = c.server.wall_ms();
  c.reply.array(shown);
  for (size_t i = 0; i < shown; ++i) {
    const AclLogEntry& entry = log.entries()[i];
    c.reply.map(7);
    c.reply.bulk("count");
    c.reply.integer(static_cast<int64_t>(entry.count));
    c.reply.bulk("reason");
    c.reply.bulk(name_of(entry.reason));
    c.reply.bulk("context");
    c.reply.bulk(name_of(entry.context));
    c.reply.bulk("object");
    c.reply.bulk(std::string_view(entry.object));
    c.reply.bulk("username");
    c.reply.bulk(std::string_view(entry.user));
    c.reply.bulk("age-seconds");
    c.reply.number(static_cast<double>(now_ms - entry.at_ms) / 1000);
    c.reply.bulk("client-info");
    c.reply.bulk(std::string_view(entry.client));
  }
}

void acl_help(CommandContext& c) { container_help(c.server.table(), "acl", c.reply); }

constexpr Binding kBindings[] = {
    {"acl|setuser", &acl_setuser}, {"acl|deluser", &acl_deluser}, {"acl|getuser", &acl_getuser},
    {"acl|list", &acl_list},       {"acl|users", &acl_users},     {"acl|whoami", &acl_whoami},
    {"acl|load", &acl_load},       {"acl|save", &acl_save},       {"acl|cat", &acl_cat},
    {"acl|genpass", &acl_genpass}, {"acl|dryrun", &acl_dryrun},   {"acl|log", &acl_log},
    {"acl|help", &acl_help}};

}  // namespace

void bind_acl_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
