// server/commands/hash_expiry.cc: fields that expire: HEXPIRE, HTTL, HPERSIST, HGETEX, HSETEX, HGETDEL.
//
// As in Redis 7.4 and 8.0, but for one thing: fields that are past are gone for every reader at once, HLEN
// included.
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "server/bindings.h"
#include "server/commands/hash_support.h"
#include "server/errors.h"
#include "server/expiry_time.h"
#include "server/units.h"

namespace server {
namespace {

using Names = std::span<const std::string_view>;

// What replies say of a field.
constexpr int64_t kNoField = -2;
constexpr int64_t kNoTimeToLive = -1;
constexpr int64_t kConditionNotMet = 0;
constexpr int64_t kDone = 1;
constexpr int64_t kDeleted = 2;

// Redis takes no later moment for a field.
constexpr int64_t kFieldExpiryMax = (int64_t{1} << 46) - 1;

constexpr std::string_view kBadCount = "ERR Number of fields must be a positive integer";

std::string wrong_arity(std::string_view command) {
  return "ERR wrong number of arguments for '" + std::string(command) + "' command";
}

// "FIELDS count field ...", all that is left from args[at] on.
std::optional<Names> parse_fields(CommandContext& c, size_t at, std::string_view bad_count) {
  if (at + 1 >= c.args.size() || !equals_ignoring_case(c.args[at], "fields")) {
    c.reply.error("ERR Mandatory argument FIELDS is missing or not at the right position");
    return std::nullopt;
  }
  const auto count = parse_integer(c.args[at + 1]);
  if (!count || *count < 1) {
    c.reply.error(bad_count);
    return std::nullopt;
  }
  const Names fields = c.args.subspan(at + 2);
  if (static_cast<uint64_t>(*count) != fields.size()) {
    c.reply.error("ERR The `numfields` parameter must match the number of arguments");
    return std::nullopt;
  }
  return fields;
}

// Replies with an array of one reply a field, which `reply_one` writes; it gets the field, null where the
// hash has none.
template <typename ReplyOne>
void reply_each(CommandContext& c, Hash& hash, Names fields, ReplyOne reply_one) {
  hash.load(fields);
  c.reply.array(fields.size());
  for (size_t i = 0; i < fields.size(); ++i) reply_one(i, hash.field(i));
}

// The same for fields named from args[2] on, replying itself of those that do not expire: `reply_one` gets
// the others. True: it is done and `hash` is what it was done with; false: an error is written.
template <typename ReplyOne>
bool reply_each_timed(CommandContext& c, std::optional<Hash>* hash, ReplyOne reply_one) {
  std::optional<Header> header;
  if (!find_hash(c, c.args[1], &header)) return false;
  const auto fields = parse_fields(c, 2, kBadCount);
  if (!fields) return false;
  hash->emplace(c.view, c.database, c.args[1], header);
  reply_each(c, **hash, *fields, [&](size_t i, const Hash::Field* field) {
    if (!field)
      c.reply.integer(kNoField);
    else if (field->expiry_ms == kNoExpiry)
      c.reply.integer(kNoTimeToLive);
    else
      reply_one(i, *field);
  });
  return true;
}

std::optional<int64_t> parse_field_expiry(CommandContext& c, std::string_view text, TimeForm form,
                                          std::string_view command) {
  const auto given = parse_integer(text);
  if (!given) {
    c.reply.error(kNotAnInteger);
    return std::nullopt;
  }
  if (*given < 0) {
    c.reply.error("ERR invalid expire time, must be >= 0");
    return std::nullopt;
  }
  const int64_t base_ms = form.base == TimeBase::kNow ? c.view.now_ms() : 0;
  const int64_t unit_ms = form.unit == TimeUnit::kSeconds ? 1000 : 1;
  if (*given > kFieldExpiryMax / unit_ms || *given * unit_ms > kFieldExpiryMax - base_ms) {
    c.reply.error("ERR invalid expire time in '" + std::string(command) + "' command");
    return std::nullopt;
  }
  return *given * unit_ms + base_ms;
}

// The i-th loaded field, which is there, expires at `expiry_ms`; at once if that is past. False: then.
bool expire_field(CommandContext& c, Hash& hash, size_t i, std::string_view value, int64_t expiry_ms) {
  if (expiry_ms <= c.view.now_ms()) {
    hash.erase(i);
    return false;
  }
  hash.set(i, value, expiry_ms);
  return true;
}

// ---- HEXPIRE key time [NX | XX | GT | LT] FIELDS count field [field ...]

enum class Condition : uint8_t { kNone, kNx, kXx, kGt, kLt };

std::optional<Condition> parse_condition(std::string_view word) {
  if (equals_ignoring_case(word, "nx")) return Condition::kNx;
  if (equals_ignoring_case(word, "xx")) return Condition::kXx;
  if (equals_ignoring_case(word, "gt")) return Condition::kGt;
  if (equals_ignoring_case(word, "lt")) return Condition::kLt;
  return std::nullopt;
}

// A field that does not expire lives for ever.
bool holds(Condition condition, int64_t old_ms, int64_t new_ms) {
  const bool expires = old_ms != kNoExpiry;
  switch (condition) {
    case Condition::kNone: return true;
    case Condition::kNx: return !expires;
    case Condition::kXx: return expires;
    case Condition::kGt: return expires && new_ms > old_ms;
    case Condition::kLt: return !expires || new_ms < old_ms;
  }
  return false;
}

void hexpire_with(CommandContext& c, TimeForm form, std::string_view command) {
  std::optional<Header> header;
  if (!find_hash(c, c.args[1], &header)) return;
  const auto when = parse_field_expiry(c, c.args[2], form, command);
  if (!when) return;
  const auto condition = parse_condition(c.args[3]);
  const auto fields =
      parse_fields(c, condition ? 4 : 3, "ERR Parameter `numFields` should be greater than 0");
  if (!fields) return;
  Hash hash(c.view, c.database, c.args[1], header);
  bool deleted = false, updated = false;
  reply_each(c, hash, *fields, [&](size_t i, const Hash::Field* field) {
    if (!field) {
      c.reply.integer(kNoField);
    } else if (!holds(condition.value_or(Condition::kNone), field->expiry_ms, *when)) {
      c.reply.integer(kConditionNotMet);
    } else if (expire_field(c, hash, i, field->value, *when)) {
      updated = true;
      c.reply.integer(kDone);
    } else {
      deleted = true;
      c.reply.integer(kDeleted);
    }
  });
  const bool left = save_hash(c, hash);
  if (deleted || updated) tell_hash(c, deleted ? "hdel" : "hexpire", !left);
}
void hexpire(CommandContext& c) { hexpire_with(c, {TimeUnit::kSeconds, TimeBase::kNow}, "hexpire"); }
void hpexpire(CommandContext& c) { hexpire_with(c, {TimeUnit::kMilliseconds, TimeBase::kNow}, "hpexpire"); }
void hexpireat(CommandContext& c) { hexpire_with(c, {TimeUnit::kSeconds, TimeBase::kUnix}, "hexpireat"); }
void hpexpireat(CommandContext& c) {
  hexpire_with(c, {TimeUnit::kMilliseconds, TimeBase::kUnix}, "hpexpireat");
}

// ---- HTTL key FIELDS count field [field ...]

void reply_expiries(CommandContext& c, TimeForm form) {
  std::optional<Hash> hash;
  reply_each_timed(c, &hash, [&](size_t, const Hash::Field& field) {
    const int64_t ms = form.base == TimeBase::kNow ? field.expiry_ms - c.view.now_ms() : field.expiry_ms;
    c.reply.integer(form.unit == TimeUnit::kSeconds ? (ms + 999) / 1000 : ms);
  });
}
void httl(CommandContext& c) { reply_expiries(c, {TimeUnit::kSeconds, TimeBase::kNow}); }
void hpttl(CommandContext& c) { reply_expiries(c, {TimeUnit::kMilliseconds, TimeBase::kNow}); }
void hexpiretime(CommandContext& c) { reply_expiries(c, {TimeUnit::kSeconds, TimeBase::kUnix}); }
void hpexpiretime(CommandContext& c) { reply_expiries(c, {TimeUnit::kMilliseconds, TimeBase::kUnix}); }

void hpersist(CommandContext& c) {
  std::optional<Hash> hash;
  bool updated = false;
  const bool done = reply_each_timed(c, &hash, [&](size_t i, const Hash::Field& field) {
    hash->set(i, field.value);
    updated = true;
    c.reply.integer(kDone);
  });
  if (!done) return;
  save_hash(c, *hash);
  if (updated) tell_hash(c, "hpersist");
}

// ---- reading and changing in one

void hgetdel(CommandContext& c) {
  std::optional<Header> header;
  if (!find_hash(c, c.args[1], &header)) return;
  const auto fields = parse_fields(c, 2, kBadCount);
  if (!fields) return;
  Hash hash(c.view, c.database, c.args[1], header);
  bool deleted = false;
  reply_each(c, hash, *fields, [&](size_t i, const Hash::Field* field) {
    deleted |= field != nullptr;
    if (field)
      c.reply.bulk(field->value);
    else
      c.reply.null();
    hash.erase(i);
  });
  const bool left = save_hash(c, hash);
  if (deleted) tell_hash(c, "hdel", !left);
}

// HGETEX key [EX s | PX ms | EXAT s | PXAT ms | PERSIST] FIELDS count field [field ...]
void hgetex(CommandContext& c) {
  std::optional<Header> header;
  if (!find_hash(c, c.args[1], &header)) return;
  const auto form = time_form(c.args[2]);
  const bool persist = equals_ignoring_case(c.args[2], "persist");
  int64_t expiry_ms = kNoExpiry;
  if (form) {
    const auto when = parse_field_expiry(c, c.args[3], *form, "hgetex");
    if (!when) return;
    expiry_ms = *when;
  }
  const auto fields = parse_fields(c, form ? 4 : persist ? 3 : 2, kBadCount);
  if (!fields) return;
  Hash hash(c.view, c.database, c.args[1], header);
  bool deleted = false, updated = false;
  reply_each(c, hash, *fields, [&](size_t i, const Hash::Field* field) {
    if (!field) return c.reply.null();
    c.reply.bulk(field->value);
    if (form) {
      (expire_field(c, hash, i, field->value, expiry_ms) ? updated : deleted) = true;
    } else if (persist && field->expiry_ms != kNoExpiry) {
      hash.set(i, field->value);
      updated = true;
    }
  });
  const bool left = save_hash(c, hash);
  if (deleted || updated) tell_hash(c, deleted ? "hdel" : form ? "hexpire" : "hpersist", !left);
}

struct SetexOptions {
  bool only_absent = false, only_present = false, keep_ttl = false;
  int64_t expiry_ms = kNoExpiry;
  Names pairs;
};

// HSETEX key [FNX | FXX] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL] FIELDS count field value [field value
// ...]
bool parse_hsetex(CommandContext& c, SetexOptions* options) {
  bool timed = false;
  for (size_t i = 2; i < c.args.size(); ++i) {
    const std::string_view word = c.args[i];
    if (equals_ignoring_case(word, "fields")) {
      if (i + 3 >= c.args.size()) return c.reply.error(wrong_arity("hsetex")), false;
      const auto count = parse_integer(c.args[i + 1]);
      if (!count || *count < 1 || *count > INT32_MAX)
        return c.reply.error("ERR invalid number of fields"), false;
      options->pairs = c.args.subspan(i + 2);
      if (options->pairs.size() != 2 * static_cast<uint64_t>(*count))
        return c.reply.error(wrong_arity("hsetex")), false;
      return true;
    }
    const auto form = time_form(word);
    const bool keep_ttl = equals_ignoring_case(word, "keepttl");
    if (form || keep_ttl) {
      if (timed) {
        c.reply.error("ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified");
        return false;
      }
      timed = true;
      options->keep_ttl = keep_ttl;
      if (keep_ttl) continue;
      if (++i == c.args.size()) return c.reply.error("ERR missing expire time"), false;
      const auto when = parse_field_expiry(c, c.args[i], *form, "hsetex");
      if (!when) return false;
      options->expiry_ms = *when;
      continue;
    }
    const bool fnx = equals_ignoring_case(word, "fnx");
    if (!fnx && !equals_ignoring_case(word, "fxx"))
      return c.reply.error("ERR unknown argument: " + std::string(word)), false;
    if (options->only_absent || options->only_present)
      return c.reply.error("ERR Only one of FXX or FNX arguments can be specified"), false;
    (fnx ? options->only_absent : options->only_present) = true;
  }
  c.reply.error("ERR Mandatory argument FIELDS is missing or not at the right position");
  return false;
}

void hsetex(CommandContext& c) {
  SetexOptions options;
  if (!parse_hsetex(c, &options)) return;
  std::optional<Header> header;
  if (!find_hash(c, c.args[1], &header)) return;
  Hash hash(c.view, c.database, c.args[1], header);
  hash.load(options.pairs, 2);
  const size_t count = options.pairs.size() / 2;
  for (size_t i = 0; i < count; ++i) {
    const bool there = hash.field(i) != nullptr;
    if ((options.only_absent && there) || (options.only_present && !there)) return c.reply.integer(0);
  }
  const bool expires = options.expiry_ms != kNoExpiry;
  bool deleted = false;
  for (size_t i = 0; i < count; ++i) {
    const std::string_view value = options.pairs[2 * i + 1];
    const Hash::Field* field = hash.field(i);
    if (expires)
      deleted |= !expire_field(c, hash, i, value, options.expiry_ms);
    else
      hash.set(i, value, options.keep_ttl && field ? field->expiry_ms : kNoExpiry);
  }
  const bool left = save_hash(c, hash);
  tell_hash(c, "hset");
  if (expires) tell_hash(c, deleted ? "hdel" : "hexpire", !left);
  c.reply.integer(1);
}

constexpr Binding kBindings[] = {
    {"hexpire", &hexpire},
    {"hpexpire", &hpexpire},
    {"hexpireat", &hexpireat},
    {"hpexpireat", &hpexpireat},
    {"httl", &httl},
    {"hpttl", &hpttl},
    {"hexpiretime", &hexpiretime},
    {"hpexpiretime", &hpexpiretime},
    {"hpersist", &hpersist},
    {"hgetdel", &hgetdel},
    {"hgetex", &hgetex},
    {"hsetex", &hsetex},
};

}  // namespace

void bind_hash_expiry_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
