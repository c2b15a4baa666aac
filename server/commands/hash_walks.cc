// server/commands/hash_walks.cc: hashes as wholes: HGETALL, HSCAN, HRANDFIELD.
#include <limits>
#include <string>

#include "server/bindings.h"
#include "server/commands/element_scan.h"
#include "server/commands/hash_support.h"
#include "server/commands/listings.h"
#include "server/commands/random_count.h"
#include "server/errors.h"
#include "server/long_reply.h"
#include "server/types/sample.h"
#include "server/units.h"

namespace server {
namespace {

void reply_all(CommandContext& c, HashParts parts) {
  std::optional<Header> header;
  if (!find_hash(c, c.args[1], &header)) return;
  Hash hash(c.view, c.database, c.args[1], header);
  const uint64_t size = hash.size();
  if (size > kStepsOnReactor) c.view.charge(size);  // It will not end here: leave at once.
  LongReply whole(c);
  if (parts == HashParts::kBoth)
    c.reply.map(size);
  else
    c.reply.array(size);
  const bool ended = hash.each([&](const Hash::Field& field) {
    if (parts != HashParts::kValues) c.reply.bulk(field.name);
    if (parts != HashParts::kNames) c.reply.bulk(field.value);
    return whole.goes_on();
  });
  if (!ended) whole.give_up([&] { return hash_listing(c, c.args[1], parts); });
}
void hgetall(CommandContext& c) { reply_all(c, HashParts::kBoth); }
void hkeys(CommandContext& c) { reply_all(c, HashParts::kNames); }
void hvals(CommandContext& c) { reply_all(c, HashParts::kValues); }

void hscan(CommandContext& c) {
  const auto scan = begin_element_scan(c, Type::kHash);
  if (!scan) return;
  ScannedElements elements(c);
  Hash hash(c.view, c.database, c.args[1], scan->header);
  elements.reply(hash.scan(scan->cursor, scan->count, [&](const Hash::Field& field) {
    if (!scan->matches(field.name)) return;
    elements.add().bulk(field.name);
    if (!scan->no_values) elements.add().bulk(field.value);
  }));
}

void reply_field(CommandContext& c, const Hash::Field& field, bool with_value) {
  if (with_value && c.reply.version() == resp::Version::kResp3) c.reply.array(2);
  c.reply.bulk(field.name);
  if (with_value) c.reply.bulk(field.value);
}

void hrandfield(CommandContext& c) {
  std::optional<int64_t> count;
  bool with_values = false;
  if (c.args.size() > 2) {
    count = parse_random_count(c.args[2], c.reply);
    if (!count) return;
    if (c.args.size() > 4 || (c.args.size() == 4 && !equals_ignoring_case(c.args[3], "withvalues")))
      return c.reply.error(kSyntaxError);
    with_values = c.args.size() == 4;
    constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
    if (with_values && (*count < -kMax / 2 || *count > kMax / 2))
      return c.reply.error("ERR value is out of range");
  }
  std::optional<Header> header;
  if (!find_hash(c, c.args[1], &header)) return;
  if (!header) return count ? c.reply.array(0) : c.reply.null();
  Hash hash(c.view, c.database, c.args[1], header);
  Random random(c.random_seed);
  if (!count) return hash.draw(random, [&](const Hash::Field& field) { c.reply.bulk(field.name); });

  const size_t replies_each = with_values && c.reply.version() == resp::Version::kResp2 ? 2 : 1;
  if (*count < 0) {
    if (!random_replies_allowed(*count, c.reply)) return;
    const uint64_t wanted = 0 - static_cast<uint64_t>(*count);
    c.reply.array(wanted * replies_each);
    for (uint64_t i = 0; i < wanted; ++i) {
      c.view.charge(1);
      hash.draw(random, [&](const Hash::Field& field) { reply_field(c, field, with_values); });
    }
    return;
  }
  const uint64_t size = hash.size();
  const uint64_t wanted = std::min(static_cast<uint64_t>(*count), size);
  c.reply.array(wanted * replies_each);
  sample_distinct(hash, size, wanted, random,
                  [&](const Hash::Field& field) { reply_field(c, field, with_values); });
}

constexpr Binding kBindings[] = {
    {"hgetall", &hgetall}, {"hkeys", &hkeys},           {"hvals", &hvals},
    {"hscan", &hscan},     {"hrandfield", &hrandfield},
};

}  // namespace

void bind_hash_walk_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
