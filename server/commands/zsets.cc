// server/commands/zsets.cc: sorted sets by member: ZADD, ZREM, ZSCORE, ZRANK and relatives; popping; ZSCAN.
#include <cmath>
#include <limits>
#include <set>
#include <string>

#include "server/bindings.h"
#include "server/commands/element_scan.h"
#include "server/commands/random_count.h"
#include "server/commands/zset_support.h"
#include "server/errors.h"
#include "server/random.h"
#include "server/units.h"

namespace server {
namespace {

// ---- adding

// args from `first` on: score member …
void add(CommandContext& c, const AddOptions& options, size_t first) {
  const size_t count = (c.args.size() - first) / 2;
  std::vector<double> scores(count);
  std::vector<std::string_view> members(count);
  for (size_t i = 0; i < count; ++i) {
    const auto score = parse_double(c.args[first + 2 * i]);
    if (!score) return c.reply.error(kNotAFloat);
    scores[i] = *score;
    members[i] = c.args[first + 2 * i + 1];
  }
  add_members(c, options, scores, members);
}

void zadd(CommandContext& c) {
  AddOptions options;
  size_t first = 2;
  for (; first < c.args.size(); ++first) {
    if (options.take(c.args[first])) continue;
    if (equals_ignoring_case(c.args[first], "incr"))
      options.increment = true;
    else if (equals_ignoring_case(c.args[first], "gt"))
      options.greater = true;
    else if (equals_ignoring_case(c.args[first], "lt"))
      options.less = true;
    else
      break;
  }
  const size_t rest = c.args.size() - first;
  if (rest == 0 || rest % 2 != 0) return c.reply.error(kSyntaxError);
  if (options.only_absent && options.only_present)
    return c.reply.error("ERR XX and NX options at the same time are not compatible");
  if ((options.greater && options.only_absent) || (options.less && options.only_absent) ||
      (options.greater && options.less))
    return c.reply.error("ERR GT, LT, and/or NX options at the same time are not compatible");
  if (options.increment && rest > 2)
    return c.reply.error("ERR INCR option supports a single increment-element pair");
  add(c, options, first);
}

void zincrby(CommandContext& c) {
  AddOptions options;
  options.increment = true;
  add(c, options, 2);
}

void zrem(CommandContext& c) {
  std::optional<Header> header;
  if (!find_zset(c, c.args[1], &header)) return;
  if (!header) return c.reply.integer(0);
  Zset zset(c.view, header, zset_limits(c));
  const auto members = c.args.subspan(2);
  zset.prefetch(members);
  int64_t removed = 0;
  for (const std::string_view member : members) {
    const auto score = zset.score(member);
    if (!score) continue;
    zset.erase(member, *score);
    ++removed;
  }
  if (removed > 0) {
    zset.save(c.database, c.args[1]);
    tell_removed(c, c.args[1], "zrem", zset);
  }
  c.reply.integer(removed);
}

// ---- asking

void zcard(CommandContext& c) {
  std::optional<Header> header;
  if (!find_zset(c, c.args[1], &header)) return;
  c.reply.integer(header ? static_cast<int64_t>(Zset(c.view, header).size()) : 0);
}

void reply_score(CommandContext& c, std::optional<double> score) {
  if (score)
    c.reply.number(*score);
  else
    c.reply.null();
}

void zscore(CommandContext& c) {
  std::optional<Header> header;
  if (!find_zset(c, c.args[1], &header)) return;
  reply_score(c, Zset(c.view, header).score(c.args[2]));
}

void zmscore(CommandContext& c) {
  std::optional<Header> header;
  if (!find_zset(c, c.args[1], &header)) return;
  std::vector<std::optional<double>> scores;
  Zset(c.view, header).scores(c.args.subspan(2), &scores);
  c.reply.array(scores.size());
  for (const std::optional<double> score : scores) reply_score(c, score);
}

void rank(CommandContext& c, bool from_top) {
  std::optional<Header> header;
  if (!find_zset(c, c.args[1], &header)) return;
  Zset zset(c.view, header);
  const auto score = zset.score(c.args[2]);
  if (!score) return c.reply.null();
  const uint64_t before = zset.rank(border_at(*score, c.args[2]));
  c.reply.integer(static_cast<int64_t>(from_top ? zset.size() - 1 - before : before));
}
void zrank(CommandContext& c) { rank(c, false); }
void zrevrank(CommandContext& c) { rank(c, true); }

// ---- popping

constexpr int64_t kLongMax = std::numeric_limits<int64_t>::max();

void pop(CommandContext& c, ZsetEnd end) {
  if (c.args.size() > 3) return c.reply.error(kSyntaxError);
  std::optional<int64_t> count;
  if (c.args.size() == 3) {
    count = parse_integer(c.args[2]);
    if (!count || *count < 0) return c.reply.error("ERR value is out of range, must be positive");
  }
  std::optional<Header> header;
  if (!find_zset(c, c.args[1], &header)) return;
  if (!header || count == 0) return c.reply.array(0);
  const auto write = [counted = count.has_value()](resp::ReplyWriter& reply,
                                                   const std::vector<Zset::Found>& popped) {
    const bool in_pairs = counted && reply.version() == resp::Version::kResp3;
    reply.array(in_pairs ? popped.size() : 2 * popped.size());
    for (const auto& [member, score] : popped) {
      if (in_pairs) reply.array(2);
      reply.bulk(member);
      reply.number(score);
    }
  };
  pop_members(c, c.args[1], *header, end, static_cast<uint64_t>(count.value_or(1)), write);
}
void zpopmin(CommandContext& c) { pop(c, ZsetEnd::kMin); }
void zpopmax(CommandContext& c) { pop(c, ZsetEnd::kMax); }

// ---- picking at random

void reply_at(CommandContext& c, Zset& zset, uint64_t rank, bool with_score) {
  const auto cursor = zset.at(rank);
  reply_scored(c.reply, cursor.member(), cursor.score(), with_score);
}

// `wanted` different elements, all sets of them equally likely. Requires: wanted <= zset.size().
void reply_distinct(CommandContext& c, Zset& zset, uint64_t wanted, Random& random, bool with_scores) {
  constexpr uint64_t kWalkStepsPerSeek = 50;
  const uint64_t size = zset.size();
  if (wanted == 0) return;
  if (wanted < size / kWalkStepsPerSeek) {
    std::set<uint64_t> drawn;
    while (drawn.size() < wanted) {
      const uint64_t rank = random.below(size);
      if (drawn.insert(rank).second) reply_at(c, zset, rank, with_scores);
    }
    return;
  }
  // One walk, on which each element is taken with the chance that the rest needs (Fan, Muller, Rezucha 1962).
  uint64_t left = size;
  for (auto cursor = zset.at(0); wanted > 0; cursor.next(), --left) {
    if (wanted < left && random.below(left) >= wanted) continue;
    reply_scored(c.reply, cursor.member(), cursor.score(), with_scores);
    --wanted;
  }
}

void zrandmember(CommandContext& c) {
  std::optional<int64_t> count;
  bool with_scores = false;
  if (c.args.size() > 2) {
    count = parse_random_count(c.args[2], c.reply);
    if (!count) return;
    if (c.args.size() > 4 || (c.args.size() == 4 && !equals_ignoring_case(c.args[3], "withscores")))
      return c.reply.error(kSyntaxError);
    with_scores = c.args.size() == 4;
    if (with_scores && (*count < -kLongMax / 2 || *count > kLongMax / 2))
      return c.reply.error("ERR value is out of range");
  }
  std::optional<Header> header;
  if (!find_zset(c, c.args[1], &header)) return;
  if (!header) return count ? c.reply.array(0) : c.reply.null();
  Zset zset(c.view, header);
  Random random(c.random_seed);
  if (!count) return reply_at(c, zset, random.below(zset.size()), false);
  if (*count < 0) {
    if (!random_replies_allowed(*count, c.reply)) return;
    const uint64_t wanted = 0 - static_cast<uint64_t>(*count);
    begin_scored(c.reply, wanted, with_scores);
    for (uint64_t i = 0; i < wanted; ++i) {
      c.view.charge(1);
      reply_at(c, zset, random.below(zset.size()), with_scores);
    }
    return;
  }
  const uint64_t wanted = std::min(static_cast<uint64_t>(*count), zset.size());
  begin_scored(c.reply, wanted, with_scores);
  reply_distinct(c, zset, wanted, random, with_scores);
}

// ---- ZSCAN

// Redis prints what its listpacks hold, and they hold whole numbers as such.
void reply_scanned_score(resp::ReplyWriter& reply, double score, bool skiplist) {
  constexpr int64_t kHalf = kLongMax / 2;
  constexpr auto kWholeMax = static_cast<double>(kHalf);
  if (!skiplist && std::abs(score) <= kWholeMax && std::trunc(score) == score)
    return reply.bulk_integer(static_cast<int64_t>(score));
  char digits[resp::kNumberBytesMax];
  reply.bulk(std::string_view(digits, resp::format_number(score, digits)));
}

void zscan(CommandContext& c) {
  const auto scan = begin_element_scan(c, Type::kZset);
  if (!scan) return;
  std::vector<Zset::Found> found;
  const uint64_t next = Zset(c.view, scan->header).scan(scan->cursor, scan->count, &found);
  ScannedElements elements(c);
  for (const auto& [member, score] : found) {
    if (!scan->matches(member)) continue;
    elements.add().bulk(member);
    reply_scanned_score(elements.add(), score, Zset::says_skiplist(*scan->header));
  }
  elements.reply(next);
}

constexpr Binding kBindings[] = {
    {"zadd", &zadd},       {"zincrby", &zincrby},         {"zrem", &zrem},
    {"zcard", &zcard},     {"zscore", &zscore},           {"zmscore", &zmscore},
    {"zrank", &zrank},     {"zrevrank", &zrevrank},       {"zpopmin", &zpopmin},
    {"zpopmax", &zpopmax}, {"zrandmember", &zrandmember}, {"zscan", &zscan},
};

}  // namespace

void bind_zset_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
