#include "server/engine_settings.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace server {
namespace {

constexpr uint64_t kMegabyte = 1 << 20;
constexpr uint64_t kEngineMemoryMin = 16 * kMegabyte;
constexpr uint64_t kConnectionMemoryMax = 64 * kMegabyte;

uint64_t number_in(const char* path) {
  uint64_t number = 0;
  if (std::FILE* file = std::fopen(path, "re")) {
    unsigned long long read = 0;
    if (std::fscanf(file, "%llu", &read) == 1) number = read;
    std::fclose(file);
  }
  return number;
}

}  // namespace

uint64_t total_memory() {
  const uint64_t machine =
      static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  uint64_t total = machine;
  for (const char* path : {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    const uint64_t limit = number_in(path);
    if (limit > 0) total = std::min(total, limit);
  }
  return total;
}

uint64_t memory_limit(const Settings& settings) {
  return settings.maxmemory_bytes != 0 ? settings.maxmemory_bytes : total_memory() / 2;
}

uint64_t engine_memory(const Settings& settings) {
  const uint64_t limit = memory_limit(settings);
  return std::max(kEngineMemoryMin, limit - std::min(limit / 8, kConnectionMemoryMax));
}

engine::SyncPolicy sync_policy(const Settings& settings) {
  switch (settings.appendfsync) {
    case AppendFsync::kAlways: return engine::SyncPolicy::kAlways;
    case AppendFsync::kNo: return engine::SyncPolicy::kNo;
    case AppendFsync::kEverySec: break;
  }
  return engine::SyncPolicy::kEverySec;
}

engine::EngineOptions engine_options(const Settings& settings) {
  engine::EngineOptions options;
  options.directory = settings.dir;
  options.memory_bytes = engine_memory(settings);
  options.memtable_bytes = settings.memtable_size_bytes;
  options.log_segment_bytes = settings.log_segment_size_bytes;
  options.sync = sync_policy(settings);
  options.compression = settings.compression == BlockCompression::kNone ? engine::Compression::kNone
                                                                        : engine::Compression::kLz4;
  options.block_bytes = settings.block_size_bytes;
  options.log_keep_bytes = settings.repl_backlog_size_bytes;
  options.reserve_bytes = settings.disk_reserve_bytes;
  return options;
}

}  // namespace server
