#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "engine/sim.h"
#include "server/command_line.h"
#include "server/config.h"
#include "tests/support/seeds.h"

using server::CommandLine;
using server::Config;
using server::parse_command_line;

namespace {

// A server started in /w with some files and some words.
struct Start {
  engine::SimDisk disk;
  Config config{"/w"};
  std::string stdin_text;

  Start() { REQUIRE(disk.make_directory("/w").ok()); }

  void file(const std::string& path, const std::string& text) {
    auto created = disk.open(path, engine::OpenMode::kCreate, engine::Caching::kKernel);
    REQUIRE(created.ok());
    REQUIRE(created.value()->write(0, text).ok());
  }
  // An empty text for a start that goes on, or what it stops with.
  std::string run(std::vector<const char*> words, std::vector<std::string_view> understood = {}) {
    const auto command_line = parse_command_line(words);
    if (!command_line.ok()) return command_line.status().message();
    return config.load(disk, command_line.value(), stdin_text, understood).message();
  }
  std::string conf(const std::string& text) {
    file("/w/varve.conf", text);
    return run({"varve.conf"});
  }
  std::string toml(const std::string& text) {
    file("/w/varve.toml", text);
    return run({"varve.toml"});
  }
  const std::string& value(std::string_view name) const { return config.value(name); }
};

std::vector<std::string> words_of(std::string_view line) {
  auto words = server::split_words(line);
  REQUIRE(words.has_value());
  return *words;
}

}  // namespace

