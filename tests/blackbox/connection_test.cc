// Connections as strangers see them: who may come in, in what order and how fast they are answered, and when
// they are sent away.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <chrono>
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

std::string info_field(Client& client, const std::string& name) {
  const std::string text = client.command({"INFO", "everything"}).text;
  const size_t at = text.find("\r\n" + name + ":");
  if (at == std::string::npos) return "";
  const size_t begin = at + name.size() + 3;
  return text.substr(begin, text.find("\r\n", begin) - begin);
}

}  // namespace

TEST_SUITE("blackbox/connection") {
  TEST_CASE("a pipeline of any length is answered in order, byte for byte") {
    const ServerProcess server;
    Client client = Client::over_tcp(server);
    std::string request;
    constexpr int kCommands = 5000;  // Many turns' worth.
    for (int i = 0; i < kCommands; ++i) request += Client::encode({"ECHO", std::to_string(i)});
    client.send_raw(request);
    for (int i = 0; i < kCommands; ++i) REQUIRE(client.read().text == std::to_string(i));
  }

  TEST_CASE("a long pipeline of one does not keep others waiting for its end") {
    const ServerProcess server;
    Client greedy = Client::over_tcp(server);
    Client modest = Client::over_tcp(server);
    std::string request;
    constexpr int kCommands = 20000;
    for (int i = 0; i < kCommands; ++i) request += Client::encode({"PING"});
    greedy.send_raw(request);
    CHECK(to_text(modest.command({"PING"})) == "PONG");
    for (int i = 0; i < kCommands; ++i) REQUIRE(to_text(greedy.read()) == "PONG");
  }

  TEST_CASE("who shuts down his side for writing still gets his answers") {
    const ServerProcess server({"--appendfsync", "always"});
    Client client = Client::over_tcp(server);
    client.send({"PING"});
    client.send({"ECHO", "last"});
    client.shutdown_writing();
    CHECK(to_text(client.read()) == "PONG");
    CHECK(to_text(client.read()) == "\"last\"");
    CHECK(client.closed_by_server());
  }

  TEST_CASE("QUIT answers, ends the connection, and what came behind it is not executed") {
    const ServerProcess server;
    Client client = Client::over_tcp(server);
    client.send_raw("QUIT\r\nPING\r\n");
    CHECK(to_text(client.read()) == "OK");
    CHECK(client.closed_by_server());
  }

  TEST_CASE("one client more than maxclients is turned away with a reason") {
    const ServerProcess server({"--maxclients", "3"});
    std::vector<Client> clients;
    for (int i = 0; i < 3; ++i) {
      clients.push_back(Client::over_tcp(server));
      CHECK(to_text(clients.back().command({"PING"})) == "PONG");
    }
    Client refused = Client::over_tcp(server);
    CHECK(to_text(refused.read()) == "(error) ERR max number of clients reached");
    CHECK(refused.closed_by_server());
    CHECK(info_field(clients[0], "rejected_connections") == "1");
    clients.pop_back();
    // The server hears of the free place in its own time.
    for (int tries = 0;; ++tries) {
      REQUIRE(tries < 100);
      Client next = Client::over_tcp(server);
      next.send({"PING"});
      if (to_text(next.read()) == "PONG") break;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }

  TEST_CASE("with requirepass only AUTH, HELLO, QUIT and RESET are open to who has not said it") {
    const ServerProcess server({"--requirepass", "secret"});
    Client client = Client::over_tcp(server);
    CHECK(to_text(client.command({"PING"})) == "(error) NOAUTH Authentication required.");
    CHECK(to_text(client.command({"HELLO", "3"})).starts_with("(error) NOAUTH HELLO must be called"));
    CHECK(to_text(client.command({"AUTH", "wrong"})).starts_with("(error) WRONGPASS"));
    CHECK(to_text(client.command({"AUTH", "nobody", "secret"})).starts_with("(error) WRONGPASS"));
    CHECK(to_text(client.command({"AUTH", "secret"})) == "OK");
    CHECK(to_text(client.command({"PING"})) == "PONG");
    CHECK(to_text(client.command({"RESET"})) == "RESET");
    CHECK(to_text(client.command({"PING"})) == "(error) NOAUTH Authentication required.");
    CHECK(client.command({"HELLO", "3", "AUTH", "default", "secret", "SETNAME", "me"}).kind ==
          Reply::Kind::kMap);
    CHECK(to_text(client.command({"CLIENT", "GETNAME"})) == "\"me\"");
  }

  TEST_CASE("before the password a command is short, and a flood of refusals ends the connection") {
    const ServerProcess server({"--requirepass", "secret"});
    Client big = Client::over_tcp(server);
    big.send_raw("*1\r\n$1000000\r\n");
    CHECK(to_text(big.read()) == "(error) ERR Protocol error: unauthenticated bulk length");
    CHECK(big.closed_by_server());
    Client many = Client::over_tcp(server);
    many.send_raw("*1000\r\n");
    CHECK(to_text(many.read()) == "(error) ERR Protocol error: unauthenticated multibulk length");
    CHECK(many.closed_by_server());
  }

  TEST_CASE("an HTTP request ends the connection unanswered") {
    const ServerProcess server;
    for (const char* request : {"POST / HTTP/1.1\r\n\r\n", "Host: x\r\n\r\n"}) {
      Client client = Client::over_tcp(server);
      client.send_raw(request);
      CHECK(client.closed_by_server());
    }
    CHECK(server.log().find("Possible SECURITY ATTACK") != std::string::npos);
  }

  TEST_CASE("an idle connection is closed after its timeout, and a busy one is not") {
    const ServerProcess server({"--timeout", "1"});
    Client idle = Client::over_tcp(server);
    Client busy = Client::over_tcp(server);
    CHECK(to_text(idle.command({"PING"})) == "PONG");
    for (int i = 0; i < 15; ++i) {
      REQUIRE(to_text(busy.command({"PING"})) == "PONG");
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
    CHECK(idle.closed_by_server());
  }

  TEST_CASE("who asks for more than he reads is closed at the output buffer limit, and only he") {
    const ServerProcess server({"--client-output-buffer-limit", "normal 1mb 0 0"});
    Client other = Client::over_tcp(server);
    Client client = Client::over_tcp(server);
    const std::string echo = Client::encode({"ECHO", std::string(100'000, 'x')});
    try {
      for (int i = 0; i < 400; ++i) client.send_raw(echo);  // 40 MB, none of it read.
    } catch (const std::runtime_error&) {
    }
    int replies = 0;
    try {
      while (replies < 400) {
        client.read();
        ++replies;
      }
    } catch (const std::runtime_error&) {
    }
    CHECK(replies < 400);
    CHECK(to_text(other.command({"PING"})) == "PONG");
    CHECK(server.log().find("output buffer limits") != std::string::npos);
  }

  TEST_CASE("the unix socket's file has the mode that was asked for and goes with the server") {
    ServerProcess server({"--unixsocketperm", "700"});
    struct stat status {};
    REQUIRE(::stat(server.unix_socket().c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0700);
    CHECK(to_text(Client::over_unix_socket(server).command({"PING"})) == "PONG");
    CHECK(server.stop() == 0);
    CHECK(::stat(server.unix_socket().c_str(), &status) != 0);
  }

  TEST_CASE("CLIENT REPLY OFF, ON and SKIP send what they say") {
    const ServerProcess server;
    Client client = Client::over_tcp(server);
    client.send({"CLIENT", "REPLY", "OFF"});
    client.send({"PING"});
    client.send({"NO-SUCH-COMMAND"});
    client.send({"CLIENT", "REPLY", "ON"});
    CHECK(to_text(client.read()) == "OK");
    client.send({"CLIENT", "REPLY", "SKIP"});
    client.send({"ECHO", "skipped"});
    client.send({"ECHO", "sent"});
    CHECK(to_text(client.read()) == "\"sent\"");
  }

  TEST_CASE("CLIENT KILL by every filter closes whom it names and tells how many") {
    const ServerProcess server;
    Client killer = Client::over_tcp(server);
    const auto victim_of = [&](const Command& words) {
      Client victim = Client::over_tcp(server);
      const std::string id = std::to_string(victim.command({"CLIENT", "ID"}).integer);
      const std::string line = victim.command({"CLIENT", "INFO"}).text;
      const size_t at = line.find(" addr=") + 6;
      const std::string address = line.substr(at, line.find(' ', at) - at);
      Command filled;
      for (const std::string& word : words)
        filled.push_back(word == "<id>" ? id : word == "<addr>" ? address : word);
      const std::string answer = to_text(killer.command(filled));
      CHECK(victim.closed_by_server());
      return answer;
    };
    CHECK(victim_of({"CLIENT", "KILL", "<addr>"}) == "OK");
    CHECK(victim_of({"CLIENT", "KILL", "ID", "<id>"}) == "1");
    CHECK(victim_of({"CLIENT", "KILL", "ADDR", "<addr>", "TYPE", "normal"}) == "1");
    CHECK(victim_of({"CLIENT", "KILL", "USER", "default"}) == "1");
    CHECK(to_text(killer.command({"CLIENT", "KILL", "ID", "123456"})) == "0");
    CHECK(to_text(killer.command({"CLIENT", "KILL", "1.2.3.4:5"})) == "(error) ERR No such client");
    CHECK(to_text(killer.command({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no"})) == "1");
    CHECK(killer.closed_by_server());
  }

  TEST_CASE("CLIENT PAUSE holds commands back, and UNPAUSE lets them go") {
    const ServerProcess server;
    Client boss = Client::over_tcp(server);
    Client worker = Client::over_tcp(server);
    CHECK(to_text(boss.command({"CLIENT", "PAUSE", "100000", "WRITE"})) == "OK");
    CHECK(to_text(worker.command({"PING"})) == "PONG");
    worker.send({"FLUSHDB"});
    worker.send({"PING"});
    while (info_field(boss, "blocked_clients") != "1")
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    CHECK(to_text(boss.command({"CLIENT", "UNPAUSE"})) == "OK");
    CHECK(to_text(worker.read()) == "OK");
    CHECK(to_text(worker.read()) == "PONG");
    // A pause of everything ends by itself.
    CHECK(to_text(boss.command({"CLIENT", "PAUSE", "300"})) == "OK");
    CHECK(to_text(worker.command({"PING"})) == "PONG");
  }

  TEST_CASE("MONITOR shows what others do, without secrets") {
    const ServerProcess server;
    Client monitor = Client::over_tcp(server);
    Client client = Client::over_tcp(server);
    CHECK(to_text(monitor.command({"MONITOR"})) == "OK");
    client.command({"ECHO", "a\"\n\x01"});
    CHECK(monitor.read().text.ends_with("] \"ECHO\" \"a\\\"\\n\\x01\""));
    client.command({"AUTH", "me", "secret"});
    CHECK(monitor.read().text.ends_with("] \"AUTH\" \"(redacted)\" \"(redacted)\""));
  }

  TEST_CASE("a second server on the same directory is refused and told who holds it") {
    const ServerProcess server;
    const auto second = support::run_server(
        {"--port", std::to_string(support::free_port()), "--dir", server.data_directory()});
    CHECK(second.status != 0);
    CHECK(second.output.find(std::to_string(server.pid())) != std::string::npos);
  }

  TEST_CASE("SHUTDOWN ends the server with status 0 and no answer, and SIGTERM with clients connected too") {
    ServerProcess server;
    {
      Client client = Client::over_tcp(server);
      CHECK(to_text(client.command({"SHUTDOWN", "NONSENSE"})) == "(error) ERR syntax error");
      CHECK(to_text(client.command({"SHUTDOWN", "ABORT"})) == "(error) ERR No shutdown in progress.");
      client.send({"SHUTDOWN", "NOSAVE"});
      CHECK(client.closed_by_server());
    }
    CHECK(server.stop() == 0);
    server.start();
    Client idle = Client::over_tcp(server);
    CHECK(to_text(idle.command({"PING"})) == "PONG");
    CHECK(server.stop() == 0);
  }
}
