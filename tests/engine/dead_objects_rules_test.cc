// The safety rules of dead objects, each by itself: an id is dropped only when nothing refers to it and no
// crash can bring a reference back. Breaking any of them loses data or keeps garbage for good.
#include "tests/engine/engine_harness.h"

using namespace engine_test;

namespace {

constexpr int kElements = 40;

EngineOptions rule_options(SyncPolicy policy = SyncPolicy::kEverySec) {
  EngineOptions options = small_options();
  options.sync = policy;
  // A memtable holds several objects, and each is worth a compaction when it is dead.
  options.memory_bytes = 4 << 20;
  options.memtable_bytes = 256 << 10;
  options.compression = Compression::kNone;
  return options;
}

// One database and its objects, step by step.
class Objects {
 public:
  explicit Objects(std::unique_ptr<SimDisk> disk = std::make_unique<SimDisk>(), uint64_t seed = 1)
      : store_(std::make_unique<Store>(seed, rule_options(), std::move(disk))) {
    REQUIRE(store_->open().ok());
    if (store_->database(0).id != kNoObject) return;
    Batch batch;
    batch.put("D0", reference_bytes({store_->engine().new_object(), 0}));
    apply(batch);
  }

  Store& store() { return *store_; }
  Engine& engine() { return store_->engine(); }
  Lsn apply(Batch& batch) {
    const Lsn lsn = store_->apply(batch);
    engine().end_turn();
    return lsn;
  }

  // A header with elements of its own.
  Reference create(const std::string& name, int elements = kElements) {
    const Reference object{engine().new_object(), 0};
    Batch batch;
    for (int i = 0; i < elements; ++i)
      batch.put("S" + id_bytes(object.id) + "e" + std::to_string(i), std::string(900, 'e'));
    batch.put(store_->header(0, name), "o" + reference_bytes(object));
    apply(batch);
    return object;
  }
  void set(const std::string& name, const std::string& value) {
    Batch batch;
    batch.put(store_->header(0, name), value);
    apply(batch);
  }
  Lsn erase(const std::string& name) {
    Batch batch;
    const std::string key = store_->header(0, name);
    REQUIRE(store_->get(key));  // Whoever deletes has looked.
    batch.erase(key, Existence::kPresent);
    return apply(batch);
  }
  Reference rename(const std::string& from, const std::string& to) {
    const auto value = store_->get(store_->header(0, from));
    REQUIRE(value);
    Reference object = reference_from(value->substr(1));
    ++object.generation;
    Batch batch;
    batch.moved(object.id, object.generation);
    batch.put(store_->header(0, to), "o" + reference_bytes(object));
    batch.erase(store_->header(0, from), Existence::kPresent);
    apply(batch);
    return object;
  }

  void flush() {
    engine().flush([](Status status) { CHECK(status.ok()); });
    store_->settle();
  }
  // The first pass may find the dead, the second drops what they own.
  void compact() {
    for (int pass = 0; pass < 2; ++pass) {
      engine().compact("", "\xff", [](Status status) { CHECK(status.ok()); });
      store_->settle();
    }
  }
  void flush_and_compact() {
    flush();
    compact();
  }
  void forget_cached() { engine().drop_caches(); }
  void restart() {
    CHECK(store_->stop().ok());
    auto disk = store_->disk().copy();
    store_ = std::make_unique<Store>(++restarts_ + 100, rule_options(), std::move(disk));
    REQUIRE(store_->open().ok());
  }

  size_t elements(Reference object) {
    return store_->range("S" + id_bytes(object.id), "S" + id_bytes(object.id + 1)).size();
  }
  // Ids that are still known to be dead once all that is under way is done.
  uint64_t dead() {
    store_->settle();
    return engine().stats().dead_objects;
  }
  bool refers(const std::string& name, Reference object) {
    const auto value = store_->get(store_->header(0, name));
    return value && (*value)[0] == 'o' && reference_from(value->substr(1)) == object;
  }

