// server/redis_replicas.h: Redises that follow this server, and whoever fetches an RDB file: the way out.
//
//     PSYNC, SYNC ─▶ an RDB file of this moment, piece by piece ─▶ rounds
//
// What is written here are records, not commands. So of each write only the name of the key is kept, once; a
// round takes all names, looks at the keys in one snapshot and sends them as they are then (SET, RESTORE,
// DEL), as one transaction. Between rounds the replica is as this server was at one moment. A slow replica
// gets fewer rounds, not a longer queue. The price: a key goes whole whatever part of it has changed.
//
// Threads: the reactor; files and rounds are made by workers, one piece at a time.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/status.h"
#include "server/touched_keys.h"

namespace server {

class Client;
class Server;

class RedisReplicas final : public TouchListener {
 public:
  static constexpr size_t kOutputMax = 1 << 20;        // More is not made before it has left.
  static constexpr size_t kNamesBytesMax = 256 << 20;  // A replica that is behind by more is dropped.

  explicit RedisReplicas(Server& server);
  ~RedisReplicas();

  // After the answer to PSYNC, or to SYNC, which has none.
  void attach(Client& client);
  bool any() const { return !by_id_.empty(); }
  size_t size() const { return by_id_.size(); }
  // A batch is about to be applied. `looked_at`: keys of its command, and where their elements lie.
  using Objects = std::vector<std::pair<std::string, ObjectId>>;
  void applied(const engine::Batch& batch, const Objects* looked_at);
  void pump();  // At the end of each turn.
  void tick();
  void drop_all();

 private:
  class Stream;
  struct Changes;
  struct Round;
  struct One;

  void key_touched(uint32_t database, std::string_view user_key, Touch how) override;
  void elements_touched(ObjectId object) override;
  void database_replaced(uint32_t database, Replaced how) override;
  void pump(One& one);
  void made(uint64_t client_id, const std::string& bytes, const engine::Status& status);

  Server& server_;
  std::map<uint64_t, std::unique_ptr<One>> by_id_;  // By client.
  const Objects* looked_at_ = nullptr;
  bool swapped_ = false, drop_all_later_ = false;
};

}  // namespace server
