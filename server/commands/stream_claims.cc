// server/commands/stream_claims.cc: XPENDING, XCLAIM, XAUTOCLAIM: entries that were delivered and not
// acknowledged, and who takes them over.
#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "server/bindings.h"
#include "server/commands/stream_support.h"
#include "server/errors.h"
#include "server/units.h"

namespace server {
namespace {

void no_group(CommandContext& c) {
  c.reply.error("NOGROUP No such key '" + std::string(c.args[1]) + "' or consumer group '" +
                std::string(c.args[2]) + "'");
}

// The stream and group of args[1] and args[2]. False: the error is written.
bool find_both(CommandContext& c, std::optional<Stream>* stream, std::optional<StreamGroup>* group) {
  if (!find_stream(c, c.args[1], stream)) return false;
  if (*stream) *group = StreamGroup::find(c.view, **stream, c.args[2]);
  if (*group) return true;
  no_group(c);
  return false;
}

int64_t idle_ms(const CommandContext& c, const PendingEntry& entry) {
  return c.view.now_ms() - entry.delivered_ms;
}

// ---- XPENDING

void reply_summary(CommandContext& c, StreamGroup& group) {
  c.reply.array(4);
  c.reply.integer(static_cast<int64_t>(group.pending()));
  if (group.pending() == 0) {
    c.reply.null();
    c.reply.null();
    return c.reply.null_array();
  }
  reply_id(c.reply, *group.first_pending());
  reply_id(c.reply, *group.last_pending());
  const auto consumers = c.reply.open_array();
  size_t shown = 0;
  group.each_consumer([&](const Consumer& consumer) {
    if (consumer.pending == 0) return;
    c.reply.array(2);
    c.reply.bulk(consumer.name);
    c.reply.bulk_integer(static_cast<int64_t>(consumer.pending));
    ++shown;
  });
  c.reply.close(consumers, shown);
}

// XPENDING key group [[IDLE min-idle-time] start end count [consumer]]
void xpending(CommandContext& c) {
  const size_t words = c.args.size();
  if (words != 3 && (words < 6 || words > 9)) return c.reply.error(kSyntaxError);
  int64_t min_idle_ms = 0;
  std::optional<int64_t> count;
  std::optional<StreamId> from, to;
  size_t at = 3;
  if (words >= 6) {
    if (equals_ignoring_case(c.args[3], "idle")) {
      const auto given = parse_integer(c.args[4]);
      if (!given) return c.reply.error(kNotAnInteger);
      if (words < 8) return c.reply.error(kSyntaxError);
      min_idle_ms = *given;
      at += 2;
    }
    count = parse_integer(c.args[at + 2]);
    if (!count) return c.reply.error(kNotAnInteger);
    if (!(from = parse_range_start(c, c.args[at]))) return;
    if (!(to = parse_range_end(c, c.args[at + 1]))) return;
  }
  std::optional<Stream> stream;
  std::optional<StreamGroup> group;
  if (!find_both(c, &stream, &group)) return;
  if (words == 3) return reply_summary(c, *group);

  const Consumer* consumer = nullptr;
  if (at + 3 < words) {
    consumer = group->consumer(c.args[at + 3]);
    if (!consumer) return c.reply.array(0);
  }
  const auto entries = c.reply.open_array();
  int64_t shown = 0;
  StreamGroup::Walk walk(*group, consumer, *from, *to);
  while (shown < *count && walk.next()) {
    const PendingEntry entry = walk.pending();
    const int64_t idle = idle_ms(c, entry);
    if (min_idle_ms != 0 && idle < min_idle_ms) continue;
    c.reply.array(4);
    reply_id(c.reply, walk.id());
    c.reply.bulk(group->consumer(entry.consumer)->name);
    c.reply.integer(std::max<int64_t>(idle, 0));
    c.reply.integer(static_cast<int64_t>(entry.deliveries));
    ++shown;
  }
  c.reply.close(entries, static_cast<size_t>(shown));
}

// ---- XCLAIM

struct ClaimOptions {
  int64_t min_idle_ms = 0;
  std::vector<StreamId> ids;
  int64_t delivered_ms = 0;
  std::optional<uint64_t> deliveries;
  StreamId last;
  bool force = false, only_ids = false;
};

bool parse_claim(CommandContext& c, ClaimOptions* options) {
  const auto fail = [&](const std::string& error) {
    c.reply.error(error);
    return false;
  };
  const auto min_idle_ms = parse_integer(c.args[4]);
  if (!min_idle_ms) return fail("ERR Invalid min-idle-time argument for XCLAIM");
  options->min_idle_ms = std::max<int64_t>(*min_idle_ms, 0);
  size_t i = 5;
  for (; i < c.args.size(); ++i) {
    const auto id = parse_stream_id(c.args[i]);
    if (!id) break;
    options->ids.push_back(*id);
  }
  const int64_t now_ms = c.view.now_ms();
  int64_t delivered_ms = -1;
  for (; i < c.args.size(); ++i) {
    const std::string_view word = c.args[i];
    const bool more = i + 1 < c.args.size();
    const auto is = [&](std::string_view name) { return equals_ignoring_case(word, name); };
    if (is("force")) {
      options->force = true;
    } else if (is("justid")) {
      options->only_ids = true;
    } else if (more && (is("idle") || is("time"))) {
      const auto ms = parse_integer(c.args[++i]);
      if (!ms && is("idle")) return fail("ERR Invalid IDLE option argument for XCLAIM");
      if (!ms) return fail("ERR Invalid TIME option argument for XCLAIM");
      // May wrap around, and is then as wrong as any other time in the future.
      delivered_ms =
          is("time") ? *ms : static_cast<int64_t>(static_cast<uint64_t>(now_ms) - static_cast<uint64_t>(*ms));
    } else if (more && is("retrycount")) {
      const auto count = parse_integer(c.args[++i]);
      if (!count) return fail("ERR Invalid RETRYCOUNT option argument for XCLAIM");
      options->deliveries.reset();
      if (*count >= 0) options->deliveries = static_cast<uint64_t>(*count);
    } else if (more && is("lastid")) {
      const auto id = parse_stream_id(c.args[++i]);
      if (!id) return fail(std::string(kBadStreamId));
      options->last = *id;
    } else {
      return fail("ERR Unrecognized XCLAIM option '" + std::string(word) + "'");
    }
  }
  options->delivered_ms = delivered_ms < 0 || delivered_ms > now_ms ? now_ms : delivered_ms;
  return true;
}

// XCLAIM key group consumer min-idle-time id [id ...] [options]
void xclaim(CommandContext& c) {
  std::optional<Stream> stream;
  std::optional<StreamGroup> group;
  ClaimOptions options;
  if (!find_both(c, &stream, &group) || !parse_claim(c, &options)) return;
  group->prefetch(options.ids);
  stream->prefetch(options.ids);
  if (options.last > group->last()) group->set_last(options.last, group->read());

  Consumer* consumer = nullptr;
  const auto claimed = c.reply.open_array();
  size_t shown = 0;
  for (const StreamId id : options.ids) {
    const auto before = group->pending(id);
    const auto entry = stream->find(id);
    if (!entry) {
      if (before) group->acknowledge(id, *before);
      continue;
    }
    if (!before && !options.force) continue;
    if (before && options.min_idle_ms > 0 && idle_ms(c, *before) < options.min_idle_ms) continue;
    if (!consumer) consumer = obtain_consumer(c, c.args[1], *group, c.args[3]);
    PendingEntry now{consumer->number, options.delivered_ms, before ? before->deliveries : 1};
    if (options.deliveries)
      now.deliveries = *options.deliveries;
    else if (!options.only_ids)
      ++now.deliveries;
    group->put(id, now, before);
    if (options.only_ids)
      reply_id(c.reply, id);
    else
      reply_entry(c.reply, id, *entry);
    ++shown;
  }
  c.reply.close(claimed, shown);
  group->save();
}

// ---- XAUTOCLAIM

// Pending entries looked at for each that may be claimed.
constexpr int64_t kAttemptsFactor = 10;
constexpr int64_t kClaimsMax = std::numeric_limits<int64_t>::max() / 16;
// Entries whose records are fetched together.
constexpr size_t kFetchedTogether = 1000;

// XAUTOCLAIM key group consumer min-idle-time start [COUNT count] [JUSTID]
void xautoclaim(CommandContext& c) {
  const auto given_idle = parse_integer(c.args[4]);
  if (!given_idle) return c.reply.error("ERR Invalid min-idle-time argument for XAUTOCLAIM");
  const int64_t min_idle_ms = std::max<int64_t>(*given_idle, 0);
  const auto start = parse_range_start(c, c.args[5]);
  if (!start) return;
  int64_t count = 100;
  bool only_ids = false;
  for (size_t i = 6; i < c.args.size(); ++i) {
    if (i + 1 < c.args.size() && equals_ignoring_case(c.args[i], "count")) {
      const auto given = parse_integer(c.args[++i]);
      if (!given || *given < 1 || *given > kClaimsMax) return c.reply.error("ERR COUNT must be > 0");
      count = *given;
    } else if (equals_ignoring_case(c.args[i], "justid")) {
      only_ids = true;
    } else {
      return c.reply.error(kSyntaxError);
    }
  }
  std::optional<Stream> stream;
  std::optional<StreamGroup> group;
  if (!find_both(c, &stream, &group)) return;

  {  // The first entries are needed for sure.
    std::vector<StreamId> ids;
    StreamGroup::Walk walk(*group, nullptr, *start, kStreamIdMax);
    while (ids.size() < std::min<size_t>(kFetchedTogether, static_cast<size_t>(count)) && walk.next())
      ids.push_back(walk.id());
    stream->prefetch(ids);
  }
  struct Found {
    StreamId id;
    PendingEntry pending;
    std::optional<std::string_view> entry;
  };
  std::vector<Found> found;
  StreamId next = kNoStreamId;
  StreamGroup::Walk walk(*group, nullptr, *start, kStreamIdMax);
  bool there = walk.next();
  for (int64_t attempts = count > kClaimsMax / kAttemptsFactor ? kClaimsMax : count * kAttemptsFactor;
       there && attempts > 0 && count > 0; --attempts, there = walk.next()) {
    const Found one{walk.id(), walk.pending(), stream->find(walk.id())};
    if (one.entry && min_idle_ms > 0 && idle_ms(c, one.pending) < min_idle_ms) continue;
    found.push_back(one);
    --count;
  }
  if (there) next = walk.id();

  c.reply.array(3);
  reply_id(c.reply, next);
  Consumer* consumer = nullptr;
  const auto claimed = c.reply.open_array();
  size_t shown = 0;
  for (const Found& one : found) {
    if (!one.entry) {
      group->acknowledge(one.id, one.pending);
      continue;
    }
    if (!consumer) consumer = obtain_consumer(c, c.args[1], *group, c.args[3]);
    const uint64_t deliveries = one.pending.deliveries + (only_ids ? 0 : 1);
    group->put(one.id, {consumer->number, c.view.now_ms(), deliveries}, one.pending);
    if (only_ids)
      reply_id(c.reply, one.id);
    else
      reply_entry(c.reply, one.id, *one.entry);
    ++shown;
  }
  c.reply.close(claimed, shown);
  c.reply.array(found.size() - shown);
  for (const Found& one : found)
    if (!one.entry) reply_id(c.reply, one.id);
  group->save();
}

constexpr Binding kBindings[] = {{"xpending", &xpending}, {"xclaim", &xclaim}, {"xautoclaim", &xautoclaim}};

}  // namespace

void bind_stream_claim_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
