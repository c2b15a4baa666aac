// server/stats.h: what INFO counts: since the start, or since CONFIG RESETSTAT.
//
// Threads: the reactor.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "server/histogram.h"

namespace server {

struct CommandStats {
  uint64_t calls = 0;
  uint64_t microseconds = 0;
  uint64_t rejected = 0;  // Refused before it began.
  uint64_t failed = 0;    // Ended with an error.
  Histogram latency_ns;
};

// Something per second: the mean of the last samples, one a tick.
class Rate {
 public:
  void sample(uint64_t total, uint64_t now_us) {
    if (last_us_ != 0 && now_us > last_us_) {
      samples_[next_++ % samples_.size()] = (total - last_total_) * 1000000 / (now_us - last_us_);
    }
    last_total_ = total;
    last_us_ = now_us;
  }
  uint64_t per_second() const {
    uint64_t sum = 0;
    for (uint64_t s : samples_) sum += s;
    return sum / samples_.size();
  }
  void restart(uint64_t total) { last_total_ = total; }

 private:
  std::array<uint64_t, 16> samples_{};
  size_t next_ = 0;
  uint64_t last_total_ = 0, last_us_ = 0;
};

struct Stats {
  uint64_t commands = 0;
  uint64_t connections = 0;
  uint64_t rejected_connections = 0;
  uint64_t bytes_in = 0, bytes_out = 0;
  uint64_t keyspace_hits = 0, keyspace_misses = 0;
  uint64_t expired_keys = 0;
  uint64_t evicted_clients = 0;
  uint64_t error_replies = 0;
  uint64_t reads = 0, writes = 0;  // read() and write() calls that moved bytes.
  uint64_t output_limit_disconnections = 0, query_limit_disconnections = 0;
  // ---- how commands ran
  uint64_t cold_commands = 0;                          // That had to wait for the disk at least once.
  uint64_t cold_restarts = 0;                          // How often one of them began anew.
  uint64_t many_restarts = 0;                          // That began anew more often than kRunsExpected.
  uint64_t long_writes = 0, long_writes_redone = 0;    // Worked out by a worker; in vain.
  uint64_t long_reads = 0;                             // That ran on a worker.
  uint64_t piecewise_replies = 0;                      // Sent as they were made.
  uint64_t blocking_commands = 0, blocking_reads = 0;  // That held everybody up reading; blocks so read.
  uint64_t admission_waits = 0;
  uint64_t held_replies = 0;  // Times a connection's replies had to wait for the commit point.

  std::map<std::string, uint64_t, std::less<>> errors;  // By the first word, "ERR".
  std::vector<CommandStats> by_command;                 // By Command::id.
  Rate ops_rate, in_rate, out_rate;

  static constexpr uint32_t kRunsExpected = 4;
  static constexpr size_t kErrorKindsMax = 128;

  void count_lookups(uint32_t hits, uint32_t misses) {
    keyspace_hits += hits;
    keyspace_misses += misses;
  }
  // `line` is an error reply, "-CODE text".
  void count_error(std::string_view line) {
    ++error_replies;
    const size_t end = line.find_first_of(" \r");
    const std::string_view code = line.substr(1, end == std::string_view::npos ? end : end - 1);
    auto found = errors.find(code);
    if (found == errors.end()) {
      if (errors.size() >= kErrorKindsMax) return;
      found = errors.emplace(code, 0).first;
    }
    ++found->second;
  }

  void reset() {
    const size_t count = by_command.size();
    *this = Stats();
    by_command.resize(count);
  }
};

}  // namespace server
