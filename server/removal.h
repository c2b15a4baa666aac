// server/removal.h: takes so much out of a collection that it would hold everybody up, in steps.
//
// A set, sorted set or stream may lose millions of elements by one command. In one batch that would take
// seconds of the reactor and a log record of hundreds of megabytes. So beyond kAtOnceMax the command goes on
// as RangeDeletion does: one batch a step, with other commands between them, its connection waiting.
//
//   R1  Each step takes what is there when it comes to it, from one end of the range to the other; what is
//       written behind it stays. Others may see the collection with a part of the range gone.
//   R2  A step is atomic and survives as a whole; after a crash a prefix of the steps has happened.
//   R3  It ends where the key no longer holds the same object. The count is of what was removed, exactly.
//   R4  What is taken to be shown (a pop) is shown: where a step fails the reply has what the others took.
//   When
//       its client has left no more is taken.
//
// In a transaction or a script there are no steps: all goes at once.
//
// Threads: the reactor.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "server/command.h"

namespace server {

inline constexpr uint64_t kRemovedAtOnceMax = 10'000;
inline constexpr uint64_t kRemovedPerStep = 500;

struct RemovalStep {
  uint64_t removed = 0;
  bool more = false;     // There is something left to remove.
  bool emptied = false;  // The collection is gone with it.
};
// Removes some kRemovedPerStep from the collection whose header this is. May run several times a step, so it
// changes nothing but the view and what it returns.
using RemoveSome = std::function<RemovalStep(View& view, const Header& header)>;
// Hears of each step once it is done.
using Removed = std::function<void()>;
// Replies when the last one is.
using ReplyRemoved = std::function<void(resp::ReplyWriter&)>;

// The command (with its key at args[1], which holds `object`) answers with the number of what was removed
// when the last step is done; then others hear of `event`, a literal.
void remove_in_steps(CommandContext& c, ObjectId object, uint32_t event_class, const char* event,
                     RemoveSome remove_some, Removed removed = nullptr);
// The same for what is taken to be shown.
void take_in_steps(CommandContext& c, std::string_view key, ObjectId object, uint32_t event_class,
                   const char* event, RemoveSome remove_some, Removed removed, ReplyRemoved reply);

}  // namespace server
