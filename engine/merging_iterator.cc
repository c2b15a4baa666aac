#include "engine/merging_iterator.h"

#include <utility>

#include "engine/merged_runs.h"

namespace engine {
namespace {

class MergingIterator final : public Iterator {
 public:
  explicit MergingIterator(std::vector<std::unique_ptr<Iterator>> children) : merged_(std::move(children)) {}

  State seek_first() override { return show(merged_.seek_first()); }
  State seek_last() override { return show(merged_.seek_last()); }
  State seek(std::string_view key) override { return show(merged_.seek(key)); }
  State seek_before(std::string_view key) override { return show(merged_.seek_before(key)); }
  State next() override { return show(merged_.next()); }
  State prev() override { return show(merged_.prev()); }
  const Status& status() const override { return merged_.status(); }

 private:
  State show(State state) { return state == State::kAt ? follow(merged_.here()) : here_.state = state; }

  MergedRuns merged_;
};

}  // namespace

std::unique_ptr<Iterator> merging_iterator(std::vector<std::unique_ptr<Iterator>> children) {
  if (children.size() == 1) return std::move(children.front());
  return std::make_unique<MergingIterator>(std::move(children));
}

}  // namespace engine
