// A primary, its replicas, their disks and the links between them, on one thread, by seed.
//
// All the time: what a node holds is exactly what its history and its LSN say, which is a prefix of what the
// writers wrote in those epochs (R1 of replication/replica.h). After a promotion: everything that had been
// acknowledged under its class is there. In the end, when nothing fails any more: all nodes are the same.
#include <cstdlib>
#include <sstream>

#include "tests/replication/cluster.h"

using namespace replication_test;

namespace {

enum class Faults {
  kCuts,   // Only links fail.
  kKills,  // Processes are killed; what the kernel was given stays. One replica has written it.
  kPower,  // Machines lose power. One replica has synced it.
};

struct Write {
  std::string epoch;
  Lsn begin, end;
  std::string key, value;
};

class Simulation {
 public:
  Simulation(uint64_t seed, Faults faults) : faults_(faults), cluster_(seed, 3, options_of(seed, faults)) {
    for (auto& node : cluster_.nodes) {
      if (node->number != 0) node->follows = node->number == 2 && seed % 5 == 0 ? 1 : 0;  // A chain.
      REQUIRE(node->start().ok());
    }
  }

  void run(int steps) {
    for (int i = 0; i < steps; ++i) {
      cluster_.step();
      note_acknowledged();
      if (cluster_.roll(6) == 0) write();
      if (cluster_.roll(60) == 0) fault();
      if (cluster_.roll(200) == 0) check_one();
    }
    heal();
  }

  uint64_t full_copies = 0, cuts = 0, continues = 0, acknowledged = 0, promotions = 0;

  std::string said() const {
    std::string all;
    for (const auto& each : cluster_.nodes)
      for (const std::string& line : each->said) all += std::to_string(each->number) + ": " + line + "\n";
    return all;
  }

 private:
  static ClusterOptions options_of(uint64_t seed, Faults faults) {
    ClusterOptions options;
    options.policy = faults == Faults::kPower ? SyncPolicy::kAlways : SyncPolicy::kEverySec;
    // With little kept, and under flushes, replicas that were away need checkpoints.
    options.log_keep_bytes = faults == Faults::kCuts || seed % 2 == 0 ? 64 << 20 : 0;
    options.prompt = seed % 3 != 0;
    if (seed % 4 == 3) options.checkpoint_bytes_per_second = 100'000;
    return options;
  }
  Node& node(int i) { return *cluster_.nodes[static_cast<size_t>(i)]; }
  Node* primary() {
    for (auto& candidate : cluster_.nodes)
      if (candidate->number == primary_ && candidate->primary()) return candidate.get();
    return nullptr;
  }

  void write() {
    // Now and then to one that does not know yet that it has been replaced.
    Node* to = primary();
    if (cluster_.roll(4) == 0) {
      Node& other = node(static_cast<int>(cluster_.roll(3)));
      if (other.primary()) to = &other;
    }
    if (to == nullptr || to->reopening) return;
    const std::string key = "k" + std::to_string(cluster_.roll(40));
    std::string value;
    if (cluster_.roll(8) != 0) {
      value = std::to_string(++values_);
      value.append(cluster_.roll(200), static_cast<char>('a' + values_ % 26));
    }
    const Lsn begin = to->engine->end();
    Lsn end = 0;
    if (!to->write(key, value, &end)) return;
    writes_.push_back({to->history.present().id, begin, end, key, value});
  }

  // What the present primary may tell its writers by now.
  void note_acknowledged() {
    Node* from = primary();
    if (from == nullptr || from->reopening) return;
    const bool power = faults_ == Faults::kPower;
    Lsn replicas = 0;
    for (auto& [id, session] : from->sessions) {
      if (session.dead || !session.session->online()) continue;
      const auto& ack = session.session->ack();
      replicas = std::max(replicas, power ? ack.synced : ack.written);
    }
    const Lsn own = power ? from->engine->synced() : from->engine->written();
    const Lsn upto = std::min(own, replicas);
    for (; noted_ < writes_.size(); ++noted_) {
      const Write& write = writes_[noted_];
      if (write.epoch != from->history.present().id) continue;
      if (write.end > upto) return;
      acknowledged_.push_back(write);
      ++acknowledged;
    }
  }

