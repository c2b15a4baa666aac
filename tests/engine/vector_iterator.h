// tests/engine/vector_iterator.h: an iterator over records in a vector, for tests of what merges iterators.
#pragma once

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "engine/iterator.h"
#include "engine/record.h"

namespace engine {

struct TestRecord {
  std::string key;
  std::string value;
  uint8_t flags = kPut;
  bool operator==(const TestRecord&) const = default;
};
using TestRun = std::vector<TestRecord>;  // Sorted by key, no key twice.

// What it gives as key() and value() is overwritten at the next move, so that a view kept too long is seen.
class VectorIterator final : public Iterator {
 public:
  explicit VectorIterator(TestRun run) : run_(std::move(run)) {}
  // The move after `moves` more ends in `state`.
  void break_after(int moves, State state, Status status = {}) {
    moves_left_ = moves, broken_ = state, status_ = std::move(status);
  }

  State seek_first() override { return go(0); }
  State seek_last() override { return go(run_.size() - 1); }
  State seek(std::string_view key) override { return go(lower_bound(key)); }
  State seek_before(std::string_view key) override { return go(lower_bound(key) - 1); }
  State next() override { return go(at_ + 1); }
  State prev() override { return go(at_ - 1); }
  const Status& status() const override { return status_; }

 private:
  size_t lower_bound(std::string_view key) const {
    return static_cast<size_t>(
        std::partition_point(run_.begin(), run_.end(), [key](const TestRecord& r) { return r.key < key; }) -
        run_.begin());
  }
  State go(size_t at) {  // One before the first is the greatest size_t.
    std::fill(key_.begin(), key_.end(), '!');
    std::fill(value_.begin(), value_.end(), '!');
    if (moves_left_-- == 0) return here_.state = broken_;
    at_ = at;
    if (at_ >= run_.size()) return end();
    key_ = run_[at_].key;
    value_ = run_[at_].value;
    here_ = {State::kAt, run_[at_].flags, key_, value_};
    return State::kAt;
  }

  const TestRun run_;
  size_t at_ = 0;
  std::string key_, value_;
  int moves_left_ = std::numeric_limits<int>::max();
  State broken_ = State::kFailed;
  Status status_;
};

}  // namespace engine
