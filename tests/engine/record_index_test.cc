#include "engine/record_index.h"

#include <doctest/doctest.h>

#include <deque>
#include <memory>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/record.h"

namespace engine {
namespace {

constexpr uint64_t kSeed = 99;

uint64_t hash_of(std::string_view key) { return hash_key(key, kSeed); }

std::string name(uint64_t number) { return "key:" + std::to_string(number); }

const MemRecord* cached(RecordIndex& index, const std::string& key, const std::string& value) {
  return index.cache(hash_of(key), key, value, kPut);
}

MemRecord* found(RecordIndex& index, const std::string& key) { return index.find(hash_of(key), key); }

// What the engine does with memtables and tables, in small: tables are a map.
class Engine {
 public:
  struct Value {
    std::string bytes;
    bool live = false;
    bool operator==(const Value&) const = default;
  };

  explicit Engine(uint64_t capacity_bytes) : index(capacity_bytes, kSeed) { rotate(); }

  void put(const std::string& key, const std::string& value, bool live) {
    Memtable& active = *memtables.back().table;
    MemRecord* before = found(index, key);
    MemRecord* old = before != nullptr && before->home == memtables.back().home ? before : nullptr;
    MemRecord* record = active.put(key, value, live ? kPut : kTombstone, ++lsn, old);
    if (record != before) index.point_to(hash_of(key), record);
    memtables.back().model[key] = {value, live};
  }

  // The same by who does not look what was there.
  void put_soon(const std::string& key, const std::string& value) {
    Memtable& active = *memtables.back().table;
    index.point_to_soon(hash_of(key), active.put(key, value, kPut, ++lsn, nullptr));
    memtables.back().model[key] = {value, true};
  }

  // Answers from the index or else from "tables", which it then remembers.
  Value get(const std::string& key) {
    if (const MemRecord* record = found(index, key))
      return {std::string(record->value()), !record->tombstone()};
    for (const Run& run : memtables) REQUIRE((run.leaving != nullptr || !run.model.contains(key)));
    const Value value = tables[key];
    const MemRecord* copy = index.cache(hash_of(key), key, value.bytes, value.live ? kPut : kTombstone);
    REQUIRE(copy != nullptr);
    CHECK(copy->home == kHomeCache);
    CHECK(copy->value() == value.bytes);
    CHECK(copy->tombstone() == !value.live);
    return value;
  }

  Value truth(const std::string& key) const {
    for (auto run = memtables.rbegin(); run != memtables.rend(); ++run) {
      if (const auto it = run->model.find(key); it != run->model.end()) return it->second;
    }
    const auto it = tables.find(key);
    return it != tables.end() ? it->second : Value{};
  }

  void rotate() {
    if (!memtables.empty()) memtables.back().table->freeze();
    const uint8_t home = next_home++ % 5;
    memtables.push_back({std::make_unique<Memtable>(home), home, {}, nullptr});
  }

  // The oldest frozen memtable becomes a part of the tables; its records leave the index some at a time.
  void retire_slice(int records) {
    if (memtables.size() < 2) return;
    Run& run = memtables.front();
    if (run.leaving == nullptr) {
      for (const auto& [key, value] : run.model) tables[key] = value;
      run.leaving = run.table->view()->iterator();
      run.leaving->seek_first();
    }
    for (; records > 0 && run.leaving->state() == Iterator::State::kAt; --records) {
      const std::string key(run.leaving->key());
      index.retire(hash_of(key), const_cast<MemRecord*>(run.table->find(key)));
      run.leaving->next();
    }
    if (run.leaving->state() == Iterator::State::kEnd) {
      index.maintain();
      memtables.pop_front();
    }
  }

  struct Run {
    std::unique_ptr<Memtable> table;
    uint8_t home;
    std::unordered_map<std::string, Value> model;
    std::unique_ptr<Iterator> leaving;
  };

