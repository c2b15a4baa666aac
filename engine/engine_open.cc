// Recovery: lock, manifest, tables, log; and the end.
#include <charconv>
#include <cstdio>
#include <cstdlib>

#include "engine/engine_impl.h"
#include "engine/file_names.h"
#include "engine/incoming.h"
#include "engine/log_cut.h"

namespace engine {

namespace {

constexpr const char* kHashSeed = "hash-seed";
constexpr const char* kStoreId = "store-id";

std::string parent_of(const std::string& directory) {
  const size_t slash = directory.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : directory.substr(0, slash);
}

}  // namespace

std::string hex(uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}

Result<std::unique_ptr<Engine>> Engine::open(Env& env, const EngineOptions& options, const Schema& schema,
                                             LogRecovery* recovery) {
  auto engine = std::make_unique<EngineImpl>(env, options, schema);
  LogRecovery unused;
  if (Status s = engine->recover(recovery != nullptr ? recovery : &unused); !s.ok()) return s;
  return std::unique_ptr<Engine>(std::move(engine));
}

EngineImpl::EngineImpl(Env& env, const EngineOptions& options, const Schema& schema)
    : env_(env),
      options_(options),
      schema_(schema),
      blocks_(options.memory_bytes / 4),
      fetcher_(env, blocks_),
      source_(blocks_, options.cold_chance, &dice_),
      active_(std::make_unique<MemtableState>(uint8_t{0})),
      version_(std::make_shared<Version>()) {
  if (options_.memtable_bytes == 0)
    options_.memtable_bytes =
        std::min<uint64_t>(64 << 20, std::max<uint64_t>(1 << 20, options_.memory_bytes / 8));
  // Also where nothing is ever cold: a seed draws the same for all that comes after, either way.
  dice_ = env.entropy.next();
}

EngineImpl::~EngineImpl() { INVARIANT(jobs_ == 0); }

Status EngineImpl::recover(LogRecovery* recovery) {
  if (Status s = env_.files.make_directory(options_.directory); !s.ok()) return s;
  if (Status s = env_.files.sync_directory(parent_of(options_.directory)); !s.ok()) return s;
  auto lock = env_.files.lock(path("LOCK"));
  if (!lock.ok()) return lock.status();
  lock_ = std::move(lock).value();
  if (Status s = install_incoming(env_.files, options_.directory); !s.ok()) return s;

  VersionEdit initial;
  initial.properties[kDeadThrough] = hex(0);
  initial.properties[kHashSeed] = hex(env_.entropy.next());
  initial.properties[kStoreId] = hex(env_.entropy.next()) + hex(env_.entropy.next());
  auto manifest = Manifest::open(env_.files, options_.directory, initial);
  if (!manifest.ok()) return manifest.status();
  manifest_ = std::move(manifest).value();
  const ManifestState& state = manifest_->state();

  const auto seed = state.properties.find(kHashSeed);
  if (seed == state.properties.end() ||
      std::from_chars(seed->second.data(), seed->second.data() + seed->second.size(), hash_seed_, 16).ec !=
          std::errc())
    return Status(Code::kCorruption, "the manifest in " + options_.directory + " has no hash seed");
  index_.emplace(options_.memory_bytes / 4, hash_seed_);
  flushed_ = state.flushed;
  next_table_ = state.next_table;
  next_object_ = state.next_object;
  for (const auto& [owner, count] : state.counts) counts_[owner] = count;
  if (Status s = dead_.restore(state.dead_objects); !s.ok()) return s;
  if (Status s = open_tables(); !s.ok()) return s;
  if (Status s = sweep_orphans(); !s.ok()) return s;

  if (const auto through = state.properties.find(kDeadThrough); through != state.properties.end())
    dead_through_ = std::strtoull(through->second.c_str(), nullptr, 16);
  const bool knows_floor = state.properties.contains(kDeadThrough);
  auto cut = ordered_cut(env_.files, options_.directory);
  if (!cut.ok()) return cut.status();
  if (*cut) {
    // Where it cannot be done (a full disk) the store is opened as it is, and whoever wanted it asks again.
    if (knows_floor && **cut >= cut_floor()) (void)cut_log(env_, options_.directory, **cut).ok();
    if (Status s = forget_cut(env_.files, options_.directory); !s.ok()) return s;
  }

  LogOptions log_options;
  log_options.directory = options_.directory;
  log_options.segment_bytes = options_.log_segment_bytes;
  log_options.policy = options_.sync;
  log_options.keep_bytes = options_.log_keep_bytes;
  auto log = Log::open(
      env_, log_options, flushed_, [this](Lsn end, std::string_view record) { return replay(end, record); },
      recovery);
  if (!log.ok()) return log.status();
  log_ = std::move(log).value();
  if (!knows_floor) dead_through_ = log_->end();  // The store is older than the property.
  log_->release(flushed_);
  log_->on_progress([this] {
    if (log_->preparation().code() == Code::kNoSpace) enter_full(log_->preparation());
    notify();
  });

  auto had_reserve = env_.files.exists(path("RESERVE"));
  reserve_held_ = had_reserve.ok() && had_reserve.value();
  if (!reserve_held_) {
    full_ =
        true;  // Until leave_full() has taken the reserve: with no room for it the disk is as good as full.
    leave_full();
  }
  divide_memory();
  if (active_->table->bytes() >= options_.memtable_bytes) {
    freeze();
  }
  schedule();
  return {};
}

Status EngineImpl::open_tables() {
  const ManifestState& state = manifest_->state();
  TableMap opened;
  for (const auto& [number, placed] : state.tables) {
    auto table = Table::open(env_.files, table_path(options_.directory, number), placed.meta, hash_seed_);
    if (!table.ok()) return table.status();
    filters_and_indexes_ += table.value()->memory_bytes();
    opened[number] = std::move(table).value();
  }
  version_ = build_version(state, opened);
  return {};
}

Status EngineImpl::sweep_orphans() {
  // What a crash left behind: tables that no durable edit names.
  auto names = env_.files.list(options_.directory);
  if (!names.ok()) return names.status();
  bool removed = false;
  for (const std::string& name : names.value()) {
    const auto number = parse_table_name(name);
    if (!number || manifest_->state().tables.contains(*number)) continue;
    if (Status s = env_.files.remove(path(name)); !s.ok()) return s;
    removed = true;
  }
  return removed ? env_.files.sync_directory(options_.directory) : Status();
}

// Ids in a record that comes from elsewhere have been given out, also those that only elements name.
void EngineImpl::learn_ids(std::string_view record) {
  BatchReader ids(record);
  while (ids.next())
    if (ids.op() != Batch::Op::kMoved) next_object_ = std::max(next_object_, schema_.owner(ids.key()) + 1);
}

Status EngineImpl::replay(Lsn end, std::string_view record) {
  BatchReader operations(record);
  learn_ids(record);
  apply_operations(operations, nullptr, end);
  if (!operations.status().ok()) {
    return Status(operations.status().code(),
                  operations.status().message() + ", LSN " + std::to_string(end - record.size()));
  }
  return {};
}

void EngineImpl::stop(std::function<void(Status)> done) {
  stopping_ = true;
  stopped_ = std::move(done);
  check_waiters();
}

}  // namespace engine
