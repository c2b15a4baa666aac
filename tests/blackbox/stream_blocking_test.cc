// XREAD and XREADGROUP that wait, seen from several connections.
#include <doctest/doctest.h>

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

TEST_SUITE("blackbox/stream_blocking") {
  TEST_CASE("a reader of $ gets what came after it began to wait, and only the stream that got it") {
    const ServerProcess server;
    Client control = Client::over_tcp(server);
    run(control, {"XADD", "s", "1-1", "f", "old"});
    Client client =
        blocked(server, control, 1, {"XREAD", "BLOCK", "0", "STREAMS", "t", "s", "s", "$", "$", "9"});
    // What concerns the reader not at all, or leaves nothing for it, does not wake it.
    run(control, {"XADD", "other", "1-1", "f", "v"});
    run(control, {"XDEL", "s", "1-1"});
    run(control, {"XGROUP", "CREATE", "s", "g", "0"});
    run(control, {"SET", "t", "text"});
    run(control, {"DEL", "t"});
    run(control, {"XGROUP", "CREATE", "t", "g", "0", "MKSTREAM"});
    run(control, {"XSETID", "t", "5-0"});
    wait_for_blocked(control, 1);
    run(control, {"XADD", "s", "2-1", "f", "new"});
    CHECK(to_text(client.read()) == R"([["s", [["2-1", ["f", "new"]]]]])");
  }

  TEST_CASE("all readers of a stream get the entry, and those who ask for RESP3 get a map") {
    const ServerProcess server;
    Client control = Client::over_tcp(server);
    Client first = blocked(server, control, 1, {"XREAD", "BLOCK", "0", "STREAMS", "s", "$"});
    Client second = Client::over_tcp(server);
    second.command({"HELLO", "3"});
    second.send({"XREAD", "COUNT", "5", "BLOCK", "0", "STREAMS", "s", "0"});
    wait_for_blocked(control, 2);
    run(control, {"XADD", "s", "1-1", "f", "v"});
    CHECK(to_text(first.read()) == R"([["s", [["1-1", ["f", "v"]]]]])");
    const resp::Reply map = second.read();
    CHECK(map.kind == resp::Reply::Kind::kMap);
    REQUIRE(map.items.size() == 2);
    CHECK(map.items[0].text == "s");
  }

  TEST_CASE("in a group who came first is served first, and a later one waits on") {
    const ServerProcess server;
    Client control = Client::over_tcp(server);
    run(control, {"XGROUP", "CREATE", "s", "g", "$", "MKSTREAM"});
    const auto read_as = [](const char* consumer) {
      return Command{"XREADGROUP", "GROUP", "g", consumer, "BLOCK", "0", "STREAMS", "s", ">"};
    };
    Client first = blocked(server, control, 1, read_as("a"));
    Client second = blocked(server, control, 2, read_as("b"));
    run(control, {"XADD", "s", "1-1", "f", "v"});
    CHECK(to_text(first.read()) == R"([["s", [["1-1", ["f", "v"]]]]])");
    wait_for_blocked(control, 1);
    run(control, {"XADD", "s", "1-2", "f", "w"});
    CHECK(to_text(second.read()) == R"([["s", [["1-2", ["f", "w"]]]]])");
    CHECK(run(control, {"XPENDING", "s", "g"}) == R"([2, "1-1", "1-2", [["a", "1"], ["b", "1"]]])");
  }

  TEST_CASE("those who wait in a group hear that it, or its stream, is gone") {
    const ServerProcess server;
    Client control = Client::over_tcp(server);
    const std::string gone = "UNBLOCKED the stream key no longer exists";
    const std::vector<std::pair<Command, std::string>> ways = {
        {{"XGROUP", "DESTROY", "s", "g"},
         "NOGROUP the consumer group this client was blocked on no longer exists"},
        {{"DEL", "s"}, gone},
        {{"SET", "s", "text"}, gone},
        {{"RENAME", "s", "elsewhere"}, gone},
        {{"PEXPIRE", "s", "1"}, gone},
        {{"FLUSHALL"}, gone},
        {{"SWAPDB", "0", "1"}, gone},
    };
    for (const auto& [command, error] : ways) {
      CAPTURE(command[0]);
      wait_for_blocked(control, 0);  // Those of the last round are gone.
      run(control, {"DEL", "s"});
      Client list = blocked(server, control, 1, {"BLPOP", "s", "0"});
      run(control, {"XGROUP", "CREATE", "s", "g", "$", "MKSTREAM"});
      Client reader =
          blocked(server, control, 2, {"XREADGROUP", "GROUP", "g", "c", "BLOCK", "0", "STREAMS", "s", ">"});
      run(control, command);
      CHECK(reader.read().text == error);
      wait_for_blocked(control, 1);  // A list may still come to be there.
    }
  }

  TEST_CASE("a wait ends when its time is up, and times that are none are refused") {
    const ServerProcess server;
    Client control = Client::over_tcp(server);
    CHECK(control.command({"XREAD", "BLOCK", "10", "STREAMS", "s", "$"}).is_null());
    CHECK(control.command({"XREAD", "BLOCK", "-1", "STREAMS", "s", "$"}).text == "ERR timeout is negative");
    CHECK(control.command({"XREAD", "BLOCK", "1.5", "STREAMS", "s", "$"}).text ==
          "ERR timeout is not an integer or out of range");
  }
}
