#include "server/key_bounds.h"

#include <doctest/doctest.h>

#include "engine/sim.h"

using namespace server;

namespace {

// As the text says, without any of our representation.
bool above(std::string_view bound, std::string_view key) {
  if (bound == "-") return true;
  if (bound == "+") return false;
  return bound[0] == '[' ? key >= bound.substr(1) : key > bound.substr(1);
}
bool below(std::string_view bound, std::string_view key) {
  if (bound == "-") return false;
  if (bound == "+") return true;
  return bound[0] == '[' ? key <= bound.substr(1) : key < bound.substr(1);
}

}  // namespace

TEST_SUITE("server/key_bounds") {
  TEST_CASE(
      "a key is within bounds exactly if the text says so, and its header is then within the range of "
      "headers") {
    engine::SimEntropy dice(1);
    const auto word = [&] {
      std::string text;
      for (uint64_t n = dice.below(4); n > 0; --n) text += std::string("\0a\x7f\xff", 4)[dice.below(4)];
      return text;
    };
    const auto bound = [&]() -> std::string {
      switch (dice.below(6)) {
        case 0: return "-";
        case 1: return "+";
        default: return (dice.below(2) == 0 ? "[" : "(") + word();
      }
    };
    int within = 0;
    for (int round = 0; round < 20000; ++round) {
      const std::string min = bound(), max = bound(), key = word();
      CAPTURE(min);
      CAPTURE(max);
      CAPTURE(key);
      const auto bounds = parse_key_bounds(min, max);
      REQUIRE(bounds.has_value());
      const bool expected = above(min, key) && below(max, key);
      within += expected;
      REQUIRE((bounds->contains(key) && !bounds->empty()) == expected);
      const auto headers = bounds->headers(300);
      std::string header;
      header_key(300, key, &header);
      REQUIRE((header >= headers.begin && header < headers.end) == expected);
      // Headers of neighbouring databases never are.
      for (const ObjectId other : {299, 301}) {
        header_key(other, key, &header);
        REQUIRE(!(header >= headers.begin && header < headers.end));
      }
      // Narrowed, it holds what both hold.
      const std::string prefix = word(), mark = word();
      CAPTURE(prefix);
      CAPTURE(mark);
      KeyBounds narrow = *bounds;
      narrow.only_with_prefix(prefix);
      REQUIRE((narrow.contains(key) && !narrow.empty()) == (expected && key.starts_with(prefix)));
      narrow = *bounds;
      narrow.only_after(mark);
      REQUIRE((narrow.contains(key) && !narrow.empty()) == (expected && key > mark));
      narrow = *bounds;
      narrow.only_up_to(mark);
      REQUIRE((narrow.contains(key) && !narrow.empty()) == (expected && key <= mark));
      narrow = *bounds;
      narrow.only(mark);
      REQUIRE((narrow.contains(key) && !narrow.empty()) == (expected && key == mark));
    }
    CHECK(within > 1000);
  }

  TEST_CASE("what is no bound in ZRANGE BYLEX is none here") {
    for (const char* text : {"", "a", "+a", "-a", "--", " [a", "++"}) {
      CAPTURE(text);
      CHECK(!parse_key_bounds(text, "+"));
      CHECK(!parse_key_bounds("-", text));
    }
    CHECK(parse_key_bounds("[", "("));
  }
}
