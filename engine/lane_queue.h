// engine/lane_queue.h: which waiting job may start, given what is running.
//
// Of the workers, one is kept for kLog, one more for kColdRead: so background work, however long, never makes
// a sync or a cold read wait. kLongRead leaves one more for kFlush and kCompaction where there are that many;
// at most two kCompaction jobs run: a slice, and what is written and read beside it. Within these bounds the
// most urgent lane goes first, each in order of arrival.
//
// Threads: none of its own; the owner sees to it.
#pragma once

#include <algorithm>
#include <array>
#include <deque>
#include <optional>
#include <utility>

#include "engine/env.h"

namespace engine {

struct LaneJob {
  Lane lane;
  Task work;
  Task done;
};

class LaneQueue {
 public:
  explicit LaneQueue(int workers) : workers_(std::max(workers, 1)) {}

  void push(LaneJob job) { waiting_[index(job.lane)].push_back(std::move(job)); }

  // Takes a job out to be run; finished() must follow.
  std::optional<LaneJob> start() {
    for (int lane = 0; lane < kLanes; ++lane) {
      auto& queue = waiting_[static_cast<size_t>(lane)];
      if (queue.empty() || !may_start(lane)) continue;
      LaneJob job = std::move(queue.front());
      queue.pop_front();
      ++running_[static_cast<size_t>(lane)];
      return job;
    }
    return std::nullopt;
  }
  void finished(Lane lane) { --running_[index(lane)]; }

  int running(Lane lane) const { return running_[index(lane)]; }
  size_t waiting(Lane lane) const { return waiting_[index(lane)].size(); }

 private:
  static size_t index(Lane lane) { return static_cast<size_t>(lane); }
  // Running jobs of `lane` and of all that are less urgent.
  int running_from(int lane) const {
    int sum = 0;
    for (int i = lane; i < kLanes; ++i) sum += running_[static_cast<size_t>(i)];
    return sum;
  }
  bool below(int running, int reserved) const { return running < std::max(1, workers_ - reserved); }
  bool may_start(int lane) const {
    if (running_from(0) >= workers_) return false;
    switch (static_cast<Lane>(lane)) {
      case Lane::kLog: return true;
      case Lane::kColdRead: return below(running_from(1), 1);
      case Lane::kFlush: return below(running_from(1), 1) && below(running_from(2), 2);
      case Lane::kLongRead:
        return below(running_from(1), 1) && below(running_from(2), 2) && below(running(Lane::kLongRead), 3);
      case Lane::kCompaction:
        return below(running_from(1), 1) && below(running_from(2), 2) && running(Lane::kCompaction) < 2;
    }
    return false;
  }

  int workers_;
  std::array<std::deque<LaneJob>, kLanes> waiting_;
  std::array<int, kLanes> running_{};
};

}  // namespace engine
