// Sorted sets and places beside redis-server.
#include <algorithm>

#include "tests/blackbox/differential.h"

using namespace differential;

namespace {

// ---- sorted sets

struct Words {
  Dice& dice;

  std::string key() { return dice.percent(3) ? "text" : dice.pick({"z1", "z2", "z3", "z4"}); }
  std::string any_set() { return dice.percent(5) ? key() : dice.pick({"z1", "z2", "z3", "z4", "s1", "s2"}); }
  std::string member() {
    if (dice.percent(2)) return std::string(70, 'x');
    if (dice.percent(60)) return "m" + std::to_string(dice.below(25));
    return dice.percent(50) ? std::to_string(dice.below(10)) : dice.pick({"", "longmember1", "longmember2"});
  }
  std::string score() {
    if (dice.percent(2)) return dice.pick({"nan", "abc", "", " 1", "1e999", "1e-999"});
    if (dice.percent(50)) return std::to_string(static_cast<int>(dice.below(25)) - 5);
    if (dice.percent(50)) return std::to_string(dice.between(-5, 5));
    return dice.pick({"inf", "-inf", "0", "1e300", "3.14159265358979", "1e20", "0x10", "123456789012345678"});
  }
  std::string score_end() { return (dice.percent(30) ? "(" : "") + score(); }
  std::string lex_end() {
    if (dice.percent(3)) return dice.pick({"m", "", "5", "-x", "++"});
    return dice.percent(30)
               ? "[" + member()
               : dice.pick({"-", "+", "[m1", "(m1", "[m2", "(m5", "[m15", "[", "(", "(longmember2"});
  }
  std::string number() {
    if (dice.percent(3)) return dice.pick({"x", "9223372036854775807", "-9223372036854775808", "1.5", ""});
    return std::to_string(static_cast<int>(dice.below(42)) - 12);
  }
};

void append(Command* command, const Command& more) {
  command->insert(command->end(), more.begin(), more.end());
}

Command with_inputs(Words& w, Command command, bool combines) {
  const uint64_t count = 1 + w.dice.below(3);
  command.push_back(w.dice.percent(95) ? std::to_string(count)
                                       : w.dice.pick({"0", "-1", "5", "x", "9223372036854775807"}));
  for (uint64_t i = 0; i < count; ++i) command.push_back(w.any_set());
  if (combines && w.dice.percent(50)) {
    command.push_back("WEIGHTS");
    for (uint64_t i = w.dice.percent(5) ? 1 : 0; i < count; ++i) command.push_back(w.score());
  }
  if (combines && w.dice.percent(50))
    append(&command, {"AGGREGATE", w.dice.pick({"SUM", "MIN", "max", "avg"})});
  return command;
}

Step zset_step(Dice& dice) {
  Words w{dice};
  const auto with_scores = [&] { return dice.percent(40) ? Command{"WITHSCORES"} : Command{}; };
  const auto limit = [&] { return dice.percent(40) ? Command{"LIMIT", w.number(), w.number()} : Command{}; };
  Command command;
  switch (dice.below(34)) {
    default: {
      command = {"ZADD", w.key()};
      bool increments = false;
      for (const char* option : {"NX", "XX", "GT", "LT"})
        if (dice.percent(7)) command.push_back(option);
      if (dice.percent(20)) command.push_back("CH");
      if (dice.percent(10)) command.push_back("INCR"), increments = true;
      for (uint64_t i = increments && dice.percent(90) ? 1 : 1 + dice.below(5); i > 0; --i)
        append(&command, {w.score(), w.member()});
      if (dice.percent(2)) command.pop_back();
      return {command};
    }
    case 0: return {{"ZINCRBY", w.key(), w.score(), w.member()}};
    case 1: return {{"ZREM", w.key(), w.member(), w.member()}};
    case 2: return {{"ZCARD", w.key()}};
    case 3: return {{"ZSCORE", w.key(), w.member()}};
    case 4: return {{"ZMSCORE", w.key(), w.member(), w.member(), w.member()}};
    case 5: return {{"ZCOUNT", w.key(), w.score_end(), w.score_end()}};
    case 6: return {{"ZLEXCOUNT", "lex", w.lex_end(), w.lex_end()}};
    case 7: return {{dice.pick({"ZRANK", "ZREVRANK"}), w.key(), w.member()}};
    case 8:
    case 9: {
      const bool stores = dice.percent(25);
      if (stores)
        command = {"ZRANGESTORE", dice.pick({"z3", "z4"})};
      else
        command = {"ZRANGE"};
      const uint64_t by = dice.below(3);
      if (by == 0) append(&command, {w.key(), w.number(), w.number()});
      if (by == 1) append(&command, {w.key(), w.score_end(), w.score_end(), "BYSCORE"});
      if (by == 2) append(&command, {"lex", w.lex_end(), w.lex_end(), "BYLEX"});
      if (dice.percent(40)) command.push_back("REV");
      if (by > 0 || dice.percent(10)) append(&command, limit());
      if (by < 2 || dice.percent(10)) append(&command, with_scores());
      return {command};
    }
    case 10: command = {"ZREVRANGE", w.key(), w.number(), w.number()}; break;
    case 11:
      command = {dice.pick({"ZRANGEBYSCORE", "ZREVRANGEBYSCORE"}), w.key(), w.score_end(), w.score_end()};
      append(&command, limit());
      break;
    case 12:
      command = {dice.pick({"ZRANGEBYLEX", "ZREVRANGEBYLEX"}), "lex", w.lex_end(), w.lex_end()};
      append(&command, limit());
      return {command};
    case 13: return {{"ZREMRANGEBYRANK", w.key(), w.number(), w.number()}};
    case 14: return {{"ZREMRANGEBYSCORE", w.key(), w.score_end(), w.score_end()}};
    case 15: return {{"ZREMRANGEBYLEX", "lex", w.lex_end(), w.lex_end()}};
    case 16: command = with_inputs(w, {dice.pick({"ZUNION", "ZINTER"})}, true); break;
    case 17: command = with_inputs(w, {"ZDIFF"}, false); break;
    case 18: return {with_inputs(w, {dice.pick({"ZUNIONSTORE", "ZINTERSTORE"}), w.key()}, true)};
    case 19: return {with_inputs(w, {"ZDIFFSTORE", w.key()}, false)};
    case 20:
      command = with_inputs(w, {"ZINTERCARD"}, dice.percent(3));
      if (dice.percent(50)) append(&command, {"LIMIT", w.number()});
      return {command};
    case 21:
      command = {dice.pick({"ZPOPMIN", "ZPOPMAX"}), w.key()};
      if (dice.percent(50)) command.push_back(w.number());
      return {command};
    case 22:
      command = with_inputs(w, {"ZMPOP"}, false);
      command.push_back(dice.pick({"MIN", "MAX"}));
      if (dice.percent(50)) append(&command, {"COUNT", w.number()});
      return {command};
    case 23: return {{"ZRANDMEMBER", w.key()}, Compare::kLength};
    case 24:
      command = {"ZRANDMEMBER", w.key(), std::to_string(static_cast<int>(dice.below(40)) - 20)};
      append(&command, with_scores());
      return {command, Compare::kLength};
    case 25:
      command = {"ZSCAN", w.key(), dice.percent(97) ? "0" : "x", "COUNT",
                 dice.pick({"1000", "1000", "0", "x"})};
      if (dice.percent(50)) append(&command, {"MATCH", dice.pick({"m*", "*", "m1*"})});
      return {command, Compare::kScan};
    case 26:
      command = {"ZADD", "lex"};
      for (int i = 0; i < 6; ++i) append(&command, {"0", w.member()});
      return {command};
    case 27:
      return {{dice.pick({"SADD", "SREM"}), dice.pick({"s1", "s2"}), w.member(), w.member(), w.member()}};
    case 28: return {dice.percent(30) ? Command{"DEL", w.key()} : Command{"SET", "text", "x"}};
    case 29: return {{dice.pick({"TYPE", "EXISTS", "PERSIST", "TTL"}), w.key()}};
    case 30: return {{"RENAME", "z1", "z2"}};
  }
  append(&command, with_scores());
  return {command};
}

std::vector<Command> small_limits(Dice& dice) {
  return {{"CONFIG", "SET", "zset-max-listpack-entries", dice.pick({"0", "3", "10", "128"})},
          {"CONFIG", "SET", "zset-max-listpack-value", dice.pick({"5", "64"})}};
}

// ---- places

struct PlaceWords {
  Dice& dice;

