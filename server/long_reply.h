// server/long_reply.h: a reply of which nobody knows yet whether it will be too long to be whole in memory.
//
//     LongReply whole(c);
//     c.reply.array(n);
//     while (more()) {
//       c.reply.bulk(…);
//       if (!whole.goes_on()) return whole.give_up([&] { return list_…(…); });
//     }
//
// One of up to kWholeBytesMax is made at once, where the command runs. A longer one is left to a worker, and
// there to a ReplySource, which begins it anew and lets it out in pieces. In a transaction or a script a
// reply has to be whole, and one of more than kNestedBytesMax is an error.
//
// Threads: that of the view.
#pragma once

#include <cstdint>
#include <memory>

#include "server/command.h"
#include "server/reply_source.h"

namespace server {

inline constexpr uint64_t kWholeBytesMax = 1 << 20;
inline constexpr uint64_t kNestedBytesMax = 512 << 20;

class LongReply {
 public:
  explicit LongReply(CommandContext& c) : c_(c), mark_(c.reply.mark()) {}

  // To be asked after each element. False: it is too long, and taken back; give_up() says what now.
  // Throws LongRead where it should not be made here.
  bool goes_on() {
    if (c_.reply.mark() - mark_ <= kWholeBytesMax) [[likely]]
      return true;
    return goes_on_long();
  }

  // `make`: the std::shared_ptr<ReplySource> of the same reply. Requires: goes_on() was false.
  template <typename Make>
  void give_up(Make make) {
    if (c_.pieces != nullptr)
      *c_.pieces = make();
    else
      c_.reply.error(
          "ERR the reply would be longer than 512 MB, and in a transaction or a script it has to be whole");
  }

 private:
  bool goes_on_long();

  CommandContext& c_;
  const uint64_t mark_;
};

}  // namespace server
