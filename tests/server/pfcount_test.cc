// PFCOUNT reads, and keeps its estimate beside the registers where it may write: nobody who may only read can
// make it write.
#include <doctest/doctest.h>

#include <string>

#include "tests/server/server_harness.h"

using namespace server;

namespace {

// A HyperLogLog whose estimate is not kept yet.
void fill(Harness& h, Peer& peer) { REQUIRE(h.call(peer, {"PFADD", "hll", "a", "b", "c"}) == "1"); }

}  // namespace

TEST_SUITE("server/pfcount") {
  TEST_CASE("the estimate is written once") {
    Harness h(1);
    const auto peer = h.connect();
    fill(h, *peer);
    const auto before = h.engine->end();
    CHECK(h.call(*peer, {"PFCOUNT", "hll"}) == "3");
    const auto after = h.engine->end();
    CHECK(after > before);
    CHECK(h.call(*peer, {"PFCOUNT", "hll"}) == "3");
    CHECK(h.engine->end() == after);
  }

  TEST_CASE("scripts that only read cannot call it, and who may only read writes nothing by it") {
    Harness h(2);
    const auto peer = h.connect();
    fill(h, *peer);
    REQUIRE(h.call(*peer, {"ACL", "SETUSER", "reader", "on", "nopass", "+@all", "%R~*"}) == "OK");
    REQUIRE(h.call(*peer, {"ACL", "SETUSER", "viewer", "on", "nopass", "+@read", "~*"}) == "OK");
    const auto before = h.engine->end();
    const std::string script = "return redis.call('pfcount', 'hll')";
    CHECK(h.call(*peer, {"EVAL_RO", script, "0"}).find("Write commands are not allowed") !=
          std::string::npos);
    CHECK(h.call(*peer, {"EVAL", "#!lua flags=no-writes\n" + script, "0"}).find("Write commands are not") !=
          std::string::npos);
    const auto reader = h.connect();
    REQUIRE(h.call(*reader, {"AUTH", "reader", "x"}) == "OK");
    CHECK(h.call(*reader, {"PFCOUNT", "hll"}) == "3");
    REQUIRE(h.call(*reader, {"AUTH", "viewer", "x"}) == "OK");
    CHECK(h.call(*reader, {"PFCOUNT", "hll"}) == "3");
    CHECK(h.engine->end() == before);
  }

  TEST_CASE("a replica answers and writes nothing") {
    Harness h(3);
    const auto peer = h.connect();
    fill(h, *peer);
    REQUIRE(h.call(*peer, {"REPLICAOF", "127.0.0.1", "1"}) == "OK");
    const auto before = h.engine->end();
    CHECK(h.call(*peer, {"PFCOUNT", "hll"}) == "3");
    CHECK(h.call(*peer, {"EVAL", "return redis.call('pfcount', 'hll')", "0"}) == "3");
    CHECK(h.engine->end() == before);
  }

  TEST_CASE("where writes are refused it answers all the same") {
    Harness h(4, {"--appendfsync", "always"});
    const auto peer = h.connect();
    fill(h, *peer);
    h.world.disk->fail_operations("sync");
    CHECK(h.call(*peer, {"SET", "k", "v"}) == "closed");
    const auto next = h.connect();
    CHECK(h.call(*next, {"PFCOUNT", "hll"}) == "3");
    h.world.disk->no_faults();
  }
}
