#include "engine/memtable.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/memtable_tree.h"

namespace engine {
namespace {

constexpr uint8_t kHome = 3;

struct Expected {
  std::string value;
  uint8_t flags = kPut;
  bool operator==(const Expected&) const = default;
};
using Model = std::map<std::string, Expected>;

struct Random {
  explicit Random(uint64_t seed) : engine(seed) {}
  uint64_t below(uint64_t n) { return engine() % n; }
  std::mt19937_64 engine;
};

// Keys that are hard to tell apart: by length alone, by trailing zeros, behind long shared prefixes.
std::string hard_key(Random& random, uint64_t variety) {
  static const std::string kPrefixes[] = {"",
                                          std::string(1, '\0'),
                                          std::string(7, '\0'),
                                          std::string(9, '\0'),
                                          std::string(8, '\xff'),
                                          std::string(40, '\xff'),
                                          "user:profile:",
                                          "user:profile:settings:of:the:one:",
                                          "H\0\0\0\0\0\0\0\1key:00000"};
  std::string key = kPrefixes[random.below(std::size(kPrefixes))];
  switch (random.below(4)) {
    case 0: break;
    case 1: key += std::string(random.below(12), random.below(2) == 0 ? '\0' : '\xff'); break;
    case 2: key += std::to_string(random.below(variety)); break;
    default:
      for (uint64_t i = random.below(10); i > 0; --i) key += static_cast<char>(random.below(3) * 127);
  }
  return key;
}

std::string random_value(Random& random) {
  const size_t size = random.below(50) == 0 ? random.below(3000) : random.below(40);
  return std::string(size, static_cast<char>('a' + random.below(26)));
}

Expected at(const Iterator& it) { return {std::string(it.value()), it.flags()}; }

Model contents(Iterator& it) {
  Model found;
  for (auto state = it.seek_first(); state == Iterator::State::kAt; state = it.next()) {
    if (!found.empty()) CHECK(it.key() > found.rbegin()->first);
    found.emplace_hint(found.end(), it.key(), at(it));
  }
  CHECK(it.status().ok());
  return found;
}

Model contents_backwards(Iterator& it) {
  Model found;
  for (auto state = it.seek_last(); state == Iterator::State::kAt; state = it.prev()) {
    if (!found.empty()) CHECK(it.key() < found.begin()->first);
    found.emplace_hint(found.begin(), it.key(), at(it));
  }
  return found;
}

// The iterator stands where the model's does.
void check_position(const Iterator& it, const Model& model, Model::const_iterator expected) {
  if (expected == model.end()) {
    CHECK(it.state() == Iterator::State::kEnd);
  } else {
    REQUIRE(it.state() == Iterator::State::kAt);
    CHECK(it.key() == expected->first);
    CHECK(at(it) == expected->second);
  }
}

// Seeks to `key` both ways and walks on some steps, turning around on the way.
void check_seeks(Iterator& it, const Model& model, const std::string& key, Random& random) {
  auto expected = model.lower_bound(key);
  it.seek(key);
  check_position(it, model, expected);
  for (int step = 0; step < 6 && expected != model.end(); ++step) {
    if (random.below(3) > 0) {
      ++expected;
      it.next();
    } else {
      expected = expected == model.begin() ? model.end() : std::prev(expected);
      it.prev();
    }
    check_position(it, model, expected);
  }
  expected = model.lower_bound(key);
  expected = expected == model.begin() ? model.end() : std::prev(expected);
  it.seek_before(key);
  check_position(it, model, expected);
}

// A memtable, the model of what it should hold, and the look-up that the record index does for the engine.
struct Writer {
  explicit Writer(uint8_t home = kHome) : table(home) {}

  MemRecord* put(const std::string& key, const std::string& value, uint8_t flags) {
    MemRecord* old = index.contains(key) ? index[key] : nullptr;
    MemRecord* record = table.put(key, value, flags, ++lsn, old);
    index[key] = record;
    model[key] = {value, flags};
    return record;
  }

