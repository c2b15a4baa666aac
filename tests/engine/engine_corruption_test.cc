// Every file of a store is damaged in every way: what comes back is right, or an error that names the file.
#include "engine/file_names.h"
#include "tests/engine/careful_reader.h"

#include <set>

using namespace engine_test;

namespace {

EngineOptions damage_options() {
  EngineOptions options = small_options();
  options.memtable_bytes = 4 << 10;
  options.log_segment_bytes = 16 << 10;
  options.reserve_bytes = 4 << 10;
  return options;
}

// A store with several levels and an unflushed log, and what it held at every LSN.
struct Original {
  std::unique_ptr<SimDisk> disk;
  std::map<Lsn, Model> at;
  Lsn end = 0, flushed = 0;
};

Original make(uint64_t seed, bool clean_stop) {
  Original original;
  Store store(seed, damage_options());
  REQUIRE(store.open().ok());
  Player player(store, {});
  original.at[0] = {};
  for (int command = 0; command < 500; ++command) {
    REQUIRE(store.admit());
    player.play();
    original.at[store.engine().end()] = player.model();
    store.turn();
    if (command == 350) store.settle();
  }
  original.end = store.engine().end();
  const EngineStats stats = store.engine().stats();
  int levels = 0;
  for (const LevelStats& level : stats.levels) levels += level.tables > 0;
  CHECK(levels >= 2);
  if (clean_stop) {
    CHECK(store.stop().ok());
    original.disk = store.disk().copy();
  } else {
    original.disk = store.disk().copy();  // As the process is killed: nothing more is synced.
  }
  return original;
}

std::vector<std::string> files_of(SimDisk& disk) {
  std::vector<std::string> paths;
  auto names = disk.list("/db");
  REQUIRE(names.ok());
  for (const std::string& name : names.value()) paths.push_back("/db/" + name);
  return paths;
}

std::vector<std::string> tables_of(SimDisk& disk) {
  auto paths = files_of(disk);
  std::erase_if(paths, [](const std::string& path) { return !parse_table_name(path.substr(4)); });
  return paths;
}

struct Tally {
  int refused = 0, failed_reads = 0, shorter = 0, unharmed = 0;
};

// Opens the damaged disk and holds it to the promise.
void judge(const Original& original, std::unique_ptr<SimDisk> disk, bool compact, Tally* tally) {
  Store store(99, damage_options(), std::move(disk));
  const Status opened = store.open();
  if (!opened.ok()) {
    check_names_a_file(opened);
    ++tally->refused;
    return;
  }
  const Lsn end = store.recovery().end;
  CAPTURE(end);
  REQUIRE(original.at.contains(end));
  const Model& model = original.at.at(end);
  CarefulReader reader(store);
  reader.compare(model);
  if (compact) {
    Status outcome(Code::kInvalid, "/db/: compaction never ended");
    store.engine().compact("", "\xff", [&](Status status) { outcome = std::move(status); });
    for (int i = 0; i < 10; ++i) {
      store.world().executor.run_all();
      store.world().clock.advance_ms(150);
      store.engine().tick();
    }
    if (!outcome.ok()) check_names_a_file(outcome);
    reader.compare(model);
  }
  if (reader.failures() > 0)
    ++tally->failed_reads;
  else if (end < original.end)
    ++tally->shorter;
  else
    ++tally->unharmed;
  CHECK(store.stop().ok());
}

void flip_bits(uint64_t seed, bool clean_stop, uint64_t small_bytes, uint64_t samples, Tally* tally) {
  const Original original = make(seed, clean_stop);
  SimEntropy dice(seed);
  for (const std::string& path : files_of(*original.disk)) {
    CAPTURE(path);
    const uint64_t size = original.disk->contents(path).size();
    const bool every = size <= small_bytes;
    for (uint64_t i = 0; i < (every ? size : samples); ++i) {
      // Half of the samples where files keep what is not zero: at the beginnings of their pages.
      uint64_t byte = every ? i : dice.below(size);
      if (!every && i % 2 == 0) byte = byte / 4096 * 4096 + byte % 64 % size;
      byte = std::min(byte, size - 1);
      CAPTURE(byte);
      auto disk = original.disk->copy();
      disk->flip_bit(path, byte, static_cast<int>(dice.below(8)));
      judge(original, std::move(disk), i % 16 == 0, tally);
    }
  }
}

}  // namespace

