// server/commands/info.cc: what people look at a server with: INFO, MONITOR, SLOWLOG, MEMORY, LOLWUT.
#include <string>

#include "server/bindings.h"
#include "server/command.h"
#include "server/commands/command_docs.h"
#include "server/errors.h"
#include "server/info.h"
#include "server/keyspace.h"
#include "server/memory_usage.h"
#include "server/server.h"
#include "server/units.h"
#include "server/version.h"

namespace server {
namespace {

void info(CommandContext& c) { c.reply.verbatim("txt", info_text(c.server, c.args.subspan(1))); }

void monitor(CommandContext& c) {
  if (!c.client.session.monitor) {
    c.client.session.monitor = true;
    c.server.monitors().push_back(&c.client);
  }
  c.reply.ok();
}

void lolwut(CommandContext& c) {
  if (c.args.size() > 2 && equals_ignoring_case(c.args[1], "version") && !parse_integer(c.args[2]))
    return c.reply.error(kNotAnInteger);
  // A varve: one layer a year, a thick light one for the summer, a thin dark one for the winter.
  static constexpr const char* kSummer[] = {".", "..", "...", "....", "....."};
  std::string text;
  uint64_t bits = c.random_seed;
  for (int year = 0; year < 8; ++year) {
    const std::string grain = kSummer[bits % 5];
    bits = bits * 6364136223846793005 + 1442695040888963407;
    while (text.size() < static_cast<size_t>(year) * 82 + 40) text += grain + ' ';
    text.resize(static_cast<size_t>(year) * 82 + 40);
    text += "\n========================================\n";
  }
  c.reply.verbatim("txt", text + "\nRedis ver. " + kRedisVersion + " (Varve " + kVarveVersion + ")\n");
}

// ---- SLOWLOG

void slowlog_get(CommandContext& c) {
  int64_t count = 10;
  if (c.args.size() > 3)
    return c.reply.error("ERR unknown subcommand or wrong number of arguments for 'GET'. Try SLOWLOG HELP.");
  if (c.args.size() == 3) {
    const auto wanted = parse_integer(c.args[2]);
    if (!wanted || *wanted < -1) return c.reply.error("ERR count should be greater than or equal to -1");
    count = *wanted;
  }
  const auto& entries = c.server.slowlog().entries();
  const size_t shown = count < 0 ? entries.size() : std::min(entries.size(), static_cast<size_t>(count));
  c.reply.array(shown);
  for (size_t i = 0; i < shown; ++i) {
    const Slowlog::Entry& entry = entries[i];
    c.reply.array(6);
    c.reply.integer(static_cast<int64_t>(entry.id));
    c.reply.integer(entry.unix_seconds);
    c.reply.integer(static_cast<int64_t>(entry.duration_us));
    c.reply.array(entry.args.size());
    for (const std::string& arg : entry.args) c.reply.bulk(std::string_view(arg));
    c.reply.bulk(std::string_view(entry.peer));
    c.reply.bulk(std::string_view(entry.client_name));
  }
}

void slowlog_len(CommandContext& c) {
  c.reply.integer(static_cast<int64_t>(c.server.slowlog().entries().size()));
}

void slowlog_reset(CommandContext& c) {
  c.server.slowlog().clear();
  c.reply.ok();
}

void slowlog_help(CommandContext& c) { container_help(c.server.table(), "slowlog", c.reply); }

// ---- MEMORY

// What the key takes on disk, before compression: its header, the index by time, and all its elements.
void memory_usage_of_key(CommandContext& c) {
  for (size_t i = 3; i < c.args.size(); i += 2) {
    if (!equals_ignoring_case(c.args[i], "samples") || i + 1 >= c.args.size())
      return c.reply.error(kSyntaxError);
    const auto samples = parse_integer(c.args[i + 1]);
    if (!samples) return c.reply.error(kNotAnInteger);
    if (*samples < 0) return c.reply.error(kSyntaxError);
  }
  c.view.watch(nullptr);  // To look at a key from outside is no use of it.
  const auto header = c.view.header(c.database, c.args[2]);
  if (!header) return c.reply.null();
  std::string key;
  header_key(c.database, c.args[2], &key);
  uint64_t bytes = key.size() + header->payload.size() + 16;
  if (header->expiry_ms != kNoExpiry) bytes += 8 + key.size() + 8;
  if (header->object.id != engine::kNoObject) {
    bytes += 12 + c.server.engine().approximate_bytes(element_begin(header->object.id),
                                                      element_end(header->object.id));
  }
  c.reply.integer(static_cast<int64_t>(bytes));
}

void memory_stats(CommandContext& c) {
  const MemoryUsage usage = memory_usage();
  const engine::EngineStats engine = c.server.engine().stats();
  uint64_t clients = 0, keys = 0;
  c.server.clients().each([&](Client& client) {
    clients += client.input.capacity_bytes() + client.output.memory_bytes() + client.requests.memory_bytes();
  });
  for (uint32_t i = 0; i < c.server.databases().count(); ++i) {
    keys += c.server.engine().count(c.server.databases().object(i));
  }
  const uint64_t dataset =
      std::min(usage.allocated, engine.memtable_bytes + engine.frozen_bytes + engine.record_cache_bytes +
                                    engine.block_cache_bytes);
  const auto part = [](uint64_t a, uint64_t b) {
    return b == 0 ? 0.0 : static_cast<double>(a) / static_cast<double>(b);
  };
  const auto map = c.reply.open_map();
  size_t fields = 0;
  const auto integer = [&](const char* name, uint64_t value) {
    c.reply.bulk(name);
    c.reply.integer(static_cast<int64_t>(value));
    ++fields;
  };
  const auto number = [&](const char* name, double value) {
    c.reply.bulk(name);
    c.reply.number(value);
    ++fields;
  };
  integer("peak.allocated", c.server.peak_memory());
  integer("total.allocated", usage.allocated);
  integer("startup.allocated", c.server.startup_memory());
  integer("replication.backlog", 0);
  integer("clients.slaves", 0);
  integer("clients.normal", clients);
  integer("cluster.links", 0);
  integer("aof.buffer", 0);
  integer("lua.caches", 0);
  integer("functions.caches", 0);
  integer("engine.memtables", engine.memtable_bytes + engine.frozen_bytes);
  integer("engine.record-cache", engine.record_cache_bytes);
  integer("engine.block-cache", engine.block_cache_bytes);
  integer("engine.filters-and-indexes", engine.filter_and_index_bytes);
  integer("overhead.total", usage.allocated - dataset);
  integer("keys.count", keys);
  integer("keys.bytes-per-key", keys == 0 ? 0 : dataset / keys);
  integer("dataset.bytes", dataset);
  number("dataset.percentage", 100 * part(dataset, usage.allocated));
  number("peak.percentage", 100 * part(usage.allocated, c.server.peak_memory()));
  integer("allocator.allocated", usage.allocated);
  integer("allocator.active", usage.active);
  integer("allocator.resident", usage.resident);
  number("allocator-fragmentation.ratio", part(usage.active, usage.allocated));
  integer("allocator-fragmentation.bytes", usage.active - usage.allocated);
  number("allocator-rss.ratio", part(usage.resident, usage.active));
  integer("allocator-rss.bytes", usage.resident - usage.active);
  number("rss-overhead.ratio", part(usage.rss, usage.resident));
  integer("rss-overhead.bytes", usage.rss - usage.resident);
  number("fragmentation", part(usage.rss, usage.allocated));
  integer("fragmentation.bytes", usage.rss - usage.allocated);
  c.reply.close(map, fields);
}

void memory_doctor(CommandContext& c) {
  const MemoryUsage usage = memory_usage();
  std::string text;
  if (usage.allocated * 2 < usage.rss && usage.rss > (64u << 20)) {
    text +=
        " * The process takes more than twice what it has asked for: MEMORY PURGE gives unused pages back.\n";
  }
  if (c.server.peak_memory() > usage.allocated * 3 / 2) {
    text += " * At its peak the memory in use was half as much again as now.\n";
  }
  if (c.server.engine().stats().stalls > 0) {
    text +=
        " * Writers had to wait for memtables to be flushed. A larger maxmemory or a faster disk helps.\n";
  }
  if (text.empty()) text = "Nothing to worry about: caches and memtables keep within maxmemory.\n";
  c.reply.verbatim("txt", text);
}

void memory_malloc_stats(CommandContext& c) { c.reply.verbatim("txt", allocator_report()); }

void memory_purge(CommandContext& c) {
  if (!purge_memory()) return c.reply.error("ERR Error purging dirty pages");
  c.reply.ok();
}

void memory_help(CommandContext& c) { container_help(c.server.table(), "memory", c.reply); }

constexpr Binding kBindings[] = {{"info", &info},
                                 {"monitor", &monitor},
                                 {"lolwut", &lolwut},
                                 {"slowlog|get", &slowlog_get},
                                 {"slowlog|len", &slowlog_len},
                                 {"slowlog|reset", &slowlog_reset},
                                 {"slowlog|help", &slowlog_help},
                                 {"memory|usage", &memory_usage_of_key},
                                 {"memory|stats", &memory_stats},
                                 {"memory|doctor", &memory_doctor},
                                 {"memory|malloc-stats", &memory_malloc_stats},
                                 {"memory|purge", &memory_purge},
                                 {"memory|help", &memory_help}};

}  // namespace

void bind_info_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
