// engine/engine_impl.h: the engine's state, all of it, and who does what with it.
//
//     engine_open.cc    recovery: lock, manifest, tables, log
//     engine_read.cc    get, readers, snapshots
//     engine_write.cc   admission, apply, freezing, memory and disk limits
//     engine_stream.cc  the log as a stream, checkpoints, opening anew
//     background.cc     flushes, compactions, installing their results, removing what is obsolete
//     engine_stats.cc   figures and descriptions
//
// Threads: the reactor owns everything here. Jobs on workers get immutable things by reference and hand
// results back.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/block_cache.h"
#include "engine/cold_fetch.h"
#include "engine/compaction_picker.h"
#include "engine/dead_objects.h"
#include "engine/engine.h"
#include "engine/gaps.h"
#include "engine/lost_writes.h"
#include "engine/manifest.h"
#include "engine/memtable.h"
#include "engine/merge_job.h"
#include "engine/read_context.h"
#include "engine/read_toll.h"
#include "engine/record_index.h"
#include "engine/version.h"

namespace engine {

std::string hex(uint64_t value);  // Sixteen digits.

// A memtable with what the engine knows of it.
struct MemtableState {
  explicit MemtableState(uint8_t the_home) : table(std::make_shared<Memtable>(the_home)), home(the_home) {}
  std::shared_ptr<Memtable> table;
  uint8_t home;
  std::map<ObjectId, int64_t> count_deltas;  // What its writes did to the counts.
  Lsn last_lsn = 0;                          // When frozen: everything up to here is in it or below it.
};

class EngineImpl final : public Engine {
 public:
  EngineImpl(Env& env, const EngineOptions& options, const Schema& schema);
  ~EngineImpl() override;
  Status recover(LogRecovery* recovery);

  std::unique_ptr<Reader> reader(ReadContext& context) override;
  Lookup get(std::string_view key, ReadContext& context) override;
  void prefetch(std::string_view key) override;
  void fetch(ReadContext& context, Task done) override;
  std::shared_ptr<const Snapshot> snapshot() override;

  Admission admission(uint64_t batch_bytes, bool erasing) override;
  const Status& refusal() const override { return log_->failure().ok() ? refusal_ : log_->failure(); }
  uint32_t delay_us() const override { return delay_us_; }
  bool log_failed() const override { return !log_->failure().ok(); }
  Lsn apply(Batch& batch) override;
  void end_turn() override;
  ObjectId new_object() override { return next_object_++; }
  Lsn end() const override { return log_->end(); }
  Lsn written() const override { return log_->written(); }
  Lsn synced() const override { return log_->synced(); }
  void on_progress(std::function<void()> listener) override { listener_ = std::move(listener); }
  void set_sync_policy(SyncPolicy policy) override {
    options_.sync = policy;  // For reopen().
    log_->set_policy(policy);
  }
  void request_sync() override { log_->request_sync(); }
  Lsn apply_foreign(const Batch& record) override;
  Admission foreign_admission(uint64_t record_bytes) override;
  std::unique_ptr<LogReader> read_log(Lsn from) override;
  Lsn log_begin() const override { return log_->oldest(); }
  Lsn cut_floor() const override { return std::max(flushed_, dead_through_); }
  void keep_log(uint64_t bytes) override;
  void checkpoint(std::function<void(Result<std::shared_ptr<const Checkpoint>>)> done) override;
  std::vector<CheckpointFile> tables() const override;
  const std::string& directory() const override { return options_.directory; }
  void reopen(std::function<void(Status)> done) override;
  uint64_t count(ObjectId owner) const override;
  uint64_t unsettled() const override;

  void tick() override;
  void set_memory(uint64_t bytes) override;
  void flush(std::function<void(Status)> done) override;
  void compact(std::string begin, std::string end_inclusive, std::function<void(Status)> done) override;
  void drop_caches() override;
  uint64_t approximate_bytes(std::string_view begin, std::string_view end) const override;
  EngineStats stats() const override;
  std::string describe() const override;
  void stop(std::function<void(Status)> done) override;

 private:
  friend class CurrentReader;

