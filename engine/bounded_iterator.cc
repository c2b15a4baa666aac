#include "engine/bounded_iterator.h"

#include <string>
#include <type_traits>
#include <utility>

#include "engine/key_head.h"
#include "engine/merged_runs.h"
#include "engine/record.h"

namespace engine {

namespace {

constexpr uint64_t kLookAgain = 16;  // Tombstones after which a gap is looked for.
constexpr uint64_t kWorthNoting = 32;

// One run, as MergedRuns are many.
class OneRun {
 public:
  using State = Iterator::State;

  explicit OneRun(std::vector<std::unique_ptr<Iterator>> children) : run_(std::move(children.front())) {}
  State seek_first() { return run_->seek_first(); }
  State seek_last() { return run_->seek_last(); }
  State seek(std::string_view key) { return run_->seek(key); }
  State seek_before(std::string_view key) { return run_->seek_before(key); }
  State next() { return run_->next(); }
  State prev() { return run_->prev(); }
  const Iterator& here() const { return *run_; }
  std::string_view key() const { return run_->key(); }
  uint8_t flags() const { return run_->flags(); }
  struct Bound {
    std::string_view key;
  };
  bool below(const Bound* bound) const { return compare_keys(run_->key(), bound->key) < 0; }
  const Status& status() const { return run_->status(); }

 private:
  std::unique_ptr<Iterator> run_;
};

template <typename Runs>
class BoundedIterator final : public Iterator {
 public:
  BoundedIterator(std::vector<std::unique_ptr<Iterator>> children, std::string_view begin,
                  std::string_view end, std::vector<std::shared_ptr<const void>> keep_alive, Gaps* gaps,
                  Reader::Passed passed, ReadToll* toll, uint64_t sublevels)
      : keep_alive_(std::move(keep_alive)),
        merged_(std::move(children)),
        begin_(begin),
        end_(end),
        bound_{end_},
        gaps_(gaps),
        on_passed_(std::move(passed)),
        toll_(toll),
        sublevels_(sublevels) {}
  ~BoundedIterator() override {
    if (sublevels_ > 0) toll_->pay(begin_, sublevels_, seeks_, moves_);
  }

  State seek_first() override { return seek(begin_); }
  State seek_last() override {
    if (!end_.empty()) return seek_before(end_);
    from_known_ = false;
    ++seeks_;
    return pass<false>(merged_.seek_last());
  }
  State seek(std::string_view key) override {
    from_.assign(key < std::string_view(begin_) ? std::string_view(begin_) : key);
    from_known_ = true;
    ++seeks_;
    const std::string* end = far_edge<true>(from_);
    return pass<true>(merged_.seek(end ? *end : from_));
  }
  State seek_before(std::string_view key) override {
    const bool beyond = !end_.empty() && key > std::string_view(end_);
    from_.assign(beyond ? std::string_view(end_) : key);
    from_known_ = true;
    ++seeks_;
    const std::string* begin = far_edge<false>(from_);
    return pass<false>(merged_.seek_before(begin ? *begin : from_));
  }
  State next() override {
    from_known_ = false;
    ++moves_;
    return pass<true>(merged_.next());
  }
  State prev() override {
    from_known_ = false;
    ++moves_;
    return pass<false>(merged_.prev());
  }
  const Status& status() const override { return merged_.status(); }

 private:
  // From where `merged_` stands to the first record that is no tombstone, or to the bound.
  template <bool kForward>
  State pass(State state) {
    uint64_t passed = 0;
    for (; state == State::kAt; state = kForward ? merged_.next() : merged_.prev()) {
      if (outside<kForward>()) {
        state = State::kEnd;
        break;
      }
      if ((merged_.flags() & kTombstone) == 0) break;
      if (++passed % kLookAgain != 0) [[likely]]
        continue;
      begin_at(merged_.key());
      if (const std::string* edge = far_edge<kForward>(merged_.key())) {
        const std::string beyond = *edge;
        state = kForward ? merged_.seek(beyond) : merged_.seek_before(beyond);
        if (state != State::kAt) break;
        if (outside<kForward>()) {
          state = State::kEnd;
          break;
        }
        if ((merged_.flags() & kTombstone) == 0) break;
      }
      if (passed % kPassedAtOnce == 0) {
        note<kForward>(merged_.key());  // A tombstone is as good as nothing.
        if (on_passed_) on_passed_(kPassedAtOnce);
      }
    }
    if (gaps_ && passed >= kWorthNoting) {
      if (state == State::kAt) note<kForward>(kForward ? merged_.key() : std::string(merged_.key()) + '\0');
      if (state == State::kEnd && !(kForward && end_.empty())) note<kForward>(kForward ? end_ : begin_);
    }
    return state == State::kAt ? follow(merged_.here()) : here_.state = state;
  }

  template <bool kForward>
  bool outside() {
    if (kForward) return !end_.empty() && !merged_.below(&bound_);
    return compare_keys(merged_.key(), begin_) < 0;
  }
  // Of the known gap around `key`, in the direction of the walk.
  template <bool kForward>
  const std::string* far_edge(std::string_view key) const {
    if (!gaps_) return nullptr;
    return kForward ? gaps_->end_of(key) : gaps_->begin_before(key);
  }
  // Between from_ and `edge` there is nothing.
  template <bool kForward>
  void note(std::string_view edge) {
    if (!gaps_) return;
    if (kForward)
      gaps_->note(from_, edge);
    else
      gaps_->note(edge, from_);
  }

  // Where the stretch being passed begins, seen in the direction of the walk, if nobody has said.
  void begin_at(std::string_view key) {
    if (from_known_) return;
    from_.assign(key);
    from_known_ = true;
  }

  std::vector<std::shared_ptr<const void>> keep_alive_;
  Runs merged_;
  const std::string begin_, end_;
  typename Runs::Bound bound_;  // end_
  Gaps* gaps_;
  Reader::Passed on_passed_;
  ReadToll* toll_;
  uint64_t sublevels_;
  uint64_t seeks_ = 0, moves_ = 0;
  std::string from_;  // All between here and where `merged_` is, is hidden.
  bool from_known_ = false;
};

}  // namespace

std::unique_ptr<Iterator> bounded_iterator(std::vector<std::unique_ptr<Iterator>> children,
                                           std::string_view begin, std::string_view end,
                                           std::vector<std::shared_ptr<const void>> keep_alive, Gaps* gaps,
                                           Reader::Passed passed, ReadToll* toll, uint64_t sublevels) {
  const auto make = [&]<typename Runs>(std::type_identity<Runs>) -> std::unique_ptr<Iterator> {
    return std::make_unique<BoundedIterator<Runs>>(std::move(children), begin, end, std::move(keep_alive),
                                                   gaps, std::move(passed), toll, sublevels);
  };
  return children.size() == 1 ? make(std::type_identity<OneRun>()) : make(std::type_identity<MergedRuns>());
}

}  // namespace engine
