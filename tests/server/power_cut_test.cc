// The power is cut while commands of all types run under appendfsync always. What comes back must be what a
// server in memory has after some prefix of the same commands, one that is no shorter than what was
// acknowledged.
//
// The model is this server itself, on a disk that does not fail: digests of all data after every command.
#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

#include "tests/server/server_harness.h"

using namespace server;

namespace {

using Words = std::vector<std::string>;
using Step = std::vector<Words>;  // Sent together; what counts is whether the last one was answered.

// Replies depend on nothing but the data: no clock, no chance.
class Commands {
 public:
  explicit Commands(uint64_t seed) : random_(seed) {}

  Step next() {
    switch (roll(14)) {
      case 0: return {{roll(3) == 0 ? "COMPACT" : "SAVE"}};
      case 1:
      case 2: {
        Step step{{"MULTI"}};
        for (uint64_t n = 1 + roll(5); n > 0; --n) step.push_back(one());
        step.push_back({"EXEC"});
        return step;
      }
      case 3: return {script()};
      default: return {one()};
    }
  }

 private:
  uint64_t roll(uint64_t bound) { return random_() % bound; }
  std::string number(uint64_t bound) { return std::to_string(roll(bound)); }
  std::string text(uint64_t bytes) { return std::string(roll(bytes), static_cast<char>('a' + roll(26))); }
  std::string key(const char* kind) { return kind + number(3); }
  std::string any_key() {
    static constexpr const char* kKinds[] = {"s", "b", "h", "t", "l", "z", "x", "p", "g"};
    return key(kKinds[roll(9)]);
  }

