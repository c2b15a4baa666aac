#include "server/types/separator_list.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <set>

#include "server/view.h"

using namespace server;

namespace {

std::vector<std::string> drawn(std::mt19937_64& dice, size_t count, size_t shared, size_t longest) {
  std::set<std::string> separators;
  const std::string begin(shared, 's');
  while (separators.size() < count) {
    std::string one = begin;
    for (size_t n = dice() % (longest + 1); n > 0; --n) one += static_cast<char>(dice() % 3 * 127);
    separators.insert(one);
    longest += separators.size() < count;  // However few there are of this length, there will be enough.
  }
  return {separators.begin(), separators.end()};
}

}  // namespace

TEST_SUITE("server/separator_list") {
  TEST_CASE("a list gives back what it was made of, and finds where a key belongs") {
    std::mt19937_64 dice(7);
    for (const size_t count : {0u, 1u, 2u, 3u, 17u, 256u}) {
      for (const size_t shared : {0u, 1u, 9u, 300u}) {
        CAPTURE(count);
        CAPTURE(shared);
        const std::vector<std::string> separators = drawn(dice, count, shared, 3);
        const std::string bytes = SeparatorList::encode(separators);
        const SeparatorList list(bytes);
        CHECK(list.size() == count);
        CHECK(list.all() == separators);
        std::vector<std::string> keys = separators;
        for (const std::string& one : separators) {
          keys.push_back(one + '\0');
          keys.push_back(one + '\xff');
          if (!one.empty()) keys.push_back(one.substr(0, one.size() - 1));
        }
        for (const char* one : {"", "a", "s", "ss", "t", "\xff"}) keys.emplace_back(one);
        for (const std::string& key : keys) {
          const auto above = std::upper_bound(separators.begin(), separators.end(), key);
          CHECK(list.not_above(key) == static_cast<size_t>(above - separators.begin()));
        }
      }
    }
  }

  TEST_CASE("rests of more than 64 KB have wider ends") {
    std::vector<std::string> separators;
    for (char first = 'a'; first <= 'z'; ++first) separators.push_back(first + std::string(5000, 'x'));
    const std::string bytes = SeparatorList::encode(separators);
    const SeparatorList list(bytes);
    CHECK(list.all() == separators);
    CHECK(list.not_above("c") == 2);
    CHECK(list.not_above(separators[25]) == 26);
  }

  TEST_CASE("damage is a storage error or another list, never a read outside of the bytes") {
    const std::vector<std::string> separators{"k1", "k22", "k3", "k333"};
    const std::string bytes = SeparatorList::encode(separators);
    const auto read = [](const std::string& damaged) {
      try {
        const SeparatorList list(damaged);
        for (const char* key : {"", "k1", "k3", "kz", "z"}) (void)list.not_above(key);
        (void)list.all();
      } catch (const StorageError&) {
      }
    };
    for (size_t cut = 0; cut < bytes.size(); ++cut) {
      // In memory of its own, so that a sanitizer sees a step beyond it.
      read(std::string(bytes, 0, cut));
      for (const char with : {'\0', '\2', '\x7f', '\xff'}) {
        std::string damaged = bytes;
        damaged[cut] = with;
        read(damaged);
      }
    }
    CHECK_THROWS_AS(SeparatorList(std::string_view(bytes).substr(0, 3)), StorageError);
  }
}
