// server/key_watch.h: WATCH: whose transaction is void because a key of its has changed.
//
//     WATCH ─▶ watch(): as the key is now ─▶ a batch touches it ─▶ touched: nothing is watched any more,
//                                                                  EXEC gives nil
//
// A watch remembers what it saw: whether the key was there, until when, and where its elements lie. With that
// nothing has to be read when a batch is applied, and a batch that leaves absent what was absent (an expired
// key is reclaimed, an empty database is flushed) touches nobody.
//
// Invariants
//   K1  A watched key that changes after watch() and before unwatch() leaves its watcher touched(), whoever
//       wrote it, itself included. Only what SWAPDB brings to a key that was absent is settled later, by
//       whoever reads doubtful() keys.
//   K2  A touched watcher watches nothing: it takes no memory and costs no look.
//
// Threads: the reactor. Not here: who walks the batch (server/touched_keys.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "server/keyspace.h"
#include "server/touched_keys.h"

namespace server {

// One connection's watched keys.
class Watcher {
 public:
  ~Watcher();
  bool touched() const { return touched_; }
  size_t size() const { return keys_.size(); }
  size_t memory_bytes() const;
  // A key that it watches is no more, because its time has come.
  bool any_expired(int64_t now_ms) const;
  // Keys that were absent, in databases that have been swapped since: if one is there now, it has changed.
  struct Doubtful {
    uint32_t database;
    std::string_view key;
  };
  std::vector<Doubtful> doubtful() const;

 private:
  friend class KeyWatch;
  struct Watched {
    Watcher* by;
    uint32_t database;
    std::string key;
    ObjectId object;  // Where its elements lay; kNoObject: in the header, or nowhere.
    int64_t ends_ms;  // When time alone changes it; kNoExpiry: never.
    bool existed;
    bool doubtful = false;
  };
  std::vector<std::unique_ptr<Watched>> keys_;
  bool touched_ = false;
};

class KeyWatch final : public TouchListener {
 public:
  // `header`: of the key at `now_ms`. Requires: !watcher.touched().
  void watch(Watcher& watcher, uint32_t database, std::string_view key, const std::optional<Header>& header,
             int64_t now_ms);
  // Forgets all of its keys, and that they were touched.
  void unwatch(Watcher& watcher);
  bool any() const { return !by_key_.empty(); }

  void key_touched(uint32_t database, std::string_view user_key, Touch how) override;
  void elements_touched(ObjectId object) override;
  void database_replaced(uint32_t database, Replaced how) override;

 private:
  using Watched = Watcher::Watched;
  using Watches = std::vector<Watched*>;

  void name(uint32_t database, std::string_view key);  // To name_.
  void remove(Watcher& watcher);
  void touch(Watcher& watcher);

  std::unordered_map<std::string, Watches> by_key_;  // Database and key.
  std::unordered_map<ObjectId, Watches> by_object_;
  std::string name_;
};

}  // namespace server
