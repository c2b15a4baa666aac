#include "server/redis_round.h"

#include <optional>

#include "engine/batch.h"
#include "server/rdb/payload.h"
#include "server/string_value.h"

namespace server {
namespace {

constexpr size_t kPieceBytes = 256 << 10;
constexpr size_t kTransactionKeysMax = 100'000;  // The replica holds a transaction in memory until its end.
constexpr size_t kNameOverheadBytes = 64;

}  // namespace

void add_redis_command(std::string* out, std::initializer_list<std::string_view> words) {
  *out += "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string_view word : words) {
    *out += "$" + std::to_string(word.size()) + "\r\n";
    out->append(word).append("\r\n");
  }
}

// ------------------------------------------------------------------ what has been touched

void RedisChanges::touch(uint32_t database, std::string_view key) {
  if (keys.emplace(database, key).second) bytes += key.size() + kNameOverheadBytes;
}

void RedisChanges::touch(ObjectId object, std::string_view key) {
  if (elements.emplace(object, key).second) bytes += key.size() + kNameOverheadBytes;
}

void RedisChanges::empty_database(uint32_t database) {
  keys.erase(keys.lower_bound({database, std::string()}), keys.lower_bound({database + 1, std::string()}));
  emptied.insert(database);
}

// ------------------------------------------------------------------ all of it, as of one snapshot

engine::Status RedisRound::next(std::string* out) {
  const auto reader = moment_.snapshot->reader();
  engine::Batch nothing;
  View view(*reader, nullptr, nothing, moment_.now_ms);
  auto& [keys, elements, emptied, functions, bytes] = changes_;
  try {
    if (!begun_) begin(out);
    while (!keys.empty() && out->size() < kPieceBytes) {
      const auto node = keys.extract(keys.begin());
      const auto& [database, key] = node.value();
      write_key(view, database, key, view.header(moment_.databases[database], key), out);
    }
    while (keys.empty() && !elements.empty() && out->size() < kPieceBytes) {
      const auto node = elements.extract(elements.begin());
      const auto& [object, key] = node.value();
      for (uint32_t database = 0; database < moment_.databases.size(); ++database) {
        const auto header = view.header(moment_.databases[database], key);
        if (header && header->object.id == object) write_key(view, database, key, header, out);
      }
    }
  } catch (const StorageError& error) {
    return error.status;
  }
  if (!keys.empty() || !elements.empty()) return {};
  if (transaction_) add_redis_command(out, {"EXEC"});
  done_ = true;
  return {};
}

void RedisRound::begin(std::string* out) {
  begun_ = true;
  transaction_ = changes_.keys.size() + changes_.elements.size() <= kTransactionKeysMax;
  if (transaction_) add_redis_command(out, {"MULTI"});
  if (changes_.functions) {
    add_redis_command(out, {"FUNCTION", "FLUSH"});
    for (const std::string& source : moment_.libraries) add_redis_command(out, {"FUNCTION", "LOAD", source});
  }
  for (const uint32_t database : changes_.emptied) {
    select(database, out);
    add_redis_command(out, {"FLUSHDB"});
  }
}

void RedisRound::select(uint32_t database, std::string* out) {
  if (database != selected_) add_redis_command(out, {"SELECT", std::to_string(database)});
  selected_ = database;
}

void RedisRound::write_key(View& view, uint32_t database, const std::string& key,
                           const std::optional<Header>& header, std::string* out) {
  select(database, out);
  if (!header) return add_redis_command(out, {"DEL", key});
  const std::string until = std::to_string(header->expiry_ms == kNoExpiry ? 0 : header->expiry_ms);
  std::string value;
  if (header->type == Type::kString) {
    const std::string_view text = read_string(view, *header, &value);
    if (header->expiry_ms == kNoExpiry) return add_redis_command(out, {"SET", key, text});
    return add_redis_command(out, {"SET", key, text, "PXAT", until});
  }
  if (!rdb::dump({view, moment_.databases[database], key, *header}, &value)) {
    throw StorageError{{engine::Code::kInvalid, "key '" + key + "' is too long for RESTORE"}};
  }
  add_redis_command(out, {"RESTORE", key, until, value, "REPLACE", "ABSTTL"});
}

}  // namespace server