  void fault() {
    if (cluster_.roll(2) == 0 && !cluster_.links.empty()) {
      auto link = cluster_.links.begin();
      std::advance(link, static_cast<ptrdiff_t>(cluster_.roll(cluster_.links.size())));
      cluster_.close_link(link->first);
      return;
    }
    if (faults_ == Faults::kCuts) return;
    // A disk that is full for a while.
    for (auto& each : cluster_.nodes) each->world->disk->set_capacity(SimDisk::kNever);
    if (cluster_.roll(5) == 0) {
      SimDisk& disk = *node(static_cast<int>(cluster_.roll(3))).world->disk;
      disk.set_capacity(disk.used_bytes() + cluster_.roll(40'000));
      return;
    }
    // One failure at a time: nobody else is away.
    Node* down = nullptr;
    for (auto& each : cluster_.nodes)
      if (!each->up()) down = each.get();
    if (down != nullptr) {
      if (down->number == primary_ && cluster_.roll(2) == 0) fail_over();
      if (cluster_.roll(3) == 0) {
        if (down->number != primary_ && cluster_.roll(2) == 0) down->follows = primary_;
        restart(*down);
      }
      return;
    }
    // Whoever came back as a primary is told by now.
    for (auto& each : cluster_.nodes) {
      if (each->number != primary_ && each->primary() && !each->reopening) return each->follow(primary_);
    }
    // Both replicas must have got a whole store, or losing the primary is losing everything.
    Node& victim = node(static_cast<int>(cluster_.roll(3)));
    if (victim.number == primary_ && !settled()) return;
    if (faults_ == Faults::kPower) {
      victim.cut_power(cluster_.dice.next());
    } else {
      victim.kill();
    }
  }

  void restart(Node& down) {
    const Status started = down.start();
    INFO("node ", down.number, ": ", started.message());
    REQUIRE(started.ok());
  }

  // Whether all others hold the primary's epoch.
  bool settled() {
    Node* now = primary();
    if (now == nullptr) return false;
    for (auto& each : cluster_.nodes) {
      if (!each->up() || each->reopening || each->history.empty()) return false;
      if (each->history.present() != now->history.present()) return false;
    }
    return true;
  }

  // As Sentinel does: the replica that has come furthest.
  void fail_over() {
    Node* best = nullptr;
    for (auto& each : cluster_.nodes) {
      if (!each->up() || each->number == primary_) continue;
      if (each->reopening) return;
      if (!best || each->history.epochs().size() > best->history.epochs().size() ||
          (each->history == best->history && each->engine->end() > best->engine->end()))
        best = each.get();
    }
    if (best == nullptr) return;
    best->follow(-1);
    if (!best->primary()) return;  // It installs a checkpoint.
    ++promotions;
    primary_ = best->number;
    for (auto& each : cluster_.nodes)
      if (each->up() && each->number != primary_) each->follow(primary_);
    check_acknowledged(*best);
  }

  // ---- checks

  // Which of the writes a log of this history up to `end` holds.
  std::vector<const Write*> held(const History& history, Lsn end) const {
    std::vector<const Write*> found;
    for (const Write& write : writes_) {
      for (size_t i = 0; i < history.epochs().size(); ++i) {
        if (history.epochs()[i].id != write.epoch) continue;
        const bool last = i + 1 == history.epochs().size();
        if (write.end <= (last ? end : std::min(end, history.epochs()[i + 1].begin))) found.push_back(&write);
      }
    }
    return found;
  }

  void check_node(Node& each) {
    CAPTURE(each.number);
    CAPTURE(each.follows);
    CAPTURE(each.engine->end());
    Data expected;
    auto writes = held(each.history, each.engine->end());
    std::sort(writes.begin(), writes.end(), [](auto* a, auto* b) { return a->end < b->end; });
    for (const Write* write : writes) {
      if (write->value.empty()) {
        expected.erase(write->key);
      } else {
        expected[write->key] = write->value;
      }
    }
    REQUIRE(each.read_all() == expected);
  }
  void check_one() {
    Node& each = node(static_cast<int>(cluster_.roll(3)));
    if (each.up() && !each.reopening) check_node(each);
  }
  void check_acknowledged(Node& now) {
    std::map<std::pair<std::string, Lsn>, bool> there;
    for (const Write* write : held(now.history, now.engine->end())) there[{write->epoch, write->end}] = true;
    for (const Write& write : acknowledged_) {
      INFO("acknowledged at LSN ", write.end, ", promoted at ", now.engine->end());
      REQUIRE(there.contains({write.epoch, write.end}));
    }
  }

  void heal() {
    for (auto& each : cluster_.nodes) each->world->disk->set_capacity(SimDisk::kNever);
    for (auto& each : cluster_.nodes)
      if (!each->up()) restart(*each);
    for (auto& each : cluster_.nodes)
      if (each->number != primary_ && !each->reopening) each->follow(primary_);
    for (int i = 0;; ++i) {
      REQUIRE(i < 400000);
      cluster_.step();
      if (i % 500 == 0) {
        for (auto& each : cluster_.nodes)
          if (each->number != primary_ && !each->reopening) each->follow(primary_);
      }
      if (i % 50 != 0) continue;
      bool same = primary() != nullptr;
      for (auto& each : cluster_.nodes) {
        same = same && !each->reopening && (each->number == primary_ || each->replica->link_up()) &&
               each->engine->end() == primary()->engine->end();
      }
      if (same) break;
    }
    check_acknowledged(*primary());
    for (auto& each : cluster_.nodes) {
      REQUIRE(each->history == primary()->history);
      check_node(*each);
      cuts += each->cuts + each->replica->cuts();
      full_copies += each->full_copies + each->replica->full_copies();
      continues += each->continues + each->replica->continues();
    }
  }

  const Faults faults_;
  Cluster cluster_;
  int primary_ = 0;
  std::vector<Write> writes_;
  std::vector<Write> acknowledged_;
  size_t noted_ = 0;
  uint64_t values_ = 0;
};

struct Totals {
  uint64_t full_copies = 0, cuts = 0, continues = 0, acknowledged = 0, promotions = 0;
  bool operator==(const Totals&) const = default;
};

void simulate(uint64_t seed, int steps, Totals* totals) {
  CAPTURE(seed);
  const auto faults = static_cast<Faults>(seed % 3);
  Simulation simulation(seed, faults);
  simulation.run(steps);
  // Each replica needs the store once; a link that fails is no reason to need it again.
  INFO(simulation.said());
  if (faults == Faults::kCuts) CHECK(simulation.full_copies == 2);
  totals->cuts += simulation.cuts;
  totals->full_copies += simulation.full_copies;
  totals->continues += simulation.continues;
  totals->acknowledged += simulation.acknowledged;
  totals->promotions += simulation.promotions;
}

}  // namespace

TEST_SUITE("replication/simulation") {
  TEST_CASE("replicas hold a prefix of the history, keep what was acknowledged, and converge") {
    Totals totals;
    // Most of what can go wrong does so soon; some runs go on for longer.
    for (uint64_t seed = 1; seed <= 2000; ++seed) simulate(seed, seed <= 60 ? 5000 : 1500, &totals);
    // It would show nothing if nothing had happened.
    CHECK(totals.full_copies > 2000);
    CHECK(totals.continues > 3000);
    CHECK(totals.cuts > 50);
    CHECK(totals.acknowledged > 50'000);
    CHECK(totals.promotions > 100);
    MESSAGE("full copies ", totals.full_copies, ", tails cut ", totals.cuts, ", continues ", totals.continues,
            ", acknowledged ", totals.acknowledged, ", promotions ", totals.promotions);
  }

  TEST_CASE("a seed repeats its run exactly") {
    for (uint64_t seed = 1; seed <= 6; ++seed) {
      Totals once, again;
      simulate(seed, 3000, &once);
      simulate(seed, 3000, &again);
      CHECK(once == again);
    }
  }
}

TEST_SUITE("slow/replication/simulation") {
  TEST_CASE("the same, for the seeds of VARVE_SEEDS (first-last)") {
    uint64_t first = 1000, last = 1300;
    if (const char* seeds = std::getenv("VARVE_SEEDS")) {
      char dash = 0;
      std::istringstream in(seeds);
      in >> first >> dash >> last;
      REQUIRE(dash == '-');
    }
    Totals totals;
    for (uint64_t seed = first; seed <= last; ++seed) simulate(seed, 12000, &totals);
    MESSAGE("full copies ", totals.full_copies, ", tails cut ", totals.cuts, ", continues ", totals.continues,
            ", acknowledged ", totals.acknowledged, ", promotions ", totals.promotions);
  }
}
