// server/commands/set_algebra.cc: SINTER, SUNION, SDIFF, their STORE forms, SINTERCARD.
#include <vector>

#include "server/bindings.h"
#include "server/commands/set_support.h"
#include "server/errors.h"
#include "server/long_write.h"
#include "server/types/set_algebra.h"
#include "server/units.h"

namespace server {
namespace {

using Names = std::span<const std::string_view>;
using Operation = void (*)(std::span<Set> sets, const UseMember& use);

// False: a key holds something else, and the error is written.
bool find_sets(CommandContext& c, Names keys, std::vector<Set>* sets, bool stores = false) {
  c.view.prefetch_headers(c.database, keys);
  sets->reserve(keys.size());
  for (const std::string_view key : keys) {
    std::optional<Header> header;
    if (!find_set(c, key, &header)) return false;
    if (!header && stores) c.event(notify::kKeyMiss, "keymiss", key);  // It writes, but these it reads.
    sets->emplace_back(c.view, c.database, key, header);
  }
  return true;
}

void reply_result(CommandContext& c, Operation operation) {
  std::vector<Set> sets;
  if (!find_sets(c, c.args.subspan(1), &sets)) return;
  const auto open = c.reply.open_set();
  size_t members = 0;
  operation(sets, [&](std::string_view member) {
    c.reply.bulk(member);
    ++members;
    return true;
  });
  c.reply.close(open, members);
}

void store_result(CommandContext& c, Operation operation, const char* event) {
  std::vector<Set> sets;
  may_take_long(c, c.args[1]);
  if (!find_sets(c, c.args.subspan(2), &sets, true)) return;
  SetBuilder result;
  operation(sets, [&](std::string_view member) {
    result.add(member);
    return true;
  });
  const bool empty = result.size() == 0;
  const bool deletes = empty && c.view.header(c.database, c.args[1]).has_value();
  result.write(c.view, c.database, c.args[1], kNoExpiry, set_limits(c), c.random_seed);
  if (!empty)
    c.event(notify::kSet, event, c.args[1]);
  else if (deletes)
    c.event(notify::kGeneric, "del", c.args[1]);
  c.reply.integer(static_cast<int64_t>(result.size()));
}

void sinter(CommandContext& c) { reply_result(c, &intersect); }
void sunion(CommandContext& c) { reply_result(c, &unite); }
void sdiff(CommandContext& c) { reply_result(c, &subtract); }
void sinterstore(CommandContext& c) { store_result(c, &intersect, "sinterstore"); }
void sunionstore(CommandContext& c) { store_result(c, &unite, "sunionstore"); }
void sdiffstore(CommandContext& c) { store_result(c, &subtract, "sdiffstore"); }

// SINTERCARD numkeys key [key ...] [LIMIT limit]
void sintercard(CommandContext& c) {
  const auto count = parse_integer(c.args[1]);
  if (!count || *count <= 0) return c.reply.error("ERR numkeys should be greater than 0");
  if (static_cast<uint64_t>(*count) > c.args.size() - 2)
    return c.reply.error("ERR Number of keys can't be greater than number of args");
  const Names keys = c.args.subspan(2, static_cast<size_t>(*count));
  int64_t limit = 0;
  for (size_t i = 2 + keys.size(); i < c.args.size(); i += 2) {
    if (!equals_ignoring_case(c.args[i], "limit") || i + 1 == c.args.size())
      return c.reply.error(kSyntaxError);
    const auto given = parse_integer(c.args[i + 1]);
    if (!given || *given < 0) return c.reply.error("ERR LIMIT can't be negative");
    limit = *given;
  }
  std::vector<Set> sets;
  if (!find_sets(c, keys, &sets)) return;
  int64_t members = 0;
  intersect(sets, [&](std::string_view) { return ++members != limit; });
  c.reply.integer(members);
}

constexpr Binding kBindings[] = {
    {"sinter", &sinter},           {"sunion", &sunion},         {"sdiff", &sdiff},
    {"sinterstore", &sinterstore}, {"sdiffstore", &sdiffstore}, {"sunionstore", &sunionstore},
    {"sintercard", &sintercard},
};

}  // namespace

void bind_set_algebra_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
