#include "engine/record_slots.h"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/record.h"

namespace engine {
namespace {

constexpr uint64_t kSeed = 12345;

uint64_t hash_of(std::string_view key) { return hash_key(key, kSeed); }

}  // namespace

TEST_SUITE("engine/record_slots") {
  TEST_CASE(
      "S1, S2: random inserts and erasures leave what they leave in a map, in the midst of growth too") {
    for (uint64_t seed = 1; seed <= 10; ++seed) {
      CAPTURE(seed);
      std::mt19937_64 random(seed);
      Memtable memory(0);
      RecordSlots slots(kSeed);
      std::unordered_map<std::string, MemRecord*> model;
      std::vector<std::string> keys;
      // Waves: the table is filled beyond several growths, then emptied for the most part, and so on.
      for (int i = 0; i < 30000; ++i) {
        const bool rising = (i / 6000) % 2 == 0;
        const bool adds = random() % 10 < (rising ? 9 : 2);
        slots.prefetch_record(random());  // Looks into both arrays, wherever the move stands.
        if (adds || keys.empty()) {
          const std::string key = "key " + std::to_string(random() % 40000);
          uint64_t* slot = slots.find(hash_of(key), key);
          REQUIRE((slot != nullptr) == model.contains(key));
          if (slot != nullptr) continue;
          MemRecord* record = memory.put(key, "", kPut, 1, nullptr);
          slots.insert(hash_of(key), record);
          model[key] = record;
          keys.push_back(key);
        } else {
          std::swap(keys[random() % keys.size()], keys.back());
          const std::string key = keys.back();
          keys.pop_back();
          uint64_t* slot = slots.find_record(hash_of(key), model[key]);
          REQUIRE(slot != nullptr);
          CHECK(RecordSlots::record(*slot) == model[key]);
          slots.erase(slot);
          model.erase(key);
          CHECK(slots.find(hash_of(key), key) == nullptr);
        }
        if (random() % 50 == 0) slots.advance(static_cast<unsigned>(random() % 8));
        if (i % 500 != 0) continue;
        CHECK(slots.records() == model.size());
        for (const auto& [key, record] : model) {
          uint64_t* slot = slots.find(hash_of(key), key);
          REQUIRE(slot != nullptr);
          REQUIRE(RecordSlots::record(*slot) == record);
        }
      }
    }
  }

  TEST_CASE(
      "S2: what overflowed around the end of the array is found and erased once while the array moves") {
    Memtable memory(0);
    RecordSlots slots(kSeed);
    const uint64_t size = slots.bytes();
    const uint64_t last_group = size / 64 - 1;
    std::vector<MemRecord*> at_the_end;  // More than the last group and two behind it can hold.
    std::vector<MemRecord*> others;
    for (int i = 0; at_the_end.size() < 27; ++i) {
      const std::string key = std::to_string(i);
      if ((hash_of(key) & last_group) != last_group) continue;
      at_the_end.push_back(memory.put(key, "", kPut, 1, nullptr));
      slots.insert(hash_of(key), at_the_end.back());
    }
    for (int i = 0; slots.bytes() == size; ++i) {
      const std::string key = "other " + std::to_string(i);
      others.push_back(memory.put(key, "", kPut, 1, nullptr));
      slots.insert(hash_of(key), others.back());
    }
    // The first group has moved, with some of what had overflowed into it; the second has not.
    for (const auto& records : {at_the_end, others}) {
      for (const MemRecord* record : records) {
        uint64_t* slot = slots.find(hash_of(record->key()), record->key());
        REQUIRE(slot != nullptr);
        CHECK(RecordSlots::record(*slot) == record);
        slots.erase(slot);
        CHECK(slots.find(hash_of(record->key()), record->key()) == nullptr);
      }
    }
    CHECK(slots.records() == 0);
  }

  TEST_CASE("a slot that is set anew keeps its key's place through a growth") {
    Memtable before(0);
    Memtable after(1);
    RecordSlots slots(kSeed);
    constexpr int kKeys = 5000;
    for (int i = 0; i < kKeys; ++i) {
      const std::string key = std::to_string(i);
      slots.insert(hash_of(key), before.put(key, "", kPut, 1, nullptr));
      const std::string earlier = std::to_string(i / 2);
      uint64_t* slot = slots.find(hash_of(earlier), earlier);
      REQUIRE(slot != nullptr);
      RecordSlots::set(slot, after.put(earlier, "", kPut, 1, nullptr));
    }
    for (int i = 0; i < kKeys; ++i) {
      const std::string key = std::to_string(i);
      uint64_t* slot = slots.find(hash_of(key), key);
      REQUIRE(slot != nullptr);
      CHECK(RecordSlots::record(*slot)->home == (i <= (kKeys - 1) / 2 ? 1 : 0));
    }
  }

  TEST_CASE("coming and going of records at one size does not make the table grow") {
    Memtable memory(0);
    RecordSlots slots(kSeed);
    std::vector<MemRecord*> records;
    for (int i = 0; i < 100000; ++i) {
      const std::string key = std::to_string(i);
      records.push_back(memory.put(key, "", kPut, 1, nullptr));
      slots.insert(hash_of(key), records.back());
      if (i < 1000) continue;
      MemRecord* gone = records[static_cast<size_t>(i) - 1000];
      slots.erase(slots.find_record(hash_of(gone->key()), gone));
    }
    CHECK(slots.records() == 1000);
    CHECK(slots.bytes() <= 1000 * 8 * 8);
  }
}

}  // namespace engine
