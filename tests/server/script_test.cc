// Scripts: what a run that is taken back leaves behind (nothing), what they write, and what they can reach.
#include <doctest/doctest.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include "server/log.h"
#include "server/scripts/sha1.h"
#include "tests/server/server_harness.h"

using namespace server;

namespace {

using Words = std::vector<std::string>;

constexpr uint32_t kHalf = 1u << 31;  // Of 2^32: every other block that is looked at counts as cold.

Words eval(const std::string& script, const Words& keys = {}, const Words& args = {}) {
  Words words{"EVAL", script, std::to_string(keys.size())};
  words.insert(words.end(), keys.begin(), keys.end());
  words.insert(words.end(), args.begin(), args.end());
  return words;
}

// Keys k0 … k49 with values v0 … v49 and a hash of 600 fields, all of it in tables.
void fill(Harness& harness, Peer& peer) {
  for (int i = 0; i < 50; ++i) harness.call(peer, {"SET", "k" + std::to_string(i), "v" + std::to_string(i)});
  for (int i = 0; i < 600; ++i)
    harness.call(peer, {"HSET", "hash", "f" + std::to_string(i), std::to_string(i)});
  CHECK(harness.call(peer, {"DEBUG", "RELOAD"}) == "OK");
}

}  // namespace

TEST_SUITE("server/scripts") {
  TEST_CASE("a SHA-1 is what the standard says") {
    CHECK(sha1_hex("") == "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    CHECK(sha1_hex("abc") == "a9993e364706816aba3e25717850c26c9cd0d89d");
    CHECK(sha1_hex(std::string(1'000'000, 'a')) == "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
  }

  TEST_CASE("a script that meets cold data runs again and cannot tell") {
    // Reads that are not declared, guarded in every way that Lua has to stop an error, among writes and
    // random numbers: with half of all blocks cold the reply and the data are those of a server that has all
    // in memory.
    const std::string script =
        "local out = {} "
        "for i = 0, 49 do "
        "  local key = 'k' .. i "
        "  local way = i % 4 "
        "  local ok, value = true, nil "
        "  if way == 0 then value = redis.call('GET', key) "
        "  elseif way == 1 then ok, value = pcall(redis.call, 'GET', key) "
        "  elseif way == 2 then ok, value = xpcall(function() return redis.call('GET', key) end, "
        "                                          function(e) return 'stopped' end) "
        "  else "
        "    local co = coroutine.create(function() coroutine.yield(1) return redis.call('GET', key) end) "
        "    coroutine.resume(co) ok, value = coroutine.resume(co) "
        "  end "
        "  out[#out + 1] = tostring(ok) .. ' ' .. tostring(value) "
        "  redis.call('INCR', 'runs') "
        "  redis.call('HINCRBY', 'hash', 'f' .. (i * 11), 1) "
        "end "
        "math.randomseed(5) "
        "out[#out + 1] = tostring(math.random(1000000)) "
        "out[#out + 1] = redis.call('GET', 'runs') "
        "local wrapped = coroutine.wrap(function() return redis.call('HGET', 'hash', 'f500') end) "
        "out[#out + 1] = wrapped() "
        "return out";
    std::string expected;
    for (const uint64_t seed : {1, 2, 3}) {
      for (const uint32_t cold : {0u, kHalf}) {
        CAPTURE(seed);
        CAPTURE(cold);
        Harness harness(seed, {}, cold);
        const auto peer = harness.connect();
        fill(harness, *peer);
        const uint64_t before = harness.server->stats().cold_restarts;
        const std::string reply = harness.call(*peer, eval(script));
        if (expected.empty()) expected = reply;
        CHECK(reply == expected);
        CHECK(reply.find("true v49") != std::string::npos);
        CHECK(harness.call(*peer, {"GET", "runs"}) == "\"50\"");
        CHECK(harness.call(*peer, {"HGET", "hash", "f11"}) == "\"12\"");
        const uint64_t restarts = harness.server->stats().cold_restarts - before;
        if (cold > 0) CHECK(restarts > 0);
      }
    }
  }

  TEST_CASE("settings of cjson that a taken-back run made are unmade, and its random numbers come again") {
    Harness harness(7, {}, kHalf);
    const auto peer = harness.connect();
    fill(harness, *peer);
    // Each setting returns what it was set to; asked first, it tells what it was before.
    const std::string script =
        "local was = cjson.encode_max_depth() "
        "cjson.encode_max_depth(was + 1) "
        "local drawn = math.random(1000000000) "
        "for i = 0, 49 do redis.call('GET', 'k' .. i) end "
        "redis.call('SET', 'drawn', drawn) "
        "return {was, drawn}";
    const std::string first = harness.call(*peer, eval(script));
    CHECK(first.starts_with("[1000, "));
    CHECK(first ==
          "[1000, " + harness.call(*peer, eval("return tonumber(redis.call('GET', 'drawn'))")) + "]");
    const std::string second = harness.call(*peer, eval(script));
    CHECK(second.starts_with("[1001, "));
    CHECK(second.substr(7) != first.substr(7));  // The next script has other numbers.
    CHECK(harness.server->stats().cold_restarts > 0);
  }

  TEST_CASE("KEYS are fetched together") {
    Harness harness(3, {}, 0);
    const auto peer = harness.connect();
    fill(harness, *peer);
    Words keys;
    for (int i = 0; i < 50; ++i) keys.push_back("k" + std::to_string(i));
    CHECK(harness.call(*peer, eval("return redis.call('GET', KEYS[50])", keys)) == "\"v49\"");
  }

  TEST_CASE("what a script wrote before it failed stays; what a command inside refused is no write") {
    Harness harness(1, {}, kHalf);
    const auto peer = harness.connect();
    const std::string failed = harness.call(*peer, eval("redis.call('SET', 'a', '1') redis.call('INCR', 'a') "
                                                        "redis.call('LPUSH', 'a', 'x')"));
    CHECK(failed.find("WRONGTYPE") != std::string::npos);
    CHECK(harness.call(*peer, {"GET", "a"}) == "\"2\"");
    CHECK(harness.call(*peer, {"EVAL_RO", "return redis.call('SET', 'a', '9')", "0"})
              .find("Write commands are not allowed from read-only scripts.") != std::string::npos);
    CHECK(harness.call(*peer, {"GET", "a"}) == "\"2\"");
  }

  TEST_CASE("what a script logs is logged once, though its transaction begins anew for want of cold data") {
    // It was written when the script had run, and again when it ran again because of what stood behind it.
    Harness harness(6, {}, kHalf);
    const auto peer = harness.connect();
    fill(harness, *peer);
    char path[] = "/tmp/varve-script-log-XXXXXX";
    const int file = ::mkstemp(path);
    REQUIRE(file >= 0);
    ::close(file);
    REQUIRE(log_to(path).ok());
    const auto before = harness.server->stats().cold_restarts;
    harness.call(*peer, {"MULTI"});
    harness.call(*peer, eval("redis.log(redis.LOG_WARNING, 'said once') return 1"));
    for (int i = 0; i < 50; ++i) harness.call(*peer, {"GET", "k" + std::to_string(i)});
    CHECK(harness.call(*peer, {"EXEC"}).starts_with("[1, \"v0\""));
    CHECK(harness.server->stats().cold_restarts > before);
    REQUIRE(log_to("").ok());
    std::ifstream lines(path);
    int said = 0;
    for (std::string line; std::getline(lines, line);) said += line.ends_with("# said once");
    CHECK(said == 1);
    ::unlink(path);
  }

  TEST_CASE("scripts that only read stay on the reactor however much they read") {
    Harness harness(4, {}, kHalf);
    const auto peer = harness.connect();
    fill(harness, *peer);
    CHECK(harness.call(*peer, {"EVAL_RO",
                               "local n = 0 for i = 1, 20 do n = n + #redis.call('HGETALL', 'hash') "
                               "end return n",
                               "0"}) == "24000");
    CHECK(harness.server->stats().long_reads == 0);
  }

  TEST_CASE("the cache knows scripts by their SHA1, in any case, until it is flushed") {
    Harness harness(1);
    const auto peer = harness.connect();
    const std::string sha1 = sha1_hex("return 7");
    CHECK(harness.call(*peer, {"EVALSHA", sha1, "0"}) ==
          "(error) NOSCRIPT No matching script. Please use EVAL.");
    CHECK(harness.call(*peer, {"SCRIPT", "LOAD", "return 7"}) == "\"" + sha1 + "\"");
    std::string upper = sha1;
    for (char& c : upper) c = c >= 'a' && c <= 'f' ? static_cast<char>(c - 32) : c;
    CHECK(harness.call(*peer, {"EVALSHA", upper, "0"}) == "7");
    CHECK(harness.call(*peer, {"SCRIPT", "EXISTS", upper, "x"}) == "[1, 0]");
    CHECK(harness.call(*peer, {"SCRIPT", "FLUSH"}) == "OK");
    CHECK(harness.call(*peer, {"SCRIPT", "EXISTS", sha1}) == "[0]");
  }

  TEST_CASE("a script reaches what is listed here and nothing else") {
    Harness harness(1);
    const auto peer = harness.connect();
    CHECK(harness.call(*peer, eval("local t = {} for k in pairs(_G) do t[#t + 1] = k end table.sort(t) "
                                   "return table.concat(t, ' ')")) ==
          "\"ARGV KEYS _G _VERSION assert bit cjson cmsgpack collectgarbage coroutine error gcinfo "
          "getmetatable ipairs load loadstring math next pairs pcall rawequal rawget rawset redis select "
          "setmetatable string struct table tonumber tostring type unpack xpcall\"");
  }

  TEST_CASE(
      "what one script does to the globals, the libraries or the methods of strings no other one sees") {
    Harness harness(1);
    const auto peer = harness.connect();
    for (const char* attack : {"foo = 1",
                               "_G.foo = 1",
                               "rawset(_G, 'foo', 1)",
                               "setmetatable(_G, {})",
                               "_G._G.foo = 1",
                               "redis.call = nil",
                               "rawset(redis, 'call', 1)",
                               "table.insert(redis, 1)",
                               "table.sort(string)",
                               "table.remove(math)",
                               "string.rep = nil",
                               "getmetatable('').__index = nil",
                               "rawset(getmetatable(''), '__index', nil)",
                               "getmetatable('').__index.rep = nil",
                               "setmetatable(string, {})",
                               "getmetatable(_G).__index = nil",
                               "rawset(getmetatable(_G), '__index', nil)",
                               "cjson.decode = nil",
                               "coroutine.wrap = nil",
                               "local k = next(redis) redis[k] = nil",
                               "math.random = nil",
                               "setmetatable(getmetatable(_G), {__index = 1})"}) {
      CAPTURE(attack);
      const std::string reply = harness.call(*peer, eval(attack));
      CHECK(reply.find("Attempt to modify a readonly table") != std::string::npos);
    }
    CHECK(harness.call(*peer, eval("return foo")).find("nonexistent global variable 'foo'") !=
          std::string::npos);
    CHECK(harness.call(*peer, eval("return ('x'):rep(3) .. redis.call('ECHO', 'y')")) == "\"xxxy\"");
    // The collector goes on whatever a script said.
    CHECK(harness.call(*peer, eval("return collectgarbage('stop')")) == "0");
  }

  TEST_CASE("compiled code is not loaded") {
    // It could hold anything, also what the compiler would never make: CVE-2015-4335.
    Harness harness(1);
    const auto peer = harness.connect();
    CHECK(harness.call(*peer, eval("return tostring(loadstring(string.dump(function() end)))")) == "\"nil\"");
    CHECK(
        harness.call(*peer, eval("local s = string.dump(function() return 1 end) local done = false "
                                 "return tostring(load(function() if not done then done = true return s end "
                                 "end))")) == "\"nil\"");
    CHECK(harness.call(*peer, eval(std::string("\x1bLua\x51\x00\x01", 7))).find("Error compiling script") !=
          std::string::npos);
  }

  TEST_CASE("a script that wants more memory than there is for it gets an error, and others go on") {
    Harness harness(1);
    const auto peer = harness.connect();
    const std::string reply = harness.call(*peer, eval("local s = string.rep('x', 1000000) local t = {} "
                                                       "for i = 1, 1000 do t[i] = s .. i end return #t"));
    CHECK(reply.find("not enough memory") != std::string::npos);
    CHECK(harness.call(*peer, eval("return 1")) == "1");
  }

  TEST_CASE("numbers, sizes and depths that broke other implementations are refused") {
    Harness harness(1);
    const auto peer = harness.connect();
    const auto failing = [&](const std::string& script) {
      CAPTURE(script);
      CHECK(harness.call(*peer, eval(script)).starts_with("(error)"));
    };
    // struct: CVE-2015-8080, CVE-2018-11219, CVE-2020-14147.
    failing("return struct.unpack('c2147483647c2147483647', 'x')");
    failing("return struct.unpack('i', 'abcd', -1)");
    failing("return struct.unpack('i', 'abcd', 4294967296)");
    failing("return struct.unpack('i', 'abcd', 9223372036854775807)");
    failing("return struct.pack('i99999999999')");
    failing("return struct.unpack('Bc0', '\\255x')");
    failing("return struct.unpack('dc0', struct.pack('d', -1) .. 'x')");
    failing("return struct.unpack('dc0', struct.pack('d', 1e300) .. 'x')");
    // cmsgpack: CVE-2018-11218, CVE-2022-24834.
    failing("return cmsgpack.unpack(string.rep('\\145', 1000000))");
    failing("return cmsgpack.unpack('\\221\\255\\255\\255\\255')");
    failing("return cmsgpack.unpack('\\219\\255\\255\\255\\255x')");
    failing("local t = {} for i = 1, 8000 do t[i] = i end return #cmsgpack.pack(unpack(t))");
    failing("return cjson.decode(string.rep('[', 1000000))");
    failing("cjson.decode_max_depth(2147483647) return cjson.decode(string.rep('[', 1000000))");
    failing(
        "local t = {} for i = 1, 100000 do t = {t} end cjson.encode_max_depth(2147483647) "
        "return cjson.encode(t)");
    // bit.tohex: CVE-2024-31449.
    CHECK(harness.call(*peer, eval("return bit.tohex(65535, -2147483648)")) == "\"0000FFFF\"");
    // unpack: CVE-2025-46817.
    failing("return {unpack({1, 2, 3}, -2147483648, 2147483647)}");
    failing("return {unpack({1, 2, 3}, 0, 2147483647)}");
    failing("return string.rep('x', -1):rep(1e10)  .. nil");
    CHECK(harness.call(*peer, eval("return 1")) == "1");
  }
}
