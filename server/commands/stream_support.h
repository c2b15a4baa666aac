// server/commands/stream_support.h: what the stream commands share: ids as text, and entries as replies.
#pragma once

#include <optional>
#include <string_view>

#include "server/command.h"
#include "server/types/stream.h"
#include "server/types/stream_groups.h"

namespace server {

inline constexpr std::string_view kBadStreamId = "ERR Invalid stream ID specified as stream command argument";

// ms-seq, or ms alone with `missing_seq`.
std::optional<StreamId> parse_stream_id(std::string_view text, uint64_t missing_seq = 0);
// The same, and ms-*: then *any_seq is true.
std::optional<StreamId> parse_new_stream_id(std::string_view text, bool* any_seq);
// One end of a range: -, +, an id, or ( and an id. Nothing: the error is written.
std::optional<StreamId> parse_range_start(CommandContext& c, std::string_view text);
std::optional<StreamId> parse_range_end(CommandContext& c, std::string_view text);

// The stream at a key, or nothing if the key is absent. False: it holds something else, and the error is
// written.
bool find_stream(CommandContext& c, std::string_view key, std::optional<Stream>* stream,
                 const StreamLimits& limits = {});
// As the configuration has them. On the reactor only.
StreamLimits stream_limits(CommandContext& c);

void reply_id(resp::ReplyWriter& reply, StreamId id);
void reply_entry(resp::ReplyWriter& reply, StreamId id, std::string_view entry);
// The entries in [from, to], `count` at most (0: all), without a header around them. Returns how many.
size_t reply_entries(CommandContext& c, Stream& stream, StreamId from, StreamId to, uint64_t count,
                     bool forward = true);

// The consumer, made if there is none yet, as of now.
Consumer* obtain_consumer(CommandContext& c, std::string_view key, StreamGroup& group, std::string_view name);

}  // namespace server
