#include "server/redis_replicas.h"

#include <algorithm>
#include <deque>

#include "engine/batch.h"
#include "server/client.h"
#include "server/log.h"
#include "server/rdb/snapshot_writer.h"
#include "server/redis_round.h"
#include "server/replication.h"
#include "server/scripts/scripting.h"
#include "server/server.h"
#include "server/tracking.h"
#include "server/units.h"
#include "server/version.h"

namespace server {
namespace {

std::vector<std::string> sources(Server& server) {
  std::vector<std::string> all;
  for (const auto& [name, library] : server.scripting().functions.libraries()) all.push_back(library.source);
  return all;
}

std::string random_hex40(engine::Entropy& entropy) {
  std::string text;
  while (text.size() < 40) text += "0123456789abcdef"[entropy.next() & 15];
  return text;
}

}  // namespace

struct RedisReplicas::One {
  Client* client;
  Address address;
  std::shared_ptr<rdb::SnapshotWriter> file;  // Null: it has been sent.
  std::string mark;
  bool online = false;  // D1: it has acknowledged the file.
  RedisChanges changes;
  std::shared_ptr<RedisRound> round;
  bool making = false;  // A worker makes a piece.

  // The stream behind the file, in bytes from a beginning that the answer to PSYNC has named.
  uint64_t sent = 0, acknowledged = 0;
  uint64_t asked_at = 0;  // Where it was last asked how far it is.
  struct Mark {
    uint64_t offset;
    engine::Lsn lsn;
  };
  std::deque<Mark> marks;  // Where rounds end, and up to which LSN they bring all: not yet acknowledged ones.
  engine::Lsn lsn = 0;     // That of the last acknowledged one, or of the file.

  uint64_t last_ping_us = 0, last_heard_us = 0;
  uint64_t bytes_out = 0;  // Of the client, at the last tick.
};

class RedisReplicas::Stream final : public ClientStream {
 public:
  Stream(RedisReplicas& owner, uint64_t id) : owner_(&owner), id_(id) {}
  void on_input(Client& client) override {
    client.last_interaction_ms = owner_->server_.wall_ms();
    if (const auto found = owner_->by_id_.find(id_); found != owner_->by_id_.end()) {
      owner_->heard(*found->second);
    } else {
      client.input.consume(client.input.size());
    }
  }
  void on_sent(Client&) override {
    if (const auto found = owner_->by_id_.find(id_); found != owner_->by_id_.end())
      owner_->pump(*found->second);
  }
  void on_gone(Client& client) override {
    if (owner_->by_id_.erase(id_) == 0) return;
    log_notice("Connection with Redis replica %s lost.", client.peer_address().c_str());
    owner_->server_.tracking().want_all_names(owner_->any());
    owner_->acknowledged_();
  }
  bool to_primary() const override { return false; }

