#include "server/info.h"

#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>

#include "server/build_info.h"
#include "server/command_table.h"
#include "server/config.h"
#include "server/engine_settings.h"
#include "server/info_engine.h"
#include "server/info_replication.h"
#include "server/info_text.h"
#include "server/memory_usage.h"
#include "server/process.h"
#include "server/pubsub.h"
#include "server/replication.h"
#include "server/scripts/scripting.h"
#include "server/server.h"
#include "server/tracking.h"
#include "server/units.h"
#include "server/version.h"

namespace server {
namespace {

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

std::string executable() {
  char path[4096];
  const ssize_t n = ::readlink("/proc/self/exe", path, sizeof(path));
  return n > 0 ? std::string(path, static_cast<size_t>(n)) : "";
}

void section_server(Server& server, InfoText& out) {
  utsname os{};
  ::uname(&os);
  const int64_t now_ms = server.wall_ms();
  const int64_t uptime = (now_ms - server.started_ms()) / 1000;
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  out.field("redis_version", kRedisVersion);
  out.field("redis_git_sha1", build_info().git_sha);
  out.field("redis_git_dirty", build_info().git_dirty ? 1 : 0);
  out.field("redis_build_id", build_info().build_id);
  out.field("redis_mode", "standalone");
  out.field("varve_version", kVarveVersion);
  out.field("os", std::string(os.sysname) + " " + os.release + " " + os.machine);
  out.field("arch_bits", 64);
  out.field("monotonic_clock", "POSIX clock_gettime");
  out.field("multiplexing_api", "epoll");
  out.field("atomicvar_api", "c11-builtin");
  out.field("gcc_version", __VERSION__);
  out.field("process_id", ::getpid());
  out.field("process_supervised", is_supervised(server.settings().supervised) ? "systemd" : "no");
  out.field("run_id", server.run_id());
  out.field("tcp_port", server.settings().port);
  out.field("server_time_usec", now.tv_sec * 1000000 + now.tv_nsec / 1000);
  out.field("uptime_in_seconds", uptime);
  out.field("uptime_in_days", uptime / 86400);
  out.field("hz", 10);
  out.field("configured_hz", server.config().value("hz"));
  out.field("lru_clock", (now_ms / 1000) & 0xffffff);
  out.field("executable", executable());
  out.field("config_file", server.config().file());
  out.field("io_threads_active", 0);
  if (server.shutdown().under_way())
    out.field("shutdown_in_milliseconds", server.shutdown().milliseconds_left());
}

void section_clients(Server& server, InfoText& out) {
  size_t connected = 0, largest_input = 0, largest_output = 0;
  server.clients().each([&](Client& client) {
    ++connected;
    largest_input = std::max(largest_input, client.input.capacity_bytes());
    largest_output = std::max(largest_output, client.output.memory_bytes());
  });
  out.field("connected_clients", connected);
  out.field("cluster_connections", 0);
  out.field("maxclients", server.settings().maxclients);
  out.field("client_recent_max_input_buffer", largest_input);
  out.field("client_recent_max_output_buffer", largest_output);
  out.field("blocked_clients",
            server.dispatcher().blocked() + server.replication().waiters() + server.shutdown().clients());
  out.field("tracking_clients", server.tracking().clients());
  out.field("clients_in_timeout_table", 0);
}

void section_memory(Server& server, InfoText& out) {
  const MemoryUsage usage = memory_usage();
  const engine::EngineStats engine = server.engine().stats();
  const uint64_t cached =
      engine.memtable_bytes + engine.frozen_bytes + engine.record_cache_bytes + engine.block_cache_bytes;
  const uint64_t dataset = std::min(usage.allocated, cached);
  const uint64_t overhead = usage.allocated - dataset;
  uint64_t of_clients = 0;
  server.clients().each([&](Client& client) {
    of_clients +=
        client.input.capacity_bytes() + client.output.memory_bytes() + client.requests.memory_bytes();
  });
  const auto both = [&](const std::string& name, uint64_t bytes) {
    out.field(name, bytes);
    out.field(name + "_human", human_bytes(bytes));
  };
  server.note_memory();
  both("used_memory", usage.allocated);
  both("used_memory_rss", usage.rss);
  both("used_memory_peak", server.peak_memory());
  const auto percent = [&](const char* name, uint64_t part, uint64_t whole) {
    out.fixed(name, whole == 0 ? 0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole), 2, "%");
  };
  percent("used_memory_peak_perc", usage.allocated, server.peak_memory());
  out.field("used_memory_overhead", overhead);
  out.field("used_memory_startup", server.startup_memory());
  out.field("used_memory_dataset", dataset);
  percent("used_memory_dataset_perc", dataset, usage.allocated);
  out.field("allocator_allocated", usage.allocated);
  out.field("allocator_active", usage.active);
  out.field("allocator_resident", usage.resident);
  both("total_system_memory", total_memory());
  const Scripts& scripts = server.scripting().scripts;
  const Functions& functions = server.scripting().functions;
  const uint64_t of_scripts = scripts.interpreter_bytes() + functions.interpreter_bytes() +
                              scripts.cache_bytes() + functions.source_bytes();
  both("used_memory_lua", scripts.interpreter_bytes());
  out.field("used_memory_vm_eval", scripts.interpreter_bytes());
  out.field("used_memory_scripts_eval", scripts.cache_bytes());
  out.field("used_memory_vm_functions", functions.interpreter_bytes());
  out.field("used_memory_vm_total", scripts.interpreter_bytes() + functions.interpreter_bytes());
  out.field("used_memory_functions", functions.source_bytes());
  both("used_memory_scripts", of_scripts);
  out.field("number_of_cached_scripts", scripts.count());
  out.field("number_of_functions", functions.function_count());
  out.field("number_of_libraries", functions.libraries().size());
  both("maxmemory", memory_limit(server.settings()));
  out.field("maxmemory_policy", server.config().value("maxmemory-policy"));
  out.ratio("allocator_frag_ratio", usage.active, usage.allocated);
  out.field("allocator_frag_bytes",
            static_cast<int64_t>(usage.active) - static_cast<int64_t>(usage.allocated));
  out.ratio("allocator_rss_ratio", usage.resident, usage.active);
  out.field("allocator_rss_bytes", static_cast<int64_t>(usage.resident) - static_cast<int64_t>(usage.active));
  out.ratio("rss_overhead_ratio", usage.rss, usage.resident);
  out.field("rss_overhead_bytes", static_cast<int64_t>(usage.rss) - static_cast<int64_t>(usage.resident));
  out.ratio("mem_fragmentation_ratio", usage.rss, usage.allocated);
  out.field("mem_fragmentation_bytes",
            static_cast<int64_t>(usage.rss) - static_cast<int64_t>(usage.allocated));
  out.field("mem_not_counted_for_evict", 0);
  out.field("mem_replication_backlog", 0);
  out.field("mem_total_replication_buffers", 0);
  out.field("mem_clients_slaves", 0);
  out.field("mem_clients_normal", of_clients);
  out.field("mem_cluster_links", 0);
  out.field("mem_aof_buffer", 0);
  out.field("mem_allocator", allocator_name());
  out.field("active_defrag_running", 0);
  out.field("lazyfree_pending_objects", 0);
  out.field("lazyfreed_objects", 0);
}

void section_persistence(Server& server, InfoText& out) {
  out.field("loading", 0);
  out.field("async_loading", 0);
  out.field("current_cow_peak", 0);
  out.field("current_cow_size", 0);
  out.field("current_cow_size_age", 0);
  out.fixed("current_fork_perc", 0, 2);
  out.field("current_save_keys_processed", 0);
  out.field("current_save_keys_total", 0);
  out.field("rdb_changes_since_last_save", server.changes_since_save());
  out.field("rdb_bgsave_in_progress", server.save_running() ? 1 : 0);
  out.field("rdb_last_save_time", server.last_save_ms() / 1000);
  out.field("rdb_last_bgsave_status", server.last_save_ok() ? "ok" : "err");
  out.field("rdb_last_bgsave_time_sec", server.last_save_seconds());
  out.field("rdb_current_bgsave_time_sec", server.save_running() ? 0 : -1);
  out.field("rdb_saves", server.saves());
  out.field("rdb_last_cow_size", 0);
  out.field("rdb_last_load_keys_expired", 0);
  out.field("rdb_last_load_keys_loaded", 0);
  out.field("aof_enabled", 1);  // The log.
  out.field("aof_rewrite_in_progress", 0);
  out.field("aof_rewrite_scheduled", 0);
  out.field("aof_last_rewrite_time_sec", -1);
  out.field("aof_current_rewrite_time_sec", -1);
  out.field("aof_last_bgrewrite_status", "ok");
  out.field("aof_rewrites", 0);
  out.field("aof_rewrites_consecutive_failures", 0);
  out.field("aof_last_write_status", server.engine().log_failed() ? "err" : "ok");
  out.field("aof_last_cow_size", 0);
  out.field("module_fork_in_progress", 0);
  out.field("module_fork_last_cow_size", 0);
  const engine::EngineStats engine = server.engine().stats();
  const uint64_t log_bytes = server.engine().end() - std::min(server.engine().end(), engine.flushed);
  out.field("aof_current_size", log_bytes);
  out.field("aof_base_size", 0);
  out.field("aof_pending_rewrite", 0);
  out.field("aof_buffer_length", server.engine().end() - server.engine().written());
  out.field("aof_pending_bio_fsync", server.engine().synced() < server.engine().written() ? 1 : 0);
  out.field("aof_delayed_fsync", 0);
}

void section_stats(Server& server, InfoText& out) {
  const Stats& stats = server.stats();
  out.field("total_connections_received", stats.connections);
  out.field("total_commands_processed", stats.commands);
  out.field("instantaneous_ops_per_sec", stats.ops_rate.per_second());
  out.field("total_net_input_bytes", stats.bytes_in);
  out.field("total_net_output_bytes", stats.bytes_out);
  out.field("total_net_repl_input_bytes", 0);
  out.field("total_net_repl_output_bytes", 0);
  out.fixed("instantaneous_input_kbps", static_cast<double>(stats.in_rate.per_second()) / 1024, 2);
  out.fixed("instantaneous_output_kbps", static_cast<double>(stats.out_rate.per_second()) / 1024, 2);
  out.fixed("instantaneous_input_repl_kbps", 0, 2);
  out.fixed("instantaneous_output_repl_kbps", 0, 2);
  out.field("rejected_connections", stats.rejected_connections);
  out.field("sync_full", server.replication().replicas().full_copies);
  out.field("sync_partial_ok", server.replication().replicas().continues);
  out.field("sync_partial_err", 0);
  out.field("expired_keys", stats.expired_keys);
  out.fixed("expired_stale_perc", 0, 2);
  out.field("expired_time_cap_reached_count", 0);
  out.field("expire_cycle_cpu_milliseconds", 0);
  out.field("evicted_keys", 0);
  out.field("evicted_clients", stats.evicted_clients);
  out.field("total_eviction_exceeded_time", 0);
  out.field("current_eviction_exceeded_time", 0);
  out.field("keyspace_hits", stats.keyspace_hits);
  out.field("keyspace_misses", stats.keyspace_misses);
  out.field("pubsub_channels", server.pubsub().size(PubSub::Kind::kChannel));
  out.field("pubsub_patterns", server.pubsub().size(PubSub::Kind::kPattern));
  out.field("pubsubshard_channels", server.pubsub().size(PubSub::Kind::kShard));
  out.field("latest_fork_usec", 0);
  out.field("total_forks", 0);
  out.field("migrate_cached_sockets", 0);
  out.field("slave_expires_tracked_keys", 0);
  out.field("active_defrag_hits", 0);
  out.field("active_defrag_misses", 0);
  out.field("active_defrag_key_hits", 0);
  out.field("active_defrag_key_misses", 0);
  out.field("total_active_defrag_time", 0);
  out.field("current_active_defrag_time", 0);
  out.field("tracking_total_keys", server.tracking().keys());
  out.field("tracking_total_items", server.tracking().items());
  out.field("tracking_total_prefixes", server.tracking().prefix_count());
  out.field("unexpected_error_replies", 0);
  out.field("total_error_replies", stats.error_replies);
  out.field("dump_payload_sanitizations", 0);
  out.field("total_reads_processed", stats.reads);
  out.field("total_writes_processed", stats.writes);
  out.field("io_threaded_reads_processed", 0);
  out.field("io_threaded_writes_processed", 0);
  out.field("reply_buffer_shrinks", 0);
  out.field("reply_buffer_expands", 0);
  out.field("client_query_buffer_limit_disconnections", stats.query_limit_disconnections);
  out.field("client_output_buffer_limit_disconnections", stats.output_limit_disconnections);
}

void section_cpu(Server&, InfoText& out) {
  rusage process{}, children{}, thread{};
  ::getrusage(RUSAGE_SELF, &process);
  ::getrusage(RUSAGE_CHILDREN, &children);
  ::getrusage(RUSAGE_THREAD, &thread);
  out.fixed("used_cpu_sys", seconds(process.ru_stime), 6);
  out.fixed("used_cpu_user", seconds(process.ru_utime), 6);
  out.fixed("used_cpu_sys_children", seconds(children.ru_stime), 6);
  out.fixed("used_cpu_user_children", seconds(children.ru_utime), 6);
  out.fixed("used_cpu_sys_main_thread", seconds(thread.ru_stime), 6);
  out.fixed("used_cpu_user_main_thread", seconds(thread.ru_utime), 6);
}

void section_modules(Server&, InfoText&) {}

void section_commandstats(Server& server, InfoText& out) {
  for (const Command& command : server.table().commands()) {
    const CommandStats& own = server.stats().by_command[command.id];
    if (own.calls == 0 && own.rejected == 0) continue;
    char text[256];
    std::snprintf(
        text, sizeof(text), "calls=%llu,usec=%llu,usec_per_call=%.2f,rejected_calls=%llu,failed_calls=%llu",
        static_cast<unsigned long long>(own.calls), static_cast<unsigned long long>(own.microseconds),
        own.calls == 0 ? 0 : static_cast<double>(own.microseconds) / static_cast<double>(own.calls),
        static_cast<unsigned long long>(own.rejected), static_cast<unsigned long long>(own.failed));
    out.field("cmdstat_" + std::string(command.name), text);
  }
}

void section_errorstats(Server& server, InfoText& out) {
  for (const auto& [code, count] : server.stats().errors) {
    out.field("errorstat_" + code, "count=" + std::to_string(count));
  }
}

void section_latencystats(Server& server, InfoText& out) {
  for (const Command& command : server.table().commands()) {
    const Histogram& latency = server.stats().by_command[command.id].latency_ns;
    if (latency.count() == 0) continue;
    std::string text;
    for (const double percent : server.settings().latency_tracking_info_percentiles) {
      char part[96];
      std::snprintf(part, sizeof(part), "%sp%.10g=%.3f", text.empty() ? "" : ",", percent,
                    static_cast<double>(latency.percentile(percent)) / 1000);
      text += part;
    }
    out.field("latency_percentiles_usec_" + std::string(command.name), text);
  }
}

void section_cluster(Server&, InfoText& out) { out.field("cluster_enabled", 0); }

void section_keyspace(Server& server, InfoText& out) {
  const ExpiryCensus::Counts& expiring = server.expiry_census().counts(server.wall_ms());
  for (uint32_t number = 0; number < server.databases().count(); ++number) {
    const engine::ObjectId object = server.databases().object(number);
    const uint64_t keys = server.engine().count(object);
    if (keys == 0) continue;
    const auto found = expiring.find(object);
    const ExpiryCensus::Entry expires = found == expiring.end() ? ExpiryCensus::Entry() : found->second;
    char text[128];
    std::snprintf(text, sizeof(text), "keys=%llu,expires=%llu,avg_ttl=%llu",
                  static_cast<unsigned long long>(keys),
                  static_cast<unsigned long long>(std::min(keys, expires.keys)),
                  static_cast<unsigned long long>(expires.average_ttl_ms()));
    out.field("db" + std::to_string(number), text);
  }
}

enum class Shown : uint8_t { kByDefault, kInAll };
struct Section {
  const char* name;  // As asked for.
  const char* heading;
  Shown shown;
  void (*write)(Server&, InfoText&);
};
constexpr Section kSections[] = {
    {"server", "Server", Shown::kByDefault, &section_server},
    {"clients", "Clients", Shown::kByDefault, &section_clients},
    {"memory", "Memory", Shown::kByDefault, &section_memory},
    {"persistence", "Persistence", Shown::kByDefault, &section_persistence},
    {"stats", "Stats", Shown::kByDefault, &section_stats},
    {"replication", "Replication", Shown::kByDefault, &section_replication},
    {"cpu", "CPU", Shown::kByDefault, &section_cpu},
    {"engine", "Engine", Shown::kByDefault, &info_engine},
    {"modules", "Modules", Shown::kByDefault, &section_modules},
    {"commandstats", "Commandstats", Shown::kInAll, &section_commandstats},
    {"errorstats", "Errorstats", Shown::kByDefault, &section_errorstats},
    {"latencystats", "Latencystats", Shown::kInAll, &section_latencystats},
    {"cluster", "Cluster", Shown::kByDefault, &section_cluster},
    {"keyspace", "Keyspace", Shown::kByDefault, &section_keyspace},
};

bool wanted(const Section& section, std::span<const std::string_view> names) {
  if (names.empty()) return section.shown == Shown::kByDefault;
  for (const std::string_view name : names) {
    if (equals_ignoring_case(name, section.name)) return true;
    if (equals_ignoring_case(name, "default") && section.shown == Shown::kByDefault) return true;
    if (equals_ignoring_case(name, "all") || equals_ignoring_case(name, "everything")) return true;
  }
  return false;
}

}  // namespace

std::string human_bytes(uint64_t bytes) {
  if (bytes < 1024) return std::to_string(bytes) + "B";
  double size = static_cast<double>(bytes) / 1024;
  const char* unit = "KMGTPE";
  for (; size >= 1024 && unit[1] != '\0'; ++unit) size /= 1024;
  char text[32];
  std::snprintf(text, sizeof(text), "%.2f%c", size, *unit);
  return text;
}

std::string info_text(Server& server, std::span<const std::string_view> sections) {
  InfoText out;
  for (const Section& section : kSections) {
    if (!wanted(section, sections)) continue;
    out.heading(section.heading);
    section.write(server, out);
  }
  return std::move(out.text());
}

}  // namespace server
