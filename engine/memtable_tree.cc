#include "engine/memtable_tree.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

namespace engine::tree {
namespace {

constexpr uint64_t kNoHead = ~uint64_t{0};
constexpr unsigned kHeadBytes = 8;
// Heads are computed anew when they can skip this many bytes more: it costs a look at every record.
constexpr unsigned kWorthwhileBytes = 4;
// So many keys say something about those to come.
constexpr unsigned kRevealingKeys = 2;

uint64_t load_big_endian(const char* from) {
  uint64_t value;
  std::memcpy(&value, from, sizeof value);
  return __builtin_bswap64(value);
}

uint64_t head_of(std::string_view key, uint32_t prefix) {
  const size_t rest = key.size() - prefix;
  if (rest >= kHeadBytes) [[likely]]
    return load_big_endian(key.data() + prefix);
  if (rest == 0) return 0;
  // The key's last eight bytes, without those before `rest`: a copy of so few bytes would cost more.
  if (key.size() >= kHeadBytes)
    return load_big_endian(key.data() + key.size() - kHeadBytes) << (64 - 8 * rest);
  char padded[kHeadBytes] = {};
  std::memcpy(padded, key.data() + prefix, rest);
  return load_big_endian(padded);
}

// How many of the node's heads are below `head`. Without a branch: where a random key goes cannot be
// predicted.
unsigned heads_below(const uint64_t* heads, uint64_t head) {
  unsigned at = 0;
  at += static_cast<unsigned>(heads[at + 31] < head) * 32;
  at += static_cast<unsigned>(heads[at + 15] < head) * 16;
  at += static_cast<unsigned>(heads[at + 7] < head) * 8;
  at += static_cast<unsigned>(heads[at + 3] < head) * 4;
  at += static_cast<unsigned>(heads[at + 1] < head) * 2;
  at += static_cast<unsigned>(heads[at] < head);
  at += static_cast<unsigned>(heads[at] < head);
  return at;
}

// Compares keys of which the first `prefix` bytes and the heads behind them are known to be equal.
int compare_tails(std::string_view a, std::string_view b, uint32_t prefix) {
  const size_t known = prefix + size_t{kHeadBytes};
  if (a.size() >= known && b.size() >= known) [[likely]] {
    return a.substr(known).compare(b.substr(known));
  }
  return a.substr(prefix).compare(b.substr(prefix));
}

// The first slot in [begin, count) whose key is above (kAbove) or at least `key`. Slots before `begin` are
// below.
template <bool kAbove>
unsigned bound(const Node* node, unsigned begin, std::string_view key, bool* equal = nullptr) {
  if (node->checked) {
    const int order = key.substr(0, node->prefix).compare({node->text, node->prefix});
    if (order != 0) return order < 0 ? begin : node->count;
  }
  const uint64_t head = head_of(key, node->prefix);
  unsigned low = std::max(heads_below(node->head, head), begin);
  if (low >= node->count || node->head[low] != head) [[likely]]
    return low;
  unsigned high = low + 1;
  if (high < node->count && node->head[high] == head) {
    high = head == kNoHead ? node->count : std::max(heads_below(node->head, head + 1), high);
  }
  while (low < high) {
    const unsigned middle = (low + high) / 2;
    const int order = compare_tails(node->record[middle]->key(), key, node->prefix);
    if (!kAbove && order == 0) {
      *equal = true;
      return middle;
    }
    if (order < 0 || (kAbove && order == 0)) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

unsigned child_slot(const Node* inner, std::string_view key) { return bound<true>(inner, 1, key) - 1; }

const Node* child_of(const Node* node, unsigned slot) {
  const Node* child = static_cast<const Inner*>(node)->child[slot];
  // Where the search will look is not known yet, but all that it may need fits in nine lines.
  const char* line = reinterpret_cast<const char*>(child);
  for (unsigned i = 0; i < sizeof(Node::head) + 64; i += 64) __builtin_prefetch(line + i);
  return child;
}

size_t common_bytes(std::string_view a, std::string_view b) {
  const size_t size = std::min(a.size(), b.size());
  size_t common = 0;
  while (common < size && a[common] == b[common]) ++common;
  return common;
}

void set_prefix(Node* node, size_t prefix) {
  node->prefix = static_cast<uint32_t>(prefix);
  const unsigned first = node->level > 0 ? 1 : 0;
  if (first > 0) node->head[0] = 0;
  for (unsigned i = first; i < node->count; ++i) {
    node->head[i] = head_of(node->record[i]->key(), node->prefix);
  }
}

// Makes room for one slot.
void open_slot(Node* node, unsigned slot) {
  const unsigned behind = node->count - slot;
  std::memmove(&node->head[slot + 1], &node->head[slot], behind * sizeof(node->head[0]));
  std::memmove(&node->record[slot + 1], &node->record[slot], behind * sizeof(node->record[0]));
  if (node->level > 0) {
    Node** child = static_cast<Inner*>(node)->child;
    std::memmove(&child[slot + 1], &child[slot], behind * sizeof(child[0]));
  }
  ++node->count;
}

void add_slot(Node* node, unsigned slot, MemRecord* record, Node* child = nullptr) {
  open_slot(node, slot);
  node->record[slot] = record;
  if (node->level > 0) static_cast<Inner*>(node)->child[slot] = child;
  const std::string_view key = record->key();
  const size_t common = node->checked ? common_bytes(key, {node->text, node->prefix}) : node->prefix;
  if (common < node->prefix) [[unlikely]] {
    set_prefix(node, common);
  } else {
    node->head[slot] = head_of(key, node->prefix);
  }
}

// The node has been split, or has grown without: lets its heads start behind what its keys now have in
// common.
void refit(Node* node, const MemRecord* low, const MemRecord* high) {
  if (low != nullptr && high != nullptr) {
    const size_t common = common_bytes(low->key(), high->key());
    if (common >= node->prefix) node->checked = false;
    if (common >= node->prefix + kWorthwhileBytes) set_prefix(node, common);
    return;
  }
  const unsigned first = node->level > 0 ? 1 : 0;
  if (node->count < first + kRevealingKeys) return;
  const std::string_view key = node->record[first]->key();
  const size_t common = std::min<size_t>(common_bytes(key, node->record[node->count - 1]->key()), kTextBytes);
  if (common < node->prefix + kWorthwhileBytes) return;
  std::memcpy(node->text, key.data(), common);
  node->checked = true;
  set_prefix(node, common);
}

// Moves the slots from `slot` on to the empty node `right`.
void move_slots(Node* left, unsigned slot, Node* right) {
  const unsigned moved = left->count - slot;
  std::memcpy(right->head, &left->head[slot], moved * sizeof(left->head[0]));
  std::memcpy(right->record, &left->record[slot], moved * sizeof(left->record[0]));
  if (left->level > 0) {
    std::memcpy(static_cast<Inner*>(right)->child, &static_cast<Inner*>(left)->child[slot],
                moved * sizeof(Node*));
  }
  std::fill(&left->head[slot], &left->head[left->count], kNoHead);
  left->count = static_cast<uint16_t>(slot);
  right->count = static_cast<uint16_t>(moved);
  right->prefix = left->prefix;
  right->checked = left->checked;
  std::memcpy(right->text, left->text, kTextBytes);
}

}  // namespace

namespace {

// The separators around a path's node at `level`; null at the edge of the tree.
template <typename AnyPath>
const MemRecord* low_fence(const AnyPath& path, unsigned level) {
  for (unsigned up = level + 1; up < path.levels; ++up) {
    if (path.slot[up] > 0) return path.node[up]->record[path.slot[up]];
  }
  return nullptr;
}
template <typename AnyPath>
const MemRecord* high_fence(const AnyPath& path, unsigned level) {
  for (unsigned up = level + 1; up < path.levels; ++up) {
    if (path.slot[up] + 1 < path.node[up]->count) return path.node[up]->record[path.slot[up] + 1];
  }
  return nullptr;
}

}  // namespace

MemRecord* find(const Node* node, std::string_view key) {
  if (node == nullptr) return nullptr;
  while (node->level > 0) node = child_of(node, child_slot(node, key));
  bool equal = false;
  const unsigned slot = bound<false>(node, 0, key, &equal);
  return equal ? node->record[slot] : nullptr;
}

bool locate(const Node* node, std::string_view key, Path* path) {
  path->levels = 0;
  if (node == nullptr) return false;
  path->levels = node->level + 1u;
  while (node->level > 0) {
    const unsigned slot = child_slot(node, key);
    path->node[node->level] = node;
    path->slot[node->level] = slot;
    node = child_of(node, slot);
  }
  bool equal = false;
  path->node[0] = node;
  path->slot[0] = bound<false>(node, 0, key, &equal);
  return equal;
}

// ---- Writing ----

struct Tree::Way {
  Node* node[kLevelsMax];
  unsigned slot[kLevelsMax];
  unsigned levels;

  const MemRecord* low_fence(unsigned level) const { return tree::low_fence(*this, level); }
  const MemRecord* high_fence(unsigned level) const { return tree::high_fence(*this, level); }
};

bool Tree::locate(std::string_view key, Path* path) const {
  bool equal = false;
  unsigned slot = 0;
  if (last_.levels == 0 || !beside_last(key, &equal, &slot)) return tree::locate(root_, key, path);
  *path = last_;
  path->slot[0] = slot;
  return equal;
}

// Whether `key` is, or belongs, next to the record of `last_`, in the same leaf: then where.
bool Tree::beside_last(std::string_view key, bool* equal, unsigned* slot) const {
  const Node* leaf = last_.leaf();
  const unsigned at = last_.slot[0];
  const int order = key.compare(leaf->record[at]->key());
  const bool above = order > 0;
  *slot = at + above;
  *equal = order == 0;
  if (*equal) return true;
  // What bounds it on the other side: a neighbour, a fence, or nothing at the edge of the tree.
  if (above ? *slot < leaf->count : at > 0) {
    const unsigned beside = above ? *slot : at - 1;
    const int other = key.compare(leaf->record[beside]->key());
    *equal = other == 0;
    if (*equal) *slot = beside;
    return *equal || (other > 0) != above;
  }
  const MemRecord* fence = above ? high_fence(last_, 0) : low_fence(last_, 0);
  if (fence == nullptr) return true;
  return above ? key < fence->key() : key >= fence->key();
}

Node* Tree::new_node(unsigned level) {
  std::vector<Node*>& free = level > 0 ? free_inners_ : free_leaves_;
  Node* node;
  if (!free.empty()) {
    node = free.back();
    free.pop_back();
  } else {
    char* memory = arena_.allocate(level > 0 ? sizeof(Inner) : sizeof(Node), 64);
    node = level > 0 ? new (memory) Inner : new (memory) Node;
  }
  node->epoch = epoch_;
  node->prefix = 0;
  node->count = 0;
  node->level = static_cast<uint8_t>(level);
  node->checked = false;
  std::fill_n(node->head, kSlots, kNoHead);
  return node;
}

Node* Tree::copy(const Node* node) {
  Node* made = new_node(node->level);
  if (node->level > 0) {
    *static_cast<Inner*>(made) = *static_cast<const Inner*>(node);
  } else {
    *made = *node;
  }
  made->epoch = epoch_;
  return made;
}

Tree::Way Tree::own(const Path& path, uint64_t visible_epoch) {
  Way way;
  way.levels = path.levels;
  for (unsigned level = path.levels; level-- > 0;) {
    // Every node is in memory of our own arena that was never const.
    Node* node = const_cast<Node*>(path.node[level]);  // NOLINT(cppcoreguidelines-pro-type-const-cast)
    if (node->epoch <= visible_epoch) {
      replaced_.push_back(node);
      node = copy(node);
      last_.levels = 0;
      if (level + 1 == path.levels) {
        root_ = node;
      } else {
        static_cast<Inner*>(way.node[level + 1])->child[way.slot[level + 1]] = node;
      }
    }
    way.node[level] = node;
    way.slot[level] = path.slot[level];
  }
  return way;
}

void Tree::reuse_replaced() {
  for (Node* node : replaced_) (node->level > 0 ? free_inners_ : free_leaves_).push_back(node);
  replaced_.clear();
}

void Tree::replace(const Path& path, MemRecord* record, uint64_t visible_epoch) {
  own(path, visible_epoch).node[0]->record[path.slot[0]] = record;
}

void Tree::insert(const Path& path, MemRecord* record, uint64_t visible_epoch) {
  if (path.levels == 0) {
    root_ = new_node(0);
    add_slot(root_, 0, record);
  } else {
    Way way = own(path, visible_epoch);
    insert_leaf(way, record);
  }
  last_inserted_ = record;
}

void Tree::insert_leaf(Way& way, MemRecord* record) {
  Node* leaf = way.node[0];
  const unsigned slot = way.slot[0];
  const bool rising = slot > 0 && leaf->record[slot - 1] == last_inserted_;
  const bool falling = slot < leaf->count && leaf->record[slot] == last_inserted_;
  if (leaf->count == kSlots) {
    const MemRecord* low = way.low_fence(0);
    const MemRecord* high = way.high_fence(0);
    // Before the cut, so that a new right edge has the prefix too, though it will hold but one key at first.
    if (high == nullptr) refit(leaf, low, high);
    // Where keys come in order, be it in one place of the tree among many, the next ones will follow the
    // last: cut there, so that the slots behind or before the run are full and stay so. Else in the middle.
    const unsigned cut = rising || falling ? slot : kSlots / 2;
    Node* right = new_node(0);
    move_slots(leaf, cut, right);
    const bool goes_right = slot > cut || (slot == cut && (cut == kSlots || (falling && cut > 0)));
    add_slot(goes_right ? right : leaf, goes_right ? slot - cut : slot, record);

    MemRecord* separator = right->record[0];
    refit(leaf, low, separator);
    refit(right, separator, high);
    if (way.levels == 1) {
      grow(leaf, separator, right);
    } else {
      insert_child(way, 1, separator, right);
    }
    last_.levels = 0;
    return;
  }
  add_slot(leaf, slot, record);
  last_.levels = rising || falling ? way.levels : 0;
  std::copy_n(way.node, way.levels, last_.node);
  std::copy_n(way.slot, way.levels, last_.slot);
}

// The child at way.slot[level] was split; what it kept ends at `separator`, the rest is in `child`.
void Tree::insert_child(Way& way, unsigned level, MemRecord* separator, Node* child) {
  Node* node = way.node[level];
  const unsigned slot = way.slot[level] + 1;
  const MemRecord* low = way.low_fence(level);
  const MemRecord* high = way.high_fence(level);
  if (node->count < kSlots) {
    add_slot(node, slot, separator, child);
    // The root is split seldom, so it is fitted as it grows.
    if (level + 1 == way.levels && std::has_single_bit(unsigned{node->count} - 1)) refit(node, low, high);
    return;
  }
  // At the right edge of the tree keys are coming in order (or would make one thin node a level at most).
  const unsigned cut = slot == kSlots && high == nullptr ? kSlots : kSlots / 2;
  Node* right = new_node(level);
  move_slots(node, cut, right);
  const bool goes_right = slot >= cut;
  add_slot(goes_right ? right : node, goes_right ? slot - cut : slot, separator, child);

  MemRecord* middle = right->record[0];
  refit(node, low, middle);
  refit(right, middle, high);
  if (level + 1 == way.levels) {
    grow(node, middle, right);
  } else {
    insert_child(way, level + 1, middle, right);
  }
}

void Tree::grow(Node* left, MemRecord* separator, Node* right) {
  const unsigned level = left->level + 1u;
  INVARIANT(level < kLevelsMax);
  root_ = new_node(level);
  add_slot(root_, 0, left->record[0], left);
  add_slot(root_, 1, separator, right);
}

// ---- Reading in order ----

void Cursor::descend_first(unsigned level) {
  for (; level > 0; --level) {
    path_.node[level - 1] = child_of(path_.node[level], path_.slot[level]);
    path_.slot[level - 1] = 0;
  }
  record_ = path_.leaf()->record[0];
  for (unsigned i = 1; i < std::min<unsigned>(kAhead, path_.leaf()->count); ++i) {
    __builtin_prefetch(path_.leaf()->record[i]);
  }
}

void Cursor::descend_last(unsigned level) {
  for (; level > 0; --level) {
    path_.node[level - 1] = child_of(path_.node[level], path_.slot[level]);
    path_.slot[level - 1] = path_.node[level - 1]->count - 1u;
  }
  const unsigned last = path_.slot[0];
  record_ = path_.leaf()->record[last];
  for (unsigned i = 1; i < kAhead && i <= last; ++i) __builtin_prefetch(path_.leaf()->record[last - i]);
}

void Cursor::next_leaf() {
  for (unsigned level = 1; level < path_.levels; ++level) {
    if (path_.slot[level] + 1 < path_.node[level]->count) {
      ++path_.slot[level];
      descend_first(level);
      return;
    }
  }
  record_ = nullptr;
}

void Cursor::prev_leaf() {
  for (unsigned level = 1; level < path_.levels; ++level) {
    if (path_.slot[level] > 0) {
      --path_.slot[level];
      descend_last(level);
      return;
    }
  }
  record_ = nullptr;
}

void Cursor::seek_first(const Node* root) {
  record_ = nullptr;
  if (root == nullptr) return;
  path_.levels = root->level + 1u;
  path_.node[root->level] = root;
  path_.slot[root->level] = 0;
  descend_first(root->level);
}

void Cursor::seek_last(const Node* root) {
  record_ = nullptr;
  if (root == nullptr) return;
  path_.levels = root->level + 1u;
  path_.node[root->level] = root;
  path_.slot[root->level] = root->count - 1u;
  descend_last(root->level);
}

void Cursor::seek(const Node* root, std::string_view key) {
  record_ = nullptr;
  if (root == nullptr) return;
  locate(root, key, &path_);
  if (path_.slot[0] < path_.leaf()->count) {
    record_ = path_.leaf()->record[path_.slot[0]];
  } else {
    next_leaf();
  }
}

void Cursor::seek_before(const Node* root, std::string_view key) {
  record_ = nullptr;
  if (root == nullptr) return;
  locate(root, key, &path_);
  if (path_.slot[0] > 0) {
    record_ = path_.leaf()->record[--path_.slot[0]];
  } else {
    prev_leaf();
  }
}

}  // namespace engine::tree
