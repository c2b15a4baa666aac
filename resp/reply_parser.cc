#include "resp/reply_parser.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <limits>
#include <utility>

namespace resp {
namespace {

bool parse_integer(std::string_view text, int64_t& n) {
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  return error == std::errc() && end == text.data() + text.size();
}

bool parse_number(std::string_view text, double& x) {
  const bool negative = !text.empty() && text[0] == '-';
  const std::string_view magnitude = text.substr(negative ? 1 : 0);
  if (magnitude == "inf")
    x = std::numeric_limits<double>::infinity();
  else if (magnitude == "nan")
    x = std::numeric_limits<double>::quiet_NaN();
  else {
    if (!text.empty() && text[0] == '+') text.remove_prefix(1);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), x);
    // A range error leaves x alone: too near to zero, or too far, to be told apart is still a number.
    if (error == std::errc::result_out_of_range)
      x = std::strtod(std::string(text).c_str(), nullptr);
    else if (error != std::errc())
      return false;
    return end == text.data() + text.size();
  }
  if (negative) x = -x;
  return true;
}

}  // namespace

ReplyParser::Outcome ReplyParser::next(InputBuffer& in) {
  if (failed_) return Outcome::kError;
  complete_ = false;
  while (!complete_) {
    const Outcome outcome = body_type_ != 0 ? parse_body(in) : parse_line(in);
    if (outcome != Outcome::kReply) return outcome;
  }
  return Outcome::kReply;
}

// kReply here means: went on, look at complete_.
ReplyParser::Outcome ReplyParser::parse_line(InputBuffer& in) {
  const std::string_view data = in.unread();
  const size_t found = data.find("\r\n", scanned_);
  if (found == data.npos) {
    scanned_ = data.empty() ? 0 : data.size() - 1;
    wanted_ = 1;
    if (data.size() > static_cast<size_t>(kBulkBytesMax)) return fail("a line is too long");
    return Outcome::kNeedMore;
  }
  scanned_ = 0;
  if (found == 0) return fail("an empty line where a reply should begin");
  const char type = data[0];
  const std::string_view rest = data.substr(1, found - 1);
  Reply reply;
  int64_t n = 0;
  switch (type) {
    case '+':
      reply.kind = Reply::Kind::kSimple;
      reply.text = rest;
      break;
    case '-':
      reply.kind = Reply::Kind::kError;
      reply.text = rest;
      break;
    case ':':
      reply.kind = Reply::Kind::kInteger;
      if (!parse_integer(rest, reply.integer)) return fail("not an integer: " + std::string(rest));
      break;
    case ',':
      reply.kind = Reply::Kind::kNumber;
      reply.text = rest;
      if (!parse_number(rest, reply.number)) return fail("not a number: " + std::string(rest));
      break;
    case '(':
      reply.kind = Reply::Kind::kBigNumber;
      reply.text = rest;
      break;
    case '#':
      reply.kind = Reply::Kind::kBoolean;
      if (rest != "t" && rest != "f") return fail("not a boolean: " + std::string(rest));
      reply.integer = rest == "t" ? 1 : 0;
      break;
    case '_':
      if (!rest.empty()) return fail("not a null: " + std::string(rest));
      break;
    case '$':
    case '!':
    case '=':
      if (!parse_integer(rest, n) || n < -1 || n > kBulkBytesMax || (n == -1 && type != '$')) {
        return fail("not a length: " + std::string(rest));
      }
      if (n == -1) break;
      body_type_ = type;
      body_bytes_ = static_cast<size_t>(n);
      in.consume(found + 2);
      return Outcome::kReply;
    case '*':
    case '~':
    case '>':
    case '%':
    case '|':
      if (!parse_integer(rest, n) || n < -1 || n > kArgumentsMax || (n == -1 && type != '*')) {
        return fail("not a count: " + std::string(rest));
      }
      if (n == -1) break;
      in.consume(found + 2);
      if (!open_level(type, n)) return fail("replies are nested too deep");
      return Outcome::kReply;
    default: return fail(std::string("no reply begins with '") + type + "'");
  }
  in.consume(found + 2);
  accept(std::move(reply));
  return Outcome::kReply;
}

