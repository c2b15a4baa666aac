#include "server/replication.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "server/command_spec.h"
#include "server/config.h"
#include "server/log.h"
#include "server/server.h"

namespace server {

using replication::Replica;

namespace {

constexpr std::string_view kReadOnly = "READONLY You can't write against a read only replica.";
constexpr std::string_view kNoLink =
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.";
constexpr std::string_view kTooFew = "NOREPLICAS Not enough good replicas to write.";

uint64_t us(int64_t seconds) { return static_cast<uint64_t>(seconds) * 1'000'000; }

}  // namespace

Replication::Replication(Server& server, uv_loop_t* loop)
    : server_(server),
      replicas_(server, history_,
                {[this] { acknowledged(); },
                 [this] {
                   if (is_replica()) promote();
                 },
                 [this] { wish(); }}),
      redis_replicas_(server, [this] { acknowledged(); }),
      replica_(std::make_unique<Replica>(server.env(), server.engine(), history_, replica_options_, *this)),
      redis_(server, {[this] { connect(); }, [this](std::string_view bytes) { link_.send(bytes); },
                      [this] { disconnect(); }, [this] { return link_.client(); },
                      [this] { return redis_.active() && !epoch_due_ && !switching_; },
                      [this] { return history_.empty() ? std::string() : history_.present().id; }}),
      link_(server, loop,
            {[this] { found_varve(); }, [this] { found_redis(); },
             [this](std::string_view bytes) {
               redis_.active() ? redis_.received(bytes) : replica_->received(bytes);
             },
             [this] { return redis_.active() ? redis_.wants_input() : replica_->wants_input(); },
             [this](const std::string& why) {
               redis_.active() ? redis_.disconnected(why) : replica_->disconnected(why);
             }}) {}

Replication::~Replication() = default;

engine::Status Replication::start(bool clean) {
  auto loaded = replication::load_history(server_.engine());
  if (!loaded.ok()) return loaded.status();
  history_ = std::move(loaded).value();
  replica_options_.run_id = server_.run_id();
  needed_us_ = server_.env().clock.monotonic_us();  // Replicas of an earlier life come back.
  read_settings();
  server_.config().on_change({"repl-timeout", "repl-ping-replica-period", "replica-announce-ip",
                              "replica-announce-port", "repl-backlog-size", "repl-backlog-ttl",
                              "repl-lag-size-max", "repl-checkpoint-rate", "port", "min-sync-replicas"},
                             [this] {
                               read_settings();
                               return std::string();
                             });
  server_.config().on_change({"notify-keyspace-events"}, [this] {
    wish();
    return std::string();
  });
  wish();
  const std::string& configured = server_.settings().replicaof;
  if (const size_t blank = configured.find(' '); blank != std::string::npos) {
    primary_host_ = configured.substr(0, blank);
    primary_port_ = std::atoi(configured.c_str() + blank + 1);
    log_set_role('S');
    replica_->start();
  } else if (history_.empty() || !clean) {
    // Writes that a crash took may be with a replica, so what is written from here on is another history.
    epoch_due_ = true;
    begin_epoch_if_due();
  }
  return {};
}

void Replication::stop() {
  stopping_ = true;
  replica_->stop();
  redis_.stop();
  link_.close();
  for (const Waiter& waiter : std::exchange(waiters_, {}))
    server_.dispatcher().answer(*waiter.client, [](resp::ReplyWriter&) {});
}

void Replication::read_settings() {
  const Settings& settings = server_.settings();
  replicas_.options.timeout_us = replica_options_.timeout_us = us(settings.repl_timeout_seconds);
  replicas_.options.ping_period_us = us(settings.repl_ping_replica_period_seconds);
  replica_options_.announce_ip = settings.replica_announce_ip;
  replica_options_.port = static_cast<uint64_t>(
      settings.replica_announce_port != 0 ? settings.replica_announce_port : settings.port);
  replicas_.options.checkpoint_bytes_per_second = settings.repl_checkpoint_rate_bytes;
  replicas_.lag_bytes_max = settings.repl_lag_size_max_bytes;
  keep_log(true);
}

// For replicas that come back; but a primary that has had none for long keeps nothing for them.
void Replication::keep_log(bool now) {
  const Settings& settings = server_.settings();
  const uint64_t time = server_.env().clock.monotonic_us();
  if (replicas_.size() > 0 || is_replica()) needed_us_ = time;
  const bool keeps =
      settings.repl_backlog_ttl_seconds == 0 || time - needed_us_ < us(settings.repl_backlog_ttl_seconds);
  if (keeps == keeps_log_ && !now) return;
  keeps_log_ = keeps;
  server_.engine().keep_log(keeps ? settings.repl_backlog_size_bytes : 0);
}

// ------------------------------------------------------------------ roles

void Replication::follow(std::string host, int port) {
  if (host == primary_host_ && port == primary_port_ && !role_later_) return;
  log_notice("REPLICAOF %s:%d: following it from now on", host.c_str(), port);
  change_role(std::move(host), port);
}

void Replication::promote() {
  if (!is_replica() && !role_later_) return;
  log_notice("A primary from now on");
  change_role("", 0);
}

void Replication::change_role(std::string host, int port) {
  if (!replica_->off() && !replica_->stop()) {
    role_later_ = [this, host = std::move(host), port]() mutable { change_role(std::move(host), port); };
    return;
  }
  role_later_ = nullptr;
  if (redis_.active()) {
    redis_.stop();
    link_.close();
  }
  const bool was_replica = is_replica();
  primary_host_ = std::move(host);
  primary_port_ = port;
  log_set_role(is_replica() ? 'S' : 'M');
  (void)server_.config()
      .assign("replicaof", is_replica() ? primary_host_ + " " + std::to_string(primary_port_) : "")
      .ok();
  if (is_replica()) {
    epoch_due_ = false;
    redis_replicas_.drop_all();
    if (!was_replica) server_.dispatcher().unblock_all();
    replica_->start();
  } else if (was_replica) {
    epoch_due_ = true;
    begin_epoch_if_due();
  }
}

// S2
void Replication::begin_epoch_if_due() {
  if (!epoch_due_ || switching_) return;
  if (server_.engine().admission(history_.encode().size() + 1024, true) != engine::Engine::Admission::kOpen)
    return;
  replication::begin_epoch(server_.engine(), server_.env().entropy, &history_);
  epoch_due_ = false;
  // Databases that the former primary did not have.
  const auto opened =
      server_.databases().open(server_.engine(), static_cast<uint32_t>(server_.settings().databases));
  if (!opened.ok()) log_warning("%s", opened.message().c_str());
  if (history_.previous() == nullptr) return server_.retry_parked();
  log_notice("History %s begins at offset %llu", history_.present().id.c_str(),
             static_cast<unsigned long long>(history_.present().begin));
  server_.retry_parked();
}

std::string_view Replication::refusal(uint32_t flags) const {
  if (is_replica()) {
    if (flags & cmd::kWrite) return kReadOnly;
    if (!link_up() && !(flags & cmd::kStale) && !server_.settings().replica_serve_stale_data) return kNoLink;
    return {};
  }
  if (!(flags & cmd::kWrite)) return {};
  const Settings& settings = server_.settings();
  if (settings.min_replicas_to_write > 0 && settings.min_replicas_max_lag_seconds > 0 &&
      good_replicas() < settings.min_replicas_to_write)
    return kTooFew;
  if (settings.min_sync_replicas > replicas_.online()) return kTooFew;
  return {};
}

// ------------------------------------------------------------------ the connection to the primary

void Replication::connect() {
  log_notice("Connecting to MASTER %s:%d", primary_host_.c_str(), primary_port_);
  link_.open(primary_host_, primary_port_);
}

void Replication::found_varve() {
  if (!redis_.active()) return replica_->connected();
  log_notice("The primary is a Varve now");
  redis_.stop();
  link_.close();
  replica_->start();
}

void Replication::found_redis() {
  if (redis_.active()) return redis_.connected();
  replica_->disconnected("it is no Varve");  // So stopping it leaves the connection open.
  replica_->stop();
  redis_.begin();
  epoch_due_ = true;
  begin_epoch_if_due();
}

void Replication::send(std::string bytes) { link_.send(bytes); }
void Replication::disconnect() { link_.close(); }
void Replication::say(const std::string& what) { log_notice("MASTER <-> REPLICA sync: %s", what.c_str()); }

void Replication::apply(const engine::Batch& record) {
  if (server_.apply_foreign(record)) history_.learn(record);
}

void Replication::published(const replication::Published& message) {
  server_.publish_here(message.channel, message.text, message.sharded);
  replicas_.publish(message);
}

void Replication::publish(std::string_view channel, std::string_view text, bool sharded) {
  if (replicas_.size() == 0 || (is_replica() && !redis_.active())) return;
  replicas_.publish({std::string(channel), std::string(text), sharded});
}

// What happens to keys is known where commands run: it is asked for there, for here and for whoever follows.
void Replication::wish() { replica_->wish(server_.wanted_events()); }

void Replication::happened(const replication::Event& event) {
  server_.notify_here(event.event_class, event.name, event.database, event.key, server_.engine().end());
  replicas_.tell(event);
}

// To replicas of Redis a key that has expired is one that is deleted.
void Replication::tell(uint32_t event_class, std::string_view name, uint32_t database, std::string_view key) {
  if (event_class == notify::kKeyMiss || (is_replica() && !redis_.active())) return;
  if (event_class == notify::kExpired) {
    event_class = notify::kGeneric;
    name = "del";
  } else if (name == "hexpired") {
    name = "hdel";
  }
  replicas_.tell({event_class, database, std::string(name), std::string(key)});
}

// ------------------------------------------------------------------ another store

void Replication::reopen(std::function<void(engine::Status)> done) {
  if (stopping_) return;  // The next start finds the checkpoint and installs it.
  switching_ = true;
  replicas_.drop_all();
  redis_replicas_.drop_all();
  server_.hold_still(true);
  server_.engine().reopen([this, done = std::move(done)](const engine::Status& status) {
    reopened(status);
    done(status);
    if (auto later = std::exchange(role_later_, nullptr)) later();
  });
}

void Replication::reload(std::function<void(engine::Status)> done) {
  if (stopping_ || switching_ || replica_->in_sync() || (!replica_->off() && !replica_->stop()))
    return done(engine::Status(engine::Code::kInvalid, "the store is being exchanged"));
  reopen([this, done = std::move(done)](const engine::Status& status) {
    if (is_replica()) replica_->start();
    done(status);
  });
}

void Replication::reopened(const engine::Status& status) {
  engine::Status opened = status;
  if (opened.ok()) {
    auto loaded = replication::load_history(server_.engine());
    opened = loaded.status();
    if (opened.ok()) history_ = std::move(loaded).value();
  }
  if (opened.ok()) opened = server_.store_exchanged();
  if (!opened.ok()) {
    // There is nothing left to serve from and nothing to close: what was installed is on the disk.
    log_warning("The store cannot be opened again: %s", opened.message().c_str());
    std::_Exit(1);
  }
  switching_ = false;
  replicas_.options.readable_from = 0;
  server_.hold_still(false);
}

// ------------------------------------------------------------------ turns

void Replication::end_turn() {
  if (switching_) return;
  begin_epoch_if_due();
  replicas_.options.prompt =
      server_.settings().min_sync_replicas > 0 || somebody_waits() || failover_ != Failover::kNone;
  replicas_.pump();
  redis_replicas_.pump();
}

void Replication::progressed() {
  if (stopping_ || switching_) return;
  replica_->progressed();
  redis_.progressed();
  link_.read_on();
  answer_waiters();
  advance_failover();
}

void Replication::acknowledged() {
  if (stopping_ || switching_) return;
  answer_waiters();
  advance_failover();
  server_.progressed();
}

void Replication::cron() {
  if (stopping_ || switching_) return;
  replica_->tick();
  redis_.tick();
  link_.read_on();
  replicas_.tick();
  redis_replicas_.tick();
  keep_log(false);
  answer_waiters();
  advance_failover();

  const Settings& settings = server_.settings();
  const uint64_t now = server_.env().clock.monotonic_us();
  const engine::Lsn reached = settings.min_sync_replicas == 0
                                  ? server_.engine().end()
                                  : replicas_.reached_by(settings.min_sync_replicas, false);
  if (reached > confirmed_ || reached >= server_.engine().written() || is_replica()) {
    confirmed_ = reached;
    confirmed_us_ = now;
  }
  out_of_patience_ = settings.sync_replica_timeout_ms > 0 &&
                     now - confirmed_us_ > static_cast<uint64_t>(settings.sync_replica_timeout_ms) * 1000;
}

void Replication::limit(CommitPoint* commit) const {
  const uint32_t k = server_.settings().min_sync_replicas;
  if (k == 0 || is_replica()) return;
  commit->written = std::min(commit->written, replicas_.reached_by(k, false));
  commit->synced = std::min(commit->synced, replicas_.reached_by(k, true));
}

// ------------------------------------------------------------------ waiting

size_t Replication::good_replicas() const {
  const uint64_t max_lag_us = us(server_.settings().min_replicas_max_lag_seconds);
  return replicas_.good(max_lag_us) + redis_replicas_.good(max_lag_us);
}

size_t Replication::written_by(engine::Lsn lsn) const {
  return replicas_.count(lsn, false) + redis_replicas_.count(lsn);
}

bool Replication::somebody_waits() const { return !waiters_.empty() || server_.shutdown().under_way(); }

bool Replication::reached(const Wait& wait) const {
  const engine::Engine& engine = server_.engine();
  switch (wait.what) {
    case Wait::For::kWritten: return written_by(wait.lsn) >= wait.replicas;
    case Wait::For::kSynced:
      return replicas_.count(wait.lsn, true) >= wait.replicas && (!wait.local || engine.synced() >= wait.lsn);
    case Wait::For::kHere: return engine.written() >= wait.lsn;
  }
  return true;
}

void Replication::answer(resp::ReplyWriter& reply, const Wait& wait) const {
  const engine::Engine& engine = server_.engine();
  switch (wait.what) {
    case Wait::For::kWritten: return reply.integer(static_cast<int64_t>(written_by(wait.lsn)));
    case Wait::For::kSynced:
      reply.array(2);
      reply.integer(engine.synced() >= wait.lsn);
      return reply.integer(static_cast<int64_t>(replicas_.count(wait.lsn, true)));
    case Wait::For::kHere: return reply.integer(static_cast<int64_t>(engine.written()));
  }
}

void Replication::wait(Client& client, const Wait& wait) {
  if (wait.local || wait.what == Wait::For::kSynced) server_.sync_wanted();
  if (wait.what == Wait::For::kWritten) redis_replicas_.want_acks();
  server_.dispatcher().suspend(client);
  waiters_.push_back({&client, wait});
}

void Replication::answer_waiters() {
  if (waiters_.empty()) return;
  const uint64_t now = server_.env().clock.monotonic_us();
  std::vector<Waiter> ready;
  std::erase_if(waiters_, [&](const Waiter& waiter) {
    const bool over = waiter.wait.deadline_us != 0 && now >= waiter.wait.deadline_us;
    if (!over && !waiter.client->closed() && !reached(waiter.wait)) return false;
    ready.push_back(waiter);
    return true;
  });
  for (const Waiter& waiter : ready) {
    server_.dispatcher().answer(
        *waiter.client, [this, wait = waiter.wait](resp::ReplyWriter& reply) { answer(reply, wait); });
  }
}

// ------------------------------------------------------------------ FAILOVER
//
//     fail_over() ─▶ writers wait ─▶ a replica has everything ─▶ hand_over(): it is greeted as the next
//                       │                                        primary, and followed
//                       └── time is up: as it was, or by FORCE all the same

std::string Replication::fail_over(std::string host, int port, bool force, uint64_t timeout_ms) {
  if (failover_ != Failover::kNone) return "ERR FAILOVER already in progress.";
  if (is_replica()) return "ERR FAILOVER is not valid when server is a replica.";
  if (replicas_.size() == 0) return "ERR FAILOVER requires connected replicas.";
  if (!host.empty()) {
    bool known = false, online = false;
    replicas_.each([&](const Client& client, const replication::PrimarySession& session) {
      if (replica_ip(client, session) != host || static_cast<int>(session.hello().port) != port) return;
      known = true;
      online |= session.online();
    });
    if (!known) return "ERR FAILOVER target HOST and PORT is not a replica.";
    if (!online) return "ERR FAILOVER target replica is not online.";
  }
  log_notice("FAILOVER requested");
  failover_ = Failover::kWaiting;
  failover_host_ = std::move(host);
  failover_port_ = port;
  failover_force_ = force;
  failover_deadline_us_ = timeout_ms == 0 ? 0 : server_.env().clock.monotonic_us() + timeout_ms * 1000;
  server_.pause.failing_over = true;
  return {};
}

void Replication::end_failover_pause() {
  server_.pause.failing_over = false;
  server_.retry_parked();
}

bool Replication::abort_failover() {
  if (failover_ == Failover::kNone) return false;
  log_notice("FAILOVER aborted");
  const bool handing_over = failover_ == Failover::kHandingOver;
  failover_ = Failover::kNone;
  replica_options_.take_over = false;
  if (handing_over) promote();
  end_failover_pause();
  return true;
}

void Replication::advance_failover() {
  if (failover_ == Failover::kNone) return;
  if (failover_ == Failover::kHandingOver) {
    if (!replica_->link_up()) return;
    log_notice("FAILOVER is complete");
    failover_ = Failover::kNone;
    replica_options_.take_over = false;
    end_failover_pause();
    return;
  }
  std::string host;
  int port = 0;
  const engine::Lsn all = server_.engine().end();
  replicas_.each([&](const Client& client, const replication::PrimarySession& session) {
    const std::string ip = replica_ip(client, session);
    const auto its_port = static_cast<int>(session.hello().port);
    if (!failover_host_.empty() && (ip != failover_host_ || its_port != failover_port_)) return;
    if (!session.online() || session.ack().written < all) return;
    host = ip;
    port = its_port;
  });
  if (!host.empty()) return hand_over(host, port);
  if (failover_deadline_us_ == 0 || server_.env().clock.monotonic_us() < failover_deadline_us_) return;
  if (failover_force_) return hand_over(failover_host_, failover_port_);
  log_notice("FAILOVER: no replica caught up in time");
  abort_failover();
}

void Replication::hand_over(const std::string& host, int port) {
  log_notice("FAILOVER: handing over to %s:%d", host.c_str(), port);
  failover_ = Failover::kHandingOver;
  replica_options_.take_over = true;
  follow(host, port);
}

}  // namespace server
