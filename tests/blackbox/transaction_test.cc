// Transactions of two connections against those of redis-server: random MULTI, EXEC, DISCARD, WATCH and
// UNWATCH among random commands, every reply compared.
#include <doctest/doctest.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "tests/blackbox/differential.h"

namespace {

using differential::Dice;
using support::Client;
using support::Command;
using support::ServerProcess;

std::string key(Dice& dice) { return dice.pick({"a", "b", "c", "h", "l", "z", "s"}); }

Command data(Dice& dice) {
  const std::string k = key(dice);
  const std::string n = std::to_string(dice.below(300));
  switch (dice.below(30)) {
    case 0: return {"SET", k, n};
    case 1: return {"INCR", k};
    case 2: return {"APPEND", k, n};
    case 3: return {"GET", k};
    case 4: return {"DEL", k, key(dice)};
    case 5: return {"RENAME", k, key(dice)};
    case 6: return {"HSET", "h", "f" + n, dice.pick({"1", "2"})};
    case 7: return {"HDEL", "h", "f" + n};
    case 8: return {"HGET", "h", "f" + n};
    case 9: return {"RPUSH", "l", n, n};
    case 10: return {"LPOP", "l"};
    case 11: return {"LSET", "l", "0", n};
    case 12: return {"ZADD", "z", n, "m" + n};
    case 13: return {"ZINCRBY", "z", "1", "m" + n};
    case 14: return {"ZREM", "z", "m" + n};
    case 15: return {"SADD", "s", n};
    case 16: return {"SREM", "s", n};
    case 17: return {"BLPOP", "nothing", "0.01"};
    case 18: return {"LMOVE", "l", "l", "LEFT", "RIGHT"};
    case 19: return {"EXPIRE", k, "1000"};
    case 20: return {"PERSIST", k};
    case 21: return {"COPY", k, key(dice), "REPLACE"};
    case 22: return {"MOVE", k, dice.pick({"0", "1"})};
    case 23: return {"SET", k, n, "PXAT", "1"};  // Gone as it comes.
    case 24: return {"GETEX", k, "EX", "500"};
    case 25: return {"SETRANGE", k, "0", ""};
    case 26: return {"SUNIONSTORE", "s", "s", "other"};
    case 27: return {"STRLEN", k};
    case 28: return {"EXISTS", k, key(dice)};
    default: return {"TYPE", k};
  }
}

Command step(Dice& dice) {
  if (dice.percent(45)) return data(dice);
  switch (dice.below(26)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4: return {"MULTI"};
    case 5:
    case 6:
    case 7:
    case 8:
    case 9:
    case 10: return {"EXEC"};
    case 11: return {"DISCARD"};
    case 12:
    case 13:
    case 14:
    case 15:
    case 16: return {"WATCH", key(dice), key(dice)};
    case 17: return {"UNWATCH"};
    case 18: return {"SELECT", dice.pick({"0", "0", "1"})};
    case 19: return dice.percent(30) ? Command{"FLUSHDB"} : Command{"PING"};
    case 20: return dice.percent(50) ? Command{"SWAPDB", "0", "1"} : Command{"PING"};
    case 21: return dice.percent(20) ? Command{"FLUSHALL"} : Command{"PING"};
    case 22: return dice.percent(30) ? Command{"NOSUCHCOMMAND", "x"} : Command{"ECHO", "x"};
    case 23: return dice.percent(30) ? Command{"SAVE", "too", "many"} : Command{"CLIENT", "GETNAME"};
    case 24: return {"CLIENT", "SETNAME", dice.pick({"me", "you"})};
    default: return dice.percent(20) ? Command{"RESET"} : Command{"TTL", key(dice)};
  }
}

}  // namespace

TEST_SUITE("blackbox/transaction") {
  TEST_CASE("transactions and watches of two connections go as in Redis") {
    const auto redis = RealRedis::start();
    if (redis == nullptr) {
      MESSAGE("no redis-server here");
      return;
    }
    const auto redis_too = redis->another();
    REQUIRE(redis_too != nullptr);
    const std::array<RealRedis*, 2> theirs = {redis.get(), redis_too.get()};
    const ServerProcess varve;
    std::array<Client, 2> ours = {Client::over_tcp(varve), Client::over_tcp(varve)};
    uint64_t first = 1, last = 8;
    if (const char* given = std::getenv("VARVE_DIFFERENTIAL_SEEDS")) {
      unsigned long long from = 0, to = 0;
      if (std::sscanf(given, "%llu-%llu", &from, &to) == 2) first = from, last = to;
    }
    for (uint64_t seed = first; seed <= last; ++seed) {
      CAPTURE(seed);
      Dice dice(seed);
      std::vector<std::string> history;
      bool agreed = true, swapped = false;
      const auto both = [&](size_t who, const Command& command) {
        std::string text = std::to_string(who) + ":";
        for (const std::string& word : command) text += " " + word;
        const resp::Reply mine = ours[who].command(command);
        const auto real = theirs[who]->ask(command);
        REQUIRE(real.has_value());
        history.push_back(text + " -> " + to_text(*real));
        if (mine == *real || command[0] == "HELLO") return;  // Which tells of ids.
        agreed = false;
        std::string told;
        const size_t begin = history.size() > 60 ? history.size() - 60 : 0;
        for (size_t i = begin; i < history.size(); ++i) told += history[i] + "\n";
        CAPTURE(told);
        CAPTURE(to_text(mine));
        FAIL_CHECK("the replies differ");
      };
      for (size_t who : {0, 1}) both(who, {"RESET"});
      both(0, {"FLUSHALL"});
      for (size_t who : {0, 1}) both(who, {"HELLO", seed % 2 == 0 ? "3" : "2", "SETNAME", "x"});
      // So that it is in elements of its own.
      Command big{"HSET", "h"};
      for (int n = 0; n < 200; ++n) big.insert(big.end(), {"f" + std::to_string(n), "1"});
      both(0, big);
      for (int i = 0; i < 600 && agreed; ++i) {
        const size_t who = dice.below(2);
        Command command = step(dice);
        // Redis voids a watch of an absent key that is swapped in and out again, Varve does not.
        if (command[0] == "SWAPDB" && std::exchange(swapped, true)) command = {"PING"};
        both(who, command);
      }
    }
  }
}
