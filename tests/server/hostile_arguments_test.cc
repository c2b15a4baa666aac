// Every command with arguments that nobody sends in good faith: as its synopsis has them, but with numbers at
// the ends of their ranges, keys of the wrong type, keys twice, options twice, missing or in each other's
// place. All that is asked of a server is that it goes on: replies, or waits, or closes the connection, and
// answers the next. Under a sanitizer this says most. Redis's history of such: counts near 2^62
// (CVE-2022-31144, CVE-2022-35951), the negation of the least number (CVE-2022-35977, CVE-2023-22458),
// offsets of bits and ranges (CVE-2021-32761, CVE-2021-41099), one key twice (CVE-2023-28425), registers and
// payloads that a client wrote itself (CVE-2019-10192, CVE-2025-32023).
#include <doctest/doctest.h>

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "server/command_syntax.h"
#include "server/process.h"
#include "tests/server/server_harness.h"
#include "tests/support/seeds.h"

using namespace server;

namespace {

using Words = std::vector<std::string>;

// Those that end or redirect the server, reach out of the simulated world, or shut everybody else out.
bool left_out(std::string_view name) {
  for (const std::string_view prefix :
       {"shutdown", "debug", "replicaof", "slaveof", "failover", "psync", "sync", "migrate", "client|pause",
        "config|set", "config|rewrite", "acl|setuser", "acl|deluser", "acl|load", "acl|save"})
    if (name == prefix || name.starts_with(std::string(prefix) + "|")) return true;
  return false;
}

// Of each type, inline and large; an HLL, one that somebody wrote himself, and a stream with a group.
void fill(Harness& harness, Peer& peer) {
  const auto call = [&](const Words& words) { harness.call(peer, words); };
  call({"FLUSHALL"});
  call({"MSET", "s", "value", "n", "41", "f", "1.5", "hll", "HYLL\1zzzzzzzzzzz", "big",
        std::string(9000, 'x')});
  call({"PFADD", "p", "a", "b", "c"});
  call({"HSET", "h", "a", "1", "b", "2", "c", "x"});
  call({"RPUSH", "l", "1", "2", "a", "b", "c"});
  call({"SADD", "t", "1", "2", "3"});
  call({"ZADD", "z", "1", "a", "2", "b", "inf", "c"});
  call({"XADD", "x", "1-1", "a", "1"});
  call({"XADD", "x", "18446744073709551615-18446744073709551614", "b", "2"});
  call({"XGROUP", "CREATE", "x", "g", "0"});
  call({"XREADGROUP", "GROUP", "g", "c", "STREAMS", "x", ">"});
  call({"XDEL", "x", "1-1"});
  Words hash{"HSET", "H"}, list{"RPUSH", "L"}, set{"SADD", "T"}, sorted{"ZADD", "Z"};
  for (int i = 0; i < 200; ++i) {
    const std::string text = "member-" + std::to_string(i);
    hash.insert(hash.end(), {text, std::to_string(i)});
    list.push_back(text);
    set.push_back(text);
    sorted.insert(sorted.end(), {std::to_string(i % 7), text});
  }
  for (const Words& words : {hash, list, set, sorted}) call(words);
}

class Attacker {
 public:
  explicit Attacker(uint64_t seed) : random_(seed) {}

  uint64_t roll(uint64_t bound) { return random_() % bound; }

  Words attack(const Command& command) {
    Words words;
    const std::string_view name = command.name;
    const size_t bar = name.find('|');
    words.emplace_back(name.substr(0, bar));
    if (bar != name.npos) words.emplace_back(name.substr(bar + 1));
    const size_t fixed = words.size();
    if (command.spec->arguments != nullptr) {
      if (const auto arguments = read_synopsis(command.spec->arguments))
        for (const Argument& argument : *arguments) write(argument, &words);
    }
    for (uint64_t times = roll(3); times > 0 && roll(2) == 0; --times) spoil(fixed, &words);
    return words;
  }

 private:
  template <size_t n>
  std::string one_of(const char* const (&list)[n]) {
    return list[roll(n)];
  }
  std::string key() {
    static constexpr const char* kKeys[] = {"s", "n", "f", "hll", "big", "p",      "h", "l", "t",
                                            "z", "x", "H", "L",   "T",   "absent", "",  "Z", "new"};
    return one_of(kKeys);
  }
  std::string integer() {
    static constexpr const char* kNumbers[] = {"0",
                                               "1",
                                               "-1",
                                               "2",
                                               "3",
                                               "10",
                                               "-2",
                                               "100",
                                               "127",
                                               "128",
                                               "-129",
                                               "32768",
                                               "65536",
                                               "2147483647",
                                               "2147483648",
                                               "-2147483648",
                                               "4294967295",
                                               "4294967296",
                                               "536870911",
                                               "536870912",
                                               "4294967288",
                                               "4611686018427387904",
                                               "4611686018427387903",
                                               "-4611686018427387904",
                                               "9223372036854775807",
                                               "-9223372036854775808",
                                               "-9223372036854775807",
                                               "9223372036854775808",
                                               "18446744073709551615",
                                               "99999999999999999999",
                                               "1e3",
                                               " 1",
                                               "0x10"};
    return roll(3) == 0 ? std::to_string(roll(8)) : one_of(kNumbers);
  }
  std::string number() {
    static constexpr const char* kNumbers[] = {
        "0",      "-0",     "1.5", "-1.5", "inf",   "-inf",  "+inf", "nan",         "-nan", "1e308", "-1e308",
        "1e-320", "5e-324", "(1",  "(inf", "1e400", "0x1p3", "179",  "180.0000001", "-90",  "86"};
    return one_of(kNumbers);
  }
  std::string text() {
    static constexpr const char* kTexts[] = {
        "",
        "a",
        "b",
        "c",
        "member-3",
        "*",
        "[a",
        "(a",
        "-",
        "+",
        "$",
        ">",
        "0-0",
        "1-1",
        "1-",
        "-1-1",
        "5-*",
        "18446744073709551615-18446744073709551615",
        "u8",
        "i64",
        "u64",
        "u63",
        "i65",
        "#1",
        "#9223372036854775807",
        "***a***?[^]",
        "[a-",
        "\\",
        "u0",
        "km",
        "return 1",
        "return redis.call('set', KEYS[1], ARGV[1])",
        "#!lua name=a\nredis.register_function('f', function() return 1 end)",
        "\xff\xfe",
        "3",
        "g",
        "x"};
    if (roll(20) == 0) return std::string(roll(3000), static_cast<char>(roll(256)));
    if (roll(20) == 0) return integer();
    return one_of(kTexts);
  }

