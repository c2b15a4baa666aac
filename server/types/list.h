// server/types/list.h: how a list lies in the store.
//
//     inline   header payload:   number of elements (varint) | { length (varint) | bytes } ...
//     large    header refers to an object; elements: slot (8) -> the element's bytes
//
// A slot is a number that an element keeps: a push takes the next one at its end, so a list that is only
// pushed and popped occupies one run of slots, position is arithmetic, a push writes one small record and the
// header, and a pop reads the slot that the header names, whatever tombstones lie before it. What LINSERT and
// LREM do to the middle cuts the run into pieces (server/types/piece_tree.h). The header payload of a large
// list is
//
//     1 | first slot | elements (varint)                                                        one run
//     2 | elements | left | right | inserted | next node | root | height | its elements
//       | has garbage (1) | pieces in front of the tree | pieces behind it                      anything else
//
// What LTRIM cuts off is hidden at once. A few of its records are erased there and then, the rest is noted in
// a record of its own (the garbage) and some of it is erased by every later write to the list; what is left
// dies with the object. Slots from left to right, and those inserted so far, are taken or may be garbage:
// none of them is given out again.
//
// Invariants
//   L1  A list has an element; a header without one does not exist.
//   L2  A large list never becomes inline again.
//   L3  Slots of pieces are never garbage.
//   L4  At most kHeaderPieces pieces lie in the header on each side of the tree; they hold both ends, so that
//       pushes and pops do not touch the tree but once in many times.
//
// Threads: that of the view. Not here: RESP, options.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "server/types/piece_tree.h"
#include "server/view.h"

namespace server {

// When a list stops being inline, and the sizes of its parts. Tests make all of them tiny.
struct ListLimits {
  size_t inline_bytes = 512;  // Every push rewrites them.
  size_t inline_entries = 128;
  size_t header_pieces = 64;
  size_t node_pieces = 64;        // At most header_pieces: a whole leaf moves into the header.
  size_t erased_per_write = 128;  // Garbage.
};

enum class End : uint8_t { kLeft, kRight };

class List {
 public:
  // `header` is what view.header() gave for the key; without one the list is empty. Its type is kList.
  List(View& view, ObjectId database, std::string_view key, const std::optional<Header>& header,
       const ListLimits& limits = {});

  // An empty one that takes, when it is saved, the place of the list that has this header, and its expiry.
  static List in_place_of(View& view, ObjectId database, std::string_view key, const Header& header) {
    List list(view, database, key, std::nullopt);
    list.header_ = header;
    return list;
  }

  uint64_t size() const { return size_; }

  // Valid until the handler ends. Requires: position < size().
  std::string_view at(uint64_t position);

  // ---- changes. The bytes that are pushed must live until save(), which writes the header, or erases it
  // when nothing is left.
  void push(End end, std::string_view element);
  std::string_view pop(End end);  // Requires: size() > 0. Valid until the handler ends.
  void set(uint64_t position, std::string_view element);
  void insert(uint64_t position, std::string_view element);  // In front of what is there, or at the end.
  void erase(uint64_t position);
  void trim(uint64_t first, uint64_t count);  // Keeps these. Requires: they are within the list.
  void save();

  // Elements from a position on, in either direction, `at_most` of them. The list must not change meanwhile.
  //     for (List::Walk walk(list, 0, true, list.size()); walk.next();) use(walk.value());
  class Walk {
   public:
    Walk(List& list, uint64_t position, bool forward, uint64_t at_most);
    bool next();
    uint64_t position() const { return position_; }
    std::string_view value() const { return value_; }  // Until next().

   private:
    void enter_piece();
    bool at_slot() const;

    List& list_;
    bool forward_, begun_ = false;
    uint64_t position_, left_;
    int64_t slot_ = 0;       // Of the next element,
    uint64_t in_piece_ = 0;  // of so many in this piece.
    std::optional<View::Range> range_;
    bool fresh_ = false;  // range_ has not been sought.
    std::string_view value_;
  };

 private:
  bool is_inline() const { return object_.id == engine::kNoObject; }
  void decode(std::string_view payload);
  void encode(engine::FieldWriter& out);
  void spill_if_large();
  void settle_pieces();
  Piece& end_piece(End end);
  PieceTree::Place find(uint64_t position);
  template <typename Change>
  void edit(uint64_t position, Change&& change);
  void drop(End end, uint64_t count);
  void sweep();
  bool one_run() const;

  std::string slot_key(int64_t slot) const;
  std::string garbage_key() const;
  std::string_view read_slot_value(int64_t slot);

  View& view_;
  ObjectId database_;
  std::string_view key_;
  std::optional<Header> header_;
  ListLimits limits_;
  uint64_t size_ = 0;

  std::vector<std::string_view> items_;  // Inline.
  size_t item_bytes_ = 0;

  engine::Reference object_;
  int64_t left_ = 0, right_ = 0;       // [left_, right_): slots pushed that may be in use.
  int64_t inserted_ = kInsertedSlots;  // The next slot for an insertion.
  std::vector<Piece> front_, back_;
  PieceTree tree_;
  bool stored_garbage_ = false;
  std::vector<Garbage> garbage_;  // Made by this command.
};

}  // namespace server
