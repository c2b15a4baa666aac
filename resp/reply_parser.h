// resp/reply_parser.h: reads replies, RESP2 and RESP3, into a small tree. For tests, replication and import;
// a server's own hot path never comes here.
//
// The invariants are RequestParser's: the outcome depends on the bytes alone, work is O(1) per byte, memory
// grows with bytes received. Bytes are consumed as they are parsed, so nothing refers to the buffer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "resp/input_buffer.h"
#include "resp/limits.h"

namespace resp {

// One reply. Which fields mean something follows from its kind.
struct Reply {
  enum class Kind : unsigned char {
    kSimple,     // text
    kError,      // text; also RESP3's blob error
    kInteger,    // integer
    kBulk,       // text
    kNull,       // $-1, *-1 and _
    kArray,      // items
    kMap,        // items: key, value, key, value …
    kSet,        // items
    kPush,       // items; belongs to no request
    kNumber,     // number, and text as it came
    kBoolean,    // integer 0 or 1
    kBigNumber,  // text
    kVerbatim,   // text, and its format
  };

  Kind kind = Kind::kNull;
  int64_t integer = 0;
  double number = 0;
  std::string text;
  std::string format;
  std::vector<Reply> items;
  std::vector<Reply> attributes;  // key, value, key, value … of the attribute in front of it.

  bool is_error() const { return kind == Kind::kError; }
  bool is_null() const { return kind == Kind::kNull; }
  bool operator==(const Reply&) const = default;
};

// The reply on one line, for test messages: [1, "a", {"k": nil}].
std::string to_text(const Reply& reply);

class ReplyParser {
 public:
  enum class Outcome : unsigned char { kReply, kNeedMore, kError };

  // Parses and consumes from `in` until a reply is whole: then it is in reply(). After kError, error() says
  // what was wrong, for good.
  Outcome next(InputBuffer& in);

  Reply& reply() { return reply_; }
  std::string_view error() const { return error_; }

  // After kNeedMore: at least so many bytes are missing.
  size_t wanted() const { return wanted_; }

 private:
  // An aggregate whose items are still coming.
  struct Level {
    Reply reply;
    uint64_t items_left = 0;
    bool is_attribute = false;
    std::vector<Reply> attributes;  // Read here, for the next item.
  };

  Outcome parse_line(InputBuffer& in);
  Outcome parse_body(InputBuffer& in);
  bool open_level(char type, int64_t n);
  void accept(Reply reply);
  Outcome fail(std::string text);

  std::vector<Level> levels_;
  std::vector<Reply> attributes_;  // As Level::attributes, outside of all levels.
  Reply reply_;
  bool complete_ = false;
  bool failed_ = false;
  char body_type_ = 0;  // '$', '!' or '=' while a body of body_bytes_ is awaited.
  size_t body_bytes_ = 0;
  size_t scanned_ = 0;  // unread() has no CR LF before here.
  size_t wanted_ = 1;
  std::string error_;
};

}  // namespace resp
