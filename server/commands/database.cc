// server/commands/database.cc: whole databases: DBSIZE, FLUSHDB, FLUSHALL, SWAPDB.
#include <climits>
#include <optional>

#include "server/bindings.h"
#include "server/command.h"
#include "server/errors.h"
#include "server/server.h"
#include "server/units.h"

namespace server {
namespace {

// Exact. While some blind overwrites have not been looked at, a worker looks at them.
void dbsize(CommandContext& c) {
  if (c.snapshot != nullptr) {
    const auto count = c.snapshot->count(c.database);
    if (!count.ok()) throw StorageError{count.status()};
    c.seen = c.snapshot->lsn();
    return c.reply.integer(static_cast<int64_t>(count.value()));
  }
  engine::Engine& engine = c.server.engine();
  c.seen = engine.end();
  if (engine.unsettled() == 0)
    return c.reply.integer(static_cast<int64_t>(engine.count(c.database)) +
                           c.view.change_of_count(c.database));
  if (!c.nested) throw LongRead{};
  const auto count =
      engine.snapshot()->count(c.database);  // Blocks: a transaction cannot leave for a worker.
  if (!count.ok()) throw StorageError{count.status()};
  c.reply.integer(static_cast<int64_t>(count.value()) + c.view.change_of_count(c.database));
}

// Whether the words after the command's name are none, ASYNC or SYNC. Both take the same time here: none.
bool only_flush_mode(CommandContext& c) {
  if (c.args.size() == 1) return true;
  if (c.args.size() == 2 &&
      (equals_ignoring_case(c.args[1], "async") || equals_ignoring_case(c.args[1], "sync"))) {
    return true;
  }
  c.reply.error(kSyntaxError);
  return false;
}

void flushdb(CommandContext& c) {
  if (!only_flush_mode(c)) return;
  c.server.databases().empty(c.view, c.database_number);
  c.databases_changed = true;
  c.reply.ok();
}

void flushall(CommandContext& c) {
  if (!only_flush_mode(c)) return;
  Databases& databases = c.server.databases();
  // One is emptied in any case: who tracks keys that are not there is told all the same.
  databases.empty(c.view, c.database_number);
  for (uint32_t number = 0; number < databases.count(); ++number) {
    // A count is never too low, so a database that is passed over is empty. But it knows nothing of what this
    // transaction has written.
    if (number == c.database_number) continue;
    if (c.nested || c.server.engine().count(databases.object(number)) > 0) databases.empty(c.view, number);
  }
  c.databases_changed = true;
  c.reply.ok();
}

void swapdb(CommandContext& c) {
  Databases& databases = c.server.databases();
  const auto read = [&](std::string_view arg, std::string_view error) -> std::optional<int64_t> {
    const auto number = parse_integer(arg);
    if (!number || *number < INT_MIN || *number > INT_MAX) {
      c.reply.error(error);
      return std::nullopt;
    }
    return number;
  };
  const auto a = read(c.args[1], "ERR invalid first DB index");
  if (!a) return;
  const auto b = read(c.args[2], "ERR invalid second DB index");
  if (!b) return;
  if (*a < 0 || *b < 0 || *a >= databases.count() || *b >= databases.count())
    return c.reply.error(kBadDatabase);
  if (*a != *b) {
    databases.swap(c.view, static_cast<uint32_t>(*a), static_cast<uint32_t>(*b));
    c.databases_changed = true;
  }
  c.reply.ok();
}

constexpr Binding kBindings[] = {
    {"dbsize", &dbsize}, {"flushdb", &flushdb}, {"flushall", &flushall}, {"swapdb", &swapdb}};

}  // namespace

void bind_database_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
