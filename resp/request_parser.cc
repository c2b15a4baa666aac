#include "resp/request_parser.h"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace resp {
namespace {

constexpr int64_t kNotANumber = INT64_MIN;
constexpr size_t kKeepArguments = 1024;  // Larger vectors go after the command that needed them.
constexpr size_t kKeepWordBytes = 16 * 1024;

// A decimal number as Redis takes it: no sign but '-', no leading zero, nothing around it.
int64_t number_of(std::string_view text) {
  if (text == "0") return 0;
  const bool negative = !text.empty() && text[0] == '-';
  if (negative) text.remove_prefix(1);
  if (text.empty() || text[0] < '1' || text[0] > '9') return kNotANumber;
  int64_t n = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc() || rest != text.data() + text.size()) return kNotANumber;
  return negative ? -n : n;
}

// As isspace() in the C locale.
bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

RequestParser::Outcome RequestParser::next(InputBuffer& in, const RequestLimits& limits) {
  if (state_ == State::kError) return Outcome::kError;
  if (message_bytes_ != 0) {
    in.consume(message_bytes_);
    message_bytes_ = 0;
    drop_oversized();
  }
  for (;;) {
    const std::string_view data = in.unread();
    if (state_ == State::kStart && !start(data)) return need_more(1);
    const Outcome outcome = state_ == State::kInline ? parse_inline(data) : parse_array(data, limits);
    if (outcome != Outcome::kMessage || !slices_.empty()) return outcome;
    in.consume(message_bytes_);  // An empty array or an empty line.
    message_bytes_ = 0;
  }
}

size_t RequestParser::memory_bytes() const {
  return slices_.capacity() * sizeof(Slice) + args_.capacity() * sizeof(std::string_view) + words_.capacity();
}

bool RequestParser::start(std::string_view data) {
  if (data.empty()) return false;
  inline_ = data[0] != '*';
  state_ = inline_ ? State::kInline : State::kCount;
  cursor_ = scanned_ = 0;
  slices_.clear();
  return true;
}

// Reads the line at cursor_, "*<n>" or "$<n>", into count_, and steps over it.
RequestParser::Line RequestParser::read_count(std::string_view data) {
  const char* const line = data.data() + cursor_;
  const char* const end = data.data() + data.size();
  if (scanned_ <= cursor_) {
    // The usual line has a few digits and is all there.
    const char* const limit = end - line > 12 ? line + 12 : end;
    const char* p = line + 1;
    int64_t n = 0;
    while (p < limit && static_cast<unsigned char>(*p - '0') <= 9) n = n * 10 + (*p++ - '0');
    if (p < limit && *p == '\r' && end - p >= 2 && p > line + 1 && (line[1] != '0' || p == line + 2)) {
      count_ = n;
      cursor_ += static_cast<size_t>(p - line) + 2;
      return Line::kComplete;
    }
    scanned_ = cursor_;
  }
  const size_t stop = std::min(data.size(), cursor_ + kLineBytesMax + 1);
  const void* const found = std::memchr(data.data() + scanned_, '\r', stop - scanned_);
  if (found == nullptr) {
    scanned_ = stop;
    return data.size() - cursor_ > kLineBytesMax ? Line::kTooLong : Line::kPartial;
  }
  const size_t cr = static_cast<size_t>(static_cast<const char*>(found) - data.data());
  scanned_ = cr;
  if (data.size() - cr < 2) return Line::kPartial;
  count_ = cr > cursor_ ? number_of(data.substr(cursor_ + 1, cr - cursor_ - 1)) : kNotANumber;
  cursor_ = cr + 2;
  return Line::kComplete;
}

