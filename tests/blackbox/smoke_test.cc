// The server as a stranger sees it: the real binary, a socket, and kill -9.
#include <doctest/doctest.h>

#include <string>
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

// Redis itself needs to be told; for Varve it changes nothing.
const std::vector<std::string> kDurable = {"--appendonly", "yes"};

}  // namespace

TEST_SUITE("blackbox/smoke") {
  TEST_CASE("hiredis sets and gets, with any bytes, alone and pipelined") {
    const ServerProcess server;
    HiredisClient client(server);
    CHECK(to_text(client.command({"PING"})) == "PONG");
    const std::string bytes("\0\r\n\xff binary", 10);
    CHECK(to_text(client.command({"SET", bytes, bytes})) == "OK");
    CHECK(client.command({"GET", bytes}).text == bytes);
    CHECK(client.command({"GET", "absent"}).is_null());
    std::vector<Command> commands;
    for (int i = 0; i < 1000; ++i) commands.push_back({"SET", "k" + std::to_string(i), std::to_string(i)});
    for (int i = 0; i < 1000; ++i) commands.push_back({"GET", "k" + std::to_string(i)});
    const std::vector<Reply> replies = client.pipeline(commands);
    for (size_t i = 0; i < 1000; ++i) REQUIRE(replies[1000 + i].text == std::to_string(i));
  }

  TEST_CASE("a value of many megabytes comes back as it went") {
    const ServerProcess server;
    HiredisClient client(server);
    std::string value(20 << 20, '\0');
    for (size_t i = 0; i < value.size(); ++i) value[i] = static_cast<char>(i * 2654435761u >> 13);
    CHECK(to_text(client.command({"SET", "big", value})) == "OK");
    CHECK((client.command({"GET", "big"}).text == value));
    CHECK(client.command({"STRLEN", "big"}).integer == 20 << 20);
  }

  TEST_CASE("HELLO 3 switches to RESP3, and the unix socket serves as TCP does") {
    const ServerProcess server;
    Client client = Client::over_unix_socket(server);
    CHECK(to_text(client.command({"GET", "absent"})) == "nil");
    CHECK(client.command({"HELLO", "3"}).kind == Reply::Kind::kMap);
    client.send({"GET", "absent"});
    CHECK(to_text(client.read()) == "nil");
    CHECK(to_text(client.command({"SET", "k", "v"})) == "OK");
    CHECK(to_text(Client::over_tcp(server).command({"GET", "k"})) == "\"v\"");
  }

  TEST_CASE("inline commands, and commands that come byte by byte, are served") {
    const ServerProcess server;
    Client client = Client::over_tcp(server);
    client.send_raw("SET \"a b\" 'c'\r\nGET \"a\\x20b\"\n");
    CHECK(to_text(client.read()) == "OK");
    CHECK(to_text(client.read()) == "\"c\"");
    for (const char c : Client::encode({"ECHO", "slow"})) client.send_raw({&c, 1});
    CHECK(to_text(client.read()) == "\"slow\"");
  }

  TEST_CASE("a protocol error is answered after what came before it, and ends the connection") {
    const ServerProcess server;
    Client client = Client::over_tcp(server);
    client.send_raw("PING\r\n*1\r\n!4\r\nPING\r\nPING\r\n");
    CHECK(to_text(client.read()) == "PONG");
    CHECK(to_text(client.read()) == "(error) ERR Protocol error: expected '$', got '!'");
    CHECK(client.closed_by_server());
  }

  TEST_CASE("what was acknowledged survives kill -9, again and again") {
    ServerProcess server(kDurable);
    for (int round = 0; round < 5; ++round) {
      CAPTURE(round);
      HiredisClient client(server);
      for (int i = 0; i < round * 100; ++i) {
        REQUIRE(client.command({"GET", "k" + std::to_string(i)}).text == "v" + std::to_string(i));
      }
      std::vector<Command> commands;
      for (int i = round * 100; i < round * 100 + 100; ++i) {
        commands.push_back({"SET", "k" + std::to_string(i), "v" + std::to_string(i)});
      }
      for (const Reply& reply : client.pipeline(commands)) REQUIRE(to_text(reply) == "OK");
      server.kill();
      server.start();
    }
    CHECK(HiredisClient(server).command({"DBSIZE"}).integer == 500);
  }

  TEST_CASE("SIGTERM ends the server in order: status 0, and the data is there at the next start") {
    ServerProcess server(kDurable);
    CHECK(to_text(HiredisClient(server).command({"SET", "k", "v"})) == "OK");
    CHECK(server.stop() == 0);
    server.start();
    CHECK(to_text(HiredisClient(server).command({"GET", "k"})) == "\"v\"");
  }
}
