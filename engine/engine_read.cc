// Reading: the present state on the reactor, snapshots on workers.
#include <algorithm>
#include <deque>
#include <utility>

#include "engine/bounded_iterator.h"
#include "engine/engine_impl.h"
#include "engine/sample.h"

namespace engine {

// The present state, for one command.
class CurrentReader final : public Reader {
 public:
  CurrentReader(EngineImpl& engine, ReadContext& context)
      : engine_(engine),
        context_(context),
        source_(engine.blocks_, engine.options_.cold_chance, &engine.dice_) {
    source_.attach(context_, engine_.version_);
    source_.walks();
  }

  Lookup get(std::string_view key) override {
    const Lookup found = engine_.get(key, context_);
    if (found.state == Lookup::State::kFailed) status_ = engine_.source_.status();
    return found;
  }

  std::unique_ptr<Iterator> iterator(std::string_view begin, std::string_view end) override {
    std::vector<std::unique_ptr<Iterator>> children;
    children.push_back(engine_.active_->table->iterator());
    for (auto frozen = engine_.frozen_.rbegin(); frozen != engine_.frozen_.rend(); ++frozen)
      children.push_back((*frozen)->table->iterator());
    const size_t sublevels = add_iterators(*engine_.version_, begin, end, source_, &children);
    if (const auto& lost = engine_.lost_writes())
      newest_ = std::max(newest_, lost->newest(begin, end));
    else
      newest_ = engine_.log_->end();
    return bounded_iterator(std::move(children), begin, end, {engine_.version_}, &engine_.gaps_, passed_,
                            &engine_.toll_, sublevels > 1 ? sublevels : 0);
  }
  void on_passed(Passed passed) override { passed_ = std::move(passed); }

  Lookup::State sample(std::string_view begin, std::string_view end, uint64_t random,
                       std::string* key) override {
    std::vector<MemtableRecords> memtables{
        {engine_.active_->table->root(), engine_.active_->table->records()}};
    for (const auto& frozen : engine_.frozen_)
      memtables.push_back({frozen->table->root(), frozen->table->records()});
    const auto state = sample_runs(memtables, *engine_.version_, source_, begin, end, random, key);
    if (state == Lookup::State::kFailed) status_ = source_.status();
    return state;
  }

  const Status& status() const override { return status_; }
  Lsn newest() const override { return newest_; }

 private:
  EngineImpl& engine_;
  ReadContext& context_;
  CachedBlocks source_;
  Passed passed_;
  Lsn newest_ = 0;  // Of its iterators so far.
  Status status_;
};

const std::shared_ptr<const LostWrites>& EngineImpl::lost_writes() {
  if (log_failed() && !lost_writes_) {
    std::vector<const Memtable*> memtables{active_->table.get()};
    for (const auto& frozen : frozen_) memtables.push_back(frozen->table.get());
    lost_writes_ = std::make_shared<LostWrites>(memtables, log_->synced());
  }
  return lost_writes_;
}

std::unique_ptr<Reader> EngineImpl::reader(ReadContext& context) {
  return std::make_unique<CurrentReader>(*this, context);
}

Lookup EngineImpl::get(std::string_view key, ReadContext& context) {
  const uint64_t hash = hash_key(key, hash_seed_);
  if (MemRecord* record = index_->find(hash, key)) {
    read_[reads_++ % read_.size()] = {hash, record};
    if (record->tombstone()) return {Lookup::State::kAbsent, {}, record->lsn};
    return {Lookup::State::kFound, record->value(), record->lsn};
  }
  Lookup result;
  bool settled = false;
  bool read_a_block = false;
  source_.attach(context, version_);
  filter_negatives_ += version_->visit(key, hash, [&](const Table& table) {
    const uint32_t number = table.find_block(key);
    if (number == table.blocks()) return false;
    ++filter_positives_;
    const BlockRef block = source_.block(table, number);
    if (!block) {
      result.state = source_.status().ok() ? Lookup::State::kCold : Lookup::State::kFailed;
      return settled = true;
    }
    const auto entry = block->find(key, hash);
    if (!entry) {
      ++filter_false_positives_;
      read_a_block = true;
      return false;
    }
    settled = true;
    const uint8_t flags = entry->flags & kTombstone;
    const MemRecord* cached = index_->cache(hash, key, entry->value, flags);
    if (flags & kTombstone) return true;
    result.state = Lookup::State::kFound;
    result.value = cached != nullptr ? cached->value() : entry->value;
    if (cached == nullptr) {  // Too large for the record cache: the block stays while the command runs.
      context.own().held.push_back(block);
    }
    return true;
  });
  // That filters alone say so is found out again as fast as it could be remembered.
  if (!settled && read_a_block) index_->cache(hash, key, {}, kTombstone);
  return result;
}

void EngineImpl::prefetch(std::string_view key) {
  const uint64_t hash = hash_key(key, hash_seed_);
  index_->prefetch(hash);
  // By now the line of a key named a little before has come, and says where the record is.
  uint64_t& before = prefetched_[prefetches_++ % prefetched_.size()];
  index_->prefetch_record(std::exchange(before, hash));
}

void EngineImpl::fetch(ReadContext& context, Task done) {
  fetcher_.fetch(context, [this, done = std::move(done)]() mutable {
    done();
    if (stopping_) check_waiters();  // This may have been what stop() waits for.
  });
}

namespace {

// Everything that a snapshot reads, newest first.
struct Moment {
  std::vector<std::shared_ptr<const Memtable::TreeView>> memtables;
  VersionRef version;
  std::unordered_map<ObjectId, int64_t> counts;
  uint64_t unsettled = 0;
  uint64_t hash_seed = 0;
  Lsn lsn = 0;
  std::shared_ptr<const LostWrites> lost;  // Null if the log was well.
};

constexpr uint64_t kReadAheadBytes = 1 << 20;

class SnapshotReader final : public Reader {
 public:
  explicit SnapshotReader(std::shared_ptr<const Moment> moment) : moment_(std::move(moment)) {}

