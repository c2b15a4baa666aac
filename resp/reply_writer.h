// resp/reply_writer.h: writes replies in RESP2 or RESP3, whichever the connection speaks.
//
// What RESP2 lacks is written as Redis 7.0 writes it:
//
//     call             RESP2                    RESP3
//     null()           $-1                      _
//     null_array()     *-1                      _
//     map(n)           *2n                      %n
//     set(n)           *n                       ~n
//     push(n)          *n                       >n
//     number(x)        bulk string              ,x
//     boolean(b)       :1 or :0                 #t or #f
//     big_number(s)    bulk string              (s
//     verbatim(f, s)   bulk string              =n f:s
//
// An aggregate's header announces its elements; the caller then writes exactly so many replies (of a map,
// 2n). When their number is known only afterwards: open_array() … elements … close().
//
// Threads: the owner's only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "resp/output_buffer.h"

namespace resp {

enum class Version : unsigned char { kResp2 = 2, kResp3 = 3 };

class ReplyWriter {
 public:
  explicit ReplyWriter(OutputBuffer& out, Version version = Version::kResp2)
      : out_(&out), version_(version) {}

  Version version() const { return version_; }
  void set_version(Version version) { version_ = version; }
  OutputBuffer& out() { return *out_; }

  void ok() { raw("+OK\r\n"); }
  // CR and LF in these two are written as blanks: they are lines.
  void simple(std::string_view text) { line('+', text); }
  void error(std::string_view text) { line('-', text); }  // With its code: "ERR syntax error".

  void integer(int64_t n) { header(':', n); }
  void bulk(std::string_view bytes);
  void bulk(std::string&& bytes);  // A long one is moved, not copied.
  void bulk(const char* bytes) { bulk(std::string_view(bytes)); }
  void bulk_integer(int64_t n);  // The decimal digits as a bulk string.
  void null();
  void null_array();

  void array(size_t n) { header('*', static_cast<int64_t>(n)); }
  void map(size_t n);
  void set(size_t n) { header(is3() ? '~' : '*', static_cast<int64_t>(n)); }
  void push(size_t n) { header(is3() ? '>' : '*', static_cast<int64_t>(n)); }
  // Requires: RESP3; older clients have no place to put it.
  void attribute(size_t n) { header('|', static_cast<int64_t>(n)); }

  void number(double x);
  // A number whose digits are settled already (INCRBYFLOAT's, GEOPOS's).
  void number_text(std::string_view digits);
  void boolean(bool b);
  void big_number(std::string_view digits);
  // Requires: a format of three characters, "txt" or "mkd".
  void verbatim(std::string_view format, std::string_view text);

  // An aggregate whose size comes later; nested ones are closed from the inside out.
  struct Open {
    uint64_t position;
    char type;
  };
  Open open_array() { return {out_->open_gap(), '*'}; }
  Open open_map() { return {out_->open_gap(), '%'}; }
  Open open_set() { return {out_->open_gap(), '~'}; }
  void close(Open open, size_t n);

  // A reply that is in wire form already.
  void raw(std::string_view bytes) { out_->append(bytes); }

  // Where the next reply begins; rollback() forgets all that was written since (a command that runs again).
  uint64_t mark() const { return out_->end_position(); }
  void rollback(uint64_t mark) { out_->truncate(mark); }

 private:
  bool is3() const { return version_ == Version::kResp3; }
  void header(char type, int64_t n);
  void line(char type, std::string_view text);

  OutputBuffer* out_;
  Version version_;
};

// Redis 7.0's text of a double ("%.17g", inf, -inf, nan), written to `to`; returns its length.
inline constexpr size_t kNumberBytesMax = 32;
size_t format_number(double x, char* to);

}  // namespace resp