  RecordIndex index;
  std::deque<Run> memtables;
  std::unordered_map<std::string, Value> tables;
  Lsn lsn = 0;
  uint8_t next_home = 0;
};

}  // namespace

TEST_SUITE("engine/record_index") {
  TEST_CASE("random writes, reads, flushes and evictions never show anything but the newest value") {
    for (uint64_t seed = 1; seed <= 8; ++seed) {
      CAPTURE(seed);
      std::mt19937_64 random(seed);
      const uint64_t capacity = seed % 2 == 0 ? 20'000 : 300'000;
      const uint64_t keys = seed % 3 == 0 ? 200 : 8000;
      Engine engine(capacity);
      for (int i = 0; i < 25000; ++i) {
        const uint64_t range = random() % 4 == 0 ? keys : keys / 20 + 1;
        const std::string key = name(random() % range);
        const uint64_t what = random() % 1000;
        if (what < 400) {
          const bool live = random() % 5 > 0;
          const std::string value = std::string(random() % 60, 'v') + std::to_string(i);
          if (live && random() % 2 == 0)
            engine.put_soon(key, value);
          else
            engine.put(key, live ? value : "", live);
        } else if (what < 960) {
          REQUIRE(engine.get(key) == engine.truth(key));
        } else if (what < 980) {
          engine.index.maintain();
          CHECK(engine.index.cached_records() * 40 <= capacity);
        } else if (what < 995) {
          engine.retire_slice(static_cast<int>(random() % 600));
        } else if (what < 999) {
          if (engine.memtables.size() < 4) engine.rotate();
        } else {
          engine.index.clear_cache();
          CHECK(engine.index.cached_records() == 0);
        }
      }
      // Every key, once more, with all memtables and then with none.
      for (uint64_t k = 0; k < keys; ++k) REQUIRE(engine.get(name(k)) == engine.truth(name(k)));
      engine.rotate();
      while (engine.memtables.size() > 1) engine.retire_slice(1000);
      engine.index.maintain();
      for (uint64_t k = 0; k < keys; ++k) REQUIRE(engine.get(name(k)) == engine.truth(name(k)));
    }
  }

  TEST_CASE("all records of a growing memtable are found at every size") {
    Memtable table(0);
    RecordIndex index(1 << 20, kSeed);
    std::vector<MemRecord*> records;
    for (uint64_t i = 0; i < 60000; ++i) {
      records.push_back(table.put(name(i), "v", kPut, 1, nullptr));
      CHECK(found(index, name(i)) == nullptr);
      index.point_to(hash_of(name(i)), records.back());
      for (const uint64_t k : {uint64_t{0}, i / 3, i / 2, i}) REQUIRE(found(index, name(k)) == records[k]);
    }
    for (uint64_t i = 0; i < records.size(); ++i) REQUIRE(found(index, name(i)) == records[i]);
    CHECK(index.misses() == records.size());
    CHECK(index.hits() == 5 * records.size());
    CHECK(index.cached_records() == 0);
    // Slots are never less than a quarter full but while they grow.
    CHECK(index.bytes() < records.size() * 8 * 6 + 100'000);
  }

  TEST_CASE("a write takes the place of the cached record, which lives until maintain()") {
    RecordIndex index(1 << 20, kSeed);
    const MemRecord* copy = cached(index, "key", "from a table");
    REQUIRE(copy != nullptr);
    CHECK(copy == found(index, "key"));
    Memtable table(2);
    MemRecord* record = table.put("key", "written", kPut, 1, nullptr);
    index.point_to(hash_of("key"), record);
    CHECK(found(index, "key") == record);
    CHECK(index.cached_records() == 0);
    CHECK(copy->value() == "from a table");  // ASan would speak up.
    const uint64_t bytes = index.bytes();
    index.maintain();
    CHECK(index.bytes() < bytes);
    CHECK(found(index, "key") == record);
  }

  TEST_CASE("nothing that was found goes before maintain(), be it dropped, cleared or over the capacity") {
    RecordIndex index(2000, kSeed);
    std::vector<const MemRecord*> copies;
    for (uint64_t i = 0; i < 500; ++i) copies.push_back(cached(index, name(i), "value of " + name(i)));
    index.clear_cache();
    for (uint64_t i = 500; i < 1000; ++i) copies.push_back(cached(index, name(i), "value of " + name(i)));
    for (uint64_t i = 0; i < copies.size(); ++i) REQUIRE(copies[i]->value() == "value of " + name(i));
    CHECK(index.cached_records() == 500);
    index.maintain();
    CHECK(index.cached_records() < 2000 / 40);
    CHECK(index.cached_records() > 0);
  }

  TEST_CASE("known absence is cached as a tombstone") {
    RecordIndex index(1 << 20, kSeed);
    const MemRecord* absent = index.cache(hash_of("none"), "none", {}, kTombstone | kUnsettled);
    REQUIRE(absent != nullptr);
    CHECK(absent->flags == kTombstone);
    CHECK(found(index, "none") == absent);
    CHECK(absent->value().empty());
  }

  TEST_CASE("a value over kCachedValueMax is not kept") {
    RecordIndex index(1 << 20, kSeed);
    CHECK(cached(index, "large", std::string(kCachedValueMax + 1, 'v')) == nullptr);
    CHECK(found(index, "large") == nullptr);
    CHECK(cached(index, "fits", std::string(kCachedValueMax, 'v')) != nullptr);
    CHECK(found(index, "fits") != nullptr);
  }

  TEST_CASE("the capacity holds after every maintain(), and a smaller one too") {
    RecordIndex index(1 << 20, kSeed);
    const uint64_t empty_bytes = index.bytes();
    std::mt19937_64 random(5);
    for (uint64_t i = 0; i < 20000; ++i) {
      cached(index, name(i), std::string(random() % 300, 'v'));
      if (i % 100 != 0) continue;
      index.maintain();
      // Slots take some 16 bytes a record, and three times that while they grow.
      REQUIRE(index.bytes() < empty_bytes + (1 << 20) + index.cached_records() * 48);
    }
    index.maintain();
    CHECK(index.cached_records() > 2500);
    index.set_capacity(100'000);
    index.maintain();
    CHECK(index.cached_records() < 100'000 / 50);
    CHECK(index.cached_records() > 100);
    index.set_capacity(0);
    index.maintain();
    CHECK(index.cached_records() == 0);
  }

  TEST_CASE("records that are read often outlast a scan of ten times the capacity") {
    RecordIndex index(1 << 20, kSeed);
    constexpr uint64_t kHot = 1000;
    for (uint64_t i = 0; i < kHot; ++i) cached(index, name(i), "hot");
    for (uint64_t i = kHot; i < 100'000; ++i) {
      cached(index, name(i), "scanned once");
      CHECK(found(index, name(i % kHot)) != nullptr);
      if (i % 50 == 0) index.maintain();
    }
  }

  TEST_CASE("a record that comes back soon after its eviction is kept longer than one that is new") {
    RecordIndex index(1 << 20, kSeed);
    for (uint64_t i = 0; i < 20000; ++i) {
      cached(index, name(i), "v");
      index.maintain();
    }
    // Evicted some thousand records ago; still a ghost.
    uint64_t back = 0;
    for (uint64_t i = 20000; found(index, name(--i)) != nullptr;) back = i;
    back -= 10;
    cached(index, name(back), "v");
    cached(index, "new", "v");
    for (uint64_t i = 30000; i < 60000; ++i) {
      cached(index, name(i), "v");
      index.maintain();
    }
    CHECK(found(index, name(back)) != nullptr);
    CHECK(found(index, "new") == nullptr);
  }

  TEST_CASE("a retired record leaves a copy as long as half of the cache is empty") {
    RecordIndex index(8 << 10, kSeed);
    Memtable table(1);
    std::vector<MemRecord*> records;
    for (int i = 0; i < 200; ++i) {
      records.push_back(table.put("k" + std::to_string(i), "value", kPut, 7, nullptr));
      index.point_to(hash_of(records.back()->key()), records.back());
    }
    for (MemRecord* record : records) index.retire(hash_of(record->key()), record);
    CHECK(index.cached_records() > 10);
    CHECK(index.cached_records() < 100);
    const MemRecord* first = found(index, "k0");
    REQUIRE(first != nullptr);
    CHECK(first->home == kHomeCache);
    CHECK(first->value() == "value");
    CHECK(found(index, "k199") == nullptr);
  }

  TEST_CASE("a retired record leaves a full cache, unless it is hot: then a copy stays") {
    RecordIndex index(0, kSeed);
    auto table = std::make_unique<Memtable>(1);
    std::vector<MemRecord*> records;
    for (const std::string key : {"cold", "hot", "hot but large", "hot and gone", "written since"}) {
      const bool gone = key == "hot and gone";
      const std::string value = key == "hot but large" ? std::string(kCachedValueMax + 1, 'v')
                                : gone                 ? ""
                                                       : "value";
      records.push_back(table->put(key, value, gone ? kTombstone | kUnsettled : kPut, 77, nullptr));
      index.point_to(hash_of(key), records.back());
      if (key.starts_with("hot")) {
        for (int i = 0; i < 3; ++i) CHECK(found(index, key) == records.back());
      }
    }
    Memtable newer(2);
    MemRecord* since = newer.put("written since", "newer", kPut, 78, nullptr);
    index.point_to(hash_of("written since"), since);
    for (MemRecord* record : records) index.retire(hash_of(record->key()), record);
    index.set_capacity(1 << 20);
    index.maintain();
    table.reset();
    CHECK(found(index, "cold") == nullptr);
    CHECK(found(index, "hot but large") == nullptr);
    CHECK(found(index, "written since") == since);
    const MemRecord* hot = found(index, "hot");
    REQUIRE(hot != nullptr);
    CHECK(hot->home == kHomeCache);
    CHECK(hot->value() == "value");
    CHECK(hot->lsn == 77);
    const MemRecord* gone = found(index, "hot and gone");
    REQUIRE(gone != nullptr);
    CHECK(gone->flags == kTombstone);
    CHECK(index.cached_records() == 2);
  }

  TEST_CASE("clear_cache() drops what is cached and nothing else") {
    RecordIndex index(1 << 20, kSeed);
    Memtable table(0);
    for (uint64_t i = 0; i < 1000; ++i) {
      if (i % 2 == 0) {
        cached(index, name(i), "v");
      } else {
        index.point_to(hash_of(name(i)), table.put(name(i), "v", kPut, 1, nullptr));
      }
    }
    index.clear_cache();
    CHECK(index.cached_records() == 0);
    for (uint64_t i = 0; i < 1000; ++i) CHECK((found(index, name(i)) != nullptr) == (i % 2 == 1));
    index.maintain();
    cached(index, name(0), "again");
    CHECK(found(index, name(0))->value() == "again");
  }
}

}  // namespace engine
