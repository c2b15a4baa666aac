#include "engine/lost_writes.h"

#include <algorithm>

namespace engine {

LostWrites::LostWrites(const std::vector<const Memtable*>& memtables, Lsn synced) {
  for (const Memtable* memtable : memtables) {
    if (memtable->last_lsn() <= synced) continue;
    const auto records = memtable->iterator();
    for (auto state = records->seek_first(); state == Iterator::State::kAt; state = records->next()) {
      const Lsn lsn = MemRecord::of_key(records->key())->lsn;
      if (lsn > synced) writes_.emplace_back(records->key(), lsn);
    }
  }
  std::sort(writes_.begin(), writes_.end());
}

Lsn LostWrites::newest(std::string_view begin, std::string_view end) const {
  Lsn newest = 0;
  auto at = std::lower_bound(writes_.begin(), writes_.end(), begin,
                             [](const auto& write, std::string_view key) { return write.first < key; });
  for (; at != writes_.end() && (end.empty() || at->first < end); ++at) newest = std::max(newest, at->second);
  return newest;
}

}  // namespace engine
