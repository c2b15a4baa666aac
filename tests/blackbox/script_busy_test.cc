// A script that takes long, seen from other connections. No clocks: it never ends by itself, and what is
// waited for is a reply.
#include <doctest/doctest.h>
#include <signal.h>

#include <string>
#include <vector>

#include "tests/support/client.h"
#include "tests/support/server_process.h"

namespace {

using resp::to_text;
using support::Client;
using support::Command;
using support::ServerProcess;

const std::string kForever = "while true do end";
const std::string kBusy =
    "(error) BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.";

std::string run(Client& client, const Command& words) { return to_text(client.command(words)); }

}  // namespace

TEST_SUITE("blackbox/scripts") {
  TEST_CASE("while a script runs for too long others hear BUSY, may come and log in, and can end it") {
    const ServerProcess server({"--busy-reply-threshold", "1", "--requirepass", "secret"});
    Client runner = Client::over_tcp(server);
    CHECK(run(runner, {"AUTH", "secret"}) == "OK");
    CHECK(run(runner, {"SET", "k", "v"}) == "OK");
    runner.send({"EVAL", "redis.call('GET', 'k') " + kForever, "0"});
    Client other = Client::over_tcp(server);  // Its connection is accepted by the running script.
    CHECK(run(other, {"PING"}) == "(error) NOAUTH Authentication required.");
    CHECK(run(other, {"AUTH", "secret"}) == "OK");
    CHECK(run(other, {"GET", "k"}) == kBusy);
    CHECK(run(other, {"SHUTDOWN"}) == kBusy);
    CHECK(run(other, {"EVAL", "return 1", "0"}) == kBusy);
    CHECK(run(other, {"NOSUCH"}).starts_with("(error) ERR unknown command"));
    CHECK(run(other, {"SCRIPT", "KILL"}) == "OK");
    CHECK(to_text(runner.read()).starts_with("(error) ERR Script killed by user with SCRIPT KILL..."));
    CHECK(run(other, {"GET", "k"}) == "\"v\"");
    CHECK(run(other, {"SCRIPT", "KILL"}) == "(error) NOTBUSY No scripts in execution right now.");
    CHECK(run(runner, {"EVAL", "return redis.call('GET', 'k')", "0"}) == "\"v\"");
  }

  TEST_CASE("nothing in a script can stop its end: not pcall, xpcall, coroutines, metamethods") {
    const ServerProcess server({"--busy-reply-threshold", "1"});
    Client runner = Client::over_tcp(server), other = Client::over_tcp(server);
    for (const std::string script :
         {"while true do pcall(function() while true do end end) end",
          "while true do xpcall(function() while true do end end, function() while true do end end) end",
          "while true do local co = coroutine.create(function() while true do end end) "
          "coroutine.resume(co) end",
          "local t = setmetatable({}, {__index = function() while true do end end}) "
          "while true do pcall(function() return t.x end) end",
          "local function f() pcall(f) while true do end end f()",
          "while true do pcall(load, function() while true do end end) end"}) {
      CAPTURE(script);
      runner.send({"EVAL", script, "0"});
      // Until it has run for long enough there is nobody to kill.
      std::string reply;
      do reply = run(other, {"SCRIPT", "KILL"});
      while (reply.find("NOTBUSY") != std::string::npos);
      CHECK(reply == "OK");
      CHECK(to_text(runner.read()).starts_with("(error) ERR Script killed by user"));
    }
  }

  TEST_CASE("an EXEC that comes while a script runs is aborted, and its connection is out of MULTI") {
    const ServerProcess server({"--busy-reply-threshold", "1"});
    Client runner = Client::over_tcp(server), other = Client::over_tcp(server),
           late = Client::over_tcp(server);
    CHECK(run(other, {"MULTI"}) == "OK");
    CHECK(run(other, {"INCR", "n"}) == "QUEUED");
    runner.send({"EVAL", kForever, "0"});
    while (run(late, {"GET", "n"}) != kBusy) {
    }
    const std::string aborted = "(error) EXECABORT Transaction discarded because of: " + kBusy.substr(8);
    CHECK(run(other, {"EXEC"}) == aborted);
    // MULTI itself is allowed, but what cannot be queued must not be left out silently.
    CHECK(run(late, {"MULTI"}) == "OK");
    CHECK(run(late, {"INCR", "n"}) == kBusy);
    CHECK(run(other, {"SCRIPT", "KILL"}) == "OK");
    CHECK(to_text(runner.read()).starts_with("(error) ERR Script killed by user"));
    CHECK(run(late, {"INCR", "n"}) == "QUEUED");
    CHECK(run(late, {"EXEC"}) == "(error) EXECABORT Transaction discarded because of previous errors.");
    CHECK(run(other, {"GET", "n"}) == "nil");
    CHECK(run(other, {"EXEC"}) == "(error) ERR EXEC without MULTI");
  }

  // The suite of Redis hung on this now and then: a reply leaves at the end of a turn, and the script was in
  // it.
  TEST_CASE("who was answered just before a script began hears so while it runs") {
    const ServerProcess server({"--busy-reply-threshold", "1"});
    Client early = Client::over_tcp(server), runner = Client::over_tcp(server);
    CHECK(run(early, {"PING"}) == "PONG");
    CHECK(run(runner, {"PING"}) == "PONG");
    // Both have come when the server looks, in this order.
    ::kill(server.pid(), SIGSTOP);
    early.send({"PING"});
    runner.send({"EVAL", kForever, "0"});
    ::kill(server.pid(), SIGCONT);
    // Whichever the server read first: an answer comes while the script runs.
    const std::string answer = to_text(early.read());
    CHECK((answer == "PONG" || answer.find("BUSY") != std::string::npos));
    std::string reply;
    do reply = run(early, {"SCRIPT", "KILL"});
    while (reply.find("NOTBUSY") != std::string::npos);
    CHECK(reply == "OK");
    CHECK(to_text(runner.read()).starts_with("(error) ERR Script killed by user"));
  }

  TEST_CASE("a script that has written is not killed; SHUTDOWN NOSAVE ends it, and drops what it wrote") {
    ServerProcess server({"--busy-reply-threshold", "1"});
    Client runner = Client::over_tcp(server), other = Client::over_tcp(server);
    CHECK(run(runner, {"SET", "a", "before"}) == "OK");
    runner.send({"EVAL", "redis.call('SET', 'a', 'within') redis.call('SET', 'b', '1') " + kForever, "0"});
    std::string reply;
    do reply = run(other, {"SCRIPT", "KILL"});
    while (reply.find("NOTBUSY") != std::string::npos);
    CHECK(reply.starts_with("(error) UNKILLABLE Sorry the script already executed write commands"));
    other.send({"SHUTDOWN", "NOSAVE"});
    CHECK(other.closed_by_server());
    server.stop();
    server.start();
    Client after = Client::over_tcp(server);
    CHECK(run(after, {"MGET", "a", "b"}) == "[\"before\", nil]");
  }
}