  // A change of the tree on its way into the manifest. One at a time.
  struct Install {
    VersionEdit edit;
    std::vector<TableMeta> outputs;  // New tables to open.
    std::function<void(VersionEdit&)>
        prepare;                       // On the reactor, when its turn has come: what depends on the version.
    std::function<void(Status)> done;  // On the reactor, the version already changed if OK.
  };
  struct Merge;  // A flush or compaction under way.
  struct ManualCompaction {
    std::string begin, end_inclusive;
    std::function<void(Status)> done;
    Lsn flush_through;
  };

  // ---- recovery
  Status open_tables();
  Status sweep_orphans();
  Status replay(Lsn end, std::string_view record);
  static void open_again(EngineImpl* engine, std::function<void(Status)> done);
  void learn_ids(std::string_view record);

  // ---- writing
  const std::shared_ptr<const LostWrites>& lost_writes();  // Null while the log is well.
  void apply_operations(BatchReader& operations, Batch* batch, Lsn lsn);
  // One of a batch, with its place in the record index.
  struct Operation {
    Batch::Op op = Batch::Op::kPut;
    Existence before = Existence::kUnknown;
    size_t op_offset = 0;
    std::string_view key, value;
    ObjectId id = kNoObject;
    uint32_t generation = 0;
    uint64_t hash = 0;
    MemRecord* read = nullptr;  // What stands for the key, if that is known.
  };
  void apply_operation(const Operation& operation, Batch* batch, Lsn lsn);
  bool take_read(Operation& operation);
  Existence write_record(const Operation& operation, Lsn lsn);
  Existence probe_tables(std::string_view key, uint64_t hash) const;
  void kill(Reference reference, Lsn lsn);
  void freeze();
  void count_by(ObjectId owner, int64_t delta);
  uint8_t unused_home() const;
  void retire_some();
  void divide_memory();
  void check_disk();
  void enter_full(const Status& why);
  void leave_full();
  Status take_reserve();

  // ---- background
  void schedule();
  void start_flush();
  void start_compaction();
  std::optional<CompactionPlan> pick_for_readers();
  void run_merge(const std::shared_ptr<Merge>& merge);
  void step_over(const std::shared_ptr<Merge>& merge);
  void abandon(const std::shared_ptr<Merge>& merge);
  void merge_finished(const std::shared_ptr<Merge>& merge);
  void merge_failed(const std::shared_ptr<Merge>& merge, const Status& status);
  void shun(const CompactionPlan& plan, const Status& status);
  Status damage_within(std::string_view begin, std::string_view end_inclusive) const;
  void end_manual(const Status& status);
  void remove_files(std::vector<std::string> paths);
  void install(Install install);
  void start_install();
  void installed(const Status& status, bool give_up);
  void note_removed(const std::vector<TableRef>& tables);
  void remove_obsolete();
  void forget_dead();
  void check_waiters();
  void update_delay();
  // Why background work does not get on; OK if it does.
  const Status& background_error() const;
  void notify() {
    if (listener_) listener_();
  }
  CompactionTuning tuning() const;
  uint64_t merge_bytes() const;  // Memory of flush and compaction, about.
  TableOptions table_options(int level) const;
  std::string path(std::string_view name) const { return options_.directory + "/" + std::string(name); }

  Env& env_;
  EngineOptions options_;
  const Schema& schema_;
  uint64_t hash_seed_ = 0;

  std::unique_ptr<FileLock> lock_;
  std::unique_ptr<Manifest> manifest_;  // A worker's while install_running_.
  std::unique_ptr<Log> log_;

  std::optional<RecordIndex> index_;  // Made once the store's hash seed is known.
  // The records last found by get(), in a ring. They hold until something is written, or taken from memory.
  struct Read {
    uint64_t hash = 0;
    MemRecord* record = nullptr;
  };
  std::array<Read, 8> read_;
  uint64_t reads_ = 0;                    // Since then.
  std::array<Operation, 8> together_;     // Of the batch being applied.
  std::array<uint64_t, 4> prefetched_{};  // Hashes of the keys last given to prefetch(), in a ring.
  size_t prefetches_ = 0;
  BlockCache blocks_;
  ColdFetcher fetcher_;
  CachedBlocks source_;
  uint64_t dice_ = 0;

