// server/replication.h: whose replica this server is, who its replicas are, and what follows from it.
//
//     primary ── follow() ─▶ replica ── promote() ─▶ primary, in an epoch of its own
//
// The protocol's two sides are replication/'s; here they are tied to sockets, to the engine, and to what
// clients see: refusals, the commit point, WAIT.
//
// Invariants
//   S1  A replica writes nothing of its own: no command, no expiry, no upkeep. Whatever asks to write asks
//       may_write() first, again each time it comes back from waiting. What a Redis sends its replica is
//       written here in an epoch of our own, so Varves can follow in turn.
//   S2  A primary writes nothing before the record of its epoch.
//
// Threads: the reactor.
#pragma once

#include <uv.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "replication/replica.h"
#include "resp/reply_writer.h"
#include "server/primary_link.h"
#include "server/redis_follower.h"
#include "server/redis_replicas.h"
#include "server/replicas.h"
#include "server/reply_gate.h"

namespace server {

class Client;
class Server;

class Replication final : public replication::ReplicaHost {
 public:
  Replication(Server& server, uv_loop_t* loop);
  ~Replication();

  // Reads the history, begins an epoch where one is due, follows whom the settings name. `clean`: the log was
  // closed in order. Errors: a damaged record.
  engine::Status start(bool clean);
  void stop();

  // ---- roles
  bool is_replica() const { return !primary_host_.empty(); }
  const std::string& primary_host() const { return primary_host_; }
  int primary_port() const { return primary_port_; }
  const replication::Replica& link() const { return *replica_; }
  const RedisFollower& redis() const { return redis_; }  // Active: the primary is a Redis.
  bool link_up() const { return redis_.active() ? redis_.link_up() : replica_->link_up(); }
  const replication::History& history() const { return history_; }
  void follow(std::string host, int port);
  void promote();

  // ---- what the dispatcher asks
  // Nothing may run: the store is being exchanged.
  bool switching() const { return switching_; }
  bool may_write() const { return !is_replica() && !epoch_due_ && !switching_; }
  // The error of a command with these flags (server/command_spec.h); empty: none.
  std::string_view refusal(uint32_t flags) const;

  // Closes the store and opens it again, as a restart would: nothing runs meanwhile, replicas and the primary
  // are called anew. Not OK: nothing has happened. Not from within a callback of the engine.
  void reload(std::function<void(engine::Status)> done);

  // ---- turns
  void end_turn();
  void cron();
  // The engine got on. Not from within its own callback: records may be applied.
  bool cares_for_progress() const { return is_replica() || !waiters_.empty(); }
  void progressed();
  void acknowledged();  // A replica did.
  // How far writes are settled, as far as replicas have a say (min-sync-replicas).
  void limit(CommitPoint* commit) const;
  // Something waits for more replicas than acknowledge, and has for too long.
  bool out_of_patience() const { return out_of_patience_; }
  bool somebody_waits() const;  // For replicas: WAIT and its relatives, a shutdown.
  size_t waiters() const { return waiters_.size(); }

  bool keeps_log() const { return keeps_log_; }  // For replicas that come back.

  // ---- replicas
  // That would count for min-replicas-to-write, of either kind.
  size_t good_replicas() const;
  Replicas& replicas() { return replicas_; }
  RedisReplicas& redis_replicas() { return redis_replicas_; }
  void publish(std::string_view channel, std::string_view text, bool sharded);
  // Something has happened to a key by a command, or by its time being up, here.
  void tell(uint32_t event_class, std::string_view name, uint32_t database, std::string_view key);

  // ---- waiting for replicas, or on one: a suspended client is answered (Dispatcher::suspend)
  struct Wait {
    enum class For : uint8_t { kWritten, kSynced, kHere };  // WAIT, WAITAOF, WAITLSN
    For what = For::kWritten;
    engine::Lsn lsn = 0;
    size_t replicas = 0;
    bool local = false;        // WAITAOF: and on the disk here.
    uint64_t deadline_us = 0;  // 0: none.
  };
  bool reached(const Wait& wait) const;
  void wait(Client& client, const Wait& wait);
  void answer(resp::ReplyWriter& reply, const Wait& wait) const;

  // ---- FAILOVER
  enum class Failover : uint8_t { kNone, kWaiting, kHandingOver };
  Failover failover_state() const { return failover_; }
  // Empty, or the error.
  std::string fail_over(std::string host, int port, bool force, uint64_t timeout_ms);
  bool abort_failover();

 private:
  // ---- replication::ReplicaHost
  void connect() override;
  void send(std::string bytes) override;
  void disconnect() override;
  void apply(const engine::Batch& record) override;
  void reopen(std::function<void(engine::Status)> done) override;
  void published(const replication::Published& message) override;
  void happened(const replication::Event& event) override;
  void say(const std::string& what) override;

  void found_varve();
  void found_redis();
  void change_role(std::string host, int port);
  void begin_epoch_if_due();
  void reopened(const engine::Status& status);
  void read_settings();
  void keep_log(bool now);
  void wish();
  size_t written_by(engine::Lsn lsn) const;  // How many have all up to there.
  void answer_waiters();
  void advance_failover();
  void end_failover_pause();
  void hand_over(const std::string& host, int port);

  Server& server_;
  replication::History history_;
  Replicas replicas_;
  RedisReplicas redis_replicas_;
  replication::ReplicaOptions replica_options_;
  std::unique_ptr<replication::Replica> replica_;
  RedisFollower redis_;
  PrimaryLink link_;

  std::string primary_host_;  // Empty: a primary.
  int primary_port_ = 0;
  bool epoch_due_ = false;
  bool switching_ = false;
  bool stopping_ = false;
  bool keeps_log_ = true;
  uint64_t needed_us_ = 0;            // When there was last somebody who might need the log again.
  std::function<void()> role_later_;  // A change of role that waits until a checkpoint is installed.

  struct Waiter {
    Client* client;
    Wait wait;
  };
  std::vector<Waiter> waiters_;
  engine::Lsn confirmed_ = 0;  // As far as min-sync-replicas have come,
  uint64_t confirmed_us_ = 0;  // and when that last was all there was, or moved.
  bool out_of_patience_ = false;

  Failover failover_ = Failover::kNone;
  std::string failover_host_;
  int failover_port_ = 0;
  bool failover_force_ = false;
  uint64_t failover_deadline_us_ = 0;
};

}  // namespace server
