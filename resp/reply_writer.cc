#include "resp/reply_writer.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <utility>

namespace resp {
namespace {

constexpr size_t kDigitsMax = 20;  // Of a 64-bit integer, with its sign.
constexpr size_t kHeaderBytesMax = 1 + kDigitsMax + 2;
static_assert(kHeaderBytesMax <= OutputBuffer::kGapBytes);

// "<type><n>\r\n"
char* put_header(char* p, char type, int64_t n) {
  *p++ = type;
  if (n >= 0 && n < 100) {  // Most lengths.
    if (n >= 10) *p++ = static_cast<char>('0' + n / 10);
    *p++ = static_cast<char>('0' + n % 10);
  } else {
    p = std::to_chars(p, p + kDigitsMax, n).ptr;
  }
  *p++ = '\r';
  *p++ = '\n';
  return p;
}

}  // namespace

void ReplyWriter::header(char type, int64_t n) {
  char* const start = out_->extend(kHeaderBytesMax);
  out_->unextend(kHeaderBytesMax - static_cast<size_t>(put_header(start, type, n) - start));
}

void ReplyWriter::line(char type, std::string_view text) {
  char* p = out_->extend(text.size() + 3);
  *p++ = type;
  for (const char c : text) *p++ = c == '\r' || c == '\n' ? ' ' : c;
  *p++ = '\r';
  *p = '\n';
}

void ReplyWriter::bulk(std::string_view bytes) {
  constexpr size_t kInOnePiece = 1024;
  if (bytes.size() <= kInOnePiece) {
    const size_t reserved = kHeaderBytesMax + bytes.size() + 2;
    char* const start = out_->extend(reserved);
    char* p = put_header(start, '$', static_cast<int64_t>(bytes.size()));
    if (!bytes.empty()) std::memcpy(p, bytes.data(), bytes.size());
    p += bytes.size();
    *p++ = '\r';
    *p++ = '\n';
    out_->unextend(reserved - static_cast<size_t>(p - start));
    return;
  }
  header('$', static_cast<int64_t>(bytes.size()));
  raw(bytes);
  raw("\r\n");
}

void ReplyWriter::bulk(std::string&& bytes) {
  header('$', static_cast<int64_t>(bytes.size()));
  out_->append(std::move(bytes));
  raw("\r\n");
}

void ReplyWriter::bulk_integer(int64_t n) {
  char digits[kDigitsMax];
  const auto length = static_cast<size_t>(std::to_chars(digits, digits + sizeof digits, n).ptr - digits);
  constexpr size_t kReserved = kHeaderBytesMax + kDigitsMax + 2;
  char* const start = out_->extend(kReserved);
  char* p = put_header(start, '$', static_cast<int64_t>(length));
  std::memcpy(p, digits, sizeof digits);  // All of them: a length that the compiler knows.
  p += length;
  *p++ = '\r';
  *p++ = '\n';
  out_->unextend(kReserved - static_cast<size_t>(p - start));
}

void ReplyWriter::null() { raw(is3() ? "_\r\n" : "$-1\r\n"); }

void ReplyWriter::null_array() { raw(is3() ? "_\r\n" : "*-1\r\n"); }

void ReplyWriter::map(size_t n) {
  if (is3())
    header('%', static_cast<int64_t>(n));
  else
    header('*', static_cast<int64_t>(2 * n));
}

void ReplyWriter::number(double x) {
  char digits[kNumberBytesMax];
  number_text({digits, format_number(x, digits)});
}

void ReplyWriter::number_text(std::string_view digits) {
  if (is3())
    line(',', digits);
  else
    bulk(digits);
}

void ReplyWriter::boolean(bool b) {
  if (is3())
    raw(b ? "#t\r\n" : "#f\r\n");
  else
    integer(b ? 1 : 0);
}

void ReplyWriter::big_number(std::string_view digits) {
  if (is3())
    line('(', digits);
  else
    bulk(digits);
}

void ReplyWriter::verbatim(std::string_view format, std::string_view text) {
  if (!is3()) return bulk(text);
  header('=', static_cast<int64_t>(format.size() + 1 + text.size()));
  raw(format);
  raw(":");
  raw(text);
  raw("\r\n");
}

void ReplyWriter::close(Open open, size_t n) {
  if (!is3()) {
    if (open.type == '%') n *= 2;
    open.type = '*';
  }
  char bytes[kHeaderBytesMax];
  const char* const end = put_header(bytes, open.type, static_cast<int64_t>(n));
  out_->fill_gap(open.position, {bytes, static_cast<size_t>(end - bytes)});
}

size_t format_number(double x, char* to) {
  if (std::isnan(x)) return static_cast<size_t>(std::snprintf(to, kNumberBytesMax, "nan"));
  if (std::isinf(x)) return static_cast<size_t>(std::snprintf(to, kNumberBytesMax, x > 0 ? "inf" : "-inf"));
  // Whole numbers, most scores, have the same text by the short way; -0 has not.
  if (std::abs(x) < 1e15 && (x != 0 || !std::signbit(x))) {
    const auto whole = static_cast<int64_t>(x);
    if (static_cast<double>(whole) == x) {
      return static_cast<size_t>(std::to_chars(to, to + kNumberBytesMax, whole).ptr - to);
    }
  }
  return static_cast<size_t>(std::snprintf(to, kNumberBytesMax, "%.17g", x));
}

}  // namespace resp
