// server/commands/stream_info.cc: XINFO: what can be seen of a stream, its groups and their consumers.
//
// Redis's radix tree is not here: its keys are the blocks by which ~ trims, its nodes one more.
#include <algorithm>
#include <string>

#include "server/bindings.h"
#include "server/commands/command_docs.h"
#include "server/commands/stream_support.h"
#include "server/errors.h"
#include "server/server.h"
#include "server/units.h"

namespace server {
namespace {

int64_t as_reply(uint64_t n) { return static_cast<int64_t>(n); }

// The stream of args[2]. False: the error is written.
bool find_present(CommandContext& c, std::optional<Stream>* stream) {
  if (!find_stream(c, c.args[2], stream)) return false;
  if (!*stream) c.reply.error(kNoSuchKey);
  return stream->has_value();
}

void field(CommandContext& c, const char* name, uint64_t number) {
  c.reply.bulk(name);
  c.reply.integer(as_reply(number));
}
void field(CommandContext& c, const char* name, StreamId id) {
  c.reply.bulk(name);
  reply_id(c.reply, id);
}

// Facts of a group that all forms show.
void reply_progress(CommandContext& c, const Stream& stream, const StreamGroup& group) {
  field(c, "last-delivered-id", group.last());
  c.reply.bulk("entries-read");
  const auto read = group.read();
  read ? c.reply.integer(as_reply(*read)) : c.reply.null();
  c.reply.bulk("lag");
  const auto lag = group.lag(stream);
  lag ? c.reply.integer(*lag) : c.reply.null();
}

// ---- XINFO STREAM

void reply_pending(CommandContext& c, StreamGroup& group, const Consumer* consumer, uint64_t count) {
  c.reply.bulk("pending");
  const auto entries = c.reply.open_array();
  size_t shown = 0;
  StreamGroup::Walk walk(group, consumer, kNoStreamId, kStreamIdMax);
  while ((count == 0 || shown < count) && walk.next()) {
    const PendingEntry entry = walk.pending();
    c.reply.array(consumer ? 3 : 4);
    reply_id(c.reply, walk.id());
    if (!consumer) c.reply.bulk(group.consumer(entry.consumer)->name);
    c.reply.integer(entry.delivered_ms);
    c.reply.integer(as_reply(entry.deliveries));
    ++shown;
  }
  c.reply.close(entries, shown);
}

void reply_full_group(CommandContext& c, const Stream& stream, StreamGroup& group, uint64_t count) {
  c.reply.map(7);
  c.reply.bulk("name");
  c.reply.bulk(group.name());
  reply_progress(c, stream, group);
  field(c, "pel-count", group.pending());
  reply_pending(c, group, nullptr, count);
  c.reply.bulk("consumers");
  c.reply.array(group.consumers());
  group.each_consumer([&](const Consumer& consumer) {
    c.reply.map(4);
    c.reply.bulk("name");
    c.reply.bulk(consumer.name);
    c.reply.bulk("seen-time");
    c.reply.integer(consumer.seen_ms);
    field(c, "pel-count", consumer.pending);
    reply_pending(c, group, &consumer, count);
  });
}

void reply_edge(CommandContext& c, const char* name, Stream& stream, bool forward) {
  c.reply.bulk(name);
  if (reply_entries(c, stream, kNoStreamId, kStreamIdMax, 1, forward) == 0) c.reply.null();
}

// XINFO STREAM key [FULL [COUNT count]]
void stream_info(CommandContext& c) {
  std::optional<Stream> stream;
  if (!find_present(c, &stream)) return;
  const size_t words = c.args.size();
  const bool full = words > 3;
  uint64_t count = 10;
  if (full) {
    const bool known = (words == 4 || words == 6) && equals_ignoring_case(c.args[3], "full") &&
                       (words == 4 || equals_ignoring_case(c.args[4], "count"));
    if (!known) {
      return c.reply.error("ERR unknown subcommand or wrong number of arguments for '" +
                           std::string(c.args[1].substr(0, 128)) + "'. Try XINFO HELP.");
    }
    if (words == 6) {
      const auto given = parse_integer(c.args[5]);
      if (!given) return c.reply.error(kNotAnInteger);
      if (*given >= 0) count = static_cast<uint64_t>(*given);
    }
  }
  const Stream::Facts& facts = stream->facts();
  c.reply.map(full ? 9 : 10);
  field(c, "length", facts.length);
  field(c, "radix-tree-keys", stream->blocks());
  field(c, "radix-tree-nodes", stream->blocks() + 1);
  field(c, "last-generated-id", facts.last);
  field(c, "max-deleted-entry-id", facts.max_deleted);
  field(c, "entries-added", facts.added);
  field(c, "recorded-first-entry-id", facts.first);
  if (!full) {
    field(c, "groups", facts.groups);
    reply_edge(c, "first-entry", *stream, true);
    reply_edge(c, "last-entry", *stream, false);
    return;
  }
  c.reply.bulk("entries");
  const auto entries = c.reply.open_array();
  c.reply.close(entries, reply_entries(c, *stream, kNoStreamId, kStreamIdMax, count));
  c.reply.bulk("groups");
  c.reply.array(facts.groups);
  StreamGroup::each(c.view, *stream, [&](StreamGroup& group) { reply_full_group(c, *stream, group, count); });
}

// ---- XINFO GROUPS, CONSUMERS

void groups(CommandContext& c) {
  std::optional<Stream> stream;
  if (!find_present(c, &stream)) return;
  c.reply.array(stream->facts().groups);
  StreamGroup::each(c.view, *stream, [&](StreamGroup& group) {
    c.reply.map(6);
    c.reply.bulk("name");
    c.reply.bulk(group.name());
    field(c, "consumers", group.consumers());
    field(c, "pending", group.pending());
    reply_progress(c, *stream, group);
  });
}

void consumers(CommandContext& c) {
  std::optional<Stream> stream;
  if (!find_present(c, &stream)) return;
  auto group = StreamGroup::find(c.view, *stream, c.args[3]);
  if (!group) {
    return c.reply.error("NOGROUP No such consumer group '" + std::string(c.args[3]) + "' for key name '" +
                         std::string(c.args[2]) + "'");
  }
  c.reply.array(group->consumers());
  group->each_consumer([&](const Consumer& consumer) {
    c.reply.map(3);
    c.reply.bulk("name");
    c.reply.bulk(consumer.name);
    field(c, "pending", consumer.pending);
    c.reply.bulk("idle");
    c.reply.integer(std::max<int64_t>(c.view.now_ms() - consumer.seen_ms, 0));
  });
}

void help(CommandContext& c) { container_help(c.server.table(), "xinfo", c.reply); }

constexpr Binding kBindings[] = {{"xinfo|stream", &stream_info},
                                 {"xinfo|groups", &groups},
                                 {"xinfo|consumers", &consumers},
                                 {"xinfo|help", &help}};

}  // namespace

void bind_stream_info_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
