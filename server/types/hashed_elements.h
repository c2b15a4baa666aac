// server/types/hashed_elements.h: the elements of a large set or hash, in the order of a keyed hash of their
// names.
//
//     'S' id(object) | 'e' | position (5, big-endian) | name        -> the type's own
//
// A position is 40 bits of a hash of the name, keyed with a seed that each collection draws when it outgrows
// its header. The positions lie evenly spread whatever the names are, and so
//   - a random element is a seek to a random position (draw() below): no counters to keep, adding costs
//     nothing more;
//   - a position is a cursor for SSCAN and HSCAN: stateless, exact for what is there all the time, below
//     2^53, the most that JavaScript counts. Elements at one position are returned together; they are hardly
//     ever two.
// The price: no locality between names alike, and five bytes an element. Who sees many cursors of a
// collection might in the end make names for it whose positions collide; then its random members are less
// fair, nothing else.
//
// Threads: that of the view.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "server/random.h"
#include "server/view.h"

namespace server {

using Position = uint64_t;
inline constexpr Position kPositions = Position{1} << 40;

struct HashedObject {
  ObjectId id = engine::kNoObject;
  uint64_t seed = 0;
};

Position position_of(const HashedObject& object, std::string_view name);
void hashed_key(const HashedObject& object, std::string_view name, std::string* out);  // Replaces *out.

// A place among the elements. As with View::Range, a move throws and is charged.
class HashedWalk {
 public:
  HashedWalk(View& view, const HashedObject& object);

  // All return whether there is an element.
  bool seek(Position position);  // The first at or behind the position.
  bool first() { return seek(0); }
  bool next();
  Position position() const { return position_; }
  // Valid until the next move.
  std::string_view name() const { return name_; }
  std::string_view value() const { return range_.value(); }

  // Calls use() at the elements from `cursor` on, some `count` of them; returns where to go on, 0 at the end.
  template <typename Use>
  uint64_t scan(uint64_t cursor, uint64_t count, Use use);

  // To an element of which all were equally likely. Requires: there are `count`, more than none.
  //
  // A window that is laid down at random holds some kWindowElements; of kWindowSlots slots one is drawn, and
  // if that many elements are not in the window all is drawn anew. Each element is thus as likely as any
  // other, but where more than kWindowSlots share a window: one window in fifty thousand. 3.5 windows on
  // average.
  // `more`: so many draws will follow; what is cold for them is fetched along.
  void draw(uint64_t count, Random& random, uint64_t more = 0);

  // A cheaper draw, for elements that are then taken away: one of the first kNearSlots from a random place.
  // It favours elements behind wide gaps, by a third more or less; but where the gaps lie nobody chose, and
  // an element that is gone is favoured no more: each order in which a collection may be emptied is as likely
  // as any other.
  void draw_to_remove(Random& random, uint64_t more = 0);

 private:
  static constexpr uint64_t kWindowElements = 4;
  static constexpr uint64_t kWindowSlots = 14;
  static constexpr uint64_t kNearSlots = 8;

  // One draw lays down about so many windows. In one round the blocks of kWindowsAhead are fetched at most:
  // they are held until the command ends.
  static constexpr uint64_t kWindowsPerDraw = 4;
  static constexpr uint64_t kWindowsAhead = 512;

  bool settle(bool there);
  // To the first element at or behind a random place, or none; *slot is drawn too.
  bool seek_at_random(Random& random, uint64_t slots, uint64_t windows_more, Position* place, uint64_t* slot);

  HashedObject object_;
  View::Range range_;
  std::string key_;
  size_t prefix_bytes_;
  Position position_ = 0;
  std::string_view name_;
};

template <typename Use>
uint64_t HashedWalk::scan(uint64_t cursor, uint64_t count, Use use) {
  uint64_t seen = 0;
  Position last = 0;
  for (bool there = seek(cursor); there; there = next()) {
    if (seen >= count && position_ != last) return last + 1;
    use();
    last = position_;
    ++seen;
  }
  return 0;
}

}  // namespace server
