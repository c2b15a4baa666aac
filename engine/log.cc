#include "engine/log.h"

#include <algorithm>
#include <deque>
#include <utility>
#include <vector>

#include "engine/log_format.h"
#include "engine/log_groups.h"
#include "engine/log_io.h"
#include "engine/log_recovery.h"
#include "engine/log_segments.h"
#include "engine/log_tail.h"

namespace engine {
namespace {

constexpr uint64_t kSyncIntervalUs = 1'000'000;
// More than this at once is copied to the page cache by a worker.
constexpr size_t kReactorWriteBytesMax = 256 << 10;
constexpr uint64_t kSegmentBytesMin = 16 << 10;

// Where bytes are, and what moves them on:
//
// clang-format off
//     append()           -> tails_     the frame being gathered, one for each segment that it reaches
//     write_here()       -> the file   by the reactor, if it is small, no sync runs and nothing is in flight,
//     start_write_job()  -> writing_   otherwise; frames gather meanwhile
//     hand_over()        -> groups_    under kAlways: one worker writes them past the page cache, group after
//                                      group (engine/log_groups.h)
//     start_group_job()  -> syncing_   under kAlways, while something before them waits for a sync as well
//     start_sync_job()   -> syncing_   what has been written before
// clang-format on
//
// At most one job writes and at most one syncs, and neither does while there are groups; pump() decides,
// after every change, what may start.
class LogImpl final : public Log {
 public:
  LogImpl(Env& env, LogOptions options, LogHistory history);
  ~LogImpl() override { *self_ = nullptr; }
  Status begin(LogHistory& history);

  Lsn append(std::string_view record) override;
  void end_turn() override {
    tail_.end_turn();
    pump();
    if (groups_->news()) collect_groups();
  }
  Lsn end() const override { return end_; }
  Lsn written() const override { return written_; }
  Lsn synced() const override { return synced_; }
  uint64_t room() const override;
  void reserve(uint64_t bytes) override { pool_.reserve(bytes); }
  const Status& failure() const override { return failure_; }
  const Status& preparation() const override { return pool_.status(); }
  void on_progress(std::function<void()> listener) override { listener_ = std::move(listener); }
  void request_sync() override;
  void set_policy(SyncPolicy policy) override;
  void tick() override;
  void release(Lsn lsn) override;
  Lsn oldest() const override;
  std::shared_ptr<LogPin> pin(Lsn lsn) override;
  void keep(uint64_t bytes) override;
  std::shared_ptr<const LogSegment> find_segment(Lsn lsn, Lsn* until) const override;
  bool recent(Lsn lsn, LogChunk* chunk) const override { return tail_.get(lsn, written_, chunk); }
  Status close() override;
  bool idle() const override {
    return writing_ == nullptr && syncing_ == nullptr && group_jobs_ == 0 && naming_ == nullptr &&
           !pool_.busy();
  }
  Stats stats() const override;

 private:
  using JobPtr = std::shared_ptr<LogJob>;
  // A segment and the frame that is being gathered for it (empty, or a header's room and records).
  struct Tail {
    LogSegmentPtr segment;
    std::string frame;
    Lsn first = 0;
  };
  struct Naming {
    LogSegmentPtr segment;
    std::string to;
    Status status;
    std::once_flag once;
  };

  bool pending() const;
  void begin_tail(LogSegmentPtr segment);
  void take_pending(std::vector<LogWrite>* writes);
  std::vector<LogWrite> place_pending();
  void pump();
  void write_here();
  void start_write_job();
  void begin_page();
  void hand_over();
  void run_groups();
  void collect_groups();
  bool groups_under_way() const { return handed_ > synced_; }
  void start_group_job();
  void start_sync_job();
  JobPtr make_sync(std::vector<LogWrite> writes);
  void submit(const JobPtr& job);
  void complete(LogJob& job);
  void fail(const Status& status);
  void progress();
  void start_naming();
  void complete_naming(Naming& naming);
  Lsn releasable();
  void release_segments();
  Status close_with_mark();

