// server/commands/list_moves.cc: elements from one of several lists, or from list to list.
#include <algorithm>

#include "server/bindings.h"
#include "server/commands/list_support.h"
#include "server/errors.h"
#include "server/long_write.h"
#include "server/units.h"

namespace server {

bool find_list(CommandContext& c, std::string_view key, std::optional<List>* list) {
  const auto header = c.view.header(c.database, key);
  if (!header) return true;
  if (header->type != Type::kList) {
    c.reply.error(kWrongType);
    return false;
  }
  list->emplace(c.view, c.database, key, header);
  return true;
}

bool open_list(CommandContext& c, std::string_view key, std::optional<List>* list) {
  if (!find_list(c, key, list)) return false;
  if (!*list) list->emplace(c.view, c.database, key, std::nullopt);
  return true;
}

std::optional<End> parse_end(std::string_view word) {
  if (equals_ignoring_case(word, "left")) return End::kLeft;
  if (equals_ignoring_case(word, "right")) return End::kRight;
  return std::nullopt;
}

void tell_pushed(CommandContext& c, std::string_view key, End end) {
  c.event(notify::kList, end == End::kLeft ? "lpush" : "rpush", key);
}

void tell_removed(CommandContext& c, std::string_view key, const char* name, const List& list) {
  c.event(notify::kList, name, key);
  if (list.size() == 0) c.event(notify::kGeneric, "del", key);
}

void reply_popped(CommandContext& c, std::string_view key, List& list, End end, uint64_t count) {
  const uint64_t size = list.size();
  count = std::min(count, size);
  c.reply.array(count);
  if (count == 0) return;
  if (count > kStepsOnReactor) may_take_long(c, key);
  const bool left = end == End::kLeft;
  for (List::Walk walk(list, left ? 0 : size - 1, left, count); walk.next();) c.reply.bulk(walk.value());
  list.trim(left ? count : 0, size - count);
  list.save();
  tell_removed(c, key, pop_event(end), list);
}

bool try_pop(CommandContext& c, std::span<const std::string_view> keys, End end) {
  c.view.prefetch_headers(c.database, keys);
  for (const std::string_view key : keys) {
    std::optional<List> list;
    if (!find_list(c, key, &list)) return true;
    if (!list) continue;
    c.reply.array(2);
    c.reply.bulk(key);
    c.reply.bulk(list->pop(end));
    list->save();
    tell_removed(c, key, pop_event(end), *list);
    return true;
  }
  return false;
}

bool try_multi_pop(CommandContext& c, const ListMultiPop& what) {
  c.view.prefetch_headers(c.database, what.keys);
  for (const std::string_view key : what.keys) {
    std::optional<List> list;
    if (!find_list(c, key, &list)) return true;
    if (!list) continue;
    c.reply.array(2);
    c.reply.bulk(key);
    reply_popped(c, key, *list, what.end, what.count);
    return true;
  }
  return false;
}

bool try_move(CommandContext& c, std::string_view from, std::string_view to, End from_end, End to_end) {
  const std::string_view keys[] = {from, to};
  c.view.prefetch_headers(c.database, keys);
  std::optional<List> source, destination;
  if (!find_list(c, from, &source)) return true;
  if (!source) return false;
  const bool same = from == to;
  if (!same && !open_list(c, to, &destination)) return true;
  if (same && from_end == to_end) {
    c.reply.bulk(source->at(from_end == End::kLeft ? 0 : source->size() - 1));
    tell_pushed(c, to, to_end);
    tell_removed(c, from, pop_event(from_end), *source);
    return true;
  }
  const std::string_view element = source->pop(from_end);
  (same ? source : destination)->push(to_end, element);
  if (!same) destination->save();
  tell_pushed(c, to, to_end);  // As Redis has it: first the one, then the other.
  source->save();
  tell_removed(c, from, pop_event(from_end), *source);
  c.reply.bulk(element);
  return true;
}

namespace {

void move_element(CommandContext& c, End from_end, End to_end) {
  if (!try_move(c, c.args[1], c.args[2], from_end, to_end)) c.reply.null();
}

void lmove(CommandContext& c) {
  const auto from_end = parse_end(c.args[3]);
  const auto to_end = parse_end(c.args[4]);
  if (!from_end || !to_end) return c.reply.error(kSyntaxError);
  move_element(c, *from_end, *to_end);
}
void rpoplpush(CommandContext& c) { move_element(c, End::kRight, End::kLeft); }

void lmpop(CommandContext& c) {
  const auto what = parse_multi_pop(c, 1, &parse_end);
  if (what && !try_multi_pop(c, *what)) c.reply.null_array();
}

constexpr Binding kBindings[] = {{"lmove", &lmove}, {"rpoplpush", &rpoplpush}, {"lmpop", &lmpop}};

}  // namespace

void bind_list_move_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
