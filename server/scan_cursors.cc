#include "server/scan_cursors.h"

namespace server {

namespace {
constexpr uint64_t kFirstMin = uint64_t{1} << 32;
constexpr uint64_t kFirstMax = uint64_t{1} << 52;  // Which leaves 2^52 pages to a process (S2).
}  // namespace

ScanCursors::ScanCursors(uint64_t random, Limits fresh, Limits passed)
    : next_(kFirstMin + random % (kFirstMax - kFirstMin)) {
  fresh_.limits = fresh;
  passed_.limits = passed;
}

std::optional<std::string> ScanCursors::find(uint64_t cursor) {
  const std::lock_guard lock(mutex_);
  const auto found = by_cursor_.find(cursor);
  if (found == by_cursor_.end()) return std::nullopt;
  Entry& entry = *found->second;
  Memory& own = memory_of(entry);
  own.entries.splice(own.entries.begin(), own.entries, found->second);
  return entry.key;
}

uint64_t ScanCursors::add(std::string_view key, uint64_t from) {
  const std::lock_guard lock(mutex_);
  if (const auto used = by_cursor_.find(from); used != by_cursor_.end()) {
    const auto before = by_cursor_.find(used->second->from);
    if (before != by_cursor_.end() && !before->second->passed) {
      Entry& entry = *before->second;
      entry.passed = true;
      fresh_.bytes -= entry.key.size();
      passed_.bytes += entry.key.size();
      passed_.entries.splice(passed_.entries.begin(), fresh_.entries, before->second);
      trim(passed_);
    }
  }
  const uint64_t cursor = next_++;
  fresh_.entries.push_front({cursor, from, std::string(key), false});
  fresh_.bytes += key.size();
  by_cursor_.emplace(cursor, fresh_.entries.begin());
  trim(fresh_);
  return cursor;
}

void ScanCursors::trim(Memory& memory) {
  while (memory.entries.size() > 1 &&
         (memory.entries.size() > memory.limits.cursors || memory.bytes > memory.limits.bytes)) {
    const Entry& oldest = memory.entries.back();
    memory.bytes -= oldest.key.size();
    by_cursor_.erase(oldest.cursor);
    memory.entries.pop_back();
  }
}

}  // namespace server
