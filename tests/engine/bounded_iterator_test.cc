#include "engine/bounded_iterator.h"

#include <doctest/doctest.h>

#include <map>
#include <random>

#include "tests/engine/vector_iterator.h"

namespace engine {
namespace {

using State = Iterator::State;
using Model = std::map<std::string, std::string>;

std::string random_key(std::mt19937_64& random) {
  std::string key(9, static_cast<char>('a' + random() % 2));  // More than a head, as objects' keys share.
  const size_t length = random() % 4;
  for (size_t i = 0; i < length; ++i) key += "\0az\xff"[random() % 4];
  return key;
}

// Some runs, newest first, and what a reader sees of them between the bounds. One run is often far ahead of
// the others for a stretch, as the newest keys of a log are.
std::vector<TestRun> random_runs(std::mt19937_64& random, std::string_view begin, std::string_view end,
                                 Model* model) {
  std::vector<TestRun> runs(1 + random() % 5);
  std::map<std::string, TestRecord> newest;
  for (TestRun& run : runs) {
    std::map<std::string, TestRecord> records;
    for (uint64_t n = random() % 40; n > 0; --n) {
      std::string key = random_key(random);
      const uint8_t flags = random() % 4 == 0 ? kTombstone : kPut;
      records[key] = {key, std::to_string(random() % 1000), flags};
    }
    const std::string stretch = random_key(random);
    for (uint64_t n = random() % 3 * 20; n > 0; --n) {
      std::string key = stretch + static_cast<char>(n);
      records[key] = {key, "in a stretch", kPut};
    }
    for (const auto& [key, record] : records) {
      run.push_back(record);
      newest.emplace(key, record);
    }
  }
  for (const auto& [key, record] : newest) {
    const bool inside = key >= begin && (end.empty() || key < end);
    if (inside && (record.flags & kTombstone) == 0) (*model)[key] = record.value;
  }
  return runs;
}

TEST_SUITE("engine/bounded_iterator") {
  TEST_CASE("any walk within bounds, with turns and seeks beyond them, shows what a sorted map would") {
    for (uint64_t seed = 0; seed < 600; ++seed) {
      CAPTURE(seed);
      std::mt19937_64 random(seed);
      std::string begin = random() % 4 == 0 ? "" : random_key(random);
      std::string end = random() % 4 == 0 ? "" : random_key(random);
      if (!end.empty() && end < begin) std::swap(begin, end);
      Model model;
      std::vector<std::unique_ptr<Iterator>> children;
      for (const TestRun& run : random_runs(random, begin, end, &model))
        children.push_back(std::make_unique<VectorIterator>(run));
      const auto it = bounded_iterator(std::move(children), begin, end, {});

      auto at = model.end();
      const auto before = [&](Model::iterator place) {
        return place == model.begin() ? model.end() : std::prev(place);
      };
      for (int step = 0; step < 300; ++step) {
        CAPTURE(step);
        const std::string key = random_key(random);
        const uint64_t choice = random() % 24;
        if (at != model.end() && choice < 9) {
          it->next();
          ++at;
        } else if (at != model.end() && choice < 18) {
          it->prev();
          at = before(at);
        } else if (choice % 4 == 0) {
          it->seek(key);
          at = model.lower_bound(key);
        } else if (choice % 4 == 1) {
          it->seek_before(key);
          at = before(model.lower_bound(key));
        } else if (choice % 4 == 2) {
          it->seek_first();
          at = model.begin();
        } else {
          it->seek_last();
          at = before(model.end());
        }
        REQUIRE((it->state() == State::kAt) == (at != model.end()));
        if (at == model.end()) continue;
        REQUIRE(it->key() == at->first);
        REQUIRE(it->value() == at->second);
        REQUIRE((it->flags() & kTombstone) == 0);
      }
    }
  }

  TEST_CASE("a run that is cold or fails on the way ends the walk, and says so") {
    for (const State broken : {State::kCold, State::kFailed}) {
      for (const size_t runs : {1u, 2u, 5u}) {
        for (int good_moves = 0; good_moves < 4; ++good_moves) {
          CAPTURE(runs);
          CAPTURE(good_moves);
          std::vector<std::unique_ptr<Iterator>> children;
          for (size_t run = 0; run < runs; ++run) {
            TestRun records;
            for (char c = 'a'; c < 'm'; ++c) records.push_back({std::string(1, c) + std::to_string(run), ""});
            auto child = std::make_unique<VectorIterator>(records);
            if (run + 1 == runs) child->break_after(good_moves, broken, Status(Code::kIoError, "bad disk"));
            children.push_back(std::move(child));
          }
          const auto it = bounded_iterator(std::move(children), "a", "z", {});
          size_t shown = 0;
          State state = it->seek_first();
          for (; state == State::kAt; state = it->next()) ++shown;
          CHECK(state == broken);
          CHECK(it->state() == broken);
          if (broken == State::kFailed) CHECK(it->status().message() == "bad disk");
          CHECK(shown == static_cast<size_t>(good_moves) * runs);
        }
      }
    }
  }
}

}  // namespace
}  // namespace engine
