#include "server/config.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using server::AppendFsync;
using server::Config;
using server::Parameter;
using server::parameters;

namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

Pairs get(const Config& config, std::vector<std::string_view> patterns) { return config.get(patterns); }

std::string set(Config& config, std::vector<Config::Pair> pairs, bool local = false) {
  return config.set(pairs, local);
}

// The shown value after a successful CONFIG SET.
std::string shown(Config& config, std::string_view name, std::string_view value) {
  const std::string error = set(config, {{name, value}});
  return error.empty() ? config.value(name) : error;
}

// What CONFIG SET says of the argument.
std::string refusal(Config& config, std::string_view name, std::string_view value) {
  const std::string before = config.value(name);
  const std::string error = set(config, {{name, value}});
  CHECK(config.value(name) == before);
  const std::string head =
      "ERR CONFIG SET failed (possibly related to argument '" + std::string(name) + "') - ";
  REQUIRE(error.starts_with(head));
  return error.substr(head.size());
}

}  // namespace

// Texts and forms here were read off redis-server 7.0.15.
TEST_SUITE("server/config") {
  TEST_CASE("every row of the table has a unique name, a purpose, and a default that its own type accepts") {
    std::set<std::string> names;
    for (const Parameter& parameter : parameters()) {
      CAPTURE(parameter.name);
      CHECK(names.insert(parameter.name).second);
      if (parameter.alias != nullptr) CHECK(names.insert(parameter.alias).second);
      CHECK(std::string_view(parameter.purpose)
                .ends_with(std::string_view(parameter.purpose).ends_with(")") ? ")" : "."));
      if (parameter.type != server::ParameterType::kDirectory) {
        CHECK(server::initial_value(parameter).text == parameter.initial);
      }
      if (std::string_view(parameter.purpose).starts_with("See ")) {
        std::string_view other = std::string_view(parameter.purpose).substr(4);
        other.remove_suffix(1);
        CHECK(server::find_parameter(other) != nullptr);
      }
    }
  }

  TEST_CASE(
      "CONFIG GET * shows each parameter and alias of Redis 7.0 and Varve's nine, sorted, no hidden ones") {
    const Config config("/w");
    const Pairs all = get(config, {"*"});
    CHECK(all.size() == 192 + 9);
    CHECK(std::is_sorted(all.begin(), all.end()));
    CHECK(get(config, {"watchdog*"}).empty());
    CHECK(get(config, {"watchdog-period"}) == Pairs{{"watchdog-period", "0"}});
  }

  TEST_CASE("defaults are Redis's, but the log is on") {
    const Config config("/w");
    for (const auto& [name, value] : std::initializer_list<std::pair<const char*, const char*>>{
             {"port", "6379"},
             {"bind", "* -::*"},
             {"save", "3600 1 300 100 60 10000"},
             {"appendonly", "yes"},
             {"appendfsync", "everysec"},
             {"maxmemory", "0"},
             {"maxclients", "10000"},
             {"dir", "/w"},
             {"client-output-buffer-limit",
              "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60"},
             {"slave-priority", "100"},
             {"hash-max-ziplist-entries", "512"},
             {"oom-score-adj-values", "0 200 800"},
             {"latency-tracking-info-percentiles", "50 99 99.9"},
             {"unixsocketperm", "0"},
             {"requirepass", ""},
             {"proto-max-bulk-len", "536870912"},
             {"list-max-listpack-size", "-2"},
             {"hz", "10"}}) {
      CAPTURE(name);
      CHECK(config.value(name) == value);
    }
  }

  TEST_CASE("CONFIG GET takes several patterns, shows exact names as asked, and each once") {
    const Config config("/w");
    CHECK(get(config, {"PORT"}) == Pairs{{"PORT", "6379"}});
    CHECK(get(config, {"port", "POR?", "nope"}) == Pairs{{"port", "6379"}});
    CHECK(get(config, {"MAXMEMORY", "maxmemory-p*"}) ==
          Pairs{{"MAXMEMORY", "0"}, {"maxmemory-policy", "noeviction"}});
    CHECK(get(config, {"slave-p*", "replica-p*"}) ==
          Pairs{{"slave-priority", "100"}, {"replica-priority", "100"}});
    CHECK(get(config, {}).empty());
  }

  TEST_CASE("values are shown in one form, however they were written") {
    Config config("/w");
    CHECK(shown(config, "maxmemory", "100MB") == "104857600");
    CHECK(shown(config, "maxmemory", "1k") == "1000");
    CHECK(shown(config, "maxmemory", "") == "0");
    CHECK(shown(config, "maxmemory", "18446744073709551615") == "18446744073709551615");
    CHECK(shown(config, "maxmemory-clients", "7%") == "7%");
    CHECK(shown(config, "maxmemory-clients", "0%") == "0");
    CHECK(shown(config, "maxmemory-clients", "1mb") == "1048576");
    CHECK(shown(config, "APPENDFSYNC", "ALWAYS") == "always");
    CHECK(shown(config, "rdbcompression", "NO") == "no");
    CHECK(shown(config, "save", "3600 1 300 100") == "3600 1 300 100");
    CHECK(shown(config, "save", "+5 010") == "5 10");
    CHECK(shown(config, "save", "") == "");
    CHECK(shown(config, "hz", "9999") == "500");
    CHECK(shown(config, "notify-keyspace-events", "KEA") == "AKE");
    CHECK(shown(config, "notify-keyspace-events", "mnKg") == "gnKm");
    CHECK(shown(config, "notify-keyspace-events", "An") == "A");
    CHECK(shown(config, "notify-keyspace-events", "dtexzhsl$gE") == "AE");
    CHECK(shown(config, "notify-keyspace-events", "") == "");
    CHECK(shown(config, "client-output-buffer-limit", "slave 1mb 2kb 3 pubsub 1k 2 3") ==
          "normal 0 0 0 slave 1048576 2048 3 pubsub 1000 2 3");
    CHECK(shown(config, "client-output-buffer-limit", "Replica 0 0 0") ==
          "normal 0 0 0 slave 0 0 0 pubsub 1000 2 3");
    CHECK(shown(config, "latency-tracking-info-percentiles", "50 99.99 100.0") == "50 99.99 100");
    CHECK(shown(config, "latency-tracking-info-percentiles", "") == "");
    CHECK(shown(config, "shutdown-on-sigint", "force now save") == "save now force");
    CHECK(shown(config, "shutdown-on-sigint", "default") == "default");
    CHECK(shown(config, "oom-score-adj", "relative") == "yes");
    CHECK(shown(config, "oom-score-adj-values", "1 2 3") == "1 2 3");
    CHECK(shown(config, "bind", "127.0.0.1 -::1") == "127.0.0.1 -::1");
    CHECK(shown(config, "bind", "") == "");
    CHECK(shown(config, "masteruser", "a b c") == "a b c");
    CHECK(shown(config, "slave-priority", "7") == "7");
    CHECK(config.value("replica-priority") == "7");
  }

  TEST_CASE("CONFIG SET refuses with Redis's words") {
    Config config("/w");
    CHECK(refusal(config, "maxmemory", "-1") == "argument must be a memory value");
    CHECK(refusal(config, "maxmemory", "1.5gb") == "argument must be a memory value");
    CHECK(refusal(config, "maxmemory-clients", "x") == "argument must be a memory or percent value");
    CHECK(refusal(config, "maxmemory-clients", "101%") == "percentage argument must be less or equal to 100");
    CHECK(refusal(config, "timeout", "-1") == "argument must be between 0 and 2147483647 inclusive");
    CHECK(refusal(config, "timeout", "1x") == "argument couldn't be parsed into an integer");
    CHECK(refusal(config, "maxclients", "0") == "argument must be between 1 and 4294967295 inclusive");
    CHECK(refusal(config, "proto-max-bulk-len", "1") ==
          "argument must be between 1048576 and 9223372036854775807 inclusive");
    CHECK(refusal(config, "list-max-ziplist-size", "99999999999") ==
          "argument must be between -2147483648 and 2147483647 inclusive");
    CHECK(refusal(config, "slave-priority", "-1") == "argument must be between 0 and 2147483647 inclusive");
    CHECK(refusal(config, "rdbcompression", "maybe") == "argument must be 'yes' or 'no'");
    CHECK(refusal(config, "appendfsync", "Sometimes") ==
          "argument(s) must be one of the following: everysec, always, no");
    CHECK(refusal(config, "oom-score-adj", "x") ==
          "argument(s) must be one of the following: no, yes, relative, absolute");
    CHECK(refusal(config, "shutdown-on-sigint", "") ==
          "argument(s) must be one of the following: default, save, nosave, now, force");
    CHECK(refusal(config, "shutdown-on-sigterm", "save nosave") ==
          "shutdown options SAVE and NOSAVE can't be used simultaneously");
    for (const char* value : {"3600 1 300", "0 1", "1 -1", "1  2", "x 1"}) {
      CAPTURE(value);
      CHECK(refusal(config, "save", value) == "Invalid save parameters");
    }
    CHECK(refusal(config, "client-output-buffer-limit", "normal 1 2") ==
          "Wrong number of arguments in buffer limit configuration.");
    CHECK(refusal(config, "client-output-buffer-limit", "pubsub 1 2 3 master 1 2 3") ==
          "Invalid client class specified in buffer limit configuration.");
    // CVE-2016-8339 was an index beyond the classes.
    CHECK(refusal(config, "client-output-buffer-limit", "3 1 2 3") ==
          "Invalid client class specified in buffer limit configuration.");
    CHECK(refusal(config, "client-output-buffer-limit", "normal 1x 2 3") ==
          "Error in hard, soft or soft_seconds setting in buffer limit configuration.");
    CHECK(refusal(config, "client-output-buffer-limit", "normal 1 2 -3") ==
          "Error in hard, soft or soft_seconds setting in buffer limit configuration.");
    CHECK(refusal(config, "notify-keyspace-events", "Q") ==
          "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
    CHECK(refusal(config, "oom-score-adj-values", "1 2") == "wrong number of arguments");
    CHECK(refusal(config, "oom-score-adj-values", "1 2 5000") ==
          "Invalid oom-score-adj-values, elements must be between -2000 and 2000.");
    CHECK(refusal(config, "latency-tracking-info-percentiles", "x") ==
          "Invalid latency-tracking-info-percentiles parameters");
    CHECK(refusal(config, "latency-tracking-info-percentiles", "50 101") ==
          "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]");
    CHECK(refusal(config, "bind", "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17") ==
          "Too many bind addresses specified.");
    CHECK(refusal(config, "proc-title-template", "{x}") ==
          "template format is invalid or contains unknown variables");
    CHECK(refusal(config, "proc-title-template", "{title} ") ==
          "template format is invalid or contains unknown variables");
    CHECK(refusal(config, "hz", "-1") == "argument must be between 0 and 2147483647 inclusive");
    CHECK(refusal(config, "cluster-announce-hostname", "a_b") ==
          "Hostnames may only contain alphanumeric characters, hyphens or dots");
    CHECK(refusal(config, "databases", "3") == "can't set immutable config");
    CHECK(refusal(config, "unixsocketperm", "777") == "can't set immutable config");
    CHECK(refusal(config, "dir", "/tmp") == "can't set protected config");
    CHECK(set(config, {{"nope", "3"}}) ==
          "ERR Unknown option or number of arguments for CONFIG SET - 'nope'");
    CHECK(set(config, {{"port", "1"}, {"Port", "2"}}) ==
          "ERR CONFIG SET failed (possibly related to argument 'Port') - duplicate parameter");
    // The name as it was given where the name is at fault, in lower case where the value is.
    CHECK(set(config, {{"DATABASES", "1"}}) ==
          "ERR CONFIG SET failed (possibly related to argument 'DATABASES') - can't set immutable config");
    CHECK(set(config, {{"TIMEOUT", "x"}}) ==
          "ERR CONFIG SET failed (possibly related to argument 'timeout') - argument couldn't be parsed into "
          "an integer");
    // The first thing wrong is the one told.
    CHECK(set(config, {{"databases", "1"}, {"nope", "1"}}).find("'databases'") != std::string::npos);
    CHECK(set(config, {{"nope", "1"}, {"databases", "1"}}).find("'nope'") != std::string::npos);
  }

  TEST_CASE("what would be dangerous to accept without effect is refused") {
    Config config("/w");
    CHECK(refusal(config, "tls-port", "6380") == "Varve has no TLS");
    CHECK(config.assign("replicaof", "no one").ok());
    CHECK(config.assign("cluster-enabled", "yes").message() == "Varve has no cluster mode");
  }

  TEST_CASE("protected parameters change only where enable-protected-configs allows the client") {
    Config config("/w");
    REQUIRE(config.assign("enable-protected-configs", "local").ok());
    CHECK(set(config, {{"dbfilename", "a.rdb"}}).ends_with("can't set protected config"));
    CHECK(set(config, {{"dbfilename", "a.rdb"}}, true).empty());
    REQUIRE(config.assign("enable-protected-configs", "yes").ok());
    CHECK(set(config, {{"dbfilename", "b.rdb"}}).empty());
    CHECK(refusal(config, "dbfilename", "a/b") == "dbfilename can't be a path, just a filename");
    CHECK(set(config, {{"dir", "/tmp"}})
              .ends_with("can't set immutable config"));  // The data stays where it is.
  }

  TEST_CASE("C1: the fields of Settings follow") {
    Config config("/w");
    const server::Settings& settings = config.settings();
    CHECK(settings.port == 6379);
    CHECK(settings.bind == std::vector<std::string>{"*", "-::*"});
    CHECK(settings.dir == "/w");
    CHECK(settings.loglevel == server::LogLevel::kNotice);
    CHECK(settings.supervised == server::Supervision::kNo);
    CHECK(set(config, {{"appendfsync", "no"},
                       {"maxmemory", "1gb"},
                       {"slowlog-log-slower-than", "-1"},
                       {"latency-tracking-info-percentiles", "50 99.5"},
                       {"bind", ""},
                       {"loglevel", "warning"},
                       {"requirepass", "x y"},
                       {"client-output-buffer-limit", "pubsub 3 2 1"}})
              .empty());
    CHECK(settings.appendfsync == AppendFsync::kNo);
    CHECK(settings.maxmemory_bytes == uint64_t{1} << 30);
    CHECK(settings.slowlog_log_slower_than_us == -1);
    CHECK(settings.latency_tracking_info_percentiles == std::vector<double>{50, 99.5});
    CHECK(settings.bind.empty());
    CHECK(settings.loglevel == server::LogLevel::kWarning);
    CHECK(settings.requirepass == "x y");
    const auto& pubsub = settings.client_output_buffer_limit[size_t(server::ClientClass::kPubsub)];
    CHECK(pubsub.hard_bytes == 3);
    CHECK(pubsub.soft_bytes == 2);
    CHECK(pubsub.soft_seconds == 1);
    REQUIRE(config.assign("unixsocketperm", "770").ok());
    CHECK(settings.unixsocketperm == 0770);
  }

  TEST_CASE("C2: one bad value of several changes none") {
    Config config("/w");
    const Pairs before = get(config, {"*"});
    CHECK(set(config, {{"timeout", "5"}, {"maxmemory", "1gb"}, {"hz", "x"}}) ==
          "ERR CONFIG SET failed (possibly related to argument 'hz') - argument couldn't be parsed into an "
          "integer");
    CHECK(get(config, {"*"}) == before);
    CHECK(config.settings().timeout_seconds == 0);
  }

  TEST_CASE("C2: a listener that refuses undoes all, for those before it too") {
    Config config("/w");
    std::vector<std::string> calls;
    config.on_change({"timeout", "maxclients"}, [&] {
      calls.push_back("a timeout=" + std::to_string(config.settings().timeout_seconds));
      return std::string();
    });
    config.on_change({"tcp-keepalive"}, [&] {
      calls.push_back("b");
      return std::string();
    });
    config.on_change({"port"}, [&] {
      calls.push_back("c port=" + std::to_string(config.settings().port));
      return config.settings().port == 1 ? std::string("Unable to listen on this port. Check server logs.")
                                         : "";
    });

    REQUIRE(server::log_to("/dev/null").ok());
    CHECK(set(config, {{"timeout", "5"}, {"maxclients", "7"}, {"PORT", "1"}}) ==
          "ERR CONFIG SET failed (possibly related to argument 'port') - "
          "Unable to listen on this port. Check server logs.");
    REQUIRE(server::log_to("").ok());
    CHECK(config.value("timeout") == "0");
    CHECK(config.settings().port == 6379);
    CHECK(calls == std::vector<std::string>{"a timeout=5", "c port=1", "a timeout=0", "c port=6379"});

    calls.clear();
    CHECK(set(config, {{"timeout", "5"}, {"port", "2"}}).empty());
    CHECK(calls == std::vector<std::string>{"a timeout=5", "c port=2"});
    calls.clear();
    CHECK(set(config, {{"timeout", "5"}, {"appendfsync", "no"}}).empty());  // Nothing they watch is new.
    CHECK(calls.empty());
  }

  TEST_CASE("passwords are sensitive, by any spelling of their name") {
    CHECK(Config::is_sensitive("requirepass"));
    CHECK(Config::is_sensitive("MasterAuth"));
    CHECK_FALSE(Config::is_sensitive("port"));
    CHECK_FALSE(Config::is_sensitive("nope"));
  }

  TEST_CASE("PARAMETERS.md lists what acts and what is only accepted, as the table has it") {
    const std::string table = Config::describe();
    CHECK(table.find("| `port` | `6379` | **acts** | TCP port; 0 listens on none. |\n") != std::string::npos);
    CHECK(table.find("| `repl-diskless-sync` | `yes` | accepted | ") != std::string::npos);
    CHECK(table.find("watchdog-period") == std::string::npos);

    const std::string file = VARVE_TESTS_DIR "/../../server/config/PARAMETERS.md";
    // VARVE_WRITE_DOCS=1 build/varve-test-server --test-case='PARAMETERS.md*' writes it anew.
    if (std::getenv("VARVE_WRITE_DOCS") != nullptr) std::ofstream(file) << table;
    std::ifstream in(file);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    CHECK(text == table);
  }
}
