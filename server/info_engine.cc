#include "server/info_engine.h"

#include <cstdio>

#include "server/engine_settings.h"
#include "server/server.h"

namespace server {

void info_engine(Server& server, InfoText& out) {
  const engine::EngineStats s = server.engine().stats();
  const Stats& stats = server.stats();

  out.field("engine_memory", engine_memory(server.settings()));
  out.field("engine_memtable_bytes", s.memtable_bytes);
  out.field("engine_memtable_records", s.memtable_records);
  out.field("engine_frozen_memtables", s.frozen_memtables);
  out.field("engine_frozen_bytes", s.frozen_bytes);
  out.field("engine_record_cache_bytes", s.record_cache_bytes);
  out.field("engine_record_cache_records", s.record_cache_records);
  out.field("engine_block_cache_bytes", s.block_cache_bytes);
  out.field("engine_block_cache_blocks", s.block_cache_blocks);
  out.field("engine_filter_and_index_bytes", s.filter_and_index_bytes);

  for (size_t i = 0; i < s.levels.size(); ++i) {
    const engine::LevelStats& level = s.levels[i];
    if (level.tables == 0) continue;
    char text[160];
    std::snprintf(text, sizeof(text), "runs=%llu,tables=%llu,bytes=%llu,entries=%llu,tombstones=%llu",
                  static_cast<unsigned long long>(level.runs), static_cast<unsigned long long>(level.tables),
                  static_cast<unsigned long long>(level.bytes),
                  static_cast<unsigned long long>(level.entries),
                  static_cast<unsigned long long>(level.tombstones));
    out.field("engine_level" + std::to_string(i), text);
  }

  out.field("engine_disk_bytes", s.disk_bytes);
  out.field("engine_live_bytes", s.live_bytes);
  out.ratio("engine_space_amplification", s.disk_bytes, s.live_bytes);
  out.field("engine_user_bytes_written", s.user_bytes);
  out.field("engine_log_bytes_written", s.log_bytes);
  out.field("engine_flush_bytes_written", s.flush_bytes);
  out.field("engine_compaction_bytes_read", s.compaction_bytes_read);
  out.field("engine_compaction_bytes_written", s.compaction_bytes_written);
  out.ratio("engine_write_amplification", s.log_bytes + s.flush_bytes + s.compaction_bytes_written,
            s.user_bytes);
  out.field("engine_flushes", s.flushes);
  out.field("engine_compactions", s.compactions);
  out.field("engine_trivial_moves", s.trivial_moves);
  out.field("engine_dropped_tables", s.drops);
  out.field("engine_compaction_debt", s.compaction_debt);

  out.field("engine_record_hits", s.record_hits);
  out.field("engine_record_misses", s.record_misses);
  out.field("engine_block_hits", s.block_hits);
  out.field("engine_block_misses", s.block_misses);
  out.field("engine_filter_negatives", s.filter_negatives);
  out.field("engine_filter_positives", s.filter_positives);
  out.field("engine_filter_false_positives", s.filter_false_positives);

  out.field("engine_cold_commands", stats.cold_commands);
  out.field("engine_cold_restarts", stats.cold_restarts);
  out.field("engine_many_restarts", stats.many_restarts);
  out.field("engine_blocking_commands", stats.blocking_commands);
  out.field("engine_blocking_reads", stats.blocking_reads);
  out.field("engine_long_reads", stats.long_reads);
  out.field("engine_long_writes", stats.long_writes);
  out.field("engine_long_writes_redone", stats.long_writes_redone);
  out.field("engine_piecewise_replies", stats.piecewise_replies);
  out.field("engine_cold_fetches", s.cold_fetches);
  out.field("engine_cold_blocks", s.cold_blocks);
  out.field("engine_cold_blocks_without_worker", s.cold_without_worker);
  out.field("engine_cold_bytes", s.cold_bytes);
  out.field("engine_cold_usec", s.cold_us);

  out.field("engine_delays", s.delays);
  out.field("engine_delay_usec", s.delay_us);
  out.field("engine_stalls", s.stalls);
  out.field("engine_admission_waits", stats.admission_waits);
  out.field("engine_held_replies", stats.held_replies);

  out.field("engine_unsettled_counts", s.unsettled);
  out.field("engine_dead_objects", s.dead_objects);
  out.field("engine_snapshots", s.snapshots);

  out.field("engine_background_error", s.background_error);
  out.field("engine_lsn", server.engine().end());
  out.field("engine_lsn_written", server.engine().written());
  out.field("engine_lsn_synced", server.engine().synced());
  out.field("engine_lsn_flushed", s.flushed);
  out.field("engine_log_frames", s.log.frames);
  out.field("engine_log_file_bytes", s.log.bytes_written);
  out.field("engine_log_segments", s.log.segments);
  out.field("engine_log_syncs", s.log.syncs);
  out.field("engine_log_sync_usec", s.log.sync_us);
  out.field("engine_log_sync_usec_max", s.log.sync_us_max);
  const engine::Status& refusal = server.engine().refusal();
  out.field("engine_writes", refusal.ok() ? "ok" : "refused");
  if (!refusal.ok()) out.field("engine_refusal", refusal.message());
}

}  // namespace server
