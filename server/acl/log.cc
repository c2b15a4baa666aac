#include "server/acl/log.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>

namespace server {

void AclLog::add(AclLogEntry entry, uint64_t length_max) {
  static constexpr int64_t kOneEntryMs = 60'000;
  static constexpr std::ptrdiff_t kLookedAt = 10;
  const auto same = [&](const AclLogEntry& other) {
    return other.reason == entry.reason && other.context == entry.context &&
           std::abs(other.at_ms - entry.at_ms) <= kOneEntryMs && other.object == entry.object &&
           other.user == entry.user;
  };
  const auto end = entries_.begin() + std::min(kLookedAt, static_cast<std::ptrdiff_t>(entries_.size()));
  if (const auto found = std::find_if(entries_.begin(), end, same); found != end) {
    entry.count = found->count + 1;
    entries_.erase(found);
  }
  entries_.push_front(std::move(entry));
  while (entries_.size() > length_max) entries_.pop_back();
}

void AclLog::take_back() {
  if (!entries_.empty() && --entries_.front().count == 0) entries_.pop_front();
}

const char* name_of(AclLogEntry::Reason reason) {
  static constexpr const char* kNames[] = {"command", "key", "channel", "auth"};
  return kNames[static_cast<size_t>(reason)];
}

const char* name_of(AclLogEntry::Context context) {
  static constexpr const char* kNames[] = {"toplevel", "multi", "lua"};
  return kNames[static_cast<size_t>(context)];
}

}  // namespace server
