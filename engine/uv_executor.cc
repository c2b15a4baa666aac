#include "engine/uv_executor.h"

#include <sched.h>
#include <sys/resource.h>

#include <memory>
#include <utility>

#include "engine/read_ring.h"

namespace engine {
namespace {

constexpr int kBackgroundNice = 5;  // A third of the reactor's weight.

// Whether a thread that lowered its priority may raise it again: root and CAP_SYS_NICE may, others are tried
// once, which costs one worker one step.
bool may_raise_priority() {
  static const bool may = [] {
    const int before = ::getpriority(PRIO_PROCESS, 0);
    return ::setpriority(PRIO_PROCESS, 0, before + 1) == 0 && ::setpriority(PRIO_PROCESS, 0, before) == 0;
  }();
  return may;
}

// Tells the scheduler, for the length of a background job, not to let its wake-ups preempt the reactor, and,
// where that can be taken back, to prefer the reactor to it: a hot read during a load waits for a processor
// longer than for anything else. If refused, nothing is lost. On Linux a priority belongs to a thread.
class BatchScheduling {
 public:
  explicit BatchScheduling(Lane lane) {
    if (lane != Lane::kFlush && lane != Lane::kCompaction) return;
    const sched_param none{};
    batch_ = ::sched_getscheduler(0) == SCHED_OTHER && ::sched_setscheduler(0, SCHED_BATCH, &none) == 0;
    if (!may_raise_priority()) return;
    before_ = ::getpriority(PRIO_PROCESS, 0);
    nice_ = ::setpriority(PRIO_PROCESS, 0, before_ + kBackgroundNice) == 0;
  }
  ~BatchScheduling() {
    const sched_param none{};
    if (batch_) ::sched_setscheduler(0, SCHED_OTHER, &none);
    if (nice_) ::setpriority(PRIO_PROCESS, 0, before_);
  }
  BatchScheduling(const BatchScheduling&) = delete;
  BatchScheduling& operator=(const BatchScheduling&) = delete;

