#include "resp/reply_parser.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "resp/reply_writer.h"

namespace resp {
namespace {

using Outcome = ReplyParser::Outcome;

struct Parsed {
  std::vector<Reply> replies;
  std::string error;
  bool operator==(const Parsed&) const = default;
};

template <typename NextCut>
Parsed feed(std::string_view bytes, NextCut next_cut) {
  InputBuffer in;
  ReplyParser parser;
  Parsed parsed;
  while (!bytes.empty()) {
    const size_t n = std::min<size_t>(bytes.size(), next_cut());
    in.append(bytes.substr(0, n));
    bytes.remove_prefix(n);
    Outcome outcome;
    while ((outcome = parser.next(in)) == Outcome::kReply)
      parsed.replies.push_back(std::move(parser.reply()));
    if (outcome == Outcome::kError) {
      parsed.error = parser.error();
      CHECK(parser.next(in) == Outcome::kError);
      break;
    }
  }
  return parsed;
}

Parsed parse(std::string_view bytes) {
  const Parsed whole = feed(bytes, [&] { return bytes.size(); });
  CHECK(feed(bytes, [] { return size_t{1}; }) == whole);
  return whole;
}

std::string text_of(std::string_view bytes) {
  const Parsed parsed = parse(bytes);
  CHECK(parsed.error == "");
  std::string text;
  for (const Reply& reply : parsed.replies) text += (text.empty() ? "" : " ") + to_text(reply);
  return text;
}

// Writes a random reply and returns what a reader should make of it.
Reply write_random(std::mt19937_64& random, ReplyWriter& writer, int depth) {
  const bool resp3 = writer.version() == Version::kResp3;
  Reply reply;
  const auto text = [&] {
    std::string bytes(random() % 30 == 0 ? random() % 5000 : random() % 12, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    return bytes;
  };
  const auto bulk_in_resp2 = [&](Reply::Kind kind) { return resp3 ? kind : Reply::Kind::kBulk; };
  switch (random() % (depth < 4 ? 14 : 9)) {
    case 0:
      reply.kind = Reply::Kind::kSimple;
      reply.text = "fine";
      writer.simple(reply.text);
      break;
    case 1:
      reply.kind = Reply::Kind::kError;
      reply.text = "ERR no";
      writer.error(reply.text);
      break;
    case 2:
      reply.kind = Reply::Kind::kInteger;
      reply.integer = static_cast<int64_t>(random());
      writer.integer(reply.integer);
      break;
    case 3:
      if (random() % 2 == 0)
        writer.null();
      else
        writer.null_array();
      break;
    case 4: {
      const double x = std::ldexp(static_cast<double>(static_cast<int64_t>(random())),
                                  static_cast<int>(random() % 100) - 50);
      char digits[kNumberBytesMax];
      reply.kind = bulk_in_resp2(Reply::Kind::kNumber);
      reply.text = std::string(digits, format_number(x, digits));
      if (resp3) reply.number = x;
      writer.number(x);
      break;
    }
    case 5:
      reply.integer = static_cast<int64_t>(random() % 2);
      reply.kind = resp3 ? Reply::Kind::kBoolean : Reply::Kind::kInteger;
      writer.boolean(reply.integer != 0);
      break;
    case 6:
      reply.kind = bulk_in_resp2(Reply::Kind::kBigNumber);
      reply.text = "123456789012345678901234567890";
      writer.big_number(reply.text);
      break;
    case 7:
      reply.kind = bulk_in_resp2(Reply::Kind::kVerbatim);
      reply.text = text();
      if (resp3) reply.format = "mkd";
      writer.verbatim("mkd", reply.text);
      break;
    case 8:
      reply.kind = Reply::Kind::kBulk;
      reply.text = text();
      writer.bulk(reply.text);
      break;
    default: {
      const size_t n = random() % 5;
      const bool late = random() % 2 == 0;
      size_t items = n;
      ReplyWriter::Open open{};
      switch (random() % 3) {
        case 0:
          reply.kind = Reply::Kind::kArray;
          if (late)
            open = writer.open_array();
          else
            writer.array(n);
          break;
        case 1:
          reply.kind = resp3 ? Reply::Kind::kSet : Reply::Kind::kArray;
          if (late)
            open = writer.open_set();
          else
            writer.set(n);
          break;
        default:
          reply.kind = resp3 ? Reply::Kind::kMap : Reply::Kind::kArray;
          items = 2 * n;
          if (late)
            open = writer.open_map();
          else
            writer.map(n);
      }
      for (size_t i = 0; i < items; ++i) reply.items.push_back(write_random(random, writer, depth + 1));
      if (late) writer.close(open, n);
    }
  }
  return reply;
}

}  // namespace

TEST_SUITE("resp/reply_parser") {
  TEST_CASE("every type of RESP2 and RESP3 is read") {
    CHECK(text_of("+OK\r\n-ERR x\r\n:-5\r\n$3\r\na\rb\r\n$-1\r\n*-1\r\n") ==
          "OK (error) ERR x -5 \"a\rb\" nil nil");
    CHECK(text_of("*2\r\n:1\r\n*1\r\n$0\r\n\r\n") == "[1, [\"\"]]");
    CHECK(text_of("_\r\n#t\r\n#f\r\n,1.5\r\n,inf\r\n,-inf\r\n(12345678901234567890\r\n!5\r\nERR "
                  "y\r\n=6\r\ntxt:ab\r\n") ==
          "nil true false ,1.5 ,inf ,-inf (12345678901234567890 (error) ERR y txt:\"ab\"");
    CHECK(text_of("%1\r\n+k\r\n:1\r\n~2\r\n:1\r\n:2\r\n>1\r\n+m\r\n*0\r\n%0\r\n~0\r\n") ==
          "{k: 1} ~[1, 2] >[m] [] {} ~[]");
  }

  TEST_CASE("numbers are read as numbers") {
    InputBuffer in;
    ReplyParser parser;
    in.append(",-1.25e2\r\n,-inf\r\n,nan\r\n,5e-324\r\n");
    REQUIRE(parser.next(in) == Outcome::kReply);
    CHECK(parser.reply().number == -125);
    REQUIRE(parser.next(in) == Outcome::kReply);
    CHECK(parser.reply().number == -INFINITY);
    REQUIRE(parser.next(in) == Outcome::kReply);
    CHECK(std::isnan(parser.reply().number));
    REQUIRE(parser.next(in) == Outcome::kReply);
    CHECK(parser.reply().number > 0);
  }

  TEST_CASE("an attribute belongs to the reply that follows it, at any depth") {
    const Parsed parsed = parse("|1\r\n+ttl\r\n:9\r\n*2\r\n:1\r\n|1\r\n+a\r\n+b\r\n:2\r\n");
    REQUIRE(parsed.replies.size() == 1);
    const Reply& reply = parsed.replies[0];
    REQUIRE(reply.attributes.size() == 2);
    CHECK(reply.attributes[1].integer == 9);
    REQUIRE(reply.items.size() == 2);
    CHECK(reply.items[0].attributes.empty());
    REQUIRE(reply.items[1].attributes.size() == 2);
    CHECK(reply.items[1].attributes[0].text == "a");
  }

  TEST_CASE("what is no reply is an error that says so, and stays one") {
    for (const char* bytes :
         {"x\r\n", "\r\n", ":1x\r\n", ":\r\n", "$-2\r\n", "$1\r\nabc\r\n", "*-2\r\n", "#x\r\n", ",z\r\n",
          "_1\r\n", "=2\r\nab\r\n", "!-1\r\n", "%-1\r\n", "$9999999999\r\n"}) {
      CAPTURE(bytes);
      CHECK(parse(bytes).error != "");
    }
  }

  TEST_CASE("nesting has a limit, and huge counts announced take no memory") {
    std::string deep;
    for (size_t i = 0; i <= kReplyDepthMax; ++i) deep += "*1\r\n";
    CHECK(parse(deep).error == "replies are nested too deep");
    CHECK(parse("*2147483647\r\n%2147483647\r\n").error == "");
  }

  TEST_CASE("whatever a ReplyWriter writes is read back, in both versions and however it is cut") {
    const uint64_t seed = 5150;
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    for (int round = 0; round < 600; ++round) {
      CAPTURE(round);
      OutputBuffer out;
      ReplyWriter writer(out, round % 2 == 0 ? Version::kResp2 : Version::kResp3);
      Parsed expected;
      for (int i = 0; i < 10; ++i) expected.replies.push_back(write_random(random, writer, 0));
      const std::string bytes = out.to_string();
      const size_t largest = size_t{1} << (random() % 12);
      const Parsed parsed = feed(bytes, [&] { return 1 + random() % largest; });
      CHECK(parsed.error == "");
      REQUIRE(parsed.replies.size() == expected.replies.size());
      for (size_t i = 0; i < parsed.replies.size(); ++i) {
        CHECK(to_text(parsed.replies[i]) == to_text(expected.replies[i]));
        CHECK(parsed.replies[i] == expected.replies[i]);
      }
    }
  }

  TEST_CASE("damaged replies are read alike however they are cut") {
    const uint64_t seed = 99;
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    const std::string whole =
        "*3\r\n$3\r\nabc\r\n%1\r\n+k\r\n:1\r\n|1\r\n+a\r\n#t\r\n=6\r\ntxt:ab\r\n>2\r\n,1.5\r\n_\r\n";
    const std::string_view spice = "*$%~>|=!#,(_+-:\r\n0123456789";
    for (int round = 0; round < 10'000; ++round) {
      CAPTURE(round);
      std::string bytes = whole;
      for (size_t edits = 1 + random() % 3; edits > 0; --edits) {
        const size_t at = random() % bytes.size();
        if (random() % 3 == 0)
          bytes.erase(at, 1);
        else
          bytes[at] = spice[random() % spice.size()];
      }
      const Parsed parsed = feed(bytes, [&] { return bytes.size(); });
      REQUIRE(feed(bytes, [&] { return 1 + random() % 5; }) == parsed);
    }
  }
}
}  // namespace resp
