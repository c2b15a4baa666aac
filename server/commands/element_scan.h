// server/commands/element_scan.h: what HSCAN, SSCAN and ZSCAN share: arguments and the shape of the reply.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "resp/output_buffer.h"
#include "server/command.h"
#include "server/glob.h"

namespace server {

struct ElementScan {
  std::optional<Header> header;  // There is one.
  uint64_t cursor = 0;
  std::string_view pattern;  // Empty and `matches_all`: everything.
  bool matches_all = true;
  uint64_t count = 10;
  bool no_values = false;

  bool matches(std::string_view name) const { return matches_all || glob_match(pattern, name); }
};

// key cursor [MATCH pattern] [COUNT count], and of a hash [NOVALUES], from args[1] on. Nothing: an error is
// written, or the reply for an absent key.
std::optional<ElementScan> begin_element_scan(CommandContext& c, Type type);

// The reply's elements. The cursor comes first in the reply and is known last: they wait in a reply of their
// own.
class ScannedElements {
 public:
  explicit ScannedElements(CommandContext& c) : c_(c), writer_(elements_, c.reply.version()) {}
  // For one more reply.
  resp::ReplyWriter& add() {
    ++count_;
    return writer_;
  }
  void reply(uint64_t next_cursor) {
    c_.reply.array(2);
    c_.reply.bulk(std::to_string(next_cursor));
    c_.reply.array(count_);
    c_.reply.out().splice(std::move(elements_));
  }

 private:
  CommandContext& c_;
  resp::OutputBuffer elements_;
  resp::ReplyWriter writer_;
  size_t count_ = 0;
};

}  // namespace server
