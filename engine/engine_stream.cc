// The log as a stream, checkpoints, and opening anew.
#include <algorithm>
#include <utility>

#include "engine/engine_impl.h"
#include "engine/file_names.h"
#include "engine/manifest_edit.h"

namespace engine {
namespace {

constexpr uint64_t kRecordRoomSlack = 64 << 10;

class CheckpointImpl final : public Checkpoint {
 public:
  CheckpointImpl(FileSystem& files, std::string directory, VersionRef version, const ManifestState& state,
                 Lsn whole_at, std::shared_ptr<LogPin> pin)
      : files_system_(files),
        directory_(std::move(directory)),
        version_(std::move(version)),
        pin_(std::move(pin)),
        flushed_(state.flushed),
        whole_at_(std::max(whole_at, state.flushed)),
        state_(encode_edit(state.as_edit())) {
    for (const auto& [number, placed] : state.tables)
      files_.push_back({number, placed.meta.file_bytes, placed.meta.checksum});
  }

  Lsn flushed() const override { return flushed_; }
  Lsn whole_at() const override { return whole_at_; }
  const std::string& state() const override { return state_; }
  const std::vector<CheckpointFile>& files() const override { return files_; }

  Result<std::string> read(uint64_t number, uint64_t offset, uint64_t bytes) const override {
    const auto file = std::find_if(files_.begin(), files_.end(),
                                   [number](const CheckpointFile& f) { return f.number == number; });
    if (file == files_.end() || offset > file->bytes || bytes > file->bytes - offset)
      return Status(Code::kInvalid, "the checkpoint has no such bytes of table " + std::to_string(number));
    auto opened = files_system_.open(table_path(directory_, number), OpenMode::kRead, Caching::kNone);
    if (!opened.ok()) return opened.status();
    std::string data(bytes, '\0');
    auto got = (*opened)->read(offset, data);
    if (!got.ok()) return got.status();
    if (*got != bytes)
      return Status(Code::kIoError, table_path(directory_, number) + ": shorter than it was written");
    return data;
  }

 private:
  FileSystem& files_system_;
  const std::string directory_;
  const VersionRef version_;  // V3: keeps the files.
  const std::shared_ptr<LogPin> pin_;
  const Lsn flushed_, whole_at_;
  const std::string state_;
  std::vector<CheckpointFile> files_;
};

}  // namespace

Engine::Admission EngineImpl::foreign_admission(uint64_t record_bytes) {
  if (!log_->failure().ok()) return Admission::kRefused;
  if (log_->room() < record_bytes + kRecordRoomSlack) {
    log_->reserve(record_bytes + kRecordRoomSlack);
    if (log_->room() < record_bytes + kRecordRoomSlack) return Admission::kWait;
  }
  if (active_->table->bytes() >= 2 * options_.memtable_bytes) {
    ++stalls_;
    return Admission::kWait;
  }
  return Admission::kOpen;
}

Lsn EngineImpl::apply_foreign(const Batch& record) {
  INVARIANT(!record.empty());
  const Lsn lsn = log_->end() + record.bytes().size();
  learn_ids(record.bytes());
  BatchReader operations(record.bytes());
  // What the writer noted of existence stays as it is, for the bytes must; what is known here beyond that
  // counts here.
  apply_operations(operations, nullptr, lsn);
  INVARIANT(operations.status().ok());
  const Lsn end = log_->append(record.bytes());
  INVARIANT(end == lsn);
  return lsn;
}

std::unique_ptr<LogReader> EngineImpl::read_log(Lsn from) {
  if (from < log_->oldest() || from > log_->written()) return nullptr;
  return std::make_unique<LogReader>(env_, *log_, from);
}

void EngineImpl::keep_log(uint64_t bytes) {
  options_.log_keep_bytes = bytes;
  log_->keep(bytes);
}

void EngineImpl::checkpoint(std::function<void(Result<std::shared_ptr<const Checkpoint>>)> done) {
  if (stopping_) return done(Status(Code::kInvalid, "the engine is stopping"));
  // As a change of nothing: when its turn is over no other runs, and the manifest says what version_ is.
  Install nothing;
  nothing.done = [this, done = std::move(done)](const Status& status) {
    if (!status.ok()) return done(status);
    const ManifestState& state = manifest_->state();
    done(std::shared_ptr<const Checkpoint>(
        std::make_shared<CheckpointImpl>(env_.files, options_.directory, version_, state, log_->synced(),
                                         log_->pin(std::min(state.flushed, log_->written())))));
  };
  install(std::move(nothing));
}

std::vector<CheckpointFile> EngineImpl::tables() const {
  std::vector<CheckpointFile> tables;
  for (const TableRef& table : version_->all_tables())
    tables.push_back({table->meta().number, table->meta().file_bytes, table->meta().checksum});
  return tables;
}

void EngineImpl::reopen(std::function<void(Status)> done) {
  stop([this, done = std::move(done)](const Status& stopped) mutable {
    if (!stopped.ok()) return done(stopped);
    open_again(this, std::move(done));
  });
}

// In a turn of its own, when the last job has let go of the directory.
void EngineImpl::open_again(EngineImpl* engine, std::function<void(Status)> done) {
  engine->env_.executor.post([engine, done = std::move(done)]() mutable {
    if (!engine->log_->idle()) return open_again(engine, std::move(done));
    Env& env = engine->env_;
    const EngineOptions options = engine->options_;
    const Schema& schema = engine->schema_;
    auto listener = std::move(engine->listener_);
    std::destroy_at(engine);
    std::construct_at(engine, env, options, schema);
    LogRecovery unused;
    const Status opened = engine->recover(&unused);
    if (opened.ok()) engine->listener_ = std::move(listener);
    done(opened);
  });
}

}  // namespace engine
