// tests/engine/executor_report.h: what every real executor keeps of Executor::report.
#pragma once

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>
#include <vector>

#include "engine/env.h"

namespace engine {

// A job reports three times, and waits for the first report to be heard before it makes the others. `finish`
// runs what `executor` has to the end, in this thread: its reactor.
inline void check_report(Executor& executor, const std::function<void()>& finish) {
  const std::thread::id reactor = std::this_thread::get_id();
  std::atomic<bool> heard = false;
  bool heard_in_time = false;
  std::vector<int> order;
  executor.submit(
      Lane::kLog,
      [&] {
        executor.report([&] {
          CHECK(std::this_thread::get_id() == reactor);
          order.push_back(1);
          heard = true;
        });
        for (int i = 0; i < 10'000 && !heard; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        heard_in_time = heard;
        for (int n = 2; n <= 3; ++n) executor.report([&order, n] { order.push_back(n); });
      },
      [&order] { order.push_back(4); });
  finish();
  CHECK(heard_in_time);
  CHECK(order == std::vector<int>{1, 2, 3, 4});
}

}  // namespace engine
