// server/commands/lists.cc: lists by their ends and by position.
#include <algorithm>
#include <deque>
#include <limits>
#include <string>

#include "server/bindings.h"
#include "server/commands/list_support.h"
#include "server/commands/listings.h"
#include "server/errors.h"
#include "server/long_reply.h"
#include "server/long_write.h"
#include "server/units.h"

namespace server {
namespace {

// ---- pushing

void push(CommandContext& c, End end, bool only_present) {
  std::optional<List> list;
  if (!(only_present ? find_list(c, c.args[1], &list) : open_list(c, c.args[1], &list))) return;
  if (!list) return c.reply.integer(0);
  for (const std::string_view element : c.args.subspan(2)) list->push(end, element);
  list->save();
  tell_pushed(c, c.args[1], end);
  c.reply.integer(static_cast<int64_t>(list->size()));
}
void lpush(CommandContext& c) { push(c, End::kLeft, false); }
void rpush(CommandContext& c) { push(c, End::kRight, false); }
void lpushx(CommandContext& c) { push(c, End::kLeft, true); }
void rpushx(CommandContext& c) { push(c, End::kRight, true); }

void linsert(CommandContext& c) {
  const bool after = equals_ignoring_case(c.args[2], "after");
  if (!after && !equals_ignoring_case(c.args[2], "before")) return c.reply.error(kSyntaxError);
  may_take_long(c, c.args[1]);
  std::optional<List> list;
  if (!find_list(c, c.args[1], &list)) return;
  if (!list) return c.reply.integer(0);
  std::optional<uint64_t> pivot;
  for (List::Walk walk(*list, 0, true, list->size()); walk.next();) {
    if (walk.value() != c.args[3]) continue;
    pivot = walk.position();
    break;
  }
  if (!pivot) return c.reply.integer(-1);
  list->insert(*pivot + after, c.args[4]);
  list->save();
  c.event(notify::kList, "linsert", c.args[1]);
  c.reply.integer(static_cast<int64_t>(list->size()));
}

// ---- popping

void pop(CommandContext& c, End end) {
  if (c.args.size() > 3) {
    return c.reply.error("ERR wrong number of arguments for '" + lower(c.args[0]) + "' command");
  }
  const bool counted = c.args.size() == 3;
  int64_t count = 1;
  if (counted) {
    const auto given = parse_integer(c.args[2]);
    if (!given || *given < 0) return c.reply.error("ERR value is out of range, must be positive");
    count = *given;
  }
  std::optional<List> list;
  if (!find_list(c, c.args[1], &list)) return;
  if (!list) return counted ? c.reply.null_array() : c.reply.null();
  if (counted) return reply_popped(c, c.args[1], *list, end, static_cast<uint64_t>(count));
  c.reply.bulk(list->pop(end));
  list->save();
  tell_removed(c, c.args[1], pop_event(end), *list);
}
void lpop(CommandContext& c) { pop(c, End::kLeft); }
void rpop(CommandContext& c) { pop(c, End::kRight); }

// ---- by position

void llen(CommandContext& c) {
  std::optional<List> list;
  if (!find_list(c, c.args[1], &list)) return;
  c.reply.integer(list ? static_cast<int64_t>(list->size()) : 0);
}

// Where an index that may count from the end lies; nothing if outside.
std::optional<uint64_t> position_of(const List& list, int64_t index) {
  const auto size = static_cast<int64_t>(list.size());
  if (index < -size || index >= size) return std::nullopt;
  return static_cast<uint64_t>(index < 0 ? index + size : index);
}

void lindex(CommandContext& c) {
  std::optional<List> list;
  if (!find_list(c, c.args[1], &list)) return;
  if (!list) return c.reply.null();
  const auto index = parse_integer(c.args[2]);
  if (!index) return c.reply.error(kNotAnInteger);
  const auto position = position_of(*list, *index);
  if (!position) return c.reply.null();
  c.reply.bulk(list->at(*position));
}

void lset(CommandContext& c) {
  std::optional<List> list;
  if (!find_list(c, c.args[1], &list)) return;
  if (!list) return c.reply.error(kNoSuchKey);
  const auto index = parse_integer(c.args[2]);
  if (!index) return c.reply.error(kNotAnInteger);
  const auto position = position_of(*list, *index);
  if (!position) return c.reply.error("ERR index out of range");
  list->set(*position, c.args[3]);
  list->save();
  c.event(notify::kList, "lset", c.args[1]);
  c.reply.ok();
}

// [first, first + count) of a list, from indexes that may lie anywhere and count from the end.
struct Part {
  uint64_t first = 0, count = 0;
};
Part part_of(const List& list, int64_t start, int64_t stop) {
  const auto size = static_cast<int64_t>(list.size());
  if (start < 0) start = std::max<int64_t>(start < -size ? 0 : start + size, 0);
  if (stop < 0) stop = stop < -size ? -1 : stop + size;
  stop = std::min(stop, size - 1);
  if (start > stop) return {};
  return {static_cast<uint64_t>(start), static_cast<uint64_t>(stop - start + 1)};
}

void lrange(CommandContext& c) {
  const auto start = parse_integer(c.args[2]);
  const auto stop = parse_integer(c.args[3]);
  if (!start || !stop) return c.reply.error(kNotAnInteger);
  std::optional<List> list;
  if (!find_list(c, c.args[1], &list)) return;
  if (!list) return c.reply.array(0);
  const Part part = part_of(*list, *start, *stop);
  LongReply whole(c);
  c.reply.array(part.count);
  for (List::Walk walk(*list, part.first, true, part.count); walk.next();) {
    c.reply.bulk(walk.value());
    if (!whole.goes_on())
      return whole.give_up([&] { return list_listing(c, c.args[1], part.first, part.count); });
  }
}

void ltrim(CommandContext& c) {
  const auto start = parse_integer(c.args[2]);
  const auto stop = parse_integer(c.args[3]);
  if (!start || !stop) return c.reply.error(kNotAnInteger);
  std::optional<List> list;
  if (!find_list(c, c.args[1], &list)) return;
  if (list) {
    const Part part = part_of(*list, *start, *stop);
    if (part.count < list->size()) {
      list->trim(part.first, part.count);
      list->save();
    }
    tell_removed(c, c.args[1], "ltrim", *list);
  }
  c.reply.ok();
}

// ---- by value

// So many elements go that those that stay are written as a new list, and the old one dies as a whole: what
// is made anew can go into the store in steps (server/long_write.h).
constexpr size_t kErasedOneByOneMax = 5000;

// `positions` rise.
void leave_out(CommandContext& c, List& list, std::span<const uint64_t> positions) {
  List staying = List::in_place_of(c.view, c.database, c.args[1], *c.view.header(c.database, c.args[1]));
  std::deque<std::string> first;  // What is pushed must live as long as the list is small.
  for (List::Walk walk(list, 0, true, list.size()); walk.next();) {
    if (!positions.empty() && walk.position() == positions.front()) {
      positions = positions.subspan(1);
      continue;
    }
    const bool small = staying.size() <= 2 * ListLimits().inline_entries;
    staying.push(End::kRight, small ? first.emplace_back(walk.value()) : walk.value());
  }
  staying.save();
  tell_removed(c, c.args[1], "lrem", staying);
}

void lrem(CommandContext& c) {
  const auto given = parse_integer(c.args[2]);
  if (!given) return c.reply.error(kNotAnInteger);
  may_take_long(c, c.args[1]);
  std::optional<List> list;
  if (!find_list(c, c.args[1], &list)) return;
  if (!list) return c.reply.integer(0);
  const bool forward = *given >= 0;
  // -(2^63) has no positive twin in int64_t.
  const uint64_t wanted = *given == 0 ? list->size()
                          : forward   ? static_cast<uint64_t>(*given)
                                      : -static_cast<uint64_t>(*given);
  std::vector<uint64_t> found;
  {
    List::Walk walk(*list, forward ? 0 : list->size() - 1, forward, list->size());
    while (found.size() < wanted && walk.next()) {
      if (walk.value() == c.args[3]) found.push_back(walk.position());
    }
  }
  if (found.size() > kErasedOneByOneMax) {
    if (!forward) std::reverse(found.begin(), found.end());
    leave_out(c, *list, found);
    return c.reply.integer(static_cast<int64_t>(found.size()));
  }
  // From the back, so that positions stay what they are.
  if (forward) std::reverse(found.begin(), found.end());
  for (const uint64_t position : found) list->erase(position);
  if (!found.empty()) {
    list->save();
    tell_removed(c, c.args[1], "lrem", *list);
  }
  c.reply.integer(static_cast<int64_t>(found.size()));
}

// LPOS key element [RANK rank] [COUNT count] [MAXLEN length]
void lpos(CommandContext& c) {
  int64_t rank = 1, max_length = 0;
  std::optional<int64_t> count;
  for (size_t i = 3; i < c.args.size(); i += 2) {
    if (i + 1 == c.args.size()) return c.reply.error(kSyntaxError);
    const auto number = parse_integer(c.args[i + 1]);
    if (equals_ignoring_case(c.args[i], "rank")) {
      if (!number) return c.reply.error(kNotAnInteger);
      if (*number == std::numeric_limits<int64_t>::min()) {
        return c.reply.error(
            "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807");
      }
      if (*number == 0) {
        return c.reply.error(
            "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use "
            "negative to "
            "start from the end of the list");
      }
      rank = *number;
    } else if (equals_ignoring_case(c.args[i], "count")) {
      if (!number || *number < 0) return c.reply.error("ERR COUNT can't be negative");
      count = *number;
    } else if (equals_ignoring_case(c.args[i], "maxlen")) {
      if (!number || *number < 0) return c.reply.error("ERR MAXLEN can't be negative");
      max_length = *number;
    } else {
      return c.reply.error(kSyntaxError);
    }
  }
  std::optional<List> list;
  if (!find_list(c, c.args[1], &list)) return;
  if (!list) return count ? c.reply.array(0) : c.reply.null();

  const bool forward = rank > 0;
  const auto skip = static_cast<uint64_t>(forward ? rank : -rank) - 1;
  const uint64_t wanted = !count ? 1 : *count == 0 ? list->size() : static_cast<uint64_t>(*count);
  const uint64_t looked =
      max_length == 0 ? list->size() : std::min(list->size(), static_cast<uint64_t>(max_length));
  uint64_t matches = 0;
  std::vector<uint64_t> found;
  List::Walk walk(*list, forward ? 0 : list->size() - 1, forward, looked);
  while (found.size() < wanted && walk.next()) {
    if (walk.value() == c.args[2] && matches++ >= skip) found.push_back(walk.position());
  }
  if (!count) return found.empty() ? c.reply.null() : c.reply.integer(static_cast<int64_t>(found[0]));
  c.reply.array(found.size());
  for (const uint64_t position : found) c.reply.integer(static_cast<int64_t>(position));
}

constexpr Binding kBindings[] = {
    {"lpush", &lpush},   {"rpush", &rpush}, {"lpushx", &lpushx}, {"rpushx", &rpushx}, {"linsert", &linsert},
    {"lpop", &lpop},     {"rpop", &rpop},   {"llen", &llen},     {"lindex", &lindex}, {"lset", &lset},
    {"lrange", &lrange}, {"ltrim", &ltrim}, {"lrem", &lrem},     {"lpos", &lpos},
};

}  // namespace

void bind_list_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
