#include "engine/gaps.h"

#include <doctest/doctest.h>

#include <map>
#include <random>

#include "engine/bounded_iterator.h"
#include "engine/record.h"

namespace engine {
namespace {

using State = Iterator::State;
using Records = std::map<std::string, uint8_t, std::less<>>;  // Key -> flags.

// An iterator over a map that may change between moves of different iterators, counting its moves.
class MapIterator final : public Iterator {
 public:
  MapIterator(const Records& records, uint64_t* moves) : records_(records), moves_(moves) {}
  State seek_first() override { return at(records_.begin()); }
  State seek_last() override { return before(records_.end()); }
  State seek(std::string_view key) override { return at(records_.lower_bound(key)); }
  State seek_before(std::string_view key) override { return before(records_.lower_bound(key)); }
  State next() override { return at(std::next(at_)); }
  State prev() override { return before(at_); }
  const Status& status() const override { return status_; }

 private:
  State at(Records::const_iterator to) {
    ++*moves_;
    at_ = to;
    if (at_ == records_.end()) return end();
    here_.key = at_->first;
    here_.flags = at_->second;
    return here_.state = State::kAt;
  }
  State before(Records::const_iterator than) {
    if (than == records_.begin()) return ++*moves_, end();
    return at(std::prev(than));
  }
  const Records& records_;
  uint64_t* moves_;
  Records::const_iterator at_;
  Status status_;
};

std::vector<std::unique_ptr<Iterator>> one_run(const Records& records, uint64_t* moves) {
  std::vector<std::unique_ptr<Iterator>> runs;
  runs.push_back(std::make_unique<MapIterator>(records, moves));
  return runs;
}

struct Bench {
  Records records;
  Gaps gaps;
  uint64_t moves = 0;

  std::unique_ptr<Iterator> iterator(std::string_view begin, std::string_view end, Gaps* with) {
    return bounded_iterator(one_run(records, &moves), begin, end, {}, with);
  }
  void put(const std::string& key) {
    records[key] = kPut;
    gaps.put(key);
  }
  void erase(const std::string& key) { records[key] = kTombstone; }
};

std::string key_of(uint64_t n) {
  std::string digits = std::to_string(n);
  return "k" + std::string(7 - digits.size(), '0') + digits;
}

std::string place(const Iterator& it) { return it.state() == State::kAt ? std::string(it.key()) : "end"; }

}  // namespace

TEST_SUITE("engine/gaps") {
  TEST_CASE("what touches becomes one, and a put takes its key out") {
    Gaps gaps;
    gaps.note("b", "d");
    gaps.note("f", "h");
    CHECK(gaps.size() == 2);
    gaps.note("d", "f");
    CHECK(gaps.size() == 1);
    CHECK(gaps.end_of("a") == nullptr);
    REQUIRE(gaps.end_of("b") != nullptr);
    CHECK(*gaps.end_of("b") == "h");
    CHECK(gaps.end_of("h") == nullptr);
    CHECK(*gaps.begin_before("h") == "b");
    CHECK(gaps.begin_before("b") == nullptr);
    gaps.put("d");
    CHECK(*gaps.end_of("c") == "d");
    CHECK(gaps.end_of("d") == nullptr);
    CHECK(*gaps.end_of("e") == "h");
    CHECK(*gaps.begin_before("e") == std::string("d\0", 2));
    gaps.put("b");
    CHECK(gaps.end_of("b") == nullptr);
    CHECK(*gaps.end_of("c") == "d");
  }

  TEST_CASE("there are never too many") {
    Gaps gaps;
    for (uint64_t n = 0; n < 3 * kGapsMax; ++n) gaps.note(key_of(2 * n), key_of(2 * n + 1));
    CHECK(gaps.size() == kGapsMax);
    gaps.note("a", std::string(kGapBytesMax, 'b'));
    CHECK(gaps.end_of("a") == nullptr);
  }

  TEST_CASE("G1: walks that know of gaps show what walks show that do not") {
    for (uint64_t seed = 1; seed <= 30; ++seed) {
      CAPTURE(seed);
      std::mt19937_64 random(seed);
      Bench bench;
      constexpr uint64_t kKeys = 1500;
      for (uint64_t n = 0; n < kKeys; ++n) bench.put(key_of(n));
      for (int round = 0; round < 60; ++round) {
        CAPTURE(round);
        const uint64_t first = random() % kKeys;
        for (uint64_t n = first; n < std::min(kKeys, first + random() % 400); ++n) bench.erase(key_of(n));
        for (uint64_t n = random() % 4; n > 0; --n) bench.put(key_of(random() % kKeys));
        const std::string begin = random() % 3 == 0 ? "" : key_of(random() % kKeys);
        const std::string end = random() % 3 == 0 ? "" : key_of(random() % kKeys);
        const auto quick = bench.iterator(begin, end, &bench.gaps);
        const auto plain = bench.iterator(begin, end, nullptr);
        for (int move = 0; move < 30; ++move) {
          const std::string to = key_of(random() % kKeys);
          const bool at = plain->state() == State::kAt;
          const auto both = [&](auto go) { go(*quick), go(*plain); };
          switch (random() % 8) {
            case 0: both([](Iterator& it) { it.seek_first(); }); break;
            case 1: both([](Iterator& it) { it.seek_last(); }); break;
            case 2: both([&](Iterator& it) { it.seek(to); }); break;
            case 3: both([&](Iterator& it) { it.seek_before(to); }); break;
            case 4:
            case 5:
              if (at) both([](Iterator& it) { it.next(); });
              break;
            default:
              if (at) both([](Iterator& it) { it.prev(); });
          }
          CAPTURE(move);
          REQUIRE(place(*quick) == place(*plain));
        }
      }
    }
  }

  TEST_CASE("a queue is popped at a cost that does not grow with what was popped before, at either end") {
    for (const bool front : {true, false}) {
      CAPTURE(front);
      Bench bench;
      constexpr uint64_t kPops = 20000;
      for (uint64_t n = 0; n < kPops; ++n) bench.put(key_of(n));
      for (uint64_t n = 0; n < kPops; ++n) {
        const auto it = bench.iterator("a", "z", &bench.gaps);
        REQUIRE((front ? it->seek_first() : it->seek_last()) == State::kAt);
        REQUIRE(it->key() == key_of(front ? n : kPops - 1 - n));
        bench.erase(std::string(it->key()));
      }
      CHECK(bench.moves < kPops * 40);  // And not kPops * kPops / 2.
    }
  }

  TEST_CASE("whoever is told of the passed may leave, and the next one goes on from there") {
    Bench bench;
    constexpr uint64_t kErased = 10000;
    for (uint64_t n = 0; n < kErased; ++n) bench.erase(key_of(n));
    bench.put(key_of(kErased));
    struct Left {};
    int times = 0;
    for (bool there = false; !there; ++times) {
      REQUIRE(times < 100);
      uint64_t passed = 0;
      const auto it = bounded_iterator(one_run(bench.records, &bench.moves), "a", "z", {}, &bench.gaps,
                                       [&](uint64_t tombstones) {
                                         passed += tombstones;
                                         if (passed > 2000) throw Left{};
                                       });
      try {
        there = it->seek_first() == State::kAt;
      } catch (const Left&) {
      }
    }
    CHECK(times > 2);
    CHECK(bench.moves < 2 * kErased);
  }
}

}  // namespace engine
