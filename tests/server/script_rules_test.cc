// What scripts may do and what others see of them, beyond their replies: flags, refusals, counts, MONITOR,
// ACL LOG, client-side caching, libraries in transactions.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/server/server_harness.h"

using namespace server;

namespace {

using Words = std::vector<std::string>;

const std::string kOom = "(error) OOM command not allowed when used memory > 'maxmemory'.";

std::string library(const std::string& name, const std::string& value) {
  return "#!lua name=" + name + "\nredis.register_function{function_name='" + name +
         "', flags={'no-writes'}, callback=function() return '" + value + "' end}";
}

// The value of `field` in a section of INFO, up to the end of its line.
std::string info(Harness& harness, Peer& peer, const std::string& section, const std::string& field) {
  const std::string text = harness.call(peer, {"INFO", section});
  const size_t at = text.find(field + ":");
  if (at == std::string::npos) return "";
  const size_t begin = at + field.size() + 1;
  return text.substr(begin, text.find_first_of("\r\n", begin) - begin);
}

// Whether anything comes while nothing else happens.
bool hears(Harness& harness, Peer& peer) {
  for (int i = 0; i < 200; ++i) {
    harness.step();
    if (!peer.received().empty()) return true;
  }
  return false;
}

}  // namespace

TEST_SUITE("server/script rules") {
  TEST_CASE("a maxmemory that no server could live on refuses whatever may take memory") {
    Harness harness(1);
    const auto peer = harness.connect(), other = harness.connect();
    CHECK(harness.call(*peer, {"SET", "k", "v"}) == "OK");
    CHECK(harness.call(*peer, {"CONFIG", "SET", "maxmemory", "1"}) == "OK");
    CHECK(harness.call(*peer, {"SET", "k", "w"}) == kOom);
    CHECK(harness.call(*peer, {"GET", "k"}) == "\"v\"");
    CHECK(harness.call(*peer, {"DEL", "nosuch"}) == "0");

    // Inside of scripts, unless it was said that they may.
    CHECK(harness.call(*peer, {"EVAL", "return redis.call('SET', 'k', 'w')", "0"}).starts_with(kOom));
    CHECK(harness.call(*peer, {"EVAL", "return redis.pcall('SET', 'k', 'w')['err']", "0"}) ==
          "\"" + kOom.substr(8) + "\"");
    CHECK(harness.call(*peer, {"EVAL", "#!lua\nreturn 1", "0"}) == kOom);
    CHECK(harness.call(*peer, {"EVAL", "#!lua flags=no-writes\nreturn 1", "0"}) == "1");
    CHECK(harness.call(*peer, {"EVAL", "#!lua flags=allow-oom\nreturn redis.call('SET', 'k', 'x')", "0"}) ==
          "OK");
    CHECK(harness.call(*peer, {"FUNCTION", "LOAD", library("f", "1")}) == kOom);

    // Queueing takes memory, too; DISCARD does not, nor does an EXEC of what only reads.
    CHECK(harness.call(*peer, {"MULTI"}) == "OK");
    CHECK(harness.call(*peer, {"GET", "k"}) == kOom);
    CHECK(harness.call(*peer, {"DISCARD"}) == "OK");
    CHECK(harness.call(*peer, {"CONFIG", "SET", "maxmemory", "0"}) == "OK");
    for (const std::string command : {"GET", "INCR"}) {
      CHECK(harness.call(*peer, {"MULTI"}) == "OK");
      CHECK(harness.call(*peer, {command, command == "GET" ? "k" : "n"}) == "QUEUED");
      CHECK(harness.call(*other, {"CONFIG", "SET", "maxmemory", "1"}) == "OK");
      CHECK(harness.call(*peer, {"EXEC"}) ==
            (command == "GET" ? "[\"x\"]"
                              : "(error) EXECABORT Transaction discarded because of: " + kOom.substr(8)));
      CHECK(harness.call(*other, {"CONFIG", "SET", "maxmemory", "0"}) == "OK");
    }
    CHECK(harness.call(*other, {"CONFIG", "SET", "maxmemory", "2mb"}) == "OK");
    CHECK(harness.call(*peer, {"SET", "k", "w"}) == "OK");
  }

  TEST_CASE("CLIENT PAUSE WRITE lets scripts pass that say that they do not write, in MULTI as well") {
    Harness harness(2);
    const auto peer = harness.connect(), reader = harness.connect(), writer = harness.connect();
    const std::string reads = "#!lua flags=no-writes\nreturn 7", may_write = "#!lua\nreturn 8";
    const std::string sha1 = harness.call(*peer, {"SCRIPT", "LOAD", reads});
    CHECK(harness.call(*peer, {"FUNCTION", "LOAD", library("f", "9")}) == "\"f\"");
    CHECK(harness.call(*peer, {"CLIENT", "PAUSE", "100000000", "WRITE"}) == "OK");
    CHECK(harness.call(*reader, {"EVAL", reads, "0"}) == "7");
    CHECK(harness.call(*reader, {"EVALSHA", sha1.substr(1, 40), "0"}) == "7");
    CHECK(harness.call(*reader, {"FCALL", "f", "0"}) == "\"9\"");
    CHECK(harness.call(*reader, {"MULTI"}) == "OK");
    CHECK(harness.call(*reader, {"EVAL", reads, "0"}) == "QUEUED");
    CHECK(harness.call(*reader, {"EXEC"}) == "[7]");
    writer->send({"EVAL", may_write, "0"});
    CHECK_FALSE(hears(harness, *writer));
    CHECK(harness.call(*peer, {"CLIENT", "UNPAUSE"}) == "OK");
    CHECK(harness.replies(*writer, 1) == Words{"8"});
  }

  TEST_CASE("a library that a transaction loads, replaces or deletes is so for what comes behind") {
    for (const uint32_t cold_chance : {0u, 1u << 31}) {
      CAPTURE(cold_chance);
      Harness harness(3, {}, cold_chance);
      const auto peer = harness.connect(), other = harness.connect();
      for (int i = 0; i < 30; ++i) harness.call(*peer, {"SET", "k" + std::to_string(i), "1"});
      CHECK(harness.call(*peer, {"FUNCTION", "LOAD", library("old", "old")}) == "\"old\"");
      if (cold_chance != 0) CHECK(harness.call(*peer, {"DEBUG", "RELOAD"}) == "OK");
      CHECK(harness.call(*peer, {"MULTI"}) == "OK");
      std::vector<Words> commands{{"FUNCTION", "LOAD", library("f", "first")},
                                  {"FCALL", "f", "0"},
                                  {"FUNCTION", "LOAD", library("f", "second")},
                                  {"FUNCTION", "LOAD", "REPLACE", library("f", "third")},
                                  {"FCALL", "f", "0"},
                                  {"FUNCTION", "DELETE", "old"},
                                  {"FCALL", "old", "0"},
                                  {"EVAL",
                                   "local n = 0 for i = 0, 29 do n = n + redis.call('GET', 'k' .. i) end "
                                   "return n",
                                   "0"}};
      for (const Words& words : commands) CHECK(harness.call(*peer, words) == "QUEUED");
      CHECK(harness.call(*peer, {"EXEC"}) ==
            "[\"f\", \"first\", (error) ERR Library 'f' already exists, \"f\", \"third\", OK, "
            "(error) ERR Function not found, 30]");
      CHECK(harness.call(*other, {"FCALL", "f", "0"}) == "\"third\"");
      CHECK(harness.call(*other, {"FCALL", "old", "0"}) == "(error) ERR Function not found");
      CHECK(harness.call(*peer, {"DEBUG", "RELOAD"}) == "OK");
      CHECK(harness.call(*other, {"FCALL", "f", "0"}) == "\"third\"");
    }
  }

  TEST_CASE("what EXEC or a script was refused stands in ACL LOG once, however often it began anew") {
    Harness harness(4, {}, 1u << 31);
    const auto peer = harness.connect(), admin = harness.connect();
    for (int i = 0; i < 40; ++i) harness.call(*admin, {"SET", "k" + std::to_string(i), "1"});
    CHECK(harness.call(*admin, {"ACL", "SETUSER", "bob", "on", "nopass", "+@all", "~*"}) == "OK");
    CHECK(harness.call(*admin, {"DEBUG", "RELOAD"}) == "OK");
    CHECK(harness.call(*peer, {"AUTH", "bob", "x"}) == "OK");
    CHECK(harness.call(*peer, {"MULTI"}) == "OK");
    CHECK(harness.call(*peer, {"INCR", "n"}) == "QUEUED");
    Words read{"MGET"};
    for (int i = 0; i < 40; ++i) read.push_back("k" + std::to_string(i));
    CHECK(harness.call(*peer, read) == "QUEUED");
    CHECK(harness.call(*peer, {"EVAL", "return redis.pcall('INCR', 'n')", "0"}) == "QUEUED");
    CHECK(harness.call(*admin, {"ACL", "SETUSER", "bob", "-incr"}) == "OK");
    const uint64_t before = harness.server->stats().cold_restarts;
    CHECK(harness.call(*peer, {"EXEC"}).starts_with("[(error) NOPERM"));
    CHECK(harness.server->stats().cold_restarts > before);
    const std::string log = harness.call(*admin, {"ACL", "LOG"});
    CAPTURE(log);
    size_t entries = 0;
    for (size_t at = 0; (at = log.find("\"count\", ", at)) != std::string::npos; ++at, ++entries)
      CHECK(log.substr(at + 9, 2) == "1,");
    CHECK(entries == 2);
  }

  TEST_CASE("an error inside of a script is counted once; what was refused is counted as that") {
    Harness harness(5);
    const auto peer = harness.connect();
    const auto counts = [&](const Words& words) {
      harness.call(*peer, {"CONFIG", "RESETSTAT"});
      harness.call(*peer, words);
      return info(harness, *peer, "stats", "total_error_replies");
    };
    CHECK(counts({"EVAL", "return redis.call('SELECT', 99)", "0"}) == "1");
    CHECK(counts({"EVAL", "return redis.pcall('SELECT', 99)", "0"}) == "1");
    CHECK(counts({"EVAL", "redis.pcall('SELECT', 99) return 1", "0"}) == "1");
    CHECK(counts({"EVAL", "return {err = 'MINE own'}", "0"}) == "1");
    CHECK(counts({"EVAL", "redis.pcall('SET', 'k') return 1", "0"}) == "1");
    const std::string set = info(harness, *peer, "commandstats", "cmdstat_set");
    CHECK(set.starts_with("calls=0,"));
    CHECK(set.find("rejected_calls=1,failed_calls=0") != std::string::npos);
  }

  TEST_CASE("MONITOR shows a script before what it calls") {
    Harness harness(6);
    const auto peer = harness.connect(), monitor = harness.connect();
    CHECK(harness.call(*monitor, {"MONITOR"}) == "OK");
    CHECK(harness.call(*peer, {"EVAL", "return redis.call('SET', 'k', 'v')", "0"}) == "OK");
    const auto lines = harness.replies(*monitor, 2);
    CHECK(lines[0].find("EVAL") != std::string::npos);
    CHECK(lines[1].find("lua] \"SET\" \"k\" \"v\"") != std::string::npos);
  }

  TEST_CASE("a script is refused what would wait for a key, and told so") {
    Harness harness(7);
    const auto peer = harness.connect();
    harness.call(*peer, {"XADD", "s", "1-1", "f", "v"});
    harness.call(*peer, {"XGROUP", "CREATE", "s", "g", "$"});
    const std::string end = " command is not allowed with BLOCK option from scripts";
    CHECK(harness.call(*peer, {"EVAL", "return redis.pcall('xread','BLOCK',0,'STREAMS','s','$')", "1",
                               "s"}) == "(error) ERR xread" + end);
    CHECK(harness.call(
              *peer, {"EVAL", "return redis.pcall('xreadgroup','group','g','c','BLOCK',0,'STREAMS','s','>')",
                      "1", "s"}) == "(error) ERR xreadgroup" + end);
    CHECK(harness.call(*peer, {"EVAL", "return #redis.call('XREAD', 'STREAMS', 's', '0')", "1", "s"}) == "1");
  }

  TEST_CASE("who tracks is told of a script's keys if it has read anything") {
    Harness harness(8);
    const auto peer = harness.connect(), other = harness.connect();
    harness.call(*peer, {"HELLO", "3"});
    CHECK(harness.call(*peer, {"CLIENT", "TRACKING", "ON"}) == "OK");
    const auto told = [&](const Words& script) {
      harness.call(*peer, script);
      harness.call(*other, {"SET", "a", "1"});
      return hears(harness, *peer);
    };
    CHECK_FALSE(told({"EVAL", "return redis.call('SET', 'x', '1')", "1", "a"}));
    CHECK_FALSE(told({"EVAL_RO", "return redis.call('PING')", "1", "a"}));
    CHECK(told({"EVAL", "return redis.call('GET', 'x')", "1", "a"}));
    CHECK(told({"EVAL_RO", "return redis.call('GET', 'x')", "1", "a"}));
    CHECK(told({"EVAL", "return redis.call('GET', 'a')", "0"}));
  }
}
