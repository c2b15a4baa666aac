// server/commands/strings.cc: strings as wholes: GET, SET and their relatives.
#include <string>

#include "server/bindings.h"
#include "server/commands/string_support.h"
#include "server/errors.h"
#include "server/expiry_time.h"
#include "server/units.h"

namespace server {
namespace {

void reply_value(CommandContext& c, const std::optional<Header>& header) {
  if (!header) return c.reply.null();
  std::string scratch;
  const std::string_view value = read_string(c.view, *header, &scratch);
  if (value.data() == scratch.data())
    c.reply.bulk(std::move(scratch));
  else
    c.reply.bulk(value);
}

void get(CommandContext& c) {
  std::optional<Header> header;
  if (find_string(c, c.args[1], &header)) reply_value(c, header);
}

// ---- SET

struct SetOptions {
  bool only_absent = false, only_present = false, reply_old = false, keep_ttl = false;
  std::optional<TimeForm> form;
  std::string_view time;
  ValueCondition condition;
};

// From args[3] on. False: a syntax error.
bool parse_set_options(std::span<const std::string_view> args, SetOptions* options) {
  for (size_t i = 3; i < args.size();) {
    const std::string_view word = args[i];
    const bool conditional = options->only_absent || options->only_present;
    if (equals_ignoring_case(word, "nx") && !conditional &&
        options->condition.kind == ValueCondition::Kind::kNone) {
      options->only_absent = true;
      ++i;
    } else if (equals_ignoring_case(word, "xx") && !options->only_absent &&
               options->condition.kind == ValueCondition::Kind::kNone) {
      options->only_present = true;
      ++i;
    } else if (equals_ignoring_case(word, "get")) {
      options->reply_old = true;
      ++i;
    } else if (equals_ignoring_case(word, "keepttl") && !options->form) {
      options->keep_ttl = true;
      ++i;
    } else if (const auto form = time_form(word);
               form && !options->form && !options->keep_ttl && i + 1 < args.size()) {
      options->form = form;
      options->time = args[i + 1];
      i += 2;
    } else if (conditional || !options->condition.take(args, &i)) {
      return false;
    }
  }
  return true;
}

// "set", and "expire" where the command says when.
void tell_set(CommandContext& c, std::string_view key, bool expires) {
  c.event(notify::kString, "set", key);
  if (expires) c.event(notify::kGeneric, "expire", key);
}

void set(CommandContext& c) {
  const StringKey key = string_key(c, c.args[1]);
  if (c.args.size() == 3) {
    write_string(c.view, key, c.args[2], kNoExpiry, true);
    tell_set(c, c.args[1], false);
    return c.reply.ok();
  }
  SetOptions options;
  if (!parse_set_options(c.args, &options)) return c.reply.error(kSyntaxError);
  int64_t expiry_ms = kNoExpiry;
  if (options.form) {
    const auto when = parse_expiry(options.time, *options.form, c.view.now_ms(), true, "set", c.reply);
    if (!when) return;
    expiry_ms = *when;
  }
  const bool conditional = options.condition.kind != ValueCondition::Kind::kNone;
  if (!options.only_absent && !options.only_present && !options.reply_old && !options.keep_ttl &&
      !conditional) {
    write_string(c.view, key, c.args[2], expiry_ms, true);
    tell_set(c, c.args[1], options.form.has_value());
    return c.reply.ok();
  }

  const auto old = c.view.header(c.database, c.args[1]);
  std::string scratch;
  std::optional<std::string_view> old_value;
  if (options.reply_old && !old) c.event(notify::kKeyMiss, "keymiss", c.args[1]);
  if (options.reply_old || conditional) {
    if (old && old->type != Type::kString) return c.reply.error(kWrongType);
    if (old) old_value = read_string(c.view, *old, &scratch);
  }
  if ((options.only_absent && old) || (options.only_present && !old) || !options.condition.holds(old_value)) {
    if (options.reply_old && old_value) return c.reply.bulk(*old_value);
    return c.reply.null();
  }
  if (options.reply_old) {
    if (old_value)
      c.reply.bulk(*old_value);
    else
      c.reply.null();
  } else {
    c.reply.ok();
  }
  if (options.keep_ttl && old) expiry_ms = old->expiry_ms;
  write_string(c.view, key, c.args[2], expiry_ms, false);
  tell_set(c, c.args[1], options.form.has_value());
}

void setnx(CommandContext& c) {
  if (c.view.header(c.database, c.args[1])) return c.reply.integer(0);
  write_string(c.view, string_key(c, c.args[1]), c.args[2], kNoExpiry, false);
  tell_set(c, c.args[1], false);
  c.reply.integer(1);
}

void set_for(CommandContext& c, TimeUnit unit, std::string_view name) {
  const auto when = parse_expiry(c.args[2], {unit, TimeBase::kNow}, c.view.now_ms(), true, name, c.reply);
  if (!when) return;
  write_string(c.view, string_key(c, c.args[1]), c.args[3], *when, true);
  tell_set(c, c.args[1], true);
  c.reply.ok();
}
void setex(CommandContext& c) { set_for(c, TimeUnit::kSeconds, "setex"); }
void psetex(CommandContext& c) { set_for(c, TimeUnit::kMilliseconds, "psetex"); }

void getset(CommandContext& c) {
  std::optional<Header> old;
  if (!find_string(c, c.args[1], &old)) return;
  if (!old) c.event(notify::kKeyMiss, "keymiss", c.args[1]);
  reply_value(c, old);
  write_string(c.view, string_key(c, c.args[1]), c.args[2], kNoExpiry, false);
  tell_set(c, c.args[1], false);
}

void getdel(CommandContext& c) {
  std::optional<Header> old;
  if (!find_string(c, c.args[1], &old)) return;
  reply_value(c, old);
  if (!old) return c.event(notify::kKeyMiss, "keymiss", c.args[1]);
  c.view.erase_header(c.database, c.args[1]);
  c.event(notify::kGeneric, "del", c.args[1]);
}

void getex(CommandContext& c) {
  std::optional<TimeForm> form;
  std::string_view time;
  bool persist = false;
  for (size_t i = 2; i < c.args.size(); ++i) {
    if (equals_ignoring_case(c.args[i], "persist") && !form) {
      persist = true;
    } else if (const auto given = time_form(c.args[i]); given && !form && !persist && i + 1 < c.args.size()) {
      form = given;
      time = c.args[++i];
    } else {
      return c.reply.error(kSyntaxError);
    }
  }
  std::optional<Header> header;
  if (!find_string(c, c.args[1], &header)) return;
  if (!header) {
    c.event(notify::kKeyMiss, "keymiss", c.args[1]);
    return c.reply.null();
  }
  int64_t expiry_ms = kNoExpiry;
  if (form) {
    const auto when = parse_expiry(time, *form, c.view.now_ms(), true, "getex", c.reply);
    if (!when) return;
    expiry_ms = *when;
  }
  reply_value(c, header);
  if (!form && !persist) return;
  if (form && expiry_ms <= c.view.now_ms()) {
    c.view.erase_header(c.database, c.args[1]);
    return c.event(notify::kGeneric, "del", c.args[1]);
  }
  const bool changes = header->expiry_ms != expiry_ms;
  if (changes) {
    header->expiry_ms = expiry_ms;
    c.view.put_header(c.database, c.args[1], *header);
  }
  if (form)
    c.event(notify::kGeneric, "expire", c.args[1]);
  else if (changes)
    c.event(notify::kGeneric, "persist", c.args[1]);
}

void mget(CommandContext& c) {
  c.view.prefetch_headers(c.database, c.args.subspan(1));
  c.reply.array(c.args.size() - 1);
  for (const std::string_view key : c.args.subspan(1)) {
    const auto header = c.view.header(c.database, key);
    reply_value(c, header && header->type == Type::kString ? header : std::nullopt);
  }
}

void mset(CommandContext& c) {
  if (c.args.size() % 2 == 0) return c.reply.error("ERR wrong number of arguments for 'mset' command");
  for (size_t i = 1; i < c.args.size(); i += 2) {
    write_string(c.view, string_key(c, c.args[i]), c.args[i + 1], kNoExpiry, true);
    tell_set(c, c.args[i], false);
  }
  c.reply.ok();
}

void msetnx(CommandContext& c) {
  if (c.args.size() % 2 == 0) return c.reply.error("ERR wrong number of arguments for 'msetnx' command");
  for (size_t i = 1; i < c.args.size(); i += 2)
    if (c.view.header(c.database, c.args[i])) return c.reply.integer(0);
  for (size_t i = 1; i < c.args.size(); i += 2) {
    write_string(c.view, string_key(c, c.args[i]), c.args[i + 1], kNoExpiry, false);
    tell_set(c, c.args[i], false);
  }
  c.reply.integer(1);
}

// MSETEX numkeys key value [key value ...] [NX | XX] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL]
void msetex(CommandContext& c) {
  const auto count = parse_integer(c.args[1]);
  if (!count || *count <= 0) return c.reply.error("ERR invalid numkeys value");
  if (static_cast<uint64_t>(*count) > (c.args.size() - 2) / 2)
    return c.reply.error("ERR wrong number of key-value pairs");
  const size_t end = 2 + 2 * static_cast<size_t>(*count);
  bool only_absent = false, only_present = false, keep_ttl = false;
  int64_t expiry_ms = kNoExpiry;
  for (size_t i = end; i < c.args.size(); ++i) {
    const std::string_view word = c.args[i];
    if (equals_ignoring_case(word, "nx") && !only_present) {
      only_absent = true;
    } else if (equals_ignoring_case(word, "xx") && !only_absent) {
      only_present = true;
    } else if (equals_ignoring_case(word, "keepttl") && expiry_ms == kNoExpiry) {
      keep_ttl = true;
    } else if (const auto form = time_form(word);
               form && expiry_ms == kNoExpiry && !keep_ttl && i + 1 < c.args.size()) {
      const auto when = parse_expiry(c.args[++i], *form, c.view.now_ms(), true, "msetex", c.reply);
      if (!when) return;
      expiry_ms = *when;
    } else {
      return c.reply.error(kSyntaxError);
    }
  }
  const bool looks = only_absent || only_present || keep_ttl;
  if (looks) {
    for (size_t i = 2; i < end; i += 2) {
      const bool there = c.view.header(c.database, c.args[i]).has_value();
      if ((only_absent && there) || (only_present && !there)) return c.reply.integer(0);
    }
  }
  for (size_t i = 2; i < end; i += 2) {
    int64_t own_expiry_ms = expiry_ms;
    if (keep_ttl) {
      const auto old = c.view.header(c.database, c.args[i]);
      if (old) own_expiry_ms = old->expiry_ms;
    }
    write_string(c.view, string_key(c, c.args[i]), c.args[i + 1], own_expiry_ms, !looks);
    tell_set(c, c.args[i], expiry_ms != kNoExpiry);
  }
  c.reply.integer(1);
}

void digest(CommandContext& c) {
  std::optional<Header> header;
  if (!find_string(c, c.args[1], &header)) return;
  if (!header) return c.reply.null();
  std::string scratch;
  c.reply.bulk(value_digest(read_string(c.view, *header, &scratch)));
}

// DELEX key [IFEQ value | IFNE value | IFDEQ digest | IFDNE digest]
void delex(CommandContext& c) {
  ValueCondition condition;
  size_t at = 2;
  if (c.args.size() > 2 && (!condition.take(c.args, &at) || at != c.args.size()))
    return c.reply.error(kSyntaxError);
  std::optional<Header> header;
  if (condition.kind == ValueCondition::Kind::kNone)
    header = c.view.header(c.database, c.args[1]);
  else if (!find_string(c, c.args[1], &header))
    return;
  if (!header) return c.reply.integer(0);
  std::string scratch;
  if (condition.kind != ValueCondition::Kind::kNone &&
      !condition.holds(read_string(c.view, *header, &scratch)))
    return c.reply.integer(0);
  c.view.erase_header(c.database, c.args[1]);
  c.event(notify::kGeneric, "del", c.args[1]);
  c.reply.integer(1);
}

constexpr Binding kBindings[] = {
    {"get", &get},       {"set", &set},       {"setnx", &setnx},   {"setex", &setex}, {"psetex", &psetex},
    {"getset", &getset}, {"getdel", &getdel}, {"getex", &getex},   {"mget", &mget},   {"mset", &mset},
    {"msetnx", &msetnx}, {"msetex", &msetex}, {"digest", &digest}, {"delex", &delex},
};

}  // namespace

void bind_string_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
