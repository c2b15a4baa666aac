#include "engine/key_head.h"

#include <doctest/doctest.h>

#include <random>
#include <string>

namespace engine {
namespace {

// Many share a beginning, and bytes are 0, 255 or between.
std::string random_key(std::mt19937_64& random) {
  static const std::string base("same\0beginning\xff of many words, far more than one", 47);
  std::string key = base.substr(0, random() % base.size());
  const size_t more = random() % 12;
  for (size_t i = 0; i < more; ++i) key += "\0\1a\x7f\x80\xff"[random() % 6];
  return key;
}

int sign(int n) { return (n > 0) - (n < 0); }

TEST_SUITE("engine/key_head") {
  TEST_CASE("keys compare by head, by word and by byte as their bytes do") {
    std::mt19937_64 random(1);
    for (int i = 0; i < 20000; ++i) {
      const std::string a = random_key(random);
      const std::string b = random() % 8 == 0 ? a : random_key(random);
      CAPTURE(a);
      CAPTURE(b);
      REQUIRE(sign(compare_keys(a, b)) == sign(std::string_view(a).compare(b)));
      if (key_head(a) != key_head(b)) REQUIRE((key_head(a) < key_head(b)) == (a < b));
    }
  }

  TEST_CASE("a prefix of any length is known, and one byte that differs is seen wherever it is") {
    std::mt19937_64 random(2);
    for (int i = 0; i < 5000; ++i) {
      const std::string key = random_key(random);
      std::string prefix = key.substr(0, random() % (key.size() + 1));
      CAPTURE(key);
      CAPTURE(prefix);
      REQUIRE(has_prefix(key, prefix));
      REQUIRE_FALSE(has_prefix(key, key + 'x'));
      if (prefix.empty()) continue;
      prefix[random() % prefix.size()] ^= 1;
      REQUIRE_FALSE(has_prefix(key, prefix));
    }
  }
}

}  // namespace
}  // namespace engine
