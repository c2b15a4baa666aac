// All types at once beside redis-server: random commands, alone, in transactions and in scripts, while Varve
// is stopped, killed, emptied of its caches and flushed to disk in between. Replies are compared, and now and
// then the digest of all data.
#include <string>
#include <vector>

#include "tests/blackbox/random_commands.h"

using namespace differential;

namespace {

Command bits_command(Dice& dice) {
  Words w{dice};
  const std::string key = w.key("b"), other = w.key("b");
  const std::string bit = std::to_string(dice.percent(90) ? dice.below(3000) : dice.below(100'000'000));
  switch (dice.below(9)) {
    case 0:
    case 1:
    case 2: return {"SETBIT", key, bit, dice.pick({"0", "1", "1"})};
    case 3: return {"GETBIT", key, bit};
    case 4: return {"BITCOUNT", key, w.number(), "-1", dice.pick({"BIT", "BYTE"})};
    case 5: return {"BITPOS", key, dice.pick({"0", "1"}), "0", "-1", dice.pick({"BIT", "BYTE"})};
    case 6: return {"BITOP", dice.pick({"AND", "OR", "XOR"}), w.key("b"), key, other};
    case 7: return {"BITFIELD", key, "OVERFLOW", "SAT", "INCRBY", "u5", "#" + w.place().substr(0, 1), "7"};
    default: return {"BITFIELD", key, "SET", "i9", bit, w.number(), "GET", "u8", "0"};
  }
}

Command sketch_command(Dice& dice) {
  Words w{dice};
  const std::string key = w.key("p"), other = w.key("p");
  switch (dice.below(4)) {
    case 0:
    case 1: return {"PFADD", key, std::to_string(dice.below(100'000)), std::to_string(dice.below(100'000))};
    case 2: return {"PFCOUNT", key, other};
    default: return {"PFMERGE", w.key("p"), key, other};
  }
}

Command stream_command(Dice& dice) {
  Words w{dice};
  const std::string key = w.key("x");
  const std::string id = std::to_string(dice.below(80)) + "-" + std::to_string(1 + dice.below(3));
  switch (dice.below(15)) {
    case 0:
    case 1:
    case 2:
    case 3: return {"XADD", key, std::to_string(dice.below(90)) + "-*", w.word(), w.word()};
    case 4: return {"XADD", key, "MAXLEN", "20", std::to_string(dice.below(90)) + "-*", w.word(), w.word()};
    case 5: return {"XDEL", key, id};
    case 6: return {"XTRIM", key, dice.pick({"MAXLEN", "MINID"}), "8"};
    case 7: return {"XRANGE", key, "-", "+", "COUNT", "5"};
    case 8: return {"XREVRANGE", key, "+", id};
    case 9: return {"XGROUP", "CREATE", key, dice.pick({"g", "h"}), dice.pick({"0", "$"}), "MKSTREAM"};
    case 10:
    case 11:
      return {"XREADGROUP", "GROUP", dice.pick({"g", "h"}), dice.pick({"me", "you"}), "COUNT", "3", "STREAMS",
              key,          ">"};
    case 12: return {"XACK", key, dice.pick({"g", "h"}), id};
    case 13: return {"XGROUP", "DELCONSUMER", key, "g", "you"};
    default: return {"XLEN", key};
  }
}

// Bigger than what fits in a header, in one go.
Command bulk_command(Dice& dice) {
  const std::string number = std::to_string(dice.below(3));
  const uint64_t count = 100 + dice.below(500);
  Command command;
  switch (dice.below(5)) {
    case 0: command = {"HSET", "h" + number}; break;
    case 1: command = {"RPUSH", "l" + number}; break;
    case 2: command = {"SADD", "t" + number}; break;
    case 3: command = {"ZADD", "z" + number}; break;
    default: return {"SETRANGE", "s" + number, std::to_string(dice.below(300'000)), std::string(count, 'v')};
  }
  for (uint64_t i = 0; i < count; ++i) {
    const std::string n = std::to_string(dice.below(100'000));
    if (command[0] == "ZADD" || command[0] == "HSET") command.push_back(n);
    command.push_back(command[0] == "ZADD" ? "m" + n : n);
  }
  return command;
}

Command any_command(Dice& dice) {
  const uint64_t kind = dice.below(100);
  if (kind < 4) return bulk_command(dice);
  if (kind < 14) return bits_command(dice);
  if (kind < 20) return sketch_command(dice);
  if (kind < 35) return stream_command(dice);
  Command command = random_command(dice);
  if (command[0] == "SPOP" && command[2] == "100") command[2] = "100000";  // All of it.
  // Among members of different scores it takes what the encoding happens to show.
  if (command[0] == "ZREMRANGEBYLEX") return {"ZREMRANGEBYRANK", command[1], "0", "0"};
  return command;
}

// How far the reply to `command` is promised.
Compare compare_of(const Command& command) {
  for (const char* loose : {"HGETALL", "HKEYS", "HVALS", "HRANDFIELD", "SMEMBERS", "SRANDMEMBER", "SPOP",
                            "SINTER", "SUNION", "SDIFF", "ZRANDMEMBER", "GEORADIUS"})
    if (command[0] == loose) return Compare::kLength;
  return Compare::kAll;
}

// What tells of the clock, or of chance in a single value.
bool is_compared(const Command& command) {
  for (const char* name : {"TTL", "PTTL", "HRANDFIELD", "SRANDMEMBER", "ZRANDMEMBER"})
    if (command[0] == name) return false;
  return true;
}

// What shows the whole value.
Command reading_all(const std::string& type, const std::string& key) {
  if (type == "list") return {"LRANGE", key, "0", "-1"};
  if (type == "set") return {"SORT", key, "ALPHA"};
  if (type == "hash") return {"HGETALL", key};
  if (type == "zset") return {"ZRANGE", key, "0", "-1", "WITHSCORES"};
  if (type == "stream") return {"XINFO", "STREAM", key, "FULL", "COUNT", "0"};
  return {"GET", key};
}

// The command as a script does it.
Command in_script(const Command& command) {
  Command script = {"EVAL", "return redis.call(unpack(ARGV))", "0"};
  script.insert(script.end(), command.begin(), command.end());
  return script;
}

}  // namespace

TEST_SUITE("blackbox/all_types_differential") {
  TEST_CASE("all types, restarts and cold reads in between, answer as redis-server does") {
    const auto redis = RealRedis::start({}, {"--enable-debug-command", "yes"});
    if (redis == nullptr) {
      MESSAGE("no redis-server here");
      return;
    }
    uint64_t first = 1, last = 3;
    if (const char* given = std::getenv("VARVE_DIFFERENTIAL_SEEDS")) {
      unsigned long long from = 0, to = 0;
      if (std::sscanf(given, "%llu-%llu", &from, &to) == 2) first = from, last = to;
    }
    support::ServerProcess varve({"--enable-debug-command", "yes"});
    auto client = std::make_unique<support::Client>(support::Client::over_tcp(varve));
    for (uint64_t seed = first; seed <= last; ++seed) {
      CAPTURE(seed);
      Dice dice(seed);
      const std::string version = seed % 2 == 0 ? "3" : "2";
      const std::string limit = dice.pick({"2", "16", "128"});
      const std::vector<Command> session = {{"HELLO", version}};
      const std::vector<Command> settings = {{"CONFIG", "SET", "hash-max-listpack-entries", limit},
                                             {"CONFIG", "SET", "zset-max-listpack-entries", limit},
                                             {"CONFIG", "SET", "set-max-intset-entries", limit}};
      const auto tell_varve = [&](const std::vector<Command>& commands) {
        for (const Command& command : commands) REQUIRE(!client->command(command).is_error());
      };
      const auto restart = [&](bool killed) {
        client.reset();
        if (killed)
          varve.kill();
        else
          REQUIRE(varve.stop() == 0);
        varve.start();
        client = std::make_unique<support::Client>(support::Client::over_tcp(varve));
        tell_varve(session);
        tell_varve(settings);
      };
      for (const Command& command : {Command{"FLUSHALL"}, session[0]}) {
        tell_varve({command});
        REQUIRE(redis->ask(command).has_value());
      }
      tell_varve(settings);
      std::string history;
      const auto ask_both = [&](const Command& command, bool compared, Compare how) {
        std::string text;
        for (const std::string& word : command) text += (word.size() > 40 ? word.substr(0, 40) : word) + " ";
        if (command.size() > 60) text = text.substr(0, 400);
        history += text + "\n";
        if (history.size() > 40000) history.erase(0, history.size() - 30000);
        CAPTURE(history);
        const resp::Reply ours = client->command(command);
        const auto theirs = redis->ask(command);
        REQUIRE(theirs.has_value());
        if (!compared || agree(ours, *theirs, how)) return;
        CAPTURE(text);
        CAPTURE(to_text(ours));
        CAPTURE(to_text(*theirs));
        FAIL("the replies differ");
      };
      const auto check_digest = [&] {
        const Command digest = {"DEBUG", "DIGEST"};
        if (client->command(digest) == *redis->ask(digest)) return;
        CAPTURE(history);
        std::string different;
        for (const char* database : {"0", "1"}) {
          client->command({"SELECT", database});
          redis->ask(Command{"SELECT", database});
          const resp::Reply their_keys = redis->ask(Command{"KEYS", "*"}).value();
          for (const resp::Reply& key : their_keys.items) {
            const Command of_key = {"DEBUG", "DIGEST-VALUE", key.text};
            if (client->command(of_key) == *redis->ask(of_key)) continue;
            const std::string type = redis->ask(Command{"TYPE", key.text})->text;
            const Command all = reading_all(type, key.text);
            different += database + (":" + key.text) + " " + type + " " + to_text(client->command(all)) +
                         " in Redis " + to_text(redis->ask(all).value()) + "; ";
          }
          const resp::Reply our_keys = client->command({"KEYS", "*"});
          for (const resp::Reply& key : our_keys.items)
            if (redis->ask(Command{"EXISTS", key.text})->integer == 0) different += "only here: " + key.text;
        }
        CAPTURE(different);
        FAIL("the data differ");
      };
      for (int i = 0; i < 1500; ++i) {
        CAPTURE(i);
        const uint64_t event = dice.below(1000);
        if (event < 2) {
          history += "(restart)\n";
          restart(event == 0);
          check_digest();
        } else if (event < 12) {
          tell_varve({{"DEBUG", "RELOAD"}});
        } else if (event < 40) {
          tell_varve({{"DEBUG", "DROP-CACHES"}});
        } else if (event < 60) {
          ask_both({"MULTI"}, true, Compare::kAll);
          bool compared = true;
          for (uint64_t left = 1 + dice.below(6); left > 0; --left) {
            const Command command = any_command(dice);
            compared &= is_compared(command) && compare_of(command) == Compare::kAll;
            ask_both(command, true, Compare::kAll);
          }
          ask_both({"EXEC"}, compared, Compare::kAll);
        } else {
          const Command command = any_command(dice);
          const bool scripted = event < 100 && version == "2" && command.size() < 100;
          ask_both(scripted ? in_script(command) : command, is_compared(command), compare_of(command));
        }
        if (i % 250 == 249) check_digest();
      }
    }
  }
}
