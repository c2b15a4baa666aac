#include "engine/log_segments.h"

#include <algorithm>
#include <utility>

namespace engine {
namespace {

constexpr uint64_t kSliceBytes = 1 << 20;
constexpr uint64_t kRetryUs = 1'000'000;
// Released segments come several at once, when a memtable has been flushed; that many are worth keeping, for
// a recycled file costs no zeroing.
constexpr size_t kRetiredMax = 4;

// What a segment takes besides one record: its header's page, the record's frame, the page of the closing
// mark.
constexpr uint64_t kAround =
    kFirstFrameOffset + kFrameHeaderBytes + kRecordPrefixBytesMax + kFrameAlignment + kLogPageBytes;

uint64_t bytes_for(uint64_t record_bytes) { return round_up(record_bytes + kAround, kLogPageBytes); }

}  // namespace

uint64_t LogSegment::room(uint64_t frame_so_far) const {
  const uint64_t start = round_up(offset, kLogPageBytes);  // L6: where it would start after a sync.
  const uint64_t used =
      start - kFirstFrameOffset + std::max(frame_so_far, kFrameHeaderBytes) - kFrameHeaderBytes;
  return used + kAround >= bytes ? 0 : bytes - used - kAround;
}

LogSegmentMaker LogSegmentMaker::fresh(Env& env, const std::string& directory, uint64_t bytes) {
  LogSegmentMaker maker;
  maker.files_ = &env.files;
  maker.directory_ = directory;
  maker.segment_ = std::make_shared<LogSegment>();
  maker.segment_->id = env.entropy.next();
  maker.segment_->path = directory + "/" + spare_name(maker.segment_->id);
  maker.segment_->bytes = bytes;
  return maker;
}

LogSegmentMaker LogSegmentMaker::recycled(Env& env, const std::string& directory, LogSegmentPtr old) {
  LogSegmentMaker maker = fresh(env, directory, old->bytes);
  maker.old_path_ = old->path;
  return maker;
}

Result<bool> LogSegmentMaker::step() {
  Status status;
  bool last = false;
  if (!old_path_.empty()) {
    status = made_ ? finish() : reuse();
    last = std::exchange(made_, true);
  } else if (!made_) {
    status = create();
  } else if (zeroed_ < segment_->bytes) {
    status = zero();
  } else {
    status = finish();
    last = true;
  }
  if (!status.ok()) {
    segment_->file.reset();
    // Space is what is short, usually. What cannot be removed now, the next open sweeps.
    [[maybe_unused]] const Status ignored = files_->remove(segment_->path);
    return status;
  }
  return last;
}

Status LogSegmentMaker::create() {
  Result<std::unique_ptr<File>> file = files_->open(segment_->path, OpenMode::kCreate);
  if (!file.ok()) return file.status();
  made_ = true;
  segment_->file = std::move(file).value();
  // All of it at once, so that a full disk is found before anything is written.
  return segment_->file->allocate(0, segment_->bytes);
}

Status LogSegmentMaker::zero() {
  // Written and not just allocated: a sync of unwritten extents has to commit their change of state.
  const uint64_t n = std::min(kSliceBytes, segment_->bytes - zeroed_);
  Status status = segment_->file->write(zeroed_, std::string(n, '\0'));
  if (status.ok()) status = segment_->file->sync();
  zeroed_ += n;
  return status;
}

Status LogSegmentMaker::reuse() {
  // The old name goes first and durably: from now on no recovery takes it for a part of the log by its name.
  Status status = files_->rename(old_path_, segment_->path);
  if (!status.ok()) return status;
  status = files_->sync_directory(directory_);
  if (!status.ok()) return status;
  Result<std::unique_ptr<File>> file = files_->open(segment_->path, OpenMode::kReadWrite);
  if (!file.ok()) return file.status();
  segment_->file = std::move(file).value();
  return {};
}

Status LogSegmentMaker::finish() {
  // The header last: where it is, all of the file is.
  Status status = segment_->file->write(0, segment_header(segment_->id));
  if (status.ok()) status = segment_->file->sync();
  if (status.ok()) status = files_->sync_directory(directory_);
  return status;
}

// One preparation or one removal.
struct LogSegmentPool::Job {
  explicit Job(std::shared_ptr<LogSegmentPool*> pool) : owner(std::move(pool)) {}
  std::shared_ptr<LogSegmentPool*> owner;
  FileSystem* files = nullptr;
  std::string directory;
  LogSegmentMaker maker;
  std::string remove;  // The path, if that is what is to be done.
  Status status;
  bool finished = false;

