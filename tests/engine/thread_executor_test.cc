#include "engine/thread_executor.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "tests/engine/executor_report.h"

using namespace engine;

TEST_SUITE("engine/lane_queue") {
  TEST_CASE("a worker is kept for the log, one more for cold reads, and two compaction jobs run") {
    for (const int workers : {1, 2, 3, 4, 8}) {
      CAPTURE(workers);
      LaneQueue queue(workers);
      const auto fill = [&queue](Lane lane) {
        for (int i = 0; i < 20; ++i) queue.push({lane, Task(), Task()});
        const int before = queue.running(lane);
        while (queue.start()) {
        }
        return queue.running(lane) - before;
      };
      const int compactions = fill(Lane::kCompaction);
      CHECK(compactions == std::clamp(workers - 2, 1, 2));
      const int long_reads = fill(Lane::kLongRead);
      if (workers >= 4) CHECK(long_reads <= workers - 2 - compactions);
      const int background = compactions + long_reads + fill(Lane::kFlush);
      CHECK(background == std::max(1, workers - 2));
      const int cold = fill(Lane::kColdRead);
      CHECK(background + cold == std::max(1, workers - 1));
      const int log = fill(Lane::kLog);
      CHECK(log == workers - background - cold);
      if (workers >= 2) CHECK(log >= 1);
    }
  }

  TEST_CASE("what waits starts in order of urgency, then of arrival") {
    LaneQueue queue(1);
    for (const Lane lane :
         {Lane::kCompaction, Lane::kFlush, Lane::kLog, Lane::kColdRead, Lane::kLongRead, Lane::kLog}) {
      queue.push({lane, Task(), Task()});
    }
    std::vector<Lane> order;
    while (std::optional<LaneJob> job = queue.start()) {
      order.push_back(job->lane);
      queue.finished(job->lane);
    }
    CHECK(order == std::vector<Lane>{Lane::kLog, Lane::kLog, Lane::kColdRead, Lane::kFlush, Lane::kLongRead,
                                     Lane::kCompaction});
  }
}

TEST_SUITE("engine/thread_executor") {
  TEST_CASE("a report of work that goes on runs on the reactor, before the work's done") {
    ThreadExecutor executor(2);
    check_report(executor, [&executor] { executor.drain(); });
  }

  TEST_CASE("every job runs on a worker and its done afterwards on the reactor") {
    const std::thread::id reactor = std::this_thread::get_id();
    int done = 0;
    std::atomic<int> worked = 0;
    {
      ThreadExecutor executor(4);
      for (int i = 0; i < 200; ++i) {
        auto worker = std::make_shared<std::thread::id>();
        executor.submit(
            static_cast<Lane>(i % kLanes),
            [&worked, worker] {
              *worker = std::this_thread::get_id();
              ++worked;
            },
            [&done, worker, reactor] {
              CHECK(*worker != std::thread::id());
              CHECK(*worker != reactor);
              CHECK(std::this_thread::get_id() == reactor);
              ++done;
            });
      }
    }
    CHECK(worked == 200);
    CHECK(done == 200);
  }

  TEST_CASE("drain also runs what dones and posted tasks bring forth, and wait says when nothing is left") {
    ThreadExecutor executor(2);
    std::vector<int> order;
    executor.post([&] {
      order.push_back(1);
      executor.submit(
          Lane::kLog, [] {},
          [&] {
            order.push_back(2);
            executor.post([&] { order.push_back(3); });
          });
    });
    CHECK(order.empty());
    executor.drain();
    CHECK(order == std::vector<int>{1, 2, 3});
    CHECK(executor.wait() == 0);
    CHECK(executor.poll() == 0);
  }
}