  std::unique_ptr<MemtableState> active_;
  std::deque<std::shared_ptr<MemtableState>> frozen_;  // Oldest first; not yet in tables.
  struct Retiring {
    std::shared_ptr<MemtableState> memtable;
    std::shared_ptr<const Memtable::TreeView> view;
    std::unique_ptr<Iterator> at;
  };
  std::deque<Retiring> retiring_;  // In tables; the record index still points into them.
  VersionRef version_;
  Gaps gaps_;
  ReadToll toll_;
  std::shared_ptr<const LostWrites> lost_writes_;  // Made by the first that asks.
  std::unordered_map<ObjectId, int64_t> counts_;
  std::vector<ObjectId> forgotten_counts_;  // For the next edit that finds them dead for good.
  DeadObjects dead_;
  struct DeadSince {
    uint64_t table;     // Tables of merges that began from here on do not hold the id,
    Lsn flush_through;  // and no memtable does once everything up to here is in tables.
  };
  std::map<ObjectId, DeadSince> dead_since_;
  Lsn flushed_ = 0;
  Lsn dead_through_ = 0;  // The last record by which an object died or moved; the manifest may know of it.
  std::atomic<uint64_t> next_table_{1};
  ObjectId next_object_ = 1;
  std::weak_ptr<const Snapshot> last_snapshot_;
  Lsn last_snapshot_lsn_ = 0;

  std::shared_ptr<Merge> flush_running_;
  std::shared_ptr<Merge> compaction_running_;
  std::set<uint64_t> busy_;  // Tables that a compaction reads.
  std::deque<Install> installs_;
  bool install_running_ = false;
  std::deque<ManualCompaction> manual_;
  struct FlushWaiter {
    Lsn through;
    std::function<void(Status)> done;
  };
  std::vector<FlushWaiter> flush_waiters_;
  std::map<uint64_t, uint64_t> born_;  // Table number -> next_table_ when the merge that made it began.
  struct Obsolete {
    uint64_t number;
    uint32_t blocks;
    std::weak_ptr<const Table> table;
  };
  std::vector<Obsolete> obsolete_;
  int jobs_ = 0;  // Submitted and not yet done.
  bool stopping_ = false;
  std::function<void(Status)> stopped_;

  std::function<void()> listener_;
  Status refusal_;
  // Work that failed is tried again, after waits that grow.
  struct Trouble {
    Status status;  // Of the last attempt.
    uint64_t retry_at_us = 0, wait_us = 0;
    void failed(const Status& why, uint64_t now_us);
    void over() { *this = {}; }
  };
  Trouble flush_trouble_;  // Flushes, and changes of the manifest.
  Trouble compaction_trouble_;
  // What a compaction could not read is left alone for a while, and all else goes on.
  struct Shunned {
    std::vector<TableRef> tables;  // In busy_ as long.
    Status status;
    uint64_t until_us;
  };
  std::vector<Shunned> shunned_;
  bool full_ = false;
  bool reserve_held_ = false;
  uint64_t next_disk_check_us_ = 0;
  uint32_t delay_us_ = 0;
  uint64_t filters_and_indexes_ = 0;  // Bytes.

  // Figures.
  mutable uint64_t filter_negatives_ = 0;
  uint64_t filter_positives_ = 0, filter_false_positives_ = 0;
  uint64_t user_bytes_ = 0, flush_bytes_ = 0, compaction_read_ = 0, compaction_written_ = 0;
  uint64_t flushes_ = 0, compactions_ = 0, trivial_moves_ = 0, drops_ = 0, stalls_ = 0;
};

inline constexpr const char* kDeadThrough =
    "dead-through";  // A property of the store: dead_through_, in hex.
inline constexpr size_t kFrozenMax = 2;
inline constexpr uint8_t kHomes = 8;  // Active, frozen and retiring memtables at once, at most.

}  // namespace engine
