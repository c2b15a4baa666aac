#include "engine/merging_iterator.h"

#include <doctest/doctest.h>

#include <map>
#include <random>

#include "engine/loser_tree.h"
#include "tests/engine/vector_iterator.h"

namespace engine {
namespace {

using State = Iterator::State;
using Runs = std::vector<TestRun>;  // Newest first.

std::unique_ptr<Iterator> merge_of(const Runs& runs) {
  std::vector<std::unique_ptr<Iterator>> children;
  for (const TestRun& run : runs) children.push_back(std::make_unique<VectorIterator>(run));
  return merging_iterator(std::move(children));
}

TestRecord record_at(const Iterator& it) {
  return {std::string(it.key()), std::string(it.value()), it.flags()};
}

TestRun all_forward(Iterator& it) {
  TestRun out;
  for (State s = it.seek_first(); s == State::kAt; s = it.next()) out.push_back(record_at(it));
  return out;
}

// What the merge should show.
TestRun naive_merge(const Runs& runs) {
  std::map<std::string, TestRecord> newest;
  for (const TestRun& run : runs)
    for (const TestRecord& record : run) newest.emplace(record.key, record);
  TestRun out;
  for (const auto& [key, record] : newest) out.push_back(record);
  return out;
}

// Keys that share long prefixes, are prefixes of each other, and have bytes 0 and 255 in them.
std::string random_key(std::mt19937_64& random) {
  static const std::vector<std::string> prefixes = {"", "a", std::string("H\0\0\0\0\0\0\0\1", 9),
                                                    std::string("H\0\0\0\0\0\0\0\2", 9),
                                                    std::string(9, '\xff')};
  std::string key = prefixes[random() % prefixes.size()];
  const size_t length = random() % 4;
  for (size_t i = 0; i < length; ++i) key += "\0\1az\xff"[random() % 5];
  return key;
}

Runs random_runs(std::mt19937_64& random) {
  Runs runs(random() % 9);
  for (size_t i = 0; i < runs.size(); ++i) {
    std::map<std::string, TestRecord> run;
    const size_t records = random() % 60;
    for (size_t r = 0; r < records; ++r) {
      const std::string key = random_key(random);
      run[key] = {key, "run" + std::to_string(i), static_cast<uint8_t>(random() % 4)};
    }
    for (auto& [key, record] : run) runs[i].push_back(record);
  }
  return runs;
}

TEST_SUITE("engine/merging_iterator") {
  TEST_CASE("the newest record of each key is shown and the shadowed ones are not") {
    const auto it = merge_of({{{"b", "new"}, {"d", "", kTombstone}},
                              {{"a", "1"}, {"b", "old"}, {"c", "3"}},
                              {{"b", "older"}, {"d", "4"}, {"e", "5"}}});
    CHECK(all_forward(*it) ==
          TestRun{{"a", "1"}, {"b", "new"}, {"c", "3"}, {"d", "", kTombstone}, {"e", "5"}});
  }

  TEST_CASE("no children, and empty children, are an empty iterator") {
    for (const Runs& runs : {Runs{}, Runs{{}}, Runs{{}, {}, {}}}) {
      const auto it = merge_of(runs);
      CHECK(it->seek_first() == State::kEnd);
      CHECK(it->seek_last() == State::kEnd);
      CHECK(it->seek("a") == State::kEnd);
      CHECK(it->seek_before("a") == State::kEnd);
      CHECK(it->status().ok());
    }
  }

  TEST_CASE("any walk of seeks, steps and turns shows what a sorted map would") {
    for (uint64_t seed = 0; seed < 300; ++seed) {
      CAPTURE(seed);
      std::mt19937_64 random(seed);
      const Runs runs = random_runs(random);
      const TestRun expected = naive_merge(runs);
      const auto it = merge_of(runs);
      REQUIRE(all_forward(*it) == expected);

      size_t at = expected.size();  // The model's position; expected.size() is the end.
      const auto lower_bound = [&](const std::string& key) {
        size_t i = 0;
        while (i < expected.size() && expected[i].key < key) ++i;
        return i;
      };
      for (int step = 0; step < 200; ++step) {
        CAPTURE(step);
        State state = State::kEnd;
        const std::string key = random_key(random);
        const uint64_t choice = random() % 12;
        if (at < expected.size() && choice < 4) {
          state = it->next();
          ++at;
        } else if (at < expected.size() && choice < 8) {
          state = it->prev();
          at = at == 0 ? expected.size() : at - 1;
        } else if (choice % 4 == 0) {
          state = it->seek(key);
          at = lower_bound(key);
        } else if (choice % 4 == 1) {
          state = it->seek_before(key);
          at = lower_bound(key);
          at = at == 0 ? expected.size() : at - 1;
        } else if (choice % 4 == 2) {
          state = it->seek_first();
          at = 0;
        } else {
          state = it->seek_last();
          at = expected.empty() ? 0 : expected.size() - 1;
        }
        REQUIRE(state == it->state());
        REQUIRE((state == State::kAt) == (at < expected.size()));
        if (state == State::kAt) REQUIRE(record_at(*it) == expected[at]);
      }
    }
  }

  TEST_CASE("a long stretch of keys that share more than a head is merged in order") {
    // The first keys share nothing, so that the prefix has to be found again behind them.
    Runs runs(4);
    for (int i = 0; i < 2000; ++i) {
      std::string number = std::to_string(100000 + i);
      runs[static_cast<size_t>(i % 4)].push_back({"same long prefix of all " + number, number});
    }
    runs[0].insert(runs[0].begin(), {"a", "first"});
    const auto it = merge_of(runs);
    CHECK(all_forward(*it) == naive_merge(runs));
    TestRun backward;
    for (State s = it->seek_last(); s == State::kAt; s = it->prev())
      backward.insert(backward.begin(), record_at(*it));
    CHECK(backward == naive_merge(runs));
  }

  TEST_CASE("seek() may be given a view of the key it stands on") {
    const auto it = merge_of({{{"a", "1"}, {"c", "3"}}, {{"b", "2"}}});
    REQUIRE(it->seek("b") == State::kAt);
    REQUIRE(it->seek(it->key()) == State::kAt);
    CHECK(it->key() == "b");
    REQUIRE(it->seek_before(it->key()) == State::kAt);
    CHECK(it->key() == "a");
  }

  TEST_CASE("a child that fails or is cold, at any move, makes the whole so") {
    for (const State broken : {State::kFailed, State::kCold}) {
      for (int moves = 0; moves < 4; ++moves) {
        CAPTURE(moves);
        std::vector<std::unique_ptr<Iterator>> children;
        children.push_back(std::make_unique<VectorIterator>(TestRun{{"b", "2"}, {"d", "4"}}));
        auto child = std::make_unique<VectorIterator>(TestRun{{"a", "1"}, {"c", "3"}, {"e", "5"}});
        child->break_after(moves, broken, {Code::kCorruption, "damaged"});
        children.push_back(std::move(child));
        const auto it = merging_iterator(std::move(children));
        std::string seen;
        for (State s = it->seek_first(); s == State::kAt; s = it->next()) seen += it->key();
        CHECK(it->state() == broken);
        CHECK(seen == std::string("abcde").substr(0, static_cast<size_t>(moves == 0 ? 0 : 2 * moves - 1)));
        if (broken == State::kFailed) CHECK(it->status().message() == "damaged");
      }
    }
  }

  TEST_CASE("all children are asked even when one is cold, so that one round fetches all blocks") {
    std::vector<std::unique_ptr<Iterator>> children;
    std::vector<VectorIterator*> seen;
    for (int i = 0; i < 3; ++i) {
      auto child = std::make_unique<VectorIterator>(TestRun{{"a", "1"}});
      if (i < 2) child->break_after(0, State::kCold);
      seen.push_back(child.get());
      children.push_back(std::move(child));
    }
    const auto it = merging_iterator(std::move(children));
    CHECK(it->seek("a") == State::kCold);
    CHECK(seen[0]->state() == State::kCold);
    CHECK(seen[1]->state() == State::kCold);
    CHECK(seen[2]->state() == State::kAt);
  }
}

TEST_SUITE("engine/loser_tree") {
  TEST_CASE("every record of a key is shown, the newest first, in both directions") {
    for (const bool backward : {false, true}) {
      std::vector<std::unique_ptr<Iterator>> children;
      for (int i = 0; i < 5; ++i)
        children.push_back(std::make_unique<VectorIterator>(TestRun{{"k", std::to_string(i)}}));
      LoserTree tree(std::move(children));
      std::string values;
      tree.start(backward, [](Iterator& it) { it.seek_first(); });
      for (; tree.state() == State::kAt; tree.step()) {
        values += tree.winner().value();
        CHECK(tree.repeats() == (values.size() < 5));
      }
      CHECK(values == "01234");
    }
  }

  TEST_CASE("repeats() tells whether the next step stays at the key") {
    for (uint64_t seed = 0; seed < 100; ++seed) {
      CAPTURE(seed);
      std::mt19937_64 random(seed);
      std::vector<std::unique_ptr<Iterator>> children;
      for (const TestRun& run : random_runs(random))
        children.push_back(std::make_unique<VectorIterator>(run));
      LoserTree tree(std::move(children));
      tree.start(false, [](Iterator& it) { it.seek_first(); });
      while (tree.state() == State::kAt) {
        const bool repeats = tree.repeats();
        const std::string key(tree.key());
        tree.step();
        REQUIRE(repeats == (tree.state() == State::kAt && tree.key() == key));
      }
    }
  }
}

}  // namespace
}  // namespace engine
