// server/commands/dump.cc: DUMP and RESTORE: a key's value in Redis's own serialisation.
#include <limits>
#include <optional>
#include <string>

#include "server/bindings.h"
#include "server/command.h"
#include "server/errors.h"
#include "server/long_write.h"
#include "server/rdb/payload.h"
#include "server/server.h"
#include "server/units.h"

namespace server {
namespace {

constexpr std::string_view kDumpTooLong =
    "ERR the value's serialisation would be longer than 512 MB, more than RESTORE takes";

void dump(CommandContext& c) {
  const auto header = c.view.header(c.database, c.args[1]);
  if (!header) return c.reply.null();
  std::string payload;
  if (!rdb::dump({c.view, c.database, c.args[1], *header}, &payload)) return c.reply.error(kDumpTooLong);
  c.reply.bulk(payload);
}

// Reading so much of a serialisation and writing what it says takes as long as a step of a walk.
constexpr size_t kBytesPerStep = 8;

struct RestoreOptions {
  bool replace = false, absolute = false;
  std::optional<int64_t> idle, frequency;  // Neither is kept for keys; both are checked.
};

bool parse_options(CommandContext& c, RestoreOptions* options) {
  const auto number = [&](std::string_view text, int64_t max,
                          std::string_view error) -> std::optional<int64_t> {
    const auto parsed = parse_integer(text);
    if (parsed && *parsed >= 0 && *parsed <= max) return parsed;
    c.reply.error(parsed ? error : kNotAnInteger);
    return std::nullopt;
  };
  for (size_t i = 4; i < c.args.size(); ++i) {
    const std::string_view word = c.args[i];
    const bool more = i + 1 < c.args.size();
    if (equals_ignoring_case(word, "replace")) {
      options->replace = true;
    } else if (equals_ignoring_case(word, "absttl")) {
      options->absolute = true;
    } else if (equals_ignoring_case(word, "idletime") && more && !options->frequency) {
      options->idle = number(c.args[++i], std::numeric_limits<int64_t>::max(),
                             "ERR Invalid IDLETIME value, must be >= 0");
      if (!options->idle) return false;
    } else if (equals_ignoring_case(word, "freq") && more && !options->idle) {
      options->frequency = number(c.args[++i], 255, "ERR Invalid FREQ value, must be >= 0 and <= 255");
      if (!options->frequency) return false;
    } else {
      c.reply.error(kSyntaxError);
      return false;
    }
  }
  return true;
}

void restore(CommandContext& c) {
  RestoreOptions options;
  if (!parse_options(c, &options)) return;
  const std::string_view key = c.args[1];
  may_take_long(c, key);
  const bool there = c.view.header(c.database, key).has_value();
  if (there && !options.replace) return c.reply.error("BUSYKEY Target key name already exists.");
  const auto ttl = parse_integer(c.args[2]);
  if (!ttl) return c.reply.error(kNotAnInteger);
  const int64_t now_ms = c.view.now_ms();
  const bool relative = *ttl != 0 && !options.absolute;
  if (*ttl < 0 || (relative && *ttl > std::numeric_limits<int64_t>::max() - now_ms))
    return c.reply.error("ERR Invalid TTL value, must be >= 0");
  c.view.charge(c.args[3].size() / kBytesPerStep);
  const auto payload = rdb::verified_payload(c.args[3]);
  if (!payload) return c.reply.error("ERR DUMP payload version or checksum are wrong");

  rdb::Restore what{c.database, key};
  if (*ttl != 0) what.expiry_ms = relative ? now_ms + *ttl : *ttl;
  what.replace = there;
  const bool past = what.expiry_ms != kNoExpiry && what.expiry_ms <= now_ms;
  what.only_check = past;
  const auto status = rdb::restore(c.view, what, *payload, rdb::StoreLimits(settings_of(c)), c.random_seed);
  if (!status.ok()) return c.reply.error("ERR Bad data format");
  if (!past) {
    c.event(notify::kGeneric, "restore", key);
  } else if (there) {
    c.view.erase_header(c.database, key);
    c.event(notify::kGeneric, "del", key);
  }
  c.reply.ok();
}

constexpr Binding kBindings[] = {{"dump", &dump}, {"restore", &restore}, {"restore-asking", &restore}};

}  // namespace

void bind_dump_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
