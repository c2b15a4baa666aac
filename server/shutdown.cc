#include "server/shutdown.h"

#include <algorithm>
#include <string>
#include <utility>

#include "server/log.h"
#include "server/replication.h"
#include "server/server.h"

namespace server {

using engine::Lsn;

Shutdown::How Shutdown::how(uint32_t words) {
  enum : uint32_t { kSave = 1, kNosave = 2, kNow = 4, kForce = 8 };  // In the order of the table.
  return {(words & kSave) != 0, (words & kNow) != 0, (words & kForce) != 0};
}

void Shutdown::request(How how, Client* client) {
  if (server_.stopping()) return;
  if (client != nullptr) {
    server_.dispatcher().suspend(*client);
    clients_.push_back(client);
  }
  if (under_way()) {
    if (how.now && state_ == State::kWaiting) finish();
    return;
  }
  log_warning("User requested shutdown...");
  how_ = how;
  asked_at_ = server_.engine().end();
  deadline_us_ = server_.env().clock.monotonic_us() +
                 static_cast<uint64_t>(server_.settings().shutdown_timeout_seconds) * 1'000'000;
  server_.pause.shutting_down = true;
  state_ = State::kWaiting;
  if (how.now || server_.settings().shutdown_timeout_seconds == 0 || census(false).lagging == 0)
    return finish();
  server_.replication().redis_replicas().want_acks();
  log_notice("Waiting for replicas before shutting down.");
}

bool Shutdown::abort() {
  if (state_ != State::kWaiting && state_ != State::kSaving) return false;
  log_notice("Shutdown manually aborted.");
  cancel();
  return true;
}

void Shutdown::advance() {
  if (state_ != State::kWaiting) return;
  if (server_.env().clock.monotonic_us() >= deadline_us_ || census(false).lagging == 0) finish();
}

int64_t Shutdown::milliseconds_left() const {
  const uint64_t now_us = server_.env().clock.monotonic_us();
  return now_us >= deadline_us_ ? 0 : static_cast<int64_t>((deadline_us_ - now_us) / 1000);
}

// Who still gets its copy lags too. What a replica's replicas lack beyond asked_at_ its primary has for them.
Shutdown::Census Shutdown::census(bool log) const {
  Replication& replication = server_.replication();
  const Lsn end = server_.engine().end();
  const Lsn all = replication.is_replica() ? asked_at_ : end;
  const uint64_t now_us = server_.env().clock.monotonic_us();
  Census found;
  const auto count = [&](const std::string& ip, int port, bool online, Lsn lsn, uint64_t heard_us,
                         const char* state) {
    ++found.replicas;
    if (online && lsn >= all) return;
    ++found.lagging;
    if (!log) return;
    log_warning("Lagging replica %s:%d reported offset %llu behind master, lag=%llu, state=%s.", ip.c_str(),
                port, static_cast<unsigned long long>(end - std::min(lsn, end)),
                static_cast<unsigned long long>(online ? (now_us - heard_us) / 1'000'000 : 0), state);
  };
  replication.replicas().each([&](const Client& client, const replication::PrimarySession& session) {
    count(replica_ip(client, session), static_cast<int>(session.hello().port), session.online(),
          session.ack().written, session.last_ack_us(), replica_state(session));
  });
  for (const RedisReplicas::Facts& redis : replication.redis_replicas().facts())
    count(redis.ip, redis.port, redis.online, redis.lsn, redis.last_heard_us,
          redis.online ? "online" : "send_bulk");
  return found;
}

void Shutdown::finish() {
  if (const Census found = census(true); found.replicas > 0) {
    log_warning("%zu of %zu replicas are in sync when shutting down.", found.replicas - found.lagging,
                found.replicas);
  }
  if (!how_.save) return end();
  state_ = State::kSaving;
  log_notice("Saving before exiting.");
  server_.save([this](const engine::Status& status) {
    if (state_ != State::kSaving) return;  // Aborted.
    if (status.ok()) return end();
    if (how_.force) {
      log_warning("Error trying to save the DB. Exit anyway.");
      return end();
    }
    log_warning("Error trying to save the DB, can't exit.");
    fail();
  });
}

void Shutdown::end() {
  if (!server_.on_shutdown) return fail();
  state_ = State::kEnding;
  server_.on_shutdown();
}

void Shutdown::fail() {
  log_warning("Errors trying to shut down the server. Check the logs for more information.");
  cancel();
}

void Shutdown::cancel() {
  state_ = State::kNone;
  for (Client* client : std::exchange(clients_, {})) {
    server_.dispatcher().answer(
        *client, [](resp::ReplyWriter& reply) { reply.error("ERR Errors trying to SHUTDOWN. Check logs."); });
  }
  server_.pause.shutting_down = false;
  server_.retry_parked();
}

void Shutdown::release_clients() {
  for (Client* client : std::exchange(clients_, {}))
    server_.dispatcher().answer(*client, [](resp::ReplyWriter&) {});
}

}  // namespace server
