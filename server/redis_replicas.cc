#include "server/redis_replicas.h"

#include <algorithm>
#include <initializer_list>

#include "engine/batch.h"
#include "server/client.h"
#include "server/log.h"
#include "server/rdb/payload.h"
#include "server/rdb/snapshot_writer.h"
#include "server/scripts/scripting.h"
#include "server/server.h"
#include "server/string_value.h"
#include "server/tracking.h"
#include "server/version.h"

namespace server {
namespace {

constexpr size_t kPieceBytes = 256 << 10;
constexpr size_t kTransactionKeysMax = 100'000;  // The replica holds a transaction in memory until its end.
constexpr size_t kNameOverheadBytes = 64;

void add_command(std::string* out, std::initializer_list<std::string_view> words) {
  *out += "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string_view word : words) {
    *out += "$" + std::to_string(word.size()) + "\r\n";
    out->append(word).append("\r\n");
  }
}

}  // namespace

// What has been touched since the last round.
struct RedisReplicas::Changes {
  std::set<std::pair<uint32_t, std::string>> keys;
  std::set<std::pair<ObjectId, std::string>> elements;  // Of the key of this name that refers to the object.
  std::set<uint32_t> emptied;
  bool functions = false;
  size_t bytes = 0;

  bool empty() const { return keys.empty() && elements.empty() && emptied.empty() && !functions; }
};

// All that has been touched, as of one snapshot.
struct RedisReplicas::Round {
  Changes changes;
  std::shared_ptr<const engine::Snapshot> snapshot;
  std::vector<ObjectId> databases;
  std::vector<std::string> libraries;
  int64_t now_ms = 0;
  bool begun = false, done = false, transaction = false;
  uint32_t selected = UINT32_MAX;

  void select(uint32_t database, std::string* out) {
    if (database != selected) add_command(out, {"SELECT", std::to_string(database)});
    selected = database;
  }

  void write_key(View& view, uint32_t database, const std::string& key, const std::optional<Header>& header,
                 std::string* out) {
    select(database, out);
    if (!header) return add_command(out, {"DEL", key});
    const std::string until = std::to_string(header->expiry_ms == kNoExpiry ? 0 : header->expiry_ms);
    std::string value;
    if (header->type == Type::kString) {
      const std::string_view text = read_string(view, *header, &value);
      if (header->expiry_ms == kNoExpiry) return add_command(out, {"SET", key, text});
      return add_command(out, {"SET", key, text, "PXAT", until});
    }
    if (!rdb::dump({view, databases[database], key, *header}, &value)) {
      throw StorageError{{engine::Code::kInvalid, "key '" + key + "' is too long for RESTORE"}};
    }
    add_command(out, {"RESTORE", key, until, value, "REPLACE", "ABSTTL"});
  }

  // Appends the next piece. On a worker.
  engine::Status next(std::string* out) {
    const auto reader = snapshot->reader();
    engine::Batch nothing;
    View view(*reader, nullptr, nothing, now_ms);
    try {
      if (!begun) begin(out);
      while (!changes.keys.empty() && out->size() < kPieceBytes) {
        const auto node = changes.keys.extract(changes.keys.begin());
        const auto& [database, key] = node.value();
        write_key(view, database, key, view.header(databases[database], key), out);
      }
      while (changes.keys.empty() && !changes.elements.empty() && out->size() < kPieceBytes) {
        const auto node = changes.elements.extract(changes.elements.begin());
        const auto& [object, key] = node.value();
        for (uint32_t database = 0; database < databases.size(); ++database) {
          const auto header = view.header(databases[database], key);
          if (header && header->object.id == object) write_key(view, database, key, header, out);
        }
      }
    } catch (const StorageError& error) {
      return error.status;
    }
    if (!changes.keys.empty() || !changes.elements.empty()) return {};
    if (transaction) add_command(out, {"EXEC"});
    done = true;
    return {};
  }

  void begin(std::string* out) {
    begun = true;
    transaction = changes.keys.size() + changes.elements.size() <= kTransactionKeysMax;
    if (transaction) add_command(out, {"MULTI"});
    if (changes.functions) {
      add_command(out, {"FUNCTION", "FLUSH"});
      for (const std::string& source : libraries) add_command(out, {"FUNCTION", "LOAD", source});
    }
    for (const uint32_t database : changes.emptied) {
      select(database, out);
      add_command(out, {"FLUSHDB"});
    }
  }
};

struct RedisReplicas::One {
  Client* client;
  std::shared_ptr<rdb::SnapshotWriter> file;  // Null: it has been sent.
  std::string mark;
  std::shared_ptr<Round> round;
  Changes changes;
  bool making = false;  // A worker makes a piece.
  uint64_t last_ping_us = 0, last_heard_us = 0;
};

