#include "server/digest.h"

#include <string>
#include <vector>

#include "tests/server/server_harness.h"

using namespace server;

namespace {

void fill(Harness& h, Peer& peer) {
  const std::vector<std::vector<std::string>> writes{
      {"set", "a", "1"},
      {"set", "e", "1", "ex", "1000"},
      {"setrange", "big", "100000", "y"},
      {"rpush", "l", "1", "2", "3", "abc"},
      {"zadd", "z", "1", "a", "2.5", "b", "-inf", "c", "1e300", "d", "0.1", "e"},
      {"hset", "h", "a", "1", "b", "2", "c", "3"},
      {"sadd", "s", "1", "2", "3", "x"},
      {"xadd", "x", "1-2", "f", "v", "g", "w"},
      {"xadd", "x", "1-3", "f", "v"},
      {"select", "3"},
      {"set", "a", "1"},
      {"select", "0"}};
  for (const auto& write : writes) REQUIRE(h.call(peer, write).find("ERR") == std::string::npos);
}

}  // namespace

TEST_SUITE("server/digest") {
  TEST_CASE("digests are those of redis-server 7.0.15 with the same data") {
    Harness h(1);
    const auto peer = h.connect();
    CHECK(h.call(*peer, {"debug", "digest"}) == std::string(40, '0'));
    fill(h, *peer);
    CHECK(h.call(*peer, {"debug", "digest-value", "a", "e", "big", "l", "z", "h", "s", "x", "none"}) ==
          "[b4fc66738120fba0b5aa500ab5c2bf89cea1c5da, 5279988c5d1911f474bcbbf2f0a87012d40f8459, "
          "62b56667cdd00e488800acc1ae0ccee04a91a1a6, cbc2b0523a70ea13d1198b6811ae18689f1328fe, "
          "a6457a793971ddb3b0da85bf853f9ca22fa538f0, b60c36e529712296d694f27b5914cbe84950995e, "
          "3bb087b1948bf20dd8244692cb9519e2c3947234, a4a172355de97fadc687d82179aeaad92a6c5599, "
          "0000000000000000000000000000000000000000]");
    CHECK(h.call(*peer, {"debug", "digest"}) == "dbbaf2c29a2c98d63af5e89a30b801aa1764138b");
  }

  TEST_CASE("a digest is the same however the data lie, and another one when they differ") {
    Harness h(2);
    const auto peer = h.connect();
    fill(h, *peer);
    for (int i = 0; i < 400; ++i) {
      h.call(*peer, {"hset", "H", "f" + std::to_string(i), "v"});
      h.call(*peer, {"sadd", "S", "m" + std::to_string(i)});
    }
    const std::string before = h.call(*peer, {"debug", "digest"});
    CHECK(h.call(*peer, {"debug", "reload"}) == "OK");
    CHECK(h.call(*peer, {"debug", "digest"}) == before);
    h.call(*peer, {"hset", "H", "f1", "w"});
    CHECK(h.call(*peer, {"debug", "digest"}) != before);
    h.call(*peer, {"hset", "H", "f1", "v"});
    CHECK(h.call(*peer, {"debug", "digest"}) == before);
    h.call(*peer, {"persist", "e"});
    CHECK(h.call(*peer, {"debug", "digest"}) != before);
  }

  TEST_CASE("DEBUG POPULATE makes what is not there, in as many batches as it takes") {
    Harness h(3);
    const auto peer = h.connect();
    h.call(*peer, {"set", "key:7", "mine"});
    CHECK(h.call(*peer, {"debug", "populate", "2500"}) == "OK");
    CHECK(h.call(*peer, {"dbsize"}) == "2500");
    CHECK(h.call(*peer, {"get", "key:7"}) == "\"mine\"");
    CHECK(h.call(*peer, {"get", "key:2499"}) == "\"value:2499\"");
    CHECK(h.call(*peer, {"debug", "populate", "3", "p", "4"}) == "OK");
    CHECK(h.call(*peer, {"get", "p:2"}) == "\"valu\"");
  }
}
