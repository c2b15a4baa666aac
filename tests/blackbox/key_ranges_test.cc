// Ranges over keys, scans and expiry, against the real binary.
#include <doctest/doctest.h>

#include <chrono>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/client.h"
#include "tests/support/server_process.h"

namespace {

using resp::Reply;
using resp::to_text;
using support::Client;
using support::Command;
using support::HiredisClient;
using support::ServerProcess;

void fill(HiredisClient& client, const std::string& prefix, int keys, const Command& more = {}) {
  std::vector<Command> commands;
  for (int n = 0; n < keys; ++n) {
    commands.push_back({"SET", prefix + std::to_string(100000 + n), "v" + std::to_string(n)});
    commands.back().insert(commands.back().end(), more.begin(), more.end());
  }
  for (const Reply& reply : client.pipeline(commands)) REQUIRE(to_text(reply) == "OK");
}

}  // namespace

TEST_SUITE("blackbox/key_ranges") {
  TEST_CASE("KRANGE with VALUES is flat in RESP2, pairs in RESP3, and null for what is no string") {
    const ServerProcess server;
    Client client = Client::over_tcp(server);
    client.command({"MSET", "a", "1", "b", "2", "c", "3"});
    CHECK(to_text(client.command({"KRANGE", "-", "(c", "VALUES"})) == "[\"a\", \"1\", \"b\", \"2\"]");
    CHECK(to_text(client.command({"KRANGE", "+", "[b", "REV"})) == "[\"c\", \"b\"]");
    CHECK(to_text(client.command({"KRANGE", "-", "+", "LIMIT", "1", "1", "VALUES"})) == "[\"b\", \"2\"]");
    client.command({"RPUSH", "aa", "x"});
    CHECK(to_text(client.command({"KRANGE", "[a", "[aa", "VALUES"})) == "[\"a\", \"1\", \"aa\", nil]");
    CHECK(to_text(client.command({"KRANGE", "-", "+", "TYPE", "list"})) == "[\"aa\"]");
    client.command({"HELLO", "3"});
    CHECK(to_text(client.command({"KRANGE", "[a", "[aa", "VALUES"})) == "[[\"a\", \"1\"], [\"aa\", nil]]");
    CHECK(to_text(client.command({"KRANGE", "a", "+"})) ==
          "(error) ERR min or max not valid string range item");
  }

  TEST_CASE("a scan of many thousand keys meets each once, from cache and from disk") {
    const ServerProcess server({"--enable-debug-command", "local"});
    HiredisClient client(server);
    fill(client, "user:", 20000);
    for (const bool cold : {false, true}) {
      CAPTURE(cold);
      if (cold) CHECK(to_text(client.command({"DEBUG", "RELOAD"})) == "OK");
      for (const char* count : {"100", "5000"}) {
        CAPTURE(count);
        std::set<std::string> seen;
        std::string cursor = "0";
        do {
          const Reply page = client.command({"SCAN", cursor, "MATCH", "user:*", "COUNT", count});
          REQUIRE(page.items.size() == 2);
          cursor = page.items[0].text;
          for (const Reply& key : page.items[1].items) REQUIRE(seen.insert(key.text).second);
        } while (cursor != "0");
        CHECK(seen.size() == 20000);
      }
      CHECK(client.command({"KEYS", "user:1000*"}).items.size() == 100);
      CHECK(client.command({"KCOUNT", "-", "+"}).integer == 20000);
    }
  }

  TEST_CASE("a long KDELRANGE is answered with its count, and nothing of it comes back after kill -9") {
    ServerProcess server({"--appendfsync", "always"});
    HiredisClient client(server);
    fill(client, "a:", 100);
    fill(client, "b:", 10000);
    fill(client, "c:", 100);
    CHECK(client.command({"KDELRANGE", "[b:", "(b;"}).integer == 10000);
    server.kill();
    server.start();
    HiredisClient again(server);
    CHECK(again.command({"DBSIZE"}).integer == 200);
    CHECK(again.command({"KCOUNT", "[b", "(c"}).integer == 0);
    CHECK(again.command({"KDELRANGE", "-", "+"}).integer == 200);
  }

  TEST_CASE("expired keys are reclaimed though nobody asks for them, and counted") {
    const ServerProcess server;
    HiredisClient client(server);
    fill(client, "short:", 3000, {"PX", "1"});
    fill(client, "long:", 10, {"EX", "1000"});
    // Ten times a second, so soon; how soon is no matter of this test.
    while (client.command({"DBSIZE"}).integer > 10)
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    CHECK(client.command({"INFO", "stats"}).text.find("expired_keys:3000\r\n") != std::string::npos);
    CHECK(client.command({"DBSIZE"}).integer == 10);
  }
}
