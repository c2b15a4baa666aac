// server/commands/zset_algebra.cc: union, intersection and difference of sorted sets: ZUNION, ZINTER, ZDIFF,
// their STORE forms, ZINTERCARD.
#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <unordered_map>

#include "server/bindings.h"
#include "server/commands/zset_support.h"
#include "server/errors.h"
#include "server/long_write.h"
#include "server/types/set.h"
#include "server/units.h"

namespace server {
namespace {

// One of the sets that a command names, sorted or not, with its weight. An absent key is an empty one; a
// member of a plain set has the score 1.
class Input {
 public:
  Input(CommandContext& c, std::string_view key, const std::optional<Header>& header) {
    if (!header) return;
    if (header->type == Type::kSet)
      set_ = std::make_unique<Set>(c.view, c.database, key, header);
    else
      zset_ = std::make_unique<Zset>(c.view, header);
  }

  double weight = 1;

  uint64_t size() const { return zset_ ? zset_->size() : set_ ? set_->size() : 0; }

  // Calls use(member, score) for each element; stops when it returns false.
  template <typename Use>
  void each(Use use) const {
    if (set_) set_->each([&](const Set::Member& member) { return use(member.name, 1.0); });
    if (!zset_) return;
    for (auto cursor = zset_->at(0); cursor.valid(); cursor.next())
      if (!use(cursor.member(), cursor.score())) return;
  }

  // The scores of some members, in one round of reads. Replaces *scores.
  void look_up(std::span<const std::string> members, std::vector<std::optional<double>>* scores) const {
    scores->assign(members.size(), std::nullopt);
    if (zset_) zset_->scores(std::vector<std::string_view>(members.begin(), members.end()), scores);
    if (!set_) return;
    std::vector<char> there;
    set_->contains(members, &there);
    for (size_t i = 0; i < there.size(); ++i)
      if (there[i] != 0) (*scores)[i] = 1;
  }

