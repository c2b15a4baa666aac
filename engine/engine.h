// engine/engine.h: the LSM-tree as its user sees it.
//
// Writes go to the log and the memtable and are visible at once; a full memtable is frozen and flushed to
// tables, and tables are merged downwards, all on workers in short slices. The reactor never waits: a read
// that needs a block from disk says kCold, fetch() brings it, the caller reads again.
//
// One turn of the reactor: reads and apply()s; then end_turn(), which closes the turn's log frame; then the
// listener of on_progress() tells how far the log is written and synced, and replies go as that allows.
//
// Threads: the reactor, but for Snapshot's reading side (any one worker at a time).
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/batch.h"
#include "engine/checkpoint.h"
#include "engine/env.h"
#include "engine/log.h"
#include "engine/log_reader.h"
#include "engine/lsn.h"
#include "engine/reader.h"
#include "engine/schema.h"
#include "engine/table_builder.h"

namespace engine {

struct EngineOptions {
  std::string directory;
  // What memtables, record index, caches, filters and indexes may take together.
  uint64_t memory_bytes = 256 << 20;
  // A memtable is frozen at this size; 0: an eighth of memory_bytes, at most 64 MB.
  uint64_t memtable_bytes = 0;
  uint64_t log_segment_bytes = 32 << 20;
  SyncPolicy sync = SyncPolicy::kEverySec;
  uint64_t log_keep_bytes = 0;  // Of the log behind its end, for readers that come back (Engine::keep_log).
  Compression compression = Compression::kLz4;
  uint32_t block_bytes = 4096;
  // Disk space held back so that deletes and compactions work on a full disk.
  uint64_t reserve_bytes = 64 << 20;
  // For tests: a block in memory is treated as cold with this probability (of 2^32).
  uint32_t cold_chance = 0;
};

// What one command has fetched and may need again: it lives from the command's first run to its last. The
// blocks in it stay in memory as long.
class ReadContext {
 public:
  struct Impl;
  ReadContext();
  ~ReadContext();
  ReadContext(ReadContext&&) noexcept;
  ReadContext& operator=(ReadContext&&) noexcept;

  bool cold() const;  // Some read since the last fetch() met a cold block.
  uint32_t fetches() const;

  // For commands that cannot go on as others do, one cold block after the other. From here on
  // ... a cold block that a walk meets brings up to this many of those behind it along;
  void read_ahead(uint32_t blocks);
  // ... no block is cold: it is read where it stands, and the calling thread waits for it.
  void may_block();
  uint64_t blocked() const;  // Blocks read so.

  std::unique_ptr<Impl> impl;  // The engine's; null until a block was cold.
  Impl& own();                 // Made if need be.
};

// The store as it was at one moment. O(1) to take; while it lives its memtables and tables are kept.
// Release it on the reactor (move it back through Executor's `done`).
class Snapshot {
 public:
  virtual ~Snapshot() = default;
  // A reader that blocks. One at a time a thread.
  virtual std::unique_ptr<Reader> reader() const = 0;
  virtual Lsn lsn() const = 0;
  // The exact number of live counted keys under `owner`, debts of blind writes looked up one by one.
  // Blocking.
  virtual Result<uint64_t> count(ObjectId owner) const = 0;
};

struct LevelStats {
  uint64_t runs = 0, tables = 0, bytes = 0, entries = 0, tombstones = 0;
};

struct EngineStats {
  std::array<LevelStats, 7> levels;
  uint64_t memtable_bytes = 0, memtable_records = 0, frozen_memtables = 0, frozen_bytes = 0;
  uint64_t record_cache_bytes = 0, record_cache_records = 0, record_hits = 0, record_misses = 0;
  uint64_t block_cache_bytes = 0, block_cache_blocks = 0, block_hits = 0, block_misses = 0;
  uint64_t filter_and_index_bytes = 0, filter_negatives = 0, filter_positives = 0, filter_false_positives = 0;
  uint64_t user_bytes = 0;  // Keys and values of all puts and erases since the start.
  uint64_t log_bytes = 0, flush_bytes = 0, compaction_bytes_read = 0, compaction_bytes_written = 0;
  uint64_t flushes = 0, compactions = 0, trivial_moves = 0, drops = 0;
  uint64_t compaction_debt = 0;
  uint64_t cold_fetches = 0, cold_blocks = 0, cold_without_worker = 0, cold_bytes = 0, cold_us = 0;
  uint64_t delays = 0, delay_us = 0, stalls = 0;
  uint64_t unsettled = 0, dead_objects = 0, snapshots = 0;
  uint64_t disk_bytes = 0, live_bytes = 0;
  Log::Stats log;
  Lsn flushed = 0;
  std::string background_error;  // Why flushes or compactions do not get on; empty if they do.
};

class Engine {
 public:
  // Recovers (blocking): lock, manifest, tables, log; sweeps orphan files. `recovery` may be null.
  // Errors: kBusy naming the pid that holds the directory; kCorruption naming file and offset; kTooNew;
  // kIoError.
  static Result<std::unique_ptr<Engine>> open(Env& env, const EngineOptions& options, const Schema& schema,
                                              LogRecovery* recovery);
  virtual ~Engine() = default;  // Requires: stop() has called back.

