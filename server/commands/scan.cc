// server/commands/scan.cc: SCAN, KEYS and RANDOMKEY.
//
// The first two go in the order of keys and look at nothing outside the pattern's literal prefix. SCAN looks
// at COUNT keys a call, whatever of them it shows, so a call's cost is known and a page may be empty. A long
// call runs on a worker, over a snapshot of that moment: what stays from the first call to the last is still
// met.
#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <optional>
#include <string>

#include "server/bindings.h"
#include "server/command.h"
#include "server/errors.h"
#include "server/glob.h"
#include "server/key_listing.h"
#include "server/key_walk.h"
#include "server/server.h"
#include "server/units.h"

namespace server {
namespace {

void only_matches(std::string_view pattern, KeyBounds* bounds) {
  const GlobPrefix prefix = literal_prefix(pattern);
  if (prefix.whole)
    bounds->only(prefix.bytes);
  else
    bounds->only_with_prefix(prefix.bytes);
}

// ---- SCAN cursor [MATCH pattern] [COUNT n] [TYPE type] [RANGE min max]

// COUNT is a hint, and a page is built in memory.
constexpr int64_t kScanCountMax = 1'000'000;
constexpr size_t kScanBytesMax = 8 << 20;  // Of records looked at.

// As Redis reads it: by strtoul.
std::optional<uint64_t> parse_cursor(std::string_view text) {
  const std::string copy(text);
  if (!copy.empty() && std::isspace(static_cast<unsigned char>(copy[0]))) return std::nullopt;
  char* end = nullptr;
  errno = 0;
  const uint64_t cursor = std::strtoull(copy.c_str(), &end, 10);
  if (*end != '\0' || errno == ERANGE) return std::nullopt;
  return cursor;
}

struct ScanOptions {
  int64_t count = 10;
  std::optional<std::string_view> pattern;
  std::optional<std::string_view> type;
  KeyBounds bounds;
};

// From args[2] on. False: the error is written.
bool parse_scan_options(CommandContext& c, ScanOptions* options) {
  for (size_t i = 2; i < c.args.size();) {
    const std::string_view word = c.args[i];
    const size_t left = c.args.size() - i;
    if (equals_ignoring_case(word, "count") && left >= 2) {
      const auto count = parse_integer(c.args[i + 1]);
      if (!count) return c.reply.error(kNotAnInteger), false;
      if (*count < 1) return c.reply.error(kSyntaxError), false;
      options->count = std::min(*count, kScanCountMax);
      i += 2;
    } else if (equals_ignoring_case(word, "match") && left >= 2) {
      options->pattern = c.args[i + 1];
      i += 2;
    } else if (equals_ignoring_case(word, "type") && left >= 2) {
      options->type = c.args[i + 1];
      i += 2;
    } else if (equals_ignoring_case(word, "range") && left >= 3) {
      auto bounds = parse_key_bounds(c.args[i + 1], c.args[i + 2]);
      if (!bounds) return c.reply.error(kBadKeyBound), false;
      options->bounds = std::move(*bounds);
      i += 3;
    } else {
      return c.reply.error(kSyntaxError), false;
    }
  }
  return true;
}

void scan(CommandContext& c) {
  const auto cursor = parse_cursor(c.args[1]);
  if (!cursor) return c.reply.error("ERR invalid cursor");
  ScanOptions options;
  if (!parse_scan_options(c, &options)) return;
  if (options.pattern) only_matches(*options.pattern, &options.bounds);
  if (*cursor != 0) {
    const auto reached = c.server.scan_cursors().find(*cursor);
    if (!reached)
      return c.reply.error("ERR unknown cursor, it is too old or not from this server: start again at 0");
    options.bounds.only_after(*reached);
  }

  c.reply.array(2);
  const uint64_t cursor_place =
      c.reply.out().open_gap();  // It stands before the keys and is known after them.
  const auto open = c.reply.open_array();
  size_t shown = 0, bytes = 0;
  int64_t left = options.count;
  std::string reached;
  KeyWalk walk(c.view, c.database, options.bounds, KeyOrder::kRising);
  bool more = walk.next();
  while (more) {
    --left;
    bytes += walk.record_bytes();
    if (!walk.expired() && (!options.pattern || glob_match(*options.pattern, walk.key())) &&
        (!options.type || equals_ignoring_case(*options.type, type_name(walk.header().type)))) {
      c.reply.bulk(walk.key());
      ++shown;
    }
    const bool full = left == 0 || bytes >= kScanBytesMax;
    if (full) reached = walk.key();
    more = walk.next();
    if (full) break;
  }
  c.reply.close(open, shown);
  const std::string next = more ? std::to_string(c.server.scan_cursors().add(reached, *cursor)) : "0";
  c.reply.out().fill_gap(cursor_place, "$" + std::to_string(next.size()) + "\r\n" + next + "\r\n");
}

// ---- KEYS pattern

void keys(CommandContext& c) {
  KeyQuery query;
  query.pattern = c.args[1];
  only_matches(c.args[1], &query.bounds);
  list_keys(c, query);
}

// ---- RANDOMKEY

constexpr uint64_t kDrawsMax = 32;

// The first key there is from `from` on, or else from the beginning on.
std::optional<std::string> some_key(CommandContext& c, std::string_view from) {
  for (const std::string_view begin : {from, std::string_view()}) {
    KeyBounds bounds;
    bounds.begin = begin;
    KeyWalk walk(c.view, c.database, bounds, KeyOrder::kRising);
    while (walk.next())
      if (!walk.expired()) return std::string(walk.key());
  }
  return std::nullopt;
}

void randomkey(CommandContext& c) {
  const std::string begin = header_begin(c.database), end = header_end(c.database);
  std::string last;
  for (uint64_t draw = 0; draw < kDrawsMax; ++draw) {
    const auto drawn = c.view.sample(begin, end, c.random_seed + draw);
    if (!drawn) continue;
    last = user_key_of(*drawn);
    c.view.watch(nullptr);  // It is not the command that misses it.
    if (c.view.header(c.database, last)) return c.reply.bulk(last);
  }
  // Nearly all that is stored is gone, or nothing is there.
  const auto key = some_key(c, last);
  if (!key) return c.reply.null();
  c.reply.bulk(*key);
}

constexpr Binding kBindings[] = {{"scan", &scan}, {"keys", &keys}, {"randomkey", &randomkey}};

}  // namespace

void bind_scan_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
