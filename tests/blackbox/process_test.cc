// The process as whoever runs it sees it: pid file, log lines, doors that do not open, signals.
#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/support/client.h"
#include "tests/support/server_process.h"

namespace {

using resp::to_text;
using support::Client;
using support::ServerProcess;

// The line of the log in which `text` stands first.
std::string line_with(const std::string& log, const std::string& text) {
  const size_t at = log.find(text);
  if (at == std::string::npos) return "";
  const size_t begin = log.rfind('\n', at) + 1;  // npos + 1 is 0.
  return log.substr(begin, log.find('\n', at) - begin);
}

}  // namespace

TEST_SUITE("blackbox/process") {
  TEST_CASE("the pid file is there while the server serves, and goes with it") {
    ServerProcess server;
    const std::string path = server.data_directory() + "/pid";
    server.stop();
    server.start({"--pidfile", path});
    std::string pid;
    CHECK(std::getline(std::ifstream(path), pid));
    CHECK(pid == std::to_string(server.pid()));
    CHECK(server.stop() == 0);
    CHECK_FALSE(std::filesystem::exists(path));
  }

  TEST_CASE("a port that is taken ends the start: no pid file, and nobody is said to have asked for it") {
    const ServerProcess first;
    ServerProcess second;
    second.stop();
    const std::string pid_file = second.data_directory() + "/pid";
    const auto ended = support::run_server({"--bind", "127.0.0.1", "--port", std::to_string(first.port()),
                                            "--dir", second.data_directory(), "--pidfile", pid_file});
    CHECK(ended.status == 1);
    CHECK(ended.output.find("Address already in use") != std::string::npos);
    CHECK(ended.output.find("User requested") == std::string::npos);
    CHECK_FALSE(std::filesystem::exists(pid_file));
  }

  TEST_CASE("SIGHUP changes nothing: a closed terminal is no reason to end") {
    ServerProcess server;
    Client client = Client::over_tcp(server);
    CHECK(to_text(client.command({"SET", "k", "v"})) == "OK");
    ::kill(server.pid(), SIGHUP);
    CHECK(to_text(client.command({"GET", "k"})) == "\"v\"");
    CHECK(server.stop() == 0);
  }

  TEST_CASE("lines of the log tell a replica (S) from a primary (M)") {
    ServerProcess primary;
    ServerProcess replica({"--replicaof", "127.0.0.1 " + std::to_string(primary.port())});
    const auto mark = [&](char role) { return std::to_string(replica.pid()) + ":" + role + " "; };
    CHECK(line_with(replica.log(), "Ready to accept").starts_with(mark('S')));
    CHECK(line_with(primary.log(), "Ready to accept").starts_with(std::to_string(primary.pid()) + ":M "));
    Client client = Client::over_tcp(replica);
    CHECK(to_text(client.command({"REPLICAOF", "NO", "ONE"})) == "OK");
    // What was being installed when it was told is finished first.
    for (int tries = 0;
         tries < 60'000 && to_text(client.command({"ROLE"})).find("master") == std::string::npos; ++tries)
      usleep(1000);
    const std::string promoted = mark('M');
    CHECK(replica.stop() == 0);
    CHECK(line_with(replica.log(), "Received SIGTERM").starts_with(promoted));
  }
}