  Words one() {
    switch (roll(10)) {
      case 0: return string();
      case 1: return keys();
      case 2: return hash();
      case 3: return set();
      case 4: return list();
      case 5: return zset();
      case 6:
      case 7: return stream();
      case 8: return geo_and_hll();
      default: return bits();
    }
  }
  Words string() {
    switch (roll(6)) {
      case 0: return {"SET", key("s"), text(900)};
      case 1: return {"SET", key("s"), text(20), "EXAT", "4000000000"};
      case 2: return {"MSET", key("s"), text(60), key("b"), text(5000), key("s"), number(99)};
      case 3: return {"APPEND", key("b"), text(3000)};
      case 4: return {"SETRANGE", key("b"), number(20000), text(300)};
      default: return {"INCRBY", key("i"), number(9)};
    }
  }
  Words keys() {
    switch (roll(9)) {
      case 0: return {"DEL", any_key(), any_key()};
      case 1: return {"RENAME", any_key(), any_key()};
      case 2: return {"COPY", any_key(), any_key(), "REPLACE"};
      case 3: return {"EXPIREAT", any_key(), "4000000000"};
      case 4: return {"PERSIST", any_key()};
      case 5: return {"MOVE", any_key(), "1"};
      case 6: return roll(6) == 0 ? Words{"FLUSHDB"} : Words{"DBSIZE"};
      case 7: return roll(4) == 0 ? Words{"SWAPDB", "0", "1"} : Words{"TYPE", any_key()};
      default: return roll(4) == 0 ? Words{"KDELRANGE", "[t", "[x"} : Words{"KCOUNT", "-", "+"};
    }
  }
  Words hash() {
    switch (roll(5)) {
      case 0: return {"HDEL", key("h"), "f" + number(200), "f" + number(200)};
      case 1: return {"HINCRBY", key("h"), "n" + number(3), "2"};
      default: {
        Words words{"HSET", key("h")};
        for (uint64_t n = 1 + roll(60); n > 0; --n) words.insert(words.end(), {"f" + number(200), text(30)});
        return words;
      }
    }
  }
  Words set() {
    switch (roll(5)) {
      case 0: return {"SREM", key("t"), "m" + number(300), "m" + number(300)};
      case 1: return {"SMOVE", key("t"), key("t"), "m" + number(300)};
      case 2: return {"SUNIONSTORE", key("t"), key("t"), key("t")};
      default: {
        Words words{"SADD", key("t")};
        for (uint64_t n = 1 + roll(80); n > 0; --n) words.push_back("m" + number(300));
        return words;
      }
    }
  }
  Words list() {
    switch (roll(7)) {
      case 0: return {"LPOP", key("l"), number(20)};
      case 1: return {"RPOP", key("l")};
      case 2: return {"LTRIM", key("l"), number(5), "-" + std::to_string(1 + roll(5))};
      case 3: return {"LMOVE", key("l"), key("l"), "LEFT", "RIGHT"};
      case 4: return {"LSET", key("l"), number(10), text(40)};
      default: {
        Words words{roll(2) == 0 ? "RPUSH" : "LPUSH", key("l")};
        for (uint64_t n = 1 + roll(40); n > 0; --n) words.push_back(text(60));
        return words;
      }
    }
  }
  Words zset() {
    switch (roll(6)) {
      case 0: return {"ZPOPMIN", key("z"), number(20)};
      case 1: return {"ZREMRANGEBYRANK", key("z"), number(5), number(20)};
      case 2: return {"ZINCRBY", key("z"), "1.5", "m" + number(200)};
      case 3: return {"ZUNIONSTORE", key("z"), "2", key("z"), key("t")};
      default: {
        Words words{"ZADD", key("z")};
        for (uint64_t n = 1 + roll(60); n > 0; --n)
          words.insert(words.end(), {number(1000), "m" + number(200)});
        return words;
      }
    }
  }
  Words stream() {
    const std::string x = key("x");
    const auto id = [this](uint64_t at) { return std::to_string(at) + "-1"; };
    switch (roll(9)) {
      case 0: return {"XTRIM", x, "MAXLEN", number(30)};
      case 1: return {"XDEL", x, id(roll(last_id_ + 1))};
      case 2: return {"XGROUP", "CREATE", x, "g", "0", "MKSTREAM"};
      case 3: return {"XGROUP", "CREATECONSUMER", x, "g", "c" + number(2)};
      case 4: return {"XACK", x, "g", id(roll(last_id_ + 1)), id(roll(last_id_ + 1))};
      case 5: return {"XREADGROUP", "GROUP", "g", "c" + number(2), "COUNT", "5", "STREAMS", x, ">"};
      default: return {"XADD", x, id(++last_id_), "field", text(100), "n", number(9)};
    }
  }
  Words geo_and_hll() {
    switch (roll(4)) {
      case 0: return {"GEOADD", key("g"), number(180), number(80), "m" + number(20)};
      case 1: return {"PFMERGE", key("p"), key("p"), key("p")};
      case 2: return {"PFCOUNT", key("p")};
      default: return {"PFADD", key("p"), number(1000), number(1000), number(1000)};
    }
  }
  Words bits() {
    switch (roll(3)) {
      case 0: return {"SETBIT", key("b"), number(200000), number(2)};
      case 1: return {"BITFIELD", key("b"), "INCRBY", "u8", "#" + number(2000), number(50)};
      default: return {"BITOP", "XOR", key("b"), key("b"), key("b")};
    }
  }
  // Writes to keys of several types, and now and then fails in the middle.
  Words script() {
    return {"EVAL",
            "redis.call('INCR', 'i0')"
            "redis.call('RPUSH', KEYS[1], ARGV[1])"
            "redis.call('HSET', 'h0', ARGV[1], ARGV[2])"
            "if ARGV[2] == '3' then return redis.call('LPUSH', 'h0', 'x') end "
            "return redis.call('SADD', 't0', ARGV[1])",
            "1",
            key("l"),
            text(30),
            number(4)};
  }

