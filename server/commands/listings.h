// server/commands/listings.h: what a collection holds, or a range of it, as a reply that goes out in pieces
// (server/reply_source.h): for replies that LongReply has given up. Each begins with its header.
//
// Each piece finds its place by itself: hashes and sets by the position of an element, lists and sorted sets
// by rank, streams by id. All pieces see one snapshot at one time, so the places hold.
//
// Requires for all: in the snapshot the key holds such a collection.
// Threads: made on any; then as ReplySource.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "server/command.h"
#include "server/commands/zset_support.h"
#include "server/reply_source.h"
#include "server/types/stream_id.h"

namespace server {

enum class HashParts : uint8_t { kNames, kValues, kBoth };
std::shared_ptr<ReplySource> hash_listing(const CommandContext& c, std::string_view key, HashParts parts);

std::shared_ptr<ReplySource> set_listing(const CommandContext& c, std::string_view key);

std::shared_ptr<ReplySource> list_listing(const CommandContext& c, std::string_view key, uint64_t first,
                                          uint64_t count);

// `ranks`: counted from the end if `backward`.
std::shared_ptr<ReplySource> zset_listing(const CommandContext& c, std::string_view key, RankRange ranks,
                                          bool backward, bool with_scores);

// Entries with ids in [from, to], `count` at most (0: all).
std::shared_ptr<ReplySource> stream_listing(const CommandContext& c, std::string_view key, StreamId from,
                                            StreamId to, uint64_t count, bool forward);

}  // namespace server
