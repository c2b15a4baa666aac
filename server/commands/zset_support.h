// server/commands/zset_support.h: what the commands on sorted sets, and those on places, share.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/command.h"
#include "server/types/zset.h"

namespace server {

inline constexpr std::string_view kNotAFloat = "ERR value is not a valid float";
inline constexpr std::string_view kNanScore = "ERR resulting score is not a number (NaN)";

// The sorted set's header, or nothing if the key is absent. False: it holds something else, and the error is
// written.
bool find_zset(CommandContext& c, std::string_view key, std::optional<Header>* header);

// ---- adding, for ZADD and GEOADD
struct AddOptions {
  bool only_absent = false, only_present = false, greater = false, less = false;
  bool count_changes = false, increment = false;

  bool take(std::string_view word);  // NX, XX or CH, which both know. False: it is none of them.
};
// Adds the members to the sorted set at args[1] as the options allow, and replies.
void add_members(CommandContext& c, const AddOptions& options, std::span<const double> scores,
                 std::span<const std::string_view> members);

// As the settings have them. Reactor only.
ZsetLimits zset_limits(CommandContext& c);

// What lies between two borders.
struct ZsetRange {
  std::string first, end;
};

// Two ends of a range of scores as ZCOUNT takes them: "1.5", "(1.5", "-inf". Nullopt: they are none.
std::optional<ZsetRange> parse_score_range(std::string_view min, std::string_view max);

// Two ends of a range of members: "[a", "(a", "-", "+". Which borders they are depends on the score that all
// members are expected to have.
struct LexRange {
  std::string_view min, max;
  ZsetRange in(Zset& zset) const;  // Requires: zset is not empty.
};
std::optional<LexRange> parse_lex_range(std::string_view min, std::string_view max);

// Ranks `start` to `stop`, counted from the end where negative, within 0 to size-1. Nullopt: no element.
struct RankRange {
  uint64_t first, last;
};
std::optional<RankRange> clip_ranks(int64_t start, int64_t stop, uint64_t size);

// Members and scores that outlive what they were read from.
class MemberList {
 public:
  void add(std::string_view member, double score) { members_.push_back({std::string(member), score}); }
  size_t size() const { return members_.size(); }
  void sort();
  // In `key` from now on, instead of whatever was there; an empty list leaves no key. Requires: sorted, no
  // member twice. `event` tells of it.
  void store(CommandContext& c, std::string_view key, const char* event) const;
  void reply(CommandContext& c, bool with_scores) const;

 private:
  struct Member {
    std::string member;
    double score;
  };
  std::vector<Member> members_;
};

// One element of a reply with scores: two replies in RESP2, a pair in RESP3.
void reply_scored(resp::ReplyWriter& reply, std::string_view member, double score, bool with_score);
void begin_scored(resp::ReplyWriter& reply, size_t count, bool with_scores);

// Members have been removed and the sorted set saved: `name` tells of it, "del" if none are left.
void tell_removed(CommandContext& c, std::string_view key, const char* name, const Zset& zset);

// Takes up to `count` members with the lowest or highest scores off a sorted set, lowest or highest first,
// and has `reply` tell of them; later, if they are so many that they go in steps (server/removal.h).
enum class ZsetEnd : uint8_t { kMin, kMax };
using ReplyPopped = std::function<void(resp::ReplyWriter&, const std::vector<Zset::Found>&)>;
void pop_members(CommandContext& c, std::string_view key, const Header& header, ZsetEnd end, uint64_t count,
                 ReplyPopped reply);

}  // namespace server
