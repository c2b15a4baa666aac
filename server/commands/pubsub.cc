// server/commands/pubsub.cc: channels: SUBSCRIBE, PUBLISH, PUBSUB and their relatives.
//
// Who listens to what changes at once. Within a transaction, which may run again for want of a block, every
// change says how it is taken back.
#include "server/pubsub.h"

#include <optional>
#include <string>

#include "server/bindings.h"
#include "server/command.h"
#include "server/commands/command_docs.h"
#include "server/glob.h"
#include "server/server.h"

namespace server {
namespace {

using Kind = PubSub::Kind;

uint32_t count_of(const Session& session, Kind kind) {
  const auto& counts = session.subscriptions;
  if (kind == Kind::kShard) return counts[static_cast<size_t>(Kind::kShard)];
  return counts[static_cast<size_t>(Kind::kChannel)] + counts[static_cast<size_t>(Kind::kPattern)];
}

void confirm(CommandContext& c, Kind kind, std::string_view word, std::optional<std::string_view> name) {
  c.reply.push(3);
  c.reply.bulk(word);
  if (name)
    c.reply.bulk(*name);
  else
    c.reply.null();
  c.reply.integer(count_of(c.client.session, kind));
}

bool in_transaction(const CommandContext& c) { return c.block == nullptr; }

void subscribe_to(CommandContext& c, Kind kind, std::string_view word) {
  PubSub& pubsub = c.server.pubsub();
  for (const std::string_view name : c.args.subspan(1)) {
    if (pubsub.subscribe(c.client, kind, name) && in_transaction(c)) {
      c.effects->on_take_back([&pubsub, &client = c.client, kind, name = std::string(name)] {
        pubsub.unsubscribe(client, kind, name);
      });
    }
    confirm(c, kind, word, name);
  }
}

void unsubscribe_one(CommandContext& c, Kind kind, std::string_view word, std::string_view name) {
  PubSub& pubsub = c.server.pubsub();
  if (pubsub.unsubscribe(c.client, kind, name) && in_transaction(c)) {
    c.effects->on_take_back([&pubsub, &client = c.client, kind, name = std::string(name)] {
      pubsub.subscribe(client, kind, name);
    });
  }
  confirm(c, kind, word, name);
}

void unsubscribe_from(CommandContext& c, Kind kind, std::string_view word) {
  if (c.args.size() > 1) {
    for (const std::string_view name : c.args.subspan(1)) unsubscribe_one(c, kind, word, name);
    return;
  }
  const std::vector<std::string> all = c.server.pubsub().subscriptions(c.client, kind);
  if (all.empty()) return confirm(c, kind, word, std::nullopt);
  for (const std::string& name : all) unsubscribe_one(c, kind, word, name);
}

void subscribe(CommandContext& c) { subscribe_to(c, Kind::kChannel, "subscribe"); }
void psubscribe(CommandContext& c) { subscribe_to(c, Kind::kPattern, "psubscribe"); }
void ssubscribe(CommandContext& c) {
  if (in_transaction(c))  // The other two are let through there for old times' sake.
    return c.reply.error("ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client");
  subscribe_to(c, Kind::kShard, "ssubscribe");
}
void unsubscribe(CommandContext& c) { unsubscribe_from(c, Kind::kChannel, "unsubscribe"); }
void punsubscribe(CommandContext& c) { unsubscribe_from(c, Kind::kPattern, "punsubscribe"); }
void sunsubscribe(CommandContext& c) { unsubscribe_from(c, Kind::kShard, "sunsubscribe"); }

void publish_to(CommandContext& c, bool sharded) {
  c.effects->publish(c.args[1], c.args[2], sharded);
  c.reply.integer(static_cast<int64_t>(c.server.pubsub().receivers(c.args[1], sharded)));
}
void publish(CommandContext& c) { publish_to(c, false); }
void spublish(CommandContext& c) { publish_to(c, true); }

// ---- PUBSUB

void list_names(CommandContext& c, Kind kind) {
  if (c.args.size() > 3) {
    return c.reply.error("ERR unknown subcommand or wrong number of arguments for '" +
                         std::string(c.args[1].substr(0, 128)) + "'. Try PUBSUB HELP.");
  }
  const auto open = c.reply.open_array();
  size_t count = 0;
  c.server.pubsub().each_name(kind, [&](std::string_view name) {
    if (c.args.size() == 3 && !glob_match(c.args[2], name)) return;
    c.reply.bulk(name);
    ++count;
  });
  c.reply.close(open, count);
}
void channels(CommandContext& c) { list_names(c, Kind::kChannel); }
void shardchannels(CommandContext& c) { list_names(c, Kind::kShard); }

void count_listeners(CommandContext& c, Kind kind) {
  c.reply.array((c.args.size() - 2) * 2);
  for (const std::string_view name : c.args.subspan(2)) {
    c.reply.bulk(name);
    c.reply.integer(static_cast<int64_t>(c.server.pubsub().listeners(kind, name)));
  }
}
void numsub(CommandContext& c) { count_listeners(c, Kind::kChannel); }
void shardnumsub(CommandContext& c) { count_listeners(c, Kind::kShard); }

void numpat(CommandContext& c) {
  c.reply.integer(static_cast<int64_t>(c.server.pubsub().size(Kind::kPattern)));
}
void help(CommandContext& c) { container_help(c.server.table(), "pubsub", c.reply); }

constexpr Binding kBindings[] = {{"subscribe", &subscribe},
                                 {"unsubscribe", &unsubscribe},
                                 {"psubscribe", &psubscribe},
                                 {"punsubscribe", &punsubscribe},
                                 {"ssubscribe", &ssubscribe},
                                 {"sunsubscribe", &sunsubscribe},
                                 {"publish", &publish},
                                 {"spublish", &spublish},
                                 {"pubsub|channels", &channels},
                                 {"pubsub|numpat", &numpat},
                                 {"pubsub|numsub", &numsub},
                                 {"pubsub|shardchannels", &shardchannels},
                                 {"pubsub|shardnumsub", &shardnumsub},
                                 {"pubsub|help", &help}};

}  // namespace

void bind_pubsub_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
