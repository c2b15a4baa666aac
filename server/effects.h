// server/effects.h: what a command does besides its writes and its reply: events and messages.
//
// A handler may run several times, so what it wants others to hear is kept here and cleared together with the
// batch when a run is taken back. Once the batch has been applied the server delivers all of it, in order,
// before the next command runs.
//
// Threads: the reactor. On a worker nothing has effects.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace server {

// The classes of notify-keyspace-events, a bit each.
namespace notify {
inline constexpr uint32_t kKeyspace = 1 << 0;  // K: to __keyspace@N__:key
inline constexpr uint32_t kKeyevent = 1 << 1;  // E: to __keyevent@N__:event
inline constexpr uint32_t kGeneric = 1 << 2;   // g
inline constexpr uint32_t kString = 1 << 3;    // $
inline constexpr uint32_t kList = 1 << 4;      // l
inline constexpr uint32_t kSet = 1 << 5;       // s
inline constexpr uint32_t kHash = 1 << 6;      // h
inline constexpr uint32_t kZset = 1 << 7;      // z
inline constexpr uint32_t kExpired = 1 << 8;   // x
inline constexpr uint32_t kEvicted = 1 << 9;   // e
inline constexpr uint32_t kStream = 1 << 10;   // t
inline constexpr uint32_t kKeyMiss = 1 << 11;  // m
inline constexpr uint32_t kModule = 1 << 12;   // d
inline constexpr uint32_t kNew = 1 << 13;      // n
}  // namespace notify

class Effects {
 public:
  struct Event {
    uint32_t database;
    const char* name;  // A literal.
    std::string key;
  };
  struct Message {
    std::string channel, text;
    bool sharded;
  };

  // Which classes anybody may hear of; 0 unless notify-keyspace-events says both where and what.
  void want(uint32_t classes) { wanted_ = classes; }
  bool wants(uint32_t event_class) const { return (wanted_ & event_class) != 0; }

  void event(uint32_t event_class, const char* name, uint32_t database, std::string_view key) {
    if (wants(event_class)) [[unlikely]]
      events_.push_back({database, name, std::string(key)});
  }
  void publish(std::string_view channel, std::string_view text, bool sharded) {
    messages_.push_back({std::string(channel), std::string(text), sharded});
  }

  bool empty() const { return events_.empty() && messages_.empty(); }
  void clear() {
    events_.clear();
    messages_.clear();
  }
  const std::vector<Event>& events() const { return events_; }
  const std::vector<Message>& messages() const { return messages_; }

 private:
  uint32_t wanted_ = 0;
  std::vector<Event> events_;
  std::vector<Message> messages_;
};

}  // namespace server
