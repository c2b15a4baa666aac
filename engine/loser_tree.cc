#include "engine/loser_tree.h"

#include <algorithm>
#include <utility>

namespace engine {

LoserTree::LoserTree(std::vector<std::unique_ptr<Iterator>> children)
    : children_(std::move(children)), leaves_(children_.size()), losers_(children_.size()) {}

const Status& LoserTree::status() const {
  static const Status ok;
  for (const auto& child : children_)
    if (child->state() == State::kFailed) return child->status();
  return ok;
}

LoserTree::State LoserTree::build() {
  state_ = State::kEnd;
  for (const auto& child : children_) {
    const State state = child->state();
    if (state == State::kFailed) return state_ = state;
    if (state == State::kCold) state_ = state;
  }
  if (state_ == State::kCold) return state_;
  find_prefix();
  ties_max_ = kTiesMin;
  play_all();
  return state_;
}

bool LoserTree::load(size_t child, State state) {
  Leaf& leaf = leaves_[child];
  leaf.at_end = state != State::kAt;
  if (leaf.at_end) {
    leaf.head = ~uint64_t{0};
    leaf.key = {};
    return true;
  }
  leaf.key = children_[child]->key();
  if (!has_prefix(leaf.key, prefix_)) return false;
  leaf.head = head_of(leaf.key);
  return true;
}

void LoserTree::find_prefix() {
  const Iterator* first = nullptr;
  size_t shared = 0;
  for (const auto& child : children_) {
    if (child->state() != State::kAt) continue;
    if (first == nullptr) {
      first = child.get();
      shared = first->key().size();
    } else {
      shared = common_prefix(first->key().substr(0, shared), child->key());
    }
  }
  ++prefixes_;
  prefix_.clear();
  if (first != nullptr) prefix_.assign(first->key().substr(0, shared));
  ties_ = 0;
  for (size_t i = 0; i < children_.size(); ++i) load(i, children_[i]->state());
}

void LoserTree::play_all() {
  const size_t n = children_.size();
  if (n == 0) return;
  // winners[i] for node i; leaves are the nodes n .. 2n-1.
  std::vector<uint32_t> winners(2 * n);
  for (size_t i = 0; i < n; ++i) winners[n + i] = static_cast<uint32_t>(i);
  for (size_t node = n - 1; node > 0; --node) {
    uint32_t a = winners[2 * node];
    uint32_t b = winners[2 * node + 1];
    const uint64_t left = leaves_[a].head, right = leaves_[b].head;
    if (left != right ? right < left : before_by_key(b, a)) std::swap(a, b);
    winners[node] = a;
    losers_[node] = {leaves_[b].head, b};
  }
  winner_ = winners[1];
  find_second();
  state_ = leaves_[winner_].at_end ? State::kEnd : State::kAt;
}

void LoserTree::replay(size_t child) {
  auto winner = static_cast<uint32_t>(child);
  uint64_t head = leaves_[child].head;
  for (size_t node = (child + children_.size()) / 2; node > 0; node /= 2) {
    Loser& met = losers_[node];
    bool loses = met.head < head;
    if (met.head == head) [[unlikely]]
      loses = before_by_key(met.child, winner);
    // Who wins is as good as random, and a branch on it would be mispredicted every other time: a masked
    // swap.
    const uint64_t mask = uint64_t{0} - static_cast<uint64_t>(loses);
    const uint64_t heads = (met.head ^ head) & mask;
    const uint32_t numbers = (met.child ^ winner) & static_cast<uint32_t>(mask);
    met.head ^= heads;
    head ^= heads;
    met.child ^= numbers;
    winner ^= numbers;
  }
  winner_ = winner;
  if (ties_ > ties_max_) [[unlikely]] {
    // Perhaps the keys share more by now; if not, look again more rarely.
    const size_t had = prefix_.size();
    find_prefix();
    ties_max_ = prefix_.size() > had ? kTiesMin : std::min(ties_max_ * 2, kTiesMax);
    play_all();
    return;
  }
  find_second();
  state_ = leaves_[winner_].at_end ? State::kEnd : State::kAt;
}

void LoserTree::find_second() {
  second_head_ = ~uint64_t{0};
  for (size_t node = (winner_ + children_.size()) / 2; node > 0; node /= 2)
    second_head_ = std::min(second_head_, losers_[node].head);
}

// step() has come to an end, to trouble, or to a key outside the prefix.
LoserTree::State LoserTree::settle(size_t child, State state) {
  if (state == State::kCold || state == State::kFailed) return state_ = state;
  if (load(child, state)) {
    replay(child);
  } else {
    ties_max_ = kTiesMin;
    find_prefix();
    play_all();
  }
  return state_;
}

bool LoserTree::before_by_key(size_t a, size_t b) {
  const Leaf& left = leaves_[a];
  const Leaf& right = leaves_[b];
  if (left.at_end || right.at_end) return right.at_end && (!left.at_end || a < b);
  ++ties_;
  const int order = compare_keys(left.key.substr(prefix_.size()), right.key.substr(prefix_.size()));
  if (order != 0) return (order < 0) != backward_;
  return a < b;
}

}  // namespace engine
