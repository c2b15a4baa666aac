// engine/sim.h: the seeded world in memory: clock, entropy and executor besides the disk of
// engine/sim_disk.h.
//
// One thread runs everything, in an order that is random and yet follows from the seed.
#pragma once

#include <deque>
#include <vector>

#include "engine/env.h"
#include "engine/sim_disk.h"

namespace engine {

// SplitMix64 (Steele, Lea, Flood 2014).
class SimEntropy final : public Entropy {
 public:
  explicit SimEntropy(uint64_t seed) : state_(seed) {}
  uint64_t next() override;
  uint64_t below(uint64_t bound) { return next() % bound; }  // Requires: bound > 0.

 private:
  uint64_t state_;
};

// Stands still unless advanced.
class SimClock final : public Clock {
 public:
  int64_t wall_ms() const override { return static_cast<int64_t>(now_us_ / 1000) + wall_ahead_ms_; }
  uint64_t monotonic_us() const override { return now_us_; }
  void advance_us(uint64_t us) { now_us_ += us; }
  void advance_ms(uint64_t ms) { now_us_ += ms * 1000; }
  void set_wall_ms(int64_t ms) { wall_ahead_ms_ = ms - static_cast<int64_t>(now_us_ / 1000); }

 private:
  uint64_t now_us_ = 1'000'000;
  int64_t wall_ahead_ms_ = 1'700'000'000'000;
};

// Every job waits until told to run; which one does is drawn. As on the real pool, jobs overtake each other,
// those of one lane too, `work` and `done` are separate steps, and posted tasks and reports keep their order.
// Page reads, where they are on, come in any order, and some fail.
class SimExecutor final : public Executor {
 public:
  explicit SimExecutor(uint64_t seed) : entropy_(seed) {}

  void submit(Lane lane, Task work, Task done) override;
  void post(Task task) override;
  void report(Task task) override;
  bool begin(PageRead& read) override;

  void page_reads(bool on) { page_reads_ = on; }  // Off: begin() refuses.

  bool run_one();  // One drawn step; false if nothing is waiting.
  void run_all();  // Until nothing is waiting, what the steps bring forth included.

  // Single steps for scripted tests; false if there is none of the kind.
  bool run_work(Lane lane);  // The oldest waiting work of the lane.
  bool run_done(Lane lane);  // The oldest finished one's.
  bool run_posted();
  bool run_report();

  size_t waiting() const {
    return works_.size() + dones_.size() + posted_.size() + reports_.size() + reads_.size();
  }
  size_t waiting_works(Lane lane) const;

 private:
  struct Job {
    Lane lane;
    Task work;
    Task done;
  };
  void work_at(size_t index);
  void done_at(size_t index);
  void read_at(size_t index);
  static bool run_first(std::deque<Task>& tasks);

  SimEntropy entropy_;
  std::deque<Job> works_;
  std::deque<Job> dones_;
  std::deque<Task> posted_;
  std::deque<Task> reports_;
  std::deque<PageRead*> reads_;
  bool page_reads_ = false;
};

// All of it, for tests.
struct SimWorld {
  explicit SimWorld(uint64_t seed) : SimWorld(seed, std::make_unique<SimDisk>()) {}
  SimWorld(uint64_t seed, std::unique_ptr<SimDisk> on_disk)
      : disk(std::move(on_disk)),
        entropy(seed ^ 0x9e3779b97f4a7c15),
        executor(seed),
        env{*disk, clock, entropy, executor} {
    executor.page_reads(seed % 2 == 0);
  }

  std::unique_ptr<SimDisk> disk;
  SimClock clock;
  SimEntropy entropy;
  SimExecutor executor;
  Env env;
};

}  // namespace engine