RequestParser::Outcome RequestParser::parse_array(std::string_view data, const RequestLimits& limits) {
  if (state_ == State::kCount) {
    const Line line = read_count(data);
    if (line == Line::kTooLong) return fail("Protocol error: too big mbulk count string");
    if (line == Line::kPartial) return need_more(1);
    if (count_ == kNotANumber || count_ > kArgumentsMax) {
      return fail("Protocol error: invalid multibulk length");
    }
    if (!limits.authenticated && count_ > kUnauthenticatedArgumentsMax) {
      return fail("Protocol error: unauthenticated multibulk length");
    }
    arguments_left_ = std::max<int64_t>(count_, 0);
    state_ = State::kBulkHeader;
  }
  while (arguments_left_ > 0) {
    if (state_ == State::kBulkHeader) {
      const size_t header = cursor_;
      const Line line = header < data.size() ? read_count(data) : Line::kPartial;
      if (line == Line::kTooLong) return fail("Protocol error: too big bulk count string");
      if (line == Line::kPartial) return need_more(1);
      if (data[header] != '$') {
        return fail(std::string("Protocol error: expected '$', got '") + data[header] + "'");
      }
      if (count_ < 0 || count_ > limits.bulk_bytes_max) return fail("Protocol error: invalid bulk length");
      if (!limits.authenticated && count_ > kUnauthenticatedBulkBytesMax) {
        return fail("Protocol error: unauthenticated bulk length");
      }
      bulk_bytes_ = static_cast<size_t>(count_);
      state_ = State::kBulkBytes;
    }
    const size_t needed = bulk_bytes_ + 2;
    if (data.size() - cursor_ < needed) return need_more(needed - (data.size() - cursor_));
    slices_.push_back({cursor_, bulk_bytes_});
    cursor_ += needed;
    --arguments_left_;
    state_ = State::kBulkHeader;
  }
  message_bytes_ = cursor_;
  return finish(data.data());
}

RequestParser::Outcome RequestParser::parse_inline(std::string_view data) {
  const size_t stop = std::min(data.size(), kLineBytesMax + 1);
  const void* const found = std::memchr(data.data() + scanned_, '\n', stop - scanned_);
  if (found == nullptr) {
    scanned_ = stop;
    if (data.size() > kLineBytesMax) return fail("Protocol error: too big inline request");
    return need_more(1);
  }
  const size_t length = static_cast<size_t>(static_cast<const char*>(found) - data.data());
  if (!split_words(data.substr(0, length))) return fail("Protocol error: unbalanced quotes in request");
  message_bytes_ = length + 1;
  return finish(words_.data());
}

// Words are separated by blanks. A word may hold "…" with escapes or '…' where only \' is one; a closing
// quote ends the word, so a blank or the line's end must follow. False: a quote without its partner.
bool RequestParser::split_words(std::string_view line) {
  words_.clear();
  size_t i = 0;
  const auto ends_word = [&] { return i == line.size() || is_space(line[i]); };
  for (;;) {
    while (i < line.size() && is_space(line[i])) ++i;
    if (i == line.size()) return true;
    const size_t word = words_.size();
    char quote = 0;
    for (;; ++i) {
      if (i == line.size()) {
        if (quote != 0) return false;
        break;
      }
      const char c = line[i];
      const std::string_view rest = line.substr(i + 1);
      if (quote == 0) {
        if (c == '"' || c == '\'')
          quote = c;
        else if (c == ' ' || c == '\t' || c == '\r')
          break;
        else
          words_.push_back(c);
      } else if (c == quote) {
        ++i;
        if (!ends_word()) return false;
        break;
      } else if (c != '\\' || rest.empty()) {
        words_.push_back(c);
      } else if (quote == '\'') {
        if (rest[0] == '\'') ++i;
        words_.push_back(line[i]);
      } else if (rest.size() >= 3 && rest[0] == 'x' && hex_value(rest[1]) >= 0 && hex_value(rest[2]) >= 0) {
        words_.push_back(static_cast<char>(hex_value(rest[1]) * 16 + hex_value(rest[2])));
        i += 3;
      } else {
        constexpr std::string_view kNames = "nrtba";
        constexpr std::string_view kBytes = "\n\r\t\b\a";
        const size_t which = kNames.find(rest[0]);
        words_.push_back(which == kNames.npos ? rest[0] : kBytes[which]);
        ++i;
      }
    }
    slices_.push_back({word, words_.size() - word});
  }
}

RequestParser::Outcome RequestParser::finish(const char* base) {
  args_.resize(slices_.size());
  for (size_t i = 0; i < slices_.size(); ++i) args_[i] = {base + slices_[i].offset, slices_[i].size};
  state_ = State::kStart;
  return Outcome::kMessage;
}

RequestParser::Outcome RequestParser::need_more(size_t wanted) {
  wanted_ = wanted;
  return Outcome::kNeedMore;
}

RequestParser::Outcome RequestParser::fail(std::string text) {
  error_ = std::move(text);
  state_ = State::kError;
  return Outcome::kError;
}

void RequestParser::drop_oversized() {
  if (slices_.capacity() > kKeepArguments) {
    slices_ = std::vector<Slice>();
    args_ = std::vector<std::string_view>();
  }
  if (words_.capacity() > kKeepWordBytes) words_ = std::string();
}

}  // namespace resp
