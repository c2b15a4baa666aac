// engine/uv_executor.h: work for libuv's pool, its results and posted tasks for the reactor's loop.
//
// Jobs wait here, on the reactor, until engine/lane_queue.h lets them into the pool, which therefore never
// holds more of them than it has threads: a sync or a cold read submitted now starts now.
//
//     submit() -> LaneQueue -> uv_queue_work -> worker: work() -> loop: done(), and the next one may start
//     post()   -> a list that the loop empties right after it has polled; while the list is not empty
//                 the loop does not sleep, and while it is empty nothing of ours runs
//     report() -> a list that the loop is woken to empty
//     begin()  -> engine/read_ring.h, made when first wanted; the loop is woken by what has ended
//
// Threads: all functions on the thread of the loop, but for report().
#pragma once

#include <uv.h>

#include <memory>
#include <mutex>
#include <vector>

#include "engine/env.h"
#include "engine/lane_queue.h"

namespace engine {

class ReadRing;

class UvExecutor final : public Executor {
 public:
  // `workers` is the size of libuv's pool, which the caller sets through UV_THREADPOOL_SIZE before first use.
  UvExecutor(uv_loop_t* loop, int workers);
  // Requires: stop() was called.
  ~UvExecutor() override;
  UvExecutor(const UvExecutor&) = delete;
  UvExecutor& operator=(const UvExecutor&) = delete;

  void submit(Lane lane, Task work, Task done) override;
  void post(Task task) override;
  void report(Task task) override;
  bool begin(PageRead& read) override;
  void yield() override;

  // Runs the loop until no job and no posted task is left, those that they bring forth included, then closes
  // its handles. Requires: not called from a callback of the loop.
  void stop();

  size_t unfinished() const { return unfinished_; }  // Jobs whose `done` has not returned, and page reads.

 private:
  struct Request;
  void start_jobs();
  void run_posted();
  void run_reports();
  bool open_ring();
  void start_reads();
  void reads_ended();

  uv_loop_t* const loop_;
  LaneQueue queue_;
  size_t unfinished_ = 0;
  std::vector<Task> posted_;
  uv_check_t after_poll_;  // Empties posted_.
  uv_idle_t no_sleep_;     // Its mere activity makes the loop poll without waiting.
  bool closed_ = false;

  std::mutex reports_mutex_;
  std::vector<Task> reports_;  // Under the mutex.
  uv_async_t wake_up_;         // Empties them.

  std::unique_ptr<ReadRing> ring_;
  bool no_ring_ = false;  // It was tried.
  uv_prepare_t
      before_poll_;      // Starts what the kernel did not. Like the next one there is as long as the ring.
  uv_poll_t ring_poll_;  // Hears of their ends; keeps the loop going while any is under way.
};

}  // namespace engine
