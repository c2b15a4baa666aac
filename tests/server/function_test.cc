// Libraries of functions: as data that outlives restarts, and as Redis has them.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "server/scripts/function_dump.h"
#include "server/scripts/scripting.h"
#include "tests/server/real_redis.h"
#include "tests/server/server_harness.h"

using namespace server;

namespace {

using Words = std::vector<std::string>;

const std::string kLibrary =
    "#!lua name=lib\n"
    "local function get(keys, args) return redis.call('GET', keys[1]) end\n"
    "redis.register_function('get', get)\n"
    "redis.register_function{function_name = 'put', description = 'writes', flags = {'allow-oom'},\n"
    "  callback = function(keys, args) return redis.call('SET', keys[1], args[1]) end}\n"
    "redis.register_function{function_name = 'look', flags = {'no-writes'}, callback = get}\n"
    "redis.register_function{function_name = 'sneak', flags = {'no-writes'},\n"
    "  callback = function(keys) return redis.call('DEL', keys[1]) end}\n";

std::string library(const std::string& name, const std::string& body) {
  return "#!lua name=" + name + "\n" + body;
}

}  // namespace

TEST_SUITE("server/functions") {
  TEST_CASE("functions do as in redis-server, to the letter of their errors") {
    const auto redis = RealRedis::start();
    if (redis == nullptr) {
      MESSAGE("no redis-server here");
      return;
    }
    const std::string f = "redis.register_function('f', function(keys, args) return {keys, args} end)";
    const std::vector<Words> steps = {
        {"FUNCTION", "LOAD", "return 1"},
        {"FUNCTION", "LOAD", "#!lua"},
        {"FUNCTION", "LOAD", "#!lua\nreturn 1"},
        {"FUNCTION", "LOAD", "#!lua name=a name=b\n"},
        {"FUNCTION", "LOAD", "#!lua name=a foo=b\n"},
        {"FUNCTION", "LOAD", "#!lua name=a-b\n"},
        {"FUNCTION", "LOAD", "#!lua name=\n"},
        {"FUNCTION", "LOAD", "#!bad name=a\n"},
        {"FUNCTION", "LOAD", "#!lua name=a\n"},
        {"FUNCTION", "LOAD", "#!lua name=a\nbad syntax"},
        {"FUNCTION", "LOAD", library("a", "error('no')")},
        {"FUNCTION", "LOAD", library("a", "redis.call('PING')")},
        {"FUNCTION", "LOAD", library("a", "return string.rep('x', 3)")},
        {"FUNCTION", "LOAD", library("a", "x = 1")},
        {"FUNCTION", "LOAD", library("a", "return math.random()")},
        {"FUNCTION", "LOAD", library("a", "redis.foo = 1")},
        {"FUNCTION", "LOAD", library("a", "redis.register_function()")},
        {"FUNCTION", "LOAD", library("a", "redis.register_function('f')")},
        {"FUNCTION", "LOAD", library("a", "redis.register_function('f', 1)")},
        {"FUNCTION", "LOAD", library("a", "redis.register_function(nil, function() end)")},
        {"FUNCTION", "LOAD", library("a", "redis.register_function('f', function() end, 3)")},
        {"FUNCTION", "LOAD", library("a", "redis.register_function('f-g', function() end)")},
        {"FUNCTION", "LOAD", library("a", "redis.register_function{}")},
        {"FUNCTION", "LOAD", library("a", "redis.register_function{function_name = 'f'}")},
        {"FUNCTION", "LOAD", library("a", "redis.register_function{function_name = {}}")},
        {"FUNCTION", "LOAD", library("a", "redis.register_function{callback = function() end}")},
        {"FUNCTION", "LOAD", library("a", "redis.register_function{callback = 1}")},
        {"FUNCTION", "LOAD", library("a", "redis.register_function{description = {}}")},
        {"FUNCTION", "LOAD", library("a", "redis.register_function{flags = 1}")},
        {"FUNCTION", "LOAD", library("a", "redis.register_function{flags = {'bad'}}")},
        {"FUNCTION", "LOAD", library("a", "redis.register_function{bad = 1}")},
        {"FUNCTION", "LOAD", library("a", "redis.register_function{[1] = 1}")},
        {"FUNCTION", "LOAD", library("a", f + " " + f)},
        {"FUNCTION", "LOAD", library("a", f)},
        {"FUNCTION", "LOAD", library("a", f)},
        {"FUNCTION", "LOAD", "REPLACE", library("a", f)},
        {"FUNCTION", "LOAD", "BAD", library("a", f)},
        {"FUNCTION", "LOAD", library("b", f)},
        {"FUNCTION", "LOAD", library("b", "redis.register_function('F', function() end)")},
        {"FCALL", "f", "1", "k", "x", "y"},
        {"FCALL", "F", "0"},
        {"FCALL", "nosuch", "0"},
        {"FCALL", "f", "x"},
        {"FCALL", "f", "-1"},
        {"FCALL", "f", "3", "a"},
        {"FCALL_RO", "f", "0"},
        {"FUNCTION", "DELETE", "nosuch"},
        {"FUNCTION", "LIST"},
        {"FUNCTION", "LIST", "WITHCODE"},
        {"FUNCTION", "LIST", "LIBRARYNAME", "A*"},
        {"FUNCTION", "LIST", "LIBRARYNAME", "x*"},
        {"FUNCTION", "LIST", "LIBRARYNAME"},
        {"FUNCTION", "LIST", "BAD"},
        {"FUNCTION", "STATS"},
        {"FUNCTION", "KILL"},
        {"FUNCTION", "DELETE", "a"},
        {"FUNCTION", "STATS"},
        {"FUNCTION", "LOAD", kLibrary},
        {"FCALL", "put", "1", "k", "v"},
        {"FCALL", "get", "1", "k"},
        {"FCALL", "look", "1", "k"},
        {"FCALL_RO", "look", "1", "k"},
        {"FCALL_RO", "put", "1", "k", "w"},
        {"FCALL", "sneak", "1", "k"},
        {"FCALL_RO", "sneak", "1", "k"},
        {"GET", "k"},
        {"FUNCTION", "LOAD", "REPLACE", library("lib", "error('no')")},
        {"FCALL", "get", "1", "k"},
        {"FUNCTION", "LOAD",
         library("g",
                 "redis.register_function('g', function() x = 1 end)\n"
                 "redis.register_function('h', function() return nothing end)\n"
                 "redis.register_function('i', function() return redis.register_function('j', "
                 "function() end) end)\n"
                 "redis.register_function('j', function() redis.setresp(3) return "
                 "redis.call('HGETALL', 'nosuch') end)\n"
                 "redis.register_function('l', function() return KEYS end)\n"
                 "redis.register_function('m', function() return redis.breakpoint() end)")},
        {"FCALL", "g", "0"},
        {"FCALL", "h", "0"},
        {"FCALL", "i", "0"},
        {"FCALL", "j", "0"},
        {"FCALL", "l", "0"},
        {"FCALL", "m", "0"},
        {"FUNCTION", "FLUSH", "BAD"},
        {"FUNCTION", "FLUSH", "SYNC", "MORE"},
        {"FUNCTION", "FLUSH", "SYNC"},
        {"FUNCTION", "LIST"},
        {"FCALL", "get", "1", "k"},
    };
    for (const char* version : {"2", "3"}) {
      Harness harness(1, {}, 1u << 30);
      const auto peer = harness.connect();
      for (const Words& before : {Words{"HELLO", version}, Words{"FLUSHALL"}, Words{"FUNCTION", "FLUSH"}}) {
        harness.call(*peer, before);
        REQUIRE(redis->ask(before).has_value());
      }
      for (const Words& step : steps) {
        const auto theirs = redis->ask(step);
        REQUIRE(theirs.has_value());
        std::string text;
        for (const std::string& word : step) text += word + " ";
        CHECK_MESSAGE(harness.call(*peer, step) == to_text(*theirs), text);
      }
    }
  }

  TEST_CASE("libraries are there again after a restart, as the last command left them") {
    Harness harness(5);
    const auto peer = harness.connect();
    CHECK(harness.call(*peer, {"FUNCTION", "LOAD", kLibrary}) == "\"lib\"");
    const std::string gone = library("gone", "redis.register_function('gone', function() end)");
    CHECK(harness.call(*peer, {"FUNCTION", "LOAD", gone}) == "\"gone\"");
    CHECK(harness.call(*peer, {"FUNCTION", "DELETE", "gone"}) == "OK");
    CHECK(harness.call(*peer, {"FCALL", "put", "1", "k", "v"}) == "OK");
    CHECK(harness.call(*peer, {"DEBUG", "RELOAD"}) == "OK");
    Functions& functions = harness.server->scripting().functions;
    REQUIRE(functions.open().ok());  // What a start does: from the records alone.
    CHECK(functions.libraries().size() == 1);
    CHECK(functions.function_count() == 4);
    CHECK(harness.call(*peer, {"FCALL", "get", "1", "k"}) == "\"v\"");
    CHECK(harness.call(*peer, {"FCALL", "gone", "0"}) == "(error) ERR Function not found");
    CHECK(harness.call(*peer, {"FLUSHALL"}) == "OK");  // Libraries are no keys.
    CHECK(harness.call(*peer, {"FCALL", "get", "1", "k"}) == "nil");
    CHECK(harness.call(*peer, {"FUNCTION", "FLUSH"}) == "OK");
    REQUIRE(functions.open().ok());
    CHECK(functions.libraries().empty());
  }

  TEST_CASE("libraries move to redis-server and back by DUMP and RESTORE") {
    const auto redis = RealRedis::start();
    if (redis == nullptr) {
      MESSAGE("no redis-server here");
      return;
    }
    Harness harness(1);
    const auto peer = harness.connect();
    const auto ask = [&](const Words& words) { return *redis->ask(words); };
    const std::string big =
        library("big", "-- " + std::string(20000, 'x') + "\nredis.register_function('big', function() end)");
    const Functions& functions = harness.server->scripting().functions;
    CHECK(harness.call(*peer, {"FUNCTION", "RESTORE", "x"}) == to_text(ask({"FUNCTION", "RESTORE", "x"})));
    CHECK(to_text(ask({"FUNCTION", "LOAD", kLibrary})) == "\"lib\"");
    CHECK(to_text(ask({"FUNCTION", "LOAD", big})) == "\"big\"");
    const std::string theirs = ask({"FUNCTION", "DUMP"}).text;
    CHECK(harness.call(*peer, {"FUNCTION", "RESTORE", theirs}) == "OK");
    REQUIRE(functions.libraries().size() == 2);
    CHECK(functions.libraries().find("lib")->second.source == kLibrary);
    CHECK(functions.libraries().find("big")->second.source == big);
    CHECK(harness.call(*peer, {"FUNCTION", "RESTORE", theirs}).find("already exists") != std::string::npos);
    const Words bad{"FUNCTION", "RESTORE", theirs, "BAD"};
    CHECK(harness.call(*peer, bad) == to_text(ask(bad)));
    CHECK(harness.call(*peer, {"FUNCTION", "RESTORE", theirs, "REPLACE"}) == "OK");
    CHECK(harness.call(*peer, {"FUNCTION", "RESTORE", theirs, "FLUSH"}) == "OK");
    CHECK(functions.function_count() == 5);

    CHECK(to_text(ask({"FUNCTION", "FLUSH"})) == "OK");
    CHECK(to_text(ask({"FUNCTION", "RESTORE", dump_libraries(functions.libraries())})) == "OK");
    CHECK(to_text(ask({"FCALL", "look", "1", "nosuch"})) == "nil");
    CHECK(to_text(ask({"FCALL", "big", "0"})) == "nil");
  }

  TEST_CASE("what a taken-back run did to the variables of its library is forgotten") {
    Harness harness(3, {}, 1u << 31);
    const auto peer = harness.connect();
    for (int i = 0; i < 50; ++i) harness.call(*peer, {"SET", "k" + std::to_string(i), "1"});
    CHECK(harness.call(*peer, {"DEBUG", "RELOAD"}) == "OK");
    harness.call(*peer, {"FUNCTION", "LOAD",
                         library("count",
                                 "local runs = 0 local function step() runs = runs + 1 return runs end "
                                 "redis.register_function('run', function() local n = step() "
                                 "for i = 0, 49 do redis.call('GET', 'k' .. i) end return n end) "
                                 "redis.register_function('again', function() return step() end)")});
    const uint64_t before = harness.server->stats().cold_restarts;
    CHECK(harness.call(*peer, {"FCALL", "run", "0"}) == "1");
    CHECK(harness.server->stats().cold_restarts > before);
    CHECK(harness.call(*peer, {"FCALL", "again", "0"}) == "2");
    CHECK(harness.call(*peer, {"FCALL", "again", "0"}) == "3");
  }

  TEST_CASE("a function that meets cold data runs again from its start") {
    Harness harness(2, {}, 1u << 31);
    const auto peer = harness.connect();
    for (int i = 0; i < 50; ++i) harness.call(*peer, {"SET", "k" + std::to_string(i), "1"});
    CHECK(harness.call(*peer, {"DEBUG", "RELOAD"}) == "OK");
    harness.call(*peer, {"FUNCTION", "LOAD",
                         library("sum",
                                 "redis.register_function('sum', function() local n = 0 for i = 0, 49 do "
                                 "n = n + redis.call('GET', 'k' .. i) redis.call('INCR', 'seen') end "
                                 "return n end)")});
    const uint64_t before = harness.server->stats().cold_restarts;
    CHECK(harness.call(*peer, {"FCALL", "sum", "0"}) == "50");
    CHECK(harness.call(*peer, {"GET", "seen"}) == "\"50\"");
    CHECK(harness.server->stats().cold_restarts > before);
  }
}
