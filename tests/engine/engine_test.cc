// The engine against a model, under random operations in a simulated world, with restarts and power cuts.
#include "engine/engine.h"

#include "tests/engine/engine_player.h"

using namespace engine_test;

namespace {

void check_equal(Store& store, Model expected) {
  Model seen = store.read_model(kDatabases);
  Store::drop_empty(&seen);
  Store::drop_empty(&expected);
  REQUIRE(seen == expected);
  const auto snapshot = store.engine().snapshot();
  for (int n = 0; n < kDatabases; ++n) {
    const Reference db = store.database(n);
    if (db.id == kNoObject) continue;
    const uint64_t keys = expected.databases.contains(n) ? expected.databases[n].size() : 0;
    const auto counted = snapshot->count(db.id);
    REQUIRE(counted.ok());
    CHECK(counted.value() == keys);
    CHECK(store.engine().count(db.id) >= keys);
    if (store.engine().unsettled() == 0) CHECK(store.engine().count(db.id) == keys);
  }
}

}  // namespace

TEST_SUITE("engine/engine") {
  TEST_CASE("what was written is read, before and after flushes, compactions and clean restarts") {
    for (uint64_t seed = 1; seed <= 12; ++seed) {
      CAPTURE(seed);
      Model model;
      std::unique_ptr<SimDisk> disk = std::make_unique<SimDisk>();
      for (int life = 0; life < 3; ++life) {
        EngineOptions options = small_options();
        if (seed % 3 == 0) options.cold_chance = UINT32_MAX / 4;
        if (seed % 4 == 0) options.compression = Compression::kNone;
        Store store(seed * 10 + static_cast<uint64_t>(life), options, std::move(disk));
        REQUIRE(store.open().ok());
        check_equal(store, model);
        Player player(store, model);
        for (int step = 0; step < 1500; ++step) {
          REQUIRE(store.admit());
          player.play();
          store.turn();
          if (store.roll(200) == 0) store.engine().drop_caches();
          if (store.roll(300) == 0) check_equal(store, player.model());
        }
        if (store.roll(2) == 0) store.settle();
        check_equal(store, player.model());
        model = player.model();
        CHECK(store.stop().ok());
        disk = store.disk().copy();
      }
    }
  }

  TEST_CASE("batches write keys that were just read, some of them several times, and new ones again") {
    for (uint64_t seed = 1; seed <= 6; ++seed) {
      CAPTURE(seed);
      Store store(seed, small_options());
      REQUIRE(store.open().ok());
      std::map<std::string, std::string> model;
      const auto key = [&] { return "x" + std::to_string(store.roll(seed % 2 == 0 ? 20 : 2000)); };
      for (int step = 0; step < 4000; ++step) {
        std::string last = key();
        for (uint64_t reads = store.roll(4); reads > 0; --reads) {
          if (store.roll(2) == 0) last = key();
          const auto expected = model.find(last);
          const auto found = store.get(last);
          REQUIRE(found.has_value() == (expected != model.end()));
          if (found) REQUIRE(*found == expected->second);
        }
        Batch batch;
        for (uint64_t writes = store.roll(12); writes > 0; --writes) {
          if (store.roll(2) == 0) last = key();
          const bool there = model.contains(last);
          if (store.roll(4) == 0) {
            batch.erase(last, there ? Existence::kPresent : Existence::kUnknown);
            model.erase(last);
          } else {
            model[last] = std::to_string(step) + std::string(store.roll(60), 'v');
            batch.put(last, model[last], there ? Existence::kPresent : Existence::kAbsent);
          }
        }
        store.apply(batch);
        store.turn();
        if (store.roll(300) == 0) store.engine().drop_caches();
      }
      CHECK(store.range("x", "y") == model);
      for (const auto& [name, value] : model) CHECK(store.get(name) == value);
      CHECK(store.stop().ok());
    }
  }

  TEST_CASE("a snapshot shows its moment, whatever is written, flushed and compacted later") {
    Store store(5, small_options());
    REQUIRE(store.open().ok());
    Player player(store, {});
    std::vector<std::pair<std::shared_ptr<const Snapshot>, std::map<std::string, std::string>>> taken;
    for (int step = 0; step < 2000; ++step) {
      REQUIRE(store.admit());
      player.play();
      store.turn();
      if (step % 250 == 0) taken.emplace_back(store.engine().snapshot(), store.range("", ""));
    }
    store.settle();
    for (const auto& [snapshot, records] : taken) {
      // Dead objects' elements may be there or not: nothing refers to them. All else is as it was.
      const auto now = Store::range(*snapshot, "", "");
      for (const auto& [key, value] : records) {
        if (key[0] != 'S' || now.contains(key)) CHECK(now.at(key) == value);
      }
    }
    taken.clear();
    CHECK(store.stop().ok());
  }

  TEST_CASE("the dead leave: their elements go from disk, their ids from memory") {
    Store store(6, small_options());
    REQUIRE(store.open().ok());
    Batch batch;
    const Reference db{store.engine().new_object(), 0};
    batch.put("D0", reference_bytes(db));
    store.apply(batch);
    for (int i = 0; i < 40; ++i) {
      const Reference object{store.engine().new_object(), 0};
      for (int e = 0; e < 60; ++e) {
        std::string text(1000, '\0');  // Of a kind that does not compress away.
        for (char& c : text) c = static_cast<char>(store.roll(256));
        batch.put("S" + id_bytes(object.id) + std::to_string(e), text);
      }
      batch.put(store.header(0, std::to_string(i)), "o" + reference_bytes(object));
      REQUIRE(store.admit());
      store.apply(batch);
      store.turn();
    }
    store.settle();
    CHECK(store.engine().stats().disk_bytes > 2'000'000);
    batch.put("D0", reference_bytes({store.engine().new_object(), 0}));
    store.apply(batch);
    store.settle();
    bool compacted = false;
    store.engine().compact("", "\xff", [&](Status status) { compacted = status.ok(); });
    store.settle();
    CHECK(compacted);
    store.engine().compact("", "\xff", [&](Status status) { compacted = status.ok(); });
    store.settle();
    CHECK(store.engine().stats().dead_objects == 0);
    CHECK(store.engine().stats().disk_bytes < 100'000);
    CHECK(store.stop().ok());
  }

  TEST_CASE("sublevels that are walked over again and again are merged, those that are not stay") {
    for (const bool walked : {false, true}) {
      CAPTURE(walked);
      Store store(5, {.directory = "db", .memtable_bytes = 64 << 10});
      REQUIRE(store.open().ok());
      const auto key = [](uint64_t n) { return "H" + id_bytes(1) + id_bytes(n); };
      for (int run = 0; run < 3; ++run) {
        Batch batch;
        for (uint64_t n = 0; n < 100; ++n) batch.put(key(n * 3 + static_cast<uint64_t>(run)), "v");
        store.engine().apply(batch);
        store.engine().flush([](Status s) { CHECK(s.ok()); });
        store.settle();
      }
      const auto depth = [&] { return store.engine().stats().levels[0].runs; };
      REQUIRE(depth() == 3);
      // Some hundred thousand steps over three sublevels are worth more than a few kilobytes.
      for (int walk = 0; walk < 2000; ++walk) {
        ReadContext context;
        const auto reader = store.engine().reader(context);
        auto it = reader->iterator(key(0), key(walked ? 300 : 1));
        auto state = it->seek_first();
        if (state == Iterator::State::kCold) {
          it.reset();
          store.engine().fetch(context, [] {});
          store.world().executor.run_all();
          continue;
        }
        uint64_t records = 0;
        for (; walked && state == Iterator::State::kAt; state = it->next()) ++records;
        if (walked && state == Iterator::State::kEnd) REQUIRE(records == 300);
      }
      store.settle();
      CHECK(depth() == (walked ? 0 : 3));
      REQUIRE(store.stop().ok());
    }
  }

  TEST_CASE("approximate_bytes() counts what is in no table yet, and only the range") {
    Store store(7, EngineOptions{}, std::make_unique<SimDisk>());
    REQUIRE(store.open().ok());
    CHECK(store.engine().approximate_bytes("S", "T") == 0);
    const ObjectId few = store.engine().new_object(), many = store.engine().new_object();
    Batch batch;
    for (int i = 0; i < 1000; ++i) {
      const std::string element = "e" + std::to_string(1000 + i);
      if (i < 10) batch.put("S" + id_bytes(few) + element, std::string(100, 'v'));
      batch.put("S" + id_bytes(many) + element, std::string(100, 'v'));
    }
    store.apply(batch);
    store.turn();
    REQUIRE(store.engine().stats().flushed == 0);
    const auto held = [&](ObjectId id) {
      return store.engine().approximate_bytes("S" + id_bytes(id), "S" + id_bytes(id + 1));
    };
    CHECK(held(many) > 100'000);
    CHECK(held(many) < 300'000);
    CHECK(held(few) > 0);
    CHECK(held(few) < 30'000);
    CHECK(store.stop().ok());
  }
}
