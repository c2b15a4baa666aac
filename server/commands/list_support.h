// server/commands/list_support.h: what the list commands share.
#pragma once

#include <optional>
#include <string_view>

#include "server/command.h"
#include "server/commands/multi_pop.h"
#include "server/types/list.h"

namespace server {

// The list at a key, or nothing if the key is absent. False: it holds something else, and the error is
// written.
bool find_list(CommandContext& c, std::string_view key, std::optional<List>* list);
// An absent key is an empty list here.
bool open_list(CommandContext& c, std::string_view key, std::optional<List>* list);

// LEFT or RIGHT.
std::optional<End> parse_end(std::string_view word);

// The list has been saved. Pushing and popping are told by where: "lpush", "rpush", "lpop", "rpop". Where the
// last element went, the list is gone and that is told too.
void tell_pushed(CommandContext& c, std::string_view key, End end);
void tell_removed(CommandContext& c, std::string_view key, const char* name, const List& list);
inline const char* pop_event(End end) { return end == End::kLeft ? "lpop" : "rpop"; }

// Takes `count` elements (at most) off one end and replies with an array of them.
void reply_popped(CommandContext& c, std::string_view key, List& list, End end, uint64_t count);

// What a blocking command does too, once: each replies and returns true, or returns false when there is
// nothing to take, the reply unwritten. An error counts as a reply.
bool try_pop(CommandContext& c, std::span<const std::string_view> keys, End end);  // BLPOP's reply.
using ListMultiPop = MultiPop<End>;
bool try_multi_pop(CommandContext& c, const ListMultiPop& what);
bool try_move(CommandContext& c, std::string_view from, std::string_view to, End from_end, End to_end);

}  // namespace server
