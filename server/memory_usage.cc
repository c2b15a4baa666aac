#include "server/memory_usage.h"

#include <unistd.h>

#include <cstdio>
#include <cstring>

// Of jemalloc, which the server is linked with and the tests are not.
extern "C" {
int mallctl(const char* name, void* old_value, size_t* old_size, void* new_value, size_t new_size)
    __attribute__((weak));
void malloc_stats_print(void (*write)(void*, const char*), void* argument, const char* options)
    __attribute__((weak));
}

namespace server {
namespace {

uint64_t stat(const char* name) {
  size_t value = 0, size = sizeof(value);
  return mallctl(name, &value, &size, nullptr, 0) == 0 ? value : 0;
}

}  // namespace

uint64_t resident_memory() {
  uint64_t pages = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "re")) {
    unsigned long long total = 0, resident = 0;
    if (std::fscanf(file, "%llu %llu", &total, &resident) == 2) pages = resident;
    std::fclose(file);
  }
  return pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

MemoryUsage memory_usage() {
  MemoryUsage usage;
  usage.rss = resident_memory();
  usage.allocated = usage.active = usage.resident = usage.rss;
  if (!mallctl) return usage;
  uint64_t epoch = 1;
  size_t size = sizeof(epoch);
  mallctl("epoch", &epoch, &size, &epoch, size);  // Its numbers are those of the last such call.
  usage.allocated = stat("stats.allocated");
  usage.active = stat("stats.active");
  usage.resident = stat("stats.resident");
  usage.retained = stat("stats.retained");
  return usage;
}

bool purge_memory() {
  if (!mallctl) return false;
  char name[64];
  unsigned arenas = 0;
  size_t size = sizeof(arenas);
  if (mallctl("arenas.narenas", &arenas, &size, nullptr, 0) != 0) return false;
  std::snprintf(name, sizeof(name), "arena.%u.purge", arenas);
  return mallctl(name, nullptr, nullptr, nullptr, 0) == 0;
}

std::string allocator_name() {
  if (!mallctl) return "libc";
  const char* version = nullptr;
  size_t size = sizeof(version);
  if (mallctl("version", &version, &size, nullptr, 0) != 0) return "jemalloc";
  const char* dash = std::strchr(version, '-');
  return "jemalloc-" + (dash ? std::string(version, dash) : std::string(version));
}

std::string allocator_report() {
  if (!malloc_stats_print) return "Stats not supported for the current allocator";
  std::string report;
  malloc_stats_print([](void* out, const char* text) { *static_cast<std::string*>(out) += text; }, &report,
                     nullptr);
  return report;
}

}  // namespace server