  void value(const Argument& argument, Words* words) {
    switch (argument.type) {
      case Argument::Type::kKey: words->push_back(key()); return;
      case Argument::Type::kInteger:
      case Argument::Type::kUnixTime: words->push_back(integer()); return;
      case Argument::Type::kDouble: words->push_back(roll(4) == 0 ? integer() : number()); return;
      case Argument::Type::kOneOf: write(argument.arguments[roll(argument.arguments.size())], words); return;
      case Argument::Type::kBlock:
        for (const Argument& part : argument.arguments) write(part, words);
        return;
      case Argument::Type::kPureToken: return;
      default: words->push_back(text());
    }
  }
  void write(const Argument& argument, Words* words) {
    if (argument.optional && roll(3) != 0) return;
    uint64_t times = argument.multiple ? 1 + roll(4) : 1;
    if (argument.optional && roll(16) == 0) ++times;
    for (uint64_t i = 0; i < times; ++i) {
      if (argument.token && (i == 0 || argument.multiple_token)) words->emplace_back(*argument.token);
      value(argument, words);
    }
  }
  void spoil(size_t fixed, Words* words) {
    if (words->size() <= fixed) return;
    const auto at = words->begin() + static_cast<ptrdiff_t>(fixed + roll(words->size() - fixed));
    switch (roll(6)) {
      case 0: words->erase(at); return;
      case 1: words->insert(at, *at); return;
      case 2: *at = integer(); return;
      case 3: *at = text(); return;
      case 4: *at = key(); return;
      default: std::swap(*at, words->back());
    }
  }

  std::mt19937_64 random_;
};

std::string shown(const Words& words) {
  std::string line;
  for (const std::string& word : words) line += "\"" + word.substr(0, 60) + "\" ";
  return line;
}

void attack(uint64_t seed, int commands) {
  CAPTURE(seed);
  ignore_signals();  // As the server does: who has hung up may still be written to.
  Harness harness(seed, {}, seed % 2 == 0 ? 0 : UINT32_MAX / 5);
  Attacker attacker(seed);
  std::vector<const Command*> targets;
  for (const Command& command : harness.server->table().commands())
    if (command.handler != nullptr && !left_out(command.name)) targets.push_back(&command);
  auto peer = harness.connect();
  uint64_t replied = 0, waited = 0;
  for (int i = 0; i < commands; ++i) {
    if (i % 60 == 0) {
      peer = harness.connect();
      fill(harness, *peer);
    }
    const Words words = attacker.attack(*targets[attacker.roll(targets.size())]);
    CAPTURE(shown(words));
    peer->send(words);
    // It may have none to give: BLPOP waits, CLIENT REPLY OFF is silent.
    bool came = false;
    for (int turn = 0; turn < 400 && !came && !peer->closed(); ++turn) {
      harness.step();
      came = !peer->received().empty();
    }
    ++(came ? replied : waited);
    harness.step();  // After QUIT it closes.
    peer->received();
    if (!came || peer->closed()) peer = harness.connect();
  }
  CHECK(replied > 9 * waited);
  peer = harness.connect();
  CHECK(harness.call(*peer, {"PING"}) == "PONG");
  // What was made by all this can be read.
  CHECK(harness.call(*peer, {"DEBUG", "RELOAD"}) == "OK");
  CHECK(harness.call(*peer, {"DEBUG", "DIGEST"}).size() >= 40);
}

}  // namespace

TEST_SUITE("server/hostile_arguments") {
  TEST_CASE("whatever the arguments, a command replies, waits or closes, and the server goes on") {
    for (uint64_t seed = 1; seed <= 4; ++seed) attack(seed, 2000);
  }
}

TEST_SUITE("slow/server/hostile_arguments") {
  TEST_CASE("the same, for long, or for the seeds of VARVE_SEEDS (first-last)") {
    const auto [first, last] = support::seeds(100, 160);
    for (uint64_t seed = first; seed <= last; ++seed) attack(seed, 6000);
  }
}
