// Background work: flushes, compactions, installing their results, removing what is obsolete.
//
//   schedule -> start_flush / start_compaction -> run_merge (step by step: a slice, and the disk's part of
//            the last one beside it) -> merge_finished
//            -> install -> start_install (a worker opens the tables and appends the edit) -> installed
#include <algorithm>

#include "engine/engine_impl.h"
#include "engine/file_names.h"
#include "engine/run_ahead.h"

namespace engine {

namespace {

constexpr uint64_t kFlushSliceBytes = 1 << 20;  // Of input, in a step.
constexpr uint64_t kCompactionSliceBytes = 512 << 10;
constexpr uint64_t kRetryUs = 1'000'000;  // The first wait; each is twice the last.
constexpr uint64_t kRetryMaxUs = 64'000'000;
constexpr uint64_t kShunUs = 600'000'000;
// Of all inputs together, each by its share of what a slice takes up; there are three times as much in
// memory.
constexpr uint64_t kCompactionReadAheadBytes = 512 << 10;
constexpr uint64_t kReadAheadBytesMin = 32 << 10;
// Every run that may hold a key adds its filter's false positives, and all levels above the last hold a small
// part of the records: there bits are worth most (Dayan et al., "Monkey", SIGMOD 2017).
constexpr uint32_t kFilterBits = 12, kFilterBitsAbove = 16;
constexpr size_t kForgetAtOnce = 4096;
// Writers' replies are held a little once so many sublevels wait in L0, and at most this long.
constexpr size_t kDelayFromSublevels = 16;
constexpr uint32_t kDelayStepUs = 50;
constexpr uint32_t kDelayMaxUs = 2000;

}  // namespace

struct EngineImpl::Merge {
  std::unique_ptr<MergeJob> job;
  Lane lane = Lane::kCompaction;
  std::shared_ptr<MemtableState> memtable;  // A flush.
  CompactionPlan plan;                      // A compaction.
  uint64_t born = 0;                        // next_table_ when it began.
  bool manual = false;                      // A compaction that the front of manual_ asked for.
  uint64_t memory_bytes = 0;                // Of what is read ahead, about.
  int running = 0;                          // Of the present step: slice and errand.
  Status slice, errand;                     // How they ended.
};

void EngineImpl::Trouble::failed(const Status& why, uint64_t now_us) {
  status = why;
  wait_us = std::clamp(2 * wait_us, kRetryUs, kRetryMaxUs);
  retry_at_us = now_us + wait_us;
}

const Status& EngineImpl::background_error() const {
  if (!flush_trouble_.status.ok()) return flush_trouble_.status;
  if (!compaction_trouble_.status.ok() || shunned_.empty()) return compaction_trouble_.status;
  return shunned_.back().status;
}

uint64_t EngineImpl::merge_bytes() const {
  uint64_t bytes = 0;
  for (const auto& merge : {flush_running_, compaction_running_}) {
    if (!merge) continue;
    const uint64_t slice = merge->memtable ? kFlushSliceBytes : kCompactionSliceBytes;
    bytes += 2 * slice + merge->memory_bytes;  // What one slice has made is written while the next one runs.
  }
  return bytes;
}

TableOptions EngineImpl::table_options(int level) const {
  TableOptions table;
  table.filter_bits_per_key = level == kLevels - 1 ? kFilterBits : kFilterBitsAbove;
  table.hash_seed = hash_seed_;
  table.block_bytes = options_.block_bytes;
  table.compression = options_.compression;
  return table;
}

CompactionTuning EngineImpl::tuning() const {
  CompactionTuning tuning;
  tuning.table_bytes = std::max<uint64_t>(options_.memtable_bytes / 2, 64 << 10);
  tuning.flush_table_bytes = std::max<uint64_t>(options_.memtable_bytes / 8, 64 << 10);
  tuning.base_bytes = 16 * options_.memtable_bytes;
  tuning.input_bytes_max = 4 * options_.memtable_bytes;
  return tuning;
}

void EngineImpl::schedule() {
  if (stopping_) return;
  if (!flush_waiters_.empty() && frozen_.empty() && active_->table->records() > 0) freeze();
  update_delay();
  const uint64_t now = env_.clock.monotonic_us();
  std::erase_if(shunned_, [&](const Shunned& shunned) {
    if (now < shunned.until_us) return false;
    for (const TableRef& table : shunned.tables) busy_.erase(table->meta().number);
    return true;
  });
  if (now >= flush_trouble_.retry_at_us) {
    if (!installs_.empty() && !install_running_) start_install();
    if (!flush_running_ && !frozen_.empty()) start_flush();
  }
  if (now >= compaction_trouble_.retry_at_us && !compaction_running_) start_compaction();
}

void EngineImpl::start_flush() {
  auto merge = std::make_shared<Merge>();
  merge->lane = Lane::kFlush;
  merge->memtable = frozen_.front();
  merge->born = next_table_;
  MergeOptions options;
  options.table = table_options(0);
  options.directory = options_.directory;
  options.table_bytes = tuning().flush_table_bytes;
  options.borders = flush_borders(*version_, tuning());
  options.below = version_;
  options.below_level = 0;
  options.dead = dead_.usable(log_->synced());
  options.first_lsn = merge->memtable->table->first_lsn();
  options.last_lsn = merge->memtable->table->last_lsn();
  std::vector<std::unique_ptr<Iterator>> inputs;
  auto view = merge->memtable->table->view();
  inputs.push_back(view->iterator());
  merge->job = std::make_unique<MergeJob>(env_, schema_, std::move(options), std::move(inputs),
                                          std::vector<std::shared_ptr<const void>>{view, merge->memtable},
                                          [this] { return next_table_.fetch_add(1); });
  flush_running_ = merge;
  run_merge(merge);
}

// The sublevels that iterators have met so often that to merge them would have cost less.
std::optional<CompactionPlan> EngineImpl::pick_for_readers() {
  if (!toll_.worth_a_look()) return std::nullopt;
  auto plan = pick_column(*version_, tuning(), busy_, toll_.where());
  if (plan && !toll_.covers(plan->input_bytes())) return std::nullopt;
  toll_.forget();
  return plan;
}

void EngineImpl::start_compaction() {
  const auto usable = dead_.usable(log_->synced());
  std::optional<CompactionPlan> plan;
  while (!manual_.empty() && flushed_ >= manual_.front().flush_through) {
    plan = pick_manual(*version_, tuning(), busy_, manual_.front().begin, manual_.front().end_inclusive);
    if (plan) break;
    end_manual(damage_within(manual_.front().begin, manual_.front().end_inclusive));
  }
  const bool manual = plan.has_value();
  if (!plan) plan = pick_compaction(*version_, tuning(), busy_, usable.get(), schema_);
  if (!plan) plan = pick_for_readers();
  if (!plan) {
    compaction_trouble_.over();  // What failed is not wanted any more.
    return;
  }
  for (const TableRef& table : plan->upper) busy_.insert(table->meta().number);
  for (const TableRef& table : plan->lower) busy_.insert(table->meta().number);

  auto merge = std::make_shared<Merge>();
  merge->plan = std::move(*plan);
  merge->manual = manual;
  merge->born = next_table_;
  compaction_running_ = merge;
  if (merge->plan.trivial_move || merge->plan.only_drop) {
    merge_finished(merge);
    return;
  }
  MergeOptions options;
  options.table = table_options(merge->plan.output_level);
  options.directory = options_.directory;
  options.table_bytes = tuning().table_bytes;
  options.borders = merge->plan.borders;
  options.below = version_;
  // A table of L0 that is written anew lies above other runs of L0.
  options.below_level = merge->plan.output_level == 0 ? 0 : merge->plan.output_level + 1;
  options.dead = usable;
  options.first_lsn = ~Lsn{0};
  for (const auto* tables : {&merge->plan.upper, &merge->plan.lower}) {
    for (const TableRef& table : *tables) {
      options.first_lsn = std::min(options.first_lsn, table->meta().first_lsn);
      options.last_lsn = std::max(options.last_lsn, table->meta().last_lsn);
      compaction_read_ += table->meta().file_bytes;
    }
  }
  std::vector<std::shared_ptr<const void>> keep_alive{version_};
  std::vector<std::unique_ptr<Iterator>> inputs;
  std::vector<std::shared_ptr<RunAhead>> ahead;
  uint64_t input_bytes = 1;
  for (const Run& run : merge->plan.inputs) input_bytes += run.bytes();
  for (const Run& run : merge->plan.inputs) {
    const uint64_t share = kCompactionReadAheadBytes * run.bytes() / input_bytes;
    const uint64_t stretch = std::max(share, kReadAheadBytesMin);
    merge->memory_bytes += RunAhead::memory_bytes(stretch);
    auto source = std::make_shared<RunAhead>(run, stretch);
    inputs.push_back(run_iterator(run, *source));
    ahead.push_back(std::move(source));
  }
  merge->job = std::make_unique<MergeJob>(
      env_, schema_, std::move(options), std::move(inputs), std::move(keep_alive),
      [this] { return next_table_.fetch_add(1); }, std::move(ahead));
  run_merge(merge);
}

void EngineImpl::run_merge(const std::shared_ptr<Merge>& merge) {
  Merge* m = merge.get();
  const uint64_t bytes = m->lane == Lane::kFlush ? kFlushSliceBytes : kCompactionSliceBytes;
  m->job->begin_step();
  const bool slice = m->job->has_slice(), errand = m->job->has_errand();
  m->running = int{slice} + int{errand};
  jobs_ += m->running;
  const auto over = [this, merge] {
    --jobs_;
    if (--merge->running == 0) step_over(merge);
  };
  if (errand)
    env_.executor.submit(
        m->lane, [m, bytes] { m->errand = m->job->errand(bytes); }, over);
  if (slice)
    env_.executor.submit(
        m->lane, [m, bytes] { m->slice = m->job->slice(bytes); }, over);
}

void EngineImpl::step_over(const std::shared_ptr<Merge>& merge) {
  const Status& status = merge->slice.ok() ? merge->errand : merge->slice;
  if (!status.ok() || stopping_) {
    abandon(merge);
  } else if (merge->job->finished()) {
    merge_finished(merge);
  } else {
    run_merge(merge);
    return;
  }
  check_waiters();
}

void EngineImpl::abandon(const std::shared_ptr<Merge>& merge) {
  ++jobs_;
  env_.executor.submit(
      merge->lane, [m = merge.get()] { m->job->discard(); },
      [this, merge] {
        --jobs_;
        const Status& status = merge->slice.ok() ? merge->errand : merge->slice;
        if (!status.ok())
          merge_failed(merge, status);
        else
          (merge->memtable ? flush_running_ : compaction_running_) = nullptr;
        check_waiters();
      });
}

void EngineImpl::merge_failed(const std::shared_ptr<Merge>& merge, const Status& status) {
  if (merge->memtable) {
    flush_running_ = nullptr;
    flush_trouble_.failed(status, env_.clock.monotonic_us());
  } else {
    compaction_running_ = nullptr;
    if (status.code() == Code::kCorruption) {
      shun(merge->plan, status);
    } else {
      for (const auto* tables : {&merge->plan.upper, &merge->plan.lower})
        for (const TableRef& table : *tables) busy_.erase(table->meta().number);
      compaction_trouble_.failed(status, env_.clock.monotonic_us());
    }
    if (merge->manual) end_manual(status);
  }
  if (status.code() == Code::kNoSpace) enter_full(status);
  notify();
}

// Other tables of the plan may be whole, but which one is not only the sentence knows.
void EngineImpl::shun(const CompactionPlan& plan, const Status& status) {
  Shunned shunned{plan.upper, status, env_.clock.monotonic_us() + kShunUs};
  shunned.tables.insert(shunned.tables.end(), plan.lower.begin(), plan.lower.end());
  shunned_.push_back(std::move(shunned));
}

Status EngineImpl::damage_within(std::string_view begin, std::string_view end_inclusive) const {
  for (const Shunned& shunned : shunned_) {
    for (const TableRef& table : shunned.tables) {
      if (table->meta().largest >= begin &&
          (end_inclusive.empty() || table->meta().smallest <= end_inclusive))
        return shunned.status;
    }
  }
  return {};
}

// Its owner is told when this turn is over: it may ask for more at once.
void EngineImpl::end_manual(const Status& status) {
  env_.executor.post([done = std::move(manual_.front().done), status] { done(status); });
  manual_.pop_front();
}

void EngineImpl::merge_finished(const std::shared_ptr<Merge>& merge) {
  Install change;
  std::vector<TableRef> removed;
  MergeResult result;
  if (merge->job) result = merge->job->take_result();
  change.outputs = result.tables;
  change.edit.count_deltas = result.count_deltas;
  for (const TableMeta& meta : result.tables) born_[meta.number] = merge->born;
  for (const Reference& reference : result.kills) kill(reference, 0);

  if (merge->memtable) {
    for (const auto& [owner, delta] : merge->memtable->count_deltas) change.edit.count_deltas[owner] += delta;
    change.edit.flushed = merge->memtable->last_lsn;
    flush_bytes_ += result.written_bytes;
    ++flushes_;
    change.prepare = [this, tables = result.tables](VersionEdit& edit) {
      const auto runs = place_flush(*version_, tables);
      for (size_t i = 0; i < tables.size(); ++i) edit.added.push_back({0, runs[i], tables[i]});
    };
  } else {
    const CompactionPlan& plan = merge->plan;
    const uint64_t run = plan.output_run;
    for (const auto* tables : {&plan.upper, &plan.lower}) {
      for (const TableRef& table : *tables) {
        change.edit.removed.push_back(table->meta().number);
        if (plan.trivial_move) change.edit.added.push_back({plan.output_level, run, table->meta()});
        if (!plan.trivial_move) removed.push_back(table);
      }
    }
    for (const TableMeta& meta : result.tables) change.edit.added.push_back({plan.output_level, run, meta});
    compaction_written_ += result.written_bytes;
    ++(plan.trivial_move ? trivial_moves_ : plan.only_drop ? drops_ : compactions_);
  }
  change.done = [this, merge, removed = std::move(removed),
                 deltas = std::move(result.count_deltas)](Status status) {
    if (!status.ok()) {  // The log and the old tables still have everything.
      if (!stopping_) merge_failed(merge, status);
      return;
    }
    for (const auto& [owner, delta] : deltas)
      if (!dead_.is_dead(owner)) counts_[owner] += delta;
    note_removed(removed);
    if (merge->memtable) {
      flushed_ = merge->memtable->last_lsn;
      INVARIANT(frozen_.front() == merge->memtable);
      frozen_.pop_front();
      retiring_.push_back({merge->memtable, nullptr, nullptr});
      log_->release(flushed_);
      flush_running_ = nullptr;
    } else {
      for (const auto* tables : {&merge->plan.upper, &merge->plan.lower})
        for (const TableRef& table : *tables) busy_.erase(table->meta().number);
      compaction_running_ = nullptr;
      compaction_trouble_.over();
    }
    flush_trouble_.over();
  };
  install(std::move(change));
}

void EngineImpl::install(Install change) {
  installs_.push_back(std::move(change));
  if (!install_running_) start_install();
}

void EngineImpl::start_install() {
  install_running_ = true;
  Install& change = installs_.front();
  if (change.prepare) {
    change.prepare(change.edit);
    change.prepare = nullptr;
  }
  // A death that a crash may still undo takes no count with it.
  const auto dead = dead_.usable(log_->synced());
  std::erase_if(change.edit.count_deltas, [&](const auto& delta) { return dead->contains(delta.first); });
  std::erase_if(forgotten_counts_, [&](ObjectId id) {
    if (!dead->contains(id)) return false;
    change.edit.forgotten_counts.push_back(id);
    return true;
  });
  change.edit.next_table = next_table_.load();
  change.edit.next_object = next_object_;
  change.edit.properties[kDeadThrough] = hex(dead_through_);
  change.edit.dead_objects = dead_.serialize(change.edit.flushed.value_or(flushed_));

  struct Outcome {
    Status status;
    TableMap opened;
    bool outputs_bad = false;
  };
  auto outcome = std::make_shared<Outcome>();
  ++jobs_;
  env_.executor.submit(
      Lane::kFlush,
      [this, &change, outcome] {
        for (const TableMeta& meta : change.outputs) {
          auto table = Table::open(env_.files, table_path(options_.directory, meta.number), meta, hash_seed_);
          if (!table.ok()) {
            outcome->status = table.status();
            outcome->outputs_bad = table.status().code() == Code::kCorruption;
            return;
          }
          outcome->opened[meta.number] = std::move(table).value();
        }
        outcome->status = manifest_->apply(change.edit);
      },
      [this, outcome] {
        --jobs_;
        if (outcome->status.ok()) {
          version_ = apply_edit(*version_, installs_.front().edit, outcome->opened);
          for (const auto& [number, table] : outcome->opened) filters_and_indexes_ += table->memory_bytes();
        }
        // Whoever made them is to make them again, so this is not the inputs' damage.
        if (outcome->outputs_bad) outcome->status = Status(Code::kIoError, outcome->status.message());
        installed(outcome->status, outcome->outputs_bad);
      });
}

void EngineImpl::installed(const Status& status, bool give_up) {
  install_running_ = false;
  if (!status.ok() && !stopping_ && !give_up) {
    // The change stays first in the queue and is tried again (the manifest begins a new file then): its
    // tables are whole and its inputs still there.
    flush_trouble_.failed(status, env_.clock.monotonic_us());
    if (status.code() == Code::kNoSpace) enter_full(status);
  } else {
    Install change = std::move(installs_.front());
    installs_.pop_front();
    if (give_up && !stopping_) {
      // Its tables are not what was written, and no edit names them: they are made again.
      std::vector<std::string> paths;
      for (const TableMeta& meta : change.outputs) {
        born_.erase(meta.number);
        paths.push_back(table_path(options_.directory, meta.number));
      }
      remove_files(std::move(paths));
      forgotten_counts_.insert(forgotten_counts_.end(), change.edit.forgotten_counts.begin(),
                               change.edit.forgotten_counts.end());
    }
    if (change.done) change.done(status);
    remove_obsolete();
    if (!installs_.empty() && !stopping_) start_install();
    schedule();
  }
  check_waiters();
  notify();
}

void EngineImpl::note_removed(const std::vector<TableRef>& tables) {
  for (const TableRef& table : tables) {
    born_.erase(table->meta().number);
    filters_and_indexes_ -= table->memory_bytes();
    obsolete_.push_back({table->meta().number, table->blocks(), table});
  }
}

void EngineImpl::remove_obsolete() {
  std::vector<std::string> paths;
  std::erase_if(obsolete_, [&](const Obsolete& obsolete) {
    if (!obsolete.table.expired()) return false;
    blocks_.erase_table(obsolete.number, obsolete.blocks);
    paths.push_back(table_path(options_.directory, obsolete.number));
    return true;
  });
  remove_files(std::move(paths));
}

void EngineImpl::remove_files(std::vector<std::string> paths) {
  if (paths.empty()) return;
  ++jobs_;
  env_.executor.submit(
      Lane::kFlush,
      [this, paths = std::move(paths)] {
        // One that stays behind is swept at the next open.
        for (const std::string& path : paths) (void)env_.files.remove(path).ok();
      },
      [this] {
        --jobs_;
        check_waiters();
      });
}

void EngineImpl::forget_dead() {
  if (dead_.count() == 0) return;
  const auto usable = dead_.usable(log_->synced());
  // A number of its own tells merges that began before, and may have carried an id's records over, from those
  // after.
  uint64_t now = 0;
  size_t looked_at = 0;
  for (const ObjectId id : dead_.ids()) {
    if (!usable->contains(id)) continue;
    const auto since = dead_since_.find(id);
    if (since == dead_since_.end()) {
      if (now == 0) now = next_table_.fetch_add(1) + 1;
      dead_since_.emplace(id, DeadSince{now, log_->end()});
      continue;
    }
    if (flushed_ < since->second.flush_through) continue;
    if (++looked_at > kForgetAtOnce) break;
    bool held = false;
    for (const KeyRange& range : schema_.ranges(id)) {
      for (int n = 0; n < kLevels && !held; ++n) {
        for (const Run& run : version_->level(n).runs) {
          for (size_t i = run.lower_bound(range.begin); i < run.tables().size() && !held; ++i) {
            const TableMeta& meta = run.tables()[i]->meta();
            if (!range.end.empty() && meta.smallest >= range.end) break;
            const auto born = born_.find(meta.number);
            held = born == born_.end() || born->second < since->second.table;
          }
        }
      }
    }
    if (held) continue;
    dead_since_.erase(since);
    dead_.forget(id);
  }
}

void EngineImpl::update_delay() {
  const auto depth = static_cast<size_t>(l0_depth(*version_));
  const size_t over = depth > kDelayFromSublevels ? depth - kDelayFromSublevels : 0;
  delay_us_ = static_cast<uint32_t>(std::min<size_t>(over * kDelayStepUs, kDelayMaxUs));
}

void EngineImpl::flush(std::function<void(Status)> done) {
  if (active_->table->records() == 0 && frozen_.empty()) {
    env_.executor.post([done = std::move(done)] { done({}); });
    return;
  }
  flush_waiters_.push_back({log_->end(), std::move(done)});
  if (active_->table->records() > 0) freeze();
  schedule();
}

void EngineImpl::compact(std::string begin, std::string end_inclusive, std::function<void(Status)> done) {
  const Lsn through = active_->table->records() == 0 && frozen_.empty() ? flushed_ : log_->end();
  manual_.push_back({std::move(begin), std::move(end_inclusive), std::move(done), through});
  flush([this, through](Status status) {
    if (!status.ok() && !manual_.empty() && manual_.front().flush_through == through) end_manual(status);
    schedule();
  });
}

void EngineImpl::check_waiters() {
  // Whoever waits for a flush, or for the end.
  std::vector<FlushWaiter> ready;
  std::erase_if(flush_waiters_, [&](FlushWaiter& waiter) {
    const bool over = flushed_ >= waiter.through || stopping_ || !flush_trouble_.status.ok();
    if (over) ready.push_back(std::move(waiter));
    return over;
  });
  for (FlushWaiter& waiter : ready) {
    if (flushed_ >= waiter.through)
      waiter.done({});
    else
      waiter.done(flush_trouble_.status.ok() ? Status(Code::kInvalid, "the engine is stopping")
                                             : flush_trouble_.status);
  }
  if (!stopping_ || jobs_ > 0 || !fetcher_.idle() || !stopped_) return;
  for (ManualCompaction& manual : manual_) manual.done(Status(Code::kInvalid, "the engine is stopping"));
  manual_.clear();
  auto stopped = std::move(stopped_);
  stopped_ = nullptr;
  stopped(log_->close());
}

}  // namespace engine
