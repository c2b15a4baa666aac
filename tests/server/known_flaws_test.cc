// Flaws that servers of this kind have had, one a test, where no other file has it already. Redis's numbers
// are given; under a sanitizer these say most.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <tuple>
#include <vector>

#include "server/process.h"
#include "tests/server/server_harness.h"

using namespace server;

namespace {

using Words = std::vector<std::string>;

size_t largest_output(Harness& harness) {
  size_t most = 0;
  harness.server->clients().each([&](const Client& client) { most = std::max(most, client.output.size()); });
  return most;
}

}  // namespace

TEST_SUITE("server/known_flaws") {
  TEST_CASE("CVE-2023-28425: a key that a command names twice is one key") {
    Harness harness(1);
    const auto peer = harness.connect();
    const auto call = [&](const Words& words) { return harness.call(*peer, words); };
    CHECK(call({"MSETNX", "k", "1", "k", "2"}) == "1");
    CHECK(call({"GET", "k"}) == "\"2\"");
    CHECK(call({"MSETNX", "k", "3", "k", "4"}) == "0");
    CHECK(call({"MSET", "a", "1", "a", "2", "a", "3"}) == "OK");
    CHECK(call({"GET", "a"}) == "\"3\"");
    CHECK(call({"DEL", "k", "k", "a", "a"}) == "2");
    CHECK(call({"DBSIZE"}) == "0");
    call({"SADD", "s", "1", "2"});
    CHECK(call({"SINTERSTORE", "s", "s", "s"}) == "2");
    CHECK(call({"SDIFFSTORE", "s", "s", "s"}) == "0");
    call({"ZADD", "z", "1", "a"});
    CHECK(call({"ZUNIONSTORE", "z", "2", "z", "z"}) == "1");
    CHECK(call({"ZSCORE", "z", "a"}) == "\"2\"");
    call({"RPUSH", "l", "1", "2"});
    CHECK(call({"LMOVE", "l", "l", "LEFT", "RIGHT"}) == "\"1\"");
    CHECK(call({"RENAME", "l", "l"}) == "OK");
    CHECK(call({"LRANGE", "l", "0", "-1"}) == "[\"2\", \"1\"]");
    CHECK(call({"PFADD", "p", "a", "a"}) == "1");
    CHECK(call({"PFMERGE", "p", "p", "p"}) == "OK");
    CHECK(call({"PFCOUNT", "p", "p"}) == "1");
  }

  TEST_CASE("CVE-2023-28856: what an increment writes can be read, dumped and restored") {
    Harness harness(1);
    const auto peer = harness.connect();
    const auto call = [&](const Words& words) { return harness.call(*peer, words); };
    for (const char* number : {"1.7976931348623157e308", "-1.7976931348623157e308", "4.9e-324", "1e17", "inf",
                               "-inf", "nan", "1e400", "0x1p1000", " 1", "", "1e-5000"}) {
      CAPTURE(number);
      call({"DEL", "h", "s", "z", "copy"});
      call({"HINCRBYFLOAT", "h", "f", number});
      call({"HINCRBYFLOAT", "h", "f", number});
      call({"INCRBYFLOAT", "s", number});
      call({"INCRBYFLOAT", "s", number});
      call({"ZINCRBY", "z", number, "m"});
      call({"ZINCRBY", "z", number, "m"});
      for (const char* key : {"h", "s", "z"}) {
        if (call({"EXISTS", key}) == "0") continue;
        CHECK(call({"DEBUG", "RELOAD"}) == "OK");
        // By a script, so that the bytes stay bytes.
        CHECK(
            call({"EVAL", "return redis.call('restore', KEYS[2], 0, redis.call('dump', KEYS[1]), 'replace')",
                  "2", key, "copy"}) == "OK");
      }
      if (call({"EXISTS", "h"}) == "1") CHECK(!call({"HINCRBYFLOAT", "h", "f", "0"}).starts_with("(error)"));
      if (call({"EXISTS", "s"}) == "1") CHECK(!call({"INCRBYFLOAT", "s", "0"}).starts_with("(error)"));
    }
  }

  TEST_CASE("CVE-2023-41053: SORT_RO reads no key that its user may not, cold ones neither") {
    for (const uint32_t cold : {uint32_t{0}, UINT32_MAX / 4 * 3}) {
      Harness harness(1, {}, cold);
      const auto peer = harness.connect();
      CHECK(harness.call(*peer, {"RPUSH", "list", "1", "2"}) == "2");
      CHECK(harness.call(*peer, {"MSET", "secret1", "b", "secret2", "a"}) == "OK");
      CHECK(harness.call(*peer, {"ACL", "SETUSER", "u", "on", "nopass", "+@all", "~list"}) == "OK");
      CHECK(harness.call(*peer, {"COMPACT"}) == "OK");
      CHECK(harness.call(*peer, {"AUTH", "u", "any"}) == "OK");
      for (const char* command : {"SORT", "SORT_RO"}) {
        CHECK(harness.call(*peer, {command, "list"}) == "[\"1\", \"2\"]");
        CHECK(harness.call(*peer, {command, "secret1"}).starts_with("(error) NOPERM"));
        CHECK(harness.call(*peer, {command, "list", "BY", "secret*"}).starts_with("(error)"));
        CHECK(harness.call(*peer, {command, "list", "GET", "secret*"}).starts_with("(error)"));
        CHECK(
            harness.call(*peer, {command, "list", "BY", "nosort", "GET", "secret*"}).starts_with("(error)"));
      }
      CHECK(harness.call(*peer, {"SORT", "list", "STORE", "secret1"}).starts_with("(error) NOPERM"));
    }
  }

  TEST_CASE(
      "CVE-2024-31227, CVE-2024-51741: a selector that is none is refused, and the user stays as it was") {
    Harness harness(1);
    const auto peer = harness.connect();
    CHECK(harness.call(*peer, {"ACL", "SETUSER", "u", "on", "~a", "+get"}) == "OK");
    const std::string before = harness.call(*peer, {"ACL", "GETUSER", "u"});
    for (const std::string rule : {"(", ")", "((", "(()", "(+get", "(+get ~b", "(~b +nothing)", "(%X~b)",
                                   "(%~b)", "%", "%~", "(on)", "(>password)", "((+get))", "(&c"}) {
      CAPTURE(rule);
      CHECK(harness.call(*peer, {"ACL", "SETUSER", "u", rule}).starts_with("(error)"));
      CHECK(harness.call(*peer, {"ACL", "GETUSER", "u"}) == before);
    }
  }

  TEST_CASE("CVE-2025-21605: who has given no password and reads no reply takes little memory") {
    ignore_signals();
    Harness harness(1, {"--requirepass", "secret"});
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    harness.server->on_connection(ends[0], true);
    const std::string asked = Peer::encode({"GET", "k"});
    std::string many;
    while (many.size() < 64 << 10) many += asked;
    size_t most = 0;
    for (int i = 0; i < 300; ++i) {
      std::ignore = ::send(ends[1], many.data(), many.size(), MSG_NOSIGNAL);  // What goes in.
      harness.step();
      most = std::max(most, largest_output(harness));
    }
    CHECK(most < 4 << 20);
    ::close(ends[1]);
    const auto other = harness.connect();
    CHECK(harness.call(*other, {"AUTH", "secret"}) == "OK");
    CHECK(harness.call(*other, {"PING"}) == "PONG");
  }

  TEST_CASE("CVE-2026-23479: who waits for a key may go at any step of being served") {
    const std::vector<Words> waits = {{"BLPOP", "k", "0"},
                                      {"BLMOVE", "k", "l", "LEFT", "RIGHT", "0"},
                                      {"BLMPOP", "0", "2", "a", "k", "LEFT"},
                                      {"BZPOPMIN", "z", "0"},
                                      {"BZMPOP", "0", "2", "a", "z", "MIN"},
                                      {"XREAD", "BLOCK", "0", "STREAMS", "x", "$"},
                                      {"XREADGROUP", "GROUP", "g", "c", "BLOCK", "0", "STREAMS", "x", ">"}};
    ignore_signals();
    for (const Words& wait : waits) {
      CAPTURE(wait[0]);
      for (int gone_at = 0; gone_at < 14; ++gone_at) {
        CAPTURE(gone_at);
        Harness harness(static_cast<uint64_t>(gone_at) + 1, {}, UINT32_MAX / 3);
        const auto waiter = harness.connect(), second = harness.connect(), giver = harness.connect();
        harness.call(*giver, {"XGROUP", "CREATE", "x", "g", "$", "MKSTREAM"});
        waiter->send(wait);
        second->send(wait);
        for (int i = 0; i < 8; ++i) harness.step();
        giver->received();
        giver->send_raw(Peer::encode({"MULTI"}) + Peer::encode({"RPUSH", "k", "1", "2", "3"}) +
                        Peer::encode({"ZADD", "z", "1", "a", "2", "b"}) +
                        Peer::encode({"XADD", "x", "*", "f", "v"}) + Peer::encode({"EXEC"}));
        for (int i = 0; i < gone_at; ++i) harness.step();
        waiter->hang_up();
        harness.call(*giver, {"XADD", "x", "*", "f", "v"});  // The first may have taken all there was.
        CHECK(harness.replies(*second, 1).size() == 1);
        CHECK(harness.call(*harness.connect(), {"PING"}) == "PONG");
      }
    }
  }

  TEST_CASE(
      "CVE-2024-46981, CVE-2025-46819, CVE-2025-49844: scripts that broke Lua's own reader and collector") {
    Harness harness(1);
    const auto peer = harness.connect();
    for (const std::string& script : std::vector<std::string>{
             "[", "[=", "[==", "return [=", "return [" + std::string(70000, '=') + "[",
             "return [==[ ]=", "--[==[", "--[" + std::string(70000, '='), std::string(200, '('),
             std::string(100000, '{'), std::string(100000, '\n') + "return 1",
             "return " + std::string(300, '-') + "1", "local " + std::string(100000, 'a') + " = 1 return 1",
             "return setmetatable({}, {__gc = function() error('x') end})",
             "local p = newproxy and newproxy(true) return 1",
             "local t = setmetatable({}, {__mode = 'kv'}) for i = 1, 20000 do t[{}] = {} end return #t",
             "for i = 1, 300 do local f = loadstring('return ' .. string.rep('{', i)) end return 1",
             "return loadstring(string.rep('a = 1 ', 30000)) and 1"}) {
      CAPTURE(script.substr(0, 100));
      const std::string reply = harness.call(*peer, {"EVAL", script, "0"});
      CHECK(reply != "closed");
      CHECK(harness.call(*peer, {"EVAL", "return 7", "0"}) == "7");
    }
  }
}
