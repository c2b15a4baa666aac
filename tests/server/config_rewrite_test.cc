#include <doctest/doctest.h>

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/sim_disk.h"
#include "server/command_line.h"
#include "server/config.h"
#include "server/log.h"

using server::Config;
using server::parameters;

namespace {

struct Server {
  engine::SimDisk disk;
  std::unique_ptr<Config> config;
  std::string path;

  Server(const std::string& name, const std::string& text) : path("/w/" + name) {
    REQUIRE(server::log_to("/dev/null").ok());
    REQUIRE(disk.make_directory("/w").ok());
    file(path, text);
  }
  ~Server() { CHECK(server::log_to("").ok()); }
  void file(const std::string& at, const std::string& text) {
    auto created = disk.open(at, engine::OpenMode::kCreate, engine::Caching::kKernel);
    REQUIRE(created.ok());
    REQUIRE(created.value()->write(0, text).ok());
    REQUIRE(created.value()->sync().ok());
    REQUIRE(disk.sync_directory("/w").ok());
    REQUIRE(disk.sync_directory("/").ok());
  }
  void start(std::vector<const char*> options = {}) {
    options.insert(options.begin(), path.c_str());
    const auto line = server::parse_command_line(options);
    REQUIRE(line.ok());
    config = std::make_unique<Config>("/w");
    constexpr std::string_view kUnderstood[] = {"user", "rename-command"};
    const engine::Status status = config->load(disk, line.value(), "", kUnderstood);
    INFO(status.message());
    REQUIRE(status.ok());
  }
  void set(std::string_view name, std::string_view value) {
    const Config::Pair pairs[] = {{name, value}};
    CHECK(config->set(pairs) == "");
  }
  std::string text() const { return disk.contents(path); }

  // C3: a start from the file alone has the values of now.
  void check_same_after_restart() {
    Config again("/elsewhere");
    const char* words[] = {path.c_str()};
    constexpr std::string_view kUnderstood[] = {"user", "rename-command"};
    const engine::Status status =
        again.load(disk, server::parse_command_line(words).value(), "", kUnderstood);
    INFO(text());
    INFO(status.message());
    REQUIRE(status.ok());
    for (const server::Parameter& parameter : parameters()) {
      CAPTURE(parameter.name);
      CHECK(again.value(parameter.name) == config->value(parameter.name));
    }
  }
};

// The file after a start from `before`, some changes and CONFIG REWRITE.
std::string rewritten(const std::string& name, const std::string& before,
                      std::initializer_list<std::pair<const char*, const char*>> changes,
                      std::vector<const char*> options = {}) {
  Server server(name, before);
  server.start(std::move(options));
  for (const auto& [parameter, value] : changes) server.set(parameter, value);
  CHECK(server.config->rewrite(server.disk) == "");
  server.check_same_after_restart();
  return server.text();
}

// A value other than the default for every parameter, in the form of CONFIG SET.
std::string other_value(const server::Parameter& parameter) {
  using server::ParameterType;
  const std::string now = server::initial_value(parameter).text;
  switch (parameter.type) {
    case ParameterType::kBool: return now == "yes" ? "no" : "yes";
    case ParameterType::kInteger: return std::to_string(parameter.min + 3);
    case ParameterType::kOctal: return "751";
    case ParameterType::kMemory: return std::to_string(parameter.min + 4096);
    case ParameterType::kMemoryOrPart: return "7%";
    case ParameterType::kString:
      return parameter.refuse == nullptr ? "a \"b\"\\ c'd # \xc3\xa4" : "other-name";
    case ParameterType::kEnum:
    case ParameterType::kFlags: {
      const auto words = server::split_at_blanks(parameter.words);
      return words[words.back() == now ? 0 : words.size() - 1];
    }
    case ParameterType::kSave: return "5 1 6 2";
    case ParameterType::kOutputLimits: return "normal 1048576 1000 3 pubsub 0 0 0";
    case ParameterType::kOomValues: return "-5 0 7";
    case ParameterType::kEvents: return "KEA";
    case ParameterType::kAddresses: return "10.0.0.1 -::1";
    case ParameterType::kPrimary: return "no one";
    case ParameterType::kPercentiles: return "1 99.999";
    case ParameterType::kDirectory: return "/var/lib/a b";
  }
  return now;
}

}  // namespace

