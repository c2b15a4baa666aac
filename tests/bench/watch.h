// tests/bench/watch.h: what a benchmark watches while it works: latencies, a process's memory, and how long
// another client waits.
#pragma once

#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace bench {

using Clock = std::chrono::steady_clock;

inline uint64_t us_since(Clock::time_point start) {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start).count());
}

struct Latencies {
  std::vector<uint32_t> us;
  void add(uint64_t value) { us.push_back(static_cast<uint32_t>(std::min<uint64_t>(value, UINT32_MAX))); }
  void add_all(const Latencies& other) { us.insert(us.end(), other.us.begin(), other.us.end()); }
  void sort() { std::sort(us.begin(), us.end()); }
  // Requires: sorted.
  double ms(double part) const {
    if (us.empty()) return 0;
    const auto at = static_cast<size_t>(part * static_cast<double>(us.size()));
    return us[std::min(at, us.size() - 1)] / 1000.0;
  }
};

// Samples a process's resident memory until it is destroyed.
class Sampler {
 public:
  explicit Sampler(int pid) : fd_(::open(("/proc/" + std::to_string(pid) + "/statm").c_str(), O_RDONLY)) {
    if (fd_ < 0) {
      std::fprintf(stderr, "there is no process %d\n", pid);
      std::exit(1);
    }
    thread_ = std::thread([this] {
      while (!end_) {
        const uint64_t now = sample();
        for (std::atomic<uint64_t>* most : {&phase_max_, &max_})
          if (now > *most) *most = now;
        std::this_thread::sleep_for(std::chrono::milliseconds(kIntervalMs));
      }
    });
  }
  ~Sampler() {
    end_ = true;
    thread_.join();
    ::close(fd_);
  }
  uint64_t sample() const {
    char text[128] = {};
    unsigned long long pages = 0;
    if (::pread(fd_, text, sizeof text - 1, 0) <= 0 || std::sscanf(text, "%*u %llu", &pages) != 1) return 0;
    return pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  }
  uint64_t max() const { return max_; }
  uint64_t phase_max() { return phase_max_.exchange(sample()); }

 private:
  static constexpr uint64_t kIntervalMs = 20;

  int fd_;
  std::atomic<bool> end_{false};
  std::atomic<uint64_t> max_{0}, phase_max_{0};
  std::thread thread_;
};

// A client that calls `ask` every kIntervalUs until it is told to end: one question, one answer. An answer
// that takes longer hides those that should have been asked for meanwhile; they are counted with what they
// would have waited (as HdrHistogram does). Where the system allows, it runs at real-time priority: what is
// measured is the server's share, not how long the client itself waits for a processor that others keep busy.
class Witness {
 public:
  static constexpr uint64_t kIntervalUs = 2000;

  explicit Witness(std::function<std::function<void()>()> make_ask) {
    thread_ = std::thread([this, make_ask = std::move(make_ask)] {
      const sched_param urgent{1};
      (void)::sched_setscheduler(0, SCHED_FIFO, &urgent);
      const std::function<void()> ask = make_ask();
      for (auto next = Clock::now(); !end_; next = std::max(next, Clock::now())) {
        next += std::chrono::microseconds(kIntervalUs);
        std::this_thread::sleep_until(next);
        const auto start = Clock::now();
        ask();
        const uint64_t took = us_since(start);
        latencies_.add(took);
        for (uint64_t missed = kIntervalUs; missed < took; missed += kIntervalUs)
          latencies_.add(took - missed);
      }
    });
  }
  Latencies finish() {
    end_ = true;
    thread_.join();
    latencies_.sort();
    return std::move(latencies_);
  }

 private:
  std::atomic<bool> end_{false};
  Latencies latencies_;
  std::thread thread_;
};

}  // namespace bench
