#include "server/server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "server/acl/acl.h"
#include "server/authorize.h"
#include "server/bindings.h"
#include "server/client_info.h"
#include "server/command_renaming.h"
#include "server/config.h"
#include "server/drawn_members.h"
#include "server/engine_settings.h"
#include "server/log.h"
#include "server/long_write.h"
#include "server/memory_usage.h"
#include "server/pubsub.h"
#include "server/replication.h"
#include "server/scripts/scripting.h"
#include "server/touched_keys.h"
#include "server/tracking.h"
#include "server/transaction.h"

namespace server {
namespace {

constexpr uint64_t kCronMs = 100;
constexpr uint64_t kCronsPerSecond = 10;
constexpr uint64_t kStopPatienceUs = 5'000'000;  // For replies and long reads that are under way.
constexpr size_t kUnauthenticatedOutputBytesMax = 1024;

std::string_view denied_text() {
  return "-DENIED Varve is running in protected mode because protected mode is enabled and no password is "
         "set for the "
         "default user. In this mode connections are only accepted from the loopback interface. If you want "
         "to connect "
         "from external computers you may adopt one of the following solutions: 1) Just disable protected "
         "mode sending "
         "the command 'CONFIG SET protected-mode no' from the loopback interface by connecting from the same "
         "host the "
         "server is running, however MAKE SURE the server is not publicly accessible from internet if you do "
         "so. Use "
         "CONFIG REWRITE to make this change permanent. 2) Alternatively you can just disable the protected "
         "mode by "
         "editing the configuration file, and setting the protected mode option to 'no', and then restarting "
         "the "
         "server. 3) If you started the server manually just for testing, restart it with the "
         "'--protected-mode no' "
         "option. 4) Set up an authentication password for the default user. NOTE: You only need to do one "
         "of the above "
         "things in order for the server to start accepting connections from the outside.\r\n";
}

std::string random_hex(engine::Entropy& entropy, size_t digits) {
  std::string text;
  while (text.size() < digits) {
    for (uint64_t bits = entropy.next(), i = 0; i < 16 && text.size() < digits; ++i, bits >>= 4) {
      text += "0123456789abcdef"[bits & 15];
    }
  }
  return text;
}

// Than what users' keys hold (server/keyspace.h).
bool says_more(const engine::Batch& record) {
  engine::BatchReader operations(record.bytes());
  while (operations.next()) {
    if (operations.op() == engine::Batch::Op::kMoved) return true;
    const char tag = operations.key().empty() ? '\0' : operations.key().front();
    if (tag != 'H' && tag != 'S' && tag != 'T' && tag != 'B') return true;
  }
  return false;
}

void prepare_socket(int fd, int keepalive_seconds) {
  const int yes = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
  if (keepalive_seconds <= 0) return;
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof(yes));
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &keepalive_seconds, sizeof(keepalive_seconds));
  const int interval = std::max(1, keepalive_seconds / 3);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
  const int count = 3;
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

}  // namespace

Server::Server(uv_loop_t* loop, engine::Env& env, engine::Engine& engine, Config& config)
    : loop_(loop),
      env_(env),
      engine_(engine),
      config_(config),
      acl_(std::make_unique<Acl>(table_, config)),
      expiry_census_(engine, env.executor),
      listeners_(loop, *this),
      pubsub_(std::make_unique<PubSub>()),
      tracking_(std::make_unique<Tracking>(*this)),
      dispatcher_(*this, engine, env),
      batches_(
          engine, env, [this](engine::Batch& batch) { return apply_unasked(batch); },
          [this] { return replication_->may_write(); }),
      long_writes_(std::make_unique<LongWrites>(*this)),
      expiry_cron_(engine, env, batches_,
                   {[this](ObjectId object) { return databases_.number(object); },
                    [this](uint32_t database, std::string_view key) { key_expired(database, key); },
                    [this](uint32_t database, std::string_view key, bool all) {
                      fields_expired(database, key, all);
                    }}),
      scan_cursors_(env.entropy.next()),
      drawn_members_(std::make_unique<DrawnMembers>()),
      scripting_(std::make_unique<Scripting>(*this)),
      replication_(std::make_unique<Replication>(*this, loop)),
      started_ms_(env.clock.wall_ms()),
      run_id_(random_hex(env.entropy, 40)),
      last_save_ms_(started_ms_) {
  bind_all(table_);
  stats_.by_command.resize(table_.commands().size());
  startup_memory_ = memory_usage().allocated;
}

