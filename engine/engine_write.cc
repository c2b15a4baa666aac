// Writing: admission, batches into log and memtable, and the limits of memory and disk.
#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "engine/engine_impl.h"

namespace engine {

namespace {
constexpr uint64_t kRecordRoomSlack = 64 << 10;  // Of the log, beyond the batch itself.
constexpr size_t kRetiredPerTurn = 512;          // Records; some 50 us.
constexpr uint64_t kDiskCheckIntervalUs = 1'000'000;
constexpr uint64_t kCacheBytesMin = 1 << 20;
}  // namespace

Engine::Admission EngineImpl::admission(uint64_t batch_bytes, bool erasing) {
  if (!log_->failure().ok()) [[unlikely]] {
    refusal_ = log_->failure();
    return Admission::kRefused;
  }
  if (full_ && !erasing) [[unlikely]]
    return Admission::kRefused;
  if (log_->room() < batch_bytes + kRecordRoomSlack) [[unlikely]] {
    log_->reserve(batch_bytes + kRecordRoomSlack);
    if (log_->room() < batch_bytes + kRecordRoomSlack) {
      if (log_->preparation().ok()) return Admission::kWait;
      refusal_ = log_->preparation();
      return Admission::kRefused;
    }
  }
  if (active_->table->bytes() >= 2 * options_.memtable_bytes)
      [[unlikely]] {  // end_turn() could not freeze it.
    // Erasing is let a little further, for it is to make room; but nobody is to wait for what does not come.
    if (!flush_trouble_.status.ok()) {
      if (erasing && active_->table->bytes() < 3 * options_.memtable_bytes) return Admission::kOpen;
      refusal_ = flush_trouble_.status;
      return Admission::kRefused;
    }
    ++stalls_;
    return Admission::kWait;
  }
  if (!full_ && !refusal_.ok()) [[unlikely]]
    refusal_ = {};
  return Admission::kOpen;
}

Lsn EngineImpl::apply(Batch& batch) {
  if (batch.empty()) return log_->end();
  const Lsn lsn = log_->end() + batch.bytes().size();
  BatchReader operations(batch.bytes());
  apply_operations(operations, &batch, lsn);
  INVARIANT(operations.status().ok());
  const Lsn end = log_->append(batch.bytes());
  INVARIANT(end == lsn);
  return lsn;
}

void EngineImpl::apply_operations(BatchReader& operations, Batch* batch, Lsn lsn) {
  // Each key's place in the record index is a cache miss: some are waited for together.
  for (bool more = true; more;) {
    size_t count = 0;
    while (count < together_.size() && (more = operations.next())) {
      Operation& one = together_[count++];
      one = {operations.op(),    operations.before(), operations.op_offset(), operations.key(),
             operations.value(), operations.id(),     operations.generation()};
      if (one.op == Batch::Op::kMoved || take_read(one)) continue;
      one.hash = hash_key(one.key, hash_seed_);
      index_->prefetch(one.hash);
    }
    for (size_t i = 0; i < count; ++i) apply_operation(together_[i], batch, lsn);
  }
  reads_ = 0;
}

// Most commands write what they have read. What they write twice is looked for the second time, for then
// another record may stand for it.
bool EngineImpl::take_read(Operation& operation) {
  const auto reads = std::span(read_).first(std::min<size_t>(reads_, read_.size()));
  for (const Read& read : reads) {
    if (read.record == nullptr || read.record->key() != operation.key) continue;
    operation.hash = read.hash;
    operation.read = read.record;
    for (Read& same : reads)
      if (same.record == operation.read) same.record = nullptr;
    return true;
  }
  return false;
}

void EngineImpl::apply_operation(const Operation& operation, Batch* batch, Lsn lsn) {
  if (operation.op == Batch::Op::kMoved) {
    dead_.moved(operation.id, operation.generation, lsn);
    dead_through_ = std::max(dead_through_, lsn);
    next_object_ = std::max(next_object_, operation.id + 1);
    return;
  }
  const Existence before = write_record(operation, lsn);
  if (batch != nullptr && before != operation.before) {
    // What was found out goes into the log, so that replay counts as was counted here.
    char& op = batch->mutable_bytes()[operation.op_offset];
    op = static_cast<char>(static_cast<uint8_t>(operation.op) | static_cast<uint8_t>(before) << 4);
  }
}

Existence EngineImpl::probe_tables(std::string_view key, uint64_t hash) const {
  bool maybe = false;
  version_->visit(key, hash, [&](const Table&) { return maybe = true; });
  return maybe ? Existence::kUnknown : Existence::kAbsent;
}

// Returns what lay there before, as far as that is known now.
Existence EngineImpl::write_record(const Operation& operation, Lsn lsn) {
  const std::string_view key = operation.key;
  const uint64_t hash = operation.hash;
  const bool erases = operation.op == Batch::Op::kErase;
  const std::string_view value = erases ? std::string_view() : operation.value;
  Existence before = operation.before;
  user_bytes_ += key.size() + value.size();
  if (!erases) gaps_.put(key);
  const bool counted = schema_.counted(key);
  const Reference reference = erases ? Reference{} : schema_.reference(key, value);
  if (before == Existence::kAbsent && !erases && !counted && reference.id == kNoObject &&
      operation.read == nullptr) {
    // A new element: nothing hangs on what the record index has, so nobody waits for its line.
    index_->point_to_soon(hash, active_->table->put(key, value, kPut, lsn, nullptr));
    return before;
  }
  MemRecord* old = operation.read != nullptr ? operation.read : index_->find(hash, key);
  next_object_ = std::max(next_object_, reference.id + 1);
  if (old != nullptr && !old->tombstone()) {
    const Reference dropped = schema_.reference(key, old->value());
    if (dropped.id != kNoObject && dropped.id != reference.id) kill(dropped, lsn);
  }
  uint8_t flags = erases ? kTombstone : kPut;
  MemRecord* own = old != nullptr && old->home == active_->home ? old : nullptr;
  if (counted) {
    if (old != nullptr)
      before = old->tombstone() ? Existence::kAbsent : Existence::kPresent;
    else if (before == Existence::kUnknown)
      before = probe_tables(key, hash);
    // An unknown put is counted as new, an unknown erase not at all: kUnsettled then says "one less if there
    // was one beneath". A record that replaces an unsettled one in the same run takes its debt over.
    int64_t delta = 0;
    if (before == Existence::kPresent && erases) delta = -1;
    if (before != Existence::kPresent && !erases) delta = 1;
    if (before == Existence::kUnknown || (own != nullptr && (own->flags & kUnsettled))) flags |= kUnsettled;
    if (delta != 0) count_by(schema_.owner(key), delta);
  }
  MemRecord* record = active_->table->put(key, value, flags, lsn, own);
  if (old == nullptr)
    index_->add(hash, record);
  else if (record != old)
    index_->point_to(hash, record);
  return before;
}

void EngineImpl::count_by(ObjectId owner, int64_t delta) {
  if (dead_.is_dead(owner)) return;
  counts_[owner] += delta;
  active_->count_deltas[owner] += delta;
}

void EngineImpl::kill(Reference reference, Lsn lsn) {
  if (reference.id != kNoObject) dead_through_ = std::max(dead_through_, lsn);
  if (!dead_.kill(reference, lsn)) return;
  if (counts_.erase(reference.id) != 0) forgotten_counts_.push_back(reference.id);
}

uint64_t EngineImpl::count(ObjectId owner) const {
  const auto at = counts_.find(owner);
  return at == counts_.end() ? 0 : static_cast<uint64_t>(std::max<int64_t>(at->second, 0));
}

uint64_t EngineImpl::unsettled() const {
  uint64_t sum = active_->table->unsettled() + version_->unsettled();
  for (const auto& frozen : frozen_) sum += frozen->table->unsettled();
  return sum;
}

uint8_t EngineImpl::unused_home() const {
  for (uint8_t home = 0; home < kHomes; ++home) {
    bool used = active_ && active_->home == home;
    for (const auto& frozen : frozen_) used |= frozen->home == home;
    for (const auto& retiring : retiring_) used |= retiring.memtable->home == home;
    if (!used) return home;
  }
  return kHomes;
}

void EngineImpl::freeze() {
  const uint8_t home = unused_home();
  if (home == kHomes) return;
  active_->table->freeze();
  active_->last_lsn = log_->end();
  frozen_.emplace_back(std::move(active_));
  active_ = std::make_unique<MemtableState>(home);
}

void EngineImpl::end_turn() {
  log_->end_turn();
  if (active_->table->bytes() >= options_.memtable_bytes && frozen_.size() < kFrozenMax) {
    freeze();
    schedule();
  }
  reads_ = 0;
  if (!retiring_.empty()) retire_some();
  index_->maintain();
  blocks_.maintain();
}

void EngineImpl::retire_some() {
  Retiring& oldest = retiring_.front();
  Iterator::State state = oldest.at ? oldest.at->state() : Iterator::State::kEnd;
  if (!oldest.at) {
    oldest.view = oldest.memtable->table->view();
    oldest.at = oldest.view->iterator();
    state = oldest.at->seek_first();
  }
  reads_ = 0;
  // Neither the records nor their places in the index lie near each other: some are waited for together.
  constexpr size_t kTogether = 16;
  struct Leaving {
    uint64_t hash;
    MemRecord* record;
  };
  std::array<Leaving, kTogether> together;
  for (size_t n = 0; n < kRetiredPerTurn && state == Iterator::State::kAt;) {
    size_t count = 0;
    for (; count < kTogether && state == Iterator::State::kAt; state = oldest.at->next()) {
      const std::string_view key = oldest.at->key();
      together[count++] = {hash_key(key, hash_seed_), MemRecord::of_key(key)};
      index_->prefetch(together[count - 1].hash);
      __builtin_prefetch(key.data() + 64);  // The value: it may be copied.
    }
    for (size_t i = 0; i < count; ++i) index_->retire(together[i].hash, together[i].record);
    n += count;
  }
  if (state != Iterator::State::kAt) retiring_.pop_front();
}

void EngineImpl::set_memory(uint64_t bytes) {
  options_.memory_bytes = bytes;
  divide_memory();
}

void EngineImpl::divide_memory() {
  // Memtables come first, filters and indexes are what they are, and the caches share the rest.
  uint64_t taken = options_.memtable_bytes + filters_and_indexes_ + merge_bytes();
  for (const auto& frozen : frozen_) taken += frozen->table->bytes();
  for (const auto& retiring : retiring_) taken += retiring.memtable->table->bytes();
  const uint64_t rest = options_.memory_bytes > taken ? options_.memory_bytes - taken : 0;
  index_->set_capacity(std::max(kCacheBytesMin, rest * 2 / 5));
  blocks_.set_capacity(std::max(kCacheBytesMin, rest * 3 / 5));
}

void EngineImpl::drop_caches() {
  while (!retiring_.empty()) retire_some();  // Or what is flushed would come back into the cache.
  index_->clear_cache();
  blocks_.clear();
}

void EngineImpl::tick() {
  log_->tick();
  if (!full_ && !refusal_.ok()) (void)admission(0, false);  // It may have ended unnoticed.
  for (int n = 0; n < 8 && !retiring_.empty(); ++n) retire_some();
  const uint64_t now = env_.clock.monotonic_us();
  if (now >= next_disk_check_us_) {
    next_disk_check_us_ = now + kDiskCheckIntervalUs;
    check_disk();
    forget_dead();
  }
  divide_memory();
  remove_obsolete();
  schedule();
}

void EngineImpl::check_disk() {
  if (options_.reserve_bytes == 0 && !full_) return;
  const auto free = env_.files.free_bytes(options_.directory);
  if (!free.ok()) return;
  if (!full_) {
    if (log_->preparation().code() == Code::kNoSpace)
      enter_full(log_->preparation());
    else if (free.value() < options_.reserve_bytes / 4)
      enter_full(Status(Code::kNoSpace, "the disk that holds " + options_.directory + " is full"));
    return;
  }
  if (reserve_held_ && env_.files.remove(path("RESERVE")).ok()) reserve_held_ = false;
  // Some hysteresis: the reserve must fit, and as much again; at the least what the next turns will ask for.
  const uint64_t soon = options_.log_segment_bytes + 2 * options_.memtable_bytes;
  if (free.value() >= std::max(2 * options_.reserve_bytes, soon)) leave_full();
}

void EngineImpl::enter_full(const Status& why) {
  if (full_) return;
  full_ = true;
  refusal_ = why;
  if (reserve_held_ && env_.files.remove(path("RESERVE")).ok()) reserve_held_ = false;
  notify();
}

Status EngineImpl::take_reserve() {
  if (reserve_held_ || options_.reserve_bytes == 0) return {};
  (void)env_.files.remove(path("RESERVE")).ok();  // Perhaps half made.
  auto reserve = env_.files.open(path("RESERVE"), OpenMode::kCreate);
  if (!reserve.ok()) return reserve.status();
  if (Status s = reserve.value()->allocate(0, options_.reserve_bytes); !s.ok()) {
    (void)env_.files.remove(path("RESERVE")).ok();
    return s;
  }
  reserve_held_ = true;
  return {};
}

void EngineImpl::leave_full() {
  if (Status s = take_reserve(); !s.ok()) {
    refusal_ = s;
    return;
  }
  full_ = false;
  refusal_ = {};
  flush_trouble_.over();
  compaction_trouble_.over();
  notify();
}

}  // namespace engine
