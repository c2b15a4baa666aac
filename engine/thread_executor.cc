#include "engine/thread_executor.h"

#include <sched.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace engine {

ThreadExecutor::ThreadExecutor(int workers) : queue_(workers) {
  for (int i = 0; i < std::max(workers, 1); ++i) threads_.emplace_back([this] { work_until_closed(); });
}

ThreadExecutor::~ThreadExecutor() {
  drain();
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  work_ready_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadExecutor::submit(Lane lane, Task work, Task done) {
  ++unfinished_;
  {
    const std::lock_guard lock(mutex_);
    queue_.push({lane, std::move(work), std::move(done)});
  }
  work_ready_.notify_one();
}

void ThreadExecutor::post(Task task) {
  ++unfinished_;
  const std::lock_guard lock(mutex_);
  ready_.push_back({std::move(task), false});
}

void ThreadExecutor::yield() {
  for (int n = 0; n < 16; ++n) __builtin_ia32_pause();
  ::sched_yield();
}

void ThreadExecutor::report(Task task) {
  const std::lock_guard lock(mutex_);
  ready_.push_back({std::move(task), true});
  done_ready_.notify_one();
}

void ThreadExecutor::work_until_closed() {
  std::unique_lock lock(mutex_);
  for (;;) {
    std::optional<LaneJob> job = queue_.start();
    if (!job) {
      if (closing_) return;
      work_ready_.wait(lock);
      continue;
    }
    lock.unlock();
    job->work();
    job->work = Task();
    lock.lock();
    queue_.finished(job->lane);
    ready_.push_back({std::move(job->done), false});
    done_ready_.notify_one();
    work_ready_.notify_one();  // A lane that was full may have room now.
  }
}

size_t ThreadExecutor::run_ready(std::unique_lock<std::mutex> lock) {
  std::vector<Ready> tasks = std::exchange(ready_, {});
  lock.unlock();
  for (Ready& ready : tasks) {
    ready.task();
    ready.task = Task();
    if (!ready.report) --unfinished_;
  }
  return tasks.size();
}

size_t ThreadExecutor::poll() { return run_ready(std::unique_lock(mutex_)); }

size_t ThreadExecutor::wait() {
  if (unfinished_ == 0) return 0;
  std::unique_lock lock(mutex_);
  done_ready_.wait(lock, [this] { return !ready_.empty(); });
  return run_ready(std::move(lock));
}

void ThreadExecutor::drain() {
  while (unfinished_ > 0) wait();
}

}  // namespace engine