Server::~Server() = default;

const Settings& Server::settings() const { return config_.settings(); }

Durability Server::default_durability() const {
  return settings().appendfsync == AppendFsync::kAlways ? Durability::kSynced : Durability::kWritten;
}

engine::Status Server::start() {
  const bool follower = !settings().replicaof.empty();
  if (auto status = databases_.open(engine_, static_cast<uint32_t>(settings().databases), follower);
      !status.ok())
    return status;
  engine_.on_progress([this] { progressed_ = true; });
  on_expired_met = [this](const std::vector<View::Expired>& keys) {
    // What is paused changes nothing.
    if (!pause.any() && replication_->may_write()) expiry_cron_.met(keys);
  };
  if (auto status = scripting_->functions.open(); !status.ok()) return status;
  frame_ = engine_.end();
  commit_ = {engine_.written(), engine_.synced(), env_.clock.monotonic_us()};

  uv_prepare_init(loop_, &before_wait_);
  before_wait_.data = this;
  uv_prepare_start(&before_wait_,
                   [](uv_prepare_t* handle) { static_cast<Server*>(handle->data)->end_turn(); });
  uv_timer_init(loop_, &cron_timer_);
  cron_timer_.data = this;
  uv_timer_start(
      &cron_timer_, [](uv_timer_t* handle) { static_cast<Server*>(handle->data)->cron(); }, kCronMs, kCronMs);
  uv_timer_init(loop_, &delay_timer_);
  delay_timer_.data = this;
  uv_timer_init(loop_, &block_timer_);
  block_timer_.data = this;
  watch_settings();
  // Not before the loop has what stop() needs to come to an end.
  if (auto status = rename_commands(config_.directives(), table_); !status.ok()) return status;
  if (auto status = acl_->start(env_.files); !status.ok()) return status;
  if (auto status = replication_->start(log_was_closed); !status.ok()) return status;
  long_writes_->tick();
  return listeners_.open(settings());
}

// ------------------------------------------------------------------ a turn

void Server::on_input(Client& client, size_t bytes) {
  ++stats_.reads;
  stats_.bytes_in += bytes;
  if (client.stream) return client.stream->on_input(client);
  const size_t queued = client.transaction ? client.transaction->memory_bytes() : 0;  // Not answered either.
  if (client.input.size() + queued > settings().client_query_buffer_limit) {
    log_warning("Closing client that reached max query buffer length: id=%llu addr=%s (qbuf bytes: %zu)",
                static_cast<unsigned long long>(client.id), client.peer_address().c_str(),
                client.input.size() + queued);
    ++stats_.query_limit_disconnections;
    return client.close();
  }
  dispatcher_.process(client);
  // A protocol error, or QUIT, may have left nothing to send but the end.
  if (client.closing_after_reply() && !client.closed()) output_added(client);
}

void Server::on_writable(Client& client) { output_added(client); }

engine::Lsn Server::apply(engine::Batch& batch, uint64_t writer) {
  changes_ += batch.operations();
  if (key_watch_.any()) [[unlikely]]
    tell_touched(batch, databases_, key_watch_);
  if (RedisReplicas& redises = replication_->redis_replicas(); redises.any()) [[unlikely]]
    redises.applied(batch, tracking_->looked_at());
  const engine::Lsn lsn = engine_.apply(batch);
  tracking_->applied(batch, writer, lsn);
  return lsn;
}

