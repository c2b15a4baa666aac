#include "resp/request_parser.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "resp/input_buffer.h"

namespace resp {
namespace {

using Outcome = RequestParser::Outcome;
using Command = std::vector<std::string>;

// All that a stream of bytes comes to.
struct Parsed {
  std::vector<Command> commands;
  std::string error;
  bool idle = false;
  bool operator==(const Parsed&) const = default;
};

std::string array_of(const Command& command) {
  std::string bytes = "*" + std::to_string(command.size()) + "\r\n";
  for (const std::string& arg : command) bytes += "$" + std::to_string(arg.size()) + "\r\n" + arg + "\r\n";
  return bytes;
}

// Feeds `bytes` in pieces; `next_cut` says how long the next one is.
template <typename NextCut>
Parsed feed(std::string_view bytes, const RequestLimits& limits, NextCut next_cut) {
  InputBuffer in;
  RequestParser parser;
  Parsed parsed;
  while (!bytes.empty()) {
    const size_t n = std::min<size_t>(bytes.size(), next_cut());
    in.append(bytes.substr(0, n));
    bytes.remove_prefix(n);
    Outcome outcome;
    while ((outcome = parser.next(in, limits)) == Outcome::kMessage) {
      REQUIRE(!parser.args().empty());
      parsed.commands.emplace_back(parser.args().begin(), parser.args().end());
    }
    if (outcome == Outcome::kError) {
      parsed.error = parser.error();
      CHECK(parser.next(in, limits) == Outcome::kError);
      break;
    }
    CHECK(parser.wanted() >= 1);
  }
  parsed.idle = parser.idle();
  return parsed;
}

Parsed feed_whole(std::string_view bytes, const RequestLimits& limits = {}) {
  return feed(bytes, limits, [&] { return bytes.size(); });
}

Parsed feed_bytes(std::string_view bytes, const RequestLimits& limits = {}) {
  return feed(bytes, limits, [] { return size_t{1}; });
}

// Whole, because every other way is tested to give the same.
Parsed parse(std::string_view bytes, const RequestLimits& limits = {}) {
  const Parsed whole = feed_whole(bytes, limits);
  if (bytes.size() < 200'000) CHECK(feed_bytes(bytes, limits) == whole);
  return whole;
}

std::string error_of(std::string_view bytes, const RequestLimits& limits = {}) {
  return parse(bytes, limits).error;
}

Command words_of(std::string_view line) {
  const Parsed parsed = parse(std::string(line) + "\r\n");
  CHECK(parsed.error == "");
  REQUIRE(parsed.commands.size() == 1);
  return parsed.commands[0];
}

constexpr char kUnbalanced[] = "Protocol error: unbalanced quotes in request";

}  // namespace

TEST_SUITE("resp/request_parser") {
  TEST_CASE("an array of bulk strings is a command, and several follow each other") {
    const std::vector<Command> commands = {{"SET", "k", "v"},
                                           {"GET", ""},
                                           {"MSET", std::string("\0\r\n$1", 5), std::string(100'000, 'x')},
                                           {"PING"}};
    std::string bytes;
    for (const Command& command : commands) bytes += array_of(command);
    const Parsed parsed = parse(bytes);
    CHECK(parsed.commands == commands);
    CHECK(parsed.error == "");
    CHECK(parsed.idle);
  }

  TEST_CASE("empty arrays, null arrays and empty lines are skipped") {
    const Parsed parsed = parse("*0\r\n\r\n*-1\r\n\n   \r\n*-10\r\n*1\r\n$4\r\nPING\r\n\r\n*0\r\n");
    CHECK(parsed.commands == std::vector<Command>{{"PING"}});
    CHECK(parsed.idle);
  }

  TEST_CASE("skipped messages are consumed at once, so a stream of them takes no memory") {
    InputBuffer in;
    RequestParser parser;
    for (int i = 0; i < 10'000; ++i) {
      in.append("\r\n*0\r\n");
      REQUIRE(parser.next(in, {}) == Outcome::kNeedMore);
      REQUIRE(in.empty());
    }
    CHECK(in.position() == 60'000);
    CHECK(in.capacity_bytes() == InputBuffer::kRestBytes);
  }

  TEST_CASE("the two bytes behind a count or a bulk string are not looked at, as in Redis") {
    CHECK(parse("*1\rX$4\r\nPING\r\n").commands == std::vector<Command>{{"PING"}});
    CHECK(parse("*1\r\n$4\r\nPINGab*1\r\n$2\r?OK\r\n").commands == std::vector<Command>{{"PING"}, {"OK"}});
  }

  TEST_CASE("a count is a decimal number without plus, leading zero or blanks") {
    for (const char* count :
         {"", "+1", "01", "-0", "1 ", " 1", "1a", "0x1", "--1", "99999999999999999999", "2147483648"}) {
      CAPTURE(count);
      CHECK(error_of("*" + std::string(count) + "\r\n") == "Protocol error: invalid multibulk length");
    }
    for (const char* count : {"", "+1", "01", "-1", "-0", "1 ", "1a", "99999999999999999999", "536870913"}) {
      CAPTURE(count);
      CHECK(error_of("*1\r\n$" + std::string(count) + "\r\n") == "Protocol error: invalid bulk length");
    }
    CHECK(error_of("*2147483647\r\n") == "");
    CHECK(error_of("*-9223372036854775807\r\n") == "");
    CHECK(error_of("*1\r\n$536870912\r\n") == "");
  }

  TEST_CASE("the longest bulk string is a setting") {
    RequestLimits limits;
    limits.bulk_bytes_max = 100;
    CHECK(error_of("*1\r\n$101\r\n", limits) == "Protocol error: invalid bulk length");
    CHECK(error_of("*1\r\n$100\r\n", limits) == "");
  }

  TEST_CASE("an argument must begin with a dollar sign, and the error names what came instead") {
    CHECK(error_of("*1\r\nX4\r\nPING\r\n") == "Protocol error: expected '$', got 'X'");
    CHECK(error_of("*2\r\n$4\r\nPING\r\n*1\r\n") == "Protocol error: expected '$', got '*'");
    CHECK(error_of("*1\r\n\r\n") == "Protocol error: expected '$', got '\r'");
  }

  TEST_CASE("a line without an end is refused after 64 KB, not before") {
    const auto ones = [](size_t n) { return std::string(n, '1'); };
    CHECK(error_of("*" + ones(65535)) == "");
    CHECK(error_of("*" + ones(65536)) == "Protocol error: too big mbulk count string");
    CHECK(error_of("*1\r\n$" + ones(65535)) == "");
    CHECK(error_of("*1\r\n$" + ones(65536)) == "Protocol error: too big bulk count string");
    CHECK(error_of("*1\r\n" + ones(65537)) == "Protocol error: too big bulk count string");
    CHECK(error_of(ones(65536)) == "");
    CHECK(error_of(ones(65537)) == "Protocol error: too big inline request");
    CHECK(parse(ones(65536) + "\n").commands == std::vector<Command>{{ones(65536)}});
    // P1: that the end has come already makes no difference.
    CHECK(error_of(ones(65537) + "\n") == "Protocol error: too big inline request");
    CHECK(error_of("*" + ones(65535) + "\r\n") == "Protocol error: invalid multibulk length");
    CHECK(error_of("*" + ones(65536) + "\r\n") == "Protocol error: too big mbulk count string");
  }

  TEST_CASE("without a password given, ten arguments of 16 KB are all that is read") {
    RequestLimits limits;
    limits.authenticated = false;
    CHECK(error_of("*11\r\n", limits) == "Protocol error: unauthenticated multibulk length");
    CHECK(error_of("*1\r\n$16385\r\n", limits) == "Protocol error: unauthenticated bulk length");
    CHECK(error_of("*10\r\n$16384\r\n", limits) == "");
  }

  TEST_CASE("limits are those at the time a count is read: AUTH lifts them for what is pipelined behind it") {
    InputBuffer in;
    RequestParser parser;
    RequestLimits limits;
    limits.authenticated = false;
    in.append(array_of({"AUTH", "pw"}) + array_of(Command(20, "x")));
    CHECK(parser.next(in, limits) == Outcome::kMessage);
    limits.authenticated = true;
    CHECK(parser.next(in, limits) == Outcome::kMessage);
    CHECK(parser.args().size() == 20);
  }

  TEST_CASE("an inline command is split at blanks and may end in LF alone") {
    CHECK(words_of("SET  key\tvalue ") == Command{"SET", "key", "value"});
    CHECK(parse("PING\nPING\r\n").commands == std::vector<Command>{{"PING"}, {"PING"}});
    CHECK(words_of("PING\r") == Command{"PING"});
    CHECK(words_of("PING\rX") == Command{"PING", "X"});
    // isspace() separates words, but only these four end one: so it is in Redis.
    CHECK(words_of("ECHO \va\vb\f") == Command{"ECHO", "a\vb\f"});
    CHECK(words_of(std::string("ECHO a\0b", 8)) == Command{"ECHO", std::string("a\0b", 3)});
  }

  TEST_CASE("double quotes know escapes, single quotes only their own") {
    CHECK(words_of(R"(ECHO "a b")") == Command{"ECHO", "a b"});
    CHECK(words_of(R"(ECHO "\n\r\t\b\a\\\"\q")") == Command{"ECHO", "\n\r\t\b\a\\\"q"});
    CHECK(words_of(R"(ECHO "\x41\x00\xfF\xzz\x4")") == Command{"ECHO", std::string("A\0\xffxzzx4", 8)});
    CHECK(words_of(R"(ECHO 'it\'s \n "x"')") == Command{"ECHO", R"(it's \n "x")"});
    CHECK(words_of(R"(ECHO "it's")") == Command{"ECHO", "it's"});
    CHECK(words_of(R"(ECHO "" '')") == Command{"ECHO", "", ""});
    CHECK(words_of(R"("")") == Command{""});
    CHECK(words_of(R"(ECHO ab"c d" x)") == Command{"ECHO", "abc d", "x"});
  }

  TEST_CASE("a quote without its partner, or with something behind it, is an error") {
    for (const char* line : {R"("abc)", R"('abc)", R"("a"b)", R"('a'b)", R"("a""b")", R"(a'b)", R"("a\")",
                             R"("a\)", R"('a\')", R"(")"}) {
      CAPTURE(line);
      CHECK(error_of(std::string("ECHO ") + line + "\r\n") == kUnbalanced);
    }
    CHECK(parse("ECHO \"a\r\nPING\r\n").commands.empty());
  }

  TEST_CASE("commands before an error are delivered, nothing behind it is") {
    const Parsed parsed = parse("PING\r\n*1\r\n$x\r\n\r\nPING\r\n");
    CHECK(parsed.commands == std::vector<Command>{{"PING"}});
    CHECK(parsed.error == "Protocol error: invalid bulk length");
    CHECK(!parsed.idle);
  }

  TEST_CASE("P1: random splits give what the whole gives") {
    const uint64_t seed = 20240501;
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    for (int round = 0; round < 200; ++round) {
      CAPTURE(round);
      std::string bytes;
      std::vector<Command> expected;
      for (int i = 0; i < 20; ++i) {
        Command command;
        const size_t words = 1 + random() % 6;
        for (size_t w = 0; w < words; ++w) {
          std::string arg(random() % 50 == 0 ? random() % 70'000 : random() % 20, '\0');
          for (char& c : arg) c = static_cast<char>(random());
          command.push_back(std::move(arg));
        }
        if (random() % 8 == 0) bytes += "*0\r\n\r\n";
        if (random() % 4 == 0) {
          command = {"SET", "inline", std::to_string(random())};
          bytes += "SET \"inline\" " + command[2] + (random() % 2 == 0 ? "\r\n" : "\n");
        } else {
          bytes += array_of(command);
        }
        expected.push_back(std::move(command));
      }
      const size_t largest = size_t{1} << (random() % 18);
      const Parsed parsed = feed(bytes, {}, [&] { return 1 + random() % largest; });
      CHECK(parsed.commands == expected);
      CHECK(parsed.error == "");
    }
  }

  TEST_CASE(
      "P1: however bytes are damaged, cutting them differently changes nothing, and nothing is read "
      "outside") {
    const uint64_t seed = 77;
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    const std::string whole = array_of({"SET", "key", "value"}) + "GET \"k\\x41\" 'b'\r\n" +
                              array_of({"MGET", "", "b"}) + "*-1\r\n*0\r\n" +
                              array_of({"X", std::string(300, 'y')});
    const std::string_view spice = "*$\r\n0123456789-\"'\\x \t";
    for (int round = 0; round < 20'000; ++round) {
      std::string bytes = whole;
      for (size_t edits = 1 + random() % 4; edits > 0; --edits) {
        const size_t at = random() % bytes.size();
        const char c = random() % 4 == 0 ? static_cast<char>(random()) : spice[random() % spice.size()];
        if (random() % 3 == 0)
          bytes.erase(at, 1 + random() % 5);
        else if (random() % 2 == 0)
          bytes.insert(at, 1, c);
        else
          bytes[at] = c;
        if (bytes.empty()) bytes = "\n";
      }
      CAPTURE(round);
      const Parsed parsed = feed_whole(bytes);
      REQUIRE(feed(bytes, {}, [&] { return 1 + random() % 7; }) == parsed);
      for (const Command& command : parsed.commands) REQUIRE(command.size() <= bytes.size());
    }
  }

  TEST_CASE("P3: counts announced with no bytes behind them take no memory") {
    InputBuffer in;
    RequestParser parser;
    in.append("*2147483647\r\n$536870912\r\n");
    CHECK(parser.next(in, {}) == Outcome::kNeedMore);
    CHECK(parser.wanted() == 536870914);
    CHECK(parser.memory_bytes() < 1024);
    CHECK(in.room(parser.wanted()).size() >= InputBuffer::kStepBytes);
    CHECK(in.capacity_bytes() < 2 * InputBuffer::kStepBytes);
  }

  TEST_CASE("P3: the memory of a command with very many arguments is given back") {
    InputBuffer in;
    RequestParser parser;
    in.append(array_of(Command(100'000, "x")));
    CHECK(parser.next(in, {}) == Outcome::kMessage);
    CHECK(parser.args().size() == 100'000);
    in.append("PING\r\n");
    CHECK(parser.next(in, {}) == Outcome::kMessage);
    CHECK(parser.memory_bytes() < 4096);
  }

  TEST_CASE("wanted() is exactly what the argument in progress still lacks") {
    InputBuffer in;
    RequestParser parser;
    in.append("*2\r\n$3\r\nGET\r\n$100000\r\nabc");
    CHECK(parser.next(in, {}) == Outcome::kNeedMore);
    CHECK(parser.wanted() == 100'000 + 2 - 3);
    in.append(std::string(100'000 - 3, 'x') + "\r\n");
    CHECK(parser.next(in, {}) == Outcome::kMessage);
    CHECK(parser.args()[1].size() == 100'000);
  }

  TEST_CASE("arguments are views into the buffer, and half a command goes on after it moved") {
    InputBuffer in;
    RequestParser parser;
    in.append("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*1\r\n$4\r\nPI");
    REQUIRE(parser.next(in, {}) == Outcome::kMessage);
    CHECK(parser.raw(in) == "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
    CHECK(parser.args()[0].data() == in.unread().data() + 8);
    // So much comes in that the buffer must move.
    in.append("NG\r\n" + std::string(100'000, 'x'));
    REQUIRE(parser.next(in, {}) == Outcome::kMessage);
    CHECK(parser.args()[0] == "PING");
    CHECK(parser.raw(in) == "*1\r\n$4\r\nPING\r\n");
  }

  TEST_CASE("after an inline command raw() shows the line as it came") {
    InputBuffer in;
    RequestParser parser;
    in.append("\r\nGET \"k\"\r\n");
    REQUIRE(parser.next(in, {}) == Outcome::kMessage);
    CHECK(parser.is_inline());
    in.append(std::string(100'000, 'x'));
    CHECK(Command(parser.args().begin(), parser.args().end()) == Command{"GET", "k"});
    CHECK(parser.raw(in) == "GET \"k\"\r\n");
  }
}
}  // namespace resp
