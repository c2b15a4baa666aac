// server/clients.h: all connections, in the order in which they came.
//
// Threads: the reactor.
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "server/client.h"

namespace server {

class Clients {
 public:
  Client& add(uv_loop_t* loop, int fd, ClientOwner& owner) {
    const uint64_t id = ++last_id_;
    return *(by_id_[id] = std::make_unique<Client>(loop, fd, id, owner));
  }
  void remove(Client& client) { by_id_.erase(client.id); }

  // Null: not connected.
  Client* find(uint64_t id) const {
    const auto found = by_id_.find(id);
    return found == by_id_.end() || found->second->closed() ? nullptr : found->second.get();
  }
  // Those that are closed and not yet destroyed included.
  size_t size() const { return by_id_.size(); }
  bool empty() const { return by_id_.empty(); }

  // Calls f(Client&) for every connected client, by rising id. f may close any.
  template <typename F>
  void each(F f) {
    for (auto it = by_id_.begin(); it != by_id_.end();) {
      Client& client = *(it++)->second;
      if (!client.closed()) f(client);
    }
  }

 private:
  std::map<uint64_t, std::unique_ptr<Client>> by_id_;
  uint64_t last_id_ = 0;
};

}  // namespace server
