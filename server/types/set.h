// server/types/set.h: how a set lies in the store.
//
//     inline     header payload = flags (1) | count (varint) | members
//                     member    = length (varint) | name
//     large      header payload = flags (1) | count (8) | seed (8),   header refers to an object
//                elements:  as in server/types/hashed_elements.h, without a value
//
// little-endian, varints as in LEB128; flags bit 1: Redis would have given up the intset by now. Inline
// members stand in the order in which they came, or, as long as all are integers, in that of the numbers. A
// set goes from inline to large and never back.
//
// A Set is one command's hold of a set, as a Hash is of a hash: load() the members that it is about, change
// them, save().
//
// Threads: that of the view.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/types/hashed_elements.h"
#include "server/types/name_index.h"
#include "server/types/packed.h"
#include "server/view.h"

namespace server {

// Past these a set of integers is no intset to OBJECT ENCODING, and no set is inline.
struct SetLimits {
  uint64_t intset_entries = 512;
};
inline constexpr uint64_t kInlineSetMembers = 128;
inline constexpr uint64_t kInlineSetBytes = 1024;

// As OBJECT ENCODING says it. Requires: the header of a set.
std::string_view set_encoding(const Header& header);

class Set {
 public:
  struct Member {
    std::string_view name;
  };

  // `header` is what view.header() gave for the key. Requires: nothing, or the header of a set.
  Set(View& view, ObjectId database, std::string_view key, const std::optional<Header>& header);

  bool exists() const { return header_.has_value(); }
  bool large() const { return object_.id != engine::kNoObject; }
  ObjectId object() const { return object_.id; }  // Of a large one.
  uint64_t size() const { return count_; }

  // ---- some members
  // Looks them up, all in one round. They must stay until save().
  void load(std::span<const std::string_view> names);
  // The same for different names that are known to be members.
  void load_members(std::span<const std::string_view> names);
  bool has(size_t i) const { return slots_[names_.slot(i)].there; }  // The i-th of them, changes included.
  void add(size_t i) { slots_[names_.slot(i)].there = true; }
  void remove(size_t i) { slots_[names_.slot(i)].there = false; }
  // Writes the changes; without any, nothing. An empty set is erased: false.
  bool save(const SetLimits& limits, uint64_t random_seed);
  // Whether each of `names` is a member, one round for all; what load() loaded stays as it is. Replaces
  // *result.
  void contains(std::span<const std::string> names, std::vector<char>* result);

  // ---- all members, as they are stored
  // Calls use(member) for each; the name is valid until it returns. Stops when it returns false; whether it
  // never did.
  template <typename Use>
  bool each(Use use);
  // Some `count` members from `cursor` on; returns the cursor for the next, 0 at the end.
  template <typename Use>
  uint64_t scan(uint64_t cursor, uint64_t count, Use use);
  // Calls use(member) for one of which all are equally likely. Requires: size() > 0.
  // `more`: so many draws will follow.
  template <typename Use>
  void draw(Random& random, Use use, uint64_t more = 0);
  // The same for a member that is then removed: cheaper.
  template <typename Use>
  void draw_to_remove(Random& random, Use use, uint64_t more = 0);
  // The same for many that are all to be removed: neighbours from a random place on, until use(member)
  // returns false or all have been had. Requires: large().
  template <typename Use>
  void draw_run(Random& random, Use use);

 private:
  struct Slot {
    bool there = false;   // Now ...
    bool stored = false;  // ... and in the store.
  };

  bool save_inline(const SetLimits& limits, uint64_t random_seed);
  bool save_large(const SetLimits& limits);

  View& view_;
  ObjectId database_;
  std::string_view key_;
  std::optional<Header> header_;
  bool hashtable_ = false;  // Flags bit 1.
  uint64_t count_ = 0;
  std::string_view members_;  // Inline.
  HashedObject object_;       // Large.

  NameIndex names_;
  std::vector<Slot> slots_;
  std::vector<std::string_view> sorted_;  // Inline members, for contains().
  std::string element_key_;               // Scratch.
};

// A new set of members that come one by one, and differ. They are kept in memory until write(): what is read
// meanwhile may be the very key that is overwritten.
class SetBuilder {
 public:
  void add(std::string_view name);
  uint64_t size() const { return ends_.size(); }
  // Puts the set in the place of whatever is at the key; an empty one erases that. The new header keeps
  // `expiry_ms`.
  void write(View& view, ObjectId database, std::string_view key, int64_t expiry_ms, const SetLimits& limits,
             uint64_t random_seed) const;

 private:
  std::string_view name(size_t i) const {
    const size_t begin = i == 0 ? 0 : ends_[i - 1];
    return std::string_view(names_).substr(begin, ends_[i] - begin);
  }
  std::string names_;
  std::vector<uint64_t> ends_;
};

template <typename Use>
bool Set::each(Use use) {
  if (large()) {
    HashedWalk walk(view_, object_);
    for (bool there = walk.first(); there; there = walk.next())
      if (!use(Member{walk.name()})) return false;
    return true;
  }
  for (std::string_view rest = members_; !rest.empty();)
    if (!use(Member{take_bytes(&rest)})) return false;
  return true;
}

template <typename Use>
uint64_t Set::scan(uint64_t cursor, uint64_t count, Use use) {
  if (large()) {
    HashedWalk walk(view_, object_);
    return walk.scan(cursor, count, [&] { use(Member{walk.name()}); });
  }
  each([&](const Member& member) {
    use(member);
    return true;
  });
  return 0;
}

template <typename Use>
void Set::draw_to_remove(Random& random, Use use, uint64_t more) {
  if (!large()) return draw(random, use);
  HashedWalk walk(view_, object_);
  walk.draw_to_remove(random, more);
  use(Member{walk.name()});
}

template <typename Use>
void Set::draw_run(Random& random, Use use) {
  HashedWalk walk(view_, object_);
  walk.draw_to_remove(random);
  for (uint64_t left = count_; left > 0; --left) {
    if (!use(Member{walk.name()})) return;
    if (!walk.next() && !walk.first()) return;
  }
}

template <typename Use>
void Set::draw(Random& random, Use use, uint64_t more) {
  if (large()) {
    HashedWalk walk(view_, object_);
    walk.draw(count_, random, more);
    return use(Member{walk.name()});
  }
  uint64_t left = random.below(count_);
  each([&](const Member& member) {
    if (left-- > 0) return true;
    use(member);
    return false;
  });
}

}  // namespace server
