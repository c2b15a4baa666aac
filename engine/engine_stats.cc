// Figures for INFO, and a description for people.
#include <fmt/format.h>

#include "engine/engine_impl.h"
#include "engine/sample.h"

namespace engine {

EngineStats EngineImpl::stats() const {
  EngineStats stats;
  for (int n = 0; n < kLevels; ++n) {
    LevelStats& level = stats.levels[static_cast<size_t>(n)];
    level.runs = version_->level(n).runs.size();
    for (const Run& run : version_->level(n).runs) {
      for (const TableRef& table : run.tables()) {
        const TableMeta& meta = table->meta();
        ++level.tables;
        level.bytes += meta.file_bytes;
        level.entries += meta.entries;
        level.tombstones += meta.tombstones;
        stats.live_bytes += meta.data_bytes;
      }
    }
    stats.disk_bytes += level.bytes;
  }
  stats.memtable_bytes = active_->table->bytes();
  stats.memtable_records = active_->table->records();
  stats.frozen_memtables = frozen_.size();
  for (const auto& frozen : frozen_) stats.frozen_bytes += frozen->table->bytes();
  stats.record_cache_bytes = index_->bytes();
  stats.record_cache_records = index_->cached_records();
  stats.record_hits = index_->hits();
  stats.record_misses = index_->misses();
  stats.block_cache_bytes = blocks_.bytes();
  stats.block_cache_blocks = blocks_.blocks();
  stats.block_hits = blocks_.hits();
  stats.block_misses = blocks_.misses();
  stats.filter_and_index_bytes = filters_and_indexes_;
  stats.filter_negatives = filter_negatives_;
  stats.filter_positives = filter_positives_;
  stats.filter_false_positives = filter_false_positives_;
  stats.user_bytes = user_bytes_;
  stats.log = log_->stats();
  stats.log_bytes = stats.log.bytes_written;
  stats.flush_bytes = flush_bytes_;
  stats.compaction_bytes_read = compaction_read_;
  stats.compaction_bytes_written = compaction_written_;
  stats.flushes = flushes_;
  stats.compactions = compactions_;
  stats.trivial_moves = trivial_moves_;
  stats.drops = drops_;
  stats.compaction_debt = compaction_debt(*version_, tuning());
  stats.cold_fetches = fetcher_.fetches();
  stats.cold_blocks = fetcher_.blocks();
  stats.cold_without_worker = fetcher_.without_worker();
  stats.cold_bytes = fetcher_.bytes();
  stats.cold_us = fetcher_.microseconds();
  stats.delay_us = delay_us_;
  stats.stalls = stalls_;
  stats.unsettled = unsettled();
  stats.dead_objects = dead_.count();
  stats.snapshots = last_snapshot_.expired() ? 0 : 1;
  stats.flushed = flushed_;
  stats.background_error = background_error().message();
  return stats;
}

// As they lie: in tables compressed and to within a block, in memtables as they were written. What is in
// several of them counts several times.
uint64_t EngineImpl::approximate_bytes(std::string_view begin, std::string_view end) const {
  uint64_t sum = 0;
  const auto add = [&](const Memtable& memtable) {
    const uint64_t records = memtable.records();
    if (records == 0) return;
    sum += records_within({memtable.root(), records}, begin, end) * (memtable.bytes() / records);
  };
  add(*active_->table);
  for (const auto& frozen : frozen_) add(*frozen->table);
  for (const TableRef& table : version_->all_tables()) sum += table->approximate_bytes(begin, end);
  return sum;
}

std::string EngineImpl::describe() const {
  std::string text =
      fmt::format("memtable {} bytes, {} records; {} frozen; flushed through LSN {} of {}\n",
                  active_->table->bytes(), active_->table->records(), frozen_.size(), flushed_, log_->end());
  if (!background_error().ok())
    text += fmt::format("background work fails: {}\n", background_error().message());
  const auto printable = [](std::string_view key) {
    std::string out;
    for (const char c : key.substr(0, 32)) {
      if (c >= 0x20 && c < 0x7f)
        out.push_back(c);
      else
        out += fmt::format("\\x{:02x}", static_cast<uint8_t>(c));
    }
    return out;
  };
  for (int n = 0; n < kLevels; ++n) {
    for (const Run& run : version_->level(n).runs) {
      text +=
          fmt::format("L{} run {}: {} tables, {} bytes\n", n, run.number(), run.tables().size(), run.bytes());
      for (const TableRef& table : run.tables()) {
        const TableMeta& meta = table->meta();
        text +=
            fmt::format("  {:06} {} bytes, {} entries, {} tombstones, {} unsettled, LSN {}-{}, {} .. {}\n",
                        meta.number, meta.file_bytes, meta.entries, meta.tombstones, meta.unsettled,
                        meta.first_lsn, meta.last_lsn, printable(meta.smallest), printable(meta.largest));
      }
    }
  }
  return text;
}

}  // namespace engine