class RedisReplicas::Stream final : public ClientStream {
 public:
  Stream(RedisReplicas& owner, uint64_t id) : owner_(&owner), id_(id) {}
  void on_input(Client& client) override {  // REPLCONF ACK, or an empty line: it is there.
    client.input.consume(client.input.size());
    client.last_interaction_ms = owner_->server_.wall_ms();
    if (const auto found = owner_->by_id_.find(id_); found != owner_->by_id_.end())
      found->second->last_heard_us = owner_->server_.env().clock.monotonic_us();
  }
  void on_gone(Client& client) override {
    if (owner_->by_id_.erase(id_) == 0) return;
    log_notice("Connection with Redis replica %s lost.", client.peer_address().c_str());
    owner_->server_.tracking().want_all_names(owner_->any());
  }
  bool to_primary() const override { return false; }

 private:
  RedisReplicas* owner_;
  const uint64_t id_;
};

RedisReplicas::RedisReplicas(Server& server) : server_(server) {}
RedisReplicas::~RedisReplicas() = default;

void RedisReplicas::attach(Client& client) {
  auto one = std::make_unique<One>();
  one->client = &client;
  one->last_heard_us = one->last_ping_us = server_.env().clock.monotonic_us();
  while (one->mark.size() < 40) one->mark += "0123456789abcdef"[server_.env().entropy.next() & 15];
  std::vector<rdb::SnapshotWriter::Database> databases;
  for (uint32_t i = 0; i < server_.databases().count(); ++i)
    databases.push_back({i, server_.databases().object(i)});
  rdb::SnapshotWriter::Options options;
  options.now_ms = server_.wall_ms();
  options.aux = {{"redis-ver", kRedisVersion}, {"redis-bits", "64"}, {"repl-stream-db", "0"}};
  for (const auto& [name, library] : server_.scripting().functions.libraries())
    options.functions.push_back(library.source);
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
  for (auto& [id, one] : by_id_) {
    if (one->changes.keys.emplace(database, user_key).second)
      one->changes.bytes += user_key.size() + kNameOverheadBytes;
  }
}

void RedisReplicas::elements_touched(ObjectId object) {
  if (looked_at_ == nullptr) return;
  for (const auto& [key, at] : *looked_at_) {
    if (at != object) continue;
    for (auto& [id, one] : by_id_) {
      if (one->changes.elements.emplace(object, key).second)
        one->changes.bytes += key.size() + kNameOverheadBytes;
    }
  }
}

void RedisReplicas::database_replaced(uint32_t database, Replaced how) {
  swapped_ |= how == Replaced::kSwapped;
  for (auto& [id, one] : by_id_) {
    auto& keys = one->changes.keys;
    keys.erase(keys.lower_bound({database, std::string()}), keys.lower_bound({database + 1, std::string()}));
    one->changes.emptied.insert(database);
  }
}

// ------------------------------------------------------------------ sending

void RedisReplicas::pump() {
  if (std::exchange(drop_all_later_, false)) drop_all();
  for (auto& [id, one] : by_id_) pump(*one);
}

void RedisReplicas::pump(One& one) {
  if (one.making || one.client->output.size() > kOutputMax) return;
  if (!one.file && !one.round) {
    if (one.changes.empty()) return;
    one.round = std::make_shared<Round>();
    one.round->changes = std::exchange(one.changes, {});
    one.round->snapshot = server_.engine().snapshot();
    one.round->now_ms = server_.wall_ms();
    for (uint32_t i = 0; i < server_.databases().count(); ++i)
      one.round->databases.push_back(server_.databases().object(i));
    if (one.round->changes.functions)
      for (const auto& [name, library] : server_.scripting().functions.libraries())
        one.round->libraries.push_back(library.source);
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
  if (one.file && one.file->done()) {
    one.client->reply.raw(one.mark);
    one.file.reset();
    log_notice("Redis replica %s has its RDB file", one.client->peer_address().c_str());
  }
  if (one.round && one.round->done) one.round.reset();
  server_.output_added(*one.client);
}

void RedisReplicas::tick() {
  const uint64_t now_us = server_.env().clock.monotonic_us();
  const Settings& settings = server_.settings();
  const auto us = [](int64_t seconds) { return static_cast<uint64_t>(seconds) * 1'000'000; };
  std::vector<Client*> lost;
  for (auto& [id, one] : by_id_) {
    // Who loads a file may be silent; what it takes shows that it is there.
    const bool silent = !one->file && now_us - one->last_heard_us > us(settings.repl_timeout_seconds);
    if (silent || one->changes.bytes > kNamesBytesMax) lost.push_back(one->client);
    if (one->file) one->last_heard_us = now_us;
    if (one->file || one->round || now_us - one->last_ping_us < us(settings.repl_ping_replica_period_seconds))
      continue;
    one->last_ping_us = now_us;
    std::string ping;
    add_command(&ping, {"PING"});
    one->client->reply.raw(ping);
    server_.output_added(*one->client);
  }
  for (Client* client : lost) {
    log_warning("Redis replica %s does not keep up", client->peer_address().c_str());
    client->close();
  }
}

}  // namespace server
