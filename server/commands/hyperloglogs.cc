// server/commands/hyperloglogs.cc: PFADD, PFCOUNT, PFMERGE, PFDEBUG, PFSELFTEST.
#include <cmath>
#include <memory>
#include <string>

#include "server/acl/user.h"
#include "server/bindings.h"
#include "server/commands/string_support.h"
#include "server/errors.h"
#include "server/random.h"
#include "server/replication.h"
#include "server/server.h"
#include "server/types/hyperloglog.h"
#include "server/units.h"

namespace server {
namespace {

constexpr std::string_view kNotOne = "WRONGTYPE Key is not a valid HyperLogLog string value.";
constexpr std::string_view kCorrupt = "INVALIDOBJ Corrupted HLL object detected";

// A key and what lies there; *bytes stays null if nothing does. False: it is something else, and the error is
// written.
struct Found {
  std::optional<Header> header;
  std::string scratch;
  std::string_view bytes;
};
bool find(CommandContext& c, std::string_view key, Found* found) {
  if (!find_string(c, key, &found->header)) return false;
  if (!found->header) return true;
  if (string_length(*found->header) <= kHllDenseBytes) {  // A sparse one may be longer only by CONFIG.
    found->bytes = read_string(c.view, *found->header, &found->scratch);
  } else {
    const std::string_view start =
        read_string_range(c.view, *found->header, 0, kHllHeaderBytes, &found->scratch);
    if (start.starts_with("HYLL\1")) found->bytes = read_string(c.view, *found->header, &found->scratch);
  }
  if (is_hyperloglog(found->bytes)) return true;
  c.reply.error(kNotOne);
  return false;
}

void write(CommandContext& c, std::string_view key, const Found& old, const HyperLogLog& hll) {
  write_string(c.view, string_key(c, key), hll.bytes(), old.header ? old.header->expiry_ms : kNoExpiry,
               false);
}

uint64_t sparse_bytes_max(CommandContext& c) { return c.server.settings().hll_sparse_max_bytes; }

void pfadd(CommandContext& c) {
  Found found;
  if (!find(c, c.args[1], &found)) return;
  HyperLogLog hll = found.header ? HyperLogLog(found.bytes) : HyperLogLog::empty();
  bool changed = !found.header;
  for (const std::string_view element : c.args.subspan(2)) {
    const auto outcome = hll.raise(hll_place(element), sparse_bytes_max(c));
    if (outcome == HyperLogLog::Outcome::kCorrupt) return c.reply.error(kCorrupt);
    changed |= outcome == HyperLogLog::Outcome::kChanged;
  }
  if (changed) {
    hll.forget_count();
    write(c, c.args[1], found, hll);
    c.event(notify::kString, "pfadd", c.args[1]);
  }
  c.reply.integer(changed);
}

// All registers of some keys together. False: the error is written. *dense: one of them is.
bool merged(CommandContext& c, std::span<const std::string_view> keys, HllRegisters* registers, bool* dense) {
  c.view.prefetch_headers(c.database, keys);
  for (const std::string_view key : keys) {
    Found found;
    if (!find(c, key, &found)) return false;
    if (!found.header) continue;
    *dense |= hll_is_dense(found.bytes);
    if (hll_merge(found.bytes, registers)) continue;
    c.reply.error(kCorrupt);
    return false;
  }
  return true;
}

// A count is never to fail for what it might write beside its answer.
bool may_keep_estimate(CommandContext& c, std::string_view key) {
  static constexpr uint64_t kBytesMax = 32 << 10;
  if (!c.server.replication().may_write() ||
      c.server.engine().admission(kBytesMax, false) == engine::Engine::Admission::kRefused)
    return false;
  const AclUser& user = *c.client.session.user;
  if (user.unrestricted()) return true;
  const std::string_view as_writer[] = {"pfadd", key};
  return user.check(*c.server.table().find(as_writer), as_writer).allowed();
}

void pfcount(CommandContext& c) {
  if (c.args.size() > 2) {
    const auto registers = std::make_unique<HllRegisters>();
    bool dense = false;
    if (!merged(c, c.args.subspan(1), registers.get(), &dense)) return;
    return c.reply.integer(static_cast<int64_t>(hll_count(*registers)));
  }
  Found found;
  if (!find(c, c.args[1], &found)) return;
  if (!found.header) return c.reply.integer(0);
  if (const auto count = hll_cached_count(found.bytes)) return c.reply.integer(static_cast<int64_t>(*count));
  const auto count = hll_count(found.bytes);
  if (!count) return c.reply.error(kCorrupt);
  // The estimate is kept beside the registers, as Redis does; not where nothing may be written.
  if (!c.view.on_worker() && may_keep_estimate(c, c.args[1])) {
    HyperLogLog hll(found.bytes);
    hll.keep_count(*count);
    write(c, c.args[1], found, hll);
  }
  c.reply.integer(static_cast<int64_t>(*count));
}

void pfmerge(CommandContext& c) {
  const auto registers = std::make_unique<HllRegisters>();
  bool dense = false;
  if (!merged(c, c.args.subspan(1), registers.get(), &dense)) return;
  Found found;
  if (!find(c, c.args[1], &found)) return;
  HyperLogLog hll = found.header ? HyperLogLog(found.bytes) : HyperLogLog::empty();
  if (dense && !hll.make_dense()) return c.reply.error(kCorrupt);
  for (uint32_t i = 0; i < kHllRegisters; ++i) {
    if ((*registers)[i] != 0) hll.raise({i, (*registers)[i]}, sparse_bytes_max(c));
  }
  hll.forget_count();
  write(c, c.args[1], found, hll);
  c.event(notify::kString, "pfadd", c.args[1]);
  c.reply.ok();
}

// ---- PFDEBUG GETREG|DECODE|ENCODING|TODENSE key

void pfdebug(CommandContext& c) {
  const std::string_view what = c.args[1];
  Found found;
  if (!find(c, c.args[2], &found)) return;
  if (!found.header) return c.reply.error("ERR The specified key does not exist");
  const bool sparse = !hll_is_dense(found.bytes);
  const bool registers = equals_ignoring_case(what, "getreg");
  if (registers || equals_ignoring_case(what, "todense")) {
    HyperLogLog hll(found.bytes);
    if (!hll.make_dense()) return c.reply.error(kCorrupt);
    if (sparse) write(c, c.args[2], found, hll);
    if (!registers) return c.reply.integer(sparse);
    HllRegisters values{};
    hll_merge(hll.bytes(), &values);
    c.reply.array(values.size());
    for (const uint8_t value : values) c.reply.integer(value);
  } else if (equals_ignoring_case(what, "decode")) {
    if (!sparse) return c.reply.error("ERR HLL encoding is not sparse");
    c.reply.bulk(hll_decode(found.bytes));
  } else if (equals_ignoring_case(what, "encoding")) {
    c.reply.simple(sparse ? "sparse" : "dense");
  } else {
    c.reply.error("ERR Unknown PFDEBUG subcommand '" + std::string(what) + "'");
  }
}

// ---- PFSELFTEST

// Adds different elements to a dense and to a sparse one: both must agree, and the estimates must be near.
void pfselftest(CommandContext& c) {
  constexpr uint64_t kElements = 1'000'000;
  HyperLogLog sparse = HyperLogLog::empty(), dense = HyperLogLog::empty();
  INVARIANT(dense.make_dense());
  Random random(c.random_seed);
  const uint64_t seed = random.next();
  uint64_t checkpoint = 1;
  for (uint64_t n = 1; n <= kElements; ++n) {
    const uint64_t number = n ^ seed;
    const auto place = hll_place({reinterpret_cast<const char*>(&number), sizeof(number)});
    dense.raise(place, 0);
    sparse.raise(place, sparse_bytes_max(c));
    if (n != checkpoint) continue;
    if (n < sparse_bytes_max(c) / 2 && hll_is_dense(sparse.bytes()))
      return c.reply.error("TESTFAILED sparse encoding not used");
    const uint64_t count = hll_count(dense.bytes()).value_or(0);
    if (hll_count(sparse.bytes()) != count) return c.reply.error("TESTFAILED dense/sparse disagree");
    const double error = std::abs(static_cast<double>(count) - static_cast<double>(n));
    const double allowed =
        n == 10 ? 1 : std::ceil(6 * 1.04 / std::sqrt(kHllRegisters) * static_cast<double>(n));
    if (error > allowed) return c.reply.error("TESTFAILED Too big error. card:" + std::to_string(n));
    checkpoint *= 10;
  }
  c.reply.ok();
}

constexpr Binding kBindings[] = {{"pfadd", &pfadd},
                                 {"pfcount", &pfcount},
                                 {"pfmerge", &pfmerge},
                                 {"pfdebug", &pfdebug},
                                 {"pfselftest", &pfselftest}};

}  // namespace

void bind_hyperloglog_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