  std::string key() { return dice.percent(3) ? "text" : dice.pick({"g1", "g2", "g3"}); }
  std::string member() { return "m" + std::to_string(dice.below(60)); }
  Command place() {
    if (dice.percent(5))
      return {dice.pick({"181", "x", "nan", "1e300"}), dice.pick({"86", "inf", "-86", "0"})};
    if (dice.percent(5))
      return {dice.pick({"-180", "180", "0", "179.9999"}), dice.pick({"85.05112878", "-85", "0"})};
    if (dice.percent(40)) return {std::to_string(dice.between(13, 14)), std::to_string(dice.between(38, 39))};
    return {std::to_string(dice.between(-180, 180)), std::to_string(dice.between(-85, 85))};
  }
  std::string unit() { return dice.percent(3) ? "xx" : dice.pick({"m", "km", "ft", "mi", "KM", "Mi"}); }
  std::string length() {
    if (dice.percent(4)) return dice.pick({"-1", "x", "inf"});
    return dice.percent(50) ? std::to_string(dice.below(1'000'000))
                            : dice.pick({"0", "1", "100", "5000", "20000", "1000", "50000000"});
  }
  // What follows a search; of a COUNT only the number of hits is told for sure, for some may be equally far.
  bool options(Command* command) {
    bool counts = false;
    for (const char* option : {"WITHDIST", "WITHCOORD", "WITHHASH"})
      if (dice.percent(30)) command->push_back(option);
    if (dice.percent(50)) command->push_back(dice.pick({"ASC", "DESC"}));
    if (dice.percent(30))
      append(command, {"COUNT", dice.pick({"1", "3", "10", "0", "-1", "x"})}), counts = true;
    if (dice.percent(10)) command->push_back("ANY");
    return counts;
  }
};

Step place_step(Dice& dice) {
  PlaceWords w{dice};
  Command command;
  bool counts = false;
  switch (dice.below(14)) {
    default: {
      command = {"GEOADD", w.key()};
      for (const char* option : {"NX", "XX", "CH"})
        if (dice.percent(6)) command.push_back(option);
      for (uint64_t i = 1 + dice.below(7); i > 0; --i) {
        append(&command, w.place());
        command.push_back(w.member());
      }
      if (dice.percent(2)) command.pop_back();
      return {command};
    }
    case 0: return {{"GEODIST", w.key(), w.member(), w.member(), w.unit()}};
    case 1: return {{"GEOHASH", w.key(), w.member(), w.member()}};
    case 2: return {{"GEOPOS", w.key(), w.member(), w.member()}};
    case 3:
    case 4:
      command = {dice.pick({"GEORADIUS", "GEORADIUS_RO"}), w.key()};
      append(&command, w.place());
      append(&command, {w.length(), w.unit()});
      counts = w.options(&command);
      break;
    case 5:
      command = {dice.pick({"GEORADIUSBYMEMBER", "GEORADIUSBYMEMBER_RO"}), w.key(), w.member(), w.length(),
                 w.unit()};
      counts = w.options(&command);
      break;
    case 6:
      command = {"GEORADIUS", w.key()};
      append(&command, w.place());
      append(&command, {w.length(), w.unit(), dice.pick({"STORE", "STOREDIST"}), "g3"});
      break;
    case 7:
    case 8:
    case 9: {
      const bool stores = dice.percent(25);
      if (stores)
        command = {"GEOSEARCHSTORE", "stored", w.key()};
      else
        command = {"GEOSEARCH", w.key()};
      if (dice.percent(50))
        append(&command, {"FROMMEMBER", w.member()});
      else if (dice.percent(97))
        command.push_back("FROMLONLAT"), append(&command, w.place());
      if (dice.percent(50))
        append(&command, {"BYRADIUS", w.length(), w.unit()});
      else if (dice.percent(97))
        append(&command, {"BYBOX", w.length(), w.length(), w.unit()});
      if (stores && dice.percent(90))
        append(&command, dice.percent(50) ? Command{"STOREDIST"} : Command{});
      else
        counts = w.options(&command);
      break;
    }
    case 10: return {{"ZRANGE", dice.pick({"g1", "g2", "g3", "stored"}), "0", "-1", "WITHSCORES"}};
    case 11:
      return {dice.percent(10) ? Command{"DEL", w.key()} : Command{"ZREM", w.key(), w.member(), w.member()}};
    case 12: return {{"ZADD", w.key(), dice.pick({"-1", "1e30", "inf", "5.5", "1e19", "0"}), w.member()}};
  }
  return {command, counts ? Compare::kLength : Compare::kAll};
}

}  // namespace

TEST_SUITE("blackbox/zset") {
  TEST_CASE("sorted sets answer as in Redis, whatever is asked in whatever order") {
    run(6, 400, &zset_step, &small_limits);
  }
  TEST_CASE("places answer as in Redis") {
    run(6, 300, &place_step, [](Dice&) { return std::vector<Command>{}; });
  }
}