TEST_SUITE("server/config files") {
  TEST_CASE("words of redis.conf: blanks, both quotes, escapes") {
    using Words = std::vector<std::string>;
    CHECK(words_of("  a\tb  c ") == Words{"a", "b", "c"});
    CHECK(words_of(R"(x "a b" 'c "d' "")") == Words{"x", "a b", "c \"d", ""});
    CHECK(words_of(R"("\x41\n\t\\\"\q" 'it\'s\n')") == Words{"A\n\t\\\"q", "it's\\n"});
    CHECK(words_of(R"(pre"fix ed" b)") == Words{"prefix ed", "b"});
    CHECK(words_of("").empty());
    for (const char* line : {"\"a", "'a", "\"a\"b", "'a'b", "a\"", "\"a\\\""}) {
      CAPTURE(line);
      CHECK_FALSE(server::split_words(line).has_value());
    }
  }

  TEST_CASE("a quoted word is read back as it was") {
    std::string all;
    for (int c = 1; c < 256; ++c) all.push_back(static_cast<char>(c));
    for (const std::string& word : {std::string(), std::string("plain-1.2/x"), std::string("#x"), all}) {
      CHECK(words_of(server::quote_word(word)) == std::vector<std::string>{word});
    }
    CHECK(server::quote_word("plain") == "plain");
    CHECK(server::quote_word("a b") == "\"a b\"");
  }

  TEST_CASE("a redis.conf is read: comments, quotes, sizes, repeated settings, aliases, any case") {
    Start start;
    CHECK(start.conf("# a comment\r\n\n"
                     "  Port 7000\r\n"
                     "maxmemory 100mb\n"
                     "requirepass \"a # b\"\n"
                     "save 900 1\n"
                     "save 300 10 60 20\n"
                     "client-output-buffer-limit replica 1mb 0 0\n"
                     "client-output-buffer-limit pubsub 2mb 0 0\n"
                     "bind 127.0.0.1 -::1\n"
                     "slave-priority 5\n"
                     "hash-max-ziplist-entries 3\n"
                     "list-max-ziplist-entries 512\n"
                     "shutdown-on-sigterm nosave force\n"
                     "unixsocketperm 770\n"
                     "dir data/../db\n"
                     "timeout 5\n"
                     "timeout 6") == "");
    CHECK(start.config.settings().port == 7000);
    CHECK(start.value("maxmemory") == "104857600");
    CHECK(start.value("requirepass") == "a # b");
    CHECK(start.value("save") == "900 1 300 10 60 20");
    CHECK(start.value("client-output-buffer-limit") == "normal 0 0 0 slave 1048576 0 0 pubsub 2097152 0 0");
    CHECK(start.value("bind") == "127.0.0.1 -::1");
    CHECK(start.value("replica-priority") == "5");
    CHECK(start.value("hash-max-listpack-entries") == "3");
    CHECK(start.value("shutdown-on-sigterm") == "nosave force");
    CHECK(start.value("unixsocketperm") == "770");
    CHECK(start.value("dir") == "/w/db");
    CHECK(start.value("timeout") == "6");
    CHECK(start.config.file() == "/w/varve.conf");
  }

  TEST_CASE("save \"\" in a file asks for none, and one behind it for that again") {
    Start none;
    CHECK(none.conf("save 5 1\nsave \"\"\n") == "");
    CHECK(none.value("save") == "");
    Start one;
    CHECK(one.conf("save 5 1\nsave ''\nsave 7 2\n") == "");
    CHECK(one.value("save") == "7 2");
  }

  TEST_CASE("a TOML file is read: names are those of CONFIG, arrays for what takes several words") {
    Start start;
    CHECK(start.toml("# a comment\n"
                     "port = 7000  # behind a value too\n"
                     "maxmemory = \"100mb\"\n"
                     "memtable-size = 33554432\n"
                     "protected-mode = false\n"
                     "appendonly = \"yes\"\n"
                     "requirepass = 'a \"b\"'\n"
                     "bind = [\"127.0.0.1\", \"-::1\"]\n"
                     "save = [\n  \"900 1\",\n  \"300 10\",  # twice\n]\n"
                     "client-output-buffer-limit = [\"replica 1mb 0 0\", \"pubsub 2mb 0 0\"]\n"
                     "oom-score-adj-values = [0, 1, 2]\n"
                     "latency-tracking-info-percentiles = [50, 99.9]\n"
                     "unixsocketperm = 0o770\n"
                     "dir = \"/var/lib/varve\"\n") == "");
    CHECK(start.value("port") == "7000");
    CHECK(start.value("maxmemory") == "104857600");
    CHECK(start.config.settings().memtable_size_bytes == 32 << 20);
    CHECK(start.value("protected-mode") == "no");
    CHECK(start.value("appendonly") == "yes");
    CHECK(start.value("requirepass") == "a \"b\"");
    CHECK(start.value("bind") == "127.0.0.1 -::1");
    CHECK(start.value("save") == "900 1 300 10");
    CHECK(start.value("client-output-buffer-limit") == "normal 0 0 0 slave 1048576 0 0 pubsub 2097152 0 0");
    CHECK(start.value("oom-score-adj-values") == "0 1 2");
    CHECK(start.value("latency-tracking-info-percentiles") == "50 99.9");
    CHECK(start.config.settings().unixsocketperm == 0770);
    CHECK(start.value("dir") == "/var/lib/varve");
  }

  TEST_CASE("an empty array or string asks for none") {
    Start start;
    CHECK(start.toml("save = []\nbind = []\nlatency-tracking-info-percentiles = \"\"\n") == "");
    CHECK(start.value("save") == "");
    CHECK(start.value("bind") == "");
    CHECK(start.value("latency-tracking-info-percentiles") == "");
  }

  TEST_CASE("what is wrong in a file stops the start with file, line and what would be right") {
    const auto conf = [](const std::string& text) { return Start().conf(text); };
    CHECK(conf("port 1\n\nmaxmemroy 1gb\n") ==
          "/w/varve.conf:3: unknown setting 'maxmemroy'; did you mean 'maxmemory'?");
    CHECK(conf("frobnicate yes\n") ==
          "/w/varve.conf:1: unknown setting 'frobnicate'; neither Redis 7.0 nor Varve has one of that name");
    CHECK(conf("maxmemory lots\n") ==
          "/w/varve.conf:1: 'maxmemory lots': argument must be a memory value, such as 104857600, 100mb or "
          "1gb");
    CHECK(conf("appendfsync sometimes\n") ==
          "/w/varve.conf:1: 'appendfsync sometimes': argument(s) must be one of the following: everysec, "
          "always, no");
    CHECK(conf("port 70000\n") ==
          "/w/varve.conf:1: 'port 70000': argument must be between 0 and 65535 inclusive");
    CHECK(conf("port\n") == "/w/varve.conf:1: 'port': wrong number of arguments, there must be one");
    CHECK(conf("port 1 # one\n") ==
          "/w/varve.conf:1: 'port 1 # one': wrong number of arguments, there must be one "
          "(a comment needs a line of its own)");
    CHECK(conf("requirepass a b\n").find("a b") == std::string::npos);  // No password on a screen.
    CHECK(conf("# x\nrequirepass \"a\n") == "/w/varve.conf:2: quotes do not close: requirepass \"a");
    CHECK(
        conf("save 1\n").starts_with("/w/varve.conf:1: 'save 1': Invalid save parameters: pairs of seconds"));
    CHECK(conf("cluster-enabled yes\n") ==
          "/w/varve.conf:1: 'cluster-enabled yes': Varve has no cluster mode");
    CHECK(conf("search.timeout 5\n") ==
          "/w/varve.conf:1: 'search.timeout' is a setting of a module; Varve has no modules");

    const auto toml = [](const std::string& text) { return Start().toml(text); };
    CHECK(toml("port = 1\nprot = 2\n") == "/w/varve.toml:2: unknown setting 'prot'; did you mean 'port'?");
    CHECK(
        toml("\nappendfsync = true\n") ==
        "/w/varve.toml:2: 'appendfsync yes': argument(s) must be one of the following: everysec, always, no");
    CHECK(toml("port = [1, 2]\n") ==
          "/w/varve.toml:1: 'port 1 2': wrong number of arguments, there must be one");
    CHECK(toml("port = 1979-05-27\n") == "/w/varve.toml:1: 'port' is no string, number, boolean or array");
    CHECK(toml("[engine]\nmemtable-size = 1\n") ==
          "/w/varve.toml:1: 'engine' is a table; settings stand at the top level, as name = value");
    CHECK(toml("port = 1\nport = 2\n").starts_with("/w/varve.toml:2: "));
    CHECK(toml("ok = \n").starts_with("/w/varve.toml:1: "));

    CHECK(Start().run({"none.conf"}).starts_with("can't read the configuration file /w/none.conf: "));
  }

  TEST_CASE("a setting that is wrong leaves everything as it was") {
    Start start;
    CHECK(start.conf("port 1\nport x\n") != "");
    CHECK(start.value("port") == "6379");
    CHECK(start.config.file().empty());
  }

  TEST_CASE("include reads a file in its place, and wildcards in sorted order or none") {
    Start start;
    REQUIRE(start.disk.make_directory("/w/conf.d").ok());
    start.file("/w/conf.d/20.conf", "port 20\ntimeout 20\n");
    start.file("/w/conf.d/10.conf", "port 10\nmaxclients 10\n");
    start.file("/w/conf.d/.hidden.conf", "port 1\n");
    start.file("/w/other.toml", "databases = 3\n");
    CHECK(start.conf("timeout 1\nport 1\ninclude conf.d/*.conf\ninclude /w/[o]ther.toml\ninclude /no/*.conf\n"
                     "maxclients 99\n") == "");
    CHECK(start.value("port") == "20");
    CHECK(start.value("timeout") == "20");
    CHECK(start.value("maxclients") == "99");
    CHECK(start.value("databases") == "3");
  }

  TEST_CASE("what a TOML file sets itself overrides what it includes, wherever that stands") {
    Start start;
    start.file("/w/a.toml", "port = 1\ntimeout = 1\n");
    start.file("/w/b.conf", "timeout 2\n");
    CHECK(start.toml("port = 5\ninclude = [\"a.toml\", \"b.conf\"]\n") == "");
    CHECK(start.value("port") == "5");
    CHECK(start.value("timeout") == "2");
  }

  TEST_CASE("an include that is missing, wrong or endless is named") {
    CHECK(Start().conf("\ninclude none.conf\n") ==
          "/w/varve.conf:2: can't read the included file /w/none.conf: there is none");
    Start wrong;
    wrong.file("/w/a.conf", "port x\n");
    CHECK(wrong.conf("include a.conf\n").starts_with("/w/a.conf:1: 'port x'"));
    CHECK(Start()
              .conf("include varve.conf\n")
              .ends_with("'include' goes too deep: does a file include itself?"));
  }

  TEST_CASE("directives go to those who act on them, and are refused where nobody does") {
    const std::string text = "user alice on >secret ~* +@all\nrename-command FLUSHALL \"\"\n";
    CHECK(Start().conf(text) ==
          "/w/varve.conf:1: 'user': Varve has no users; to start without, remove this line");
    Start start;
    start.file("/w/varve.conf", text);
    CHECK(start.run({"varve.conf"}, {"user", "rename-command"}) == "");
    REQUIRE(start.config.directives().size() == 2);
    CHECK(start.config.directives()[0].name == "user");
    CHECK(start.config.directives()[0].words ==
          std::vector<std::string>{"alice", "on", ">secret", "~*", "+@all"});
    CHECK(start.config.directives()[1].words == std::vector<std::string>{"FLUSHALL", ""});
    Start toml;
    toml.file("/w/varve.toml", "rename-command = [\"FLUSHALL ''\", \"KEYS k\"]\n");
    CHECK(toml.run({"varve.toml"}, {"rename-command"}) == "");
    REQUIRE(toml.config.directives().size() == 2);
    CHECK(toml.config.directives()[1].words == std::vector<std::string>{"KEYS", "k"});
    CHECK(Start().conf("loadmodule /x.so\n").find("Varve has no modules") != std::string::npos);
  }

  TEST_CASE("a TOML file that the library has not thought of is an error as any other") {
    // It asserted that no bracket of another kind closes an array, and the process ended.
    CHECK(Start().toml("port = 7000\nsave = [\n  }\n]\n") ==
          "/w/varve.toml:3: a value was expected here, and this is none");
    CHECK(Start().toml("bind = [\"a\", }") == "/w/varve.toml:1: a value was expected here, and this is none");
  }

  TEST_CASE("whatever a file holds, the start goes on or names the file, and what was written is read back") {
    const std::string conf =
        "# a comment\nPort 7000\nmaxmemory 100mb\nrequirepass \"a # b\\x41\"\nsave 900 1\n"
        "client-output-buffer-limit replica 1mb 0 0 pubsub 2mb 1 2\nbind 127.0.0.1 -::1\nunixsocketperm 770\n"
        "rename-command GET g\nuser a on >p ~* +@all\ninclude other*.conf\noom-score-adj-values 0 1 2\n"
        "latency-tracking-info-percentiles 50 99.9\nnotify-keyspace-events KEA\ndir data/../db\n";
    const std::string toml =
        "port = 7000 # c\nmaxmemory = \"100mb\"\nprotected-mode = false\nrequirepass = 'a \"b\"'\n"
        "bind = [\"127.0.0.1\", \"-::1\"]\nsave = [\n \"900 1\", # c\n]\noom-score-adj-values = [0, 1, 2]\n"
        "latency-tracking-info-percentiles = [50, 99.9]\nunixsocketperm = 0o770\ninclude = \"other*.conf\"\n"
        "dir = \"\"\"\n/var\"\"\"\n";
    const std::string_view spice = "\"'\\#=[]{}.\n\t *-0x9\xff\0";
    const auto [first, last] = support::seeds(1, 3);
    for (uint64_t seed = first; seed <= last; ++seed) {
      CAPTURE(seed);
      engine::SimEntropy dice(seed);
      for (int round = 0; round < 1000; ++round) {
        CAPTURE(round);
        const bool is_toml = dice.below(2) == 0;
        std::string text = is_toml ? toml : conf;
        for (uint64_t edits = dice.below(4); edits > 0 && !text.empty(); --edits) {
          const size_t at = dice.below(text.size());
          switch (dice.below(4)) {
            case 0: text.resize(at); break;
            case 1: text[at] = spice[dice.below(spice.size())]; break;
            case 2: text.insert(at, text.substr(dice.below(text.size()), dice.below(40))); break;
            default: text.erase(at, dice.below(20));
          }
        }
        CAPTURE(text);
        Start start;
        const char* const name = is_toml ? "varve.toml" : "varve.conf";
        start.file(std::string("/w/") + name, text);
        const std::string stopped = start.run({name}, {"user", "rename-command"});
        if (!stopped.empty()) {
          CHECK(stopped.find("/w") != std::string::npos);  // Or what it includes.
          continue;
        }
        if (!start.config.rewrite(start.disk).empty()) continue;  // It may have become what no file can hold.
        const std::vector<const char*> words{name};
        Config again("/w");
        const auto line = parse_command_line(words);
        const std::vector<std::string_view> understood{"user", "rename-command"};
        CHECK(again.load(start.disk, line.value(), "", understood).message() == "");
        CHECK(again.value("save") == start.value("save"));
        CHECK(again.value("requirepass") == start.value("requirepass"));
      }
    }
  }

  TEST_CASE("options override stdin, and stdin the file") {
    Start start;
    start.file("/w/a.conf", "port 1\ntimeout 1\nmaxclients 1\nsave 1 1\n");
    start.stdin_text = "timeout 2\nmaxclients 2\nsave 2 2\n";
    CHECK(start.run({"a.conf", "--maxclients", "3", "--save", "3", "3", "--save", "4 4", "-"}) == "");
    CHECK(start.value("port") == "1");
    CHECK(start.value("timeout") == "2");
    CHECK(start.value("maxclients") == "3");
    CHECK(start.value("save") == "3 3 4 4");
    Start dash;
    dash.stdin_text = "port 5\nprot 6\n";
    CHECK(dash.run({"-"}) == "stdin:2: unknown setting 'prot'; did you mean 'port'?");
  }

  TEST_CASE(
      "option values go on to the next option; the first word behind an option is a value whatever it is") {
    Start start;
    CHECK(start.run({"--bind", "10.0.0.1", "-::1", "--requirepass", "--secret", "--port 7777", "--Timeout",
                     "5"}) == "");
    CHECK(start.value("bind") == "10.0.0.1 -::1");
    CHECK(start.value("requirepass") == "--secret");
    CHECK(start.value("port") == "7777");
    CHECK(start.value("timeout") == "5");
  }

  TEST_CASE("--save with an empty value or none asks for no snapshots") {
    for (const std::vector<const char*>& words : {std::vector<const char*>{"--save", "", "--port", "1"},
                                                  {"--save", "--port", "1"},
                                                  {"--port", "1", "--save"}}) {
      Start start;
      CHECK(start.run(words) == "");
      CHECK(start.value("save") == "");
      CHECK(start.value("port") == "1");
    }
  }

  TEST_CASE("what is wrong on the command line is told") {
    CHECK(Start().run({"--prot", "1"}) == "--prot: unknown setting 'prot'; did you mean 'port'?");
    CHECK(Start().run({"--port"}) == "--port: 'port': wrong number of arguments, there must be one");
    CHECK(Start().run({"--port", "x"}) == "--port: 'port x': argument couldn't be parsed into an integer");
    CHECK(Start().run({"-x"}) == "unexpected '-x': options are --name value; the file comes first");
    CHECK(Start().run({"--"}) == "a name is missing behind --");
    CHECK(Start().run({"--sentinel"}).find("Varve has no Sentinel mode") != std::string::npos);
  }

  TEST_CASE("version and help are asked for by the first word") {
    const auto action = [](std::vector<const char*> words) {
      return parse_command_line(words).value().action;
    };
    CHECK(action({"-v"}) == CommandLine::Action::kVersion);
    CHECK(action({"--version"}) == CommandLine::Action::kVersion);
    CHECK(action({"-h"}) == CommandLine::Action::kHelp);
    CHECK(action({"--help"}) == CommandLine::Action::kHelp);
    CHECK(action({}) == CommandLine::Action::kServe);
    CHECK(action({"--port", "1"}) == CommandLine::Action::kServe);
  }
}
