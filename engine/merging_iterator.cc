#include "engine/merging_iterator.h"

#include <string>
#include <utility>

#include "engine/loser_tree.h"

namespace engine {
namespace {

class MergingIterator final : public Iterator {
 public:
  explicit MergingIterator(std::vector<std::unique_ptr<Iterator>> children) : tree_(std::move(children)) {}

  State seek_first() override {
    return show(tree_.start(false, [](Iterator& it) { it.seek_first(); }));
  }
  State seek_last() override {
    return show(tree_.start(true, [](Iterator& it) { it.seek_last(); }));
  }
  State seek(std::string_view key) override {
    last_key_.assign(key);  // It may be a view of what a child is on.
    return show(tree_.start(false, [this](Iterator& it) { it.seek(last_key_); }));
  }
  State seek_before(std::string_view key) override {
    last_key_.assign(key);
    return show(tree_.start(true, [this](Iterator& it) { it.seek_before(last_key_); }));
  }
  State next() override {
    if (!tree_.backward()) [[likely]]
      return skip_shadowed();
    last_key_.assign(tree_.key());
    tree_.start(false, [this](Iterator& it) { it.seek(last_key_); });
    const bool same = tree_.state() == State::kAt && tree_.key() == last_key_;
    return same ? skip_shadowed() : show(tree_.state());
  }
  State prev() override {
    if (tree_.backward()) [[likely]]
      return skip_shadowed();
    last_key_.assign(tree_.key());
    return show(tree_.start(true, [this](Iterator& it) { it.seek_before(last_key_); }));
  }
  const Status& status() const override { return tree_.status(); }

 private:
  // Leaves the record shown and all older ones of its key.
  State skip_shadowed() {
    while (tree_.repeats()) {
      if (tree_.step() != State::kAt) return show(tree_.state());
    }
    return show(tree_.step());
  }
  State show(State state) { return state == State::kAt ? follow(tree_.winner()) : here_.state = state; }

  LoserTree tree_;
  std::string last_key_;
};

}  // namespace

std::unique_ptr<Iterator> merging_iterator(std::vector<std::unique_ptr<Iterator>> children) {
  if (children.size() == 1) return std::move(children.front());
  return std::make_unique<MergingIterator>(std::move(children));
}

}  // namespace engine
