// tests/blackbox/random_commands.h: random commands over a few keys, mostly such as have something to do.
//
// Nothing in them depends on chance or on the clock, but for times to live and for orders that Redis does not
// promise either.
#pragma once

#include <string>

#include "tests/blackbox/differential.h"

namespace differential {

struct Words {
  Dice& dice;

  std::string key() { return dice.pick({"a", "b", "c", "d"}); }
  // Mostly of the type that a command wants, so that it has something to do.
  std::string key(const char* kind) {
    return dice.percent(10) ? key() : kind + std::to_string(dice.below(3));
  }
  std::string word() { return dice.pick({"x", "y", "z", "1", "2", "3"}); }
  std::string number() { return std::to_string(static_cast<int>(dice.below(9)) - 4); }
  std::string end() { return dice.pick({"LEFT", "RIGHT"}); }
  std::string place() { return dice.pick({"1.5", "1.6", "20"}); }
};

inline Command string_command(Dice& dice) {
  Words w{dice};
  const std::string key = w.key("s"), other = w.key("s");
  switch (dice.below(22)) {
    case 0: return {"SET", key, w.word()};
    case 1: return {"SET", key, w.word(), "EX", "1000"};
    case 2: return {"SET", key, w.word(), dice.pick({"NX", "XX", "GET", "KEEPTTL"})};
    case 3: return {"SET", key, w.word(), dice.pick({"NX", "XX", "GET"}), "PXAT", "99999999999999"};
    case 4: return {"SETNX", key, w.word()};
    case 5: return {"SETEX", key, "1000", w.word()};
    case 6: return {"PSETEX", key, "1000000", w.word()};
    case 7: return {"GETSET", key, w.word()};
    case 8: return {"GETDEL", key};
    case 9: return {"GETEX", key};
    case 10:
      return {"GETEX", key, dice.pick({"EX", "PX", "EXAT", "PXAT"}), dice.pick({"1000000", "99999999999"})};
    case 11: return {"GETEX", key, "PERSIST"};
    case 12: return {"MSET", key, w.word(), other, w.word(), key, w.word()};
    case 13: return {"MSETNX", key, w.word(), other, w.word()};
    case 14: return {"APPEND", key, dice.pick({"", "t"})};
    case 15: return {"SETRANGE", key, dice.pick({"0", "3"}), dice.pick({"", "t"})};
    case 16: return {dice.pick({"INCR", "DECR"}), key};
    case 17: return {dice.pick({"INCRBY", "DECRBY"}), key, w.number()};
    case 18: return {"INCRBYFLOAT", key, "1.5"};
    case 19: return {dice.pick({"GET", "STRLEN", "TTL", "TYPE", "EXISTS", "TOUCH", "PTTL"}), key};
    case 20: return {"MGET", key, other};
    default: return {"LCS", key, other};
  }
}

inline Command key_command(Dice& dice) {
  Words w{dice};
  const auto any = [&] { return w.key(dice.pick({"s", "h", "l", "t", "z"}).c_str()); };
  const std::string key = any(), other = any();
  switch (dice.below(10)) {
    case 0: return {dice.pick({"DEL", "UNLINK"}), key, other, key};
    case 1: return {dice.pick({"EXPIRE", "PEXPIRE"}), key, dice.pick({"1000000", "-1", "2000000"})};
    case 2: return {"EXPIRE", key, dice.pick({"1000", "5000", "-1"}), dice.pick({"NX", "XX", "GT", "LT"})};
    case 3: return {dice.pick({"EXPIREAT", "PEXPIREAT"}), key, dice.pick({"1", "99999999999"})};
    case 4: return {"PERSIST", key};
    case 5: return {dice.pick({"RENAME", "RENAMENX"}), key, other};
    case 6: return {"MOVE", key, dice.pick({"0", "1"})};
    case 7: return {"COPY", key, other};
    case 8: return {"COPY", key, other, "REPLACE"};
    default: return {"COPY", key, other, "DB", "1", "REPLACE"};
  }
}

inline Command hash_command(Dice& dice) {
  Words w{dice};
  const std::string key = w.key("h");
  switch (dice.below(9)) {
    case 0:
    case 1: return {dice.pick({"HSET", "HMSET"}), key, w.word(), w.word(), w.word(), w.word()};
    case 2: return {"HSETNX", key, w.word(), w.word()};
    case 3:
    case 4: return {"HDEL", key, w.word(), w.word(), w.word()};
    case 5: return {"HINCRBY", key, w.word(), w.number()};
    case 6: return {"HINCRBYFLOAT", key, w.word(), "0.5"};
    case 7: return {dice.pick({"HGET", "HEXISTS", "HSTRLEN"}), key, w.word()};
    default: return {dice.pick({"HGETALL", "HLEN", "HKEYS", "HRANDFIELD"}), key};
  }
}

inline Command list_command(Dice& dice) {
  Words w{dice};
  const std::string key = w.key("l"), other = w.key("l");
  switch (dice.below(17)) {
    case 0:
    case 1: return {dice.pick({"LPUSH", "RPUSH"}), key, w.word(), w.word()};
    case 2: return {dice.pick({"LPUSHX", "RPUSHX"}), key, w.word()};
    case 3: return {"LINSERT", key, dice.pick({"BEFORE", "AFTER"}), w.word(), w.word()};
    case 4: return {dice.pick({"LPOP", "RPOP"}), key};
    case 5: return {dice.pick({"LPOP", "RPOP"}), key, dice.pick({"0", "1", "2", "9"})};
    case 6: return {"LSET", key, w.number(), w.word()};
    case 7: return {"LTRIM", key, w.number(), w.number()};
    case 8: return {"LREM", key, w.number(), w.word()};
    case 9: return {"LMOVE", key, other, w.end(), w.end()};
    case 10: return {"RPOPLPUSH", key, other};
    case 11: return {"LMPOP", "2", key, other, w.end(), "COUNT", dice.pick({"1", "2", "9"})};
    case 12: return {dice.pick({"BLPOP", "BRPOP"}), key, other, "0.001"};
    case 13: return {"BLMOVE", key, other, w.end(), w.end(), "0.001"};
    case 14: return {"BRPOPLPUSH", key, other, "0.001"};
    case 15: return {"BLMPOP", "0.001", "2", key, other, w.end(), "COUNT", dice.pick({"1", "9"})};
    default: return {"LRANGE", key, "0", "-1"};
  }
}

// What is popped by chance would differ: all of it goes.
inline Command set_command(Dice& dice) {
  Words w{dice};
  const std::string key = w.key("t"), other = w.key("t");
  switch (dice.below(9)) {
    case 0:
    case 1: return {"SADD", key, w.word(), w.word()};
    case 2: return {"SREM", key, w.word(), w.word(), w.word()};
    case 3: return {"SMOVE", key, other, w.word()};
    case 4: return {"SPOP", key, dice.pick({"0", "100"})};
    case 5:
    case 6: return {dice.pick({"SINTERSTORE", "SUNIONSTORE", "SDIFFSTORE"}), w.key("t"), key, other};
    case 7: return {dice.pick({"SMEMBERS", "SCARD", "SRANDMEMBER"}), key};
    default: return {dice.pick({"SINTER", "SUNION", "SDIFF"}), key, other};
  }
}

inline Command zset_command(Dice& dice) {
  Words w{dice};
  const std::string key = w.key("z"), other = w.key("z"), to = w.key("z");
  switch (dice.below(19)) {
    case 0:
    case 1: return {"ZADD", key, w.number(), w.word(), w.number(), w.word()};
    case 2: return {"ZADD", key, dice.pick({"NX", "XX", "GT", "LT", "CH"}), w.number(), w.word()};
    case 3: return {"ZADD", key, dice.pick({"NX", "XX", "CH"}), "INCR", w.number(), w.word()};
    case 4: return {"ZINCRBY", key, w.number(), w.word()};
    case 5: return {"ZREM", key, w.word(), w.word()};
    case 6: return {dice.pick({"ZPOPMIN", "ZPOPMAX"}), key};
    case 7: return {dice.pick({"ZPOPMIN", "ZPOPMAX"}), key, dice.pick({"0", "1", "9"})};
    case 8: return {"ZREMRANGEBYRANK", key, w.number(), w.number()};
    case 9: return {"ZREMRANGEBYSCORE", key, "-1", "1"};
    case 10: return {"ZREMRANGEBYLEX", key, "-", dice.pick({"+", "[1"})};
    case 11: return {"ZRANGESTORE", to, key, w.number(), w.number()};
    case 12: return {dice.pick({"ZUNIONSTORE", "ZINTERSTORE", "ZDIFFSTORE"}), to, "2", key, other};
    case 13: return {"ZMPOP", "2", key, other, dice.pick({"MIN", "MAX"}), "COUNT", dice.pick({"1", "9"})};
    case 14: return {dice.pick({"BZPOPMIN", "BZPOPMAX"}), key, other, "0.001"};
    case 15: return {"GEOADD", key, w.place(), w.place(), w.word()};
    case 16: return {"GEOSEARCHSTORE", to, key, "FROMLONLAT", "1.5", "1.5", "BYRADIUS", "100", "km"};
    case 17: return {"GEORADIUS", key, "1.5", "1.5", "100", "km", "STORE", to};
    default: return {dice.pick({"ZCARD", "ZRANDMEMBER"}), key};
  }
}

inline Command random_command(Dice& dice) {
  switch (dice.below(6)) {
    case 0: return string_command(dice);
    case 1: return key_command(dice);
    case 2: return hash_command(dice);
    case 3: return list_command(dice);
    case 4: return set_command(dice);
    default: return zset_command(dice);
  }
}

}  // namespace differential
