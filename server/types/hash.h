// server/types/hash.h: how a hash lies in the store.
//
//     inline     header payload = flags (1) | count (varint) | fields, in the order in which they came
//                     field     = length (varint) | name | length (varint) | value | [expiry (8)]
//     large      header payload = flags (1) | count (8) | seed (8) | [timed (8)]; it refers to an object
//                elements:  as in server/types/hashed_elements.h
//                     value     = 0 | value                                    a field that stays
//                               = 1 | expiry (8) | value                       one that expires
//                index:  't' | expiry (8, big-endian) | position (5) | name    -> (nothing), of such a one
//
// little-endian, varints as in LEB128; flags bit 0: some fields expire (then each inline field has an expiry,
// and a large hash tells how many do), bit 1: Redis would have given up the listpack by now. A hash goes from
// inline to large and never back.
//
// Fields that expire
//   F1  A field whose time has come is not there, for every reader: no count, walk or draw shows it.
//   F2  Header::elements_expiry_ms is not later than the earliest expiry of a field. So a hash none of
//       whose fields is due is read without a look at the index, and whoever reclaims finds the key in the
//       index by time at that moment. It may be too early (a field was overwritten): reclaiming then sets
//       it right.
//   F3  Header::death_ms is set exactly if every field expires, to when the last one does: a hash whose
//       fields are all past is an expired key.
//   F4  Those past but not yet reclaimed still count in `count` and `timed`; an inline hash loses them
//       whenever it is written.
//
// A Hash is one command's hold of a hash: load() the fields that it is about, change them, save(). Between
// load() and save() nothing is written, so all reads of a command come first, in one round.
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
#include "server/view.h"

namespace server {

// Past these a hash is no listpack to OBJECT ENCODING; past the first of them it is not inline.
struct HashLimits {
  uint64_t listpack_entries = 512;
  uint64_t listpack_value_bytes = 64;
};
inline constexpr uint64_t kInlineHashFields = 128;
inline constexpr uint64_t kInlineHashBytes = 1024;

// As OBJECT ENCODING says it. Requires: the header of a hash.
std::string_view hash_encoding(const Header& header);

class Hash {
 public:
  struct Field {
    std::string_view name;
    std::string_view value;
    int64_t expiry_ms = kNoExpiry;
  };

  // `header` is what view.header() gave for the key. Requires: nothing, or the header of a hash.
  Hash(View& view, ObjectId database, std::string_view key, const std::optional<Header>& header);

  bool exists() const { return header_.has_value(); }
  bool large() const { return object_.id != engine::kNoObject; }
  // Fields that are there. Walks those that are past and not yet reclaimed.
  uint64_t size();

  // ---- some fields
  // Looks up every `stride`-th of `names`, all in one round. They, and what set() is given, must stay until
  // save().
  void load(std::span<const std::string_view> names, size_t stride = 1);
  // The i-th of them as it is now, changes included; null if it is not there.
  const Field* field(size_t i) const;
  void set(size_t i, std::string_view value, int64_t expiry_ms = kNoExpiry);
  void erase(size_t i);
  // Writes the changes; without any, nothing. An empty hash is erased: false.
  bool save(const HashLimits& limits, uint64_t random_seed);

  // ---- all fields, as they are stored
  // Calls use(field) for each, in no order that means anything; names and values are valid until it returns.
  // Stops when it returns false; whether it never did.
  template <typename Use>
  bool each(Use use);
  // Some `count` fields from `cursor` on; returns the cursor for the next, 0 at the end.
  template <typename Use>
  uint64_t scan(uint64_t cursor, uint64_t count, Use use);
  // Calls use(field) for one of which all are equally likely. Requires: size() > 0.
  template <typename Use>
  void draw(Random& random, Use use, uint64_t more = 0);

  // Takes up to `max` fields away whose time has come and sets elements_expiry_ms right; false if none is
  // left: then the key is gone. Requires: exists(), nothing loaded.
  bool reclaim(uint64_t max, uint64_t* reclaimed);

 private:
  struct Slot {
    Field now;
    bool there = false;   // Now ...
    bool stored = false;  // ... and in the store, maybe past its time.
    bool changed = false;
    int64_t stored_expiry_ms = kNoExpiry;
  };
  // Walks the inline fields.
  class Reader {
   public:
    explicit Reader(std::string_view fields, bool timed) : rest_(fields), timed_(timed) {}
    bool next(Field* field);

   private:
    std::string_view rest_;
    bool timed_;
  };

  bool past(int64_t expiry_ms) const { return expiry_ms != kNoExpiry && expiry_ms <= view_.now_ms(); }
  bool any_past() const { return header_ && past(header_->elements_expiry_ms); }
  Reader reader() const { return Reader(fields_, timed_); }
  Field decode_element(std::string_view name, std::string_view value) const;
  uint64_t count_past();
  void put_element(const Field& field, bool over);
  void erase_index(std::string_view name, int64_t expiry_ms);
  int64_t index_edge(bool last);
  void encode_large(Header* header, std::string* payload);
  bool save_inline(const HashLimits& limits, uint64_t random_seed);
  bool save_large(const HashLimits& limits);
  static bool listpack_lost(const HashLimits& limits, const Field& field) {
    return field.name.size() > limits.listpack_value_bytes ||
           field.value.size() > limits.listpack_value_bytes;
  }

  View& view_;
  ObjectId database_;
  std::string_view key_;
  std::optional<Header> header_;
  bool hashtable_ = false;   // Flags bit 1.
  bool timed_ = false;       // Flags bit 0.
  std::string_view fields_;  // Inline.
  uint64_t inline_count_ = 0;
  HashedObject object_;  // Large.
  uint64_t count_ = 0, timed_count_ = 0;

  NameIndex names_;
  std::vector<Slot> slots_;
  std::string element_key_, element_;  // Scratch.
};

template <typename Use>
bool Hash::each(Use use) {
  if (!exists()) return true;
  if (large()) {
    HashedWalk walk(view_, object_);
    for (bool there = walk.first(); there; there = walk.next()) {
      const Field field = decode_element(walk.name(), walk.value());
      if (!past(field.expiry_ms) && !use(field)) return false;
    }
    return true;
  }
  Reader fields = reader();
  for (Field field; fields.next(&field);)
    if (!past(field.expiry_ms) && !use(field)) return false;
  return true;
}

template <typename Use>
uint64_t Hash::scan(uint64_t cursor, uint64_t count, Use use) {
  if (!exists()) return 0;
  if (!large()) {
    each([&](const Field& field) {
      use(field);
      return true;
    });
    return 0;
  }
  HashedWalk walk(view_, object_);
  return walk.scan(cursor, count, [&] {
    const Field field = decode_element(walk.name(), walk.value());
    if (!past(field.expiry_ms)) use(field);
  });
}

template <typename Use>
void Hash::draw(Random& random, Use use, uint64_t more) {
  uint64_t left = 0;
  // Fields past their time are drawn and dropped; if they are nearly all, the fields are counted out.
  constexpr int kDrawsMax = 100;
  if (large()) {
    HashedWalk walk(view_, object_);
    for (int draws = 0; draws < kDrawsMax; ++draws) {
      walk.draw(count_, random, more);
      const Field field = decode_element(walk.name(), walk.value());
      if (!past(field.expiry_ms)) return use(field);
    }
  }
  left = random.below(size());
  each([&](const Field& field) {
    if (left-- > 0) return true;
    use(field);
    return false;
  });
}

}  // namespace server
