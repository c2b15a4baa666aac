// server/types/piece_tree.h: the order of a list's elements, where it is not the order of their slots.
//
// An element of a large list lies in a slot, a number that it keeps for life. A piece is a run of slots that
// follow each other in the list too; the list is a sequence of pieces, and position 5,000,000 is found by
// adding up their lengths. The tree does that for any number of pieces: a B+tree whose nodes are records
// under the list's object,
//
//     leaf     number of pieces (varint) | { slot | length (varint) } ...
//     inner    number of children (varint) | { node (varint) | elements below (varint) } ...
//
// so that a change in the middle rewrites one node a level, of a few hundred bytes each. Nodes are decoded
// once a command and written back by save(), however often they changed.
//
// Invariants
//   P1  No node is empty or has more than its maximum; the root is a leaf or has at least two children.
//   P2  A child's count is the sum of its pieces' lengths.
//   P3  A node's number is not used again while anything of the node is left.
//
// Threads: that of the view. Not here: elements themselves, and both ends of the list (server/types/list.h).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/fields.h"
#include "server/view.h"

namespace server {

struct Piece {
  int64_t first = 0;  // Slot.
  uint64_t length = 0;
};

// Something that no longer belongs to the list but still lies on disk: a run of slots, or a node and all
// below it.
struct Garbage {
  Piece piece;  // When node is 0.
  uint64_t node = 0;
  uint8_t height = 0;
};

// Slots count up from kInsertedSlots for what was inserted in the middle; all others lie around 0.
inline constexpr int64_t kInsertedSlots = int64_t{1} << 60;
void write_slot(engine::FieldWriter& out, int64_t slot);
int64_t read_slot(engine::FieldReader& in);
void write_pieces(engine::FieldWriter& out, const std::vector<Piece>& pieces);
bool read_pieces(engine::FieldReader& in, std::vector<Piece>* pieces);  // False: damaged.
uint64_t count_elements(const std::vector<Piece>& pieces);

[[noreturn]] void throw_damaged_list();

class PieceTree {
 public:
  struct Root {
    uint64_t node = 0;   // 0: the tree is empty.
    uint8_t height = 0;  // 0: a leaf.
    uint64_t count = 0;  // Elements.
  };

  PieceTree(View& view, ObjectId object, size_t node_max)
      : view_(view), object_(object), node_max_(node_max) {}
  void begin(ObjectId object) { object_ = object; }  // Of a list that has just been given one.

  Root root;
  uint64_t next_node = 1;

  bool empty() const { return root.node == 0; }

  // The piece that holds the element at `position`, and where in it. Requires: position < root.count.
  struct Place {
    Piece piece;
    uint64_t offset;
  };
  Place find(uint64_t position);

  // Lets `change` have the pieces of the leaf that holds `position` (the last leaf if it lies past the end)
  // and the position within them. It may leave any number of pieces. Requires: not empty().
  using Change = std::function<void(std::vector<Piece>& pieces, uint64_t position)>;
  void edit(uint64_t position, const Change& change);

  void add_first(const std::vector<Piece>& pieces);
  void add_last(const std::vector<Piece>& pieces);
  std::vector<Piece> take_first();  // A leaf's pieces.
  std::vector<Piece> take_last();

  // The first or last `count` elements go; what holds them is appended to *garbage. Costs one node a level.
  void drop_first(uint64_t count, std::vector<Garbage>* garbage);
  void drop_last(uint64_t count, std::vector<Garbage>* garbage);
  // Erases a node that is garbage, and appends what lay below it.
  void erase_garbage(uint64_t node, uint8_t height, std::vector<Garbage>* below);

  void save();  // Writes all nodes that changed.

 private:
  struct Child {
    uint64_t node;
    uint64_t count;
  };
  struct Node {
    std::vector<Piece> pieces;    // Of a leaf.
    std::vector<Child> children;  // Of an inner node.
    bool changed = false;
    bool erased = false;
  };

  Node& load(uint64_t number, uint8_t height);
  std::vector<Child> edit_below(uint64_t number, uint8_t height, uint64_t position, const Change& change);
  std::vector<Child> settle(uint64_t number, uint8_t height);
  void set_root(std::vector<Child> parts);
  void cut(bool first, uint64_t count, std::vector<Garbage>* garbage);
  void collapse();
  void erase_node(uint64_t number);

  View& view_;
  ObjectId object_;
  size_t node_max_;
  std::unordered_map<uint64_t, Node> nodes_;  // Those that this command has met.
};

}  // namespace server
