#include "server/commands/zset_support.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iterator>
#include <memory>

#include "server/commands/find_header.h"
#include "server/errors.h"
#include "server/long_write.h"
#include "server/removal.h"
#include "server/server.h"
#include "server/units.h"

namespace server {

bool find_zset(CommandContext& c, std::string_view key, std::optional<Header>* header) {
  return find_header(c, Type::kZset, key, header);
}

ZsetLimits zset_limits(CommandContext& c) {
  ZsetLimits limits;
  limits.entries = settings_of(c).zset_max_listpack_entries;
  limits.value_bytes = settings_of(c).zset_max_listpack_value_bytes;
  return limits;
}

// ---- adding

namespace {

struct AddOutcome {
  int64_t added = 0, updated = 0;
  std::optional<double> score;  // Of the last one, unless the options stood against it.
  bool nan = false;
};

AddOutcome add_to(Zset& zset, const AddOptions& options, std::span<const double> scores,
                  std::span<const std::string_view> members) {
  AddOutcome outcome;
  zset.prefetch(members);
  for (size_t i = 0; i < scores.size(); ++i) {
    const auto present = zset.score(members[i]);
    double score = scores[i];
    outcome.score.reset();
    if (present ? options.only_absent : options.only_present) continue;
    if (present && options.increment) score += *present;
    if (std::isnan(score)) {
      outcome.nan = true;
      return outcome;
    }
    if (present && ((options.less && score >= *present) || (options.greater && score <= *present))) continue;
    outcome.score = score;
    if (present && score == *present) continue;
    zset.put(members[i], score, present);
    ++(present ? outcome.updated : outcome.added);
  }
  return outcome;
}

}  // namespace

bool AddOptions::take(std::string_view word) {
  bool* const option = equals_ignoring_case(word, "nx")   ? &only_absent
                       : equals_ignoring_case(word, "xx") ? &only_present
                       : equals_ignoring_case(word, "ch") ? &count_changes
                                                          : nullptr;
  if (option) *option = true;
  return option != nullptr;
}

void add_members(CommandContext& c, const AddOptions& options, std::span<const double> scores,
                 std::span<const std::string_view> members) {
  std::optional<Header> header;
  if (!find_zset(c, c.args[1], &header)) return;
  AddOutcome outcome;
  if (header || !options.only_present) {
    Zset zset(c.view, header, zset_limits(c));
    outcome = add_to(zset, options, scores, members);
    if (outcome.nan) return c.reply.error(kNanScore);
    if (outcome.added + outcome.updated > 0) {
      zset.save(c.database, c.args[1]);
      c.event(notify::kZset, options.increment ? "zincr" : "zadd", c.args[1]);
    }
  }
  if (!options.increment)
    c.reply.integer(outcome.added + (options.count_changes ? outcome.updated : 0));
  else if (outcome.score)
    c.reply.number(*outcome.score);
  else
    c.reply.null();
}

// ---- ranges

namespace {

struct ScoreEnd {
  double score = 0;
  bool exclusive = false;
};

// As lax as Redis: whatever strtod reads whole, and nothing at all is 0.
std::optional<ScoreEnd> parse_score_end(std::string_view text) {
  ScoreEnd end;
  end.exclusive = text.starts_with('(');
  const std::string number(text.substr(end.exclusive ? 1 : 0));
  char* rest = nullptr;
  end.score = std::strtod(number.c_str(), &rest);
  if (*rest != '\0' || std::isnan(end.score)) return std::nullopt;
  return end;
}

bool is_lex_end(std::string_view text) {
  if (text.empty()) return false;
  if (text[0] == '-' || text[0] == '+') return text.size() == 1;
  return text[0] == '(' || text[0] == '[';
}

// `after`: where members equal to the end's are to lie before the border.
std::string lex_border(std::string_view end, double score, bool after) {
  if (end[0] == '-') return std::string(kFirstBorder);
  if (end[0] == '+') return std::string(kLastBorder);
  return after ? border_after(score, end.substr(1)) : border_at(score, end.substr(1));
}

}  // namespace

std::optional<ZsetRange> parse_score_range(std::string_view min, std::string_view max) {
  const auto low = parse_score_end(min);
  const auto high = parse_score_end(max);
  if (!low || !high) return std::nullopt;
  return ZsetRange{low->exclusive ? border_after(low->score) : border_at(low->score),
                   high->exclusive ? border_at(high->score) : border_after(high->score)};
}

std::optional<LexRange> parse_lex_range(std::string_view min, std::string_view max) {
  if (!is_lex_end(min) || !is_lex_end(max)) return std::nullopt;
  return LexRange{min, max};
}

namespace {

// The border before the first member that is not before the end of a range, if members rise as scores do.
// Where they do not Redis promises nothing, and neither do we.
std::string lex_border_among_scores(Zset& zset, std::string_view end, bool after) {
  if (end == "-") return std::string(kFirstBorder);
  if (end == "+") return std::string(kLastBorder);
  uint64_t low = 0, high = zset.size();
  while (low < high) {
    const uint64_t middle = low + (high - low) / 2;
    const auto cursor = zset.at(middle);
    const int order = cursor.member().compare(end.substr(1));
    if (order < 0 || (order == 0 && after)) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  const auto cursor = zset.at(low);
  return cursor.valid() ? border_at(cursor.score(), cursor.member()) : std::string(kLastBorder);
}

}  // namespace

ZsetRange LexRange::in(Zset& zset) const {
  const double score = zset.at(0).score();
  if (zset.at(zset.size() - 1).score() != score) [[unlikely]] {
    return {lex_border_among_scores(zset, min, min[0] == '('),
            lex_border_among_scores(zset, max, max[0] == '[')};
  }
  return {lex_border(min, score, min[0] == '('), lex_border(max, score, max[0] == '[')};
}

std::optional<RankRange> clip_ranks(int64_t start, int64_t stop, uint64_t size) {
  const auto end = static_cast<int64_t>(size);
  const int64_t first = std::max<int64_t>(start < 0 ? end + start : start, 0);
  const int64_t last = std::min(stop < 0 ? end + stop : stop, end - 1);
  if (first > last) return std::nullopt;
  return RankRange{static_cast<uint64_t>(first), static_cast<uint64_t>(last)};
}

// ---- lists of members

void MemberList::sort() {
  std::sort(members_.begin(), members_.end(), [](const Member& a, const Member& b) {
    return comes_before({a.score, a.member}, {b.score, b.member});
  });
}

void MemberList::store(CommandContext& c, std::string_view key, const char* event) const {
  if (members_.empty()) {
    if (!c.view.header(c.database, key)) return;
    c.view.erase_header(c.database, key);
    return c.event(notify::kGeneric, "del", key);
  }
  std::vector<ScoredMember> sorted;
  sorted.reserve(members_.size());
  for (const Member& member : members_) sorted.push_back({member.score, member.member});
  Zset::write(c.view, c.database, key, sorted, zset_limits(c));
  c.event(notify::kZset, event, key);
}

void MemberList::reply(CommandContext& c, bool with_scores) const {
  begin_scored(c.reply, members_.size(), with_scores);
  for (const Member& member : members_) reply_scored(c.reply, member.member, member.score, with_scores);
}

void begin_scored(resp::ReplyWriter& reply, size_t count, bool with_scores) {
  reply.array(with_scores && reply.version() == resp::Version::kResp2 ? 2 * count : count);
}

void reply_scored(resp::ReplyWriter& reply, std::string_view member, double score, bool with_score) {
  if (with_score && reply.version() == resp::Version::kResp3) reply.array(2);
  reply.bulk(member);
  if (with_score) reply.number(score);
}

// ---- popping

void tell_removed(CommandContext& c, std::string_view key, const char* name, const Zset& zset) {
  c.event(notify::kZset, name, key);
  if (zset.size() == 0) c.event(notify::kGeneric, "del", key);
}

namespace {

std::vector<Zset::Found> take_off(Zset& zset, ZsetEnd end, uint64_t count) {
  std::vector<Zset::Found> popped;
  {
    auto cursor = end == ZsetEnd::kMin ? zset.first_from(kFirstBorder) : zset.last_before(kLastBorder);
    for (; cursor.valid() && popped.size() < count; cursor.step(end == ZsetEnd::kMax))
      popped.push_back({std::string(cursor.member()), cursor.score()});
  }
  if (popped.empty()) return popped;
  const Zset::Found& last = popped.back();
  if (end == ZsetEnd::kMin)
    zset.erase_between(kFirstBorder, border_after(last.score, last.member));
  else
    zset.erase_between(border_at(last.score, last.member), kLastBorder);
  return popped;
}

const char* pop_event(ZsetEnd end) { return end == ZsetEnd::kMin ? "zpopmin" : "zpopmax"; }

void pop_in_steps(CommandContext& c, std::string_view key, ObjectId object, ZsetEnd end, uint64_t count,
                  ReplyPopped reply) {
  struct Progress {
    std::vector<Zset::Found> popped, step;
  };
  const auto progress = std::make_shared<Progress>();
  const auto pop_some = [progress, end, count, limits = zset_limits(c), database = c.database,
                         name = std::string(key)](View& view, const Header& header) {
    Zset zset(view, header, limits);
    progress->step = take_off(zset, end, std::min(kRemovedPerStep, count - progress->popped.size()));
    RemovalStep step;
    step.removed = progress->step.size();
    step.emptied = zset.size() == 0;
    step.more = !step.emptied && progress->popped.size() + step.removed < count;
    zset.save(database, name);
    return step;
  };
  take_in_steps(
      c, key, object, notify::kZset, pop_event(end), pop_some,
      [progress] {
        std::move(progress->step.begin(), progress->step.end(), std::back_inserter(progress->popped));
        progress->step.clear();
      },
      [progress, reply = std::move(reply)](resp::ReplyWriter& writer) { reply(writer, progress->popped); });
}

}  // namespace

void pop_members(CommandContext& c, std::string_view key, const Header& header, ZsetEnd end, uint64_t count,
                 ReplyPopped reply) {
  Zset zset(c.view, header, zset_limits(c));
  if (std::min(count, zset.size()) > kRemovedAtOnceMax && !c.nested && !c.ready_key) {
    if (count < zset.size()) return pop_in_steps(c, key, header.object.id, end, count, std::move(reply));
    may_take_long(c, key);  // All of it: only the walk is long.
  }
  const auto popped = take_off(zset, end, count);
  if (!popped.empty()) {
    zset.save(c.database, key);
    tell_removed(c, key, pop_event(end), zset);
  }
  reply(c.reply, popped);
}

}  // namespace server