  // ---- reading
  // The present state, for one command: cold blocks are noted in `context`, which must outlive the reader.
  virtual std::unique_ptr<Reader> reader(ReadContext& context) = 0;
  // One key of the present state, the shortest way: what reader(context)->get(key) gives.
  virtual Lookup get(std::string_view key, ReadContext& context) = 0;
  // Starts loading what get(key) will touch.
  virtual void prefetch(std::string_view key) = 0;
  // Brings the blocks that `context` noted as cold, then calls `done` on the reactor. One fetch serves all
  // that wait for a block. Requires: context.cold(); it stays where it is until done.
  virtual void fetch(ReadContext& context, Task done) = 0;
  virtual std::shared_ptr<const Snapshot> snapshot() = 0;

  // ---- writing
  enum class Admission : uint8_t {
    kOpen,
    kWait,     // Memory is full of writes not yet flushed; on_progress() tells when to try again.
    kRefused,  // refusal() says why: the log failed, or the disk is full. Reads go on.
  };
  // Ask before running a command that may write. `erasing`: it makes room (DEL, FLUSHDB …), for which
  // headroom is kept.
  virtual Admission admission(uint64_t batch_bytes, bool erasing) = 0;
  virtual const Status& refusal() const = 0;
  // For good: written() and synced() stand still, and what waits for more waits in vain.
  virtual bool log_failed() const = 0;
  // How long the replies of writers should be held so that compaction keeps up; 0 nearly always.
  virtual uint32_t delay_us() const = 0;
  // Makes the batch the newest writes. Returns the LSN at which it ends: what its reply waits for.
  // Requires: admission() said kOpen for at least its size. May note existence in the batch's bytes.
  virtual Lsn apply(Batch& batch) = 0;
  // Closes the turn: hands its log frame on, evicts from caches, starts background work.
  virtual void end_turn() = 0;
  virtual ObjectId new_object() = 0;

  virtual Lsn end() const = 0;
  virtual Lsn written() const = 0;
  virtual Lsn synced() const = 0;
  // Called on the reactor when written(), synced(), admission() or refusal() may have changed.
  virtual void on_progress(std::function<void()> listener) = 0;
  virtual void set_sync_policy(SyncPolicy policy) = 0;
  virtual void request_sync() = 0;

  // ---- replication: the log as a stream, and a store as files
  // Applies records that another engine's log holds from end() on: this log holds the same bytes at the same
  // LSNs. No local write may come between. Requires: foreign_admission() said kOpen for at least its size.
  virtual Lsn apply_foreign(const Batch& record) = 0;
  // Memory and log alone: a full disk stops it only when the log cannot grow.
  virtual Admission foreign_admission(uint64_t record_bytes) = 0;
  // The log from `from` on, pinned. Null: it does not reach back so far, or has not come so far.
  virtual std::unique_ptr<LogReader> read_log(Lsn from) = 0;
  virtual Lsn log_begin() const = 0;
  // The lowest LSN to which the store can be taken back by order_cut() and reopen() (engine/log_cut.h).
  virtual Lsn cut_floor() const = 0;
  virtual void keep_log(uint64_t bytes) = 0;
  // Pins the tables of the present version and the log from them on. `done` is called on the reactor.
  virtual void checkpoint(std::function<void(Result<std::shared_ptr<const Checkpoint>>)> done) = 0;
  // The tables that are live, and where: what a checkpoint need not bring.
  virtual std::vector<CheckpointFile> tables() const = 0;
  virtual const std::string& directory() const = 0;
  // Ends everything as stop() does, then opens what the directory holds by then (a checkpoint that has come
  // in, engine/incoming.h), as open() does, blocking. Snapshots live on; readers, ReadContexts and LogReaders
  // must be gone. Not OK: the engine cannot be used any more, but destroyed.
  virtual void reopen(std::function<void(Status)> done) = 0;

  // ---- counts
  // Live counted keys under `owner`; too high by at most unsettled() until debts are paid.
  virtual uint64_t count(ObjectId owner) const = 0;
  // Blind writes over keys of which nobody knew whether they were there; 0: every count() is exact.
  virtual uint64_t unsettled() const = 0;

  // ---- care
  virtual void tick() = 0;  // Some ten times a second.
  virtual void set_memory(uint64_t bytes) = 0;
  // Freezes the memtable and flushes all; `done` gets the outcome when everything written so far is in
  // tables.
  virtual void flush(std::function<void(Status)> done) = 0;
  // Flushes, then merges all in [begin, end] down as far as it goes.
  virtual void compact(std::string begin, std::string end_inclusive, std::function<void(Status)> done) = 0;
  virtual void drop_caches() = 0;
  virtual uint64_t approximate_bytes(std::string_view begin, std::string_view end) const = 0;
  virtual EngineStats stats() const = 0;
  // Text for people: every level, run and table, one line each.
  virtual std::string describe() const = 0;

  // Ends background work, writes and syncs the log, then calls `done`. No other call may follow.
  virtual void stop(std::function<void(Status)> done) = 0;
};

}  // namespace engine
