#include "server/types/rank_index.h"

#include <algorithm>
#include <functional>

#include "server/types/packed.h"
#include "server/types/separator_list.h"

namespace server {

namespace {

[[noreturn]] void damaged(const char* what) {
  throw StorageError{engine::Status(engine::Code::kCorruption, std::string("an index of ranks: ") + what)};
}

// The shortest string that is greater than `before` and not greater than `key`. Requires: before < key.
std::string_view separate(std::string_view before, std::string_view key) {
  const size_t same = static_cast<size_t>(
      std::mismatch(before.begin(), before.end(), key.begin(), key.end()).second - key.begin());
  return key.substr(0, same + 1);
}

}  // namespace

// ---- bytes

void RankIndex::Root::write(engine::FieldWriter& out) const {
  out.number(weight).number(children).tag(levels);
}
RankIndex::Root RankIndex::Root::read(engine::FieldReader& in) {
  Root root;
  root.weight = in.number();
  root.children = in.number();
  root.levels = in.tag();
  return root;
}

const std::string& RankIndex::counter_key(size_t level, std::string_view separator) {
  key_.reserve(plan_.counters.size() + 1 + separator.size());
  key_.assign(plan_.counters);
  key_ += static_cast<char>(level);
  key_ += separator;
  return key_;
}

const std::string& RankIndex::list_key(size_t level, std::string_view parent) {
  return counter_key(level | kList, parent);
}

void RankIndex::put_counter(View& view, const std::string& key, const Counter& counter) {
  char bytes[2 * kVarintBytesMax];
  char* end = put_varint(put_varint(bytes, counter.weight), counter.children);
  view.put(key, {bytes, end});
}

RankIndex::Counter RankIndex::decode(std::string_view value) {
  engine::FieldReader fields(value);
  Counter counter;
  counter.weight = fields.number();
  counter.children = fields.number();
  if (!fields.ok()) damaged("a counter is malformed");
  return counter;
}

uint64_t RankIndex::weight_of(std::string_view value) const {
  return plan_.weigh == nullptr ? 1 : plan_.weigh(value);
}

// ---- the way from the root to a key

View::Range& RankIndex::counters() {
  if (!counters_) counters_.emplace(view_.range(plan_.counters, prefix_end(plan_.counters)));
  return *counters_;
}

std::string_view RankIndex::separator_here(size_t level) {
  const std::string_view key = counters_->key().substr(plan_.counters.size());
  if (key.empty() || static_cast<uint8_t>(key[0]) != level) damaged("a level has lost its first counter");
  return key.substr(1);
}

const std::string& RankIndex::next_separator(size_t level) {
  Step& step = way_[level - 1];
  if (step.next) return *step.next;
  step.next.emplace();
  View::Range& range = counters();
  if (range.seek(counter_key(level, step.separator) + '\0')) {
    const std::string_view key = range.key().substr(plan_.counters.size());
    if (static_cast<uint8_t>(key[0]) == level) *step.next = key.substr(1);
  }
  return *step.next;
}

bool RankIndex::in_hand(size_t level, std::string_view key) {
  if (key < way_[level - 1].separator) return false;
  const std::string& next = next_separator(level);
  return next.empty() || key < next;
}

void RankIndex::approach(std::string_view key) {
  if (root_.levels > 0) walk_to(key);
}

void RankIndex::walk_to(std::string_view key) {
  if (!way_.empty() && (key == way_key_ || in_hand(1, key))) return;
  flush();
  const bool had_way = !way_.empty();
  way_.resize(root_.levels);
  for (size_t level = root_.levels; level > 0; --level) {
    if (had_way && in_hand(level, key)) continue;
    Step& step = way_[level - 1];
    step.next.reset();
    step.changed = false;
    if (find_in_list(level, key)) continue;
    if (!counters().seek_before(counter_key(level, key) + '\0')) damaged("a level is missing");
    step.separator = separator_here(level);
    step.counter = decode(counters_->value());
  }
  way_key_ = key;
}

std::string_view RankIndex::parent_of(size_t level) const {
  return level == root_.levels ? std::string_view() : std::string_view(way_[level].separator);
}

uint64_t RankIndex::siblings(size_t level) const {
  return level == root_.levels ? root_.children : way_[level].counter.children;
}

// Takes the step of `level` to `key` by point reads. False: there is no list. Requires: the steps above lead
// to `key`.
bool RankIndex::find_in_list(size_t level, std::string_view key) {
  Step& step = way_[level - 1];
  step.separator = parent_of(level);
  // The last child ends where its parent does.
  if (level == root_.levels)
    step.next.emplace();
  else
    step.next = way_[level].next;
  if (siblings(level) > 1) {
    const auto record = view_.get(list_key(level, step.separator));
    if (!record) return step.next.reset(), false;
    const SeparatorList list(*record);
    const size_t before = list.not_above(key);
    if (before < list.size()) list.at(before, &(step.next ? *step.next : step.next.emplace()));
    if (before > 0) list.at(before - 1, &step.separator);
  }
  // The list that will be read next is fetched along.
  const auto ahead = [&](std::vector<std::string>& keys) {
    if (level > 1) keys.push_back(list_key(level - 1, step.separator));
  };
  const auto counter = view_.get(counter_key(level, step.separator), std::cref(ahead));
  if (!counter) damaged("a counter is missing");
  step.counter = decode(*counter);
  return true;
}

void RankIndex::flush() {
  for (size_t level = 1; level <= way_.size(); ++level) {
    Step& step = way_[level - 1];
    if (!step.changed) continue;
    put_counter(view_, counter_key(level, step.separator), step.counter);
    step.changed = false;
  }
}

// ---- changes

void RankIndex::change(std::string_view key, uint64_t minus, uint64_t plus) {
  if (root_.weight < minus) damaged("it counts fewer elements than there are");
  root_.weight += plus - minus;
  if (root_.levels == 0) return;
  walk_to(key);
  for (Step& step : way_) {
    if (step.counter.weight < minus) damaged("a counter counts fewer elements than there are");
    step.counter.weight += plus - minus;
    step.changed = true;
  }
}

void RankIndex::add(std::string_view key, uint64_t weight) {
  change(key, 0, weight);
  if (root_.levels == 0) {
    if (++root_.children > plan_.children_max) grow();
  } else if (++way_[0].counter.children > plan_.children_max) {
    split(1);
  }
}

void RankIndex::remove(std::string_view key, uint64_t weight) {
  change(key, weight, 0);
  uint64_t& children = root_.levels == 0 ? root_.children : way_[0].counter.children;
  if (children == 0) damaged("a counter has fewer children than there are");
  if (--children == 0 && root_.levels > 0) prune();
}

// A new level under the root, of one counter that is split at once.
void RankIndex::grow() {
  flush();
  way_.emplace_back();
  way_.back().counter = {root_.weight, root_.children};
  way_.back().changed = true;
  root_.children = 1;
  split(++root_.levels);
}

void RankIndex::split(size_t level) {
  flush();
  Step& step = way_[level - 1];
  // What grows at its end (a queue, a log) is left nearly full behind.
  const bool last = next_separator(level).empty();
  const uint64_t stay =
      last ? step.counter.children - step.counter.children / 8 - 1 : step.counter.children / 2;

  Counter left;
  std::string separator;
  const std::string prefix = level == 1 ? plan_.elements : counter_key(level - 1, {});
  {
    auto children = view_.range(prefix + step.separator, prefix_end(prefix));
    std::string previous;
    bool there = children.seek_first();
    for (; there && left.children < stay; there = children.next()) {
      ++left.children;
      left.weight += level == 1 ? weight_of(children.value()) : decode(children.value()).weight;
      previous = children.key().substr(prefix.size());
    }
    if (!there) damaged("a counter has more children than there are");
    const std::string_view key = children.key().substr(prefix.size());
    separator = level == 1 ? separate(previous, key) : key;
  }
  const Counter right{step.counter.weight - left.weight, step.counter.children - left.children};
  put_counter(view_, counter_key(level, step.separator), left);
  put_counter(view_, counter_key(level, separator), right);
  list_separator(level, separator);
  if (level > 1) part_list(level - 1, step.separator, separator);

  if (level == root_.levels) {
    way_.clear();
    if (++root_.children > plan_.children_max) {
      // grow() needs no way: the new counter is the only one of its level.
      way_.resize(root_.levels);
      grow();
    }
    return;
  }
  Step& parent = way_[level];
  ++parent.counter.children;
  parent.changed = true;
  if (parent.counter.children > plan_.children_max) return split(level + 1);
  flush();
  way_.clear();
}

// ---- lists of separators

void RankIndex::put_list(View& view, const std::string& key, std::span<const std::string> separators) {
  const std::string list = separators.empty() ? std::string() : SeparatorList::encode(separators);
  if (list.empty() || list.size() > kListBytesMax)
    view.erase(key);
  else
    view.put(key, list);
}

// A new counter has come to `level`, under the parent of the one in hand, whose children do not count it yet.
void RankIndex::list_separator(size_t level, std::string_view separator) {
  const std::string key = list_key(level, parent_of(level));
  std::vector<std::string> separators;
  if (siblings(level) > 1) {
    const auto record = view_.get(key);
    if (!record) return;  // Too long.
    separators = SeparatorList(*record).all();
  }
  separators.emplace(std::lower_bound(separators.begin(), separators.end(), separator), separator);
  put_list(view_, key, separators);
}

// The counter in hand at `level`, not the first child of its parent, goes.
void RankIndex::strike_separator(size_t level, std::string_view separator) {
  const std::string key = list_key(level, parent_of(level));
  const auto record = view_.get(key);
  if (!record) return;
  std::vector<std::string> separators = SeparatorList(*record).all();
  const auto at = std::lower_bound(separators.begin(), separators.end(), separator);
  if (at == separators.end() || *at != separator) damaged("a list lacks a separator");
  separators.erase(at);
  put_list(view_, key, separators);
}

// The parent `left` of counters of `level` has been split at `right`.
void RankIndex::part_list(size_t level, std::string_view left, std::string_view right) {
  const auto record = view_.get(list_key(level, left));
  if (!record) return;
  const std::vector<std::string> all = SeparatorList(*record).all();
  const std::span<const std::string> separators(all);
  const auto at = static_cast<size_t>(std::lower_bound(all.begin(), all.end(), right) - all.begin());
  if (at == all.size() || all[at] != right) damaged("a list lacks a separator");
  put_list(view_, list_key(level, left), separators.first(at));
  put_list(view_, list_key(level, right), separators.subspan(at + 1));
}

// Takes away the counters in hand that have nothing left to count, but for those that R1 and R2 keep.
void RankIndex::prune() {
  std::vector<bool> gone(way_.size());
  for (size_t level = way_.size(); level > 0; --level) {
    Step& step = way_[level - 1];
    if (step.counter.weight > 0 || step.separator.empty()) continue;
    const bool top = level == way_.size();
    if (!top && way_[level].separator == step.separator) continue;
    // All that is left under it is the chain of its first children (R2, R4).
    for (size_t below = 1; below <= level; ++below) {
      view_.erase(counter_key(below, step.separator));
      if (way_[below - 1].separator == step.separator) gone[below - 1] = true;
    }
    strike_separator(level, step.separator);
    if (top) {
      --root_.children;
    } else {
      --way_[level].counter.children;
      way_[level].changed = true;
    }
  }
  for (size_t i = 0; i < way_.size(); ++i)
    if (gone[i]) way_[i].changed = false;
  flush();
  way_.clear();
}

// ---- questions

uint64_t RankIndex::weight_before(std::string_view key) {
  flush();
  uint64_t before = 0;
  std::string from;
  for (size_t level = root_.levels; level > 0; --level) {
    View::Range& range = counters();
    if (!range.seek(counter_key(level, from))) damaged("a level is missing");
    Counter here = decode(range.value());
    while (range.next()) {
      const std::string_view next = range.key().substr(plan_.counters.size());
      if (static_cast<uint8_t>(next[0]) != level || next.substr(1) > key) break;
      before += here.weight;
      from = next.substr(1);
      here = decode(range.value());
    }
  }
  from = std::max(from, begin_);
  if (key <= from) return before;
  auto elements = view_.range(plan_.elements + from, plan_.elements + std::string(key));
  for (bool there = elements.seek_first(); there; there = elements.next())
    before += weight_of(elements.value());
  return before;
}

std::optional<RankIndex::Place> RankIndex::at(uint64_t position) {
  if (position >= root_.weight) return std::nullopt;
  flush();
  std::string from, end = prefix_end(plan_.elements);
  for (size_t level = root_.levels; level > 0; --level) {
    View::Range& range = counters();
    bool there = range.seek(counter_key(level, from));
    for (;;) {
      if (!there) damaged("a level ends too early");
      const std::string_view separator = separator_here(level);
      const Counter here = decode(range.value());
      if (position < here.weight) {
        from = separator;
        break;
      }
      position -= here.weight;
      there = range.next();
    }
    if (level == 1 && range.next() && range.key()[plan_.counters.size()] == 1)
      end = plan_.elements + std::string(separator_here(1));
  }
  auto elements = view_.range(plan_.elements + std::max(from, begin_), end);
  for (bool there = elements.seek_first(); there; there = elements.next()) {
    const uint64_t weight = weight_of(elements.value());
    if (position < weight) return Place{std::string(elements.key().substr(plan_.elements.size())), position};
    position -= weight;
  }
  damaged("it counts more elements than there are");
}

// ---- building

void RankIndex::Builder::add(std::string_view key, uint64_t weight) {
  const uint64_t full = plan_.children_max - plan_.children_max / 4;
  if (pending_.empty()) pending_.emplace_back();
  if (pending_[0].counter.children == full) {
    pass_up(0);
    pending_[0].separator = separate(last_key_, key);
  }
  pending_[0].counter.weight += weight;
  ++pending_[0].counter.children;
  last_key_ = key;
}

void RankIndex::Builder::pass_up(size_t level) {
  const uint64_t full = plan_.children_max - plan_.children_max / 4;
  if (level + 1 == pending_.size()) pending_.emplace_back();
  if (pending_[level + 1].counter.children == full) {
    pass_up(level + 1);
    pending_[level + 1].separator = pending_[level].separator;
  }
  Pending& done = pending_[level];
  Pending& parent = pending_[level + 1];
  put_counter(view_, key_of(level + 1, done.separator), done.counter);
  write_list(level);
  if (parent.counter.children > 0) parent.below.push_back(done.separator);
  parent.counter.weight += done.counter.weight;
  ++parent.counter.children;
  done.counter = {};
}

std::string RankIndex::Builder::key_of(size_t tag, std::string_view separator) const {
  std::string key = plan_.counters;
  key += static_cast<char>(tag);
  return key.append(separator);
}

// Of the children of what is pending.
void RankIndex::Builder::write_list(size_t level) {
  Pending& done = pending_[level];
  if (!done.below.empty()) put_list(view_, key_of(level | kList, done.separator), done.below);
  done.below.clear();
}

RankIndex::Root RankIndex::Builder::finish() {
  if (pending_.empty()) return {};
  size_t level = 0;
  for (; level + 1 < pending_.size(); ++level) pass_up(level);
  // The topmost one is the root's.
  write_list(level);
  const Counter& top = pending_[level].counter;
  return {top.weight, top.children, static_cast<uint8_t>(level)};
}

}  // namespace server
