// server/tracking.h: client-side caching: who may hold which keys, and who is told when they change.
//
//     a reply shows a key ──▶ remember() ──▶ keys_: key ──▶ clients, objects     (default mode)
//     CLIENT TRACKING BCAST ───────────────▶ prefixes_: prefix ──▶ clients       (broadcast)
//     a batch is applied ────▶ applied() ──▶ pending ──▶ send(), end_turn(): pushes
//
// As in Redis keys are names: one of the same name in another database is told of too. A large collection may
// change by its elements alone, so the object that its header referred to is remembered with the key.
//
// Invariants
//   I1  Who was shown a key's value is told of the first change after it, behind the reply that showed it.
//       May be told of a key that has not changed: where the table is full, where databases are swapped.
//   I2  The push waits at the receiver's gate until the write that it tells of is as safe as its replies are.
//   I3  A client that is told is forgotten for the key; it has to read it again to be told again.
//
// A long read shows a moment that is past when its reply is written. What is touched meanwhile is kept while
// any is under way, and the reader is told right behind its reply.
//
// Threads: the reactor. Not here: CLIENT TRACKING's arguments (server/commands/client_tracking.cc).
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "engine/lsn.h"
#include "server/effects.h"
#include "server/touched_keys.h"

namespace engine {
class Batch;
}

namespace server {

class Client;
class Server;
struct Command;
struct TrackingMode;

class Tracking final : public TouchListener {
 public:
  explicit Tracking(Server& server) : server_(server) {}

  // ---- who tracks
  // Requires: `mode` is on and agrees with what the client has. With BCAST it gets `prefixes` besides those
  // it has; none means all keys.
  void enable(Client& client, const TrackingMode& mode, std::span<const std::string_view> prefixes);
  void disable(Client& client);  // Fine if it does not track.
  const std::set<std::string>& prefixes(const Client& client) const;
  bool any() const { return clients_ > 0; }

  // ---- what is read
  // Whether what the running command reads is to be remembered.
  static bool remembers(const TrackingMode& mode);
  // The names that a command reads, to *reads; `writes`: the operations in the batch by then. A script stands
  // for its keys as soon as it has read anything, though it were another key: there were `before` names
  // before it.
  static void note(const Command& command, std::span<const std::string_view> args, size_t before,
                   size_t writes, Effects::Reads* reads);
  // A transaction may write a key and then read it: what it was shown is still true at its end. Takes those
  // reads out of *reads that nothing behind them in `batch` touches.
  Effects::Reads split_off_lasting(const engine::Batch& batch, Effects::Reads* reads) const;
  void remember(const Client& client, const Effects::Reads& reads);
  // Around a long read of a client that tracks. `remembers`: as it was when the command ran.
  void long_read_begins() { ++long_reads_; }
  void long_read_ends(Client& client, const Effects::Reads& reads, bool remembers);
  void long_read_dropped();

  // ---- what is written
  // The records of elements do not name their key. Who listens to prefixes has read nothing, so the name
  // comes from the command that is about to write: the keys that it looked at, and where their elements lie.
  using Objects = std::vector<std::pair<std::string, ObjectId>>;
  bool wants_names(const Command& command) const;
  void want_all_names(bool wanted) { all_names_ = wanted; }  // Somebody else asks looked_at().
  const Objects* looked_at() const { return looked_at_; }
  void looked_at(const Objects& objects) { looked_at_ = &objects; }  // Until the next applied().
  // `writer`: the client, 0: nobody. Before the table of databases is refreshed.
  void applied(const engine::Batch& batch, uint64_t writer, engine::Lsn lsn);
  // Tells those who have read what was touched. After the writer's reply.
  void send();
  // That, and tells those who listen to prefixes.
  void end_turn();

  // ---- for INFO
  size_t clients() const { return clients_; }
  size_t keys() const { return keys_.size(); }
  size_t items() const { return items_; }  // Clients, summed over keys.
  size_t prefix_count() const { return prefixes_.size(); }

  // ---- TouchListener
  void key_touched(uint32_t database, std::string_view user_key, Touch how) override;
  void elements_touched(ObjectId object) override;
  void database_replaced(uint32_t database, Replaced how) override;

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  struct Readers {
    std::vector<uint64_t> clients;  // By rising id.
    std::vector<ObjectId> objects;  // In most cases none, or one.
  };
  using Keys = std::unordered_map<std::string, Readers, Hash, std::equal_to<>>;
  struct Pending {
    bool all = false;  // Every key is invalid, for everybody.
    std::string key;
    std::vector<uint64_t> clients;
    uint64_t writer = 0;
    engine::Lsn lsn = 0;
  };
  struct Broadcast {
    std::set<uint64_t> clients;
    std::map<std::string, uint64_t> touched;  // In this turn: the key, and who wrote it last.
    engine::Lsn lsn = 0;
  };

  void invalidate(Keys::iterator key);
  void limit_table();
  void broadcast(Broadcast& to);
  template <typename F>
  void each_prefix_of(std::string_view key, F f);
  void touch_prefixes(std::string_view key);
  void note_touched(std::string_view key, ObjectId object);
  bool touched_meanwhile(std::string_view key, const Effects::Reads& reads) const;
  // One push; `keys` in wire form, empty: all keys.
  void tell(Client& tracker, std::string_view keys, engine::Lsn lsn);

  Server& server_;
  size_t clients_ = 0;
  Keys keys_;
  size_t items_ = 0;
  std::unordered_map<ObjectId, std::string> key_of_object_;
  std::map<std::string, Broadcast, std::less<>> prefixes_;
  std::unordered_map<uint64_t, std::set<std::string>> prefixes_of_;  // By client.

  std::vector<Pending> pending_;
  uint64_t writer_ = 0;  // Of the batch that is being told.
  engine::Lsn lsn_ = 0;
  const Objects* looked_at_ = nullptr;
  bool all_names_ = false;
  ObjectId last_object_ = engine::kNoObject;  // Told of in this batch.
  uint64_t eviction_seed_ = 1;

  // While long reads are under way.
  size_t long_reads_ = 0;
  bool all_touched_ = false;
  std::unordered_set<std::string, Hash, std::equal_to<>> touched_keys_;
  std::unordered_set<ObjectId> touched_objects_;
};

}  // namespace server
