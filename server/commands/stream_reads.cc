// server/commands/stream_reads.cc: XREAD and XREADGROUP: what is new in streams, at once or after a wait.
#include <algorithm>
#include <string>
#include <vector>

#include "server/bindings.h"
#include "server/blocking.h"
#include "server/commands/stream_support.h"
#include "server/errors.h"
#include "server/units.h"

namespace server {
namespace {

// Entries that a reader gets who has waited and named no number.
constexpr uint64_t kCountAfterWait = 1000;

struct ReadRequest {
  std::optional<int64_t> timeout_ms;
  uint64_t count = 0;  // 0: all.
  std::span<const std::string_view> keys, ids;
  std::optional<std::string_view> group;
  std::string_view consumer;
  bool acknowledge_at_once = false;
};

std::optional<int64_t> parse_wait(CommandContext& c, std::string_view text) {
  const auto ms = parse_integer(text);
  if (!ms) c.reply.error("ERR timeout is not an integer or out of range");
  if (!ms) return std::nullopt;
  if (*ms >= 0) return ms;
  c.reply.error("ERR timeout is negative");
  return std::nullopt;
}

bool parse_request(CommandContext& c, bool of_group, ReadRequest* request) {
  const auto fail = [&](std::string_view error) {
    c.reply.error(error);
    return false;
  };
  for (size_t i = 1; i < c.args.size() && request->keys.empty(); ++i) {
    const std::string_view word = c.args[i];
    const size_t more = c.args.size() - i - 1;
    if (more > 0 && equals_ignoring_case(word, "block")) {
      request->timeout_ms = parse_wait(c, c.args[++i]);
      if (!request->timeout_ms) return false;
    } else if (more > 0 && equals_ignoring_case(word, "count")) {
      const auto count = parse_integer(c.args[++i]);
      if (!count) return fail(kNotAnInteger);
      request->count = static_cast<uint64_t>(std::max<int64_t>(*count, 0));
    } else if (more > 0 && equals_ignoring_case(word, "streams")) {
      if (more % 2 != 0) {
        return fail(
            "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.");
      }
      request->keys = c.args.subspan(i + 1, more / 2);
      request->ids = c.args.subspan(i + 1 + more / 2);
    } else if (more > 1 && equals_ignoring_case(word, "group")) {
      if (!of_group)
        return fail("ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.");
      request->group = c.args[i + 1];
      request->consumer = c.args[i + 2];
      i += 2;
    } else if (equals_ignoring_case(word, "noack")) {
      if (!of_group)
        return fail("ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.");
      request->acknowledge_at_once = true;
    } else {
      return fail(kSyntaxError);
    }
  }
  if (request->keys.empty()) return fail(kSyntaxError);
  if (of_group && !request->group) return fail("ERR Missing GROUP option for XREADGROUP");
  return true;
}

// ---- what is read

// The entries after `after`, if there are any: name and entries, as one element of the reply.
bool reply_after(CommandContext& c, std::string_view key, Stream& stream, StreamId after, uint64_t count) {
  StreamId from = after;
  if (after >= stream.facts().last || !from.increment()) return false;
  Stream::Walk walk(stream, from, kStreamIdMax, true);
  if (!walk.next()) return false;
  if (c.reply.version() == resp::Version::kResp2) c.reply.array(2);
  c.reply.bulk(key);
  const auto entries = c.reply.open_array();
  size_t shown = 0;
  do {
    reply_entry(c.reply, walk.id(), walk.entry());
    ++shown;
  } while ((count == 0 || shown < count) && walk.next());
  c.reply.close(entries, shown);
  return true;
}

// The same for a consumer: the entries are delivered to it.
bool deliver(CommandContext& c, std::string_view key, Stream& stream, StreamGroup& group,
             const ReadRequest& request, uint64_t count) {
  StreamId from = group.last();
  if (from >= stream.facts().last || !from.increment()) return false;
  std::vector<StreamId> ids;
  {
    Stream::Walk walk(stream, from, kStreamIdMax, true);
    if (!walk.next()) return false;
    if (c.reply.version() == resp::Version::kResp2) c.reply.array(2);
    c.reply.bulk(key);
    const auto entries = c.reply.open_array();
    do {
      reply_entry(c.reply, walk.id(), walk.entry());
      ids.push_back(walk.id());
    } while ((count == 0 || ids.size() < count) && walk.next());
    c.reply.close(entries, ids.size());
  }
  const bool pends = !request.acknowledge_at_once;
  if (pends) group.prefetch(ids);
  Consumer* consumer = obtain_consumer(c, key, group, request.consumer);
  for (const StreamId id : ids) {
    group.advance(stream, id);
    if (pends) group.put(id, {consumer->number, c.view.now_ms(), 1}, group.pending(id));
  }
  group.save();
  return true;
}

// What was delivered to a consumer before and is still pending, from an id on.
void reply_history(CommandContext& c, std::string_view key, Stream& stream, StreamGroup& group,
                   const ReadRequest& request, StreamId after) {
  if (c.reply.version() == resp::Version::kResp2) c.reply.array(2);
  c.reply.bulk(key);
  Consumer* consumer = obtain_consumer(c, key, group, request.consumer);
  after.increment();
  std::vector<StreamId> ids;
  {
    StreamGroup::Walk walk(group, consumer, after, kStreamIdMax);
    while ((request.count == 0 || ids.size() < request.count) && walk.next()) ids.push_back(walk.id());
  }
  stream.prefetch(ids);
  c.reply.array(ids.size());
  for (const StreamId id : ids) {
    const auto entry = stream.find(id);
    if (!entry) {
      c.reply.array(2);
      reply_id(c.reply, id);
      c.reply.null_array();
      continue;
    }
    reply_entry(c.reply, id, *entry);
    auto pending = group.pending(id);
    if (!pending) malformed();
    const auto before = pending;
    pending->delivered_ms = c.view.now_ms();
    ++pending->deliveries;
    group.put(id, *pending, before);
  }
  group.save();
}

// ---- the command

void no_group(CommandContext& c, std::string_view key, std::string_view group) {
  c.reply.error("NOGROUP No such key '" + std::string(key) + "' or consumer group '" + std::string(group) +
                "' in XREADGROUP with GROUP option");
}

// After which id each stream is read; kStreamIdMax: what the group has not seen. False: the error is written.
bool resolve(CommandContext& c, const ReadRequest& request, std::vector<StreamId>* after) {
  c.view.prefetch_headers(c.database, request.keys);
  for (size_t i = 0; i < request.keys.size(); ++i) {
    const std::string_view key = request.keys[i], text = request.ids[i];
    std::optional<Stream> stream;
    if (!find_stream(c, key, &stream)) return false;
    if (request.group && (!stream || !StreamGroup::find(c.view, *stream, *request.group))) {
      no_group(c, key, *request.group);
      return false;
    }
    if (text == "$" && request.group) {
      c.reply.error(
          "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this "
          "consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just "
          "return an empty result set.");
      return false;
    }
    if (text == ">" && !request.group) {
      c.reply.error(
          "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> "
          "option.");
      return false;
    }
    if (text == "$") {
      after->push_back(stream ? stream->facts().last : kNoStreamId);
      continue;
    }
    const auto id = text == ">" ? std::optional(kStreamIdMax) : parse_stream_id(text);
    if (!id) {
      c.reply.error(kBadStreamId);
      return false;
    }
    after->push_back(*id);
  }
  return true;
}

// The header of a reply that tells of streams by name.
resp::ReplyWriter::Open open_streams(CommandContext& c) {
  return c.reply.version() == resp::Version::kResp2 ? c.reply.open_array() : c.reply.open_map();
}

// Serves one key, if it has anything. Looks it up: the same key may be named twice.
bool serve(CommandContext& c, const ReadRequest& request, std::string_view key, StreamId after,
           uint64_t count) {
  std::optional<Stream> stream;
  if (!find_stream(c, key, &stream) || !stream) return false;
  if (!request.group) return reply_after(c, key, *stream, after, count);
  auto group = StreamGroup::find(c.view, *stream, *request.group);
  if (!group) return false;
  if (after == kStreamIdMax) return deliver(c, key, *stream, *group, request, count);
  reply_history(c, key, *stream, *group, request, after);
  return true;
}

void wait(CommandContext& c, const ReadRequest& request, std::string remember) {
  BlockRequest block;
  block.type = Type::kStream;
  block.keys = request.keys;
  block.timeout_ms = *request.timeout_ms;
  block.when_gone = request.group.has_value();
  block.remember = std::move(remember);
  block_for(c, std::move(block), Nothing::kNullArray);
}

// It has waited, and one of its keys was written.
void serve_ready(CommandContext& c, const ReadRequest& request) {
  const std::string_view key = *c.ready_key;
  if (request.group) {
    const auto header = c.view.header(c.database, key);
    if (!header || header->type != Type::kStream)
      return c.reply.error("UNBLOCKED the stream key no longer exists");
    Stream stream(c.view, c.database, key, header);
    if (!StreamGroup::find(c.view, stream, *request.group))
      return c.reply.error("NOGROUP the consumer group this client was blocked on no longer exists");
  }
  const auto at = std::find(request.keys.begin(), request.keys.end(), key);
  INVARIANT(at != request.keys.end());
  const auto index = static_cast<size_t>(at - request.keys.begin());
  std::string_view remembered = c.remembered.substr(index * kStreamIdBytes);
  const StreamId after = take_stream_id_key(&remembered);
  const uint64_t mark = c.reply.mark();
  const auto streams = open_streams(c);
  if (serve(c, request, key, after, request.count > 0 ? request.count : kCountAfterWait))
    return c.reply.close(streams, 1);
  c.reply.rollback(mark);
  wait(c, request, std::string(c.remembered));
}

void read(CommandContext& c, bool of_group) {
  ReadRequest request;
  if (!parse_request(c, of_group, &request)) return;
  if (c.ready_key) return serve_ready(c, request);
  std::vector<StreamId> after;
  if (!resolve(c, request, &after)) return;

  const uint64_t mark = c.reply.mark();
  const auto streams = open_streams(c);
  size_t served = 0;
  for (size_t i = 0; i < after.size(); ++i)
    served += serve(c, request, request.keys[i], after[i], request.count);
  if (served > 0) return c.reply.close(streams, served);
  c.reply.rollback(mark);
  if (!request.timeout_ms) return c.reply.null_array();
  std::string remember;
  for (const StreamId id : after) put_stream_id_key(&remember, id);
  wait(c, request, std::move(remember));
}
void xread(CommandContext& c) { read(c, false); }
void xreadgroup(CommandContext& c) { read(c, true); }

constexpr Binding kBindings[] = {{"xread", &xread}, {"xreadgroup", &xreadgroup}};

}  // namespace

void bind_stream_read_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
