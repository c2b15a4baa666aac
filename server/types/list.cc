#include "server/types/list.h"

#include <algorithm>
#include <cstring>
#include <functional>

namespace server {

using engine::Existence;

namespace {

constexpr uint8_t kOneRun = 1;
constexpr uint8_t kPieces = 2;
// Elements that are fetched with the one that a pop finds cold, and every how many a key is looked up to find
// their blocks (of 4 KB).
constexpr int64_t kReadAhead = 512;
constexpr int64_t kReadAheadStep = 8;
// Below this many elements single reads are cheaper than an iterator.
constexpr uint64_t kRangeFrom = 8;

// Slots as unsigned numbers in the same order.
uint64_t ordered(int64_t slot) { return static_cast<uint64_t>(slot) ^ (uint64_t{1} << 63); }

int64_t end_of(const Piece& piece) { return piece.first + static_cast<int64_t>(piece.length); }

void insert_slot(std::vector<Piece>& pieces, uint64_t position, int64_t slot) {
  size_t i = 0;
  while (i < pieces.size() && position > pieces[i].length) position -= pieces[i++].length;
  const auto at = pieces.begin() + static_cast<ptrdiff_t>(i);
  if (i == pieces.size() || position == 0) {
    pieces.insert(at, {slot, 1});
  } else if (position < pieces[i].length) {
    const Piece rest{at->first + static_cast<int64_t>(position), at->length - position};
    at->length = position;
    pieces.insert(at + 1, {{slot, 1}, rest});
  } else if (end_of(*at) == slot) {
    ++at->length;
  } else {
    pieces.insert(at + 1, {slot, 1});
  }
}

void erase_slot(std::vector<Piece>& pieces, uint64_t position) {
  auto at = pieces.begin();
  while (position >= at->length) position -= (at++)->length;
  if (position == 0) {
    ++at->first;
    if (--at->length == 0) pieces.erase(at);
  } else {
    const Piece rest{at->first + static_cast<int64_t>(position) + 1, at->length - position - 1};
    at->length = position;
    if (rest.length > 0) pieces.insert(at + 1, rest);
  }
}

size_t varint_bytes(uint64_t n) {
  size_t bytes = 1;
  for (; n >= 0x80; n >>= 7) ++bytes;
  return bytes;
}
size_t item_cost(std::string_view item) { return varint_bytes(item.size()) + item.size(); }

}  // namespace

// ------------------------------------------------------------------ keys and payloads

std::string List::slot_key(int64_t slot) const {
  const uint64_t big_endian = __builtin_bswap64(ordered(slot));
  char element[sizeof big_endian];
  std::memcpy(element, &big_endian, sizeof element);
  std::string key;
  element_key(object_.id, {element, sizeof element}, &key);
  return key;
}

std::string List::garbage_key() const {
  std::string key;
  element_key(object_.id, "\xf1", &key);
  return key;
}

std::string_view List::read_slot_value(int64_t slot) {
  const auto value = view_.get(slot_key(slot));
  if (!value) throw_damaged_list();
  return *value;
}

List::List(View& view, ObjectId database, std::string_view key, const std::optional<Header>& header,
           const ListLimits& limits)
    : view_(view),
      database_(database),
      key_(key),
      header_(header),
      limits_(limits),
      tree_(view, header ? header->object.id : engine::kNoObject, limits.node_pieces) {
  if (!header_) return;
  object_ = header_->object;
  decode(header_->payload);
  if (size_ == 0) throw_damaged_list();  // L1
}

void List::decode(std::string_view payload) {
  if (is_inline()) {
    item_bytes_ = payload.size();
    const auto length = [&] {
      uint64_t n = 0;
      for (int shift = 0; !payload.empty() && shift < 35; shift += 7) {
        const auto byte = static_cast<uint8_t>(payload.front());
        payload.remove_prefix(1);
        n |= static_cast<uint64_t>(byte & 0x7f) << shift;
        if (byte < 0x80) return n;
      }
      throw_damaged_list();
    };
    size_ = length();
    if (size_ > payload.size()) throw_damaged_list();
    items_.reserve(size_ + 4);
    for (uint64_t i = 0; i < size_; ++i) {
      const uint64_t bytes = length();
      if (bytes > payload.size()) throw_damaged_list();
      items_.push_back(payload.substr(0, bytes));
      payload.remove_prefix(bytes);
    }
    return;
  }
  engine::FieldReader in(payload);
  const uint8_t form = in.tag();
  if (form == kOneRun) {
    const int64_t first = read_slot(in);
    size_ = in.number();
    if (!in.ok()) throw_damaged_list();
    front_.push_back({first, size_});
    left_ = first;
    right_ = end_of(front_[0]);
    return;
  }
  size_ = in.number();
  left_ = read_slot(in);
  right_ = read_slot(in);
  inserted_ = read_slot(in);
  tree_.next_node = in.number();
  tree_.root.node = in.number();
  tree_.root.height = in.tag();
  tree_.root.count = in.number();
  stored_garbage_ = in.tag() != 0;
  if (form != kPieces || !read_pieces(in, &front_) || !read_pieces(in, &back_)) throw_damaged_list();
  if (count_elements(front_) + tree_.root.count + count_elements(back_) != size_) throw_damaged_list();
}

bool List::one_run() const {
  return tree_.empty() && !stored_garbage_ && front_.size() + back_.size() == 1 && back_.empty() &&
         front_[0].first < kInsertedSlots;
}

void List::encode(engine::FieldWriter& out) {
  if (is_inline()) {
    out.number(items_.size());
    for (const std::string_view item : items_) out.text(item);
    return;
  }
  if (one_run()) {
    out.tag(kOneRun);
    write_slot(out, front_[0].first);
    out.number(size_);
    return;
  }
  out.tag(kPieces).number(size_);
  write_slot(out, left_);
  write_slot(out, right_);
  write_slot(out, inserted_);
  out.number(tree_.next_node).number(tree_.root.node).tag(tree_.root.height).number(tree_.root.count);
  out.tag(stored_garbage_ ? 1 : 0);
  write_pieces(out, front_);
  write_pieces(out, back_);
}

void List::save() {
  if (size_ == 0) {
    if (header_) view_.erase_header(database_, key_);  // Its object dies with all that is in it.
    return;
  }
  if (!is_inline()) {
    settle_pieces();
    sweep();
    tree_.save();
  }
  engine::FieldWriter out;
  encode(out);
  const std::string payload = out.take();
  Header header;
  header.type = Type::kList;
  if (header_) header.expiry_ms = header_->expiry_ms;
  header.object = object_;
  header.payload = payload;
  view_.put_header(database_, key_, header, header_);
}

// A list that outgrows its header moves out, for good (L2).
void List::spill_if_large() {
  if (!is_inline() || (items_.size() <= limits_.inline_entries && item_bytes_ <= limits_.inline_bytes))
    return;
  object_ = {view_.new_object(), 0};
  tree_.begin(object_.id);
  right_ = 0;
  for (const std::string_view item : items_) view_.put(slot_key(right_++), item, Existence::kAbsent);
  front_.assign(1, {0, items_.size()});
  items_.clear();
}

// ------------------------------------------------------------------ pieces

// Keeps the header small and both ends in it (L4). Requires: size_ > 0.
void List::settle_pieces() {
  const size_t keep = std::max<size_t>(limits_.header_pieces / 4, 1);
  const auto part = [](const std::vector<Piece>& all, size_t from, size_t to) {
    return std::vector<Piece>(all.begin() + static_cast<ptrdiff_t>(from),
                              all.begin() + static_cast<ptrdiff_t>(to));
  };
  if (front_.size() > limits_.header_pieces) {
    size_t to = front_.size();
    if (tree_.empty() && back_.empty()) {
      to -= std::min(keep, to - keep);
      back_ = part(front_, to, front_.size());
    }
    tree_.add_first(part(front_, keep, to));
    front_.resize(keep);
  }
  if (back_.size() > limits_.header_pieces) {
    const size_t from = back_.size() - keep;
    tree_.add_last(part(back_, 0, from));
    back_ = part(back_, from, back_.size());
  }
  if (front_.empty() && !tree_.empty()) front_ = tree_.take_first();
  if (tree_.empty() && front_.size() + back_.size() <= limits_.header_pieces) {
    front_.insert(front_.end(), back_.begin(), back_.end());
    back_.clear();
  }
}

// The piece that holds the first or last element. Requires: size_ > 0.
Piece& List::end_piece(End end) {
  if (end == End::kLeft) {
    if (front_.empty() && !tree_.empty()) front_ = tree_.take_first();
    if (front_.empty()) front_.swap(back_);
    return front_.front();
  }
  if (back_.empty() && !tree_.empty()) back_ = tree_.take_last();
  return back_.empty() ? front_.back() : back_.back();
}

PieceTree::Place List::find(uint64_t position) {
  for (const Piece& piece : front_) {
    if (position < piece.length) return {piece, position};
    position -= piece.length;
  }
  if (position < tree_.root.count) return tree_.find(position);
  position -= tree_.root.count;
  for (const Piece& piece : back_) {
    if (position < piece.length) return {piece, position};
    position -= piece.length;
  }
  throw_damaged_list();
}

// Lets `change` have the pieces around `position`.
template <typename Change>
void List::edit(uint64_t position, Change&& change) {
  const uint64_t in_front = count_elements(front_);
  if (position < in_front) {
    change(front_, position);
  } else if (position - in_front < tree_.root.count) {
    tree_.edit(position - in_front, change);
  } else {
    change(back_, position - in_front - tree_.root.count);
  }
}

// ------------------------------------------------------------------ elements

std::string_view List::at(uint64_t position) {
  if (is_inline()) return items_[position];
  const auto [piece, offset] = find(position);
  return read_slot_value(piece.first + static_cast<int64_t>(offset));
}

void List::push(End end, std::string_view element) {
  ++size_;
  if (is_inline()) {
    items_.insert(end == End::kLeft ? items_.begin() : items_.end(), element);
    item_bytes_ += item_cost(element);
    return spill_if_large();
  }
  const int64_t slot = end == End::kLeft ? --left_ : right_++;
  view_.put(slot_key(slot), element, Existence::kAbsent);
  if (size_ == 1) {
    front_.assign(1, {slot, 1});
    return;
  }
  Piece& piece = end_piece(end);
  if (end == End::kLeft && piece.first == slot + 1) {
    --piece.first;
    ++piece.length;
  } else if (end == End::kRight && end_of(piece) == slot) {
    ++piece.length;
  } else if (end == End::kLeft) {
    front_.insert(front_.begin(), {slot, 1});
  } else {
    (back_.empty() ? front_ : back_).push_back({slot, 1});
  }
}

std::string_view List::pop(End end) {
  std::string_view element;
  if (is_inline()) {
    element = end == End::kLeft ? items_.front() : items_.back();
    --size_;
    item_bytes_ -= std::min(item_bytes_, item_cost(element));
    items_.erase(end == End::kLeft ? items_.begin() : items_.end() - 1);
    return element;
  }
  Piece& piece = end_piece(end);
  const bool left = end == End::kLeft;
  const int64_t slot = left ? piece.first : end_of(piece) - 1;
  // Whoever pops goes on popping, and many connections may stand before the same cold block.
  const auto ahead = [this, slot, left](std::vector<std::string>& keys) {
    for (int64_t i = kReadAheadStep; i <= kReadAhead; i += kReadAheadStep)
      keys.push_back(slot_key(left ? slot + i : slot - i));
  };
  const std::string key = slot_key(slot);
  const auto value = view_.get(key, std::cref(ahead));
  if (!value) throw_damaged_list();
  if (view_.writes() == 0 && piece.length > 1 && one_run()) [[likely]] {
    // A queue: what drop() and sweep() would come to. A command that pops many leaves the others to these.
    view_.erase(key, Existence::kPresent);
    --size_;
    --piece.length;
    left ? left_ = ++piece.first : right_ = end_of(piece);
    return *value;
  }
  drop(end, 1);
  return *value;
}

void List::set(uint64_t position, std::string_view element) {
  if (is_inline()) {
    item_bytes_ += item_cost(element) - item_cost(items_[position]);
    items_[position] = element;
    return spill_if_large();
  }
  const auto [piece, offset] = find(position);
  view_.put(slot_key(piece.first + static_cast<int64_t>(offset)), element, Existence::kPresent);
}

void List::insert(uint64_t position, std::string_view element) {
  if (position == 0) return push(End::kLeft, element);
  if (position == size_) return push(End::kRight, element);
  ++size_;
  if (is_inline()) {
    items_.insert(items_.begin() + static_cast<ptrdiff_t>(position), element);
    item_bytes_ += item_cost(element);
    return spill_if_large();
  }
  const int64_t slot = inserted_++;
  view_.put(slot_key(slot), element, Existence::kAbsent);
  edit(position, [&](std::vector<Piece>& pieces, uint64_t within) { insert_slot(pieces, within, slot); });
  settle_pieces();
}

void List::erase(uint64_t position) {
  if (is_inline()) {
    item_bytes_ -= std::min(item_bytes_, item_cost(items_[position]));
    items_.erase(items_.begin() + static_cast<ptrdiff_t>(position));
    --size_;
    return;
  }
  if (position == 0) return drop(End::kLeft, 1);
  if (position == size_ - 1) return drop(End::kRight, 1);
  const auto [piece, offset] = find(position);
  view_.erase(slot_key(piece.first + static_cast<int64_t>(offset)), Existence::kPresent);
  edit(position, [](std::vector<Piece>& pieces, uint64_t within) { erase_slot(pieces, within); });
  --size_;
  settle_pieces();
}

void List::trim(uint64_t first, uint64_t count) {
  const uint64_t behind = size_ - first - count;
  if (is_inline()) {
    items_.erase(items_.end() - static_cast<ptrdiff_t>(behind), items_.end());
    items_.erase(items_.begin(), items_.begin() + static_cast<ptrdiff_t>(first));
    item_bytes_ = 1;
    for (const std::string_view item : items_) item_bytes_ += item_cost(item);
    size_ = count;
    return;
  }
  if (count == 0) {
    size_ = 0;
    return;
  }
  drop(End::kLeft, first);
  drop(End::kRight, behind);
}

// The first or last `count` elements become garbage, which save() sweeps. Requires: count <= size_.
void List::drop(End end, uint64_t count) {
  size_ -= count;
  const bool left = end == End::kLeft;
  while (count > 0) {
    std::vector<Piece>& pieces = left ? front_ : back_;
    if (pieces.empty()) {
      if (!tree_.empty()) {
        const uint64_t from_tree = std::min(count, tree_.root.count);
        left ? tree_.drop_first(from_tree, &garbage_) : tree_.drop_last(from_tree, &garbage_);
        count -= from_tree;
      } else {
        front_.swap(back_);
      }
      continue;
    }
    Piece& piece = left ? pieces.front() : pieces.back();
    const uint64_t here = std::min(count, piece.length);
    garbage_.push_back({{left ? piece.first : end_of(piece) - static_cast<int64_t>(here), here}});
    if (left) piece.first += static_cast<int64_t>(here);
    piece.length -= here;
    if (piece.length == 0) pieces.erase(left ? pieces.begin() : pieces.end() - 1);
    count -= here;
  }
}

// ------------------------------------------------------------------ garbage

// Erases some of what is no longer in the list; notes the rest for the writes to come.
void List::sweep() {
  if (garbage_.empty() && !stored_garbage_) return;
  std::vector<Garbage> all = std::move(garbage_);
  garbage_.clear();
  if (stored_garbage_) {
    const auto record = view_.get(garbage_key());
    if (!record) throw_damaged_list();
    engine::FieldReader in(*record);
    while (!in.done()) {
      Garbage one;
      one.node = in.number();
      if (one.node != 0) {
        one.height = in.tag();
      } else {
        one.piece.first = read_slot(in);
        one.piece.length = in.number();
      }
      all.push_back(one);
    }
    if (!in.ok()) throw_damaged_list();
  }

  size_t budget = limits_.erased_per_write;
  while (!all.empty() && budget > 0) {
    Garbage& last = all.back();
    if (last.node != 0) {
      const Garbage node = last;
      all.pop_back();
      tree_.erase_garbage(node.node, node.height, &all);
      --budget;
      continue;
    }
    for (; budget > 0 && last.piece.length > 0; --budget) {
      --last.piece.length;
      view_.erase(slot_key(end_of(last.piece)), Existence::kPresent);
    }
    if (last.piece.length == 0) all.pop_back();
  }

  if (!all.empty()) {
    engine::FieldWriter out;
    for (const Garbage& one : all) {
      out.number(one.node);
      if (one.node != 0) {
        out.tag(one.height);
      } else {
        write_slot(out, one.piece.first);
        out.number(one.piece.length);
      }
    }
    view_.put(garbage_key(), out.take());
    stored_garbage_ = true;
    return;
  }
  if (stored_garbage_) view_.erase(garbage_key(), Existence::kPresent);
  stored_garbage_ = false;
  // Slots that were pushed rise along the list, and beyond its ends nothing is left now.
  if (!front_.empty() && front_.front().first < kInsertedSlots) left_ = front_.front().first;
  const Piece& last = back_.empty() && tree_.empty() ? front_.back() : back_.empty() ? Piece{} : back_.back();
  if (last.length > 0 && last.first < kInsertedSlots) right_ = end_of(last);
}

// ------------------------------------------------------------------ walking

List::Walk::Walk(List& list, uint64_t position, bool forward, uint64_t at_most)
    : list_(list), forward_(forward), position_(position), left_(at_most) {}

bool List::Walk::next() {
  if (left_ == 0) return false;
  if (begun_) position_ = forward_ ? position_ + 1 : position_ - 1;
  begun_ = true;
  --left_;
  if (list_.is_inline()) {
    value_ = list_.items_[position_];
    return true;
  }
  if (in_piece_ == 0) enter_piece();
  if (range_) {
    bool there;
    if (fresh_)
      there = forward_ ? range_->seek_first() : range_->seek_last();
    else
      there = forward_ ? range_->next() : range_->prev();
    fresh_ = false;
    if (!there || !at_slot()) throw_damaged_list();
    value_ = range_->value();
  } else {
    list_.view_.charge(1);
    value_ = list_.read_slot_value(slot_);
  }
  slot_ += forward_ ? 1 : -1;
  --in_piece_;
  return true;
}

bool List::Walk::at_slot() const {
  const std::string_view key = range_->key();
  uint64_t big_endian = 0;
  if (key.size() < sizeof big_endian) return false;
  std::memcpy(&big_endian, key.data() + key.size() - sizeof big_endian, sizeof big_endian);
  return __builtin_bswap64(big_endian) == ordered(slot_);
}

void List::Walk::enter_piece() {
  const auto [piece, offset] = list_.find(position_);
  slot_ = piece.first + static_cast<int64_t>(offset);
  in_piece_ = std::min(forward_ ? piece.length - offset : offset + 1, left_ + 1);
  range_.reset();
  if (in_piece_ < kRangeFrom) return;
  const auto count = static_cast<int64_t>(in_piece_);
  const int64_t begin = forward_ ? slot_ : slot_ - count + 1;
  range_.emplace(list_.view_.range(list_.slot_key(begin), list_.slot_key(begin + count)));
  fresh_ = true;
}

}  // namespace server
