// server/commands/zset_ranges.cc: ranges of sorted sets, by rank, score and member: read, counted, stored,
// removed.
#include <memory>
#include <string>

#include "server/bindings.h"
#include "server/commands/listings.h"
#include "server/commands/zset_support.h"
#include "server/errors.h"
#include "server/long_reply.h"
#include "server/long_write.h"
#include "server/removal.h"
#include "server/units.h"

namespace server {
namespace {

constexpr std::string_view kNotAScoreRange = "ERR min or max is not a float";
constexpr std::string_view kNotALexRange = "ERR min or max not valid string range item";

enum class By : uint8_t { kUnsaid, kRank, kScore, kLex };
enum class Direction : uint8_t { kUnsaid, kForward, kBackward };

// What a command of the ZRANGE family asks for.
struct Query {
  By by = By::kUnsaid;
  Direction direction = Direction::kUnsaid;
  bool with_scores = false;
  bool limited = false;
  int64_t offset = 0, limit = -1;

  int64_t start = 0, stop = 0;  // By rank
  ZsetRange scores = {};        // By score
  LexRange members = {};        // By member
};

// Reads what follows key, min and max at args[first - 1 ..]. False: the error is written.
bool parse_query(CommandContext& c, size_t first, bool stores, Query* query) {
  for (size_t i = first + 2; i < c.args.size(); ++i) {
    const std::string_view word = c.args[i];
    if (!stores && equals_ignoring_case(word, "withscores")) {
      query->with_scores = true;
    } else if (equals_ignoring_case(word, "limit") && i + 2 < c.args.size()) {
      const auto offset = parse_integer(c.args[i + 1]), limit = parse_integer(c.args[i + 2]);
      if (!offset || !limit) return c.reply.error(kNotAnInteger), false;
      query->offset = *offset;
      query->limit = *limit;
      query->limited = *limit != -1;
      i += 2;
    } else if (query->direction == Direction::kUnsaid && equals_ignoring_case(word, "rev")) {
      query->direction = Direction::kBackward;
    } else if (query->by == By::kUnsaid && equals_ignoring_case(word, "bylex")) {
      query->by = By::kLex;
    } else if (query->by == By::kUnsaid && equals_ignoring_case(word, "byscore")) {
      query->by = By::kScore;
    } else {
      return c.reply.error(kSyntaxError), false;
    }
  }
  if (query->direction == Direction::kUnsaid) query->direction = Direction::kForward;
  if (query->by == By::kUnsaid) query->by = By::kRank;
  if (query->limited && query->by == By::kRank) {
    c.reply.error("ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX");
    return false;
  }
  if (query->with_scores && query->by == By::kLex)
    return c.reply.error("ERR syntax error, WITHSCORES not supported in combination with BYLEX"), false;

  std::string_view min = c.args[first], max = c.args[first + 1];
  if (query->by != By::kRank && query->direction == Direction::kBackward) std::swap(min, max);
  switch (query->by) {
    case By::kScore: {
      const auto range = parse_score_range(min, max);
      if (!range) return c.reply.error(kNotAScoreRange), false;
      query->scores = *range;
      break;
    }
    case By::kLex: {
      const auto range = parse_lex_range(min, max);
      if (!range) return c.reply.error(kNotALexRange), false;
      query->members = *range;
      break;
    }
    default: {
      const auto start = parse_integer(min), stop = parse_integer(max);
      if (!start || !stop) return c.reply.error(kNotAnInteger), false;
      query->start = *start;
      query->stop = *stop;
    }
  }
  return true;
}

// Calls use(cursor) for what the query asks for, in its order, until it returns false; whether it never did.
template <typename Use>
bool each_by_rank(Zset& zset, const RankRange& ranks, bool backward, Use use) {
  auto cursor = zset.at(backward ? zset.size() - 1 - ranks.first : ranks.first);
  for (uint64_t rank = ranks.first;; ++rank, cursor.step(backward)) {
    if (!use(cursor)) return false;
    if (rank == ranks.last) return true;
  }
}

// Offsets up to here are walked, further ones looked up by rank.
constexpr int64_t kWalkMax = 64;

template <typename Use>
bool each_between(Zset& zset, const ZsetRange& range, const Query& query, Use use) {
  if (query.offset < 0 || query.limit == 0 || range.first >= range.end) return true;
  const bool backward = query.direction == Direction::kBackward;
  const bool far = query.offset > kWalkMax;
  auto cursor = [&] {
    if (!far) return backward ? zset.last_before(range.end) : zset.first_from(range.first);
    const auto offset = static_cast<uint64_t>(query.offset);
    const uint64_t rank = zset.rank(backward ? range.end : range.first);
    if (!backward) return zset.at(offset < zset.size() - rank ? rank + offset : zset.size());
    return zset.at(offset < rank ? rank - 1 - offset : zset.size());
  }();
  int64_t skip = far ? 0 : query.offset, left = query.limit;
  for (; cursor.valid(); cursor.step(backward)) {
    if (backward ? cursor.lies_before(range.first) : !cursor.lies_before(range.end)) return true;
    if (skip-- > 0) continue;
    if (!use(cursor)) return false;
    if (--left == 0) return true;
  }
  return true;
}

// What each_between() shows, by rank. Requires: that is something.
RankRange ranks_between(Zset& zset, const ZsetRange& range, const Query& query) {
  const uint64_t begin = zset.rank(range.first), end = zset.rank(range.end);
  const auto offset = static_cast<uint64_t>(query.offset);
  uint64_t count = end - begin - offset;
  if (query.limit >= 0) count = std::min(count, static_cast<uint64_t>(query.limit));
  const uint64_t first = (query.direction == Direction::kBackward ? zset.size() - end : begin) + offset;
  return {first, first + count - 1};
}

ZsetRange range_of(Zset& zset, const Query& query) {
  return query.by == By::kScore ? query.scores : query.members.in(zset);
}

void read_range(CommandContext& c, Query query) {
  if (!parse_query(c, 2, false, &query)) return;
  std::optional<Header> header;
  if (!find_zset(c, c.args[1], &header)) return;
  if (!header) return c.reply.array(0);
  Zset zset(c.view, header);
  const bool backward = query.direction == Direction::kBackward;
  LongReply whole(c);
  const auto use = [&](const Zset::Cursor& at) {
    if (query.with_scores)
      reply_scored(c.reply, at.member(), at.score(), true);
    else
      c.reply.bulk(at.member());
    return whole.goes_on();
  };
  const auto give_up = [&](const RankRange& ranks) {
    whole.give_up([&] { return zset_listing(c, c.args[1], ranks, backward, query.with_scores); });
  };
  if (query.by == By::kRank) {
    const auto ranks = clip_ranks(query.start, query.stop, zset.size());
    if (!ranks) return c.reply.array(0);
    begin_scored(c.reply, ranks->last - ranks->first + 1, query.with_scores);
    if (!each_by_rank(zset, *ranks, backward, use)) give_up(*ranks);
    return;
  }
  const auto open = c.reply.open_array();
  const ZsetRange range = range_of(zset, query);
  size_t count = 0;
  const bool ended = each_between(zset, range, query, [&](const Zset::Cursor& at) {
    ++count;
    return use(at);
  });
  if (!ended) return give_up(ranks_between(zset, range, query));
  const bool flat = query.with_scores && c.reply.version() == resp::Version::kResp2;
  c.reply.close(open, flat ? 2 * count : count);
}

void zrange(CommandContext& c) { read_range(c, {}); }
void zrevrange(CommandContext& c) { read_range(c, {.by = By::kRank, .direction = Direction::kBackward}); }
void zrangebyscore(CommandContext& c) { read_range(c, {.by = By::kScore, .direction = Direction::kForward}); }
void zrevrangebyscore(CommandContext& c) {
  read_range(c, {.by = By::kScore, .direction = Direction::kBackward});
}
void zrangebylex(CommandContext& c) { read_range(c, {.by = By::kLex, .direction = Direction::kForward}); }
void zrevrangebylex(CommandContext& c) { read_range(c, {.by = By::kLex, .direction = Direction::kBackward}); }

// ZRANGESTORE dst src min max …
void zrangestore(CommandContext& c) {
  Query query;
  if (!parse_query(c, 3, true, &query)) return;
  may_take_long(c, c.args[1]);
  std::optional<Header> header;
  if (!find_zset(c, c.args[2], &header)) return;
  MemberList found;
  if (!header) c.event(notify::kKeyMiss, "keymiss", c.args[2]);  // It writes, but this it reads.
  if (header) {
    Zset zset(c.view, header);
    const auto use = [&](const Zset::Cursor& at) {
      found.add(at.member(), at.score());
      return true;
    };
    if (query.by == By::kRank) {
      if (const auto ranks = clip_ranks(query.start, query.stop, zset.size()))
        each_by_rank(zset, *ranks, query.direction == Direction::kBackward, use);
    } else {
      each_between(zset, range_of(zset, query), query, use);
    }
  }
  if (query.direction == Direction::kBackward) found.sort();
  found.store(c, c.args[1], "zrangestore");
  c.reply.integer(static_cast<int64_t>(found.size()));
}

// ---- counting

void count(CommandContext& c, const ZsetRange* scores, const LexRange* members) {
  std::optional<Header> header;
  if (!find_zset(c, c.args[1], &header)) return;
  if (!header) return c.reply.integer(0);
  Zset zset(c.view, header);
  const ZsetRange range = scores != nullptr ? *scores : members->in(zset);
  if (range.first >= range.end) return c.reply.integer(0);
  c.reply.integer(static_cast<int64_t>(zset.rank(range.end) - zset.rank(range.first)));
}

void zcount(CommandContext& c) {
  const auto range = parse_score_range(c.args[2], c.args[3]);
  if (!range) return c.reply.error(kNotAScoreRange);
  count(c, &*range, nullptr);
}
void zlexcount(CommandContext& c) {
  const auto range = parse_lex_range(c.args[2], c.args[3]);
  if (!range) return c.reply.error(kNotALexRange);
  count(c, nullptr, &*range);
}

// ---- removing

void remove_stepwise(CommandContext& c, ObjectId object, const char* event, ZsetRange range) {
  // What a step has erased the next one need not pass over.
  struct Progress {
    ZsetRange rest;
    std::string reached;
  };
  const auto progress = std::make_shared<Progress>(Progress{std::move(range), {}});
  const auto remove_some = [progress, limits = zset_limits(c), database = c.database,
                            key = std::string(c.args[1])](View& view, const Header& header) {
    progress->reached.clear();
    Zset zset(view, header, limits);
    RemovalStep step;
    step.removed =
        zset.erase_between(progress->rest.first, progress->rest.end, kRemovedPerStep, &progress->reached);
    step.more = !progress->reached.empty();
    step.emptied = step.removed > 0 && zset.size() == 0;
    if (step.removed > 0) zset.save(database, key);
    return step;
  };
  remove_in_steps(c, object, notify::kZset, event, remove_some, [progress] {
    if (!progress->reached.empty()) progress->rest.first = progress->reached;
  });
}

template <typename RangeOf>
void remove_range(CommandContext& c, const char* event, RangeOf range_in) {
  std::optional<Header> header;
  if (!find_zset(c, c.args[1], &header)) return;
  if (!header) return c.reply.integer(0);
  Zset zset(c.view, header, zset_limits(c));
  const std::optional<ZsetRange> range = range_in(zset);
  if (!range || range->first >= range->end) return c.reply.integer(0);
  uint64_t removed = 0;
  if (zset.size() > kRemovedAtOnceMax) {
    const uint64_t count = zset.rank(range->end) - zset.rank(range->first);
    if (count == zset.size()) {
      zset.erase_all();
      removed = count;
    } else if (count > kRemovedAtOnceMax && !c.nested) {
      return remove_stepwise(c, header->object.id, event, *range);
    }
  }
  if (removed == 0) removed = zset.erase_between(range->first, range->end);
  if (removed > 0) {
    zset.save(c.database, c.args[1]);
    tell_removed(c, c.args[1], event, zset);
  }
  c.reply.integer(static_cast<int64_t>(removed));
}

void zremrangebyrank(CommandContext& c) {
  const auto start = parse_integer(c.args[2]), stop = parse_integer(c.args[3]);
  if (!start || !stop) return c.reply.error(kNotAnInteger);
  remove_range(c, "zremrangebyrank", [&](Zset& zset) -> std::optional<ZsetRange> {
    const auto ranks = clip_ranks(*start, *stop, zset.size());
    if (!ranks) return std::nullopt;
    const auto border = [&](uint64_t rank) {
      const auto cursor = zset.at(rank);
      return cursor.valid() ? border_at(cursor.score(), cursor.member()) : std::string(kLastBorder);
    };
    return ZsetRange{ranks->first == 0 ? std::string(kFirstBorder) : border(ranks->first),
                     border(ranks->last + 1)};
  });
}
void zremrangebyscore(CommandContext& c) {
  const auto range = parse_score_range(c.args[2], c.args[3]);
  if (!range) return c.reply.error(kNotAScoreRange);
  remove_range(c, "zremrangebyscore", [&](Zset&) { return range; });
}
void zremrangebylex(CommandContext& c) {
  const auto range = parse_lex_range(c.args[2], c.args[3]);
  if (!range) return c.reply.error(kNotALexRange);
  remove_range(c, "zremrangebylex", [&](Zset& zset) { return std::optional(range->in(zset)); });
}

constexpr Binding kBindings[] = {
    {"zrange", &zrange},
    {"zrevrange", &zrevrange},
    {"zrangebyscore", &zrangebyscore},
    {"zrevrangebyscore", &zrevrangebyscore},
    {"zrangebylex", &zrangebylex},
    {"zrevrangebylex", &zrevrangebylex},
    {"zrangestore", &zrangestore},
    {"zcount", &zcount},
    {"zlexcount", &zlexcount},
    {"zremrangebyrank", &zremrangebyrank},
    {"zremrangebyscore", &zremrangebyscore},
    {"zremrangebylex", &zremrangebylex},
};

}  // namespace

void bind_zset_range_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
