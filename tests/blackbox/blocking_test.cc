// Commands that wait for keys, seen from several connections.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/blackbox/blocked.h"
#include "tests/support/client.h"
#include "tests/support/server_process.h"

namespace {

using resp::to_text;
using support::blocked;
using support::Client;
using support::Command;
using support::ServerProcess;
using support::wait_for_blocked;

std::string run(Client& client, const Command& words) { return to_text(client.command(words)); }

}  // namespace

TEST_SUITE("blackbox/blocking") {
  TEST_CASE("who waits first is served first, by whatever makes the key come to be") {
    const ServerProcess server;
    Client control = Client::over_tcp(server);
    const std::vector<std::vector<Command>> ways = {
        {{"RPUSH", "k", "v"}},
        {{"RPUSH", "o", "v"}, {"RENAME", "o", "k"}},
        {{"RPUSH", "o", "v"}, {"COPY", "o", "k"}, {"DEL", "o"}},
        {{"RPUSH", "o", "v"}, {"LMOVE", "o", "k", "LEFT", "LEFT"}},
        {{"SELECT", "1"}, {"RPUSH", "k", "v"}, {"MOVE", "k", "0"}, {"SELECT", "0"}},
        {{"SELECT", "1"}, {"RPUSH", "k", "v"}, {"SELECT", "0"}, {"SWAPDB", "0", "1"}},
    };
    for (const auto& way : ways) {
      CAPTURE(way.back()[0]);
      Client first = blocked(server, control, 1, {"BLPOP", "x", "k", "0"});
      Client second = blocked(server, control, 2, {"BRPOP", "k", "0"});
      for (const Command& command : way) control.command(command);
      CHECK(to_text(first.read()) == "[\"k\", \"v\"]");
      wait_for_blocked(control, 1);
      CHECK(run(control, {"EXISTS", "k"}) == "0");
      run(control, {"RPUSH", "k", "w"});
      CHECK(to_text(second.read()) == "[\"k\", \"w\"]");
    }
  }

  TEST_CASE("an element passes through a chain of waiting moves in one go") {
    const ServerProcess server;
    Client control = Client::over_tcp(server);
    Client last = blocked(server, control, 1, {"BLMPOP", "0", "1", "c", "LEFT", "COUNT", "5"});
    Client middle = blocked(server, control, 2, {"BRPOPLPUSH", "b", "c", "0"});
    Client first = blocked(server, control, 3, {"BLMOVE", "a", "b", "LEFT", "RIGHT", "0"});
    CHECK(run(control, {"RPUSH", "a", "v"}) == "1");
    CHECK(run(control, {"DBSIZE"}) == "0");
    CHECK(to_text(first.read()) == "\"v\"");
    CHECK(to_text(middle.read()) == "\"v\"");
    CHECK(to_text(last.read()) == "[\"c\", [\"v\"]]");
  }

  TEST_CASE("a key of another type leaves its waiter waiting, a destination of another type is an error") {
    const ServerProcess server;
    Client control = Client::over_tcp(server);
    Client waiter = blocked(server, control, 1, {"BLPOP", "k", "0"});
    Client mover = blocked(server, control, 2, {"BLMOVE", "m", "string", "LEFT", "LEFT", "0"});
    run(control, {"SET", "k", "a string"});
    run(control, {"SET", "string", "x"});
    wait_for_blocked(control, 2);
    run(control, {"RPUSH", "m", "v"});
    CHECK(mover.read().text.starts_with("WRONGTYPE"));
    CHECK(run(control, {"LLEN", "m"}) == "1");
    run(control, {"DEL", "k"});
    run(control, {"RPUSH", "k", "v"});
    CHECK(to_text(waiter.read()) == "[\"k\", \"v\"]");
  }

  TEST_CASE(
      "a wait ends with its time, by CLIENT UNBLOCK, or with its connection, and what was sent after it "
      "runs") {
    const ServerProcess server;
    Client control = Client::over_tcp(server);
    Client client = Client::over_tcp(server);
    CHECK(to_text(client.command({"BLPOP", "k", "0.01"})) == "nil");
    const std::string id = run(client, {"CLIENT", "ID"});
    for (const char* how : {"TIMEOUT", "ERROR"}) {
      client.send({"BLMOVE", "k", "l", "LEFT", "LEFT", "0"});
      client.send({"PING"});
      wait_for_blocked(control, 1);
      CHECK(run(control, {"CLIENT", "UNBLOCK", id, how}) == "1");
      const resp::Reply reply = client.read();
      if (std::string(how) == "ERROR")
        CHECK(reply.text == "UNBLOCKED client unblocked via CLIENT UNBLOCK");
      else
        CHECK(reply.is_null());
      CHECK(to_text(client.read()) == "PONG");
      CHECK(run(control, {"CLIENT", "UNBLOCK", id}) == "0");
    }
    {
      Client gone = blocked(server, control, 1, {"BLPOP", "k", "0"});
      Client next = blocked(server, control, 2, {"BLPOP", "k", "0"});
      { const Client closes = std::move(gone); }
      wait_for_blocked(control, 1);
      run(control, {"RPUSH", "k", "v"});
      CHECK(to_text(next.read()) == "[\"k\", \"v\"]");
    }
    wait_for_blocked(control, 0);
  }

  TEST_CASE("sorted sets serve those who wait for sorted sets, at one key with those who wait for lists") {
    const ServerProcess server;
    Client control = Client::over_tcp(server);
    Client list = blocked(server, control, 1, {"BLPOP", "k", "0"});
    Client low = blocked(server, control, 2, {"BZPOPMIN", "other", "k", "0"});
    Client high = blocked(server, control, 3, {"BZMPOP", "0", "1", "k", "MAX", "COUNT", "2"});
    CHECK(run(control, {"ZADD", "k", "1", "a", "2", "b", "3", "c"}) == "3");
    CHECK(to_text(low.read()) == "[\"k\", \"a\", \"1\"]");
    CHECK(to_text(high.read()) == "[\"k\", [[\"c\", \"3\"], [\"b\", \"2\"]]]");
    wait_for_blocked(control, 1);
    CHECK(run(control, {"RPUSH", "k", "v"}) == "1");
    CHECK(to_text(list.read()) == "[\"k\", \"v\"]");
  }

  TEST_CASE("timeouts that are none are refused as Redis refuses them") {
    const ServerProcess server;
    Client control = Client::over_tcp(server);
    for (const char* bad : {"-1", "1e20", "inf", "9223372036854775807"})
      CHECK(control.command({"BLPOP", "k", bad}).text == "ERR timeout is negative");
    for (const char* bad : {"abc", "", "nan", " 1"})
      CHECK(control.command({"BLPOP", "k", bad}).text == "ERR timeout is not a float or out of range");
  }
}
