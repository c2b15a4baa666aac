// tests/replication/cluster.h: engines, primaries and replicas on simulated disks, tied by simulated links.
//
// Everything that happens, and when, follows from one seed.
#pragma once

#include <doctest/doctest.h>

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/sim.h"
#include "replication/primary.h"
#include "replication/replica.h"

namespace replication_test {

using namespace engine;
using replication::History;
using replication::PrimarySession;
using replication::Replica;

using Data = std::map<std::string, std::string>;

struct ClusterOptions {
  SyncPolicy policy = SyncPolicy::kAlways;
  uint64_t log_keep_bytes = 64 << 20;
  uint64_t timeout_ms = 3000;
  uint64_t checkpoint_bytes_per_second = 0;
  bool prompt = true;  // Records leave at once.
};

class Cluster;

// One process with its disk; both may die.
class Node final : public replication::ReplicaHost {
 public:
  Node(Cluster& cluster, int number, uint64_t seed);
  ~Node() { die(); }

  bool up() const { return engine != nullptr; }
  bool primary() const { return up() && follows < 0; }
  Status start();
  // The process is gone; the disk is as the kernel, or a power cut, leaves it.
  void kill();
  void cut_power(uint64_t seed);

  void follow(int whom);  // -1: nobody: it is promoted. Requires: up().
  bool write(const std::string& key, const std::string& value, Lsn* end);
  void turn();
  void tick();
  Data read_all();

  // ---- ReplicaHost
  void connect() override;
  void send(std::string bytes) override;
  void disconnect() override;
  void apply(const Batch& record) override;
  void reopen(std::function<void(Status)> done) override;
  void published(const replication::Published&) override {}
  void happened(const replication::Event&) override {}
  void say(const std::string& what) override { said.push_back(what); }

  struct Session {
    std::unique_ptr<PrimarySession> session;
    bool dead = false;
  };

  const int number;
  std::unique_ptr<SimWorld> world;
  std::unique_ptr<Engine> engine;
  History history;
  int follows = -1;
  int promote_later = -2;  // What follow() is to do once a checkpoint has been installed; -2: nothing.
  std::unique_ptr<Replica> replica;
  std::map<uint64_t, Session> sessions;  // By link.
  uint64_t link = 0;                     // To the primary; 0: none.
  std::vector<std::string> said;
  uint64_t full_copies = 0, cuts = 0, continues = 0;  // Of earlier lives too.
  bool reopening = false;

 private:
  friend class Cluster;
  void die();
  Cluster& cluster_;
  PlainSchema schema_;
  replication::ReplicaOptions replica_options_;
  replication::PrimaryOptions primary_options_;
  bool stopped_ = false;
};

class Cluster {
 public:
  Cluster(uint64_t seed, int nodes, ClusterOptions options);
  ~Cluster();

  SimEntropy dice;
  const ClusterOptions options;
  std::vector<std::unique_ptr<Node>> nodes;

  uint64_t roll(uint64_t bound) { return dice.below(bound); }
  // Something small happens somewhere.
  void step();
  void advance_ms(uint64_t ms);

  // ---- links
  struct Link {
    int replica, primary;
    std::deque<std::string> to_primary, to_replica;
    bool cut = false;  // Nothing moves, and nobody is told.
  };
  std::map<uint64_t, Link> links;
  void close_link(uint64_t id);  // Both ends hear of it, in time.
  void open_link(int replica, int primary);
  size_t unsent(uint64_t id) const;

 private:
  friend class Node;
  void deliver(uint64_t id);
  uint64_t last_link_ = 0;
};

}  // namespace replication_test
