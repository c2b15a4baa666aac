// server/commands/hashes.cc: hashes by their fields: HSET, HGET, HDEL, counters.
#include <cmath>
#include <string>

#include "server/bindings.h"
#include "server/commands/hash_support.h"
#include "server/errors.h"
#include "server/units.h"

namespace server {
namespace {

// Sets the pairs from args[2] on; how many fields are new.
bool set_pairs(CommandContext& c, std::string_view name, int64_t* created) {
  if (c.args.size() % 2 != 0) {
    c.reply.error("ERR wrong number of arguments for '" + std::string(name) + "' command");
    return false;
  }
  std::optional<Header> header;
  if (!find_hash(c, c.args[1], &header)) return false;
  Hash hash(c.view, c.database, c.args[1], header);
  const auto pairs = c.args.subspan(2);
  hash.load(pairs, 2);
  *created = 0;
  for (size_t i = 0; i < pairs.size() / 2; ++i) {
    *created += hash.field(i) == nullptr;
    hash.set(i, pairs[2 * i + 1]);
  }
  save_hash(c, hash);
  tell_hash(c, "hset");
  return true;
}

void hset(CommandContext& c) {
  int64_t created = 0;
  if (set_pairs(c, "hset", &created)) c.reply.integer(created);
}
void hmset(CommandContext& c) {
  int64_t created = 0;
  if (set_pairs(c, "hmset", &created)) c.reply.ok();
}

void hsetnx(CommandContext& c) {
  std::optional<Header> header;
  if (!find_hash(c, c.args[1], &header)) return;
  Hash hash(c.view, c.database, c.args[1], header);
  hash.load(c.args.subspan(2, 1));
  if (hash.field(0)) return c.reply.integer(0);
  hash.set(0, c.args[3]);
  save_hash(c, hash);
  tell_hash(c, "hset");
  c.reply.integer(1);
}

void hget(CommandContext& c) {
  std::optional<Header> header;
  if (!find_hash(c, c.args[1], &header)) return;
  Hash hash(c.view, c.database, c.args[1], header);
  hash.load(c.args.subspan(2, 1));
  if (const Hash::Field* field = hash.field(0))
    c.reply.bulk(field->value);
  else
    c.reply.null();
}

void hmget(CommandContext& c) {
  std::optional<Header> header;
  if (!find_hash(c, c.args[1], &header)) return;
  Hash hash(c.view, c.database, c.args[1], header);
  const auto names = c.args.subspan(2);
  hash.load(names);
  c.reply.array(names.size());
  for (size_t i = 0; i < names.size(); ++i) {
    if (const Hash::Field* field = hash.field(i))
      c.reply.bulk(field->value);
    else
      c.reply.null();
  }
}

void hexists(CommandContext& c) {
  std::optional<Header> header;
  if (!find_hash(c, c.args[1], &header)) return;
  Hash hash(c.view, c.database, c.args[1], header);
  hash.load(c.args.subspan(2, 1));
  c.reply.integer(hash.field(0) ? 1 : 0);
}

void hstrlen(CommandContext& c) {
  std::optional<Header> header;
  if (!find_hash(c, c.args[1], &header)) return;
  Hash hash(c.view, c.database, c.args[1], header);
  hash.load(c.args.subspan(2, 1));
  const Hash::Field* field = hash.field(0);
  c.reply.integer(field ? static_cast<int64_t>(field->value.size()) : 0);
}

void hlen(CommandContext& c) {
  std::optional<Header> header;
  if (!find_hash(c, c.args[1], &header)) return;
  c.reply.integer(static_cast<int64_t>(Hash(c.view, c.database, c.args[1], header).size()));
}

void hdel(CommandContext& c) {
  std::optional<Header> header;
  if (!find_hash(c, c.args[1], &header)) return;
  if (!header) return c.reply.integer(0);
  Hash hash(c.view, c.database, c.args[1], header);
  const auto names = c.args.subspan(2);
  hash.load(names);
  int64_t erased = 0;
  for (size_t i = 0; i < names.size(); ++i) {
    if (!hash.field(i)) continue;
    hash.erase(i);
    ++erased;
  }
  const bool left = save_hash(c, hash);
  if (erased > 0) tell_hash(c, "hdel", !left);
  c.reply.integer(erased);
}

// ---- counters: a field keeps the time at which it expires

void hincrby(CommandContext& c) {
  const auto delta = parse_integer(c.args[3]);
  if (!delta) return c.reply.error(kNotAnInteger);
  std::optional<Header> header;
  if (!find_hash(c, c.args[1], &header)) return;
  Hash hash(c.view, c.database, c.args[1], header);
  hash.load(c.args.subspan(2, 1));
  int64_t value = 0;
  const Hash::Field* field = hash.field(0);
  if (field) {
    const auto present = parse_integer(field->value);
    if (!present) return c.reply.error("ERR hash value is not an integer");
    value = *present;
  }
  if (__builtin_add_overflow(value, *delta, &value))
    return c.reply.error("ERR increment or decrement would overflow");
  const std::string digits = std::to_string(value);
  hash.set(0, digits, field ? field->expiry_ms : kNoExpiry);
  save_hash(c, hash);
  tell_hash(c, "hincrby");
  c.reply.integer(value);
}

void hincrbyfloat(CommandContext& c) {
  const auto delta = parse_long_double(c.args[3]);
  if (!delta) return c.reply.error("ERR value is not a valid float");
  if (std::isnan(*delta) || std::isinf(*delta)) return c.reply.error("ERR value is NaN or Infinity");
  std::optional<Header> header;
  if (!find_hash(c, c.args[1], &header)) return;
  Hash hash(c.view, c.database, c.args[1], header);
  hash.load(c.args.subspan(2, 1));
  long double value = 0;
  const Hash::Field* field = hash.field(0);
  if (field) {
    const auto present = parse_long_double(field->value);
    if (!present) return c.reply.error("ERR hash value is not a float");
    value = *present;
  }
  value += *delta;
  if (std::isnan(value) || std::isinf(value))
    return c.reply.error("ERR increment would produce NaN or Infinity");
  const std::string digits = format_long_double(value);
  hash.set(0, digits, field ? field->expiry_ms : kNoExpiry);
  save_hash(c, hash);
  tell_hash(c, "hincrbyfloat");
  c.reply.bulk(digits);
}

constexpr Binding kBindings[] = {
    {"hset", &hset},
    {"hmset", &hmset},
    {"hsetnx", &hsetnx},
    {"hget", &hget},
    {"hmget", &hmget},
    {"hexists", &hexists},
    {"hlen", &hlen},
    {"hstrlen", &hstrlen},
    {"hdel", &hdel},
    {"hincrby", &hincrby},
    {"hincrbyfloat", &hincrbyfloat},
};

}  // namespace

void bind_hash_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