  void step() {
    if (!remove.empty()) {
      // Durably, so that files always go in the order of their LSNs and never leave a gap.
      status = files->remove(remove);
      if (status.ok()) status = files->sync_directory(directory);
      finished = true;
      return;
    }
    Result<bool> made = maker.step();
    status = made.status();
    finished = !made.ok() || *made;
  }
};

LogSegmentPool::LogSegmentPool(Env& env, std::string directory, uint64_t segment_bytes,
                               std::function<void()> changed)
    : env_(env),
      directory_(std::move(directory)),
      segment_bytes_(segment_bytes),
      changed_(std::move(changed)),
      self_(std::make_shared<LogSegmentPool*>(this)) {}

LogSegmentPool::~LogSegmentPool() { *self_ = nullptr; }

LogSegmentPtr LogSegmentPool::take(uint64_t record_bytes) {
  auto best = ready_.end();
  for (auto it = ready_.begin(); it != ready_.end(); ++it) {
    if ((*it)->room(0) >= record_bytes && (best == ready_.end() || (*it)->bytes < (*best)->bytes)) best = it;
  }
  if (best == ready_.end()) return nullptr;
  LogSegmentPtr segment = std::move(*best);
  ready_.erase(best);
  start();
  return segment;
}

uint64_t LogSegmentPool::room() const {
  uint64_t room = 0;
  for (const LogSegmentPtr& segment : ready_) room = std::max(room, segment->room(0));
  return room;
}

void LogSegmentPool::reserve(uint64_t record_bytes) {
  reserve_ = std::max(reserve_, record_bytes);
  start();
}

void LogSegmentPool::retire(LogSegmentPtr segment) {
  segment->file.reset();
  retired_.push_back(std::move(segment));
  retry_at_us_ = 0;  // It may be just the space that was missing.
  start();
}

void LogSegmentPool::tick() {
  if (!status_.ok() && env_.clock.monotonic_us() < retry_at_us_) return;
  start();
}

void LogSegmentPool::start() {
  if (busy_ || stopped_) return;
  auto job = std::make_shared<Job>(self_);
  job->files = &env_.files;
  job->directory = directory_;
  if (reserve_ <= room()) reserve_ = 0;
  const bool waiting_after_failure = !status_.ok() && env_.clock.monotonic_us() < retry_at_us_;
  const bool wanted = (ready_.empty() || reserve_ > 0) && !waiting_after_failure;
  const bool odd = std::any_of(retired_.begin(), retired_.end(), [this](const LogSegmentPtr& segment) {
    return segment->bytes != segment_bytes_;
  });
  if (odd || retired_.size() > kRetiredMax) {
    job->remove = retired_.front()->path;
    retired_.pop_front();
  } else if (wanted && !retired_.empty() && bytes_for(reserve_) <= segment_bytes_) {
    job->maker = LogSegmentMaker::recycled(env_, directory_, retired_.front());
    retired_.pop_front();
  } else if (wanted) {
    job->maker = LogSegmentMaker::fresh(env_, directory_, std::max(segment_bytes_, bytes_for(reserve_)));
  } else {
    return;
  }
  busy_ = true;
  run(std::move(job));
}

void LogSegmentPool::run(std::shared_ptr<Job> job) {
  env_.executor.submit(
      Lane::kLog, [job] { job->step(); },
      [job] {
        LogSegmentPool* pool = *job->owner;
        if (pool == nullptr) return;  // What is half made, the next open sweeps.
        if (job->finished || pool->stopped_) {
          pool->finish(*job);
        } else {
          pool->run(job);
        }
      });
}

void LogSegmentPool::finish(Job& job) {
  busy_ = false;
  // A file that could not be removed is found and released again after the next open.
  if (!job.finished) return;  // Stopped: what is half made, the next open sweeps.
  const bool making = job.remove.empty();
  if (making) status_ = job.status;
  if (making && !status_.ok()) retry_at_us_ = env_.clock.monotonic_us() + kRetryUs;
  if (making && status_.ok()) ready_.push_back(job.maker.take());
  start();
  if (making) changed_();
}

}  // namespace engine
