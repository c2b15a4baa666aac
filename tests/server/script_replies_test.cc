// The scripts of script_corpus.txt, each in RESP2 and in RESP3, here and in the system's redis-server: the
// same replies, errors to the letter. Values both ways, redis.*, the sandbox, cjson, cmsgpack, struct, bit.
#include <doctest/doctest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/server/real_redis.h"
#include "tests/server/server_harness.h"

using namespace server;

namespace {

std::vector<std::string> corpus() {
  std::ifstream file(std::string(VARVE_TESTS_DIR) + "/script_corpus.txt", std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  const std::string all = text.str(), mark = "\n===\n";
  std::vector<std::string> scripts;
  for (size_t at = 0; at < all.size();) {
    const size_t end = std::min(all.find(mark, at), all.size() - 1);
    scripts.push_back(all.substr(at, end - at));
    at = end + mark.size();
  }
  return scripts;
}

}  // namespace

TEST_SUITE("server/scripts") {
  TEST_CASE("scripts reply as they do in redis-server") {
    const auto redis = RealRedis::start();
    if (redis == nullptr) {
      MESSAGE("no redis-server here");
      return;
    }
    const auto scripts = corpus();
    REQUIRE(scripts.size() > 300);
    for (const char* version : {"2", "3"}) {
      CAPTURE(version);
      Harness harness(1, {}, 1u << 30);
      const auto peer = harness.connect();
      const auto both = [&](const std::vector<std::string>& words) {
        const std::string ours = harness.call(*peer, words);
        const auto theirs = redis->ask(words);
        REQUIRE(theirs.has_value());
        return std::pair(ours, to_text(*theirs));
      };
      both({"FLUSHALL"});
      both({"HELLO", version});
      for (const std::string& script : scripts) {
        const auto [ours, theirs] = both({"EVAL", script, "2", "k1", "k2", "a1", "a2"});
        CHECK_MESSAGE(ours == theirs, script);
      }
    }
  }
}