 private:
  bool batch_ = false;
  bool nice_ = false;
  int before_ = 0;
};

}  // namespace

struct UvExecutor::Request {
  uv_work_t work{};
  UvExecutor* executor;
  LaneJob job;
};

UvExecutor::UvExecutor(uv_loop_t* loop, int workers) : loop_(loop), queue_(workers) {
  INVARIANT(uv_check_init(loop_, &after_poll_) == 0);
  INVARIANT(uv_idle_init(loop_, &no_sleep_) == 0);
  INVARIANT(uv_async_init(loop_, &wake_up_, [](uv_async_t* handle) {
              static_cast<UvExecutor*>(handle->data)->run_reports();
            }) == 0);
  uv_unref(reinterpret_cast<uv_handle_t*>(&wake_up_));  // It is no reason for the loop to go on.
  after_poll_.data = this;
  no_sleep_.data = this;
  wake_up_.data = this;
}

UvExecutor::~UvExecutor() { INVARIANT(closed_); }

void UvExecutor::submit(Lane lane, Task work, Task done) {
  INVARIANT(!closed_);
  ++unfinished_;
  queue_.push({lane, std::move(work), std::move(done)});
  start_jobs();
}

void UvExecutor::start_jobs() {
  while (std::optional<LaneJob> job = queue_.start()) {
    auto request = std::make_unique<Request>();
    request->executor = this;
    request->job = std::move(*job);
    request->work.data = request.get();
    const int result = uv_queue_work(
        loop_, &request->work,
        [](uv_work_t* work) {
          auto* self = static_cast<Request*>(work->data);
          const BatchScheduling scheduling(self->job.lane);
          self->job.work();
          self->job.work = Task();  // What it owns is given back on the worker.
        },
        [](uv_work_t* work, int) {
          std::unique_ptr<Request> self(static_cast<Request*>(work->data));
          UvExecutor* executor = self->executor;
          executor->queue_.finished(self->job.lane);
          executor->start_jobs();  // Before done(), so that a worker does not idle while it runs.
          executor->run_reports();
          self->job.done();
          self.reset();
          --executor->unfinished_;
        });
    INVARIANT(result == 0);
    request.release();  // NOLINT(bugprone-unused-return-value): the callback above takes it back.
  }
}

void UvExecutor::post(Task task) {
  INVARIANT(!closed_);
  if (posted_.empty()) {
    uv_check_start(&after_poll_,
                   [](uv_check_t* handle) { static_cast<UvExecutor*>(handle->data)->run_posted(); });
    uv_idle_start(&no_sleep_, [](uv_idle_t*) {});
  }
  posted_.push_back(std::move(task));
}

void UvExecutor::run_posted() {
  uv_check_stop(&after_poll_);
  uv_idle_stop(&no_sleep_);
  // What these post waits for the next turn, so that a task which posts itself again starves nobody.
  std::vector<Task> tasks = std::exchange(posted_, {});
  for (Task& task : tasks) {
    task();
    task = Task();
  }
}

void UvExecutor::yield() {
  for (int n = 0; n < 16; ++n) __builtin_ia32_pause();
  ::sched_yield();
}

void UvExecutor::report(Task task) {
  {
    const std::lock_guard lock(reports_mutex_);
    reports_.push_back(std::move(task));
  }
  uv_async_send(&wake_up_);
}

void UvExecutor::run_reports() {
  std::vector<Task> tasks;
  {
    const std::lock_guard lock(reports_mutex_);
    tasks.swap(reports_);
  }
  for (Task& task : tasks) {
    task();
    task = Task();
  }
}

bool UvExecutor::begin(PageRead& read) {
  INVARIANT(!closed_);
  if (read.file->page_descriptor() < 0 || !open_ring() || !ring_->begin(read)) return false;
  if (ring_->under_way() == 1) uv_ref(reinterpret_cast<uv_handle_t*>(&ring_poll_));
  ++unfinished_;
  return true;
}

// Here and not in the constructor: a ring belongs to the thread that made it, which must be the reactor.
bool UvExecutor::open_ring() {
  if (ring_ || no_ring_) return ring_ != nullptr;
  no_ring_ = true;
  std::unique_ptr<ReadRing> ring = ReadRing::make();
  if (!ring || uv_poll_init(loop_, &ring_poll_, ring->descriptor()) != 0) return false;
  INVARIANT(uv_prepare_init(loop_, &before_poll_) == 0);
  ring_poll_.data = before_poll_.data = this;
  INVARIANT(uv_poll_start(&ring_poll_, UV_READABLE, [](uv_poll_t* handle, int, int) {
              static_cast<UvExecutor*>(handle->data)->reads_ended();
            }) == 0);
  uv_prepare_start(&before_poll_,
                   [](uv_prepare_t* handle) { static_cast<UvExecutor*>(handle->data)->start_reads(); });
  uv_unref(reinterpret_cast<uv_handle_t*>(&ring_poll_));
  uv_unref(reinterpret_cast<uv_handle_t*>(&before_poll_));
  ring_ = std::move(ring);
  return true;
}

void UvExecutor::start_reads() {
  if (!ring_->submit()) post([] {});  // The loop must not sleep before it has asked again.
}

void UvExecutor::reads_ended() {
  unfinished_ -= ring_->reap();
  if (ring_->under_way() == 0) uv_unref(reinterpret_cast<uv_handle_t*>(&ring_poll_));
}

void UvExecutor::stop() {
  if (closed_) return;
  while (unfinished_ > 0 || !posted_.empty()) uv_run(loop_, UV_RUN_ONCE);
  int open_handles = 0;
  const auto close = [&open_handles](auto* handle) {
    ++open_handles;
    handle->data = &open_handles;
    uv_close(reinterpret_cast<uv_handle_t*>(handle),
             [](uv_handle_t* closed) { --*static_cast<int*>(closed->data); });
  };
  close(&after_poll_);
  close(&no_sleep_);
  close(&wake_up_);
  if (ring_) {
    close(&before_poll_);
    close(&ring_poll_);
  }
  while (open_handles > 0) uv_run(loop_, UV_RUN_NOWAIT);
  closed_ = true;
}

}  // namespace engine
