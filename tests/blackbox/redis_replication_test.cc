// Varve as a replica of a redis-server, and a redis-server as one of Varve.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/blackbox/random_writer.h"

namespace {

using differential::Dice;
using support::Client;
using support::Command;
using support::ServerProcess;

struct Redis {
  explicit Redis(std::vector<std::string> options = {}) : port(support::free_port()) {
    for (const char* word : {"--enable-debug-command", "yes", "--repl-diskless-sync-delay", "0", "--port"})
      options.emplace_back(word);
    options.push_back(std::to_string(port));
    server = RealRedis::start({}, options);
  }
  resp::Reply ask(const Command& command) const {
    auto reply = server->ask(command);
    if (!reply) throw std::runtime_error("redis-server hung up");
    return std::move(*reply);
  }
  const int port;
  std::unique_ptr<RealRedis> server;
};

std::string ask(ServerProcess& server, const Command& command) {
  return to_text(Client::over_tcp(server).command(command));
}

std::string field(const std::string& info, const std::string& name) {
  const size_t at = info.find("\n" + name + ":");
  if (at == std::string::npos) return "(none)";
  const size_t begin = at + name.size() + 2;
  return info.substr(begin, info.find('\r', begin) - begin);
}
std::string info(ServerProcess& server, const std::string& name) {
  return field(Client::over_tcp(server).command({"INFO", "everything"}).text, name);
}

// A test that waits for ever would say nothing: ten seconds is more than any of this takes.
void until(const std::string& what, const std::function<bool()>& true_now) {
  for (int i = 0; i < 1000; ++i) {
    try {
      if (true_now()) return;
    } catch (const std::runtime_error&) {
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  FAIL_CHECK("never came to be: " << what);
}

bool present(const Redis& redis) {
  if (redis.server == nullptr) MESSAGE("no redis-server here");
  return redis.server != nullptr;
}

// Their order means nothing.
std::vector<std::string> libraries(const resp::Reply& list) {
  std::vector<std::string> all;
  for (const resp::Reply& library : list.items) all.push_back(to_text(library));
  std::sort(all.begin(), all.end());
  return all;
}

void same_data(const Redis& redis, ServerProcess& varve) {
  Client client = Client::over_tcp(varve);
  const auto equal = [&](const Command& question) {
    return to_text(client.command(question)) == to_text(redis.ask(question));
  };
  until("equal data", [&] { return equal({"DEBUG", "DIGEST"}); });
  if (!equal({"DEBUG", "DIGEST"})) {
    for (const char* database : {"0", "1", "2", "3"}) {
      client.command({"SELECT", database});
      redis.ask({"SELECT", database});
      for (const resp::Reply& key : redis.ask({"KEYS", "*"}).items) {
        CAPTURE(key.text);
        CHECK(equal({"DEBUG", "DIGEST-VALUE", key.text}));
        CHECK(equal({"PEXPIRETIME", key.text}));
      }
      CHECK(equal({"DBSIZE"}));
    }
  }
  CHECK(libraries(client.command({"FUNCTION", "LIST", "WITHCODE"})) ==
        libraries(redis.ask({"FUNCTION", "LIST", "WITHCODE"})));
}

const std::vector<std::string> kVarve = {"--enable-debug-command", "yes", "--memtable-size", "1mb"};

}  // namespace

TEST_SUITE("blackbox/redis replication") {
  TEST_CASE(
      "from a redis-server with all types, under writes, with cuts and kills, to a primary of its own") {
    for (const char* diskless : {"yes", "no"}) {
      CAPTURE(diskless);
      const Redis redis({"--repl-diskless-sync", diskless});
      if (!present(redis)) return;
      Dice dice(diskless[0] == 'y' ? 11 : 12);
      const auto write = [&](int times) {
        for (int i = 0; i < times; ++i)
          differential::write_something(dice, [&](const Command& command) { redis.ask(command); });
      };
      redis.ask({"DEBUG", "POPULATE", "20000", "key", "100"});
      for (int i = 0; i < 3000; ++i) {
        const std::string n = std::to_string(i);
        redis.ask({"HSET", "large hash", "field" + n, "value" + n});
        redis.ask({"ZADD", "large zset", n, "member" + n});
      }
      write(3000);

      ServerProcess varve(kVarve), chained(kVarve);
      CHECK(ask(varve, {"SET", "of", "its own"}) == "OK");
      REQUIRE(ask(varve, {"REPLICAOF", "127.0.0.1", std::to_string(redis.port)}) == "OK");
      write(2000);
      REQUIRE(ask(chained, {"REPLICAOF", "127.0.0.1", std::to_string(varve.port())}) == "OK");
      until("the link is up", [&] { return info(varve, "master_link_status") == "up"; });
      CHECK(info(varve, "role") == "slave");
      CHECK(info(varve, "master_port") == std::to_string(redis.port));
      CHECK(ask(varve, {"SET", "k", "v"}) == "(error) READONLY You can't write against a read only replica.");
      for (int cut = 0; cut < 3; ++cut) {
        write(1000);
        redis.ask({"CLIENT", "KILL", "TYPE", "replica"});
        write(1000);
        until("the link is up", [&] { return info(varve, "master_link_status") == "up"; });
      }
      write(500);
      varve.kill();
      write(500);
      std::vector<std::string> again = kVarve;
      again.insert(again.end(), {"--replicaof", "127.0.0.1 " + std::to_string(redis.port)});
      varve.start(again);
      write(500);
      until("the link is up", [&] { return info(varve, "master_link_status") == "up"; });
      same_data(redis, varve);
      const std::string stats = redis.ask({"INFO", "stats"}).text;
      CHECK(field(stats, "sync_full") == "1");  // Neither a cut nor a kill costs a copy.
      CHECK(field(stats, "sync_partial_ok") == "4");
      same_data(redis, chained);

      redis.ask({"SET", "last", "word"});
      CHECK(to_text(redis.ask({"WAIT", "1", "20000"})) == "1");
      CHECK(ask(varve, {"REPLICAOF", "NO", "ONE"}) == "OK");
      CHECK(ask(varve, {"SET", "own", "word"}) == "OK");
      CHECK(info(varve, "role") == "master");
      until("the chained one follows", [&] { return ask(chained, {"GET", "own"}) == "\"word\""; });
    }
  }

  TEST_CASE("what was written after leaving a redis-server is given up with a full copy on coming back") {
    const Redis redis;
    if (!present(redis)) return;
    redis.ask({"SET", "k", "v"});
    ServerProcess varve(kVarve);
    const Command follow = {"REPLICAOF", "127.0.0.1", std::to_string(redis.port)};
    ask(varve, follow);
    same_data(redis, varve);
    ask(varve, {"REPLICAOF", "NO", "ONE"});
    CHECK(ask(varve, {"SET", "own", "word"}) == "OK");
    ask(varve, follow);
    same_data(redis, varve);
    CHECK(ask(varve, {"GET", "own"}) == "nil");
  }

  TEST_CASE("a primary that wants a password gets it, and one that refuses is asked again") {
    const Redis redis({"--requirepass", "secret"});
    if (!present(redis)) return;
    redis.ask({"AUTH", "secret"});
    redis.ask({"SET", "k", "v"});
    ServerProcess varve(kVarve);
    ask(varve, {"REPLICAOF", "127.0.0.1", std::to_string(redis.port)});
    until("it is refused", [&] { return varve.log().find("NOAUTH") != std::string::npos; });
    CHECK(info(varve, "master_link_status") == "down");
    ask(varve, {"CONFIG", "SET", "masterauth", "secret"});
    same_data(redis, varve);
  }

  // Not among the fast ones: now and then the copy stalls until a side's timeout, for a reason not yet found.
  TEST_CASE("a redis-server follows a Varve under writes of all types, with cuts, and a file can be fetched" *
            doctest::test_suite("slow/blackbox/redis replication")) {
    const Redis redis;
    if (!present(redis)) return;
    Dice dice(21);
    ServerProcess varve(kVarve);
    Client writer = Client::over_tcp(varve);
    const auto write = [&](int times) {
      for (int i = 0; i < times; ++i)
        differential::write_something(dice, [&](const Command& command) { writer.command(command); });
    };
    writer.command({"DEBUG", "POPULATE", "20000", "key", "100"});
    writer.command({"SELECT", "9"});  // Where nobody else writes.
    for (int i = 0; i < 3000; ++i) {
      const std::string n = std::to_string(i);
      writer.command({"HSET", "large hash", "field" + n, "value" + n});
      writer.command({"ZADD", "large zset", n, "member" + n});
    }
    writer.command({"SELECT", "0"});
    write(2000);
    redis.ask({"SET", "of", "its own"});
    redis.ask({"REPLICAOF", "127.0.0.1", std::to_string(varve.port())});
    const auto up = [&] {
      return field(redis.ask({"INFO", "replication"}).text, "master_link_status") == "up";
    };
    write(2000);
    until("the link is up", up);
    until("it is counted", [&] { return info(varve, "redis_replicas") == "1"; });
    write(3000);
    // Elements alone, their header unwritten.
    same_data(redis, varve);
    writer.command({"SELECT", "9"});
    writer.command({"HSET", "large hash", "field7", "another value"});
    writer.command({"MULTI"});
    writer.command({"ZADD", "large zset", "0.5", "member8"});
    writer.command({"EXEC"});
    writer.command({"SELECT", "0"});
    same_data(redis, varve);
    CHECK(redis.ask({"GET", "of"}).is_null());
    writer.command({"CLIENT", "KILL", "TYPE", "replica"});
    write(1000);
    until("the link is up", up);
    write(1000);
    writer.command({"FLUSHALL"});
    write(1000);
    same_data(redis, varve);

    const support::TemporaryDirectory directory;
    const std::string file = directory.path() + "/out.rdb";
    const std::string fetch = "redis-cli -p " + std::to_string(varve.port()) + " --rdb " + file +
                              " > /dev/null 2>&1 && redis-check-rdb " + file + " > /dev/null";
    CHECK(std::system(fetch.c_str()) == 0);
    const auto loaded = RealRedis::start(file, {"--enable-debug-command", "yes"});
    REQUIRE(loaded != nullptr);
    until("the file is loaded", [&] {
      const Command digest = {"DEBUG", "DIGEST"};
      return loaded->ask(digest)->text == writer.command(digest).text;
    });
  }
}