 private:
  RedisReplicas* owner_;
  const uint64_t id_;
};

RedisReplicas::RedisReplicas(Server& server, std::function<void()> acknowledged)
    : server_(server), acknowledged_(std::move(acknowledged)) {}
RedisReplicas::~RedisReplicas() = default;

void RedisReplicas::announce_port(const Client& client, int port) { announced_[client.id].port = port; }
void RedisReplicas::announce_ip(const Client& client, std::string_view ip) { announced_[client.id].ip = ip; }

void RedisReplicas::attach(Client& client, bool psync) {
  auto one = std::make_unique<One>();
  one->client = &client;
  if (const auto node = announced_.extract(client.id)) one->address = node.mapped();
  one->last_heard_us = one->last_ping_us = server_.env().clock.monotonic_us();
  one->mark = random_hex40(server_.env().entropy);
  one->lsn = server_.engine().end();
  if (psync) {
    one->sent = one->acknowledged = one->lsn;
    // A name of its own: the stream is this replica's alone. Two that were promised one and the same would,
    // when one is promoted, continue from it at an offset that means something else there.
    client.reply.simple("FULLRESYNC " + random_hex40(server_.env().entropy) + " " +
                        std::to_string(one->sent));
  }
  std::vector<rdb::SnapshotWriter::Database> databases;
  for (uint32_t i = 0; i < server_.databases().count(); ++i)
    databases.push_back({i, server_.databases().object(i)});
  rdb::SnapshotWriter::Options options;
  options.now_ms = server_.wall_ms();
  options.aux = {{"redis-ver", kRedisVersion}, {"redis-bits", "64"}, {"repl-stream-db", "0"}};
  options.functions = sources(server_);
  one->file = std::make_shared<rdb::SnapshotWriter>(server_.engine().snapshot(), std::move(databases),
                                                    std::move(options));
  client.reply.raw("$EOF:" + one->mark + "\r\n");
  client.stream = std::make_unique<Stream>(*this, client.id);
  log_notice("Redis replica %s gets an RDB file", client.peer_address().c_str());
  by_id_[client.id] = std::move(one);
  server_.tracking().want_all_names(true);
}

void RedisReplicas::drop_all() {
  while (!by_id_.empty()) by_id_.begin()->second->client->close();  // Comes back through on_gone().
}

// ------------------------------------------------------------------ what is touched

void RedisReplicas::applied(const engine::Batch& batch, const Objects* looked_at) {
  looked_at_ = looked_at;
  swapped_ = false;
  tell_touched(batch, server_.databases(), *this);
  engine::BatchReader operations(batch.bytes());
  while (operations.next()) {
    if (operations.op() == engine::Batch::Op::kMoved || !operations.key().starts_with('F')) continue;
    for (auto& [id, one] : by_id_) one->changes.functions = true;
  }
  looked_at_ = nullptr;
  if (!swapped_) return;
  log_notice("SWAPDB: Redis replicas get a new copy");
  drop_all_later_ = true;
}

void RedisReplicas::key_touched(uint32_t database, std::string_view user_key, Touch) {
  for (auto& [id, one] : by_id_) one->changes.touch(database, user_key);
}

void RedisReplicas::elements_touched(ObjectId object) {
  if (looked_at_ == nullptr) return;
  for (const auto& [key, at] : *looked_at_) {
    if (at != object) continue;
    for (auto& [id, one] : by_id_) one->changes.touch(object, key);
  }
}

void RedisReplicas::database_replaced(uint32_t database, Replaced how) {
  swapped_ |= how == Replaced::kSwapped;
  for (auto& [id, one] : by_id_) one->changes.empty_database(database);
}

// ------------------------------------------------------------------ sending

void RedisReplicas::pump() {
  if (std::exchange(drop_all_later_, false)) drop_all();
  for (auto& [id, one] : by_id_) {
    ask_for_ack(*one);
    pump(*one);
  }
  acks_wanted_ = false;
}

void RedisReplicas::pump(One& one) {
  if (one.making || one.client->output.size() > kOutputMax || server_.stopping()) return;
  if (!one.file && !one.round) {
    if (!one.online || one.changes.empty()) return;
    begin_round(one);
  }
  one.making = true;
  struct Piece {
    std::string bytes;
    engine::Status status;
  };
  const auto piece = std::make_shared<Piece>();
  server_.env().executor.submit(
      engine::Lane::kLongRead, engine::Task([piece, file = one.file, round = one.round] {
        piece->status = file ? file->next(&piece->bytes) : round->next(&piece->bytes);
      }),
      engine::Task([this, piece, file = one.file, round = one.round, id = one.client->id] {
        made(id, piece->bytes, piece->status);
      }));
}

void RedisReplicas::begin_round(One& one) {
  RedisRound::Moment moment;
  moment.snapshot = server_.engine().snapshot();
  moment.lsn = server_.engine().end();
  moment.now_ms = server_.wall_ms();
  for (uint32_t i = 0; i < server_.databases().count(); ++i)
    moment.databases.push_back(server_.databases().object(i));
  if (one.changes.functions) moment.libraries = sources(server_);
  one.round = std::make_shared<RedisRound>(std::exchange(one.changes, {}), std::move(moment));
}

void RedisReplicas::made(uint64_t client_id, const std::string& bytes, const engine::Status& status) {
  const auto found = by_id_.find(client_id);
  if (found == by_id_.end()) return;
  One& one = *found->second;
  one.making = false;
  if (!status.ok()) {
    log_warning("Redis replica %s: %s", one.client->peer_address().c_str(), status.message().c_str());
    return one.client->close();
  }
  one.client->reply.raw(bytes);
  if (one.round) one.sent += bytes.size();
  if (one.file && one.file->done()) {
    one.client->reply.raw(one.mark);
    one.file.reset();
    one.last_heard_us = server_.env().clock.monotonic_us();
    log_notice("Redis replica %s has been sent its RDB file", one.client->peer_address().c_str());
  }
  if (one.round && one.round->done()) {
    one.marks.push_back({one.sent, one.round->lsn()});
    one.round.reset();
    if (server_.replication().somebody_waits()) acks_wanted_ = true;
  }
  server_.output_added(*one.client);
}

// Unasked it says so once a second.
void RedisReplicas::ask_for_ack(One& one) {
  if (!acks_wanted_ || one.round || one.marks.empty() || one.asked_at > one.marks.back().offset) return;
  std::string question;
  add_redis_command(&question, {"REPLCONF", "GETACK", "*"});
  one.sent += question.size();
  one.asked_at = one.sent;
  one.client->reply.raw(question);
  server_.output_added(*one.client);
}

// ------------------------------------------------------------------ hearing

// REPLCONF ACK, or an empty line: it is there. What else it may say is of no interest.
void RedisReplicas::heard(One& one) {
  one.last_heard_us = server_.env().clock.monotonic_us();
  Client& client = *one.client;
  for (;;) {
    const auto outcome = client.parser.next(client.input, resp::RequestLimits{});
    if (outcome == resp::RequestParser::Outcome::kNeedMore) return;
    if (outcome == resp::RequestParser::Outcome::kError) return client.close();
    const auto args = client.parser.args();
    if (args.size() < 3 || !equals_ignoring_case(args[0], "replconf") ||
        !equals_ignoring_case(args[1], "ack"))
      continue;
    if (const auto offset = parse_integer(args[2]); offset && *offset >= 0)
      acknowledged(one, static_cast<uint64_t>(*offset));
  }
}

void RedisReplicas::acknowledged(One& one, uint64_t offset) {
  if (one.file) return;  // It cannot have what has not been sent.
  if (!one.online) {
    one.online = true;
    log_notice("Synchronization with Redis replica %s succeeded", one.client->peer_address().c_str());
  }
  one.acknowledged = std::max(one.acknowledged, std::min(offset, one.sent));
  while (!one.marks.empty() && one.marks.front().offset <= one.acknowledged) {
    one.lsn = one.marks.front().lsn;
    one.marks.pop_front();
  }
  acknowledged_();
}

engine::Lsn RedisReplicas::lsn_of(const One& one) const {
  const bool has_all = one.online && !one.round && one.marks.empty() && one.changes.empty();
  return has_all ? server_.engine().end() : one.lsn;
}

bool RedisReplicas::is_redis(const One& one) const { return one.address.port != 0; }

std::vector<RedisReplicas::Facts> RedisReplicas::facts() const {
  std::vector<Facts> all;
  for (const auto& [id, one] : by_id_) {
    if (!is_redis(*one)) continue;
    const std::string ip = one->address.ip.empty() ? peer_ip(*one->client) : one->address.ip;
    all.push_back({ip, one->address.port, one->online, lsn_of(*one), one->last_heard_us});
  }
  return all;
}

size_t RedisReplicas::good(uint64_t max_lag_us) const {
  const uint64_t now = server_.env().clock.monotonic_us();
  return static_cast<size_t>(std::count_if(by_id_.begin(), by_id_.end(), [&](const auto& of) {
    return is_redis(*of.second) && of.second->online && now - of.second->last_heard_us <= max_lag_us;
  }));
}

size_t RedisReplicas::count(engine::Lsn lsn) const {
  return static_cast<size_t>(std::count_if(by_id_.begin(), by_id_.end(), [&](const auto& of) {
    return is_redis(*of.second) && of.second->online && lsn_of(*of.second) >= lsn;
  }));
}

void RedisReplicas::tick() {
  const uint64_t now_us = server_.env().clock.monotonic_us();
  const Settings& settings = server_.settings();
  const auto us = [](int64_t seconds) { return static_cast<uint64_t>(seconds) * 1'000'000; };
  std::erase_if(announced_, [&](const auto& of) { return server_.clients().find(of.first) == nullptr; });
  std::vector<Client*> lost;
  for (auto& [id, one] : by_id_) {
    // Who gets a file says nothing; what it takes shows that it is there.
    if (one->client->bytes_out != std::exchange(one->bytes_out, one->client->bytes_out) && !one->online)
      one->last_heard_us = now_us;
    const bool silent = now_us - one->last_heard_us > us(settings.repl_timeout_seconds);
    if (silent || one->changes.bytes > kNamesBytesMax) lost.push_back(one->client);
    if (!one->online || one->round ||
        now_us - one->last_ping_us < us(settings.repl_ping_replica_period_seconds))
      continue;
    one->last_ping_us = now_us;
    std::string ping;
    add_redis_command(&ping, {"PING"});
    one->sent += ping.size();
    one->client->reply.raw(ping);
    server_.output_added(*one->client);
  }
  for (Client* client : lost) {
    log_warning("Redis replica %s does not keep up", client->peer_address().c_str());
    client->close();
  }
}

}  // namespace server
