// Keys and whole data sets between redis-server and Varve, both ways, in Redis's own serialisation.
#include <doctest/doctest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <sstream>

#include "tests/blackbox/differential.h"

namespace {

using differential::Dice;
using support::Client;
using support::Command;
using support::ServerProcess;

// Anything that answers commands.
using Ask = std::function<resp::Reply(const Command&)>;
Ask asker(RealRedis& redis) {
  return [&redis](const Command& command) {
    auto reply = redis.ask(command);
    REQUIRE(reply.has_value());
    return std::move(*reply);
  };
}
Ask asker(Client& client) {
  return [&client](const Command& command) { return client.command(command); };
}

// Values as Redis tells small encodings from large ones by them.
std::string some_value(Dice& dice) {
  switch (dice.below(8)) {
    case 0: return std::to_string(dice.below(100));
    case 1: return "-" + std::to_string(dice.below(70'000) + 1);
    case 2: return std::to_string(dice.below(1'000'000'000) * 5'000'000'000 / 3);
    case 3: return std::string(dice.below(200), 'a');
    case 4: {
      std::string bytes;
      for (uint64_t left = dice.below(30); left > 0; --left)
        bytes.push_back(static_cast<char>(dice.below(256)));
      return bytes;
    }
    default: return "value" + std::to_string(dice.below(100'000));
  }
}

// Of every type and around every limit at which Redis changes an encoding.
void fill(const Ask& ask, Dice& dice) {
  for (int i = 0; i < 20; ++i) ask({"SET", "string" + std::to_string(i), some_value(dice)});
  ask({"SET", "long", std::string(100'000, 'x') + "y"});
  ask({"SET", "empty", ""});
  ask({"SET", "binary", [&] {
         std::string bytes;
         for (int i = 0; i < 40'000; ++i) bytes.push_back(static_cast<char>(dice.below(256)));
         return bytes;
       }()});
  for (const int size : {1, 5, 127, 128, 129, 511, 513, 2000}) {
    const std::string n = std::to_string(size);
    for (int i = 0; i < size; ++i) {
      const std::string value = some_value(dice);
      ask({"RPUSH", "list" + n, value});
      ask({"SADD", "integers" + n, std::to_string(dice.below(1'000'000) - 500'000)});
      ask({"SADD", "set" + n, value});
      ask({"HSET", "hash" + n, "f" + std::to_string(i) + (i % 7 == 0 ? value : ""), some_value(dice)});
      ask({"ZADD", "zset" + n,
           dice.percent(50) ? std::to_string(dice.below(100)) : std::to_string(dice.between(-1e6, 1e6)),
           value});
    }
  }
  for (const int size : {1, 99, 100, 101, 1000}) {
    const std::string key = "stream" + std::to_string(size);
    for (int i = 1; i <= size; ++i) {
      Command add = {"XADD", key, std::to_string(i) + "-" + std::to_string(dice.below(5)), "f",
                     some_value(dice)};
      if (dice.percent(20)) add.insert(add.end(), {"g", some_value(dice)});
      ask(add);
      if (dice.percent(10)) ask({"XDEL", key, std::to_string(i) + "-1"});
    }
    ask({"XGROUP", "CREATE", key, "group", "0"});
    for (const char* consumer : {"alice", "bob"})
      ask({"XREADGROUP", "GROUP", "group", consumer, "COUNT", "20", "STREAMS", key, ">"});
    ask({"XGROUP", "CREATE", key, "other group", "$"});
  }
  ask({"XGROUP", "CREATE", "stream without entries", "group", "$", "MKSTREAM"});
  ask({"ZADD", "infinite", "inf", "a", "-inf", "b", "1e-320", "c", "1.7976931348623157e308", "d"});
  ask({"RPUSH", "large elements", std::string(10'000, 'a'), "b", std::string(20'000, 'c')});
  ask({"PEXPIREAT", "string3", "4102444800123"});
  ask({"PEXPIREAT", "hash513", "4102444800456"});
}

// All of a key that a client can see, in an order that does not depend on the server.
std::string content(const Ask& ask, const std::string& key) {
  const std::string type = ask({"TYPE", key}).text;
  Command question = {"GET", key};
  if (type == "list") question = {"LRANGE", key, "0", "-1"};
  if (type == "set") question = {"SMEMBERS", key};
  if (type == "hash") question = {"HGETALL", key};
  if (type == "zset") question = {"ZRANGE", key, "0", "-1", "WITHSCORES"};
  if (type == "stream")
    return to_text(ask({"XRANGE", key, "-", "+"})) + to_text(ask({"XINFO", "GROUPS", key})) +
           to_text(ask({"XPENDING", key, "group"})) + to_text(ask({"PEXPIRETIME", key}));
  const resp::Reply reply = ask(question);
  std::vector<std::string> parts;
  const size_t step = type == "hash" ? 2 : 1;
  for (size_t i = 0; i + step <= reply.items.size(); i += step)
    parts.push_back(reply.items[i].text + (step == 2 ? "\x01=" + reply.items[i + 1].text : ""));
  if (type == "set" || type == "hash") std::sort(parts.begin(), parts.end());
  std::string all = type + " " + ask({"PEXPIRETIME", key}).text +
                    std::to_string(ask({"PEXPIRETIME", key}).integer) + " " + reply.text;
  for (const std::string& part : parts) all += "\x02" + part;
  return all;
}

std::vector<std::string> keys_of(const Ask& ask) {
  std::vector<std::string> keys;
  for (const resp::Reply& key : ask({"KEYS", "*"}).items) keys.push_back(key.text);
  std::sort(keys.begin(), keys.end());
  return keys;
}

void check_same(const Ask& a, const Ask& b) {
  for (const char* database : {"0", "3"}) {
    a({"SELECT", database});
    b({"SELECT", database});
    const auto keys = keys_of(a);
    CHECK(keys_of(b) == keys);
    for (const std::string& key : keys) {
      CAPTURE(key);
      CHECK((content(a, key) == content(b, key)));
    }
  }
  a({"SELECT", "0"});
  b({"SELECT", "0"});
}

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  return bytes.str();
}

}  // namespace

TEST_SUITE("blackbox/rdb") {
  TEST_CASE("what DUMP gives on one server RESTORE takes on the other, and back") {
    const auto redis = RealRedis::start();
    if (redis == nullptr) {
      MESSAGE("no redis-server here");
      return;
    }
    const ServerProcess varve;
    Client client = Client::over_tcp(varve);
    const Ask there = asker(*redis), here = asker(client);
    Dice dice(1);
    fill(there, dice);
    for (const std::string& key : keys_of(there)) {
      CAPTURE(key);
      CHECK(to_text(here({"RESTORE", key, "0", there({"DUMP", key}).text})) == "OK");
      const std::string dumped = here({"DUMP", key}).text;
      there({"PERSIST", key});
      const std::string encoding = there({"OBJECT", "ENCODING", key}).text;
      const std::string before = content(there, key);
      CHECK((content(here, key) == before));
      CHECK(to_text(there({"RESTORE", key, "0", dumped, "REPLACE"})) == "OK");
      CHECK((content(there, key) == before));
      if (encoding != "raw") CHECK(there({"OBJECT", "ENCODING", key}).text == encoding);
    }
  }

  TEST_CASE("--import takes what redis-server saved, --export writes what it reads") {
    const auto redis = RealRedis::start();
    if (redis == nullptr) {
      MESSAGE("no redis-server here");
      return;
    }
    const Ask there = asker(*redis);
    Dice dice(2);
    fill(there, dice);
    there({"SELECT", "3"});
    there({"SET", "elsewhere", "3"});
    there({"SELECT", "0"});
    there({"FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function('f', function() return 7 end)"});
    REQUIRE(to_text(there({"SAVE"})) == "OK");

    const support::TemporaryDirectory directory;
    const std::string data = directory.path() + "/data", exported = directory.path() + "/out.rdb";
    const auto imported = support::run_server({"--dir", data, "--import", redis->rdb_file()});
    CAPTURE(imported.output);
    CHECK(imported.status == 0);
    // Nothing is merged with what is there.
    const auto again = support::run_server({"--dir", data, "--import", redis->rdb_file()});
    CHECK(again.status == 1);
    CHECK(again.output.find("an RDB file is imported into an empty store only") != std::string::npos);
    const auto out = support::run_server({"--dir", data, "--export", exported});
    CAPTURE(out.output);
    CHECK(out.status == 0);
    const auto redis_again = RealRedis::start(exported);
    REQUIRE(redis_again != nullptr);
    check_same(there, asker(*redis_again));
    CHECK(to_text(asker(*redis_again)({"FCALL", "f", "0"})) == "7");
    const std::string check = "redis-check-rdb " + exported + " > /dev/null";
    CHECK(WEXITSTATUS(std::system(check.c_str())) == 0);
  }

  TEST_CASE("a damaged file is refused with its name and an offset") {
    const auto redis = RealRedis::start();
    if (redis == nullptr) return;
    const Ask there = asker(*redis);
    there({"SET", "a", "1"});
    there({"RPUSH", "l", "1", "2"});
    REQUIRE(to_text(there({"SAVE"})) == "OK");
    const std::string whole = bytes_of(redis->rdb_file());
    const support::TemporaryDirectory directory;
    int number = 0;
    const auto import = [&](const std::string& bytes) {
      const std::string n = std::to_string(++number);
      const std::string path = directory.path() + "/" + n + ".rdb";
      std::ofstream(path, std::ios::binary) << bytes;
      const auto ended = support::run_server({"--dir", directory.path() + "/data" + n, "--import", path});
      CHECK(ended.status == 1);
      CHECK(ended.output.find(path + ": RDB: ") != std::string::npos);
      return ended.output;
    };
    std::string damaged = whole;
    damaged[damaged.size() - 12] ^= 1;
    CHECK(import(damaged).find("at offset") != std::string::npos);
    CHECK(import(whole.substr(0, whole.size() - 20)).find("the end is missing, at offset") !=
          std::string::npos);
    CHECK(import("REDIS0099" + whole.substr(9)).find("version 99 is newer") != std::string::npos);
    CHECK(import("something else").find("does not begin as an RDB file") != std::string::npos);
  }
}

TEST_SUITE("blackbox/migrate") {
  TEST_CASE("MIGRATE moves, copies and replaces, and says what the other server says") {
    const ServerProcess from, to;
    Client client = Client::over_tcp(from), other = Client::over_tcp(to);
    const std::string port = std::to_string(to.port());
    const auto migrate = [&](Command rest, const std::string& key = "") {
      Command command = {"MIGRATE", "127.0.0.1", port, key, "0", "2000"};
      command.insert(command.end(), rest.begin(), rest.end());
      return to_text(client.command(command));
    };
    for (int i = 0; i < 3000; ++i) client.command({"RPUSH", "list", std::to_string(i)});
    client.command({"SET", "a", "1", "PX", "100000"});
    client.command({"HSET", "h", "f", "v"});
    CHECK(migrate({}, "absent") == "NOKEY");
    CHECK(migrate({"COPY"}, "a") == "OK");
    CHECK(to_text(client.command({"GET", "a"})) == "\"1\"");
    CHECK(other.command({"PTTL", "a"}).integer > 90'000);
    CHECK(migrate({}, "a") ==
          "(error) ERR Target instance replied with error: BUSYKEY Target key name already exists.");
    CHECK(to_text(client.command({"GET", "a"})) == "\"1\"");
    CHECK(migrate({"REPLACE", "KEYS", "a", "absent", "list", "h"}) == "OK");
    CHECK(to_text(client.command({"DBSIZE"})) == "0");
    CHECK(other.command({"LLEN", "list"}).integer == 3000);
    CHECK(to_text(other.command({"HGETALL", "h"})) == "[\"f\", \"v\"]");
    // Of several, what was taken goes and what was refused stays.
    client.command({"MSET", "new", "1", "a", "2"});
    CHECK(migrate({"KEYS", "new", "a"}).find("BUSYKEY") != std::string::npos);
    CHECK(to_text(client.command({"KEYS", "*"})) == "[\"a\"]");

    CHECK(migrate({"AUTH"}, "a") == "(error) ERR syntax error");
    CHECK(migrate({"KEYS", "a"}, "a").find("must be set to the empty string") != std::string::npos);
    CHECK(migrate({"AUTH", "secret"}, "a").starts_with("(error) ERR Target instance replied with error: "));
    CHECK(to_text(client.command({"MIGRATE", "127.0.0.1", "1", "a", "0", "500"})) ==
          "(error) IOERR error or timeout connecting to the client");
    // Over itself it would be deleted after it was restored.
    CHECK(to_text(client.command({"MIGRATE", "127.0.0.1", std::to_string(from.port()), "a", "0", "500",
                                  "REPLACE"})) == "(error) ERR the target instance is this server");
    CHECK(to_text(client.command({"GET", "a"})) == "\"2\"");
  }
}
