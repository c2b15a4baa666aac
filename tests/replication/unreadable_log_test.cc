// A primary whose disk has lost a part of the log that a replica needs.
#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/replication/cluster.h"

namespace {

using namespace replication_test;

void write(Node& node, int first, int last) {
  for (int i = first; i < last; ++i) {
    Lsn end = 0;
    while (!node.write("key" + std::to_string(i), std::string(200, 'v'), &end)) {
      node.turn();
      node.world->executor.run_all();
    }
    node.turn();
    node.world->executor.run_all();
  }
}

bool caught_up(const Node& replica, const Node& primary) {
  return replica.up() && !replica.reopening && replica.replica->link_up() &&
         replica.engine->end() == primary.engine->end();
}

// It took some thousand steps; it never came when there was a mistake.
bool in_time(Cluster& cluster, const std::function<bool()>& true_now) {
  for (int steps = 0; steps < 300'000; ++steps) {
    if (true_now()) return true;
    cluster.step();
  }
  return false;
}

std::vector<std::string> segments(const Node& node) {
  std::vector<std::string> paths;
  const auto names = node.world->disk->list("/db");
  for (const std::string& name : names.value())
    if (name.size() == 20 && name.ends_with(".log")) paths.push_back("/db/" + name);
  return paths;
}

}  // namespace

TEST_SUITE("replication/unreadable log") {
  // The replica asked for the same place again, and again got the records up to the damage and then the end
  // of the connection, for ever.
  TEST_CASE("who needs what cannot be read gets a full copy, once") {
    for (uint64_t seed = 1; seed <= 10; ++seed) {
      CAPTURE(seed);
      Cluster cluster(seed, 2, {});
      Node &primary = *cluster.nodes[0], &replica = *cluster.nodes[1];
      replica.follows = 0;
      REQUIRE(primary.start().ok());
      REQUIRE(replica.start().ok());
      write(primary, 0, 50);
      REQUIRE(in_time(cluster, [&] { return caught_up(replica, primary); }));
      replica.kill();
      const uint64_t copies = replica.full_copies;
      // While somebody reads, the newest records are in memory too.
      REQUIRE(in_time(cluster, [&] { return primary.sessions.empty(); }));
      write(primary, 50, 650);

      const std::vector<std::string> paths = segments(primary);
      REQUIRE(paths.size() > 4);
      const std::string& damaged = paths[paths.size() / 2];
      for (uint64_t byte = 5000; byte < 12'000; byte += 100)  // Between the frames it would do nothing.
        primary.world->disk->flip_bit(damaged, byte, 3);

      REQUIRE(replica.start().ok());
      REQUIRE(in_time(cluster, [&] { return caught_up(replica, primary); }));
      CHECK(replica.replica->full_copies() == 1);
      CHECK(replica.full_copies == copies);
      write(primary, 650, 700);
      REQUIRE(in_time(cluster, [&] { return caught_up(replica, primary); }));
      CHECK(replica.replica->full_copies() == 1);
      CHECK(replica.read_all() == primary.read_all());
    }
  }
}
