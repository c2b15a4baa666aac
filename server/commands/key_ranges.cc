// server/commands/key_ranges.cc: KRANGE, KCOUNT and KDELRANGE: keys between two bounds, in the order of their
// bytes.
#include <memory>
#include <string>
#include <vector>

#include "server/bindings.h"
#include "server/command.h"
#include "server/errors.h"
#include "server/key_listing.h"
#include "server/key_walk.h"
#include "server/range_deletion.h"
#include "server/server.h"
#include "server/units.h"

namespace server {
namespace {

// ---- KRANGE min max [REV] [LIMIT offset count] [TYPE type] [VALUES]

// From args[3] on. False: the error is written.
bool parse_range_options(CommandContext& c, KeyQuery* query) {
  for (size_t i = 3; i < c.args.size(); ++i) {
    const std::string_view word = c.args[i];
    const size_t left = c.args.size() - i - 1;
    if (equals_ignoring_case(word, "rev")) {
      query->reverse = true;
    } else if (equals_ignoring_case(word, "values")) {
      query->values = true;
    } else if (equals_ignoring_case(word, "limit") && left >= 2) {
      const auto offset = parse_integer(c.args[i + 1]);
      const auto count = offset ? parse_integer(c.args[i + 2]) : std::nullopt;
      if (!count) return c.reply.error(kNotAnInteger), false;
      query->offset = *offset;
      query->count = *count;
      i += 2;
    } else if (equals_ignoring_case(word, "type") && left >= 1) {
      query->type = c.args[++i];
    } else {
      return c.reply.error(kSyntaxError), false;
    }
  }
  return true;
}

void krange(CommandContext& c) {
  KeyQuery query;
  if (!parse_range_options(c, &query)) return;
  const auto bounds =
      query.reverse ? parse_key_bounds(c.args[2], c.args[1]) : parse_key_bounds(c.args[1], c.args[2]);
  if (!bounds) return c.reply.error(kBadKeyBound);
  if (query.offset < 0 || query.count == 0) return c.reply.array(0);
  query.bounds = *bounds;
  list_keys(c, query);
}

// ---- KCOUNT min max

void kcount(CommandContext& c) {
  const auto bounds = parse_key_bounds(c.args[1], c.args[2]);
  if (!bounds) return c.reply.error(kBadKeyBound);
  int64_t count = 0;
  KeyWalk walk(c.view, c.database, *bounds, KeyOrder::kRising);
  while (walk.next()) count += !walk.expired();
  c.reply.integer(count);
}

// ---- KDELRANGE min max

// The command stays open until the last step is done.
void delete_in_steps(CommandContext& c, const KeyBounds& bounds) {
  Dispatcher& dispatcher = c.server.dispatcher();
  dispatcher.suspend(c.client);
  RangeDeletion::start(
      c.server.batches(), c.server.env().executor, c.database, bounds,
      [&databases = c.server.databases(), database = c.database] {
        return databases.number(database).has_value();
      },
      [&server = c.server, number = c.database_number](const std::vector<std::string>& keys) {
        Effects effects;
        effects.want(server.wanted_events());
        for (const std::string& key : keys) effects.event(notify::kGeneric, "del", number, key);
        server.deliver(effects, server.engine().end());
      },
      [&dispatcher, &client = c.client](const RangeDeletion::Outcome& outcome) {
        dispatcher.answer(
            client,
            [outcome](resp::ReplyWriter& reply) {
              if (outcome.status.ok()) return reply.integer(outcome.deleted);
              reply.error("ERR KDELRANGE stopped after " + std::to_string(outcome.deleted) +
                          " keys: " + outcome.status.message());
            },
            outcome.end);
      });
}

void kdelrange(CommandContext& c) {
  const auto bounds = parse_key_bounds(c.args[1], c.args[2]);
  if (!bounds) return c.reply.error(kBadKeyBound);
  const size_t keys_max = c.nested ? RangeDeletion::kKeysNestedMax : RangeDeletion::kKeysAtOnceMax;
  const auto found = RangeDeletion::find(c.view, c.database, *bounds, keys_max);
  if (found.more && c.nested)
    return c.reply.error("ERR KDELRANGE of more than " + std::to_string(keys_max) +
                         " keys cannot be part of a transaction or a script");
  if (found.more) return delete_in_steps(c, RangeDeletion::ending_at_last_key(c.view, c.database, *bounds));
  RangeDeletion::erase(c.view, c.database, found);
  for (const std::string& key : found.keys) c.event(notify::kGeneric, "del", key);
  c.reply.integer(static_cast<int64_t>(found.keys.size()));
}

constexpr Binding kBindings[] = {{"krange", &krange}, {"kcount", &kcount}, {"kdelrange", &kdelrange}};

}  // namespace

void bind_key_range_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