engine::Lsn Server::apply_unasked(engine::Batch& batch) {
  const engine::Lsn lsn = apply(batch);
  if (blocking_.size() > 0) {
    blocking_.applied(batch, databases_);
    if (blocking_.any_ready()) env_.executor.post(engine::Task([this] { dispatcher_.serve_blocked(); }));
  }
  return lsn;
}

bool Server::apply_foreign(const engine::Batch& record) {
  changes_ += record.operations();
  if (key_watch_.any()) [[unlikely]]
    tell_touched(record, databases_, key_watch_);
  engine_.apply_foreign(record);
  tracking_->applied(record, 0, engine_.end());
  const bool more = says_more(record);
  if (more) [[unlikely]] {
    databases_.refresh(record);
    scripting_->functions.refresh(record);
  }
  if (blocking_.size() > 0) {
    blocking_.applied(record, databases_);
    if (blocking_.any_ready()) env_.executor.post(engine::Task([this] { dispatcher_.serve_blocked(); }));
  }
  return more;
}

void Server::retry_parked() {
  env_.executor.post(engine::Task([this] {
    dispatcher_.retry_parked();
    batches_.retry();
  }));
}

void Server::hold_still(bool held) {
  still_ = held;
  batches_.hold(held);
  if (held) return dispatcher_.forget_blocks();
  dispatcher_.forget_blocks();
  retry_parked();
}

engine::Status Server::store_exchanged() {
  const auto count = static_cast<uint32_t>(settings().databases);
  if (auto status = databases_.open(engine_, count, true); !status.ok()) return status;
  if (auto status = scripting_->functions.open(); !status.ok()) return status;
  frame_ = engine_.end();
  commit_ = {engine_.written(), engine_.synced(), env_.clock.monotonic_us()};
  blocking_.databases_changed();
  tracking_->database_replaced(0, TouchListener::Replaced::kEmptied);  // All keys, for everybody.
  for (uint32_t number = 0; number < count; ++number)
    key_watch_.database_replaced(number, TouchListener::Replaced::kEmptied);
  return {};
}

void Server::output_added(Client& client) {
  if (client.in_dirty || client.closed()) return;
  client.in_dirty = true;
  dirty_.push_back(&client);
}

void Server::work_left(Client& client) {
  if (client.in_ready) return;
  client.in_ready = true;
  ready_.push_back(&client);
  if (ready_.size() == 1) env_.executor.post(engine::Task([this] { run_ready(); }));
}

void Server::run_ready() {
  ready_now_.swap(ready_);
  for (Client* client : ready_now_) client->in_ready = false;
  for (Client* client : ready_now_) {
    if (client->closed()) continue;
    dispatcher_.process(*client);
    if (client->closing_after_reply()) output_added(*client);
  }
  ready_now_.clear();
}

void Server::end_turn() {
  tracking_->end_turn();
  const bool running = !engine_stopping_ && !replication_->switching();
  if (running) {
    engine_.end_turn();
    if (sync_wanted_) {
      sync_wanted_ = false;
      if (settings().appendfsync != AppendFsync::kAlways) engine_.request_sync();
    }
    commit_ = {engine_.written(), engine_.synced(), env_.clock.monotonic_us()};
  }
  const bool due = wake_us_ != 0 && commit_.now_us >= wake_us_;
  if (due) {
    wake_us_ = 0;
    uv_timer_stop(&delay_timer_);
  }
  if (running) {
    replication_->limit(&commit_);
    frame_ = engine_.end();
    replication_->end_turn();
  }
  dirty_now_.swap(dirty_);
  for (Client* client : dirty_now_) client->in_dirty = false;
  for (Client* client : dirty_now_) send(*client);
  dirty_now_.clear();

  if (progressed_ || due) {
    const bool progressed = std::exchange(progressed_, false);
    send_held();
    if (progressed && replication_->cares_for_progress())
      env_.executor.post(engine::Task([this] { replication_->progressed(); }));
    // Writers that found no room: now, and not before the loop has looked at its sockets, or they would
    // starve them.
    if (progressed && (dispatcher_.any_parked() || batches_.any_waiting()) && !stopping_) {
      env_.executor.post(engine::Task([this] {
        dispatcher_.retry_parked();
        batches_.retry();
      }));
    }
  }
  watch_deadlines();
  if (shutdown_.under_way()) [[unlikely]]
    shutdown_.advance();
  if (stopping_) advance_stop();
}

