#include "server/key_watch.h"

#include <utility>

#include "engine/status.h"

namespace server {
namespace {

// The first moment after `now_ms` at which time alone changes what the key holds.
int64_t end_of(const Header& header, int64_t now_ms) {
  int64_t end = kNoExpiry;
  for (const int64_t ms : {header.expiry_ms, header.elements_expiry_ms, header.death_ms})
    if (ms > now_ms && (end == kNoExpiry || ms < end)) end = ms;
  return end;
}

}  // namespace

Watcher::~Watcher() { INVARIANT(keys_.empty()); }

size_t Watcher::memory_bytes() const {
  size_t bytes = keys_.capacity() * sizeof(keys_[0]);
  for (const auto& watched : keys_) bytes += sizeof(Watched) + watched->key.size();
  return bytes;
}

bool Watcher::any_expired(int64_t now_ms) const {
  for (const auto& watched : keys_)
    if (watched->ends_ms != kNoExpiry && watched->ends_ms <= now_ms) return true;
  return false;
}

std::vector<Watcher::Doubtful> Watcher::doubtful() const {
  std::vector<Doubtful> keys;
  for (const auto& watched : keys_)
    if (watched->doubtful) keys.push_back({watched->database, watched->key});
  return keys;
}

void KeyWatch::name(uint32_t database, std::string_view key) {
  name_.assign(reinterpret_cast<const char*>(&database), sizeof database);
  name_ += key;
}

void KeyWatch::watch(Watcher& watcher, uint32_t database, std::string_view key,
                     const std::optional<Header>& header, int64_t now_ms) {
  INVARIANT(!watcher.touched_);
  name(database, key);
  Watches& watches = by_key_[name_];
  for (const Watched* watched : watches)
    if (watched->by == &watcher) return;  // Since before: it is the earlier state that must hold.
  const ObjectId object = header ? header->object.id : engine::kNoObject;
  watcher.keys_.push_back(
      std::make_unique<Watched>(Watched{&watcher, database, std::string(key), object,
                                        header ? end_of(*header, now_ms) : kNoExpiry, header.has_value()}));
  Watched* watched = watcher.keys_.back().get();
  watches.push_back(watched);
  if (object != engine::kNoObject) by_object_[object].push_back(watched);
}

void KeyWatch::unwatch(Watcher& watcher) {
  remove(watcher);
  watcher.touched_ = false;
}

void KeyWatch::remove(Watcher& watcher) {
  for (const auto& watched : std::exchange(watcher.keys_, {})) {
    name(watched->database, watched->key);
    const auto at = by_key_.find(name_);
    std::erase(at->second, watched.get());
    if (at->second.empty()) by_key_.erase(at);
    if (watched->object == engine::kNoObject) continue;
    const auto elements = by_object_.find(watched->object);
    std::erase(elements->second, watched.get());
    if (elements->second.empty()) by_object_.erase(elements);
  }
}

void KeyWatch::touch(Watcher& watcher) {
  remove(watcher);  // K2
  watcher.touched_ = true;
}

void KeyWatch::key_touched(uint32_t database, std::string_view user_key, Touch how) {
  name(database, user_key);
  const auto at = by_key_.find(name_);
  if (at == by_key_.end()) return;
  const Watches watches = at->second;  // touch() takes them out of there. A watcher is in it once.
  for (const Watched* watched : watches) {
    // What was absent when it was watched and is erased now had expired by then.
    if (how == Touch::kErased && !watched->existed) continue;
    touch(*watched->by);
  }
}

void KeyWatch::elements_touched(ObjectId object) {
  const auto at = by_object_.find(object);
  if (at == by_object_.end()) return;
  // One watcher may watch it under two names, if it was renamed between.
  std::vector<Watcher*> watchers;
  for (const Watched* watched : at->second) watchers.push_back(watched->by);
  for (Watcher* watcher : watchers) touch(*watcher);
}

void KeyWatch::database_replaced(uint32_t database, Replaced how) {
  std::vector<Watcher*> watchers;
  for (auto& [key, watches] : by_key_) {
    for (Watched* watched : watches) {
      if (watched->database != database) continue;
      if (watched->existed)
        watchers.push_back(watched->by);
      else if (how == Replaced::kSwapped)
        watched->doubtful = true;
    }
  }
  for (Watcher* watcher : watchers) touch(*watcher);
}

}  // namespace server