 private:
  std::unique_ptr<Zset> zset_;
  std::unique_ptr<Set> set_;
};

enum class Operation : uint8_t { kUnion, kIntersection, kDifference };
enum class Aggregate : uint8_t { kSum, kMin, kMax };

// What is not a number counts as 0: infinity times 0, and infinity less infinity.
double number_or_zero(double x) { return std::isnan(x) ? 0 : x; }

double aggregate(Aggregate how, double a, double b) {
  switch (how) {
    case Aggregate::kSum: return number_or_zero(a + b);
    case Aggregate::kMin: return b < a ? b : a;
    case Aggregate::kMax: return b > a ? b : a;
  }
  return a;
}

struct Query {
  std::vector<Input> inputs;
  Aggregate how = Aggregate::kSum;
  bool with_scores = false;
  uint64_t limit = 0;  // ZINTERCARD's; 0: none.
};

enum class Form : uint8_t { kReply, kStore, kCard };

// `at`: where the number of keys stands. False: the error is written.
bool parse_query(CommandContext& c, size_t at, Operation operation, Form form, std::string_view name,
                 Query* query) {
  const auto numkeys = parse_integer(c.args[at]);
  if (!numkeys) return c.reply.error(kNotAnInteger), false;
  if (*numkeys < 1) {
    c.reply.error("ERR at least 1 input key is needed for '" + std::string(name) + "' command");
    return false;
  }
  if (*numkeys > static_cast<int64_t>(c.args.size() - at - 1)) return c.reply.error(kSyntaxError), false;
  const auto count = static_cast<size_t>(*numkeys);
  const auto keys = c.args.subspan(at + 1, count);
  c.view.prefetch_headers(c.database, keys);
  for (const std::string_view key : keys) {
    const auto header = c.view.header(c.database, key);
    if (header && header->type != Type::kZset && header->type != Type::kSet)
      return c.reply.error(kWrongType), false;
    if (!header && form == Form::kStore) c.event(notify::kKeyMiss, "keymiss", key);  // This is read.
    query->inputs.emplace_back(c, key, header);
  }
  for (size_t i = at + 1 + count; i < c.args.size(); ++i) {
    const size_t rest = c.args.size() - i;  // This word included.
    const bool combines = operation != Operation::kDifference && form != Form::kCard;
    if (combines && rest >= count + 1 && equals_ignoring_case(c.args[i], "weights")) {
      for (Input& input : query->inputs) {
        const auto weight = parse_double(c.args[++i]);
        if (!weight) return c.reply.error("ERR weight value is not a float"), false;
        input.weight = *weight;
      }
    } else if (combines && rest >= 2 && equals_ignoring_case(c.args[i], "aggregate")) {
      ++i;
      if (equals_ignoring_case(c.args[i], "sum"))
        query->how = Aggregate::kSum;
      else if (equals_ignoring_case(c.args[i], "min"))
        query->how = Aggregate::kMin;
      else if (equals_ignoring_case(c.args[i], "max"))
        query->how = Aggregate::kMax;
      else
        return c.reply.error(kSyntaxError), false;
    } else if (form == Form::kReply && equals_ignoring_case(c.args[i], "withscores")) {
      query->with_scores = true;
    } else if (form == Form::kCard && rest >= 2 && equals_ignoring_case(c.args[i], "limit")) {
      const auto limit = parse_integer(c.args[++i]);
      if (!limit || *limit < 0) return c.reply.error("ERR LIMIT can't be negative"), false;
      query->limit = static_cast<uint64_t>(*limit);
    } else {
      return c.reply.error(kSyntaxError), false;
    }
  }
  return true;
}

// Calls use(members, scores) for all of the input, some at a time: at first few, for those who soon have
// enough. It may change both; it stops when it returns false.
template <typename Use>
void in_batches(const Input& input, Use use) {
  constexpr size_t kFirst = 64, kMost = 64 << 10;
  size_t size = kFirst;
  std::vector<std::string> members;
  std::vector<double> scores;
  bool more = true;
  const auto flush = [&] {
    more = use(members, scores);
    members.clear();
    scores.clear();
    size = std::min(2 * size, kMost);
  };
  input.each([&](std::string_view member, double score) {
    members.emplace_back(member);
    scores.push_back(score);
    if (members.size() == size) flush();
    return more;
  });
  if (more && !members.empty()) flush();
}

// The sums of floating-point numbers depend on their order, which is Redis's: small sets first.
void sort_by_size(std::vector<Input>& inputs) {
  std::stable_sort(inputs.begin(), inputs.end(),
                   [](const Input& a, const Input& b) { return a.size() < b.size(); });
}

// Calls use(member, score) for each member that all inputs have; stops when it returns false.
template <typename Use>
void intersect(Query& query, Use use) {
  sort_by_size(query.inputs);
  const Input& smallest = query.inputs[0];
  in_batches(smallest, [&](std::vector<std::string>& members, std::vector<double>& scores) {
    for (double& score : scores) score = number_or_zero(score * smallest.weight);
    std::vector<std::optional<double>> found;
    for (size_t k = 1; k < query.inputs.size() && !members.empty(); ++k) {
      const Input& input = query.inputs[k];
      input.look_up(members, &found);
      size_t kept = 0;
      for (size_t i = 0; i < members.size(); ++i) {
        if (!found[i]) continue;
        scores[kept] = aggregate(query.how, scores[i], *found[i] * input.weight);
        if (kept != i) members[kept] = std::move(members[i]);
        ++kept;
      }
      members.resize(kept);
      scores.resize(kept);
    }
    for (size_t i = 0; i < members.size(); ++i)
      if (!use(members[i], scores[i])) return false;
    return true;
  });
}

void unite(Query& query, MemberList* result) {
  sort_by_size(query.inputs);
  std::unordered_map<std::string, double> united;
  for (const Input& input : query.inputs) {
    input.each([&](std::string_view member, double score) {
      const double weighed = number_or_zero(score * input.weight);
      const auto [at, is_new] = united.try_emplace(std::string(member), weighed);
      if (!is_new) at->second = aggregate(query.how, at->second, weighed);
      return true;
    });
  }
  for (const auto& [member, score] : united) result->add(member, score);
}

void subtract(const Query& query, MemberList* result) {
  in_batches(query.inputs[0], [&](std::vector<std::string>& members, std::vector<double>& scores) {
    std::vector<std::optional<double>> found;
    for (size_t k = 1; k < query.inputs.size() && !members.empty(); ++k) {
      query.inputs[k].look_up(members, &found);
      size_t kept = 0;
      for (size_t i = 0; i < members.size(); ++i) {
        if (found[i]) continue;
        scores[kept] = scores[i];
        if (kept != i) members[kept] = std::move(members[i]);
        ++kept;
      }
      members.resize(kept);
      scores.resize(kept);
    }
    for (size_t i = 0; i < members.size(); ++i) result->add(members[i], scores[i]);
    return true;
  });
}

MemberList outcome(Query& query, Operation operation) {
  MemberList result;
  switch (operation) {
    case Operation::kUnion: unite(query, &result); break;
    case Operation::kIntersection:
      intersect(query, [&](std::string_view member, double score) {
        result.add(member, score);
        return true;
      });
      break;
    case Operation::kDifference: subtract(query, &result); break;
  }
  result.sort();
  return result;
}

void reply_outcome(CommandContext& c, Operation operation, std::string_view name) {
  Query query;
  if (!parse_query(c, 1, operation, Form::kReply, name, &query)) return;
  outcome(query, operation).reply(c, query.with_scores);
}
void zunion(CommandContext& c) { reply_outcome(c, Operation::kUnion, "zunion"); }
void zinter(CommandContext& c) { reply_outcome(c, Operation::kIntersection, "zinter"); }
void zdiff(CommandContext& c) { reply_outcome(c, Operation::kDifference, "zdiff"); }

void store_outcome(CommandContext& c, Operation operation, const char* name) {
  may_take_long(c, c.args[1]);
  Query query;
  if (!parse_query(c, 2, operation, Form::kStore, name, &query)) return;
  const MemberList result = outcome(query, operation);
  result.store(c, c.args[1], name);
  c.reply.integer(static_cast<int64_t>(result.size()));
}
void zunionstore(CommandContext& c) { store_outcome(c, Operation::kUnion, "zunionstore"); }
void zinterstore(CommandContext& c) { store_outcome(c, Operation::kIntersection, "zinterstore"); }
void zdiffstore(CommandContext& c) { store_outcome(c, Operation::kDifference, "zdiffstore"); }

void zintercard(CommandContext& c) {
  Query query;
  if (!parse_query(c, 1, Operation::kIntersection, Form::kCard, "zintercard", &query)) return;
  uint64_t count = 0;
  intersect(query, [&](std::string_view, double) { return ++count != query.limit; });
  c.reply.integer(static_cast<int64_t>(count));
}

constexpr Binding kBindings[] = {
    {"zunion", &zunion},           {"zinter", &zinter},           {"zdiff", &zdiff},
    {"zunionstore", &zunionstore}, {"zinterstore", &zinterstore}, {"zdiffstore", &zdiffstore},
    {"zintercard", &zintercard},
};

}  // namespace

void bind_zset_union_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
