#include "server/command_keys.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

using namespace server;

namespace {

const CommandTable& table() {
  static const CommandTable t;
  return t;
}

std::vector<std::string_view> words(std::string_view line) {
  std::vector<std::string_view> out;
  while (!line.empty()) {
    const size_t end = std::min(line.find(' '), line.size());
    out.push_back(line.substr(0, end));
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  return out;
}

// The keys of a line of words, and how they are used: "a:RW b:RO".
std::string keys(std::string_view line, std::string_view name = "") {
  const auto args = words(line);
  const Command* command = table().lookup(name.empty() ? args[0] : name);
  REQUIRE(command != nullptr);
  std::vector<KeyAt> found;
  keys_of(*command, args, &found);
  std::string out;
  for (const KeyAt& at : found) {
    if (!out.empty()) out += ' ';
    out.append(args[at.position]).append(":");
    out += at.flags & key::kRo ? "RO" : at.flags & key::kRw ? "RW" : at.flags & key::kOw ? "OW" : "RM";
  }
  return out;
}

}  // namespace

TEST_SUITE("server/command_keys") {
  TEST_CASE("keys at a fixed place, in a range and in steps") {
    CHECK(keys("get a") == "a:RO");
    CHECK(keys("del a b c") == "a:RM b:RM c:RM");
    CHECK(keys("mset a 1 b 2") == "a:OW b:OW");
    CHECK(keys("rename a b") == "a:RW b:OW");
    CHECK(keys("bitop and d a b") == "d:OW a:RO b:RO");
    CHECK(keys("blpop a b 0") == "a:RW b:RW");
    CHECK(keys("object encoding a", "object|encoding") == "a:RO");
    CHECK(keys("memory usage a samples 5", "memory|usage") == "a:RO");
    CHECK(keys("ping") == "");
    CHECK(keys("ssubscribe a b") == "");  // Routed by slot as if they were keys, but channels.
  }

  TEST_CASE("keys behind their number") {
    CHECK(keys("zunionstore d 2 a b weights 1 2") == "d:OW a:RO b:RO");
    CHECK(keys("eval script 2 a b c") == "a:RW b:RW");
    CHECK(keys("fcall_ro f 1 a b") == "a:RO");
    CHECK(keys("eval script 0 a") == "");
    CHECK(keys("sintercard 2 a b limit 5") == "a:RO b:RO");
    CHECK(keys("blmpop 0 2 a b left") == "a:RW b:RW");
    CHECK(keys("msetex 2 a 1 b 2 ex 10") == "a:OW b:OW");
  }

  TEST_CASE("a number of keys that the arguments do not bear out gives none") {
    for (const char* number :
         {"3", "-1", "x", "", "1x", "+1", "9223372036854775807", "4294967297", "18446744073709551617"}) {
      CAPTURE(number);
      CHECK(keys(std::string("eval script ") + number + " a b") == "");
      CHECK(keys(std::string("zunionstore d ") + number + " a b") == "");
    }
    CHECK(keys("zunionstore d 0 a") == "");
    CHECK(keys("msetex 2 a 1") == "");
  }

  TEST_CASE("keys behind a word") {
    CHECK(keys("xread count 1 streams a b 0 0") == "a:RO b:RO");
    CHECK(keys("xreadgroup group g c streams a >") == "a:RO");
    CHECK(keys("xread streams a") == "");
    CHECK(keys("xread streams") == "");
    CHECK(keys("xread count 1 block 0") == "");
    CHECK(keys("georadius a 0 0 1 m store b") == "a:RO b:OW");
    CHECK(keys("georadius a 0 0 1 m storedist b") == "a:RO b:OW");
    CHECK(keys("georadius a 0 0 1 m") == "a:RO");
    CHECK(keys("georadius a 0 0 1 m store") == "a:RO");
  }

  TEST_CASE("SET reads only when it returns or compares the old value") {
    CHECK(keys("set a v") == "a:OW");
    CHECK(keys("set get v ex 10 nx") == "get:OW");
    CHECK(keys("set a v ex 10 GET") == "a:RW");
    CHECK(keys("set a v ifeq old") == "a:RW");
  }

  TEST_CASE("BITFIELD only reads while it only gets") {
    CHECK(keys("bitfield a") == "a:RO");
    CHECK(keys("bitfield a get u8 0 overflow sat get u8 8") == "a:RO");
    CHECK(keys("bitfield a get u8 0 set u8 0 1") == "a:RW");
    CHECK(keys("bitfield a incrby u8 0 1") == "a:RW");
    CHECK(keys("bitfield a get u8") == "a:RW");
  }

  TEST_CASE("SORT stores under the key of the last STORE, and other options' words are not options") {
    CHECK(keys("sort a by w_* get # limit 0 5 store b") == "a:RO b:OW");
    CHECK(keys("sort a store b store c") == "a:RO c:OW");
    CHECK(keys("sort a by store get store") == "a:RO");
    CHECK(keys("sort a store") == "a:RO");
    CHECK(keys("sort a limit 0") == "a:RO");
    CHECK(keys("sort_ro a by w_*") == "a:RO");
  }

  TEST_CASE("MIGRATE moves one key or those after KEYS") {
    CHECK(keys("migrate h 1 a 0 9") == "a:RW");
    CHECK(keys("migrate h 1  0 9 copy auth2 keys keys keys a b") == "a:RW b:RW");
    CHECK(keys("migrate h 1  0 9 auth keys keys a") == "a:RW");
    CHECK(keys("migrate h 1 a 0 9 keys b") == "");
  }

  TEST_CASE("whether a command may have keys") {
    CHECK(may_have_keys(*table().lookup("get")));
    CHECK(may_have_keys(*table().lookup("eval")));
    CHECK_FALSE(may_have_keys(*table().lookup("ping")));
    CHECK_FALSE(may_have_keys(*table().lookup("ssubscribe")));
  }

  TEST_CASE("whatever the arguments, only they are read, and every key is one of them") {
    // Redis once read beyond its arguments here (CVE-2023-36824). Each argument is in a piece of memory of
    // its own size, so that a sanitizer sees a read beyond it, too.
    const uint32_t seed = 20230711;
    CAPTURE(seed);
    std::mt19937 random(seed);
    const char* vocabulary[] = {"",        "a",          "0",
                                "1",       "2",          "7",
                                "-1",      "2147483647", "9223372036854775807",
                                "store",   "STORE",      "keys",
                                "streams", "limit",      "get",
                                "by",      "storedist",  "auth",
                                "auth2",   "set",        "group",
                                "block",   "incrby",     "ifeq",
                                "overflow"};
    for (const Command& command : table().commands()) {
      for (int round = 0; round < 300; ++round) {
        std::vector<std::string> storage;
        for (size_t n = 1 + random() % 11; n > 0; --n) {
          storage.emplace_back(vocabulary[random() % std::size(vocabulary)]).shrink_to_fit();
        }
        const std::vector<std::string_view> args(storage.begin(), storage.end());
        std::vector<KeyAt> found;
        keys_of(command, args, &found);
        CAPTURE(command.name);
        for (const KeyAt& at : found) REQUIRE((at.position >= 1 && at.position < args.size()));
        if (!command.accepts(args.size())) REQUIRE(found.empty());
      }
    }
  }
}