ReplyParser::Outcome ReplyParser::parse_body(InputBuffer& in) {
  const std::string_view data = in.unread();
  const size_t needed = body_bytes_ + 2;
  if (data.size() < needed) {
    wanted_ = needed - data.size();
    return Outcome::kNeedMore;
  }
  if (data.substr(body_bytes_, 2) != "\r\n") return fail("a bulk string does not end where it should");
  Reply reply;
  std::string_view text = data.substr(0, body_bytes_);
  if (body_type_ == '=') {
    if (text.size() < 4 || text[3] != ':') return fail("a verbatim string without its format");
    reply.format = text.substr(0, 3);
    text.remove_prefix(4);
  }
  reply.kind = body_type_ == '$'   ? Reply::Kind::kBulk
               : body_type_ == '!' ? Reply::Kind::kError
                                   : Reply::Kind::kVerbatim;
  reply.text = text;
  body_type_ = 0;
  in.consume(needed);
  accept(std::move(reply));
  return Outcome::kReply;
}

bool ReplyParser::open_level(char type, int64_t n) {
  if (levels_.size() >= kReplyDepthMax) return false;
  Level level;
  level.is_attribute = type == '|';
  level.items_left = static_cast<uint64_t>(n) * (type == '%' || type == '|' ? 2 : 1);
  level.reply.kind = type == '*'   ? Reply::Kind::kArray
                     : type == '~' ? Reply::Kind::kSet
                     : type == '>' ? Reply::Kind::kPush
                                   : Reply::Kind::kMap;
  levels_.push_back(std::move(level));
  if (n == 0) {
    // It is whole already; its parent takes it as it takes any other reply.
    Level whole = std::move(levels_.back());
    levels_.pop_back();
    if (!whole.is_attribute) accept(std::move(whole.reply));
  }
  return true;
}

// A reply is whole: it goes into the aggregate that is open, which may make that one whole, and so on.
void ReplyParser::accept(Reply reply) {
  for (;;) {
    std::vector<Reply>& attributes = levels_.empty() ? attributes_ : levels_.back().attributes;
    reply.attributes = std::exchange(attributes, {});
    if (levels_.empty()) {
      reply_ = std::move(reply);
      complete_ = true;
      return;
    }
    Level& level = levels_.back();
    level.reply.items.push_back(std::move(reply));
    if (--level.items_left > 0) return;
    Level whole = std::move(level);
    levels_.pop_back();
    if (whole.is_attribute) {
      (levels_.empty() ? attributes_ : levels_.back().attributes) = std::move(whole.reply.items);
      return;
    }
    reply = std::move(whole.reply);
  }
}

ReplyParser::Outcome ReplyParser::fail(std::string text) {
  error_ = std::move(text);
  failed_ = true;
  return Outcome::kError;
}

std::string to_text(const Reply& reply) {
  const auto items = [&](const char* open, const char* close) {
    std::string text = open;
    const bool map = reply.kind == Reply::Kind::kMap;
    for (size_t i = 0; i < reply.items.size(); ++i) {
      if (i != 0) text += map && i % 2 == 1 ? ": " : ", ";
      text += to_text(reply.items[i]);
    }
    return text + close;
  };
  switch (reply.kind) {
    case Reply::Kind::kSimple: return reply.text;
    case Reply::Kind::kError: return "(error) " + reply.text;
    case Reply::Kind::kInteger: return std::to_string(reply.integer);
    case Reply::Kind::kBulk: return '"' + reply.text + '"';
    case Reply::Kind::kNull: return "nil";
    case Reply::Kind::kArray: return items("[", "]");
    case Reply::Kind::kMap: return items("{", "}");
    case Reply::Kind::kSet: return items("~[", "]");
    case Reply::Kind::kPush: return items(">[", "]");
    case Reply::Kind::kNumber: return ',' + reply.text;
    case Reply::Kind::kBoolean: return reply.integer != 0 ? "true" : "false";
    case Reply::Kind::kBigNumber: return '(' + reply.text;
    case Reply::Kind::kVerbatim: return reply.format + ':' + '"' + reply.text + '"';
  }
  return {};
}

}  // namespace resp