  Env& env_;
  const LogOptions options_;
  SyncPolicy policy_;
  std::function<void()> listener_;

  Lsn end_;
  Lsn written_;
  Lsn synced_;
  Lsn sync_wanted_ = 0;  // Under kAlways the end is always wanted.
  Lsn released_ = 0;
  uint64_t keep_bytes_;
  std::vector<std::weak_ptr<LogPin>> pins_;
  LogTail tail_;
  uint64_t last_sync_us_;
  Status failure_;
  bool closed_ = false;

  std::deque<LogSegmentPtr> full_;    // Closed segments that are still needed, oldest first.
  std::deque<Tail> tails_;            // The front is being written to; the others wait for their turn.
  std::vector<LogSegmentPtr> dirty_;  // Written since the last sync began.
  JobPtr writing_;
  JobPtr syncing_;  // Also writes, if it is a group.
  const std::shared_ptr<LogGroups> groups_;
  std::vector<LogWrite> handing_;         // Empty but for its memory, outside hand_over().
  Lsn handed_ = 0;                        // The end of what groups_ were given.
  std::vector<LogSegmentPtr> handed_to_;  // Segments in which something of it may be under way.
  size_t group_jobs_ = 0;
  std::deque<LogSegmentPtr> unnamed_;
  std::shared_ptr<Naming> naming_;
  uint64_t naming_retry_us_ = 0;
  Stats stats_;
  LogSegmentPool pool_;
  const std::shared_ptr<LogImpl*> self_;  // Jobs find null here when the log is gone.
};

LogImpl::LogImpl(Env& env, LogOptions options, LogHistory history)
    : env_(env),
      options_(std::move(options)),
      policy_(options_.policy),
      end_(history.report.end),
      written_(end_),
      synced_(end_),
      keep_bytes_(options_.keep_bytes),
      last_sync_us_(env.clock.monotonic_us()),
      full_(history.segments.begin(), history.segments.end()),
      groups_(std::make_shared<LogGroups>(synced_)),
      pool_(env, options_.directory, options_.segment_bytes, [this] { progress(); }),
      self_(std::make_shared<LogImpl*>(this)) {}

// Opens the last segment, or makes a new one.
Status LogImpl::begin(LogHistory& history) {
  LogSegmentPtr segment;
  if (history.clean && full_.back()->room(0) >= options_.segment_bytes / 8) {
    segment = full_.back();
    Result<std::unique_ptr<File>> file = env_.files.open(segment->path, OpenMode::kReadWrite);
    if (!file.ok()) return file.status();
    segment->file = std::move(file).value();
    segment->offset = round_up(segment->offset, kLogPageBytes);
    segment->end = 0;  // It is open again.
    full_.pop_back();
  } else {
    const bool reuse = !history.spares.empty();
    LogSegmentMaker maker = reuse
                                ? LogSegmentMaker::recycled(env_, options_.directory, history.spares.front())
                                : LogSegmentMaker::fresh(env_, options_.directory, options_.segment_bytes);
    if (reuse) history.spares.erase(history.spares.begin());
    Result<bool> made = false;
    do made = maker.step();
    while (made.ok() && !*made);
    if (made.ok()) {
      segment = maker.take();
      segment->first = end_;
      segment->named = true;
      const std::string path = options_.directory + "/" + segment_name(end_);
      Status status = env_.files.rename(segment->path, path);
      if (!status.ok()) return status;
      segment->path = path;
    } else if (made.status().code() != Code::kNoSpace) {
      return made.status();
    }
  }
  if (segment != nullptr) tails_.push_back({std::move(segment), {}, end_});
  for (LogSegmentPtr& spare : history.spares) pool_.retire(std::move(spare));
  pool_.tick();
  return {};
}

uint64_t LogImpl::room() const {
  const uint64_t here = tails_.empty() ? 0 : tails_.back().segment->room(tails_.back().frame.size());
  return std::min(std::max(here, pool_.room()), kRecordBytesMax);
}

Lsn LogImpl::append(std::string_view record) {
  INVARIANT(failure_.ok() && !closed_);
  if (tails_.empty() || tails_.back().segment->room(tails_.back().frame.size()) < record.size()) {
    LogSegmentPtr next = pool_.take(record.size());
    INVARIANT(next != nullptr);  // The caller has asked room().
    begin_tail(std::move(next));
  }
  Tail& tail = tails_.back();
  if (tail.frame.empty()) {
    tail.frame.resize(kFrameHeaderBytes);
    tail.first = end_;
  }
  append_record(tail.frame, record);
  if (!pins_.empty()) [[unlikely]]
    tail_.add(end_, record);
  end_ += record.size();
  return end_;
}

void LogImpl::begin_tail(LogSegmentPtr segment) {
  segment->first = end_;
  if (!tails_.empty()) tails_.back().segment->end = end_;
  unnamed_.push_back(segment);
  tails_.push_back({std::move(segment), {}, end_});
}

bool LogImpl::pending() const {
  return std::any_of(tails_.begin(), tails_.end(), [](const Tail& tail) { return !tail.frame.empty(); });
}

// All that is gathered, without its places yet; goes on to the last segment that it reaches.
void LogImpl::take_pending(std::vector<LogWrite>* writes) {
  for (;;) {
    Tail& tail = tails_.front();
    const bool taken = !tail.frame.empty();
    if (taken) writes->push_back({tail.segment, 0, tail.first, synced_, std::exchange(tail.frame, {})});
    if (tails_.size() == 1) break;
    // Nobody will write to it any more; whoever syncs it last closes the file.
    const auto in = [&tail](const std::vector<LogSegmentPtr>& list) {
      return std::find(list.begin(), list.end(), tail.segment) != list.end();
    };
    if (!taken && !in(dirty_) && !in(handed_to_) && !(syncing_ && in(syncing_->syncs)))
      tail.segment->file.reset();
    full_.push_back(std::move(tail.segment));
    tails_.pop_front();
  }
  if (!unnamed_.empty()) start_naming();
}

// The same for the page cache: it has to be synced afterwards.
std::vector<LogWrite> LogImpl::place_pending() {
  std::vector<LogWrite> writes;
  take_pending(&writes);
  for (LogWrite& write : writes) {
    LogSegment& segment = *write.segment;
    write.offset = segment.offset;
    segment.offset = round_up(write.offset + write.bytes.size(), kFrameAlignment);
    INVARIANT(segment.offset <= segment.bytes);  // L4.
    stats_.bytes_written += segment.offset - write.offset;
    ++stats_.frames;
    if (std::find(dirty_.begin(), dirty_.end(), write.segment) == dirty_.end())
      dirty_.push_back(write.segment);
  }
  return writes;
}

void LogImpl::pump() {
  if (!failure_.ok() || closed_) return;
  if (policy_ == SyncPolicy::kAlways) sync_wanted_ = end_;
  if (pending() && writing_ == nullptr) {
    if (policy_ == SyncPolicy::kAlways) {
      if (syncing_ == nullptr) dirty_.empty() ? hand_over() : start_group_job();
    } else if (!groups_under_way()) {
      size_t bytes = 0;
      for (const Tail& tail : tails_) bytes += tail.frame.size();
      if (syncing_ == nullptr && bytes <= kReactorWriteBytesMax) {
        write_here();
      } else if (syncing_ == nullptr || syncing_->writes.empty()) {
        start_write_job();
      }
    }
  }
  if (failure_.ok() && syncing_ == nullptr && writing_ == nullptr && sync_wanted_ > synced_ &&
      written_ > synced_) {
    start_sync_job();
  }
}

void LogImpl::write_here() {
  for (LogWrite& write : place_pending()) {
    Status status = write.run();
    if (!status.ok()) return fail(status);
    // The buffer is worth keeping: it has grown to the size of a turn.
    write.bytes.clear();
    if (tails_.front().frame.empty()) tails_.front().frame = std::move(write.bytes);
  }
  written_ = end_;
  progress();
}

void LogImpl::start_write_job() {
  writing_ = std::make_shared<LogJob>();
  writing_->end = end_;
  writing_->writes = place_pending();
  submit(writing_);
}

// L6.
void LogImpl::begin_page() {
  if (tails_.empty()) return;
  LogSegment& segment = *tails_.front().segment;
  segment.offset = std::min(round_up(segment.offset, kLogPageBytes), segment.bytes);
}

LogImpl::JobPtr LogImpl::make_sync(std::vector<LogWrite> writes) {
  auto job = std::make_shared<LogJob>();
  job->sync = true;
  job->end = writes.empty() ? written_ : end_;
  job->writes = std::move(writes);
  job->syncs = std::exchange(dirty_, {});
  begin_page();  // As the sync begins.
  last_sync_us_ = env_.clock.monotonic_us();
  return job;
}

// When nothing else has to be synced.
void LogImpl::hand_over() {
  take_pending(&handing_);
  const LogGroups::Placed placed = groups_->hand_over(handing_, end_);
  for (LogWrite& write : handing_) {
    if (std::find(handed_to_.begin(), handed_to_.end(), write.segment) == handed_to_.end())
      handed_to_.push_back(write.segment);
    // A buffer is worth keeping: it has grown to the size of a turn.
    write.bytes.clear();
    if (tails_.front().frame.empty()) tails_.front().frame = std::move(write.bytes);
  }
  handing_.clear();
  handed_ = end_;
  stats_.frames += placed.frames;
  stats_.bytes_written += placed.bytes;
  last_sync_us_ = env_.clock.monotonic_us();
  if (placed.submit) run_groups();
}

void LogImpl::run_groups() {
  ++group_jobs_;
  const auto collect = [self = self_] {
    if (*self != nullptr) (*self)->collect_groups();
  };
  env_.executor.submit(
      Lane::kLog,
      [groups = groups_, &clock = env_.clock, &executor = env_.executor, collect] {
        groups->run(clock, [&executor, &collect] { executor.report(collect); });
      },
      [self = self_] {
        if (*self == nullptr) return;
        --(*self)->group_jobs_;
        (*self)->collect_groups();
      });
}

void LogImpl::collect_groups() {
  const LogGroups::Outcome outcome = groups_->collect();
  if (!failure_.ok() || closed_) return;
  stats_.syncs += outcome.syncs;
  stats_.sync_us += outcome.sync_us;
  stats_.sync_us_max = std::max(stats_.sync_us_max, outcome.sync_us_max);
  const bool moved = outcome.durable > synced_;
  if (moved) {
    written_ = synced_ = outcome.durable;
    std::erase_if(handed_to_, [this](const LogSegmentPtr& segment) {
      const bool over = segment->end > 0 && segment->end <= synced_;
      if (over) segment->file.reset();
      return over || !groups_under_way();
    });
  }
  if (!outcome.status.ok()) return fail(outcome.status);
  if (groups_->claim()) run_groups();
  if (!moved) return;
  if (!groups_under_way()) begin_page();
  release_segments();
  pump();
  progress();
}

// When what came before waits for a sync, and these with it.
void LogImpl::start_group_job() { submit(syncing_ = make_sync(place_pending())); }
void LogImpl::start_sync_job() { submit(syncing_ = make_sync({})); }

void LogImpl::submit(const JobPtr& job) {
  env_.executor.submit(
      Lane::kLog, [job, &clock = env_.clock] { job->run(clock); },
      [job, self = self_] {
        if (*self != nullptr && !job->completed) (*self)->complete(*job);
      });
}

void LogImpl::complete(LogJob& job) {
  job.completed = true;
  (job.sync ? syncing_ : writing_) = nullptr;
  if (!failure_.ok()) return;  // L3: also what succeeds afterwards moves nothing.
  if (!job.status.ok()) return fail(job.status);
  written_ = std::max(written_, job.end);
  if (job.sync) {
    synced_ = job.end;
    ++stats_.syncs;
    stats_.sync_us += job.sync_us;
    stats_.sync_us_max = std::max(stats_.sync_us_max, job.sync_us);
    for (const LogSegmentPtr& segment : job.syncs) {
      const bool full = std::find(full_.begin(), full_.end(), segment) != full_.end();
      const bool dirty = std::find(dirty_.begin(), dirty_.end(), segment) != dirty_.end();
      if (full && !dirty) segment->file.reset();
    }
  }
  job.writes.clear();
  job.syncs.clear();
  release_segments();
  pump();
  progress();
}

void LogImpl::fail(const Status& status) {
  failure_ = status;
  progress();
}

void LogImpl::progress() {
  if (listener_) listener_();
}

// Renames a segment that has been begun. Nothing waits for it: recovery finds a segment under either name.
void LogImpl::start_naming() {
  if (naming_ != nullptr || unnamed_.empty() || env_.clock.monotonic_us() < naming_retry_us_) return;
  naming_ = std::make_shared<Naming>();
  naming_->segment = unnamed_.front();
  naming_->to = options_.directory + "/" + segment_name(naming_->segment->first);
  env_.executor.submit(
      Lane::kLog,
      [naming = naming_, &files = env_.files] {
        std::call_once(naming->once,
                       [&] { naming->status = files.rename(naming->segment->path, naming->to); });
      },
      [naming = naming_, self = self_] {
        if (*self != nullptr && (*self)->naming_ == naming) (*self)->complete_naming(*naming);
      });
}

void LogImpl::complete_naming(Naming& naming) {
  if (naming.status.ok()) {
    naming.segment->path = naming.to;
    naming.segment->named = true;
    unnamed_.pop_front();
  } else {
    naming_retry_us_ = env_.clock.monotonic_us() + kSyncIntervalUs;
  }
  naming_.reset();
  start_naming();
  release_segments();
}

void LogImpl::request_sync() {
  sync_wanted_ = end_;
  pump();
}

void LogImpl::set_policy(SyncPolicy policy) {
  policy_ = policy;
  pump();
}

void LogImpl::tick() {
  if (closed_) return;
  pool_.tick();
  start_naming();
  release_segments();  // A pin may be gone.
  const bool due = env_.clock.monotonic_us() >= last_sync_us_ + kSyncIntervalUs;
  if (policy_ == SyncPolicy::kEverySec && due && end_ > synced_) sync_wanted_ = end_;
  pump();
}

void LogImpl::release(Lsn lsn) {
  released_ = std::max(released_, lsn);
  release_segments();
}

std::shared_ptr<LogPin> LogImpl::pin(Lsn lsn) {
  INVARIANT(lsn >= oldest());
  auto pin = std::make_shared<LogPin>(lsn);
  pins_.push_back(pin);
  return pin;
}

void LogImpl::keep(uint64_t bytes) {
  keep_bytes_ = bytes;
  release_segments();
}

// Up to where records can go, as far as those are concerned who read them.
Lsn LogImpl::releasable() {
  const uint64_t keep = pool_.status().code() == Code::kNoSpace ? 0 : keep_bytes_;
  Lsn lsn = std::min({released_, written_, end_ > keep ? end_ - keep : 0});
  std::erase_if(pins_, [&lsn](const std::weak_ptr<LogPin>& weak) {
    const auto pin = weak.lock();
    if (pin) lsn = std::min(lsn, pin->lsn());
    return !pin;
  });
  if (pins_.empty()) tail_.clear();
  return lsn;
}

std::shared_ptr<const LogSegment> LogImpl::find_segment(Lsn lsn, Lsn* until) const {
  if (lsn >= written_) return nullptr;
  for (const LogSegmentPtr& segment : full_) {
    if (lsn < segment->first || lsn >= segment->end) continue;
    *until = std::min(segment->end, written_);
    return segment;
  }
  for (size_t i = 0; i < tails_.size(); ++i) {
    const Lsn end = i + 1 < tails_.size() ? tails_[i + 1].segment->first : end_;
    if (lsn < tails_[i].segment->first || lsn >= end) continue;
    *until = std::min(end, written_);
    return tails_[i].segment;
  }
  return nullptr;
}

void LogImpl::release_segments() {
  const Lsn releasable = this->releasable();
  while (!full_.empty()) {
    const LogSegmentPtr& segment = full_.front();
    const auto in_use = [&segment](const JobPtr& job) {
      return job != nullptr && std::find(job->syncs.begin(), job->syncs.end(), segment) != job->syncs.end();
    };
    if (segment->end > releasable || !segment->named || in_use(syncing_)) return;
    std::erase(dirty_, segment);
    pool_.retire(segment);
    full_.pop_front();
  }
}

Lsn LogImpl::oldest() const {
  if (!full_.empty()) return full_.front()->first;
  return tails_.empty() ? end_ : tails_.front().segment->first;
}

Status LogImpl::close() {
  if (closed_) return failure_;
  for (;;) {
    // What runs on a worker is waited for, what is still queued is done here.
    for (const JobPtr& job : {writing_, syncing_}) {
      if (job == nullptr) continue;
      job->run(env_.clock);
      complete(*job);
    }
    if (failure_.ok() && groups_under_way()) {
      groups_->run(env_.clock, [] {});
      collect_groups();
    }
    if (writing_ != nullptr || syncing_ != nullptr) continue;
    if (!failure_.ok() || (end_ == synced_ && !pending())) break;
    request_sync();
  }
  closed_ = true;
  pool_.stop();
  while (naming_ != nullptr) {
    const std::shared_ptr<Naming> naming = naming_;
    std::call_once(naming->once,
                   [&] { naming->status = env_.files.rename(naming->segment->path, naming->to); });
    complete_naming(*naming);
  }
  if (failure_.ok()) {
    Status status = close_with_mark();
    if (!status.ok()) fail(status);
  }
  return failure_;
}

// An empty frame that says that all before it was synced, so that later damage is told from a power cut.
Status LogImpl::close_with_mark() {
  if (tails_.empty()) return {};
  LogWrite mark{tails_.front().segment, 0, end_, synced_, std::string(kFrameHeaderBytes, '\0')};
  mark.offset = round_up(mark.segment->offset, kLogPageBytes);
  if (mark.offset + kFrameHeaderBytes > mark.segment->bytes) return {};
  Status status = mark.run();
  return status.ok() ? mark.segment->file->sync() : status;
}

Log::Stats LogImpl::stats() const {
  Stats stats = stats_;
  stats.segments = full_.size() + tails_.size();
  return stats;
}

}  // namespace

Result<std::unique_ptr<Log>> Log::open(Env& env, const LogOptions& options, Lsn from, const Replay& replay,
                                       LogRecovery* recovery) {
  if (options.segment_bytes < kSegmentBytesMin || options.segment_bytes % kLogPageBytes != 0) {
    return Status(Code::kInvalid, "a log segment of " + std::to_string(options.segment_bytes) + " bytes");
  }
  Result<bool> exists = env.files.exists(options.directory);
  if (!exists.ok()) return exists.status();
  if (!*exists) {
    const size_t slash = options.directory.rfind('/');
    const std::string parent = slash == std::string::npos ? "."
                               : slash == 0               ? "/"
                                                          : options.directory.substr(0, slash);
    Status status = env.files.make_directory(options.directory);
    if (status.ok()) status = env.files.sync_directory(parent);
    if (!status.ok()) return status;
  }
  Result<LogHistory> history = recover_log(env, options, from, replay);
  if (!history.ok()) return history.status();
  if (recovery != nullptr) *recovery = history->report;
  auto log = std::make_unique<LogImpl>(env, options, *history);
  Status status = log->begin(*history);
  if (!status.ok()) return status;
  return std::unique_ptr<Log>(std::move(log));
}

}  // namespace engine