void Server::watch_deadlines() {
  const uint64_t due_us = stopping_ ? 0 : blocking_.next_deadline_us();
  if (due_us == block_wake_us_) [[likely]]
    return;
  block_wake_us_ = due_us;
  if (due_us == 0) {
    uv_timer_stop(&block_timer_);
    return;
  }
  const uint64_t wait_ms = due_us > commit_.now_us ? (due_us - commit_.now_us + 999) / 1000 : 0;
  uv_timer_start(
      &block_timer_,
      [](uv_timer_t* timer) {
        auto* self = static_cast<Server*>(timer->data);
        self->block_wake_us_ = 0;
        self->dispatcher_.time_out_blocked();
      },
      wait_ms, 0);
}

void Server::send(Client& client) {
  if (client.closed()) return;
  const uint64_t bytes_before = client.bytes_out;
  const Client::Sent sent = client.send(commit_);
  if (client.bytes_out != bytes_before) {
    stats_.bytes_out += client.bytes_out - bytes_before;
    ++stats_.writes;
    if (client.stream && !client.closed()) [[unlikely]]
      client.stream->on_sent(client);
  }
  if (sent != Client::Sent::kGone) dispatcher_.more_room(client);
  if (sent != Client::Sent::kSome) {
    client.over_soft_limit_since_us = 0;
    return;
  }
  if (!client.gate.empty()) {
    // It will never be safe to say; or not in time.
    const bool hopeless = engine_.log_failed() || replication_->out_of_patience();
    if (hopeless && client.gate.beyond(commit_)) return client.close();
    if (client.gate.due_us() > commit_.now_us) wake_at(client.gate.due_us());
    if (!client.in_held) {
      client.in_held = true;
      held_.push_back(&client);
      ++stats_.held_replies;
    }
  }
  if (over_output_limit(client, commit_.now_us)) {
    log_warning("Client id=%llu addr=%s closed for overcoming of output buffer limits.",
                static_cast<unsigned long long>(client.id), client.peer_address().c_str());
    ++stats_.output_limit_disconnections;
    client.close();
  }
}

void Server::send_held() {
  held_now_.swap(held_);
  for (Client* client : held_now_) client->in_held = false;
  for (Client* client : held_now_) send(*client);
  held_now_.clear();
}

void Server::wake_at(uint64_t due_us) {
  if (wake_us_ != 0 && wake_us_ <= due_us) return;
  wake_us_ = due_us;
  // Of the timer only its firing matters: the end of that turn sends what is due. Late by up to a
  // millisecond.
  const uint64_t wait_ms = (due_us - commit_.now_us + 999) / 1000;
  uv_timer_start(
      &delay_timer_, [](uv_timer_t*) {}, wait_ms, 0);
}

bool Server::over_output_limit(Client& client, uint64_t now_us) {
  const uint64_t waiting = client.output.size() + Dispatcher::bytes_behind_reply(client);
  if (must_authenticate(client.session)) {
    return waiting > kUnauthenticatedOutputBytesMax;
  }
  const ClientClass of = client.stream                            ? ClientClass::kReplica
                         : type_of(client) == ClientType::kPubsub ? ClientClass::kPubsub
                                                                  : ClientClass::kNormal;
  const OutputBufferLimit& limit = settings().client_output_buffer_limit[static_cast<size_t>(of)];
  if (limit.hard_bytes != 0 && waiting >= limit.hard_bytes) return true;
  if (limit.soft_bytes == 0 || waiting < limit.soft_bytes) {
    client.over_soft_limit_since_us = 0;
    return false;
  }
  if (client.over_soft_limit_since_us == 0) client.over_soft_limit_since_us = now_us;
  return now_us - client.over_soft_limit_since_us > static_cast<uint64_t>(limit.soft_seconds) * 1000000;
}

