// The power is cut at every operation of a history; what comes back must be a prefix of it, and long enough.
#include "tests/engine/engine_player.h"

using namespace engine_test;

namespace {

struct History {
  uint64_t operations = 0;  // That changed the disk.
  std::map<Lsn, Model> at;  // What the store held when its log ended there.
  Lsn acknowledged = 0;     // What `always` would have replied by the time of the cut.
  bool was_cut = false;
};

constexpr int kCommands = 160;

EngineOptions crash_options(SyncPolicy policy) {
  EngineOptions options = small_options();
  options.memtable_bytes = 3 << 10;
  options.log_segment_bytes = 16 << 10;
  options.sync = policy;
  return options;
}

// Plays the history of `seed` until its end or until the power is cut before operation `cut`.
History play(uint64_t seed, SyncPolicy policy, uint64_t cut, std::unique_ptr<SimDisk>* disk_after) {
  History history;
  history.at[0] = {};  // The power may be cut before there is a store.
  auto disk = std::make_unique<SimDisk>();
  disk->cut_power_at(cut);
  Store store(seed, crash_options(policy), std::move(disk));
  try {
    if (!store.open().ok()) throw PowerCut{};
    Player player(store, {});
    for (int command = 0; command < kCommands; ++command) {
      if (!store.admit()) throw PowerCut{};
      player.play();
      history.at[store.engine().end()] = player.model();
      store.turn();
      if (store.disk().power_is_cut()) throw PowerCut{};
      history.acknowledged = store.engine().synced();
    }
  } catch (const PowerCut&) {
    history.was_cut = true;
  }
  history.operations = store.disk().operations().size();
  *disk_after = store.power_off();
  return history;
}

void check_recovery(const History& history, uint64_t seed, SyncPolicy policy, std::unique_ptr<SimDisk> disk) {
  Store store(seed + 7777, crash_options(policy), std::move(disk));  // Another process, other random numbers.
  const Status opened = store.open();
  INFO(opened.message());
  REQUIRE(opened.ok());
  const Lsn end = store.recovery().end;
  CAPTURE(end);
  CAPTURE(history.acknowledged);
  CHECK(end >= history.acknowledged);
  REQUIRE(history.at.contains(end));
  Model seen = store.read_model(kDatabases);
  Model expected = history.at.at(end);
  Store::drop_empty(&seen);
  Store::drop_empty(&expected);
  REQUIRE(seen == expected);
  // And it goes on living.
  Player player(store, history.at.at(end));
  for (int command = 0; command < 10; ++command) {
    REQUIRE(store.admit());
    player.play();
    store.turn();
  }
  seen = store.read_model(kDatabases);
  expected = player.model();
  Store::drop_empty(&seen);
  Store::drop_empty(&expected);
  CHECK(seen == expected);
  CHECK(store.stop().ok());
}

void cut_everywhere(uint64_t seed, SyncPolicy policy, uint64_t step, uint64_t images) {
  CAPTURE(seed);
  std::unique_ptr<SimDisk> disk;
  const History whole = play(seed, policy, SimDisk::kNever, &disk);
  REQUIRE(!whole.was_cut);
  for (uint64_t cut = seed % step; cut < whole.operations; cut += step) {
    CAPTURE(cut);
    const History history = play(seed, policy, cut, &disk);
    for (uint64_t image = 0; image < images; ++image) {
      CAPTURE(image);
      check_recovery(history, seed, policy, disk->crash(seed * 1000 + image, {.junk = image % 2 == 1}));
    }
  }
}

}  // namespace

TEST_SUITE("engine/crash") {
  TEST_CASE(
      "whenever the power is cut, what was acknowledged is there, batches are whole, the history is a "
      "prefix") {
    for (uint64_t seed = 1; seed <= 4; ++seed) cut_everywhere(seed, SyncPolicy::kAlways, 7, 1);
    for (uint64_t seed = 5; seed <= 6; ++seed) cut_everywhere(seed, SyncPolicy::kEverySec, 7, 1);
  }
}

TEST_SUITE("slow/engine/crash") {
  TEST_CASE("every operation of many histories, several images of each cut") {
    for (uint64_t seed = 1; seed <= 20; ++seed) {
      cut_everywhere(seed, SyncPolicy::kAlways, 1, 3);
      cut_everywhere(seed + 100, SyncPolicy::kEverySec, 1, 3);
    }
  }
}
