// server/commands/zset_waits.cc: members off the first of several sorted sets that has any, at once or after
// a wait.
#include <algorithm>

#include "server/bindings.h"
#include "server/blocking.h"
#include "server/commands/zset_support.h"
#include "server/errors.h"
#include "server/units.h"

namespace server {
namespace {

// numkeys key [key ...] MIN|MAX [COUNT count], from args[at] on. Nothing: the error is written.
struct MultiPop {
  std::span<const std::string_view> keys;
  ZsetEnd end = ZsetEnd::kMin;
  uint64_t count = 1;
};
std::optional<MultiPop> parse_multi_pop(CommandContext& c, size_t at) {
  const auto fail = [&](std::string_view error) {
    c.reply.error(error);
    return std::nullopt;
  };
  MultiPop what;
  const auto keys = parse_integer(c.args[at]);
  if (!keys || *keys < 1) return fail("ERR numkeys should be greater than 0");
  const size_t first = at + 1;
  if (static_cast<uint64_t>(*keys) >= c.args.size() - first) return fail(kSyntaxError);
  what.keys = c.args.subspan(first, static_cast<size_t>(*keys));
  const size_t where = first + what.keys.size();
  if (equals_ignoring_case(c.args[where], "max"))
    what.end = ZsetEnd::kMax;
  else if (!equals_ignoring_case(c.args[where], "min"))
    return fail(kSyntaxError);
  if (where + 1 == c.args.size()) return what;
  if (!equals_ignoring_case(c.args[where + 1], "count") || where + 2 == c.args.size())
    return fail(kSyntaxError);
  const auto count = parse_integer(c.args[where + 2]);
  if (!count || *count < 1) return fail("ERR count should be greater than 0");
  if (where + 3 != c.args.size()) return fail(kSyntaxError);
  what.count = static_cast<uint64_t>(*count);
  return what;
}

// The first of the keys that holds a sorted set. False: an error is written.
struct Found {
  std::string_view key;
  std::optional<Header> header;
};
bool find_first(CommandContext& c, std::span<const std::string_view> keys, Found* found) {
  c.view.prefetch_headers(c.database, keys);
  for (const std::string_view key : keys) {
    if (!find_zset(c, key, &found->header)) return false;
    found->key = key;
    if (found->header) return true;
  }
  return true;
}

void reply_popped(CommandContext& c, const Found& found, const MultiPop& what) {
  const auto popped = pop_members(c, found.key, *found.header, what.end, what.count);
  c.reply.array(2);
  c.reply.bulk(found.key);
  c.reply.array(popped.size());
  for (const auto& [member, score] : popped) {
    c.reply.array(2);
    c.reply.bulk(member);
    c.reply.number(score);
  }
}

void zmpop(CommandContext& c) {
  const auto what = parse_multi_pop(c, 1);
  Found found;
  if (!what || !find_first(c, what->keys, &found)) return;
  if (!found.header) return c.reply.null_array();
  reply_popped(c, found, *what);
}

void bzmpop(CommandContext& c) {
  const auto timeout_ms = parse_block_timeout(c, c.args[1]);
  if (!timeout_ms) return;
  const auto what = parse_multi_pop(c, 2);
  Found found;
  if (!what || !find_first(c, keys_to_try(c, what->keys), &found)) return;
  if (!found.header) return block_for(c, Type::kZset, what->keys, *timeout_ms, Nothing::kNullArray);
  reply_popped(c, found, *what);
}

void pop_or_wait(CommandContext& c, ZsetEnd end) {
  const auto timeout_ms = parse_block_timeout(c, c.args.back());
  if (!timeout_ms) return;
  const auto keys = c.args.subspan(1, c.args.size() - 2);
  Found found;
  if (!find_first(c, keys_to_try(c, keys), &found)) return;
  if (!found.header) return block_for(c, Type::kZset, keys, *timeout_ms, Nothing::kNullArray);
  const auto popped = pop_members(c, found.key, *found.header, end, 1);
  c.reply.array(3);
  c.reply.bulk(found.key);
  c.reply.bulk(popped[0].member);
  c.reply.number(popped[0].score);
}
void bzpopmin(CommandContext& c) { pop_or_wait(c, ZsetEnd::kMin); }
void bzpopmax(CommandContext& c) { pop_or_wait(c, ZsetEnd::kMax); }

constexpr Binding kBindings[] = {
    {"zmpop", &zmpop}, {"bzmpop", &bzmpop}, {"bzpopmin", &bzpopmin}, {"bzpopmax", &bzpopmax}};

}  // namespace

void bind_zset_wait_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