  Lookup get(std::string_view key) override {
    for (const auto& memtable : moment_->memtables) {
      if (const MemRecord* record = memtable->find(key)) {
        if (record->tombstone()) return {Lookup::State::kAbsent, {}, record->lsn};
        return {Lookup::State::kFound, record->value(), record->lsn};
      }
    }
    Lookup result;
    const uint64_t hash = hash_key(key, moment_->hash_seed);
    moment_->version->visit(key, hash, [&](const Table& table) {
      const uint32_t number = table.find_block(key);
      if (number == table.blocks()) return false;
      const BlockRef block = recent(table, number);
      if (!block) {
        result.state = Lookup::State::kFailed;
        return true;
      }
      const auto entry = block->find(key, hash);
      if (!entry) return false;
      if ((entry->flags & kTombstone) == 0) {
        result.state = Lookup::State::kFound;
        result.value = kept(block, entry->value);
      }
      return true;
    });
    return result;
  }

  std::unique_ptr<Iterator> iterator(std::string_view begin, std::string_view end) override {
    newest_ = moment_->lost ? std::max(newest_, moment_->lost->newest(begin, end)) : moment_->lsn;
    std::vector<std::unique_ptr<Iterator>> children;
    std::vector<std::shared_ptr<const void>> keep_alive{moment_};
    for (const auto& memtable : moment_->memtables) children.push_back(memtable->iterator());
    for (int n = 0; n < kLevels; ++n) {
      for (const Run& run : moment_->version->level(n).runs) {
        const size_t first = run.lower_bound(begin);
        if (first == run.tables().size()) continue;
        if (!end.empty() && std::string_view(run.tables()[first]->meta().smallest) >= end) continue;
        std::shared_ptr<BlockSource> source = blocking_source(kReadAheadBytes);
        children.push_back(run_iterator(run, *source));
        keep_alive.push_back(std::move(source));
      }
    }
    return bounded_iterator(std::move(children), begin, end, std::move(keep_alive));
  }

  Lookup::State sample(std::string_view begin, std::string_view end, uint64_t random,
                       std::string* key) override {
    std::vector<MemtableRecords> memtables;
    for (const auto& memtable : moment_->memtables)
      memtables.push_back({memtable->root(), memtable->records()});
    const auto source = blocking_source(0);
    const auto state = sample_runs(memtables, *moment_->version, *source, begin, end, random, key);
    if (state == Lookup::State::kFailed) status_ = source->status();
    return state;
  }

  const Status& status() const override { return status_; }
  Lsn newest() const override { return newest_; }

 private:
  // Blocks that were read last: who asks for many keys in their order finds most of them in one that is here.
  struct Recent {
    uint64_t table = 0;
    uint32_t number = 0;
    BlockRef block;
  };
  static constexpr size_t kRecent = 512;
  static constexpr size_t kCopiedBytesMax = 256;

  // Null: status_ says why.
  BlockRef recent(const Table& table, uint32_t number) {
    if (recent_.empty()) recent_.resize(kRecent);
    Recent& slot = recent_[(table.meta().number * 31 + number) % kRecent];
    if (slot.block && slot.table == table.meta().number && slot.number == number) return slot.block;
    auto block = table.read_block(number);
    if (!block.ok()) {
      status_ = block.status();
      return {};
    }
    slot = {table.meta().number, number, std::move(block).value()};
    return slot.block;
  }

