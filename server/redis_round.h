// server/redis_round.h: what a Redis that follows has not got yet, and the commands that bring it there.
//
// RedisChanges remembers names, each once, whatever happened to them. A RedisRound takes them all, looks at
// the keys in one snapshot and writes them as they are then.
//
// Threads: RedisChanges the reactor's; a round any worker's, one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "engine/status.h"
#include "server/view.h"

namespace server {

// Appends a command as a client would send it.
void add_redis_command(std::string* out, std::initializer_list<std::string_view> words);

struct RedisChanges {
  std::set<std::pair<uint32_t, std::string>> keys;
  std::set<std::pair<ObjectId, std::string>> elements;  // Of the key of this name that refers to the object.
  std::set<uint32_t> emptied;
  bool functions = false;
  size_t bytes = 0;

  void touch(uint32_t database, std::string_view key);
  void touch(ObjectId object, std::string_view key);
  void empty_database(uint32_t database);
  bool empty() const { return keys.empty() && elements.empty() && emptied.empty() && !functions; }
};

class RedisRound {
 public:
  struct Moment {
    std::shared_ptr<const engine::Snapshot> snapshot;
    engine::Lsn lsn = 0;  // Where the log ended when the snapshot was taken.
    std::vector<ObjectId> databases;
    std::vector<std::string> libraries;  // The sources of all functions.
    int64_t now_ms = 0;
  };
  RedisRound(RedisChanges changes, Moment moment)
      : changes_(std::move(changes)), moment_(std::move(moment)) {}

  // Appends the next piece. Errors: what the snapshot's reader says; a value that no command can carry.
  engine::Status next(std::string* out);
  bool done() const { return done_; }
  engine::Lsn lsn() const { return moment_.lsn; }

 private:
  void begin(std::string* out);
  void select(uint32_t database, std::string* out);
  void write_key(View& view, uint32_t database, const std::string& key, const std::optional<Header>& header,
                 std::string* out);

  RedisChanges changes_;
  const Moment moment_;
  bool begun_ = false, done_ = false, transaction_ = false;
  uint32_t selected_ = UINT32_MAX;
};

}  // namespace server
