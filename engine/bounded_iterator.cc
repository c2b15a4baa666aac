#include "engine/bounded_iterator.h"

#include <string>

#include "engine/record.h"

namespace engine {

namespace {

class BoundedIterator final : public Iterator {
 public:
  BoundedIterator(std::unique_ptr<Iterator> merged, std::string_view begin, std::string_view end,
                  std::vector<std::shared_ptr<const void>> keep_alive)
      : keep_alive_(std::move(keep_alive)), merged_(std::move(merged)), begin_(begin), end_(end) {}

  State seek_first() override { return forward(merged_->seek(begin_)); }
  State seek_last() override {
    return backward(end_.empty() ? merged_->seek_last() : merged_->seek_before(end_));
  }
  State seek(std::string_view key) override {
    return forward(merged_->seek(key < std::string_view(begin_) ? std::string_view(begin_) : key));
  }
  State seek_before(std::string_view key) override {
    const bool beyond = !end_.empty() && key > std::string_view(end_);
    return backward(merged_->seek_before(beyond ? std::string_view(end_) : key));
  }
  State next() override { return forward(merged_->next()); }
  State prev() override { return backward(merged_->prev()); }
  State state() const override { return state_; }
  std::string_view key() const override { return merged_->key(); }
  std::string_view value() const override { return merged_->value(); }
  uint8_t flags() const override { return merged_->flags(); }
  const Status& status() const override { return merged_->status(); }

 private:
  State forward(State state) {
    while (state == State::kAt) {
      if (!end_.empty() && merged_->key() >= std::string_view(end_)) return state_ = State::kEnd;
      if ((merged_->flags() & kTombstone) == 0) break;
      state = merged_->next();
    }
    return state_ = state;
  }
  State backward(State state) {
    while (state == State::kAt) {
      if (merged_->key() < std::string_view(begin_)) return state_ = State::kEnd;
      if ((merged_->flags() & kTombstone) == 0) break;
      state = merged_->prev();
    }
    return state_ = state;
  }

  std::vector<std::shared_ptr<const void>> keep_alive_;
  std::unique_ptr<Iterator> merged_;
  std::string begin_, end_;
  State state_ = State::kEnd;
};

}  // namespace

std::unique_ptr<Iterator> bounded_iterator(std::unique_ptr<Iterator> merged, std::string_view begin,
                                           std::string_view end,
                                           std::vector<std::shared_ptr<const void>> keep_alive) {
  return std::make_unique<BoundedIterator>(std::move(merged), begin, end, std::move(keep_alive));
}

}  // namespace engine
