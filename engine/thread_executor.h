// engine/thread_executor.h: an Executor without a loop, for tools, tests and benchmarks.
//
// The thread that made it is the reactor: `done`s and posted tasks run there, inside poll(), wait() and
// drain().
//
// Threads: its own workers, bounded by engine/lane_queue.h; all functions on the reactor, but for report().
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/env.h"
#include "engine/lane_queue.h"

namespace engine {

class ThreadExecutor final : public Executor {
 public:
  explicit ThreadExecutor(int workers);
  ~ThreadExecutor() override;  // drain(), then joins the workers.
  ThreadExecutor(const ThreadExecutor&) = delete;
  ThreadExecutor& operator=(const ThreadExecutor&) = delete;

  void submit(Lane lane, Task work, Task done) override;
  void post(Task task) override;
  void report(Task task) override;
  void yield() override;

  // Runs what is ready now and returns how many tasks that were. Not from inside a `done`.
  size_t poll();
  // As poll(), but sleeps until at least one is ready; returns 0 only if nothing is under way.
  size_t wait();
  // Until nothing is left, what the tasks bring forth included.
  void drain();

 private:
  void work_until_closed();
  size_t run_ready(std::unique_lock<std::mutex> lock);

  struct Ready {
    Task task;
    bool report;  // Part of a job that is counted once.
  };

  std::mutex mutex_;  // Guards all below but threads_ and unfinished_.
  std::condition_variable work_ready_;
  std::condition_variable done_ready_;
  LaneQueue queue_;
  std::vector<Ready> ready_;
  bool closing_ = false;

  size_t unfinished_ = 0;  // Tasks that run_ready() has yet to run; the reactor's.
  std::vector<std::thread> threads_;
};

}  // namespace engine
