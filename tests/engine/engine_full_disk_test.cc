// The disk is full, at every possible point; and the disk fails, at every operation. Reads go on, nothing
// acknowledged is lost, and what was refused is admitted again when the reason has gone.
#include "engine/file_names.h"
#include "tests/engine/careful_reader.h"

using namespace engine_test;

namespace {

EngineOptions options_of(SyncPolicy policy) {
  EngineOptions options = small_options();
  options.memtable_bytes = 3 << 10;
  options.log_segment_bytes = 16 << 10;
  options.reserve_bytes = 24 << 10;
  options.sync = policy;
  return options;
}

std::vector<std::string> table_files(SimDisk& disk) {
  auto names = disk.list("/db");
  REQUIRE(names.ok());
  std::vector<std::string> tables = names.value();
  std::erase_if(tables, [](const std::string& name) { return !parse_table_name(name); });
  return tables;
}

uint64_t live_tables(const EngineStats& stats) {
  uint64_t sum = 0;
  for (const LevelStats& level : stats.levels) sum += level.tables;
  return sum;
}

// Plays commands one by one; a refused one leaves no trace in the model.
class Life {
 public:
  Life(Store& store, Model model)
      : store_(store), player_(std::make_unique<Player>(store, std::move(model))) {}

  const Model& model() const { return player_->model(); }
  const std::map<Lsn, Model>& at() const { return at_; }
  Lsn acknowledged() const { return acknowledged_; }
  int refused() const { return refused_; }
  const Status& refusal() const { return refusal_; }  // The last.

  // False if it was refused.
  bool command() {
    Model before = player_->model();
    bool admitted = true;
    try {
      if (!store_.admit()) throw Refused{};
      player_->play();
    } catch (const Refused&) {
      ++refused_;
      refusal_ = store_.engine().refusal();
      admitted = false;
      player_ = std::make_unique<Player>(store_, std::move(before));
    }
    at_[store_.engine().end()] = player_->model();
    store_.turn();
    acknowledged_ = store_.engine().synced();
    return admitted;
  }

 private:
  Store& store_;
  std::unique_ptr<Player> player_;
  std::map<Lsn, Model> at_{{0, {}}};
  Lsn acknowledged_ = 0;
  int refused_ = 0;
  Status refusal_;
};

void check_is_for_space(const Status& refusal) {
  INFO(refusal.message());
  CHECK(refusal.code() == Code::kNoSpace);
  CHECK(refusal.message().find("/db") != std::string::npos);
}

void compare(Store& store, const Model& model) {
  CarefulReader reader(store);
  reader.compare(model);
  CHECK(reader.failures() == 0);
}

// A life on a disk of so many bytes; whether it ever was full.
bool live_on(uint64_t capacity, uint64_t seed, SyncPolicy policy, int commands) {
  CAPTURE(capacity);
  CAPTURE(seed);
  Model model;
  std::unique_ptr<SimDisk> disk;
  bool was_full = false;
  {
    Store store(seed, options_of(policy));
    store.disk().set_capacity(capacity);
    if (const Status opened = store.open(); !opened.ok()) {
      CHECK(opened.code() == Code::kNoSpace);
      return true;
    }
    Life life(store, {});
    for (int i = 0; i < commands; ++i) {
      if (life.command()) continue;
      was_full = true;
      check_is_for_space(life.refusal());
      if (i % 16 == 0) compare(store, life.model());
    }
    compare(store, life.model());
    model = life.model();
    if (seed % 2 == 0) {
      CHECK(store.stop().ok());
      disk = store.disk().copy();
    } else {
      // Killed: what was handed to the kernel is still there.
      while (store.engine().written() < store.engine().end()) {
        store.turn();
        store.world().executor.run_all();
      }
      disk = store.disk().copy();
    }
  }
  disk->set_capacity(std::max(capacity, disk->used_bytes()));
  auto with_room = disk->copy();
  for (const bool restart_full : {true, false}) {
    CAPTURE(restart_full);
    Store store(seed + 500, options_of(policy), restart_full ? std::move(disk) : std::move(with_room));
    const Status opened = store.open();
    INFO(opened.message());
    if (!opened.ok()) {  // Not even a page for the manifest; nothing is lost by that.
      CHECK(restart_full);
      CHECK(opened.code() == Code::kNoSpace);
      continue;
    }
    compare(store, model);
    Life life(store, model);
    for (int i = 0; i < 20; ++i) life.command();
    compare(store, life.model());
    store.disk().set_capacity(SimDisk::kNever);
    store.settle();
    const int refused = life.refused();
    for (int i = 0; i < 60; ++i) life.command();
    CHECK(life.refused() == refused);
    compare(store, life.model());
    store.settle();
    CHECK(table_files(store.disk()).size() == live_tables(store.engine().stats()));
    CHECK(store.engine().stats().background_error.empty());
    CHECK(store.stop().ok());
  }
  return was_full;
}

void every_capacity(uint64_t seed, uint64_t step) {
  const SyncPolicy policy = seed % 3 == 0 ? SyncPolicy::kAlways : SyncPolicy::kEverySec;
  int full = 0;
  bool ever_free = false;
  for (uint64_t capacity = 4096 + 512 * seed; !ever_free; capacity += step) {
    if (live_on(capacity, seed, policy, 250))
      ++full;
    else
      ever_free = true;
    REQUIRE(capacity < (8 << 20));
  }
  CHECK(full > 3);
}

// ---- a disk that fails

// Operation `n` fails, and all behind it if `forever`. Whether the life came that far.
bool live_with_failure(uint64_t n, bool forever, uint64_t seed, SyncPolicy policy) {
  CAPTURE(n);
  CAPTURE(forever);
  CAPTURE(seed);
  std::map<Lsn, Model> at{{0, {}}};
  Lsn acknowledged = 0;
  std::unique_ptr<SimDisk> disk;
  bool reached = true;
  {
    Store store(seed, options_of(policy));
    store.disk().fail_operation(n, forever);
    const Status opened = store.open();
    if (opened.ok()) {
      Life life(store, {});
      for (int i = 0; i < 150; ++i) {
        if (!life.command()) CHECK(life.refusal().code() == Code::kIoError);
      }
      if (!forever) {
        store.settle();
        const bool log_failed = store.engine().admission(4096, false) == Engine::Admission::kRefused;
        if (log_failed) {
          // For good: nothing is synced any more, that file least of all.
          CHECK(store.engine().synced() == life.acknowledged());
          const auto& operations = store.disk().operations();
          CHECK(operations[n].ends_with(".log") + operations[n].ends_with(".spare") +
                    operations[n].starts_with("write") >
                0);
          if (operations[n].starts_with("sync"))
            CHECK(std::count(operations.begin() + static_cast<std::ptrdiff_t>(n), operations.end(),
                             operations[n]) == 1);
        } else {
          CHECK(store.engine().stats().background_error.empty());
        }
      }
      compare(store, life.model());
      at = life.at();
      acknowledged = life.acknowledged();
      reached = store.disk().operations().size() > n;
    } else {
      INFO(opened.message());
      CHECK(opened.code() == Code::kIoError);
    }
    disk = store.power_off();
  }
  disk = n % 2 == 0 ? disk->copy() : disk->crash(seed * 1000 + n);
  Store store(seed + 900, options_of(policy), std::move(disk));
  const Status opened = store.open();
  INFO(opened.message());
  REQUIRE(opened.ok());
  CHECK(store.recovery().end >= acknowledged);
  REQUIRE(at.contains(store.recovery().end));
  compare(store, at.at(store.recovery().end));
  store.settle();
  CHECK(table_files(store.disk()).size() == live_tables(store.engine().stats()));
  CHECK(store.stop().ok());
  return reached;
}

void every_failure(uint64_t seed, SyncPolicy policy, bool forever, uint64_t step) {
  uint64_t n = seed % step;
  while (live_with_failure(n, forever, seed, policy)) n += step;
  CHECK(n > 100);
}

}  // namespace

