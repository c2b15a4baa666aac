#include "engine/bounded_iterator.h"

#include <string>
#include <utility>

#include "engine/key_head.h"
#include "engine/record.h"

namespace engine {

namespace {

constexpr uint64_t kLookAgain = 16;  // Tombstones after which a gap is looked for.
constexpr uint64_t kWorthNoting = 32;

class BoundedIterator final : public Iterator {
 public:
  BoundedIterator(std::unique_ptr<Iterator> merged, std::string_view begin, std::string_view end,
                  std::vector<std::shared_ptr<const void>> keep_alive, Gaps* gaps, Reader::Passed passed)
      : keep_alive_(std::move(keep_alive)),
        merged_(std::move(merged)),
        begin_(begin),
        end_(end),
        gaps_(gaps),
        on_passed_(std::move(passed)) {}

  State seek_first() override { return seek(begin_); }
  State seek_last() override {
    if (!end_.empty()) return seek_before(end_);
    from_known_ = false;
    return backward(merged_->seek_last());
  }
  State seek(std::string_view key) override {
    from_.assign(key < std::string_view(begin_) ? std::string_view(begin_) : key);
    from_known_ = true;
    const std::string* end = gaps_ ? gaps_->end_of(from_) : nullptr;
    return forward(merged_->seek(end ? *end : from_));
  }
  State seek_before(std::string_view key) override {
    const bool beyond = !end_.empty() && key > std::string_view(end_);
    from_.assign(beyond ? std::string_view(end_) : key);
    from_known_ = true;
    const std::string* begin = gaps_ ? gaps_->begin_before(from_) : nullptr;
    return backward(merged_->seek_before(begin ? *begin : from_));
  }
  State next() override {
    from_known_ = false;
    return forward(merged_->next());
  }
  State prev() override {
    from_known_ = false;
    return backward(merged_->prev());
  }
  const Status& status() const override { return merged_->status(); }

 private:
  State forward(State state) {
    uint64_t passed = 0;
    for (; state == State::kAt; state = merged_->next()) {
      if (!end_.empty() && compare_keys(merged_->key(), end_) >= 0) {
        state = State::kEnd;
        break;
      }
      if ((merged_->flags() & kTombstone) == 0) break;
      if (++passed % kLookAgain != 0) [[likely]]
        continue;
      begin_at(merged_->key());
      if (const std::string* end = gaps_ ? gaps_->end_of(merged_->key()) : nullptr) {
        const std::string beyond = *end;
        state = merged_->seek(beyond);
        if (state != State::kAt) break;
        if (!end_.empty() && compare_keys(merged_->key(), end_) >= 0) {
          state = State::kEnd;
          break;
        }
        if ((merged_->flags() & kTombstone) == 0) break;
      }
      if (passed % kPassedAtOnce == 0) {
        if (gaps_) gaps_->note(from_, merged_->key());
        if (on_passed_) on_passed_(kPassedAtOnce);
      }
    }
    if (gaps_ && passed >= kWorthNoting) {
      if (state == State::kAt) gaps_->note(from_, merged_->key());
      if (state == State::kEnd && !end_.empty()) gaps_->note(from_, end_);
    }
    return state == State::kEnd ? end() : follow(*merged_);
  }

  State backward(State state) {
    uint64_t passed = 0;
    for (; state == State::kAt; state = merged_->prev()) {
      if (compare_keys(merged_->key(), begin_) < 0) {
        state = State::kEnd;
        break;
      }
      if ((merged_->flags() & kTombstone) == 0) break;
      if (++passed % kLookAgain != 0) [[likely]]
        continue;
      begin_at(merged_->key());
      if (const std::string* begin = gaps_ ? gaps_->begin_before(merged_->key()) : nullptr) {
        const std::string before = *begin;
        state = merged_->seek_before(before);
        if (state != State::kAt) break;
        if (compare_keys(merged_->key(), begin_) < 0) {
          state = State::kEnd;
          break;
        }
        if ((merged_->flags() & kTombstone) == 0) break;
      }
      if (passed % kPassedAtOnce == 0) {
        if (gaps_) gaps_->note(merged_->key(), from_);  // A tombstone is as good as nothing.
        if (on_passed_) on_passed_(kPassedAtOnce);
      }
    }
    if (gaps_ && passed >= kWorthNoting) {
      if (state == State::kAt) gaps_->note(std::string(merged_->key()) + '\0', from_);
      if (state == State::kEnd) gaps_->note(begin_, from_);
    }
    return state == State::kEnd ? end() : follow(*merged_);
  }

  // Where the stretch being passed begins, seen in the direction of the walk, if nobody has said.
  void begin_at(std::string_view key) {
    if (from_known_) return;
    from_.assign(key);
    from_known_ = true;
  }

  std::vector<std::shared_ptr<const void>> keep_alive_;
  std::unique_ptr<Iterator> merged_;
  std::string begin_, end_;
  Gaps* gaps_;
  Reader::Passed on_passed_;
  std::string from_;  // All between here and where `merged_` is, is hidden.
  bool from_known_ = false;
};

}  // namespace

std::unique_ptr<Iterator> bounded_iterator(std::unique_ptr<Iterator> merged, std::string_view begin,
                                           std::string_view end,
                                           std::vector<std::shared_ptr<const void>> keep_alive, Gaps* gaps,
                                           Reader::Passed passed) {
  return std::make_unique<BoundedIterator>(std::move(merged), begin, end, std::move(keep_alive), gaps,
                                           std::move(passed));
}

}  // namespace engine
