// server/out_of_memory.h: when commands that may take memory are refused.
//
// What is stored is on disk, and the engine makes do with what maxmemory gives it; so data is never a reason.
// But below what any server takes that holds nothing yet, Redis can store nothing, and says so to every
// command that might; people set it (to 1, say) to have just that.
//
// Threads: any; no state.
#pragma once

#include <cstdint>
#include <string_view>

#include "server/settings.h"

namespace server {

inline constexpr uint64_t kServerMemoryMin = 1 << 20;
inline constexpr std::string_view kOutOfMemory = "OOM command not allowed when used memory > 'maxmemory'.";

inline bool memory_denied(const Settings& settings) {
  return settings.maxmemory_bytes != 0 && settings.maxmemory_bytes < kServerMemoryMin;
}

}  // namespace server