 private:
  std::unique_ptr<Store> store_;
  uint64_t restarts_ = 0;
};

}  // namespace

TEST_SUITE("engine/dead_objects_rules") {
  TEST_CASE("rule i: a header rewritten with the same id kills nothing, in memory or below") {
    Objects objects;
    const Reference x = objects.create("a");
    const std::string same = "o" + reference_bytes(x);
    objects.set("a", same);  // In place.
    objects.flush();
    objects.set("a", same);  // Over a table, seen.
    objects.flush();
    objects.forget_cached();
    objects.set("a", same);  // Over a table, blind.
    objects.flush_and_compact();
    objects.restart();
    objects.compact();
    CHECK(objects.refers("a", x));
    CHECK(objects.elements(x) == kElements);
    CHECK(objects.engine().stats().dead_objects == 0);
  }

  TEST_CASE("rule ii: what was renamed lives on, though its old header is dropped later") {
    for (const bool restarts : {false, true}) {
      for (const bool flushes : {false, true}) {
        CAPTURE(restarts);
        CAPTURE(flushes);
        Objects objects;
        const auto step = [&] {
          if (flushes) objects.flush();
          if (restarts) objects.restart();
        };
        objects.create("a");
        objects.flush_and_compact();
        step();
        const Reference x = objects.rename("a", "b");
        CHECK(x.generation == 1);
        step();
        objects.set("a", "vother");  // And the old name is taken by something else.
        step();
        objects.compact();
        step();
        objects.compact();
        CHECK(objects.refers("b", x));
        CHECK(objects.elements(x) == kElements);
      }
    }
  }

  TEST_CASE("rule ii: A to B and back to A, with the old headers dropped in any order") {
    for (int flush_mask = 0; flush_mask < 8; ++flush_mask) {
      CAPTURE(flush_mask);
      Objects objects;
      objects.create("a");
      objects.flush_and_compact();
      objects.rename("a", "b");
      if (flush_mask & 1) objects.flush();
      if (flush_mask & 2) objects.compact();
      const Reference x = objects.rename("b", "a");
      CHECK(x.generation == 2);
      if (flush_mask & 4) objects.restart();
      objects.flush_and_compact();
      objects.restart();
      objects.compact();
      CHECK(objects.refers("a", x));
      CHECK(objects.elements(x) == kElements);
      // And dies like any other.
      objects.erase("a");
      objects.flush_and_compact();
      CHECK(objects.elements(x) == 0);
    }
  }

  TEST_CASE("rule iii: what a command killed is not dropped before its frame is durable") {
    // A compaction that dropped it earlier would leave a header without elements, were the power cut then.
    int brought_back = 0, stayed_dead = 0;
    for (uint64_t image = 0; image < 24; ++image) {
      CAPTURE(image);
      Objects objects;
      const Reference x = objects.create("a");
      objects.flush();
      Engine& engine = objects.engine();
      REQUIRE(engine.synced() == engine.end());
      REQUIRE(objects.store().get(objects.store().header(0, "a")));
      bool compacted = false;
      engine.compact("", "\xff", [&](Status status) { compacted = status.ok(); });
      const Lsn killed = objects.erase("a");
      objects.store().world().executor.run_all();  // The clock stands still: no sync is due.
      REQUIRE(compacted);
      REQUIRE(engine.stats().flushed < killed);
      REQUIRE(engine.synced() < killed);
      REQUIRE(engine.written() >= killed);

      auto disk = objects.store().disk().crash(image);
      Objects after(std::move(disk), 50);
      if (after.store().recovery().end < killed) {
        ++brought_back;
        CHECK(after.refers("a", x));
        CHECK(after.elements(x) == kElements);
      } else {
        ++stayed_dead;
        CHECK(!after.refers("a", x));
      }
      after.compact();
      CHECK(after.elements(x) == (after.refers("a", x) ? kElements : 0));
      // Where no power was cut it goes, once the frame is synced.
      objects.store().settle();
      REQUIRE(objects.engine().synced() >= killed);
      objects.compact();
      CHECK(objects.elements(x) == 0);
    }
    CHECK(brought_back > 0);
    CHECK(stayed_dead > 0);
  }

  TEST_CASE("rule iii: what a command killed is counted as long as a power cut can bring it back") {
    int brought_back = 0, stayed_dead = 0;
    for (uint64_t image = 0; image < 24; ++image) {
      CAPTURE(image);
      Objects objects;
      for (const char* name : {"a", "b", "c"}) objects.set(name, "v1");
      objects.flush();
      Engine& engine = objects.engine();
      const Reference database = objects.store().database(0);
      REQUIRE(engine.count(database.id) == 3);
      REQUIRE(engine.synced() == engine.end());
      bool compacted = false;
      engine.compact("", "\xff", [&](Status status) { compacted = status.ok(); });
      Batch batch;
      batch.put("D0", reference_bytes({engine.new_object(), 0}));
      const Lsn killed = objects.apply(batch);
      objects.store().world().executor.run_all();  // The clock stands still: no sync is due.
      REQUIRE(compacted);
      REQUIRE(engine.synced() < killed);

      Objects after(objects.store().disk().crash(image), 50);
      const bool back = after.store().recovery().end < killed;
      ++(back ? brought_back : stayed_dead);
      CHECK((after.store().database(0).id == database.id) == back);
      CHECK(after.engine().count(after.store().database(0).id) == (back ? 3 : 0));
    }
    CHECK(brought_back > 0);
    CHECK(stayed_dead > 0);
  }

  TEST_CASE("rule iv: a snapshot keeps the elements of what dies after it, and no longer") {
    Objects objects;
    const Reference x = objects.create("a");
    objects.flush();
    auto snapshot = objects.engine().snapshot();
    objects.erase("a");
    objects.flush_and_compact();
    CHECK(objects.elements(x) == 0);
    CHECK(Store::range(*snapshot, "S" + id_bytes(x.id), "S" + id_bytes(x.id + 1)).size() == kElements);
    snapshot.reset();
    CHECK(objects.dead() == 0);
  }

  TEST_CASE("what is dead goes from a shallow L0 as well, and tombstones that lie beside it stay") {
    Objects objects;
    objects.set("gone", "old");
    objects.set("kept", "old");
    objects.flush();
    objects.create("big", 40);
    objects.erase("gone");
    objects.set("kept", "new");
    objects.flush();
    const auto bytes = [&] {
      uint64_t sum = 0;
      for (const LevelStats& level : objects.engine().stats().levels) sum += level.bytes;
      return sum;
    };
    const uint64_t before = bytes();
    objects.erase("big");
    objects.engine().request_sync();
    objects.store().settle();
    objects.engine().tick();
    objects.store().settle();
    CAPTURE(before);
    CHECK(bytes() < before / 2);
    objects.forget_cached();
    CHECK_FALSE(objects.store().get(objects.store().header(0, "gone")));
    CHECK(objects.store().get(objects.store().header(0, "kept")) == "new");
    objects.restart();
    CHECK_FALSE(objects.store().get(objects.store().header(0, "gone")));
  }

  TEST_CASE("rule vi: a rename at any moment of a compaction is known when its kills are judged") {
    for (uint64_t steps = 0; steps < 40; ++steps) {
      CAPTURE(steps);
      Objects objects;
      const Reference y = objects.create("b");
      objects.create("a");
      objects.flush();
      objects.set("b", "vplain");  // A kill that is rightly proposed ...
      objects.flush();
      objects.engine().compact("", "\xff", [](Status) {});
      objects.store().pump(steps);
      const Reference x = objects.rename("a", "b");  // ... while another id moves to just that name.
      objects.store().settle();
      objects.flush_and_compact();
      objects.restart();
      objects.compact();
      CHECK(objects.refers("b", x));
      CHECK(objects.elements(x) == kElements);
      CHECK(objects.elements(y) == 0);
    }
  }

  TEST_CASE(
      "rule vii: a header overwritten in memory, which no compaction will ever see, is killed by that") {
    for (const bool by_object : {false, true}) {
      CAPTURE(by_object);
      Objects objects;
      const Reference x = objects.create("a");
      if (by_object)
        objects.create("a", 1);
      else
        objects.set("a", "vplain");
      objects.flush_and_compact();
      CHECK(objects.elements(x) == 0);
      CHECK(objects.dead() == 0);
    }
  }

  TEST_CASE("rule vii: a header overwritten while its memtable is frozen or on its way is killed as well") {
    for (uint64_t steps = 0; steps < 30; ++steps) {
      CAPTURE(steps);
      Objects objects;
      const Reference x = objects.create("a");
      objects.engine().flush([](Status) {});
      objects.store().pump(steps);
      objects.set("a", "vplain");
      objects.flush_and_compact();
      CHECK(objects.elements(x) == 0);
    }
  }

  TEST_CASE("rule vii: a cold header overwritten blindly is killed by the compaction that drops it") {
    Objects objects;
    const Reference x = objects.create("a");
    objects.flush();
    objects.restart();
    objects.set("a", "vplain");  // Nobody has read what was there.
    CHECK(objects.engine().stats().dead_objects == 0);
    objects.flush_and_compact();
    CHECK(objects.elements(x) == 0);
    CHECK(objects.dead() == 0);
  }

  TEST_CASE("rule vii: a flush that drops headers of a dead database kills what they refer to") {
    Objects objects;
    const Reference x = objects.create("a");
    const Reference y = objects.create("b");
    objects.flush();  // One below, one in memory only.
    const Reference z = objects.create("c");
    Batch batch;
    batch.put("D0", reference_bytes({objects.engine().new_object(), 0}));
    objects.apply(batch);
    objects.store().world().clock.advance_ms(1100);
    objects.engine().tick();  // Synced, so that the flush may use it.
    objects.store().world().executor.run_all();
    objects.flush_and_compact();
    objects.compact();
    CHECK(objects.elements(x) + objects.elements(y) + objects.elements(z) == 0);
    CHECK(objects.dead() == 0);
  }

  TEST_CASE("counts are exact with blind writes over cold keys, through flushes, compactions and restarts") {
    for (uint64_t seed = 1; seed <= 10; ++seed) {
      CAPTURE(seed);
      SimEntropy dice(seed);
      Objects objects(std::make_unique<SimDisk>(), seed);
      std::map<std::string, int> keys;
      uint64_t debts_seen = 0;
      for (int step = 0; step < 120; ++step) {
        CAPTURE(step);
        Batch batch;
        for (int i = 0; i < 15; ++i) {
          const std::string name = "k" + std::to_string(dice.below(150));
          if (dice.below(3) == 0) {
            batch.erase(objects.store().header(0, name));
            keys.erase(name);
          } else {
            batch.put(objects.store().header(0, name), "v" + std::to_string(step));
            keys[name] = step;
          }
        }
        objects.apply(batch);
        switch (dice.below(12)) {
          case 0: objects.flush(); break;
          case 1: objects.forget_cached(); break;
          case 2: objects.restart(); break;
          case 3: objects.flush(), objects.forget_cached(); break;
          case 4:
            if (dice.below(3) == 0) objects.compact();
            break;
          default: objects.store().turn();
        }
        const ObjectId database = objects.store().database(0).id;
        Engine& engine = objects.engine();
        const auto exact = engine.snapshot()->count(database);
        REQUIRE(exact.ok());
        REQUIRE(exact.value() == keys.size());
        CHECK(engine.count(database) >= keys.size());
        CHECK(engine.count(database) <= keys.size() + engine.unsettled());
        debts_seen += engine.unsettled();
      }
      CHECK(debts_seen > 0);
      objects.flush_and_compact();
      CHECK(objects.engine().unsettled() == 0);
      CHECK(objects.engine().count(objects.store().database(0).id) == keys.size());
    }
  }
}