// ------------------------------------------------------------------ connections

void Server::on_connection(int fd, bool unix_socket) {
  const auto turn_away = [&](std::string_view text) {
    // The peer is not ours to wait for: whatever does not fit at once is lost.
    [[maybe_unused]] const ssize_t n = ::write(fd, text.data(), text.size());
    ++stats_.rejected_connections;
    ::close(fd);
  };
  if (clients_.size() >= settings().maxclients) return turn_away("-ERR max number of clients reached\r\n");
  if (!unix_socket) prepare_socket(fd, settings().tcp_keepalive_seconds);
  Client& client = clients_.add(loop_, fd, *this);
  client.created_ms = client.last_interaction_ms = wall_ms();
  become_default_user(*this, client.session);
  if (settings().protected_mode && acl_->users.default_user().needs_no_password() && !client.is_loopback()) {
    [[maybe_unused]] const ssize_t n = ::write(fd, denied_text().data(), denied_text().size());
    ++stats_.rejected_connections;
    return client.close();
  }
  ++stats_.connections;
  log_verbose("Accepted %s", client.peer_address().c_str());
}

void Server::on_gone(Client& client) {
  if (client.stream) client.stream->on_gone(client);
  dispatcher_.forget(client);
  if (client.session.monitor) std::erase(monitors_, &client);
  pubsub_->forget(client);
  // What it has queued stays as long as it does: EXEC may be running.
  if (client.watcher) key_watch_.unwatch(*client.watcher);
  tracking_->disable(client);
  destroy_if_possible(client);
}

void Server::destroy_if_possible(Client& client) {
  if (!client.closed() || !client.destructible()) return;
  if (client.in_dirty) std::erase(dirty_, &client);
  if (client.in_held) std::erase(held_, &client);
  if (client.in_ready) std::erase(ready_, &client);
  clients_.remove(client);
}

void Server::end_transaction(Client& client) {
  client.transaction.reset();
  if (client.watcher) key_watch_.unwatch(*client.watcher);
}

void Server::end_pause() {
  pause.until_ms = 0;
  pause.all = false;
  if (dispatcher_.any_parked()) env_.executor.post(engine::Task([this] { dispatcher_.retry_parked(); }));
}

// ------------------------------------------------------------------ ten times a second

void Server::cron() {
  if (engine_stopping_ || replication_->switching()) return;
  ++cron_runs_;
  engine_.tick();
  replication_->cron();
  if (replication_->out_of_patience()) progressed_ = true;
  if (cron_paused) return;
  long_writes_->tick();
  expiry_cron_.tick(active_expire && !pause.any() && replication_->may_write());
  const int64_t now_ms = wall_ms();
  const uint64_t now_us = env_.clock.monotonic_us();
  if (pause.until_ms != 0 && now_ms >= pause.until_ms) end_pause();
  stats_.ops_rate.sample(stats_.commands, now_us);
  stats_.out_rate.sample(stats_.bytes_out, now_us);
  stats_.in_rate.sample(stats_.bytes_in, now_us);
  note_memory();
  if (cron_runs_ % kCronsPerSecond != 0) return;
  expiry_census_.refresh(now_ms);
  clients_.each([&](Client& client) { check_client(client, now_ms, now_us); });
}

void Server::check_client(Client& client, int64_t now_ms, uint64_t now_us) {
  if (client.stream) return;
  const int64_t idle_ms = now_ms - client.last_interaction_ms;
  const int timeout_seconds = settings().timeout_seconds;
  if (timeout_seconds > 0 && !client.session.monitor && !client.session.subscribed() && !client.waiting &&
      idle_ms > int64_t{1000} * timeout_seconds) {
    log_verbose("Closing idle client");
    return client.close();
  }
  if (!client.output.empty() && over_output_limit(client, now_us)) {
    ++stats_.output_limit_disconnections;
    log_warning("Client id=%llu addr=%s closed for overcoming of output buffer limits.",
                static_cast<unsigned long long>(client.id), client.peer_address().c_str());
    return client.close();
  }
  if (Dispatcher::reader_is_stuck(client, now_us)) {
    log_warning("Client id=%llu addr=%s closed: it has taken nothing of a long reply for a minute.",
                static_cast<unsigned long long>(client.id), client.peer_address().c_str());
    return client.close();
  }
  if (idle_ms > 2000 && !client.waiting) {  // An idle connection keeps next to nothing.
    client.output.release();
    client.requests.release();
    if (client.parser.idle()) client.input.release();
  }
}