TEST_SUITE("server/config rewrite") {
  TEST_CASE("without a file CONFIG REWRITE is refused") {
    engine::SimDisk disk;
    Config config("/w");
    CHECK(config.rewrite(disk) == "ERR The server is running without a config file");
  }

  TEST_CASE("what already says the value keeps its line byte for byte, and comments and order stay") {
    const std::string text =
        "# Network\r\n\n\n  PORT   7000\r\nbind \"127.0.0.1\" -::1\n\n# Memory\nmaxmemory "
        "1024mb\nslave-priority 100\n"
        "save 1 1\nsave 2 2\nclient-output-buffer-limit slave 256mb 64mb 60\nrename-command KEYS \"\"\n"
        "user default on nopass\nlua-time-limit 5000\ndir /w\n#end";
    CHECK(rewritten("a.conf", text, {}) == text);
  }

  TEST_CASE("a changed value changes its line, a new one is added below a comment") {
    CHECK(rewritten("a.conf", "# top\nport 1\n# mid\ntimeout 5\ndir /w\n",
                    {{"timeout", "6"}, {"maxmemory", "104857600"}, {"slave-priority", "7"}}) ==
          "# top\nport 1\n# mid\ntimeout 6\ndir /w\n# Generated by CONFIG REWRITE\nmaxmemory 100mb\n"
          "replica-priority 7\n");
  }

  TEST_CASE("a second rewrite changes nothing and signs nothing again") {
    Server server("a.conf", "port 1");
    server.start();
    server.set("timeout", "6");
    CHECK(server.config->rewrite(server.disk) == "");
    CHECK(server.text() == "port 1\n# Generated by CONFIG REWRITE\ntimeout 6\ndir /w\n");
    CHECK(server.config->rewrite(server.disk) == "");
    CHECK(server.text() == "port 1\n# Generated by CONFIG REWRITE\ntimeout 6\ndir /w\n");
    server.set("hz", "20");
    CHECK(server.config->rewrite(server.disk) == "");
    CHECK(server.text() == "port 1\n# Generated by CONFIG REWRITE\ntimeout 6\ndir /w\nhz 20\n");
  }

  TEST_CASE("stale lines go: doubles, aliases of the same, and what is back at nothing") {
    CHECK(
        rewritten("a.conf",
                  "timeout 1\n# a\ntimeout 2\nslave-priority 1\nreplica-priority 2\nrequirepass x\ndir /w\n",
                  {{"requirepass", ""}}) == "timeout 2\n# a\nreplica-priority 2\ndir /w\n");
  }

  TEST_CASE("repeated settings grow and shrink in their place") {
    const std::string text = "dir /w\nsave 1 1\n# between\nsave 2 2\nport 1\n";
    CHECK(rewritten("a.conf", text, {{"save", "3 3"}}) == "dir /w\nsave 3 3\n# between\nport 1\n");
    CHECK(rewritten("a.conf", text, {{"save", ""}}) == "dir /w\nsave \"\"\n# between\nport 1\n");
    CHECK(rewritten("a.conf", text, {{"save", "3 3 4 4 5 5"}}) ==
          "dir /w\nsave 3 3\nsave 4 4\nsave 5 5\n# between\nport 1\n");
    CHECK(rewritten("a.conf", "dir /w\n", {{"client-output-buffer-limit", "pubsub 1mb 0 0 slave 0 0 0"}}) ==
          "dir /w\n# Generated by CONFIG REWRITE\nclient-output-buffer-limit replica 0 0 0\n"
          "client-output-buffer-limit pubsub 1mb 0 0\n");
    CHECK(rewritten("a.conf", "dir /w\nclient-output-buffer-limit pubsub 1mb 0 0\n",
                    {{"client-output-buffer-limit", "pubsub 32mb 8mb 60"}}) == "dir /w\n");
  }

  TEST_CASE("options of the command line are written too") {
    CHECK(rewritten("a.conf", "dir /w\nport 1\n", {},
                    {"--port", "2", "--appendfsync", "always", "--save", ""}) ==
          "dir /w\nport 2\n# Generated by CONFIG REWRITE\nappendfsync always\nsave \"\"\n");
  }

  TEST_CASE("lines that came since the start and that nobody understands become comments") {
    Server server("a.conf", "dir /w\n");
    server.start();
    server.disk.set_contents("/w/a.conf", "dir /w\nfrobnicate 1\nport \"1\n# fine\nport 9\n");
    CHECK(server.config->rewrite(server.disk) == "");
    CHECK(server.text() == "dir /w\n# ??? frobnicate 1\n# ??? port \"1\n# fine\nport 6379\n");
  }

  TEST_CASE("a file that is gone is made anew") {
    Server server("a.conf", "dir /w\nport 1\n");
    server.start();
    REQUIRE(server.disk.remove("/w/a.conf").ok());
    CHECK(server.config->rewrite(server.disk) == "");
    CHECK(server.text() == "# Generated by CONFIG REWRITE\nport 1\ndir /w\n");
  }

  TEST_CASE("C3: what an included file sets otherwise is overridden behind it") {
    Server server("a.conf", "dir /w\ninclude /w/b.conf\n");
    server.file("/w/b.conf", "timeout 7\nrequirepass x\nsave 9 9\nmaxclients 5\n");
    server.start();
    server.set("timeout", "0");  // All back at their defaults, so that nothing else would say it.
    server.set("requirepass", "");
    server.set("save", "3600 1 300 100 60 10000");
    CHECK(server.config->rewrite(server.disk) == "");
    CHECK(server.text() ==
          "dir /w\ninclude /w/b.conf\n# Generated by CONFIG REWRITE\nmaxclients 5\ntimeout 0\nrequirepass "
          "\"\"\n"
          "save \"\"\nsave 3600 1\nsave 300 100\nsave 60 10000\n");
    server.check_same_after_restart();
  }

  TEST_CASE("C3: what stands before an include that says otherwise is said again behind it") {
    Server server("a.conf", "dir /w\ntimeout 5\ninclude /w/b.conf\n");
    server.file("/w/b.conf", "timeout 7\n");
    server.start();
    server.set("timeout", "6");
    CHECK(server.config->rewrite(server.disk) == "");
    CHECK(server.text() ==
          "dir /w\ntimeout 6\ninclude /w/b.conf\n# Generated by CONFIG REWRITE\ntimeout 6\n");
    server.check_same_after_restart();
  }

  TEST_CASE("TOML: only the value's bytes change; comments, order and layout stay") {
    CHECK(rewritten(
              "a.toml",
              "# top\nport   =  1   # \xc3\xa4 \"quoted\" = here\n\nsave = [ # none\n  \"1 1\",\n  \"2 "
              "2\",\n] # after\n"
              "\"timeout\" = 5\nbind = ['127.0.0.1']\ndir = \"/w\"\n",
              {{"timeout", "6"}, {"save", "3 3"}, {"maxmemory", "1000"}, {"hash-max-listpack-value", "1gb"}},
              {"--port", "2"}) ==
          "# top\nport   =  2   # \xc3\xa4 \"quoted\" = here\n\nsave = [\"3 3\"] # after\n"
          "\"timeout\" = 6\nbind = ['127.0.0.1']\ndir = \"/w\"\n"
          "# Generated by CONFIG REWRITE\nmaxmemory = 1000\nhash-max-listpack-value = \"1gb\"\n");
  }

  TEST_CASE("TOML: what already says the value stays, what is back at nothing goes") {
    const std::string text =
        "slave-priority = 100\nmaxmemory = \"1024mb\"\nsave = ['1 1', '2 2']\ndir = '/w'\n"
        "requirepass = '''\nx'''\nprotected-mode = 'yes'";
    CHECK(rewritten("a.toml", text, {}) == text);
    CHECK(rewritten("a.toml", text, {{"requirepass", ""}}) ==
          "slave-priority = 100\nmaxmemory = \"1024mb\"\nsave = ['1 1', '2 2']\ndir = '/w'\nprotected-mode = "
          "'yes'");
  }

  TEST_CASE("TOML: a value that it cannot hold is refused and the file stays") {
    Server server("a.toml", "dir = '/w'\n");
    server.start();
    server.set("requirepass", "\xff\xfe");
    CHECK(server.config->rewrite(server.disk).starts_with("ERR Rewriting config file: "));
    CHECK(server.text() == "dir = '/w'\n");
  }

  TEST_CASE("C3: any value of any parameter comes back, in either syntax") {
    for (const std::string name : {"a.conf", "a.toml"}) {
      CAPTURE(name);
      Server server(name, "");
      server.start();
      int changed = 0;
      for (const server::Parameter& parameter : parameters()) {
        changed += server.config->assign(parameter.name, other_value(parameter)).ok();
      }
      CHECK(changed == static_cast<int>(parameters().size()) - 2);  // All but the two that are refused.
      REQUIRE(server.config->rewrite(server.disk) == "");
      server.check_same_after_restart();

      // Now each has its line, which must change back.
      server.start();
      for (const server::Parameter& parameter : parameters()) {
        if (parameter.type == server::ParameterType::kPrimary) continue;
        CAPTURE(parameter.name);
        REQUIRE(server.config->assign(parameter.name, parameter.initial).ok());
      }
      REQUIRE(server.config->rewrite(server.disk) == "");
      server.check_same_after_restart();
    }
  }

  TEST_CASE("the file is the old one or the new one, wherever the power is cut or the disk fails") {
    const std::string before = "dir /w\nport 1\n";
    const std::string after = "dir /w\nport 1\n# Generated by CONFIG REWRITE\ntimeout 6\n";
    uint64_t operations = 0;
    for (const bool power : {true, false}) {
      for (uint64_t n = 0;; ++n) {
        CAPTURE(power);
        CAPTURE(n);
        Server server("a.conf", before);
        server.start();
        server.set("timeout", "6");
        const uint64_t first = server.disk.operations().size();
        if (power) {
          server.disk.cut_power_at(first + n);
        } else {
          server.disk.fail_operation(first + n, false);
        }
        const std::string error = server.config->rewrite(server.disk);
        if (error.empty()) {
          CHECK(server.text() == after);
          operations = server.disk.operations().size() - first;
          if (n >= operations) break;
        } else {
          CHECK(error.starts_with("ERR Rewriting config file: "));
        }
        for (uint64_t seed = 0; seed < 8; ++seed) {
          CAPTURE(seed);
          const auto crashed = server.disk.crash(seed);
          const std::string text = crashed->contents("/w/a.conf");
          CHECK((text == before || text == after));
          if (error.empty()) CHECK(text == after);
        }
        if (power) continue;
        // The next try succeeds, whatever the failed one left behind.
        CHECK(server.config->rewrite(server.disk) == "");
        CHECK(server.text() == after);
      }
    }
    CHECK(operations == 5);  // Create, write, sync, rename, sync of the directory.
  }
}
