#include "server/effects.h"

#include <utility>

namespace server {

void Effects::add_event(uint32_t event_class, const char* name, uint32_t database, std::string_view key) {
  entries_.push_back({.kind = Entry::Kind::kEvent,
                      .event_class = event_class,
                      .database = database,
                      .name = name,
                      .key = std::string(key)});
}

void Effects::expired(uint32_t database, std::string_view key) {
  add_event(wanted_ & notify::kExpired, "expired", database, key);
  entries_.back().expired = true;
}

void Effects::fields_expired(uint32_t database, std::string_view key) {
  event(notify::kHash, "hexpired", database, key);
  event(notify::kGeneric, "del", database, key);
}

void Effects::publish(std::string_view channel, std::string_view text, bool sharded) {
  entries_.push_back({.kind = sharded ? Entry::Kind::kShardMessage : Entry::Kind::kMessage,
                      .key = std::string(channel),
                      .text = std::string(text)});
}

void Effects::log(LogLevel level, std::string text) {
  entries_.push_back({.kind = Entry::Kind::kLogLine, .text = std::move(text), .level = level});
}

void Effects::take_back() {
  for (auto undo = undo_.rbegin(); undo != undo_.rend(); ++undo) (*undo)();
  clear();
}

}  // namespace server
