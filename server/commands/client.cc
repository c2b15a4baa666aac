// server/commands/client.cc: CLIENT.
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "server/acl/acl.h"
#include "server/bindings.h"
#include "server/client_info.h"
#include "server/client_names.h"
#include "server/command.h"
#include "server/commands/command_docs.h"
#include "server/errors.h"
#include "server/server.h"
#include "server/units.h"

namespace server {
namespace {

void client_id(CommandContext& c) { c.reply.integer(static_cast<int64_t>(c.client.id)); }

void client_info(CommandContext& c) {
  c.reply.verbatim("txt", client_line(c.client, c.server.wall_ms()) + "\n");
}

void client_list(CommandContext& c) {
  std::string text;
  const int64_t now_ms = c.server.wall_ms();
  const auto add = [&](const Client& client) {
    text += client_line(client, now_ms);
    text += '\n';
  };
  if (c.args.size() == 2) {
    c.server.clients().each(add);
  } else if (c.args.size() == 4 && equals_ignoring_case(c.args[2], "type")) {
    const auto type = client_type_of(c.args[3]);
    if (!type) return c.reply.error("ERR Unknown client type '" + std::string(c.args[3]) + "'");
    c.server.clients().each([&](const Client& client) {
      if (type_of(client) == *type) add(client);
    });
  } else if (c.args.size() > 3 && equals_ignoring_case(c.args[2], "id")) {
    for (std::string_view arg : c.args.subspan(3)) {
      const auto id = parse_integer(arg);
      if (!id) return c.reply.error("ERR Invalid client ID");
      if (const Client* client = c.server.clients().find(static_cast<uint64_t>(*id))) add(*client);
    }
  } else {
    return c.reply.error(kSyntaxError);
  }
  c.reply.verbatim("txt", text);
}

void client_getname(CommandContext& c) {
  if (c.client.session.name.empty()) return c.reply.null();
  c.reply.bulk(c.client.session.name);
}

void client_setname(CommandContext& c) {
  if (!valid_client_name(c.args[2])) return c.reply.error(kBadClientName);
  c.client.session.name = c.args[2];
  c.reply.ok();
}

void client_setinfo(CommandContext& c) {
  std::string* field = nullptr;
  const std::string option = lower(c.args[2]);
  if (option == "lib-name") field = &c.client.session.library_name;
  if (option == "lib-ver") field = &c.client.session.library_version;
  if (!field) return c.reply.error("ERR Unrecognized option '" + std::string(c.args[2]) + "'");
  if (!valid_client_name(c.args[3])) {
    return c.reply.error("ERR " + option + " cannot contain spaces, newlines or special characters.");
  }
  *field = c.args[3];
  c.reply.ok();
}

// What CLIENT KILL looks for; empty fields match anybody.
struct KillFilter {
  uint64_t id = 0;
  std::optional<ClientType> type;
  std::optional<std::string_view> peer, local, user;
  bool skip_me = true;

