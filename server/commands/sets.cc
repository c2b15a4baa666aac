// server/commands/sets.cc: sets by their members: SADD, SREM, SPOP, SRANDMEMBER, SSCAN.
#include <algorithm>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "server/bindings.h"
#include "server/commands/element_scan.h"
#include "server/commands/listings.h"
#include "server/commands/random_count.h"
#include "server/commands/set_support.h"
#include "server/drawn_members.h"
#include "server/errors.h"
#include "server/long_reply.h"
#include "server/long_write.h"
#include "server/removal.h"
#include "server/server.h"
#include "server/types/sample.h"
#include "server/units.h"

namespace server {
namespace {

// The set has been saved; `left`: it is still there.
void tell_removed(CommandContext& c, std::string_view key, const char* name, bool left) {
  c.event(notify::kSet, name, key);
  if (!left) c.event(notify::kGeneric, "del", key);
}

void sadd(CommandContext& c) {
  std::optional<Header> header;
  if (!find_set(c, c.args[1], &header)) return;
  Set set(c.view, c.database, c.args[1], header);
  const auto names = c.args.subspan(2);
  set.load(names);
  int64_t added = 0;
  for (size_t i = 0; i < names.size(); ++i) {
    if (set.has(i)) continue;
    set.add(i);
    ++added;
  }
  set.save(set_limits(c), c.random_seed);
  if (added > 0) c.event(notify::kSet, "sadd", c.args[1]);
  c.reply.integer(added);
}

void srem(CommandContext& c) {
  std::optional<Header> header;
  if (!find_set(c, c.args[1], &header)) return;
  if (!header) return c.reply.integer(0);
  Set set(c.view, c.database, c.args[1], header);
  const auto names = c.args.subspan(2);
  set.load(names);
  int64_t removed = 0;
  for (size_t i = 0; i < names.size(); ++i) {
    if (!set.has(i)) continue;
    set.remove(i);
    ++removed;
  }
  const bool left = set.save(set_limits(c), c.random_seed);
  if (removed > 0) tell_removed(c, c.args[1], "srem", left);
  c.reply.integer(removed);
}

void scard(CommandContext& c) {
  std::optional<Header> header;
  if (!find_set(c, c.args[1], &header)) return;
  c.reply.integer(static_cast<int64_t>(Set(c.view, c.database, c.args[1], header).size()));
}

void sismember(CommandContext& c) {
  std::optional<Header> header;
  if (!find_set(c, c.args[1], &header)) return;
  Set set(c.view, c.database, c.args[1], header);
  set.load(c.args.subspan(2, 1));
  c.reply.integer(set.has(0));
}

void smismember(CommandContext& c) {
  std::optional<Header> header;
  if (!find_set(c, c.args[1], &header)) return;
  Set set(c.view, c.database, c.args[1], header);
  const auto names = c.args.subspan(2);
  set.load(names);
  c.reply.array(names.size());
  for (size_t i = 0; i < names.size(); ++i) c.reply.integer(set.has(i));
}

void smembers(CommandContext& c) {
  std::optional<Header> header;
  if (!find_set(c, c.args[1], &header)) return;
  Set set(c.view, c.database, c.args[1], header);
  if (set.size() > kStepsOnReactor) c.view.charge(set.size());  // It will not end here: leave at once.
  LongReply whole(c);
  c.reply.set(set.size());
  const bool ended = set.each([&](const Set::Member& member) {
    c.reply.bulk(member.name);
    return whole.goes_on();
  });
  if (!ended) whole.give_up([&] { return set_listing(c, c.args[1]); });
}

void smove(CommandContext& c) {
  const std::string_view names[] = {c.args[1], c.args[2]};
  c.view.prefetch_headers(c.database, names);
  const auto from_header = c.view.header(c.database, c.args[1]);
  const auto to_header = c.view.header(c.database, c.args[2]);
  if (!from_header) return c.reply.integer(0);
  if (from_header->type != Type::kSet || (to_header && to_header->type != Type::kSet))
    return c.reply.error(kWrongType);
  const auto member = c.args.subspan(3, 1);
  Set from(c.view, c.database, c.args[1], from_header);
  from.load(member);
  if (!from.has(0) || c.args[1] == c.args[2]) return c.reply.integer(from.has(0));
  Set to(c.view, c.database, c.args[2], to_header);
  to.load(member);
  const bool is_new = !to.has(0);
  from.remove(0);
  to.add(0);
  tell_removed(c, c.args[1], "srem", from.save(set_limits(c), c.random_seed));
  to.save(set_limits(c), c.random_seed);
  if (is_new) c.event(notify::kSet, "sadd", c.args[2]);
  c.reply.integer(1);
}

void sscan(CommandContext& c) {
  const auto scan = begin_element_scan(c, Type::kSet);
  if (!scan) return;
  ScannedElements elements(c);
  Set set(c.view, c.database, c.args[1], scan->header);
  elements.reply(set.scan(scan->cursor, scan->count, [&](const Set::Member& member) {
    if (scan->matches(member.name)) elements.add().bulk(member.name);
  }));
}

// ---- at random

void srandmember(CommandContext& c) {
  if (c.args.size() > 3) return c.reply.error(kSyntaxError);
  std::optional<int64_t> count;
  if (c.args.size() == 3 && !(count = parse_random_count(c.args[2], c.reply))) return;
  std::optional<Header> header;
  if (!find_set(c, c.args[1], &header)) return;
  if (!header) return count ? c.reply.array(0) : c.reply.null();
  Set set(c.view, c.database, c.args[1], header);
  Random random(c.random_seed);
  const auto reply = [&](const Set::Member& member) { c.reply.bulk(member.name); };
  if (!count) return set.draw(random, reply);
  if (*count < 0) {
    if (!random_replies_allowed(*count, c.reply)) return;
    const uint64_t wanted = 0 - static_cast<uint64_t>(*count);
    c.reply.array(wanted);
    for (uint64_t i = 0; i < wanted; ++i) {
      c.view.charge(1);
      set.draw(random, reply, wanted - i - 1);
    }
    return;
  }
  const uint64_t wanted = std::min(static_cast<uint64_t>(*count), set.size());
  c.reply.array(wanted);
  sample_distinct(set, set.size(), wanted, random, reply);
}

std::vector<std::string> draw_run(Set& set, Random& random, uint64_t wanted) {
  std::vector<std::string> names;
  size_t bytes = 0;
  set.draw_run(random, [&](const Set::Member& member) {
    names.emplace_back(member.name);
    bytes += member.name.size();
    return names.size() < wanted && bytes < DrawnMembers::kBytesMax;
  });
  return names;
}

// Loads a member that is to go. *name must stay until the set is saved.
void draw_one(CommandContext& c, Set& set, std::string* name) {
  Random random(c.random_seed);
  const uint64_t ahead = set.large() ? DrawnMembers::wanted(set.size()) : 0;
  if (ahead < 2) {
    set.draw_to_remove(random, [&](const Set::Member& member) { *name = member.name; });
    const std::string_view names[] = {*name};
    return set.load_members(names);
  }
  // A name stays at hand until it is seen to be gone: this command may run again, or come to nothing.
  std::vector<std::string>& drawn = c.server.drawn_members().of(set.object());
  for (bool fresh = false;; drawn.pop_back()) {
    if (drawn.empty()) {
      drawn = draw_run(set, random, ahead);
      fresh = true;
    }
    *name = drawn.back();
    const std::string_view names[] = {*name};
    set.load(names);
    if (set.has(0)) {
      if (name->size() > DrawnMembers::kBytesMax) drawn.pop_back();  // Too long to lie about.
      return;
    }
    if (fresh)
      throw StorageError{engine::Status(engine::Code::kCorruption, "a set's member is seen but not found")};
  }
}

void pop_one(CommandContext& c, Set& set) {
  std::string name;
  draw_one(c, set, &name);
  set.remove(0);
  tell_removed(c, c.args[1], "spop", set.save(set_limits(c), c.random_seed));
  c.reply.bulk(std::move(name));
}

// If so many go that so few stay, those that stay become a new set, and the old one goes as a whole.
constexpr uint64_t kPoppedPerStaying = 5;

bool few_stay(const Set& set, uint64_t wanted) { return (set.size() - wanted) * kPoppedPerStaying <= wanted; }

void pop_in_steps(CommandContext& c, const Set& set, uint64_t wanted) {
  struct Progress {
    std::vector<std::string> popped, step;
    uint64_t steps = 0;
  };
  const auto progress = std::make_shared<Progress>();
  const auto pop_some = [progress, wanted, limits = set_limits(c), database = c.database,
                         seed = c.random_seed,
                         key = std::string(c.args[1])](View& view, const Header& header) {
    Set rest(view, database, key, header);
    Random random(seed + progress->steps);
    const uint64_t left = std::min(wanted - progress->popped.size(), rest.size());
    progress->step.clear();
    rest.draw_run(random, [&](const Set::Member& member) {
      progress->step.emplace_back(member.name);
      return progress->step.size() < std::min(kRemovedPerStep, left);
    });
    const std::vector<std::string_view> names(progress->step.begin(), progress->step.end());
    rest.load_members(names);
    for (size_t i = 0; i < names.size(); ++i) rest.remove(i);
    RemovalStep step;
    step.removed = names.size();
    step.emptied = !rest.save(limits, seed);
    step.more = !step.emptied && step.removed < left;
    return step;
  };
  take_in_steps(
      c, c.args[1], set.object(), notify::kSet, "spop", pop_some,
      [progress] {
        ++progress->steps;
        std::move(progress->step.begin(), progress->step.end(), std::back_inserter(progress->popped));
        progress->step.clear();
      },
      [progress](resp::ReplyWriter& reply) {
        reply.set(progress->popped.size());
        for (const std::string& member : progress->popped) reply.bulk(member);
      });
}

void pop_some(CommandContext& c, Set& set, const Header& header, uint64_t wanted) {
  Random random(c.random_seed);
  std::vector<std::string> popped;
  if (set.large()) {
    // One seek, and no more blocks than they fill; server/drawn_members.h says why that is fair.
    set.draw_run(random, [&](const Set::Member& member) {
      popped.emplace_back(member.name);
      return popped.size() < wanted;
    });
    if (popped.size() < wanted)
      throw StorageError{engine::Status(engine::Code::kCorruption, "a set has fewer members than it counts")};
  } else {
    Emptied<Set> emptied{set};
    sample_distinct(emptied, set.size(), wanted, random,
                    [&](const Set::Member& member) { popped.emplace_back(member.name); });
  }
  const std::vector<std::string_view> names(popped.begin(), popped.end());
  for (const std::string_view name : names) c.reply.bulk(name);
  if (set.large() && few_stay(set, wanted)) {
    const NameIndex gone(names);
    SetBuilder staying;
    set.each([&](const Set::Member& member) {
      if (!gone.find(member.name)) staying.add(member.name);
      return true;
    });
    return staying.write(c.view, c.database, c.args[1], header.expiry_ms, set_limits(c), c.random_seed);
  }
  set.load_members(names);
  for (size_t i = 0; i < names.size(); ++i) set.remove(i);
  set.save(set_limits(c), c.random_seed);
}

void spop(CommandContext& c) {
  if (c.args.size() > 3) return c.reply.error(kSyntaxError);
  std::optional<int64_t> count;
  if (c.args.size() == 3) {
    count = parse_integer(c.args[2]);
    if (!count || *count < 0) return c.reply.error("ERR value is out of range, must be positive");
  }
  std::optional<Header> header;
  if (!find_set(c, c.args[1], &header)) return;
  if (!header) return count ? c.reply.set(0) : c.reply.null();
  Set set(c.view, c.database, c.args[1], header);
  if (!count) return pop_one(c, set);
  const uint64_t wanted = std::min(static_cast<uint64_t>(*count), set.size());
  if (wanted > kRemovedAtOnceMax && !c.nested) {
    if (!few_stay(set, wanted)) return pop_in_steps(c, set, wanted);
    may_take_long(c, c.args[1]);
  }
  c.reply.set(wanted);
  if (wanted == 0) return;
  tell_removed(c, c.args[1], "spop", wanted < set.size());
  if (wanted < set.size()) return pop_some(c, set, *header, wanted);
  set.each([&](const Set::Member& member) {
    c.reply.bulk(member.name);
    return true;
  });
  c.view.erase_header(c.database, c.args[1]);
}

constexpr Binding kBindings[] = {
    {"sadd", &sadd},
    {"srem", &srem},
    {"scard", &scard},
    {"sismember", &sismember},
    {"smove", &smove},
    {"smembers", &smembers},
    {"smismember", &smismember},
    {"sscan", &sscan},
    {"spop", &spop},
    {"srandmember", &srandmember},
};

}  // namespace

void bind_set_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
