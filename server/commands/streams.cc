// server/commands/streams.cc: streams as such: appending, trimming, deleting, ranges.
#include <algorithm>
#include <string>
#include <vector>

#include "server/bindings.h"
#include "server/commands/listings.h"
#include "server/commands/stream_support.h"
#include "server/errors.h"
#include "server/long_reply.h"
#include "server/removal.h"
#include "server/units.h"

namespace server {
namespace {

// More than this in one entry is refused.
constexpr size_t kEntryBytesMax = size_t{1} << 30;

// ---- options of XADD and XTRIM

struct AddOptions {
  StreamTrim trim;
  bool make_stream = true;
  std::optional<StreamId> id;  // Nothing: of now.
  bool any_seq = false;
  size_t id_at = 0;  // Of the arguments.
};

// MAXLEN|MINID [~|=] threshold, from args[at] on; `at` moves to the last of them. False: the error is
// written.
bool parse_threshold(CommandContext& c, size_t* at, StreamTrim* trim) {
  const auto fail = [&](std::string_view error) {
    c.reply.error(error);
    return false;
  };
  if (trim->by != StreamTrim::By::kNothing)
    return fail("ERR syntax error, MAXLEN and MINID options at the same time are not compatible");
  trim->by = equals_ignoring_case(c.args[*at], "maxlen") ? StreamTrim::By::kLength : StreamTrim::By::kId;
  ++*at;
  if (*at + 1 < c.args.size() && (c.args[*at] == "~" || c.args[*at] == "="))
    trim->whole_blocks = c.args[(*at)++] == "~";
  if (trim->by == StreamTrim::By::kId) {
    const auto id = parse_stream_id(c.args[*at]);
    if (!id) return fail(kBadStreamId);
    trim->id = *id;
    return true;
  }
  const auto length = parse_integer(c.args[*at]);
  if (!length) return fail(kNotAnInteger);
  if (*length < 0) return fail("ERR The MAXLEN argument must be >= 0.");
  trim->length = static_cast<uint64_t>(*length);
  return true;
}

// Without LIMIT, ~ takes a hundred blocks.
uint64_t default_limit(const StreamLimits& limits) {
  constexpr uint64_t kBlocks = 100, kNone = 10'000, kMax = 1'000'000;
  if (limits.block_entries == 0) return kNone;
  return std::min(limits.block_entries, kMax / kBlocks) * kBlocks;
}

bool parse_options(CommandContext& c, bool adds, const StreamLimits& limits, AddOptions* options) {
  const auto fail = [&](std::string_view error) {
    c.reply.error(error);
    return false;
  };
  StreamTrim& trim = options->trim;
  std::optional<uint64_t> limit;
  size_t i = 2;
  for (; i < c.args.size(); ++i) {
    const std::string_view word = c.args[i];
    const bool more = i + 1 < c.args.size();
    if (adds && word == "*") break;
    if (more && (equals_ignoring_case(word, "maxlen") || equals_ignoring_case(word, "minid"))) {
      if (!parse_threshold(c, &i, &trim)) return false;
    } else if (more && equals_ignoring_case(word, "limit")) {
      const auto given = parse_integer(c.args[++i]);
      if (!given) return fail(kNotAnInteger);
      if (*given < 0) return fail("ERR The LIMIT argument must be >= 0.");
      limit = static_cast<uint64_t>(*given);
    } else if (adds && equals_ignoring_case(word, "nomkstream")) {
      options->make_stream = false;
    } else if (adds) {
      options->id = parse_new_stream_id(word, &options->any_seq);
      if (!options->id) return fail(kBadStreamId);
      break;
    } else {
      return fail(kSyntaxError);
    }
  }
  options->id_at = i;
  const bool trims = trim.by != StreamTrim::By::kNothing;
  if (limit.value_or(0) > 0 && !trims)
    return fail("ERR syntax error, LIMIT cannot be used without specifying a trimming strategy");
  if (!adds && !trims) return fail("ERR syntax error, XTRIM must be called with a trimming strategy");
  if (limit && !trim.whole_blocks)
    return fail("ERR syntax error, LIMIT cannot be used without the special ~ option");
  if (trim.whole_blocks) trim.limit = limit.value_or(default_limit(limits));
  return true;
}

// ---- appending

// The id that a new entry gets; nothing if it would not be greater than the last one.
std::optional<StreamId> new_id(const AddOptions& options, StreamId last, int64_t now_ms) {
  StreamId id = last;
  if (!options.id) {
    const auto now = static_cast<uint64_t>(now_ms);
    if (now > last.ms)
      id = {now, 0};
    else
      id.increment();
  } else if (!options.any_seq || options.id->ms != last.ms) {
    id = *options.id;
  } else if (last.seq < UINT64_MAX) {
    ++id.seq;
  }
  if (id <= last) return std::nullopt;
  return id;
}

void xadd(CommandContext& c) {
  const StreamLimits limits = stream_limits(c);
  AddOptions options;
  if (!parse_options(c, true, limits, &options)) return;
  const size_t first = options.id_at + 1;
  if (first + 2 > c.args.size() || (c.args.size() - first) % 2 == 1)
    return c.reply.error("ERR wrong number of arguments for 'xadd' command");
  const auto fields = c.args.subspan(first);
  if (options.id && !options.any_seq && *options.id == kNoStreamId)
    return c.reply.error("ERR The ID specified in XADD must be greater than 0-0");

  std::optional<Stream> stream;
  if (!find_stream(c, c.args[1], &stream, limits)) return;
  if (!stream) {
    if (!options.make_stream) return c.reply.null();
    stream.emplace(c.view, c.database, c.args[1], std::nullopt, limits);
  }
  if (stream->facts().last == kStreamIdMax) {
    return c.reply.error("ERR The stream has exhausted the last possible ID, unable to add more items");
  }
  const auto id = new_id(options, stream->facts().last, c.view.now_ms());
  if (!id) {
    return c.reply.error("ERR The ID specified in XADD is equal or smaller than the target stream top item");
  }
  size_t bytes = 0;
  for (const std::string_view field : fields) bytes += field.size();
  if (bytes > kEntryBytesMax) return c.reply.error("ERR Elements are too large to be stored");

  stream->add(*id, fields);
  c.event(notify::kStream, "xadd", c.args[1]);
  if (stream->trim(options.trim) > 0) c.event(notify::kStream, "xtrim", c.args[1]);
  StreamGroup::sweep(c.view, *stream, limits.erased_per_write);
  stream->save();
  reply_id(c.reply, *id);
}

// ---- removing

void trim_stepwise(CommandContext& c, ObjectId object, StreamTrim trim, const StreamLimits& limits) {
  trim.limit = kRemovedPerStep;
  remove_in_steps(
      c, object, notify::kStream, "xtrim",
      [trim, limits, database = c.database, key = std::string(c.args[1])](View& view, const Header& header) {
        Stream stream(view, database, key, header, limits);
        RemovalStep step;
        step.removed = stream.trim(trim);
        step.more = step.removed == trim.limit;
        if (step.removed > 0) stream.save();
        return step;
      });
}

void xtrim(CommandContext& c) {
  const StreamLimits limits = stream_limits(c);
  AddOptions options;
  if (!parse_options(c, false, limits, &options)) return;
  std::optional<Stream> stream;
  if (!find_stream(c, c.args[1], &stream, limits)) return;
  if (!stream) return c.reply.integer(0);
  if (!c.nested && !options.trim.whole_blocks && stream->trim_is_long(options.trim, kRemovedAtOnceMax))
    return trim_stepwise(c, stream->object(), options.trim, limits);
  const uint64_t gone = stream->trim(options.trim);
  if (gone > 0) {
    stream->save();
    c.event(notify::kStream, "xtrim", c.args[1]);
  }
  c.reply.integer(static_cast<int64_t>(gone));
}

void xdel(CommandContext& c) {
  std::optional<Stream> stream;
  if (!find_stream(c, c.args[1], &stream)) return;
  if (!stream) return c.reply.integer(0);
  std::vector<StreamId> ids;
  for (const std::string_view text : c.args.subspan(2)) {
    const auto id = parse_stream_id(text);
    if (!id) return c.reply.error(kBadStreamId);
    ids.push_back(*id);
  }
  stream->prefetch(ids);
  int64_t deleted = 0;
  for (const StreamId id : ids) deleted += stream->erase(id);
  if (deleted > 0) {
    stream->save();
    c.event(notify::kStream, "xdel", c.args[1]);
  }
  c.reply.integer(deleted);
}

// XSETID key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]
void xsetid(CommandContext& c) {
  const auto id = parse_stream_id(c.args[2]);
  if (!id) return c.reply.error(kBadStreamId);
  std::optional<uint64_t> added;
  std::optional<StreamId> max_deleted;
  for (size_t i = 3; i < c.args.size(); i += 2) {
    const bool more = i + 1 < c.args.size();
    if (more && equals_ignoring_case(c.args[i], "entriesadded")) {
      const auto number = parse_integer(c.args[i + 1]);
      if (!number) return c.reply.error(kNotAnInteger);
      if (*number < 0) return c.reply.error("ERR entries_added must be positive");
      added = static_cast<uint64_t>(*number);
    } else if (more && equals_ignoring_case(c.args[i], "maxdeletedid")) {
      max_deleted = parse_stream_id(c.args[i + 1]);
      if (!max_deleted) return c.reply.error(kBadStreamId);
      if (*id < *max_deleted) {
        return c.reply.error(
            "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id");
      }
    } else {
      return c.reply.error(kSyntaxError);
    }
  }
  std::optional<Stream> stream;
  if (!find_stream(c, c.args[1], &stream)) return;
  if (!stream) return c.reply.error(kNoSuchKey);
  if (const auto last = stream->last_entry()) {
    if (*id < *last) {
      return c.reply.error("ERR The ID specified in XSETID is smaller than the target stream top item");
    }
    if (added && stream->facts().length > *added) {
      return c.reply.error(
          "ERR The entries_added specified in XSETID is smaller than the target stream length");
    }
  }
  if (max_deleted == kNoStreamId) max_deleted.reset();
  stream->set_ids(*id, added, max_deleted);
  stream->save();
  c.event(notify::kStream, "xsetid", c.args[1]);
  c.reply.ok();
}

// ---- reading

void xlen(CommandContext& c) {
  std::optional<Stream> stream;
  if (!find_stream(c, c.args[1], &stream)) return;
  c.reply.integer(stream ? static_cast<int64_t>(stream->facts().length) : 0);
}

void range(CommandContext& c, bool forward) {
  const auto from = parse_range_start(c, c.args[forward ? 2 : 3]);
  if (!from) return;
  const auto to = parse_range_end(c, c.args[forward ? 3 : 2]);
  if (!to) return;
  std::optional<uint64_t> count;
  for (size_t i = 4; i < c.args.size(); i += 2) {
    if (!equals_ignoring_case(c.args[i], "count") || i + 1 == c.args.size())
      return c.reply.error(kSyntaxError);
    const auto number = parse_integer(c.args[i + 1]);
    if (!number) return c.reply.error(kNotAnInteger);
    count = static_cast<uint64_t>(std::max<int64_t>(*number, 0));
  }
  std::optional<Stream> stream;
  if (!find_stream(c, c.args[1], &stream)) return;
  if (!stream) return c.reply.array(0);
  if (count == 0) return c.reply.null_array();
  LongReply whole(c);
  const auto entries = c.reply.open_array();
  size_t shown = 0;
  for (Stream::Walk walk(*stream, *from, *to, forward); (!count || shown < *count) && walk.next(); ++shown) {
    reply_entry(c.reply, walk.id(), walk.entry());
    if (!whole.goes_on()) {
      return whole.give_up(
          [&] { return stream_listing(c, c.args[1], *from, *to, count.value_or(0), forward); });
    }
  }
  c.reply.close(entries, shown);
}
void xrange(CommandContext& c) { range(c, true); }
void xrevrange(CommandContext& c) { range(c, false); }

constexpr Binding kBindings[] = {{"xadd", &xadd},          {"xtrim", &xtrim}, {"xdel", &xdel},
                                 {"xsetid", &xsetid},      {"xlen", &xlen},   {"xrange", &xrange},
                                 {"xrevrange", &xrevrange}};

}  // namespace

void bind_stream_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
