// SHUTDOWN and SIGTERM wait for replicas. All of it holds of redis-server as well
// (VARVE_SERVER=redis-server), but where a case says that it does not.
#include <doctest/doctest.h>
#include <signal.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "tests/blackbox/replicas.h"
#include "tests/server/real_redis.h"
#include "tests/support/link_proxy.h"

namespace {

using namespace replicas;
using support::LinkProxy;

// A primary, and a replica that has everything, and then is cut off from what comes.
struct Pair {
  explicit Pair(const std::string& timeout_seconds)
      : primary({"--shutdown-timeout", timeout_seconds}), link(primary.port()) {
    follow(replica, link.port());
    CHECK(ask(primary, {"SET", "k", "1"}) == "OK");
    until("the replica has it", [this] { return ask(replica, {"GET", "k"}) == "\"1\""; });
    until("the primary knows", [this] { return ask(primary, {"WAIT", "1", "100"}) == "1"; });
  }
  void fall_behind() {
    link.freeze(true);
    CHECK(ask(primary, {"INCR", "k"}) == "2");
  }
  bool waits() { return info(primary, "shutdown_in_milliseconds") != "(none)"; }
  bool logged(const std::string& text) { return primary.log().find(text) != std::string::npos; }

  ServerProcess primary, replica;
  LinkProxy link;
};

bool ends_with_connection(Client& client) {
  try {
    const Reply reply = client.command({"PING"});
    CAPTURE(to_text(reply));
    CHECK(false);
    return false;
  } catch (const std::runtime_error&) {
    return true;
  }
}

}  // namespace