  bool matches(const Client& client) const {
    return (!peer || client.peer_address() == *peer) && (!local || client.local_address() == *local) &&
           (!type || type_of(client) == *type) && (id == 0 || client.id == id) &&
           (!user || client.session.user->name() == *user);
  }
};

// False: an error has been sent.
bool read_kill_filter(CommandContext& c, KillFilter* filter) {
  for (size_t i = 2; i < c.args.size(); i += 2) {
    const std::string_view option = c.args[i];
    const bool has_value = i + 1 < c.args.size();
    const std::string_view value = has_value ? c.args[i + 1] : std::string_view();
    std::string error;
    if (!has_value) {
      error = kSyntaxError;
    } else if (equals_ignoring_case(option, "id")) {
      const auto id = parse_integer(value);
      if (!id || *id < 1) error = "ERR client-id should be greater than 0";
      filter->id = id ? static_cast<uint64_t>(*id) : 0;
    } else if (equals_ignoring_case(option, "type")) {
      filter->type = client_type_of(value);
      if (!filter->type) error = "ERR Unknown client type '" + std::string(value) + "'";
    } else if (equals_ignoring_case(option, "addr")) {
      filter->peer = value;
    } else if (equals_ignoring_case(option, "laddr")) {
      filter->local = value;
    } else if (equals_ignoring_case(option, "user")) {
      filter->user = value;
      if (!c.server.acl().users.find(value)) error = "ERR No such user '" + std::string(value) + "'";
    } else if (equals_ignoring_case(option, "skipme") && equals_ignoring_case(value, "yes")) {
      filter->skip_me = true;
    } else if (equals_ignoring_case(option, "skipme") && equals_ignoring_case(value, "no")) {
      filter->skip_me = false;
    } else {
      error = kSyntaxError;
    }
    if (!error.empty()) {
      c.reply.error(error);
      return false;
    }
  }
  return true;
}

void client_kill(CommandContext& c) {
  KillFilter filter;
  const bool old_form = c.args.size() == 3;
  if (old_form) {
    filter.peer = c.args[2];
    filter.skip_me = false;
  } else if (!read_kill_filter(c, &filter)) {
    return;
  }
  int64_t killed = 0;
  bool suicide = false;
  c.server.clients().each([&](Client& client) {
    if (!filter.matches(client) || (filter.skip_me && &client == &c.client)) return;
    ++killed;
    if (&client == &c.client) {
      suicide = true;
    } else {
      client.close();
    }
  });
  if (!old_form) {
    c.reply.integer(killed);
  } else if (killed == 0) {
    c.reply.error("ERR No such client");
  } else {
    c.reply.ok();
  }
  if (suicide) c.client.close_after_reply();  // It still gets the answer.
}

void client_reply(CommandContext& c) {
  ReplyMode& mode = c.client.session.reply_mode;
  if (equals_ignoring_case(c.args[2], "on")) {
    mode = ReplyMode::kOn;
    c.reply.ok();
  } else if (equals_ignoring_case(c.args[2], "off")) {
    mode = ReplyMode::kOff;
  } else if (equals_ignoring_case(c.args[2], "skip")) {
    if (mode != ReplyMode::kOff) mode = ReplyMode::kSkipNext;
  } else {
    c.reply.error(kSyntaxError);
  }
}

void set_switch(CommandContext& c, bool* flag) {
  if (equals_ignoring_case(c.args[2], "on")) {
    *flag = true;
  } else if (equals_ignoring_case(c.args[2], "off")) {
    *flag = false;
  } else {
    return c.reply.error(kSyntaxError);
  }
  c.reply.ok();
}
void client_no_evict(CommandContext& c) { set_switch(c, &c.client.session.no_evict); }
void client_no_touch(CommandContext& c) { set_switch(c, &c.client.session.no_touch); }

void client_durability(CommandContext& c) {
  auto& durability = c.client.session.durability;
  const std::string_view wanted = c.args[2];
  if (equals_ignoring_case(wanted, "always")) {
    durability = Durability::kSynced;
  } else if (equals_ignoring_case(wanted, "everysec") || equals_ignoring_case(wanted, "no")) {
    durability = Durability::kWritten;
  } else if (equals_ignoring_case(wanted, "default")) {
    durability.reset();
  } else {
    return c.reply.error(kSyntaxError);
  }
  c.reply.ok();
}

void client_pause(CommandContext& c) {
  bool all = true;
  if (c.args.size() == 4) {
    if (equals_ignoring_case(c.args[3], "write")) {
      all = false;
    } else if (!equals_ignoring_case(c.args[3], "all")) {
      return c.reply.error("ERR CLIENT PAUSE mode must be WRITE or ALL");
    }
  } else if (c.args.size() > 4) {
    return c.reply.error(kSyntaxError);
  }
  const auto timeout = parse_integer(c.args[2]);
  if (!timeout) return c.reply.error("ERR timeout is not an integer or out of range");
  if (*timeout < 0) return c.reply.error("ERR timeout is negative");
  const int64_t now_ms = c.server.wall_ms();
  if (*timeout > INT64_MAX - now_ms) return c.reply.error("ERR timeout is out of range");
  // A running pause becomes longer or stricter, never shorter or laxer.
  Pause& pause = c.server.pause;
  pause.until_ms = std::max(pause.until_ms, now_ms + *timeout);
  pause.all = pause.all || all;
  c.reply.ok();
}

void client_unpause(CommandContext& c) {
  c.server.end_pause();
  c.reply.ok();
}

void client_unblock(CommandContext& c) {
  if (c.args.size() > 4) {
    return c.reply.error(
        "ERR unknown subcommand or wrong number of arguments for 'UNBLOCK'. Try CLIENT HELP.");
  }
  if (c.args.size() == 4 && !equals_ignoring_case(c.args[3], "timeout") &&
      !equals_ignoring_case(c.args[3], "error")) {
    return c.reply.error("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
  }
  const auto id = parse_integer(c.args[2]);
  if (!id) return c.reply.error(kNotAnInteger);
  const bool error = c.args.size() == 4 && equals_ignoring_case(c.args[3], "error");
  c.reply.integer(
      c.server.dispatcher().unblock(static_cast<uint64_t>(*id), error ? Unblock::kError : Unblock::kTimeout));
}

void client_help(CommandContext& c) { container_help(c.server.table(), "client", c.reply); }

constexpr Binding kBindings[] = {{"client|id", &client_id},
                                 {"client|info", &client_info},
                                 {"client|list", &client_list},
                                 {"client|getname", &client_getname},
                                 {"client|setname", &client_setname},
                                 {"client|setinfo", &client_setinfo},
                                 {"client|kill", &client_kill},
                                 {"client|reply", &client_reply},
                                 {"client|no-evict", &client_no_evict},
                                 {"client|no-touch", &client_no_touch},
                                 {"client|durability", &client_durability},
                                 {"client|pause", &client_pause},
                                 {"client|unpause", &client_unpause},
                                 {"client|unblock", &client_unblock},
                                 {"client|help", &client_help}};

}  // namespace

void bind_client_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
