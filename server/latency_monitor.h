// server/latency_monitor.h: when something took longer than latency-monitor-threshold, for LATENCY.
//
// For each kind of event the last 160 seconds in which it happened are kept, one sample a second, the worst.
//
// Threads: the reactor.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace server {

class LatencyMonitor {
 public:
  static constexpr size_t kSamplesMax = 160;
  struct Sample {
    int64_t unix_seconds = 0;
    uint64_t milliseconds = 0;
  };
  class Event {
   public:
    void add(int64_t unix_seconds, uint64_t milliseconds) {
      max_ms_ = std::max(max_ms_, milliseconds);
      if (count_ > 0) {
        Sample& last = samples_[(next_ + kSamplesMax - 1) % kSamplesMax];
        if (last.unix_seconds == unix_seconds) {
          last.milliseconds = std::max(last.milliseconds, milliseconds);
          return;
        }
      }
      samples_[next_] = {unix_seconds, milliseconds};
      next_ = (next_ + 1) % kSamplesMax;
      count_ = std::min(count_ + 1, kSamplesMax);
    }
    std::vector<Sample> history() const {  // The oldest first.
      std::vector<Sample> history;
      for (size_t i = 0; i < count_; ++i) {
        history.push_back(samples_[(next_ + kSamplesMax - count_ + i) % kSamplesMax]);
      }
      return history;
    }
    const Sample& latest() const { return samples_[(next_ + kSamplesMax - 1) % kSamplesMax]; }
    uint64_t max_ms() const { return max_ms_; }

   private:
    std::array<Sample, kSamplesMax> samples_{};
    size_t next_ = 0;
    size_t count_ = 0;
    uint64_t max_ms_ = 0;
  };

  // `threshold_ms` 0: nothing is kept.
  void note(std::string_view event, int64_t unix_seconds, uint64_t milliseconds, int64_t threshold_ms) {
    if (threshold_ms <= 0 || milliseconds < static_cast<uint64_t>(threshold_ms)) return;
    events_[std::string(event)].add(unix_seconds, milliseconds);
  }
  const std::map<std::string, Event, std::less<>>& events() const { return events_; }
  const Event* find(std::string_view event) const {
    const auto found = events_.find(event);
    return found == events_.end() ? nullptr : &found->second;
  }
  // Returns how many there were.
  size_t reset() {
    const size_t count = events_.size();
    events_.clear();
    return count;
  }
  size_t reset(std::string_view event) {
    const auto found = events_.find(event);
    if (found == events_.end()) return 0;
    events_.erase(found);
    return 1;
  }

 private:
  std::map<std::string, Event, std::less<>> events_;
};

}  // namespace server
