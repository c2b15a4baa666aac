// resp/request_parser.h: turns what a client sent into commands, one at a time.
//
// Two forms, told apart by the first byte, as in Redis:
//
//     *2 CRLF $3 CRLF GET CRLF $1 CRLF k CRLF        an array of bulk strings
//     GET "k" LF                                     inline: words, with quotes and escapes
//
// Empty arrays and empty lines are skipped. As in Redis the two bytes after a count or a bulk string are not
// looked at, a count line ends at its CR and an inline command at its LF.
//
//              '*'                   count > 0                      last argument complete
//     kStart ───────▶ kCount ──────────────────────▶ kBulkHeader ◀──────────▶ kBulkBytes ───▶ message
//        └── other ─▶ kInline ── line complete ───────────────────────────────────────────▶ message
//                     (every state: ── what Redis refuses ──▶ error, for good)
//
// Invariants
//   P1  The outcome depends on the bytes alone, never on how they were cut into reads.
//   P2  Work is O(1) per byte in total; nothing parsed is parsed again when more bytes come.
//   P3  Memory grows with bytes received, never with a count announced. A command costs no allocation
//       (but while the vectors grow to the largest command so far).
//
// Threads: the owner's only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "resp/input_buffer.h"
#include "resp/limits.h"

namespace resp {

class RequestParser {
 public:
  enum class Outcome : unsigned char {
    kMessage,   // args() is a command.
    kNeedMore,  // Nothing complete: put bytes into in.room(wanted()), call next() again.
    kError,     // Send "-ERR " + error() + CRLF and close. Every later next() says the same.
  };

  // Consumes the message that the last call returned, then parses the next one of `in`.
  // Requires: the same `in` every time, consumed by nobody else.
  Outcome next(InputBuffer& in, const RequestLimits& limits);

  // After kMessage: the arguments, at least one. Views into `in` (inline: into this parser), valid until the
  // next in.room() or next().
  std::span<const std::string_view> args() const { return args_; }

  // After kMessage: the message as it came, views as above.
  std::string_view raw(const InputBuffer& in) const { return in.unread().substr(0, message_bytes_); }
  bool is_inline() const { return inline_; }

  // After kNeedMore: at least so many bytes are missing; exact for the argument that is being received.
  size_t wanted() const { return wanted_; }

  // True between messages: nothing of a next one has come yet. A connection at rest, or one to close cleanly.
  bool idle() const { return state_ == State::kStart; }

  // After kError: Redis's text, without the leading "ERR".
  std::string_view error() const { return error_; }

  size_t memory_bytes() const;

 private:
  enum class State : unsigned char { kStart, kCount, kBulkHeader, kBulkBytes, kInline, kError };
  struct Slice {
    size_t offset;  // From the start of the message; of an inline command, from that of words_.
    size_t size;
  };
  enum class Line : unsigned char { kComplete, kPartial, kTooLong };

  Outcome parse(std::string_view data, InputBuffer& in, const RequestLimits& limits);
  bool start(std::string_view data);
  Line read_count(std::string_view data);
  Outcome parse_array(std::string_view data, const RequestLimits& limits);
  Outcome parse_inline(std::string_view data);
  bool split_words(std::string_view line);
  Outcome finish(const char* base);
  Outcome need_more(size_t wanted);
  Outcome fail(std::string text);
  void drop_oversized();

  State state_ = State::kStart;
  bool inline_ = false;
  size_t cursor_ = 0;   // Parsed up to here, from the start of the message.
  size_t scanned_ = 0;  // The line at cursor_ has no end before here.
  int64_t count_ = 0;   // What read_count() read, or kNotANumber.
  int64_t arguments_left_ = 0;
  size_t bulk_bytes_ = 0;     // Of the argument that is being received.
  size_t message_bytes_ = 0;  // After kMessage: what the next call consumes.
  size_t wanted_ = 1;
  std::vector<Slice> slices_;
  std::vector<std::string_view> args_;
  std::string words_;  // The unquoted words of an inline command, end to end.
  std::string error_;
};

}  // namespace resp