TEST_SUITE("engine/full_disk") {
  TEST_CASE(
      "on a disk of any size nothing acknowledged is lost, reads go on, and writes when there is room") {
    every_capacity(1, 9100);
    every_capacity(6, 15700);
  }

  TEST_CASE("deletes are admitted on a full disk, and when they have made room so is everything") {
    EngineOptions options = options_of(SyncPolicy::kEverySec);
    options.memtable_bytes = 32 << 10;
    options.log_segment_bytes = 64 << 10;
    options.reserve_bytes = 400 << 10;
    Store store(3, options);
    store.disk().set_capacity(3 << 20);
    REQUIRE(store.open().ok());
    Batch batch;
    int keys = 0;
    SimEntropy dice(4);
    while (store.admit()) {
      std::string text(2000, '\0');
      for (char& c : text) c = static_cast<char>(dice.next());
      batch.put("Xkey" + std::to_string(keys++), text);
      store.apply(batch);
      store.turn();
      REQUIRE(keys < 5000);
    }
    CHECK(keys > 300);
    check_is_for_space(store.engine().refusal());
    for (int i = 0; i < keys; ++i) REQUIRE(store.get("Xkey" + std::to_string(i)));
    for (int i = 0; i < keys; ++i) {
      for (int tries = 0;; ++tries) {
        REQUIRE(tries < 1000);
        const auto admission = store.engine().admission(4096, true);
        if (admission == Engine::Admission::kOpen) break;
        INFO(store.engine().refusal().message());
        REQUIRE(admission == Engine::Admission::kWait);
        store.turn();
      }
      batch.erase("Xkey" + std::to_string(i));
      store.engine().apply(batch);
      batch.clear();
      store.turn();
    }
    store.engine().compact("", "\xff", [](Status) {});
    store.settle();
    CHECK(store.admit());
    for (int i = 0; i < keys; ++i) CHECK(!store.get("Xkey" + std::to_string(i)));
    CHECK(store.stop().ok());
  }

  TEST_CASE("whichever operation of the disk fails, once or from then on, no acknowledged write is lost") {
    every_failure(1, SyncPolicy::kAlways, false, 11);
    every_failure(2, SyncPolicy::kAlways, true, 13);
    every_failure(3, SyncPolicy::kEverySec, false, 11);
    every_failure(4, SyncPolicy::kEverySec, true, 13);
  }
}

TEST_SUITE("slow/engine/full_disk") {
  TEST_CASE("every capacity in small steps, every operation that can fail") {
    for (uint64_t seed = 1; seed <= 4; ++seed) every_capacity(seed, 512);
    for (uint64_t seed = 10; seed < 14; ++seed) {
      every_failure(seed, SyncPolicy::kAlways, seed % 2 == 0, 1);
      every_failure(seed, SyncPolicy::kEverySec, seed % 2 == 1, 1);
    }
  }
}