  std::mt19937_64 random_;
  uint64_t last_id_ = 0;
};

// All that a client can find out about the data.
std::string fingerprint(Harness& harness) {
  const auto peer = harness.connect();
  std::string all = harness.call(*peer, {"DEBUG", "DIGEST"});
  for (const char* database : {"0", "1"}) {
    harness.call(*peer, {"SELECT", database});
    all += " " + harness.call(*peer, {"DBSIZE"});
    for (const char* key : {"x0", "x1", "x2"}) all += " " + harness.call(*peer, {"XINFO", "GROUPS", key});
  }
  peer->hang_up();
  harness.turn();
  return all;
}

struct History {
  std::vector<Step> steps;
  std::vector<std::string> replies;  // To the last command of each step.
  std::vector<std::string> after;    // [n]: the fingerprint after n steps.
};

constexpr const char* kAlways[] = {"--appendfsync", "always"};

History history_of(uint64_t seed, int count) {
  History history;
  Commands commands(seed);
  for (int n = 0; n < count; ++n) history.steps.push_back(commands.next());
  Harness model(seed, {kAlways[0], kAlways[1]});
  const auto peer = model.connect();
  history.after.push_back(fingerprint(model));
  for (const Step& step : history.steps) {
    for (const Words& words : step) peer->send(words);
    history.replies.push_back(model.replies(*peer, step.size()).back());
    history.after.push_back(fingerprint(model));
  }
  return history;
}

struct Cut {
  size_t acknowledged = 0, sent = 0;  // Steps.
  uint64_t operations_at_start = 0, operations = 0;
  std::unique_ptr<engine::SimDisk> disk;  // As it was when the power went.
};

// Plays the history until its end or until the power is cut before operation `at` of the disk.
Cut play(const History& history, uint64_t seed, uint64_t at, uint64_t image) {
  Cut cut;
  Harness harness(seed, {kAlways[0], kAlways[1]});
  cut.operations_at_start = harness.world.disk->operations().size();
  harness.world.disk->cut_power_at(at);
  const auto peer = harness.connect();
  for (const Step& step : history.steps) {
    ++cut.sent;
    for (const Words& words : step) peer->send(words);
    std::vector<std::string> got;
    int steps_left = 2000;  // After the cut.
    while (got.size() < step.size() && !peer->closed() && steps_left > 0) {
      harness.step();
      for (std::string& reply : peer->received()) got.push_back(std::move(reply));
      if (harness.world.disk->power_is_cut()) --steps_left;
    }
    const bool as_expected = got.size() == step.size() && got.back() == history.replies[cut.sent - 1];
    if (!as_expected) {
      CAPTURE(cut.sent);
      CAPTURE(step.back());
      if (!got.empty()) CAPTURE(got.back());
      REQUIRE(harness.world.disk->power_is_cut());  // Else it is simply wrong.
      break;
    }
    cut.acknowledged = cut.sent;
  }
  cut.operations = harness.world.disk->operations().size();
  cut.disk = harness.world.disk->crash(seed * 1000 + image, {.junk = image % 2 == 1});
  return cut;
}

void check_recovery(const History& history, Cut cut, uint64_t seed) {
  CAPTURE(cut.acknowledged);
  CAPTURE(cut.sent);
  Harness again(seed + 7777, {kAlways[0], kAlways[1]}, 0, std::move(cut.disk));
  const std::string found = fingerprint(again);
  CAPTURE(found);
  CAPTURE(history.after[cut.acknowledged]);
  bool is_a_prefix = false;
  for (size_t n = cut.acknowledged; n <= cut.sent && !is_a_prefix; ++n)
    is_a_prefix = history.after[n] == found;
  REQUIRE(is_a_prefix);
  // And it goes on living: what is in its tables and what is in its log are one.
  const auto peer = again.connect();
  CHECK(again.call(*peer, {"DEBUG", "RELOAD"}) == "OK");
  CHECK(fingerprint(again) == found);
  CHECK(again.call(*peer, {"SET", "alive", "yes"}) == "OK");
}

void cut_often(uint64_t seed, int steps, uint64_t cuts, uint64_t images) {
  CAPTURE(seed);
  const History history = history_of(seed, steps);
  const Cut whole = play(history, seed, engine::SimDisk::kNever, 0);
  REQUIRE(whole.acknowledged == history.steps.size());
  check_recovery(history, play(history, seed, engine::SimDisk::kNever, 1), seed);
  std::mt19937_64 random(seed);
  for (uint64_t n = 0; n < cuts; ++n) {
    const uint64_t at = whole.operations_at_start + random() % (whole.operations - whole.operations_at_start);
    CAPTURE(at);
    for (uint64_t image = 0; image < images; ++image) {
      CAPTURE(image);
      check_recovery(history, play(history, seed, at, image), seed);
    }
  }
}

}  // namespace

TEST_SUITE("server/power_cut") {
  TEST_CASE("whenever the power is cut, all types are as after a prefix that has all that was acknowledged") {
    for (uint64_t seed = 1; seed <= 3; ++seed) cut_often(seed, 80, 8, 1);
  }
}

TEST_SUITE("slow/server/power_cut") {
  TEST_CASE("the same, for many histories, with several images of each cut") {
    for (uint64_t seed = 10; seed < 40; ++seed) cut_often(seed, 250, 60, 2);
  }
}
