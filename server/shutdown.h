// server/shutdown.h: the way to the end. Replicas are given what they lack first, as far as there is time.
//
//     request() ─▶ waiting: writers pause, replicas are heard ─▶ saving (SAVE) ─▶ Server::on_shutdown
//                     │        all have all, or shutdown-timeout      │ it failed, and nobody said FORCE
//                     └── abort() ─▶ as it was; who asked is told ◀───┘
//
// Threads: the reactor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/lsn.h"

namespace server {

class Client;
class Server;

class Shutdown {
 public:
  struct How {
    bool save = false;   // Moves all to tables first, as SAVE does. Safe it is without.
    bool now = false;    // Waits for no replica.
    bool force = false;  // Ends even if saving fails.
  };
  // As shutdown-on-sigint and shutdown-on-sigterm say it.
  static How how(uint32_t words);

  explicit Shutdown(Server& server) : server_(server) {}

  // One that is under way is joined; NOW ends its waiting. `client` is suspended and hears of it only if the
  // server goes on; null: nobody asks to be told.
  void request(How how, Client* client);
  // False: none is under way.
  bool abort();
  void advance();  // Replicas were heard, time has passed.
  bool under_way() const { return state_ != State::kNone; }
  int64_t milliseconds_left() const;
  size_t clients() const { return clients_.size(); }
  // The server ends now: nobody is answered any more.
  void release_clients();

 private:
  enum class State : uint8_t { kNone, kWaiting, kSaving, kEnding };
  struct Census {
    size_t replicas = 0, lagging = 0;
  };
  Census census(bool log) const;
  void finish();
  void end();
  void fail();
  void cancel();

  Server& server_;
  State state_ = State::kNone;
  How how_;
  engine::Lsn asked_at_ = 0;
  uint64_t deadline_us_ = 0;
  std::vector<Client*> clients_;
};

}  // namespace server
