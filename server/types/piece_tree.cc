#include "server/types/piece_tree.h"

#include <algorithm>

namespace server {

namespace {

std::string node_key(ObjectId object, uint64_t number) {
  char element[9];
  element[0] = '\xf0';  // Behind all slots (server/types/list.cc).
  for (int i = 0; i < 8; ++i) element[1 + i] = static_cast<char>(number >> (56 - 8 * i));
  std::string key;
  element_key(object, {element, sizeof element}, &key);
  return key;
}

template <typename T>
void remove_first(std::vector<T>& from, size_t count) {
  from.erase(from.begin(), from.begin() + static_cast<ptrdiff_t>(count));
}

}  // namespace

void throw_damaged_list() {
  throw StorageError{engine::Status(engine::Code::kCorruption, "a list's records do not fit together")};
}

void write_slot(engine::FieldWriter& out, int64_t slot) {
  const bool inserted = slot >= kInsertedSlots;
  const int64_t offset = inserted ? slot - kInsertedSlots : slot;
  out.signed_number(offset * 2 + inserted);
}

int64_t read_slot(engine::FieldReader& in) {
  const int64_t n = in.signed_number();
  return (n >> 1) + ((n & 1) != 0 ? kInsertedSlots : 0);
}

void write_pieces(engine::FieldWriter& out, const std::vector<Piece>& pieces) {
  out.number(pieces.size());
  for (const Piece& piece : pieces) {
    write_slot(out, piece.first);
    out.number(piece.length);
  }
}

bool read_pieces(engine::FieldReader& in, std::vector<Piece>* pieces) {
  const uint64_t count = in.number();
  for (uint64_t i = 0; i < count; ++i) {
    Piece piece;
    piece.first = read_slot(in);
    piece.length = in.number();
    if (!in.ok() || piece.length == 0) return false;
    pieces->push_back(piece);
  }
  return in.ok();
}

uint64_t count_elements(const std::vector<Piece>& pieces) {
  uint64_t count = 0;
  for (const Piece& piece : pieces) count += piece.length;
  return count;
}

// ------------------------------------------------------------------ nodes

PieceTree::Node& PieceTree::load(uint64_t number, uint8_t height) {
  const auto known = nodes_.find(number);
  if (known != nodes_.end()) return known->second;
  const auto record = view_.get(node_key(object_, number));
  if (!record) throw_damaged_list();
  Node node;
  engine::FieldReader in(*record);
  if (height == 0) {
    if (!read_pieces(in, &node.pieces) || node.pieces.empty()) throw_damaged_list();
  } else {
    const uint64_t count = in.number();
    for (uint64_t i = 0; i < count && in.ok(); ++i) {
      const uint64_t child = in.number();
      node.children.push_back({child, in.number()});
    }
    if (!in.ok() || node.children.empty()) throw_damaged_list();
  }
  return nodes_.emplace(number, std::move(node)).first->second;
}

void PieceTree::erase_node(uint64_t number) {
  Node& node = nodes_[number];
  node = {};
  node.changed = node.erased = true;
}

void PieceTree::save() {
  for (auto& [number, node] : nodes_) {
    if (!node.changed) continue;
    node.changed = false;
    if (node.erased) {
      view_.erase(node_key(object_, number));
      continue;
    }
    engine::FieldWriter out;
    if (node.children.empty()) {
      write_pieces(out, node.pieces);
    } else {
      out.number(node.children.size());
      for (const Child& child : node.children) out.number(child.node).number(child.count);
    }
    view_.put(node_key(object_, number), out.take());
  }
}

PieceTree::Place PieceTree::find(uint64_t position) {
  uint64_t number = root.node;
  for (uint8_t height = root.height; height > 0; --height) {
    const Node& node = load(number, height);
    size_t i = 0;
    while (i < node.children.size() && position >= node.children[i].count)
      position -= node.children[i++].count;
    if (i == node.children.size()) throw_damaged_list();
    number = node.children[i].node;
  }
  for (const Piece& piece : load(number, 0).pieces) {
    if (position < piece.length) return {piece, position};
    position -= piece.length;
  }
  throw_damaged_list();
}

// ------------------------------------------------------------------ changes

void PieceTree::edit(uint64_t position, const Change& change) {
  set_root(edit_below(root.node, root.height, position, change));
}

std::vector<PieceTree::Child> PieceTree::edit_below(uint64_t number, uint8_t height, uint64_t position,
                                                    const Change& change) {
  Node& node = load(number, height);
  node.changed = true;
  if (height == 0) {
    change(node.pieces, position);
  } else {
    size_t i = 0;
    while (i + 1 < node.children.size() && position >= node.children[i].count)
      position -= node.children[i++].count;
    const auto parts = edit_below(node.children[i].node, static_cast<uint8_t>(height - 1), position, change);
    const auto at = node.children.erase(node.children.begin() + static_cast<ptrdiff_t>(i));
    node.children.insert(at, parts.begin(), parts.end());
  }
  return settle(number, height);
}

// What a changed node has become: none, itself, or itself and new neighbours behind it (P1).
std::vector<PieceTree::Child> PieceTree::settle(uint64_t number, uint8_t height) {
  std::vector<Child> parts;
  const auto divide = [&]<typename T>(std::vector<T> Node::*member, auto&& count) {
    std::vector<T> all = std::move(nodes_[number].*member);
    if (all.empty()) return erase_node(number);
    const size_t pieces = (all.size() + node_max_ - 1) / node_max_;
    for (size_t i = 0; i < pieces; ++i) {
      const size_t from = all.size() * i / pieces, to = all.size() * (i + 1) / pieces;
      std::vector<T> share(all.begin() + static_cast<ptrdiff_t>(from),
                           all.begin() + static_cast<ptrdiff_t>(to));
      const uint64_t its_number = i == 0 ? number : next_node++;
      parts.push_back({its_number, count(share)});
      Node& node = nodes_[its_number];
      node.*member = std::move(share);
      node.changed = true;
    }
  };
  if (height == 0) {
    divide(&Node::pieces, [](const std::vector<Piece>& share) { return count_elements(share); });
  } else {
    divide(&Node::children, [](const std::vector<Child>& share) {
      uint64_t count = 0;
      for (const Child& child : share) count += child.count;
      return count;
    });
  }
  return parts;
}

void PieceTree::set_root(std::vector<Child> parts) {
  if (parts.empty()) {
    root = {};
    return;
  }
  while (parts.size() > 1) {
    const uint64_t number = next_node++;
    nodes_[number].children = std::move(parts);
    parts = settle(number, ++root.height);
  }
  root.node = parts[0].node;
  root.count = parts[0].count;
  collapse();
}

void PieceTree::collapse() {
  while (root.height > 0) {
    const Node& node = load(root.node, root.height);
    if (node.children.size() > 1) return;
    const Child only = node.children[0];
    erase_node(root.node);
    root = {only.node, static_cast<uint8_t>(root.height - 1), only.count};
  }
}

void PieceTree::add_first(const std::vector<Piece>& pieces) {
  if (pieces.empty()) return;
  if (empty()) return add_last(pieces);
  edit(0,
       [&](std::vector<Piece>& leaf, uint64_t) { leaf.insert(leaf.begin(), pieces.begin(), pieces.end()); });
}

void PieceTree::add_last(const std::vector<Piece>& pieces) {
  if (pieces.empty()) return;
  if (empty()) {
    const uint64_t number = next_node++;
    nodes_[number].pieces = pieces;
    root = {number, 0, 0};
    return set_root(settle(number, 0));
  }
  edit(root.count,
       [&](std::vector<Piece>& leaf, uint64_t) { leaf.insert(leaf.end(), pieces.begin(), pieces.end()); });
}

std::vector<Piece> PieceTree::take_first() {
  std::vector<Piece> taken;
  edit(0, [&](std::vector<Piece>& leaf, uint64_t) { taken.swap(leaf); });
  return taken;
}

std::vector<Piece> PieceTree::take_last() {
  std::vector<Piece> taken;
  edit(root.count, [&](std::vector<Piece>& leaf, uint64_t) { taken.swap(leaf); });
  return taken;
}

// ------------------------------------------------------------------ trimming

void PieceTree::drop_first(uint64_t count, std::vector<Garbage>* garbage) { cut(true, count, garbage); }
void PieceTree::drop_last(uint64_t count, std::vector<Garbage>* garbage) { cut(false, count, garbage); }

// Down along the edge where the cut runs: whole children go as they are, the one that is cut through is
// entered.
void PieceTree::cut(bool first, uint64_t count, std::vector<Garbage>* garbage) {
  if (count == 0) return;
  if (count == root.count) {
    garbage->push_back({{}, root.node, root.height});
    root = {};
    return;
  }
  root.count -= count;
  uint64_t number = root.node;
  for (uint8_t height = root.height; count > 0; --height) {
    Node& node = load(number, height);
    node.changed = true;
    size_t whole = 0;
    if (height == 0) {
      std::vector<Piece>& pieces = node.pieces;
      if (!first) std::reverse(pieces.begin(), pieces.end());
      for (; pieces[whole].length <= count; ++whole) {
        garbage->push_back({pieces[whole]});
        count -= pieces[whole].length;
      }
      remove_first(pieces, whole);
      Piece& edge = pieces[0];
      edge.length -= count;
      if (count > 0)
        garbage->push_back({{first ? edge.first : edge.first + static_cast<int64_t>(edge.length), count}});
      if (first) edge.first += static_cast<int64_t>(count);
      if (!first) std::reverse(pieces.begin(), pieces.end());
      break;
    }
    std::vector<Child>& children = node.children;
    if (!first) std::reverse(children.begin(), children.end());
    for (; children[whole].count <= count; ++whole) {
      garbage->push_back({{}, children[whole].node, static_cast<uint8_t>(height - 1)});
      count -= children[whole].count;
    }
    remove_first(children, whole);
    children[0].count -= count;
    number = children[0].node;
    if (!first) std::reverse(children.begin(), children.end());
  }
  collapse();
}

void PieceTree::erase_garbage(uint64_t node, uint8_t height, std::vector<Garbage>* below) {
  const Node& dead = load(node, height);
  for (const Piece& piece : dead.pieces) below->push_back({piece});
  for (const Child& child : dead.children)
    below->push_back({{}, child.node, static_cast<uint8_t>(height - 1)});
  erase_node(node);
}

}  // namespace server
