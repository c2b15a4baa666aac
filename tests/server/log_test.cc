#include "server/log.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "engine/env.h"

namespace {

using server::format_log_line;
using server::LogLevel;

class StoppedClock final : public engine::Clock {
 public:
  int64_t wall_ms() const override { return 1700000000042; }
  uint64_t monotonic_us() const override { return 0; }
};

// Times are local: all tests here see UTC. Puts the log back to stdout when it goes.
struct LogGuard {
  LogGuard() {
    setenv("TZ", "UTC", 1);
    tzset();
    server::log_set_clock(&clock);
  }
  ~LogGuard() {
    CHECK(server::log_to("").ok());
    server::log_set_level(LogLevel::kNotice);
    server::log_set_role('M');
    server::log_set_clock(nullptr);
  }
  StoppedClock clock;
};

struct TemporaryDirectory {
  TemporaryDirectory() { REQUIRE(mkdtemp(path) != nullptr); }
  ~TemporaryDirectory() {
    std::remove((std::string(path) + "/log").c_str());
    std::remove((std::string(path) + "/log.1").c_str());
    rmdir(path);
  }
  char path[64] = "/tmp/varve-log-test-XXXXXX";
};

std::string contents(const std::string& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_SUITE("server/log") {
  TEST_CASE("a line is pid, role, local time with milliseconds, level and text") {
    const LogGuard guard;
    CHECK(format_log_line(1234, 'M', 1700000000042, LogLevel::kNotice, "Ready to accept connections") ==
          "1234:M 14 Nov 2023 22:13:20.042 * Ready to accept connections\n");
    CHECK(format_log_line(7, 'S', 1699999999999, LogLevel::kWarning, "x") ==
          "7:S 14 Nov 2023 22:13:19.999 # x\n");
    CHECK(format_log_line(7, 'X', 1699999999000, LogLevel::kDebug, "") ==
          "7:X 14 Nov 2023 22:13:19.000 . \n");
    CHECK(format_log_line(7, 'C', 0, LogLevel::kVerbose, "-") == "7:C 01 Jan 1970 00:00:00.000 - -\n");
  }

  TEST_CASE("text from outside cannot forge a line") {
    const LogGuard guard;
    CHECK(format_log_line(1, 'M', 0, LogLevel::kNotice, "a\n1:M \x1b[0m\x7f\t\xc3\xa4") ==
          "1:M 01 Jan 1970 00:00:00.000 * a\\n1:M \\x1b[0m\\x7f\\x09\xc3\xa4\n");
  }

  TEST_CASE("lines go to the log file, below the level they do not") {
    const LogGuard guard;
    const TemporaryDirectory directory;
    const std::string file = std::string(directory.path) + "/log";
    REQUIRE(server::log_to(file).ok());
    server::log_set_role('S');
    server::log_verbose("not %s", "seen");
    server::log_notice("listening on %s:%d", "127.0.0.1", 6379);
    server::log_set_level(LogLevel::kDebug);
    server::log_debug("d");
    server::log_set_level(LogLevel::kWarning);
    server::log_notice("not seen");
    server::log_warning("w");
    const std::string head = std::to_string(getpid()) + ":S 14 Nov 2023 22:13:20.042 ";
    CHECK(contents(file) == head + "* listening on 127.0.0.1:6379\n" + head + ". d\n" + head + "# w\n");
  }

  TEST_CASE("a log file that was moved away is made anew, without any signal") {
    const LogGuard guard;
    const TemporaryDirectory directory;
    const std::string file = std::string(directory.path) + "/log";
    REQUIRE(server::log_to(file).ok());
    server::log_warning("first");
    REQUIRE(std::rename(file.c_str(), (file + ".1").c_str()) == 0);
    server::log_warning("second");
    CHECK(contents(file + ".1").ends_with("# first\n"));
    CHECK(contents(file).ends_with("# second\n"));
  }

  TEST_CASE("long text is cut") {
    const LogGuard guard;
    const TemporaryDirectory directory;
    const std::string file = std::string(directory.path) + "/log";
    REQUIRE(server::log_to(file).ok());
    server::log_warning("%s", std::string(100'000, 'x').c_str());
    CHECK(contents(file).ends_with("# " + std::string(server::kLogTextMax, 'x') + "\n"));
  }

  TEST_CASE("a log file that cannot be opened is refused, and lines go on to the old place") {
    const LogGuard guard;
    const TemporaryDirectory directory;
    const std::string file = std::string(directory.path) + "/log";
    REQUIRE(server::log_to(file).ok());
    const engine::Status status = server::log_to(std::string(directory.path) + "/none/log");
    CHECK(status.code() == engine::Code::kIoError);
    CHECK(status.message().find("/none/log: No such file or directory") != std::string::npos);
    server::log_warning("here");
    CHECK(contents(file).ends_with("# here\n"));
  }
}
