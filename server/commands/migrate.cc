// server/commands/migrate.cc: MIGRATE: keys move to another server, which gets them by RESTORE.
//
//     handler ─▶ worker: DUMP over a snapshot, then the network ─▶ reactor: what was taken and is still as it
//                                                                  was sent is deleted ─▶ the answer
//
// Others are served meanwhile, so a key may be written while it is under way. It is compared before it goes:
// what has changed stays, and the reply says so.
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/bindings.h"
#include "server/command.h"
#include "server/errors.h"
#include "server/migration.h"
#include "server/rdb/payload.h"
#include "server/server.h"
#include "server/units.h"

namespace server {
namespace {

// What lies in elements is read again on the reactor before it goes: more than this would delay others.
constexpr size_t kComparedBytesMax = 1 << 20;
constexpr int64_t kTimeoutMsMax = 1 << 30;

struct Migration {
  MigrationTarget target;
  bool copy = false;
  std::vector<std::string_view> names;
  std::vector<MigratedKey> keys;
  std::vector<int64_t> expiries_ms;  // Of the keys.
  std::optional<std::string> error;
  std::shared_ptr<const engine::Snapshot> snapshot;
};

bool parse(CommandContext& c, Migration* migration) {
  const auto fail = [&c](std::string_view error) {
    c.reply.error(error);
    return false;
  };
  migration->names = {c.args[3]};
  for (size_t i = 6; i < c.args.size(); ++i) {
    const std::string_view word = c.args[i];
    const size_t more = c.args.size() - 1 - i;
    if (equals_ignoring_case(word, "copy")) {
      migration->copy = true;
    } else if (equals_ignoring_case(word, "replace")) {
      migration->target.replace = true;
    } else if (equals_ignoring_case(word, "auth")) {
      if (more < 1) return fail(kSyntaxError);
      migration->target.auth = {std::string(c.args[++i])};
    } else if (equals_ignoring_case(word, "auth2")) {
      if (more < 2) return fail(kSyntaxError);
      migration->target.auth = {std::string(c.args[i + 1]), std::string(c.args[i + 2])};
      i += 2;
    } else if (equals_ignoring_case(word, "keys")) {
      if (!c.args[3].empty())
        return fail("ERR When using MIGRATE KEYS option, the key argument must be set to the empty string");
      migration->names.assign(c.args.begin() + static_cast<ptrdiff_t>(i) + 1, c.args.end());
      break;
    } else {
      return fail(kSyntaxError);
    }
  }
  const auto timeout = parse_integer(c.args[5]);
  const auto database = parse_integer(c.args[4]);
  if (!timeout || !database) return fail(kNotAnInteger);
  migration->target.host = c.args[1];
  migration->target.port = c.args[2];
  migration->target.own_port = c.server.settings().port;
  migration->target.database = *database;
  if (*timeout > 0) migration->target.timeout_ms = static_cast<int>(std::min(*timeout, kTimeoutMsMax));
  return true;
}

// On a worker.
void dump_and_send(Migration& migration, ObjectId database, int64_t now_ms) {
  try {
    for (MigratedKey& key : migration.keys) {
      const auto reader = migration.snapshot->reader();
      engine::Batch nothing;
      View view(*reader, nullptr, nothing, now_ms);
      const auto header = view.header(database, key.key);
      if (!header) continue;
      if (!rdb::dump({view, database, key.key, *header}, &key.payload)) {
        migration.error = "ERR the serialisation of key '" + key.key + "' would be longer than 512 MB";
        return;
      }
      if (!migration.copy && header->object.id != engine::kNoObject &&
          key.payload.size() > kComparedBytesMax) {
        migration.error = "ERR key '" + key.key +
                          "' is too large to be moved while others may write it: MIGRATE it with COPY, then "
                          "delete it";
        return;
      }
    }
  } catch (const StorageError& error) {
    migration.error = "ERR The data could not be read: " + error.status.message();
    return;
  }
  migration.error = send_keys(migration.target, &migration.keys);
}

// Erases what is there as it was sent. Returns whether something had changed.
bool erase_taken(View& view, const Migration& migration, ObjectId database) {
  bool changed = false;
  std::string payload;
  std::vector<const MigratedKey*> same;
  for (size_t i = 0; i < migration.keys.size(); ++i) {
    const MigratedKey& key = migration.keys[i];
    if (!key.taken) continue;
    const auto header = view.header(database, key.key);
    if (!header) continue;
    if (header->expiry_ms == migration.expiries_ms[i] &&
        rdb::dump({view, database, key.key, *header}, &payload) && payload == key.payload)
      same.push_back(&key);
    else
      changed = true;
  }
  for (const MigratedKey* key : same) view.erase_header(database, key->key);
  return changed;
}

void answer(Server& server, Client& client, const std::optional<std::string>& error, engine::Lsn lsn) {
  server.dispatcher().answer(
      client,
      [error](resp::ReplyWriter& reply) {
        if (error)
          reply.error(*error);
        else
          reply.ok();
      },
      lsn);
}

void migrate(CommandContext& c) {
  auto migration = std::make_shared<Migration>();
  if (!parse(c, migration.get())) return;
  c.view.prefetch_headers(c.database, migration->names);
  const int64_t now_ms = c.view.now_ms();
  for (const std::string_view name : migration->names) {
    const auto header = c.view.header(c.database, name);
    if (!header) continue;
    MigratedKey key;
    key.key = name;
    if (header->expiry_ms != kNoExpiry) key.ttl_ms = std::max<int64_t>(1, header->expiry_ms - now_ms);
    migration->keys.push_back(std::move(key));
    migration->expiries_ms.push_back(header->expiry_ms);
  }
  if (migration->keys.empty()) return c.reply.simple("NOKEY");
  if (c.block == nullptr)
    return c.reply.error("ERR MIGRATE cannot wait for another server inside a transaction or a script");

  Server& server = c.server;
  Client& client = c.client;
  const ObjectId database = c.database;
  migration->names.clear();
  migration->snapshot = server.engine().snapshot();
  server.dispatcher().suspend(client);
  server.env().executor.submit(
      engine::Lane::kLongRead,
      engine::Task([migration, database, now_ms] { dump_and_send(*migration, database, now_ms); }),
      engine::Task([migration, database, &server, &client] {
        migration->snapshot.reset();
        const bool taken = std::any_of(migration->keys.begin(), migration->keys.end(),
                                       [](const MigratedKey& key) { return key.taken; });
        if (migration->copy || !taken) return answer(server, client, migration->error, 0);
        auto changed = std::make_shared<bool>(false);
        server.batches().run(
            [migration, database, changed](View& view) {
              *changed = erase_taken(view, *migration, database);
            },
            [migration, changed, &server, &client](const BatchRunner::Outcome& outcome) {
              std::optional<std::string> error = migration->error;
              if (!outcome.status.ok())
                error = "ERR The keys were copied but not deleted: " + outcome.status.message();
              else if (*changed && !error)
                error = "ERR Some keys were written while they were copied: those are in both places now";
              answer(server, client, error, outcome.end);
            });
      }));
}

constexpr Binding kBindings[] = {{"migrate", &migrate}};

}  // namespace

void bind_migrate_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
