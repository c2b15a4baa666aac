// server/commands/zset_waits.cc: members off the first of several sorted sets that has any, at once or after
// a wait.
#include <algorithm>

#include "server/bindings.h"
#include "server/blocking.h"
#include "server/commands/multi_pop.h"
#include "server/commands/zset_support.h"
#include "server/errors.h"
#include "server/units.h"

namespace server {
namespace {

using ZsetMultiPop = MultiPop<ZsetEnd>;

std::optional<ZsetEnd> parse_zset_end(std::string_view word) {
  if (equals_ignoring_case(word, "min")) return ZsetEnd::kMin;
  if (equals_ignoring_case(word, "max")) return ZsetEnd::kMax;
  return std::nullopt;
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

void reply_popped(CommandContext& c, const Found& found, const ZsetMultiPop& what) {
  const auto write = [key = std::string(found.key)](resp::ReplyWriter& reply,
                                                    const std::vector<Zset::Found>& popped) {
    reply.array(2);
    reply.bulk(key);
    reply.array(popped.size());
    for (const auto& [member, score] : popped) {
      reply.array(2);
      reply.bulk(member);
      reply.number(score);
    }
  };
  pop_members(c, found.key, *found.header, what.end, what.count, write);
}

void zmpop(CommandContext& c) {
  const auto what = parse_multi_pop(c, 1, &parse_zset_end);
  Found found;
  if (!what || !find_first(c, what->keys, &found)) return;
  if (!found.header) return c.reply.null_array();
  reply_popped(c, found, *what);
}

void bzmpop(CommandContext& c) {
  const auto timeout_ms = parse_block_timeout(c, c.args[1]);
  if (!timeout_ms) return;
  const auto what = parse_multi_pop(c, 2, &parse_zset_end);
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
  pop_members(c, found.key, *found.header, end, 1,
              [&](resp::ReplyWriter& reply, const std::vector<Zset::Found>& popped) {
                reply.array(3);
                reply.bulk(found.key);
                reply.bulk(popped[0].member);
                reply.number(popped[0].score);
              });
}
void bzpopmin(CommandContext& c) { pop_or_wait(c, ZsetEnd::kMin); }
void bzpopmax(CommandContext& c) { pop_or_wait(c, ZsetEnd::kMax); }

constexpr Binding kBindings[] = {
    {"zmpop", &zmpop}, {"bzmpop", &bzmpop}, {"bzpopmin", &bzpopmin}, {"bzpopmax", &bzpopmax}};

}  // namespace

void bind_zset_wait_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
