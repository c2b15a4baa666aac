#include "server/glob.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <string_view>

using server::glob_match;
using server::GlobCase;
using server::literal_prefix;

namespace {

// The meaning of a pattern written down without any thought of cost: the star tries every length.
bool naive_match(std::string_view p, std::string_view t) {
  if (p.empty()) return t.empty();
  if (p[0] == '*') {
    for (size_t n = 0; n <= t.size(); ++n) {
      if (naive_match(p.substr(1), t.substr(n))) return true;
    }
    return false;
  }
  if (t.empty()) return false;
  if (p[0] == '?') return naive_match(p.substr(1), t.substr(1));
  if (p[0] == '[') {
    const size_t close = p.find(']');
    REQUIRE(close != std::string_view::npos);
    std::string_view set = p.substr(1, close - 1);
    const bool inverted = set.starts_with('^');
    if (inverted) set.remove_prefix(1);
    return (set.find(t[0]) != std::string_view::npos) != inverted &&
           naive_match(p.substr(close + 1), t.substr(1));
  }
  if (p[0] == '\\' && p.size() > 1) p.remove_prefix(1);
  return p[0] == t[0] && naive_match(p.substr(1), t.substr(1));
}

}  // namespace

TEST_SUITE("server/glob") {
  TEST_CASE("stars, question marks, classes and escapes match as in Redis") {
    CHECK(glob_match("h?llo", "hello"));
    CHECK(glob_match("h*llo", "hllo"));
    CHECK(glob_match("h*llo", "heeeello"));
    CHECK(glob_match("h[ae]llo", "hallo"));
    CHECK_FALSE(glob_match("h[ae]llo", "hillo"));
    CHECK(glob_match("h[^e]llo", "hallo"));
    CHECK_FALSE(glob_match("h[^e]llo", "hello"));
    CHECK(glob_match("h[a-b]llo", "hbllo"));
    CHECK(glob_match("h[b-a]llo", "hallo"));
    CHECK(glob_match("\\*\\?", "*?"));
    CHECK_FALSE(glob_match("\\*", "a"));
    CHECK(glob_match("[\\]]", "]"));
    CHECK(glob_match("*[0-9]", "key:7"));
    CHECK_FALSE(glob_match("", "a"));
    CHECK(glob_match("", ""));
    CHECK(glob_match("a**", "a"));
  }

  TEST_CASE("Redis's corner cases are kept") {
    CHECK(glob_match("[abc", "b"));       // A class may stay open.
    CHECK_FALSE(glob_match("[]a", "a"));  // An empty class matches nothing …
    CHECK(glob_match("[^]a", "xa"));      // … and its opposite anything.
    CHECK(glob_match("[^", "x"));
    CHECK_FALSE(glob_match("[", "["));
    CHECK(glob_match("a\\", "a\\"));  // A lone backslash at the end is itself.
    CHECK(glob_match("[a-]b", "^b") == false);
    CHECK(glob_match("[a-]", "^"));  // A range from a down to ], then an open end.
    CHECK(glob_match("[\\-x]", "-"));
    CHECK(glob_match(std::string_view("a\0b*", 4), std::string_view("a\0bc", 4)));
    // Bytes from 0x80 on are negative in ranges.
    CHECK(glob_match("[\x80-z]", "a"));
    CHECK_FALSE(glob_match("[a-\xff]", "z"));
  }

  TEST_CASE("case is ignored only when asked") {
    CHECK_FALSE(glob_match("MAX*", "maxmemory"));
    CHECK(glob_match("MAX*", "maxmemory", GlobCase::kIgnore));
    CHECK(glob_match("[A-C]x", "bX", GlobCase::kIgnore));
    CHECK(glob_match("*MEM*", "maxmemory", GlobCase::kIgnore));
    CHECK_FALSE(glob_match("[\\A]", "a", GlobCase::kIgnore));  // An escaped byte in a class minds case.
  }

  TEST_CASE("only stars match the empty text") {
    CHECK(glob_match("*", ""));
    CHECK(glob_match("***", ""));
    CHECK_FALSE(glob_match("?", ""));
    CHECK_FALSE(glob_match("*?", ""));
    CHECK_FALSE(glob_match("[^a]", ""));
  }

  TEST_CASE("random patterns match what the plain meaning says") {
    constexpr std::string_view kPieces[] = {"a", "b", "*", "?", "[ab]", "[^a]", "\\a", "**", "c"};
    uint64_t state = 42;
    const auto random = [&state](size_t n) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      return static_cast<size_t>(state >> 33) % n;
    };
    int matches = 0;
    for (int round = 0; round < 20'000; ++round) {
      std::string pattern;
      std::string text;
      for (size_t n = random(8); n > 0; --n) pattern += kPieces[random(std::size(kPieces))];
      for (size_t n = random(8); n > 0; --n) text += "abc"[random(3)];
      CAPTURE(pattern);
      CAPTURE(text);
      const bool expected = naive_match(pattern, text);
      matches += expected;
      REQUIRE(glob_match(pattern, text) == expected);
    }
    CHECK(matches > 1000);
  }

  // CVE-2022-36021 was exponential time in the stars, CVE-2024-31228 a stack as deep as the pattern is long.
  TEST_CASE("a hostile pattern costs no more than pattern times text, and no stack") {
    std::string stars;
    for (int i = 0; i < 1000; ++i) stars += "a*";
    const std::string text(2000, 'a');
    CHECK_FALSE(glob_match(stars + "b", text));
    CHECK(glob_match(stars, text));
    CHECK_FALSE(glob_match(std::string(1'000'000, '*') + "b", text));
    std::string deep;
    for (int i = 0; i < 200'000; ++i) deep += "*?";
    CHECK_FALSE(glob_match(deep, text));
  }

  TEST_CASE("the literal prefix is unescaped and ends at the first wildcard") {
    CHECK(literal_prefix("user:\\*[12]*").bytes == "user:*");
    CHECK_FALSE(literal_prefix("user:\\*[12]*").whole);
    CHECK(literal_prefix("user:1").whole);
    CHECK(literal_prefix("a\\").bytes == "a\\");
    CHECK(literal_prefix("a?b").bytes == "a");
    CHECK(literal_prefix("*").bytes.empty());
    CHECK_FALSE(literal_prefix("*").whole);
    CHECK(literal_prefix("").whole);
  }
}