TEST_SUITE("engine/corruption") {
  TEST_CASE("a flipped bit anywhere is an error that names file and offset, or changes nothing") {
    for (const bool clean_stop : {true, false}) {
      CAPTURE(clean_stop);
      Tally tally;
      flip_bits(clean_stop ? 1 : 2, clean_stop, 64, 30, &tally);
      CHECK(tally.refused > 0);
      CHECK(tally.failed_reads > 0);
      CHECK(tally.unharmed > 0);
    }
  }

  TEST_CASE("a file cut short anywhere is an error that names it, or a log that ends earlier") {
    const Original original = make(7, false);
    Tally tally;
    SimEntropy dice(3);
    for (const std::string& path : files_of(*original.disk)) {
      CAPTURE(path);
      const uint64_t size = original.disk->contents(path).size();
      std::vector<uint64_t> lengths{0, 1, size / 2, size - 1};
      for (int i = 0; i < 12; ++i) lengths.push_back(dice.below(size + 1));
      for (const uint64_t length : lengths) {
        if (length > size) continue;
        CAPTURE(length);
        auto disk = original.disk->copy();
        disk->set_contents(path, disk->contents(path).substr(0, length));
        judge(original, std::move(disk), false, &tally);
      }
    }
    CHECK(tally.refused > 0);
    CHECK(tally.shorter > 0);
  }

  TEST_CASE("a file that is missing, and one with another's contents, are noticed") {
    for (const bool clean_stop : {true, false}) {
      const Original original = make(4, clean_stop);
      const auto paths = files_of(*original.disk);
      Tally tally;
      for (const std::string& path : paths) {
        CAPTURE(path);
        auto disk = original.disk->copy();
        REQUIRE(disk->remove(path).ok());
        judge(original, std::move(disk), false, &tally);
      }
      CHECK(tally.refused > 0);
      for (size_t i = 1; i < paths.size(); ++i) {
        CAPTURE(paths[i]);
        auto disk = original.disk->copy();
        const std::string one = disk->contents(paths[i - 1]);
        disk->set_contents(paths[i - 1], disk->contents(paths[i]));
        disk->set_contents(paths[i], one);
        judge(original, std::move(disk), false, &tally);
      }
    }
  }

  TEST_CASE("damage that comes while the store is open fails reads, and no compaction carries it on") {
    const Original original = make(5, true);
    size_t tables = 1;
    for (size_t i = 0; i < tables; ++i) {
      Store store(7, damage_options(), original.disk->copy());
      REQUIRE(store.open().ok());
      store.settle();
      const auto paths = tables_of(store.disk());
      tables = paths.size();
      REQUIRE(tables >= 2);
      const std::string path = paths[i];
      CAPTURE(path);
      const EngineStats before = store.engine().stats();
      const std::string whole = store.disk().contents(path);
      store.disk().flip_bit(path, 100, 3);
      store.engine().drop_caches();
      CarefulReader reader(store);
      reader.compare(original.at.at(original.end));
      CHECK(reader.failures() > 0);

      Status outcome;
      store.engine().compact("", "\xff", [&](Status status) { outcome = std::move(status); });
      store.settle();  // A minute.
      check_names_a_file(outcome);
      CHECK(outcome.message().find(path) != std::string::npos);
      CHECK(store.engine().stats().background_error.find(path) != std::string::npos);
      CHECK(store.engine().describe().find(path) != std::string::npos);
      CHECK(store.disk().exists(path).value());
      reader.compare(original.at.at(original.end));

      // It is not read over and over again.
      const uint64_t reads = store.disk().reads();
      store.settle();
      CHECK(store.disk().reads() < reads + 1000);
      CHECK(store.engine().stats().compaction_bytes_read <
            before.compaction_bytes_read + 4 * before.disk_bytes + 100'000);

      // Writes and flushes go on.
      const Lsn flushed = store.engine().stats().flushed;
      Batch batch;
      for (int n = 0; n < 200; ++n) {
        batch.put("Xnew" + std::to_string(n), std::string(100, 'x'));
        store.apply(batch);
        store.turn();
      }
      store.settle();
      CHECK(store.engine().stats().flushed > flushed);

      // A disk that has come to its senses is used again, in time.
      store.disk().set_contents(path, whole);
      store.world().clock.advance_ms(600'000);
      store.settle();
      outcome = Status(Code::kInvalid, "never ended");
      store.engine().compact("", "\xff", [&](Status status) { outcome = std::move(status); });
      store.settle();
      INFO(outcome.message());
      CHECK(outcome.ok());
      CHECK(store.engine().stats().background_error.empty());
      CHECK(store.stop().ok());
    }
  }

  TEST_CASE("a table that the disk did not keep as it was written is never relied on, and made again") {
    // The write is acknowledged, and other bytes lie there: as they do when a drive loses or misdirects it.
    // Once installed, such a table would have replaced the only whole copy.
    for (uint64_t seed = 1; seed <= 6; ++seed) {
      CAPTURE(seed);
      Store store(seed, damage_options());
      REQUIRE(store.open().ok());
      Player player(store, {});
      for (int command = 0; command < 250; ++command) {
        REQUIRE(store.admit());
        player.play();
        store.turn();
      }
      store.settle();
      store.engine().compact("", "\xff", [](Status) {});
      const auto before = tables_of(store.disk());
      const std::set<std::string> old(before.begin(), before.end());
      std::string garbled;
      size_t looked_at = store.disk().operations().size();
      while (garbled.empty() && store.world().executor.run_one()) {
        const auto& operations = store.disk().operations();
        for (; looked_at < operations.size(); ++looked_at) {
          if (!operations[looked_at].starts_with("sync /db/")) continue;
          const std::string path = operations[looked_at].substr(5);
          if (!parse_table_name(path.substr(4)) || old.contains(path)) continue;
          if (!store.disk().exists(path).value() || store.disk().contents(path).size() < 300) continue;
          garbled = path;
          // Data, index, filter or footer.
          const uint64_t size = store.disk().contents(path).size();
          store.disk().flip_bit(path, seed % 2 == 0 ? 64 : size - 40 * seed, 1);
        }
      }
      REQUIRE(!garbled.empty());
      store.world().executor.run_all();
      CHECK(store.engine().stats().background_error.find(garbled) != std::string::npos);
      store.settle();
      CHECK(store.engine().stats().background_error.empty());
      CHECK(!store.disk().exists(garbled).value());
      CarefulReader reader(store);
      reader.compare(player.model());
      CHECK(reader.failures() == 0);
      CHECK(store.stop().ok());
    }
  }

  TEST_CASE("whichever read fails, once or from then on, answers are right or errors") {
    const Original original = make(6, false);
    for (const bool forever : {false, true}) {
      int failing = 0;
      for (uint64_t n = 0; n < 260; n += 9) {
        CAPTURE(n);
        CAPTURE(forever);
        auto disk = original.disk->copy();
        disk->fail_read(n, forever);
        Store store(9, damage_options(), std::move(disk));
        const Status opened = store.open();
        if (!opened.ok()) {
          CHECK(opened.code() == Code::kIoError);
          continue;
        }
        CarefulReader reader(store);
        reader.compare(original.at.at(store.recovery().end));
        failing += reader.failures() > 0;
        store.disk().no_faults();
        store.settle();
        CarefulReader healed(store);
        healed.compare(original.at.at(store.recovery().end));
        CHECK(healed.failures() == 0);
        CHECK(store.stop().ok());
      }
      CHECK(failing > 0);
    }
  }
}

TEST_SUITE("slow/engine/corruption") {
  TEST_CASE("every byte of small files, and many of the large") {
    Tally tally;
    flip_bits(11, true, 4 << 10, 1500, &tally);
    flip_bits(12, false, 4 << 10, 1500, &tally);
    CHECK(tally.failed_reads > 0);
  }
}
