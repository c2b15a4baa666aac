// server/replicas.h: the replicas that follow this server, whatever its own role.
//
// Threads: the reactor.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "replication/primary.h"

namespace server {

class Client;
class Server;

class Replicas {
 public:
  struct Events {
    std::function<void()> acknowledged;  // By any of them.
    std::function<void()> take_over;     // replication::PrimarySession::Peer.
    std::function<void()> wishes_changed;
  };
  Replicas(Server& server, const replication::History& history, Events events);
  ~Replicas();

  void attach(Client& client);  // VARVESYNC
  void pump();                  // The log has grown, or replicas have taken something.
  void tick();
  void publish(const replication::Published& message);
  void tell(const replication::Event& event);
  // Of which events any of them wants to hear: classes of server/effects.h.
  uint32_t events_wanted() const { return events_wanted_; }
  // Ends all their connections, and waits for none: the store under them changes.
  void drop_all();

  // In the order in which they came; those that have not said who they are yet are nobody.
  template <typename F>  // f(const Client&, const replication::PrimarySession&)
  void each(F f) const {
    for (const auto& [id, one] : by_id_) {
      if (one->session.state() != replication::PrimarySession::State::kWaiting) f(*one->client, one->session);
    }
  }
  size_t size() const {
    size_t count = 0;
    each([&count](const Client&, const replication::PrimarySession&) { ++count; });
    return count;
  }
  size_t online() const;
  // Those whose last word is no older.
  size_t good(uint64_t max_lag_us) const;
  // How many have written, or synced, all up to `lsn`.
  size_t count(engine::Lsn lsn, bool synced) const;
  // Up to where `k` of them have; 0 if there are fewer. Requires: k > 0.
  engine::Lsn reached_by(size_t k, bool synced) const;

  replication::PrimaryOptions options;
  uint64_t lag_bytes_max = 0;  // Of log that one may hold back; 0: any.
  uint64_t full_copies = 0, continues = 0;

 private:
  class Stream;
  struct One {
    One(Client* of, replication::PrimarySession::Peer peer, Replicas& owner);
    Client* client;
    replication::PrimarySession session;
    bool counted = false;
    unsigned over_for = 0;  // Ticks since the session ended.
  };
  void changed(uint64_t client_id);
  void let_go_of_slow();
  void note_wishes();

  Server& server_;
  const replication::History& history_;
  const Events events_;
  uint32_t events_wanted_ = 0;
  std::map<uint64_t, std::unique_ptr<One>> by_id_;  // By client.
};

std::string peer_ip(const Client& client);
// The address by which others reach a replica, as INFO and ROLE show it.
std::string replica_ip(const Client& client, const replication::PrimarySession& session);
const char* replica_state(const replication::PrimarySession& session);

}  // namespace server
