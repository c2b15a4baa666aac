// server/effects.h: what a command does besides its writes and its reply: events and messages.
//
// A handler may run several times, so what it wants others to hear is kept here and cleared together with the
// batch when a run is taken back. Once the batch has been applied the server delivers all of it, in order,
// before the next command runs.
//
// Threads: the reactor. On a worker nothing has effects.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/schema.h"
#include "server/log.h"

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
  struct Entry {
    enum class Kind : uint8_t { kEvent, kMessage, kShardMessage, kLogLine };
    Kind kind;
    bool expired = false;      // An event that tells of a key whose time was up: it counts as reclaimed.
    uint32_t event_class = 0;  // 0: nobody wants it.
    uint32_t database = 0;
    const char* name = "";               // A literal.
    std::string key = {};                // Or the channel.
    std::string text = {};               // Of a message or a line for the log.
    LogLevel level = LogLevel::kNotice;  // Of such a line.
  };

  // What the command has shown to a client that keeps what it reads (server/tracking.h).
  struct Reads {
    bool wanted = false;
    struct Key {
      std::string name;      // There or not.
      size_t writes_before;  // So many operations the batch had when it was read.
    };
    std::vector<Key> keys;
    std::vector<std::pair<std::string, engine::ObjectId>> objects;  // Where elements of some of them lie.
  };
  Reads reads;

  // Which classes anybody may hear of; 0 unless notify-keyspace-events says both where and what.
  void want(uint32_t classes) { wanted_ = classes; }
  uint32_t wanted() const { return wanted_; }
  bool wants(uint32_t event_class) const { return (wanted_ & event_class) != 0; }

  void event(uint32_t event_class, const char* name, uint32_t database, std::string_view key) {
    if (wants(event_class)) [[unlikely]]
      add_event(event_class, name, database, key);
  }
  // The key had expired and lay there still; now the command has written over it.
  void expired(uint32_t database, std::string_view key);
  // The same of a hash, all of whose fields had expired.
  void fields_expired(uint32_t database, std::string_view key);
  void publish(std::string_view channel, std::string_view text, bool sharded);
  void log(LogLevel level, std::string text);  // redis.log()

  // For a handler that cannot but act at once: what undoes it if the run is taken back.
  void on_take_back(std::function<void()> undo) { undo_.push_back(std::move(undo)); }

  bool empty() const { return entries_.empty() && undo_.empty() && reads.keys.empty(); }
  // They have been delivered.
  void clear() {
    entries_.clear();
    undo_.clear();
    reads.keys.clear();
    reads.objects.clear();
  }
  // Nothing has happened.
  void take_back();
  const std::vector<Entry>& entries() const { return entries_; }  // In the order in which they happened.

 private:
  void add_event(uint32_t event_class, const char* name, uint32_t database, std::string_view key);

  uint32_t wanted_ = 0;
  std::vector<Entry> entries_;
  std::vector<std::function<void()>> undo_;
};

}  // namespace server
