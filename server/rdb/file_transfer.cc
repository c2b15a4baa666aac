#include "server/rdb/file_transfer.h"

#include <cinttypes>
#include <utility>
#include <vector>

#include "server/log.h"
#include "server/rdb/loader.h"
#include "server/rdb/snapshot_writer.h"
#include "server/scripts/functions.h"
#include "server/version.h"

namespace server::rdb {
namespace {

constexpr size_t kReadBytes = 256 << 10;
constexpr uint64_t kProgressUs = 5'000'000;
constexpr uint64_t kTickUs = 100'000;

// Applies portions one after the other, as fast as the engine admits them.
class Writer {
 public:
  Writer(engine::Engine& engine, engine::Env& env, const LoopTurn& turn)
      : engine_(engine), env_(env), turn_(turn) {}

  engine::Status write(const Portion& portion, std::span<const ObjectId> databases,
                       const StoreLimits& limits) {
    const uint64_t seed = env_.entropy.next();
    engine::ReadContext context;
    for (;;) {
      engine::Batch batch;
      const auto reader = engine_.reader(context);
      View view(*reader, &engine_, batch, env_.clock.wall_ms());
      try {
        for (const std::string& source : portion.functions) Functions::store(view, source);
        rdb::write(view, portion, databases, limits, seed);
      } catch (const ColdRead&) {
        bool fetched = false;
        engine_.fetch(context, engine::Task([&fetched] { fetched = true; }));
        while (!fetched) turn_(true);
        continue;
      } catch (const StorageError& error) {
        return error.status;
      }
      return apply(batch);
    }
  }

 private:
  engine::Status apply(engine::Batch& batch) {
    for (;;) {
      switch (engine_.admission(batch.bytes().size(), false)) {
        case engine::Engine::Admission::kOpen:
          if (!batch.empty()) engine_.apply(batch);
          engine_.end_turn();
          turn_(false);
          tick();
          return {};
        case engine::Engine::Admission::kRefused: return engine_.refusal();
        case engine::Engine::Admission::kWait: engine_.end_turn(); turn_(true);
      }
    }
  }
  void tick() {
    const uint64_t now_us = env_.clock.monotonic_us();
    if (now_us - ticked_us_ < kTickUs) return;
    ticked_us_ = now_us;
    engine_.tick();
  }

  engine::Engine& engine_;
  engine::Env& env_;
  const LoopTurn& turn_;
  uint64_t ticked_us_ = 0;
};

std::vector<ObjectId> objects_of(const Databases& databases) {
  std::vector<ObjectId> objects;
  for (uint32_t i = 0; i < databases.count(); ++i) objects.push_back(databases.object(i));
  return objects;
}

}  // namespace

engine::Status import_file(engine::Engine& engine, engine::Env& env, const Databases& databases,
                           const Settings& settings, const std::string& path, const LoopTurn& turn) {
  const std::vector<ObjectId> objects = objects_of(databases);
  for (uint32_t i = 0; i < objects.size(); ++i) {
    if (engine.count(objects[i]) == 0) continue;
    return {engine::Code::kInvalid, "database " + std::to_string(i) + " of " + settings.dir + " holds " +
                                        std::to_string(engine.count(objects[i])) +
                                        " keys: an RDB file is imported into an empty store only"};
  }
  auto file = env.files.open(path, engine::OpenMode::kRead);
  if (!file.ok()) return file.status();
  const auto size = file.value()->size();
  if (!size.ok()) return size.status();

  const auto failed = [&](const engine::Status& status) {
    return engine::Status(status.code(), path + ": " + status.message() + ". What came before it is in " +
                                             settings.dir + ": empty that before another try");
  };
  Loader loader(settings.proto_max_bulk_len, env.clock.wall_ms());
  Writer writer(engine, env, turn);
  const StoreLimits limits(settings);
  Portion portion;
  std::string chunk(kReadBytes, '\0');
  uint64_t at = 0, told_us = env.clock.monotonic_us();
  size_t functions = 0;
  for (;;) {
    const Step step = loader.next(&portion);
    if (step == Step::kEnd) break;
    if (step == Step::kDamaged) return failed(loader.damage());
    if (step == Step::kMore) {
      const auto read = file.value()->read(at, chunk);
      if (!read.ok()) return failed(read.status());
      at += read.value();
      if (read.value() == 0)
        loader.end();
      else
        loader.feed(std::string_view(chunk).substr(0, read.value()));
      continue;
    }
    functions += portion.functions.size();
    if (auto status = writer.write(portion, objects, limits); !status.ok()) return failed(status);
    if (const uint64_t now_us = env.clock.monotonic_us(); now_us - told_us >= kProgressUs) {
      told_us = now_us;
      log_notice("Imported %" PRIu64 " keys: %" PRIu64 " of %" PRIu64 " MB", loader.keys(), at >> 20,
                 size.value() >> 20);
    }
  }
  if (functions > 0) log_notice("Imported %zu function libraries", functions);
  log_notice("Imported %s: %" PRIu64 " keys, and %" PRIu64 " had expired", path.c_str(), loader.keys(),
             loader.expired());
  return {};
}

engine::Status export_file(engine::Engine& engine, engine::Env& env, const Databases& databases,
                           const std::string& path) {
  std::vector<SnapshotWriter::Database> all;
  for (uint32_t i = 0; i < databases.count(); ++i) all.push_back({i, databases.object(i)});
  SnapshotWriter::Options options;
  options.now_ms = env.clock.wall_ms();
  options.aux = {{"redis-ver", kRedisVersion}, {"redis-bits", "64"}};
  auto snapshot = engine.snapshot();
  auto functions = Functions::sources(*snapshot);
  if (!functions.ok()) return functions.status();
  options.functions = std::move(functions).value();
  SnapshotWriter writer(std::move(snapshot), std::move(all), std::move(options));

  const std::string temporary = path + ".tmp";
  if (const auto there = env.files.exists(temporary); there.ok() && there.value()) {
    if (auto status = env.files.remove(temporary); !status.ok()) return status;
  }
  auto file = env.files.open(temporary, engine::OpenMode::kCreate);
  if (!file.ok()) return file.status();
  uint64_t at = 0, told_us = env.clock.monotonic_us();
  std::string piece;
  while (!writer.done()) {
    piece.clear();
    if (auto status = writer.next(&piece); !status.ok()) return status;
    if (auto status = file.value()->write(at, piece); !status.ok()) return status;
    at += piece.size();
    if (const uint64_t now_us = env.clock.monotonic_us(); now_us - told_us >= kProgressUs) {
      told_us = now_us;
      log_notice("Exported %" PRIu64 " keys, %" PRIu64 " MB", writer.keys(), at >> 20);
    }
  }
  if (auto status = file.value()->sync(); !status.ok()) return status;
  if (auto status = env.files.rename(temporary, path); !status.ok()) return status;
  const size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  if (auto status = env.files.sync_directory(directory); !status.ok()) return status;
  if (writer.expiries_lost() > 0) {
    log_warning("%" PRIu64 " fields of hashes expire here; the file's format cannot say so: there they stay",
                writer.expiries_lost());
  }
  log_notice("Exported %" PRIu64 " keys to %s (%" PRIu64 " MB)", writer.keys(), path.c_str(), at >> 20);
  return {};
}

}  // namespace server::rdb