  Memtable table;
  Model model;
  std::map<std::string, MemRecord*> index;
  Lsn lsn = 100;
};

struct Snapshot {
  std::shared_ptr<const Memtable::TreeView> view;
  Model model;
};

void check_snapshot(const Snapshot& snapshot) {
  CHECK(snapshot.view->records() == snapshot.model.size());
  const auto it = snapshot.view->iterator();
  CHECK(contents(*it) == snapshot.model);
}

}  // namespace

TEST_SUITE("engine/memtable") {
  TEST_CASE("an empty memtable has nothing, in any direction") {
    Memtable table(kHome);
    CHECK(table.find("") == nullptr);
    CHECK(table.find("a") == nullptr);
    const auto view = table.view();
    CHECK(view->find("") == nullptr);
    for (const auto& it : {table.iterator(), view->iterator()}) {
      CHECK(it->state() == Iterator::State::kEnd);
      CHECK(it->seek_first() == Iterator::State::kEnd);
      CHECK(it->seek_last() == Iterator::State::kEnd);
      CHECK(it->seek("") == Iterator::State::kEnd);
      CHECK(it->seek_before("x") == Iterator::State::kEnd);
    }
    CHECK(table.records() == 0);
    CHECK(table.bytes() == 0);
    CHECK(table.first_lsn() == 0);
    CHECK(table.last_lsn() == 0);
  }

  TEST_CASE("keys with equal heads are told apart") {
    using namespace std::string_literals;
    const std::vector<std::string> sorted = {""s,
                                             "\0"s,
                                             "\0\0"s,
                                             "\0\0\0\0\0\0\0\0"s,
                                             "\0\0\0\0\0\0\0\0\0"s,
                                             "a"s,
                                             "a\0"s,
                                             "a\0\0"s,
                                             "a\0\0\0\0\0\0\0"s,
                                             "a\0\0\0\0\0\0\0\0"s,
                                             "a\0b"s,
                                             "abcdefgh"s,
                                             "abcdefgh\0"s,
                                             "abcdefgh\1"s,
                                             "abcdefghi"s,
                                             "\xff"s,
                                             "\xff\xff"s,
                                             std::string(8, '\xff'),
                                             std::string(8, '\xff') + '\0',
                                             std::string(9, '\xff')};
    REQUIRE(std::is_sorted(sorted.begin(), sorted.end()));
    std::vector<std::string> order = sorted;
    for (uint64_t seed = 0; seed < 20; ++seed) {
      CAPTURE(seed);
      std::shuffle(order.begin(), order.end(), std::mt19937_64(seed));
      Memtable table(kHome);
      for (const std::string& key : order) {
        CHECK(table.find(key) == nullptr);
        table.put(key, "of " + key, kPut, 1, nullptr);
      }
      const auto it = table.iterator();
      it->seek_first();
      for (size_t i = 0; i < sorted.size(); ++i) {
        REQUIRE(table.find(sorted[i]) != nullptr);
        CHECK(table.find(sorted[i])->value() == "of " + sorted[i]);
        REQUIRE(it->state() == Iterator::State::kAt);
        CHECK(it->key() == sorted[i]);
        it->next();
      }
      CHECK(it->state() == Iterator::State::kEnd);
    }
  }

  TEST_CASE("random writes read back as an ordered map's do, forwards, backwards and by seeks") {
    for (uint64_t seed = 1; seed <= 12; ++seed) {
      CAPTURE(seed);
      Random random(seed);
      Writer writer;
      const uint64_t variety = seed % 3 == 0 ? 300 : 50000;
      for (int i = 0; i < 4000; ++i) {
        const bool removal = random.below(5) == 0;
        writer.put(hard_key(random, variety), removal ? "" : random_value(random),
                   removal ? kTombstone : kPut);
      }
      CHECK(writer.table.records() == writer.model.size());
      for (const auto& [key, expected] : writer.model) {
        const MemRecord* record = writer.table.find(key);
        REQUIRE(record != nullptr);
        CHECK(record == writer.index[key]);
        CHECK(record->home == kHome);
        CHECK(record->value() == expected.value);
        CHECK(record->tombstone() == ((expected.flags & kTombstone) != 0));
      }
      const auto it = writer.table.iterator();
      CHECK(contents(*it) == writer.model);
      CHECK(contents_backwards(*it) == writer.model);
      for (int i = 0; i < 500; ++i) {
        const std::string key = hard_key(random, variety);
        check_seeks(*it, writer.model, key, random);
        CHECK((writer.table.find(key) != nullptr) == writer.model.contains(key));
      }
    }
  }

  TEST_CASE("keys in rising, falling and interleaved order are all found again") {
    for (const int runs : {1, 2, 7}) {
      for (const bool falling : {false, true}) {
        CAPTURE(runs);
        CAPTURE(falling);
        Memtable table(kHome);
        Model model;
        for (int i = 0; i < 20000; ++i) {
          const int number = falling ? 50000 - i / runs : 10000 + i / runs;
          const std::string key = "list:" + std::to_string(i % runs) + ":" + std::to_string(number);
          table.put(key, std::to_string(i), kPut, 1, nullptr);
          model[key] = {std::to_string(i), kPut};
        }
        const auto it = table.iterator();
        CHECK(contents(*it) == model);
        for (const auto& [key, expected] : model) {
          REQUIRE(table.find(key) != nullptr);
          CHECK(table.find(key)->value() == expected.value);
        }
      }
    }
  }

  TEST_CASE("keys above, below and beside the one inserted last find their place, whatever comes between") {
    for (uint64_t seed = 1; seed <= 12; ++seed) {
      CAPTURE(seed);
      Random random(seed);
      Writer writer;
      std::vector<Snapshot> snapshots;
      uint64_t here = 1 << 20;
      const auto numbered = [](uint64_t number) {
        std::string key = std::to_string(number);
        return "slot:" + std::string(8 - key.size(), '0') + key;
      };
      for (int i = 0; i < 20000; ++i) {
        const uint64_t what = random.below(100);
        if (what < 30) {
          ++here;  // Two steps back and forth: where keys are already is passed again.
        } else if (what < 60) {
          --here;
        } else if (what < 80) {
          here += random.below(200);
        } else if (what < 98) {
          here -= random.below(200);
        } else if (what == 98) {
          here = (1 << 20) + random.below(4000);
        } else {
          const std::string key = hard_key(random, 1000);
          writer.put(key, "elsewhere", kPut);
        }
        const std::string key = numbered(here);
        writer.index.erase(key);  // Whoever does not say what stands for the key has the tree look.
        writer.put(key, std::to_string(i), kPut);
        if (random.below(2000) == 0) {
          if (snapshots.size() > 2) snapshots.erase(snapshots.begin());
          snapshots.push_back({writer.table.view(), writer.model});
        }
      }
      CHECK(writer.table.records() == writer.model.size());
      const auto it = writer.table.iterator();
      CHECK(contents(*it) == writer.model);
      for (const Snapshot& snapshot : snapshots) check_snapshot(snapshot);
    }
  }

  TEST_CASE("keys that do not begin as all before them did find their place, and the others keep theirs") {
    const std::string common = "database:0:user:";
    for (const std::string outsider : {"", "c", "d", "database:0:user", "database:0:user9", "database:1", "e",
                                       "databasf", "database:0:usd:1", "database:/"}) {
      CAPTURE(outsider);
      for (const bool random_order : {false, true}) {
        Memtable table(kHome);
        Model model;
        const auto put = [&](const std::string& key) {
          table.put(key, "of " + key, kPut, 1, nullptr);
          model[key] = {"of " + key, kPut};
        };
        Random random(7);
        for (int i = 0; i < 12000; ++i) {
          put(common + std::to_string(random_order ? random.below(900000) + 100000 : 100000 + i * 3));
        }
        CHECK(table.find(outsider) == nullptr);
        const auto it = table.iterator();
        check_seeks(*it, model, outsider, random);
        put(outsider);
        for (int i = 0; i < 300; ++i) {
          put(common + std::to_string(random.below(900000) + 100000));
          put(outsider + std::to_string(i));
        }
        CHECK(contents(*it) == model);
        for (const auto& [key, expected] : model) {
          REQUIRE(table.find(key) != nullptr);
          REQUIRE(table.find(key)->value() == expected.value);
        }
      }
    }
  }

  TEST_CASE("keys in order leave full nodes behind") {
    constexpr uint64_t kKeys = 10000;
    const auto bytes_per_key = [](bool falling) {
      Memtable table(kHome);
      for (uint64_t i = 0; i < kKeys; ++i) {
        const uint64_t number = falling ? kKeys - i : i;
        char key[17];
        std::snprintf(key, sizeof key, "%016llu", static_cast<unsigned long long>(number));
        table.put({key, 16}, "12345678", kPut, 1, nullptr);
      }
      return table.bytes() / kKeys - (sizeof(MemRecord) + 16 + 8);
    };
    // A slot takes 16 bytes; half full nodes would make 32 and more.
    CHECK(bytes_per_key(false) <= 20);
    CHECK(bytes_per_key(true) <= 20);
  }

  TEST_CASE("M2: with no view alive a value that fits is overwritten in place") {
    Memtable table(kHome);
    MemRecord* record = table.put("key", "12345678", kPut, 10, nullptr);
    const uint64_t bytes = table.bytes();
    CHECK(table.put("key", "1234", kPut, 11, record) == record);
    CHECK(table.put("key", "", kTombstone, 12, record) == record);
    CHECK(table.find("key")->tombstone());
    CHECK(table.put("key", "abcdefgh", kPut, 13, record) == record);
    CHECK(table.bytes() == bytes);
    CHECK(table.find("key")->value() == "abcdefgh");
    CHECK(table.find("key")->lsn == 13);
    CHECK(table.records() == 1);
  }

  TEST_CASE("M2: an overwrite in place finds its record also without `old`") {
    Memtable table(kHome);
    MemRecord* record = table.put("key", "12345678", kPut, 10, nullptr);
    CHECK(table.put("key", "1234", kPut, 11, nullptr) == record);
    CHECK(table.records() == 1);
    CHECK(table.find("key")->value() == "1234");
  }

  TEST_CASE("a value that no longer fits gets a new record, whose place in the tree is the old one's") {
    Memtable table(kHome);
    for (int i = 0; i < 500; ++i) table.put("k" + std::to_string(i), "x", kPut, 1, nullptr);
    MemRecord* old = table.put("k250", "x", kPut, 2, nullptr);
    const std::string large(1000, 'L');
    MemRecord* record = table.put("k250", large, kPut, 3, old);
    CHECK(record != old);
    CHECK(old->value() == "x");  // M3
    CHECK(table.find("k250") == record);
    CHECK(record->value() == large);
    CHECK(table.records() == 500);
  }

  TEST_CASE("a value may be built from the one that it replaces") {
    Memtable table(kHome);
    MemRecord* record = table.put("key", "0123456789", kPut, 1, nullptr);
    record = table.put("key", record->value().substr(3), kPut, 2, record);
    CHECK(record->value() == "3456789");
    const auto view = table.view();
    record = table.put("key", record->value().substr(2), kPut, 3, record);
    CHECK(record->value() == "56789");
    CHECK(view->find("key")->value() == "3456789");
  }

  TEST_CASE("M1: a view sees its moment, whatever is written later and in whatever order views go") {
    for (uint64_t seed = 1; seed <= 8; ++seed) {
      CAPTURE(seed);
      Random random(seed);
      Writer writer;
      std::vector<Snapshot> snapshots;
      for (int i = 0; i < 6000; ++i) {
        writer.put(hard_key(random, 3000), random_value(random), random.below(6) == 0 ? kTombstone : kPut);
        if (random.below(150) == 0) snapshots.push_back({writer.table.view(), writer.model});
        if (!snapshots.empty() && random.below(170) == 0) {
          const size_t victim = random.below(snapshots.size());
          check_snapshot(snapshots[victim]);
          snapshots.erase(snapshots.begin() + static_cast<ptrdiff_t>(victim));
        }
        if (random.below(1500) == 0) snapshots.clear();
      }
      for (const Snapshot& snapshot : snapshots) {
        check_snapshot(snapshot);
        const auto it = snapshot.view->iterator();
        CHECK(contents_backwards(*it) == snapshot.model);
        for (int i = 0; i < 50; ++i) {
          const std::string key = hard_key(random, 3000);
          check_seeks(*it, snapshot.model, key, random);
          const MemRecord* record = snapshot.view->find(key);
          REQUIRE((record != nullptr) == snapshot.model.contains(key));
          if (record != nullptr) CHECK(record->value() == snapshot.model.at(key).value);
        }
      }
      const auto live = writer.table.iterator();
      CHECK(contents(*live) == writer.model);
    }
  }

  TEST_CASE("M1: two puts of one LSN around a view do not show the second in it") {
    Memtable table(kHome);
    MemRecord* record = table.put("key", "first", kPut, 7, nullptr);
    const auto view = table.view();
    CHECK(table.put("key", "other", kPut, 7, record) != record);
    CHECK(view->find("key")->value() == "first");
    CHECK(table.find("key")->value() == "other");
  }

  TEST_CASE("M2: what was written after the newest view is overwritten in place while it lives") {
    Memtable table(kHome);
    MemRecord* seen = table.put("key", "first", kPut, 1, nullptr);
    const auto view = table.view();
    MemRecord* unseen = table.put("key", "other", kPut, 2, seen);
    REQUIRE(unseen != seen);
    const uint64_t bytes = table.bytes();
    for (Lsn lsn = 3; lsn < 1000; ++lsn) CHECK(table.put("key", "again", kPut, lsn, unseen) == unseen);
    CHECK(table.bytes() == bytes);
    CHECK(view->find("key")->value() == "first");
  }

  TEST_CASE("M2: when the last view has gone, writes are in place again and copied nodes serve anew") {
    Writer writer;
    for (int i = 0; i < 2000; ++i) writer.put("k" + std::to_string(i), "12345678", kPut);
    uint64_t bytes_after_first_round = 0;
    for (int round = 0; round < 50; ++round) {
      CAPTURE(round);
      {
        const Snapshot snapshot{writer.table.view(), writer.model};
        for (int i = 0; i < 2000; i += 7) writer.put("k" + std::to_string(i), "abcdefgh", kPut);
        check_snapshot(snapshot);
      }
      const uint64_t bytes = writer.table.bytes();
      if (round == 0) bytes_after_first_round = bytes;
      // The replaced records stay, 40 bytes each; the copied nodes (some 40 KB a round) do not add up.
      CHECK(bytes <= bytes_after_first_round + round * (2000 / 7 + 1) * 40 + 2000);
      MemRecord* record = writer.index["k7"];
      CHECK(writer.put("k7", "in place", kPut) == record);
      CHECK(writer.table.bytes() == bytes);
    }
    const auto it = writer.table.iterator();
    CHECK(contents(*it) == writer.model);
  }

  TEST_CASE("a view and its iterator outlive the memtable") {
    auto table = std::make_unique<Memtable>(kHome);
    for (int i = 0; i < 1000; ++i) table->put("k" + std::to_string(i), "v", kPut, 1, nullptr);
    auto view = table->view();
    auto it = view->iterator();
    table.reset();
    CHECK(view->find("k500")->value() == "v");
    view.reset();
    CHECK(contents(*it).size() == 1000);
  }

  TEST_CASE("a frozen memtable gives views") {
    Writer writer;
    for (int i = 0; i < 1000; ++i) writer.put("k" + std::to_string(i), "v", kPut);
    writer.table.freeze();
    check_snapshot({writer.table.view(), writer.model});
    CHECK(writer.table.find("k999") != nullptr);
  }

  TEST_CASE("the first and the last LSN are those of the first and the last put") {
    Memtable table(kHome);
    MemRecord* record = table.put("a", "1", kPut, 40, nullptr);
    table.put("b", "2", kPut, 70, nullptr);
    CHECK(table.first_lsn() == 40);
    CHECK(table.last_lsn() == 70);
    table.put("a", "3", kPut, 90, record);
    CHECK(table.first_lsn() == 40);
    CHECK(table.last_lsn() == 90);
  }

  TEST_CASE("unsettled records are counted and walked as they come and go") {
    for (uint64_t seed = 1; seed <= 6; ++seed) {
      CAPTURE(seed);
      Random random(seed);
      Writer writer;
      std::shared_ptr<const Memtable::TreeView> view;
      for (int i = 0; i < 3000; ++i) {
        const uint8_t kind = random.below(4) == 0 ? kTombstone : kPut;
        const uint8_t unsettled = random.below(3) == 0 ? kUnsettled : kPut;
        writer.put("k" + std::to_string(random.below(400)), random_value(random), kind | unsettled);
        if (random.below(100) == 0) view = writer.table.view();
        if (random.below(200) == 0) view.reset();
        if (i % 97 != 0) continue;
        std::set<std::string> expected;
        for (const auto& [key, record] : writer.model) {
          if ((record.flags & kUnsettled) != 0) expected.insert(key);
        }
        CHECK(writer.table.unsettled() == expected.size());
      }
    }
  }

  TEST_CASE("records of any size have their place") {
    Writer writer;
    for (const size_t size : {0u, 1u, 7u, 8u, 4095u, 16384u, 65535u, 65536u, 300000u, 1048576u, 3000000u}) {
      writer.put("value of " + std::to_string(size), std::string(size, 'v'), kPut);
      writer.put(std::string(size, 'k'), "key", kPut);
    }
    const auto it = writer.table.iterator();
    CHECK(contents(*it) == writer.model);
    CHECK(writer.table.bytes() > 8'900'000);
    CHECK(writer.table.bytes() < 9'500'000);
  }

  TEST_CASE("threads read views while the reactor writes, and let them go") {
    constexpr int kReaders = 2;
    constexpr int kRounds = 30;
    Writer writer;
    for (int i = 0; i < 1000; ++i) writer.put("k" + std::to_string(i), "0", kPut);
    std::atomic<int> wrong{0};
    for (int round = 1; round <= kRounds; ++round) {
      std::vector<std::thread> readers;
      for (int r = 0; r < kReaders; ++r) {
        readers.emplace_back([&wrong, view = writer.table.view(), round]() mutable {
          const std::string expected = std::to_string(round - 1);
          const auto it = view->iterator();
          for (auto state = it->seek_first(); state == Iterator::State::kAt; state = it->next()) {
            if (it->value() != expected) ++wrong;
          }
          if (view->find("k7")->value() != expected) ++wrong;
          view.reset();
        });
      }
      // Some writes meet living views, some meet none.
      for (int i = 0; i < 1000; ++i) writer.put("k" + std::to_string(i), std::to_string(round), kPut);
      for (std::thread& reader : readers) reader.join();
    }
    CHECK(wrong == 0);
    const auto it = writer.table.iterator();
    CHECK(contents(*it) == writer.model);
  }
}

}  // namespace engine
