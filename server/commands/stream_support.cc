#include "server/commands/stream_support.h"

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include "server/errors.h"
#include "server/server.h"
#include "server/units.h"

namespace server {
namespace {

constexpr size_t kIdTextMax = 127;

// Redis takes what strtoull takes, but for what is a negative number outright.
std::optional<uint64_t> parse_half(const char* text) {
  if (const auto number = parse_integer(text))
    return *number < 0 ? std::nullopt : std::optional(static_cast<uint64_t>(*number));
  if (*text == '\0') return std::nullopt;
  char* end = nullptr;
  errno = 0;
  const unsigned long long number = std::strtoull(text, &end, 10);
  if (errno != 0 || *end != '\0') return std::nullopt;
  return number;
}

std::optional<StreamId> parse_id(std::string_view text, uint64_t missing_seq, bool* any_seq) {
  if (text.size() > kIdTextMax) return std::nullopt;
  char halves[kIdTextMax + 1] = {};
  std::memcpy(halves, text.data(), text.size());
  char* dash = std::strchr(halves, '-');
  if (dash) *dash = '\0';
  const auto ms = parse_half(halves);
  if (!ms) return std::nullopt;
  if (!dash) return StreamId{*ms, missing_seq};
  if (any_seq && std::strcmp(dash + 1, "*") == 0) {
    *any_seq = true;
    return StreamId{*ms, 0};
  }
  const auto seq = parse_half(dash + 1);
  if (!seq) return std::nullopt;
  return StreamId{*ms, *seq};
}

std::optional<StreamId> parse_range_id(CommandContext& c, std::string_view text, uint64_t missing_seq,
                                       bool* open) {
  *open = text.size() > 1 && text[0] == '(';
  if (!*open && text == "-") return kNoStreamId;
  if (!*open && text == "+") return kStreamIdMax;
  const auto id = parse_id(text.substr(*open ? 1 : 0), missing_seq, nullptr);
  if (!id) c.reply.error(kBadStreamId);
  return id;
}

}  // namespace

std::optional<StreamId> parse_stream_id(std::string_view text, uint64_t missing_seq) {
  return parse_id(text, missing_seq, nullptr);
}

std::optional<StreamId> parse_new_stream_id(std::string_view text, bool* any_seq) {
  *any_seq = false;
  return parse_id(text, 0, any_seq);
}

std::optional<StreamId> parse_range_start(CommandContext& c, std::string_view text) {
  bool open;
  auto id = parse_range_id(c, text, 0, &open);
  if (!id || !open || id->increment()) return id;
  c.reply.error("ERR invalid start ID for the interval");
  return std::nullopt;
}

std::optional<StreamId> parse_range_end(CommandContext& c, std::string_view text) {
  bool open;
  auto id = parse_range_id(c, text, UINT64_MAX, &open);
  if (!id || !open || id->decrement()) return id;
  c.reply.error("ERR invalid end ID for the interval");
  return std::nullopt;
}

bool find_stream(CommandContext& c, std::string_view key, std::optional<Stream>* stream,
                 const StreamLimits& limits) {
  const auto header = c.view.header(c.database, key);
  if (!header) return true;
  if (header->type != Type::kStream) {
    c.reply.error(kWrongType);
    return false;
  }
  stream->emplace(c.view, c.database, key, header, limits);
  return true;
}

StreamLimits stream_limits(CommandContext& c) {
  StreamLimits limits;
  limits.block_entries = c.server.settings().stream_node_max_entries;
  limits.block_bytes = c.server.settings().stream_node_max_bytes;
  return limits;
}

void reply_id(resp::ReplyWriter& reply, StreamId id) {
  char text[48];
  char* end = std::to_chars(text, text + 20, id.ms).ptr;
  *end++ = '-';
  end = std::to_chars(end, text + sizeof text, id.seq).ptr;
  reply.bulk(std::string_view(text, static_cast<size_t>(end - text)));
}

void reply_entry(resp::ReplyWriter& reply, StreamId id, std::string_view entry) {
  StreamFields fields(entry);
  reply.array(2);
  reply_id(reply, id);
  reply.array(fields.count());
  for (uint64_t left = fields.count(); left > 0; --left) reply.bulk(fields.next());
}

size_t reply_entries(CommandContext& c, Stream& stream, StreamId from, StreamId to, uint64_t count,
                     bool forward) {
  size_t shown = 0;
  Stream::Walk walk(stream, from, to, forward);
  while ((count == 0 || shown < count) && walk.next()) {
    reply_entry(c.reply, walk.id(), walk.entry());
    ++shown;
  }
  return shown;
}

Consumer* obtain_consumer(CommandContext& c, std::string_view key, StreamGroup& group,
                          std::string_view name) {
  if (Consumer* known = group.consumer(name)) {
    group.touch(known, c.view.now_ms());
    return known;
  }
  c.event(notify::kStream, "xgroup-createconsumer", key);
  return group.add_consumer(name, c.view.now_ms());
}

}  // namespace server
