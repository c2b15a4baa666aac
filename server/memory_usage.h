// server/memory_usage.h: what the process takes, as the allocator and the system count it.
//
// Threads: any; no state.
#pragma once

#include <cstdint>
#include <string>

namespace server {

struct MemoryUsage {
  uint64_t allocated = 0;  // Asked for and not given back.
  uint64_t active = 0;     // In pages of the allocator that hold any of it.
  uint64_t resident = 0;   // In physical pages, as the allocator knows.
  uint64_t retained = 0;   // Address space kept for later.
  uint64_t rss = 0;        // Of the whole process.
};
// Without jemalloc (sanitizer builds) the allocator's numbers are all rss.
MemoryUsage memory_usage();
uint64_t resident_memory();

// Gives unused pages back. False without jemalloc.
bool purge_memory();
std::string allocator_name();    // "jemalloc-5.3.0"
std::string allocator_report();  // MEMORY MALLOC-STATS; for people.

}  // namespace server