TEST_SUITE("blackbox/shutdown") {
  TEST_CASE("SIGTERM and SHUTDOWN wait until replicas have everything, and writers wait meanwhile") {
    for (const bool by_signal : {true, false}) {
      CAPTURE(by_signal);
      Pair pair("300");
      pair.fall_behind();
      Client asks = Client::over_tcp(pair.primary);
      if (by_signal)
        REQUIRE(::kill(pair.primary.pid(), SIGTERM) == 0);
      else
        asks.send({"SHUTDOWN"});
      until("it waits", [&] { return pair.waits(); });
      CHECK(pair.logged("Waiting for replicas before shutting down."));
      CHECK(std::stoll(info(pair.primary, "shutdown_in_milliseconds")) > 200'000);
      CHECK(ask(pair.primary, {"GET", "k"}) == "\"2\"");
      Client writer = Client::over_tcp(pair.primary);
      writer.send({"INCR", "k"});
      until("the writer waits",
            [&] { return info(pair.primary, "blocked_clients") == (by_signal ? "1" : "2"); });
      pair.link.heal();
      CHECK(pair.primary.stop() == 0);
      CHECK(pair.logged("1 of 1 replicas are in sync when shutting down."));
      CHECK(!pair.logged("Lagging replica"));
      CHECK_THROWS_AS(writer.read(), std::runtime_error);
      if (!by_signal) CHECK_THROWS_AS(asks.read(), std::runtime_error);
      CHECK(ask(pair.replica, {"GET", "k"}) == "\"2\"");
    }
  }

  TEST_CASE("it waits for shutdown-timeout seconds and no longer") {
    Pair pair("1");
    pair.fall_behind();
    CHECK(pair.primary.stop() == 0);
    CHECK(pair.logged("Lagging replica 127.0.0.1:" + std::to_string(pair.replica.port()) +
                      " reported offset "));
    CHECK(pair.logged("state=online."));
    CHECK(pair.logged("0 of 1 replicas are in sync when shutting down."));
    CHECK(ask(pair.replica, {"GET", "k"}) == "\"1\"");
  }

  TEST_CASE("ABORT lets the server go on, and tells those who had asked for its end") {
    Pair pair("300");
    CHECK(ask(pair.primary, {"SHUTDOWN", "ABORT"}) == "(error) ERR No shutdown in progress.");
    pair.fall_behind();
    Client first = Client::over_tcp(pair.primary), second = Client::over_tcp(pair.primary);
    first.send({"SHUTDOWN"});
    second.send({"SHUTDOWN", "NOSAVE"});
    until("both wait", [&] { return info(pair.primary, "blocked_clients") == "2"; });
    Client writer = Client::over_tcp(pair.primary);
    writer.send({"INCR", "k"});
    until("so does a writer", [&] { return info(pair.primary, "blocked_clients") == "3"; });
    // An end of CLIENT PAUSE is none of the shutdown's.
    CHECK(ask(pair.primary, {"CLIENT", "UNPAUSE"}) == "OK");
    CHECK(info(pair.primary, "blocked_clients") == "3");
    CHECK(ask(pair.primary, {"SHUTDOWN", "ABORT"}) == "OK");
    const std::string error = "(error) ERR Errors trying to SHUTDOWN. Check logs.";
    CHECK(to_text(first.read()) == error);
    CHECK(to_text(second.read()) == error);
    CHECK(to_text(writer.read()) == "3");
    CHECK(!pair.waits());
    CHECK(pair.logged("Shutdown manually aborted."));
    pair.link.heal();
    until("the replica has it", [&] { return ask(pair.replica, {"GET", "k"}) == "\"3\""; });
    // It can be asked again.
    CHECK(pair.primary.stop() == 0);
  }

  TEST_CASE("who asks for the end and leaves, or waits with BLPOP, keeps nothing from ending") {
    Pair pair("300");
    pair.fall_behind();
    {
      Client leaves = Client::over_tcp(pair.primary);
      leaves.send({"SHUTDOWN"});
      until("it waits", [&] { return pair.waits(); });
    }
    Client reader = Client::over_tcp(pair.primary);
    reader.send({"BLPOP", "nothing", "0"});
    CHECK(pair.waits());
    pair.link.heal();
    CHECK(pair.primary.stop() == 0);
    CHECK(pair.logged("1 of 1 replicas are in sync when shutting down."));
  }

  TEST_CASE("SHUTDOWN NOW and a shutdown-timeout of 0 wait for nobody") {
    for (const bool now : {true, false}) {
      CAPTURE(now);
      Pair pair(now ? "300" : "0");
      pair.fall_behind();
      Client client = Client::over_tcp(pair.primary);
      client.send(now ? Command{"SHUTDOWN", "NOW"} : Command{"SHUTDOWN"});
      CHECK(ends_with_connection(client));
      CHECK(pair.primary.stop() == 0);
      CHECK(pair.logged("0 of 1 replicas are in sync when shutting down."));
      CHECK(!pair.logged("Waiting for replicas"));
    }
  }

  // Redis stays deaf until the time is up.
  TEST_CASE("SHUTDOWN NOW ends the waiting of another") {
    Pair pair("300");
    pair.fall_behind();
    Client patient = Client::over_tcp(pair.primary);
    patient.send({"SHUTDOWN"});
    until("it waits", [&] { return pair.waits(); });
    Client urgent = Client::over_tcp(pair.primary);
    urgent.send({"SHUTDOWN", "NOW"});
    CHECK_THROWS_AS(patient.read(), std::runtime_error);
    CHECK(pair.primary.stop() == 0);
  }

  TEST_CASE("shutdown-on-sigterm says as which SHUTDOWN a signal is taken") {
    Pair pair("300");
    CHECK(ask(pair.primary, {"CONFIG", "SET", "shutdown-on-sigterm", "nosave now"}) == "OK");
    pair.fall_behind();
    CHECK(pair.primary.stop() == 0);
    CHECK(!pair.logged("Waiting for replicas"));
    CHECK(pair.logged("0 of 1 replicas are in sync when shutting down."));
  }

  // Redis writes its RDB file and says otherwise.
  TEST_CASE("SHUTDOWN SAVE leaves nothing in the log to be replayed, NOSAVE loses nothing") {
    for (const std::string how : {"SAVE", "NOSAVE"}) {
      CAPTURE(how);
      ServerProcess server;
      CHECK(ask(server, {"SET", "a", "1"}) == "OK");
      Client client = Client::over_tcp(server);
      client.send({"SHUTDOWN", how});
      CHECK(ends_with_connection(client));
      CHECK(server.stop() == 0);
      server.start();
      CHECK((server.log().find("Replayed") == std::string::npos) == (how == "SAVE"));
      CHECK(ask(server, {"GET", "a"}) == "\"1\"");
    }
  }

  TEST_CASE("words that SHUTDOWN does not know, or not together, are refused") {
    ServerProcess server;
    for (const Command& words : {Command{"SHUTDOWN", "SAVE", "NOSAVE"}, Command{"SHUTDOWN", "ABORT", "NOW"},
                                 Command{"SHUTDOWN", "SOON"}})
      CHECK(ask(server, words) == "(error) ERR syntax error");
    Client client = Client::over_tcp(server);
    client.command({"MULTI"});
    CHECK(to_text(client.command({"SHUTDOWN"})).find("not allowed") != std::string::npos);
  }

  TEST_CASE("a Redis that follows is waited for too") {
    ServerProcess primary({"--shutdown-timeout", "300"});
    LinkProxy link(primary.port());
    const auto redis = RealRedis::start({}, {"--port", std::to_string(support::free_port())});
    if (redis == nullptr) {
      MESSAGE("no redis-server here");
      return;
    }
    const auto at_redis = [&](const Command& words) { return to_text(*redis->ask(words)); };
    CHECK(at_redis({"REPLICAOF", "127.0.0.1", std::to_string(link.port())}) == "OK");
    CHECK(ask(primary, {"SET", "k", "1"}) == "OK");
    until("the replica has it", [&] { return at_redis({"GET", "k"}) == "\"1\""; });
    link.freeze(true);
    CHECK(ask(primary, {"INCR", "k"}) == "2");
    REQUIRE(::kill(primary.pid(), SIGTERM) == 0);
    until("it waits", [&] { return info(primary, "shutdown_in_milliseconds") != "(none)"; });
    link.heal();
    CHECK(primary.stop() == 0);
    CHECK(primary.log().find("1 of 1 replicas are in sync when shutting down.") != std::string::npos);
    CHECK(at_redis({"GET", "k"}) == "\"2\"");
  }
}