  // Values stay valid until the command has ended; but a small one is not worth the block around it.
  std::string_view kept(const BlockRef& block, std::string_view value) {
    if (value.empty()) return {};
    if (value.size() <= kCopiedBytesMax) return small_.emplace_back(value);
    if (blocks_.empty() || blocks_.back() != block) blocks_.push_back(block);
    return value;
  }

  std::shared_ptr<const Moment> moment_;
  std::vector<Recent> recent_;
  std::vector<BlockRef> blocks_;
  std::deque<std::string> small_;
  Lsn newest_ = 0;
  Status status_;
};

class SnapshotImpl final : public Snapshot {
 public:
  SnapshotImpl(std::shared_ptr<const Moment> moment, const Schema& schema)
      : moment_(std::move(moment)), schema_(schema) {}
  std::unique_ptr<Reader> reader() const override { return std::make_unique<SnapshotReader>(moment_); }
  Lsn lsn() const override { return moment_->lsn; }
  Result<uint64_t> count(ObjectId owner) const override;

 private:
  // Whether the newest record of `key` in the runs from number `from` on is a live one.
  Result<bool> lies_beneath(std::string_view key, size_t from) const;

  std::shared_ptr<const Moment> moment_;
  const Schema& schema_;
};

Result<bool> SnapshotImpl::lies_beneath(std::string_view key, size_t from) const {
  for (; from < moment_->memtables.size(); ++from) {
    if (const MemRecord* record = moment_->memtables[from]->find(key)) return !record->tombstone();
  }
  size_t number = moment_->memtables.size();
  const uint64_t hash = hash_key(key, moment_->hash_seed);
  for (int n = 0; n < kLevels; ++n) {
    for (const Run& run : moment_->version->level(n).runs) {
      if (number++ < from) continue;
      const Table* table = run.find(key);
      if (table == nullptr || !table->may_contain(hash)) continue;
      const uint32_t block_number = table->find_block(key);
      if (block_number == table->blocks()) continue;
      auto block = table->read_block(block_number);
      if (!block.ok()) return block.status();
      if (const auto entry = block.value()->find(key, hash)) return (entry->flags & kTombstone) == 0;
    }
  }
  return false;
}

Result<uint64_t> SnapshotImpl::count(ObjectId owner) const {
  const auto at = moment_->counts.find(owner);
  int64_t count = at == moment_->counts.end() ? 0 : at->second;
  if (moment_->unsettled == 0) return static_cast<uint64_t>(std::max<int64_t>(count, 0));
  Status failure;
  const auto settle = [&](Iterator& records, size_t number, const KeyRange& range) {
    for (auto state = records.seek(range.begin);
         state == Iterator::State::kAt && (range.end.empty() || records.key() < std::string_view(range.end));
         state = records.next()) {
      if ((records.flags() & kUnsettled) == 0 || !schema_.counted(records.key())) continue;
      const auto beneath = lies_beneath(records.key(), number + 1);
      if (!beneath.ok()) {
        failure = beneath.status();
        return;
      }
      if (beneath.value()) --count;
    }
    if (records.state() == Iterator::State::kFailed) failure = records.status();
  };
  for (const KeyRange& range : schema_.ranges(owner)) {
    size_t number = 0;
    for (const auto& memtable : moment_->memtables) {
      const auto records = memtable->iterator();
      settle(*records, number++, range);
      if (!failure.ok()) return failure;
    }
    for (int n = 0; n < kLevels; ++n) {
      for (const Run& run : moment_->version->level(n).runs) {
        for (const TableRef& table : run.tables()) {
          if (table->meta().unsettled == 0) continue;
          const auto source = blocking_source(kReadAheadBytes);
          const auto records = table_iterator(table, *source);
          settle(*records, number, range);
          if (!failure.ok()) return failure;
        }
        ++number;
      }
    }
  }
  return static_cast<uint64_t>(std::max<int64_t>(count, 0));
}

}  // namespace

std::shared_ptr<const Snapshot> EngineImpl::snapshot() {
  if (last_snapshot_lsn_ == log_->end() && !log_failed()) {
    if (auto last = last_snapshot_.lock()) return last;
  }
  auto moment = std::make_shared<Moment>();
  moment->memtables.push_back(active_->table->view());
  for (auto frozen = frozen_.rbegin(); frozen != frozen_.rend(); ++frozen)
    moment->memtables.push_back((*frozen)->table->view());
  moment->version = version_;
  moment->counts = counts_;
  moment->unsettled = unsettled();
  moment->hash_seed = hash_seed_;
  moment->lsn = log_->end();
  moment->lost = lost_writes();
  last_snapshot_lsn_ = moment->lsn;
  auto snapshot = std::make_shared<SnapshotImpl>(std::move(moment), schema_);
  last_snapshot_ = snapshot;
  return snapshot;
}

}  // namespace engine
