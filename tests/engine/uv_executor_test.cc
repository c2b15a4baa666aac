#include "engine/uv_executor.h"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "tests/engine/executor_report.h"

using namespace engine;

namespace {

struct Loop {
  Loop() { REQUIRE(uv_loop_init(&loop) == 0); }
  ~Loop() { CHECK(uv_loop_close(&loop) == 0); }  // Busy if anything was left open.
  uv_loop_t loop;
};

}  // namespace

TEST_SUITE("engine/uv_executor") {
  TEST_CASE("work runs on another thread, done on the loop's, and stop leaves none behind") {
    Loop loop;
    UvExecutor executor(&loop.loop, 4);
    const std::thread::id reactor = std::this_thread::get_id();
    int done = 0;
    for (int i = 0; i < 100; ++i) {
      auto worker = std::make_shared<std::thread::id>();
      executor.submit(
          static_cast<Lane>(i % kLanes), [worker] { *worker = std::this_thread::get_id(); },
          [worker, reactor, &done] {
            CHECK(*worker != std::thread::id());
            CHECK(*worker != reactor);
            CHECK(std::this_thread::get_id() == reactor);
            ++done;
          });
    }
    CHECK(done == 0);
    executor.stop();
    CHECK(done == 100);
    CHECK(executor.unfinished() == 0);
  }

  TEST_CASE("a report of work that goes on runs on the reactor, before the work's done") {
    Loop loop;
    UvExecutor executor(&loop.loop, 2);
    check_report(executor, [&executor] { executor.stop(); });
  }

  TEST_CASE("stop runs what unfinished work brings forth") {
    Loop loop;
    UvExecutor executor(&loop.loop, 2);
    std::vector<int> order;
    executor.submit(
        Lane::kCompaction, [] {},
        [&] {
          order.push_back(1);
          executor.post([&] {
            order.push_back(2);
            executor.submit(
                Lane::kLog, [] {}, [&] { order.push_back(3); });
          });
        });
    executor.stop();
    CHECK(order == std::vector<int>{1, 2, 3});
  }

  TEST_CASE("a posted task runs after the present call and without waiting for any event") {
    Loop loop;
    UvExecutor executor(&loop.loop, 2);
    // A timer an hour away: were the loop to sleep while a task waits, this test would not end.
    uv_timer_t far;
    uv_timer_init(&loop.loop, &far);
    uv_timer_start(
        &far, [](uv_timer_t*) {}, 3'600'000, 0);
    std::vector<int> order;
    executor.post([&] {
      order.push_back(1);
      executor.post([&] {
        order.push_back(3);
        uv_close(reinterpret_cast<uv_handle_t*>(&far), nullptr);
      });
      order.push_back(2);
    });
    CHECK(order.empty());
    uv_run(&loop.loop, UV_RUN_DEFAULT);
    CHECK(order == std::vector<int>{1, 2, 3});
    executor.stop();
  }

  TEST_CASE("while nothing is posted the executor keeps no handle active, so the loop may sleep or end") {
    Loop loop;
    UvExecutor executor(&loop.loop, 2);
    CHECK(uv_loop_alive(&loop.loop) == 0);
    bool ran = false;
    executor.post([&ran] { ran = true; });
    CHECK(uv_loop_alive(&loop.loop) != 0);
    CHECK(uv_backend_timeout(&loop.loop) == 0);
    uv_run(&loop.loop, UV_RUN_NOWAIT);
    CHECK(ran);
    CHECK(uv_loop_alive(&loop.loop) == 0);
    executor.stop();
  }
}
