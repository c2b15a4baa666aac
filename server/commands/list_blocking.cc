// server/commands/list_blocking.cc: the list commands that wait when there is nothing to take.
#include "server/bindings.h"
#include "server/blocking.h"
#include "server/commands/list_support.h"
#include "server/errors.h"

namespace server {
namespace {

void pop_or_wait(CommandContext& c, End end) {
  const auto timeout_ms = parse_block_timeout(c, c.args.back());
  if (!timeout_ms) return;
  const auto keys = c.args.subspan(1, c.args.size() - 2);
  if (!try_pop(c, keys_to_try(c, keys), end))
    block_for(c, Type::kList, keys, *timeout_ms, Nothing::kNullArray);
}
void blpop(CommandContext& c) { pop_or_wait(c, End::kLeft); }
void brpop(CommandContext& c) { pop_or_wait(c, End::kRight); }

void move_or_wait(CommandContext& c, End from_end, End to_end) {
  const auto timeout_ms = parse_block_timeout(c, c.args.back());
  if (!timeout_ms) return;
  if (!try_move(c, c.args[1], c.args[2], from_end, to_end))
    block_for(c, Type::kList, c.args.subspan(1, 1), *timeout_ms, Nothing::kNull);
}
void blmove(CommandContext& c) {
  const auto from_end = parse_end(c.args[3]);
  const auto to_end = parse_end(c.args[4]);
  if (!from_end || !to_end) return c.reply.error(kSyntaxError);
  move_or_wait(c, *from_end, *to_end);
}
void brpoplpush(CommandContext& c) { move_or_wait(c, End::kRight, End::kLeft); }

void blmpop(CommandContext& c) {
  const auto timeout_ms = parse_block_timeout(c, c.args[1]);
  if (!timeout_ms) return;
  auto what = parse_multi_pop(c, 2, &parse_end);
  if (!what) return;
  const auto keys = what->keys;
  what->keys = keys_to_try(c, keys);
  if (!try_multi_pop(c, *what)) block_for(c, Type::kList, keys, *timeout_ms, Nothing::kNullArray);
}

constexpr Binding kBindings[] = {{"blpop", &blpop},
                                 {"brpop", &brpop},
                                 {"blmove", &blmove},
                                 {"brpoplpush", &brpoplpush},
                                 {"blmpop", &blmpop}};

}  // namespace

void bind_list_wait_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
