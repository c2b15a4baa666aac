// tests/blackbox/random_writer.h: random writes of all types over few keys, so that they meet.
#pragma once

#include <string>

#include "tests/blackbox/differential.h"

namespace differential {

// The next write. Among them are those that a server passes on as something else: what is relative, random,
// blocking, or deletes by itself.
inline Command random_write(Dice& dice) {
  const auto n = [&](uint64_t below) { return std::to_string(dice.below(below)); };
  const auto key = [&](const char* type) { return type + n(6); };
  const auto value = [&] { return dice.percent(3) ? std::string(dice.below(6000), 'v') : "v" + n(1000); };
  switch (dice.below(46)) {
    case 0: return {"SET", key("s"), value()};
    case 1: return {"SET", key("s"), value(), "PX", std::to_string(1 + dice.below(3000))};
    case 2: return {"SET", key("s"), value(), "KEEPTTL"};
    case 3: return {"INCRBY", key("i"), n(1000)};
    case 4: return {"INCRBYFLOAT", key("i"), "0.5"};
    case 5: return {"APPEND", key("s"), value()};
    case 6: return {"SETRANGE", key("s"), n(20'000), "range"};
    case 7: return {"SETBIT", key("b"), n(100'000), n(2)};
    case 8: return {"BITOP", dice.pick({"AND", "OR", "XOR"}), key("b"), key("b"), key("b")};
    case 9: return {"GETEX", key("s"), "EX", "100"};
    case 10: return {"GETDEL", key("s")};
    case 11: return {"MSET", key("s"), value(), key("s"), value()};
    case 12: return {"PEXPIRE", key(dice.pick({"s", "i", "h", "z", "l", "x"}).c_str()), n(2000)};
    case 13: return {"PERSIST", key(dice.pick({"s", "i", "h", "z", "l", "x"}).c_str())};
    case 14: return {"DEL", key("s"), key("h")};
    case 15: return {"UNLINK", key(dice.pick({"l", "e", "z", "x"}).c_str())};
    case 16: return {"RENAME", key("h"), key("h")};
    case 17: return {"COPY", key("z"), key("z"), "REPLACE"};
    case 18: return {"HSET", key("h"), "f" + n(400), value(), "f" + n(400), value()};
    case 19: return {"HDEL", key("h"), "f" + n(400), "f" + n(400)};
    case 20: return {"HINCRBYFLOAT", key("h"), "float", "1.25"};
    case 21: return {"SADD", key("e"), n(2000), n(2000), "m" + n(300)};
    case 22: return {"SPOP", key("e"), n(5)};
    case 23: return {"SREM", key("e"), n(2000), n(2000)};
    case 24: return {"SMOVE", key("e"), key("e"), n(2000)};
    case 25: return {"SUNIONSTORE", key("e"), key("e"), key("e")};
    case 26: return {"ZADD", key("z"), n(1000), "m" + n(500), n(1000), "m" + n(500)};
    case 27: return {"ZINCRBY", key("z"), "0.1", "m" + n(500)};
    case 28: return {"ZPOPMIN", key("z"), n(3)};
    case 29: return {"ZREMRANGEBYRANK", key("z"), "0", n(3)};
    case 30: return {"ZUNIONSTORE", key("z"), "2", key("z"), key("z"), "AGGREGATE", "MAX"};
    case 31: return {"RPUSH", key("l"), value(), value(), value()};
    case 32: return {"LPUSH", key("l"), value()};
    case 33: return {"LPOP", key("l"), n(4)};
    case 34: return {"LSET", key("l"), n(10), value()};
    case 35: return {"LINSERT", key("l"), "BEFORE", "v" + n(1000), value()};
    case 36: return {"LMOVE", key("l"), key("l"), "LEFT", "RIGHT"};
    case 37: return {"LTRIM", key("l"), "0", "500"};
    case 38: return {"XADD", key("x"), "MAXLEN", "~", "300", "*", "f", value(), "g", value()};
    case 39: return {"XGROUP", "CREATE", key("x"), "g" + n(2), "0", "MKSTREAM"};
    case 40: return {"XREADGROUP", "GROUP", "g" + n(2), "c" + n(3), "COUNT", "3", "STREAMS", key("x"), ">"};
    case 41: return {"XTRIM", key("x"), "MAXLEN", n(200)};
    case 42: return {"PFADD", key("p"), value(), value()};
    case 43: return {"GEOADD", key("z"), n(90), n(80), "place" + n(50)};
    case 44:
      return {"EVAL",   "redis.call('SET', KEYS[1], ARGV[1]); return redis.call('RPUSH', KEYS[2], ARGV[1])",
              "2",      key("s"),
              key("l"), value()};
    default: return {"SORT", key("l"), "ALPHA", "STORE", key("l")};
  }
}

// One, or now and then a transaction, or something about whole databases.
template <typename Ask>  // ask(const Command&)
void write_something(Dice& dice, Ask ask) {
  if (dice.percent(3)) {
    ask({"MULTI"});
    for (uint64_t left = dice.below(6); left > 0; --left) ask(random_write(dice));
    ask({dice.percent(90) ? "EXEC" : "DISCARD"});
  } else if (dice.percent(2)) {
    ask({"SELECT", std::to_string(dice.below(4))});
  } else if (dice.below(400) == 0) {
    ask({"SWAPDB", std::to_string(dice.below(4)), std::to_string(dice.below(4))});
  } else if (dice.below(1500) == 0) {
    ask({"FLUSHDB"});
  } else if (dice.below(200) == 0) {
    const std::string name = "lib" + std::to_string(dice.below(3));
    ask({"FUNCTION", "LOAD", "REPLACE",
         "#!lua name=" + name + "\nredis.register_function('f_" + name + "', function() return " +
             std::to_string(dice.below(100)) + " end)"});
  } else if (dice.below(400) == 0) {
    ask({"FUNCTION", "DELETE", "lib" + std::to_string(dice.below(3))});
  } else {
    ask(random_write(dice));
  }
}

}  // namespace differential
