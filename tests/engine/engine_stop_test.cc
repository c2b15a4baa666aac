// Stopping, whatever is under way.
#include "tests/engine/careful_reader.h"

using namespace engine_test;

namespace {

EngineOptions busy_options() {
  EngineOptions options = small_options();
  options.memtable_bytes = 3 << 10;
  options.log_segment_bytes = 16 << 10;
  return options;
}

}  // namespace

TEST_SUITE("engine/stop") {
  TEST_CASE(
      "stop() comes to an end at any step of flushes, compactions, installs and syncs, and loses nothing") {
    for (uint64_t steps = 0; steps < 120; ++steps) {
      CAPTURE(steps);
      Store store(steps % 7 + 1, busy_options());
      REQUIRE(store.open().ok());
      Player player(store, {});
      for (int command = 0; command < 100; ++command) {
        REQUIRE(store.admit());
        player.play();
        store.turn();
      }
      const auto snapshot = store.engine().snapshot();
      const auto seen = Store::range(*snapshot, "", "");
      int told = 0;
      store.engine().flush([&](Status) { ++told; });
      store.engine().compact("", "\xff", [&](Status) { ++told; });
      store.pump(steps);
      CHECK(store.stop().ok());
      CHECK(told == 2);
      // What a snapshot shows outlives the end.
      CHECK(Store::range(*snapshot, "", "") == seen);

      Store again(77, busy_options(), store.disk().copy());
      REQUIRE(again.open().ok());
      CHECK(again.recovery().cut_bytes == 0);
      CarefulReader reader(again);
      reader.compare(player.model());
      CHECK(reader.failures() == 0);
      CHECK(again.stop().ok());
    }
  }

  TEST_CASE("stop() waits for a cold read, and comes to an end when that was the last thing it waited for") {
    // It once never did: only jobs of the background looked whether somebody waits for the end.
    Store store(1, busy_options());
    REQUIRE(store.open().ok());
    Batch batch;
    for (int i = 0; i < 200; ++i) {
      batch.put("X" + std::to_string(i), std::string(50, 'x'));
      store.apply(batch);
      store.turn();
    }
    store.engine().flush([](Status) {});
    store.settle();
    store.engine().drop_caches();
    ReadContext context;
    REQUIRE(store.engine().get("X5", context).state == Lookup::State::kCold);
    bool fetched = false;
    store.engine().fetch(context, [&] { fetched = true; });
    CHECK(store.stop().ok());
    CHECK(fetched);
  }
}
