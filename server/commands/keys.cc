// server/commands/keys.cc: keys as such: being there, type, time to live, names.
#include <climits>
#include <optional>
#include <string>

#include "server/bindings.h"
#include "server/command.h"
#include "server/errors.h"
#include "server/expiry_time.h"
#include "server/long_write.h"
#include "server/server.h"
#include "server/units.h"

namespace server {
namespace {

void del(CommandContext& c) {
  c.view.prefetch_headers(c.database, c.args.subspan(1));
  int64_t erased = 0;
  for (const std::string_view key : c.args.subspan(1)) {
    if (!c.view.header(c.database, key)) continue;
    c.view.erase_header(c.database, key);
    c.event(notify::kGeneric, "del", key);
    ++erased;
  }
  c.reply.integer(erased);
}

void exists(CommandContext& c) {
  c.view.prefetch_headers(c.database, c.args.subspan(1));
  int64_t there = 0;
  for (const std::string_view key : c.args.subspan(1)) there += c.view.header(c.database, key).has_value();
  c.reply.integer(there);
}

void type(CommandContext& c) {
  const auto header = c.view.header(c.database, c.args[1]);
  c.reply.simple(header ? type_name(header->type) : "none");
}

// ---- time to live

struct ExpireConditions {
  bool nx = false, xx = false, gt = false, lt = false;
};

bool parse_expire_conditions(CommandContext& c, ExpireConditions* conditions) {
  for (const std::string_view word : c.args.subspan(3)) {
    if (equals_ignoring_case(word, "nx")) {
      conditions->nx = true;
    } else if (equals_ignoring_case(word, "xx")) {
      conditions->xx = true;
    } else if (equals_ignoring_case(word, "gt")) {
      conditions->gt = true;
    } else if (equals_ignoring_case(word, "lt")) {
      conditions->lt = true;
    } else {
      c.reply.error("ERR Unsupported option " + std::string(word));
      return false;
    }
  }
  if (conditions->nx && (conditions->xx || conditions->gt || conditions->lt)) {
    c.reply.error("ERR NX and XX, GT or LT options at the same time are not compatible");
    return false;
  }
  if (conditions->gt && conditions->lt) {
    c.reply.error("ERR GT and LT options at the same time are not compatible");
    return false;
  }
  return true;
}

void expire_with(CommandContext& c, TimeForm form, std::string_view name) {
  ExpireConditions conditions;
  if (!parse_expire_conditions(c, &conditions)) return;
  const auto when = parse_expiry(c.args[2], form, c.view.now_ms(), false, name, c.reply);
  if (!when) return;
  auto header = c.view.header(c.database, c.args[1]);
  if (!header) return c.reply.integer(0);
  const bool expires = header->expiry_ms != kNoExpiry;
  // For GT and LT a key without a time to live lives for ever.
  if ((conditions.nx && expires) || (conditions.xx && !expires) ||
      (conditions.gt && (!expires || *when <= header->expiry_ms)) ||
      (conditions.lt && expires && *when >= header->expiry_ms))
    return c.reply.integer(0);
  if (*when <= c.view.now_ms()) {
    c.view.erase_header(c.database, c.args[1]);
    c.event(notify::kGeneric, "del", c.args[1]);
  } else {
    header->expiry_ms = *when;
    c.view.put_header(c.database, c.args[1], *header);
    c.event(notify::kGeneric, "expire", c.args[1]);
  }
  c.reply.integer(1);
}
void expire(CommandContext& c) { expire_with(c, {TimeUnit::kSeconds, TimeBase::kNow}, "expire"); }
void pexpire(CommandContext& c) { expire_with(c, {TimeUnit::kMilliseconds, TimeBase::kNow}, "pexpire"); }
void expireat(CommandContext& c) { expire_with(c, {TimeUnit::kSeconds, TimeBase::kUnix}, "expireat"); }
void pexpireat(CommandContext& c) { expire_with(c, {TimeUnit::kMilliseconds, TimeBase::kUnix}, "pexpireat"); }

// -2: no such key, -1: it does not expire.
void reply_expiry(CommandContext& c, TimeUnit unit, TimeBase base) {
  const auto header = c.view.header(c.database, c.args[1]);
  if (!header) return c.reply.integer(-2);
  if (header->expiry_ms == kNoExpiry) return c.reply.integer(-1);
  const int64_t ms = base == TimeBase::kNow ? header->expiry_ms - c.view.now_ms() : header->expiry_ms;
  c.reply.integer(unit == TimeUnit::kSeconds ? (ms + 500) / 1000 : ms);
}
void ttl(CommandContext& c) { reply_expiry(c, TimeUnit::kSeconds, TimeBase::kNow); }
void pttl(CommandContext& c) { reply_expiry(c, TimeUnit::kMilliseconds, TimeBase::kNow); }
void expiretime(CommandContext& c) { reply_expiry(c, TimeUnit::kSeconds, TimeBase::kUnix); }
void pexpiretime(CommandContext& c) { reply_expiry(c, TimeUnit::kMilliseconds, TimeBase::kUnix); }

void persist(CommandContext& c) {
  auto header = c.view.header(c.database, c.args[1]);
  if (!header || header->expiry_ms == kNoExpiry) return c.reply.integer(0);
  header->expiry_ms = kNoExpiry;
  c.view.put_header(c.database, c.args[1], *header);
  c.event(notify::kGeneric, "persist", c.args[1]);
  c.reply.integer(1);
}

// ---- names

// Redis deletes what another key's value is put over: the key is new then, whatever was there.
void tell_new(CommandContext& c, uint32_t number, ObjectId database, std::string_view key) {
  if (c.effects && c.effects->wants(notify::kNew) && c.view.header(database, key))
    c.effects->event(notify::kNew, "new", number, key);
}

void rename_key(CommandContext& c) {
  tell_new(c, c.database_number, c.database, c.args[2]);
  c.view.move_header(c.database, c.args[1], c.database, c.args[2]);
  c.event(notify::kGeneric, "rename_from", c.args[1]);
  c.event(notify::kGeneric, "rename_to", c.args[2]);
}

void rename(CommandContext& c) {
  if (!c.view.header(c.database, c.args[1])) return c.reply.error(kNoSuchKey);
  if (c.args[1] != c.args[2]) rename_key(c);
  c.reply.ok();
}

void renamenx(CommandContext& c) {
  if (!c.view.header(c.database, c.args[1])) return c.reply.error(kNoSuchKey);
  if (c.args[1] == c.args[2] || c.view.header(c.database, c.args[2])) return c.reply.integer(0);
  rename_key(c);
  c.reply.integer(1);
}

// A database that a command names by its number; nothing, and the error written, if there is none.
std::optional<uint32_t> named_database(CommandContext& c, std::string_view text) {
  const auto number = parse_integer(text);
  if (!number) {
    c.reply.error(kNotAnInteger);
    return std::nullopt;
  }
  if (*number < INT_MIN || *number > INT_MAX) {
    c.reply.error("ERR value is out of range, value must between -2147483648 and 2147483647");
    return std::nullopt;
  }
  if (*number < 0 || *number >= databases_of(c).count()) {
    c.reply.error(kBadDatabase);
    return std::nullopt;
  }
  return static_cast<uint32_t>(*number);
}

void move(CommandContext& c) {
  const auto number = named_database(c, c.args[2]);
  if (!number) return;
  const ObjectId to = c.server.databases().object(c.view, *number);
  if (to == c.database) return c.reply.error("ERR source and destination objects are the same");
  if (!c.view.header(c.database, c.args[1]) || c.view.header(to, c.args[1])) return c.reply.integer(0);
  c.view.move_header(c.database, c.args[1], to, c.args[1]);
  c.event(notify::kGeneric, "move_from", c.args[1]);
  if (c.effects) c.effects->event(notify::kGeneric, "move_to", *number, c.args[1]);
  c.reply.integer(1);
}

void copy_elements(CommandContext& c, ObjectId from, ObjectId to) {
  if (c.long_write != nullptr) return c.long_write->copy_elements(from, to);
  auto elements = c.view.range(element_begin(from), element_end(from));
  std::string key;
  for (bool there = elements.seek_first(); there; there = elements.next()) {
    element_key(to, element_of(elements.key()), &key);
    c.view.put(key, elements.value(), engine::Existence::kAbsent);
  }
}

void copy(CommandContext& c) {
  ObjectId to = c.database;
  uint32_t to_number = c.database_number;
  bool replace = false;
  for (size_t i = 3; i < c.args.size(); ++i) {
    if (equals_ignoring_case(c.args[i], "replace")) {
      replace = true;
    } else if (equals_ignoring_case(c.args[i], "db") && i + 1 < c.args.size()) {
      const auto named = named_database(c, c.args[++i]);
      if (!named) return;
      to_number = *named;
      to = databases_of(c).object(c.view, to_number);
    } else {
      return c.reply.error(kSyntaxError);
    }
  }
  if (to == c.database && c.args[1] == c.args[2])
    return c.reply.error("ERR source and destination objects are the same");
  may_take_long(c, c.args[2], to_number);
  const auto source = c.view.header(c.database, c.args[1]);
  if (!source) {
    c.event(notify::kKeyMiss, "keymiss", c.args[1]);
    return c.reply.integer(0);
  }
  if (!replace && c.view.header(to, c.args[2])) return c.reply.integer(0);
  Header header = *source;
  if (header.object.id != engine::kNoObject) {
    header.object = {c.view.new_object(), 0};
    copy_elements(c, source->object.id, header.object.id);
  }
  tell_new(c, to_number, to, c.args[2]);
  c.view.put_header(to, c.args[2], header);
  if (c.effects) c.effects->event(notify::kGeneric, "copy_to", to_number, c.args[2]);
  c.reply.integer(1);
}

constexpr Binding kBindings[] = {
    {"del", &del},
    {"unlink", &del},
    {"exists", &exists},
    {"touch", &exists},
    {"type", &type},
    {"expire", &expire},
    {"pexpire", &pexpire},
    {"expireat", &expireat},
    {"pexpireat", &pexpireat},
    {"ttl", &ttl},
    {"pttl", &pttl},
    {"expiretime", &expiretime},
    {"pexpiretime", &pexpiretime},
    {"persist", &persist},
    {"rename", &rename},
    {"renamenx", &renamenx},
    {"move", &move},
    {"copy", &copy},
};

}  // namespace

void bind_key_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
