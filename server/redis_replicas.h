// server/redis_replicas.h: Redises that follow this server, and whoever fetches an RDB file: the way out.
//
//     PSYNC, SYNC ─▶ an RDB file of this moment, piece by piece ─▶ its end is acknowledged ─▶ rounds
//
// What is written here are records, not commands. So of each write only the name of the key is kept, once; a
// round takes all names, looks at the keys in one snapshot and sends them as they are then (SET, RESTORE,
// DEL), as one transaction. Between rounds the replica is as this server was at one moment. A slow replica
// gets fewer rounds, not a longer queue. The price: a key goes whole whatever part of it has changed.
//
// Invariants
//   D1  Nothing follows the file before the replica has acknowledged it. The file ends with a mark, which is
//       looked for at the end of each read: what came with it in one read would hide it for ever.
//   D2  A replica has everything up to the LSN that lsn_of() says: it has acknowledged the round, or the
//       file, whose snapshot was taken there.
//
// Threads: the reactor; files and rounds are made by workers, one piece at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/lsn.h"
#include "engine/status.h"
#include "server/touched_keys.h"

namespace server {

class Client;
class Server;

class RedisReplicas final : public TouchListener {
 public:
  static constexpr size_t kOutputMax = 1 << 20;        // More is not made before it has left.
  static constexpr size_t kNamesBytesMax = 256 << 20;  // A replica that is behind by more is dropped.

  RedisReplicas(Server& server, std::function<void()> acknowledged);
  ~RedisReplicas();

  // ---- before the copy: REPLCONF
  // How others reach it.
  void announce_port(const Client& client, int port);
  void announce_ip(const Client& client, std::string_view ip);

  // ---- the copy
  // PSYNC and SYNC, which has no answer. After this the connection speaks RESP to replicas only.
  void attach(Client& client, bool psync);
  bool any() const { return !by_id_.empty(); }
  size_t size() const { return by_id_.size(); }
  // A batch is about to be applied. `looked_at`: keys of its command, and where their elements lie.
  using Objects = std::vector<std::pair<std::string, ObjectId>>;
  void applied(const engine::Batch& batch, const Objects* looked_at);
  void pump();  // At the end of each turn.
  void tick();
  void drop_all();

  // ---- those that said how they are reached: Redises, and not what fetches a file
  struct Facts {
    std::string ip;
    int port;
    bool online;      // It has the file, and takes rounds.
    engine::Lsn lsn;  // D2
    uint64_t last_heard_us;
  };
  std::vector<Facts> facts() const;
  // Of those that are online: how many were heard of no longer ago; how many have all up to `lsn`.
  size_t good(uint64_t max_lag_us) const;
  size_t count(engine::Lsn lsn) const;
  // Somebody waits: they say how far they are as soon as they have what there is now.
  void want_acks() { acks_wanted_ = true; }

 private:
  class Stream;
  struct One;
  struct Address {
    std::string ip;
    int port = 0;
  };

  void key_touched(uint32_t database, std::string_view user_key, Touch how) override;
  void elements_touched(ObjectId object) override;
  void database_replaced(uint32_t database, Replaced how) override;
  void pump(One& one);
  void ask_for_ack(One& one);
  void begin_round(One& one);
  void made(uint64_t client_id, const std::string& bytes, const engine::Status& status);
  void heard(One& one);
  void acknowledged(One& one, uint64_t offset);
  engine::Lsn lsn_of(const One& one) const;
  bool is_redis(const One& one) const;

  Server& server_;
  const std::function<void()> acknowledged_;
  std::map<uint64_t, std::unique_ptr<One>> by_id_;  // By client, as is
  std::map<uint64_t, Address> announced_;           // of those that may be about to attach.
  const Objects* looked_at_ = nullptr;
  bool swapped_ = false, drop_all_later_ = false, acks_wanted_ = false;
};

}  // namespace server