void Server::note_memory() { peak_memory_ = std::max(peak_memory_, memory_usage().allocated); }

// ------------------------------------------------------------------ settings, saving

void Server::watch_settings() {
  config_.on_change({"maxmemory"}, [this] {
    engine_.set_memory(engine_memory(settings()));
    return std::string();
  });
  config_.on_change({"appendfsync"}, [this] {
    engine_.set_sync_policy(sync_policy(settings()));
    return std::string();
  });
  config_.on_change({"requirepass"}, [this] {
    acl_->users.set_default_password(acl_->ground(), settings().requirepass);
    return std::string();
  });
  config_.on_change({"slowlog-max-len"}, [this] {
    slowlog_.trim(settings().slowlog_max_len);
    return std::string();
  });
  config_.on_change({"port", "bind"}, [this]() -> std::string {
    const auto status = listeners_.reopen_tcp(settings());
    return status.ok() ? "" : "Unable to listen on this port. Check server logs.";
  });
  config_.on_change({"loglevel"}, [this] {
    log_set_level(settings().loglevel);
    return std::string();
  });
}

void Server::save(std::function<void(const engine::Status&)> done) {
  ++saves_running_;
  const int64_t began_ms = wall_ms();
  const uint64_t changes = changes_;
  engine_.flush([this, began_ms, changes, done = std::move(done)](const engine::Status& status) {
    --saves_running_;
    last_save_ok_ = status.ok();
    last_save_seconds_ = (wall_ms() - began_ms) / 1000;
    if (status.ok()) {
      ++saves_;
      changes_saved_ = changes;
      last_save_ms_ = wall_ms();
    } else {
      log_warning("Saving failed: %s", status.message().c_str());
    }
    done(status);
  });
}

// ------------------------------------------------------------------ the end
//
//     stop() ─▶ the log is synced, or failed ─▶ replies sent, connections closed ─▶ engine stopped ─▶ done
//                        advance_stop(), at the end of every turn

void Server::stop(std::function<void(engine::Status)> done) {
  if (stopping_) return;
  stopping_ = true;
  shutdown_.release_clients();
  replication_->stop();
  expiry_cron_.stop();
  batches_.stop();
  stopped_ = std::move(done);
  stop_deadline_us_ = env_.clock.monotonic_us() + kStopPatienceUs;
  listeners_.close();
  clients_.each([](Client& client) { client.read_on(false); });
  engine_.request_sync();
}

void Server::advance_stop() {
  if (engine_stopping_ || replication_->switching()) return;
  const bool patient = commit_.now_us < stop_deadline_us_;
  const bool safe = commit_.synced >= engine_.end() || engine_.log_failed();
  if (patient && !safe) return;
  clients_.each([this](Client& client) {
    send(client);
    if (!client.closed()) client.close();
  });
  if (patient && dispatcher_.waiting() > 0) return;  // A worker still reads for one of them.
  engine_stopping_ = true;
  engine_.stop([this](engine::Status status) {
    for (auto* handle :
         {reinterpret_cast<uv_handle_t*>(&before_wait_), reinterpret_cast<uv_handle_t*>(&cron_timer_),
          reinterpret_cast<uv_handle_t*>(&delay_timer_), reinterpret_cast<uv_handle_t*>(&block_timer_)}) {
      uv_close(handle, nullptr);
    }
    stopped_(std::move(status));
  });
}

}  // namespace server
