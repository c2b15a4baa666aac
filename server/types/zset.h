// server/types/zset.h: how a sorted set lies in the store.
//
//     inline    header payload = flags (1) | size | entries in order, each score | member length | member
//     large     header refers to an object, payload = flags (1) | root of the ranks | low | high | erased
//               elements:  'm' hash (4) member    -> score (8, little-endian)      the order of ZSCAN
//                          's' order (8) member   -> empty, or "-" for a score of -0
//                          'c' …                     counters over the 's' (server/types/rank_index.h)
//
// Numbers without a size are varints. A score in an entry is a varint too: twice the number plus one (zigzag)
// for a small whole number, else 0 and eight bytes. `order` is the score as eight bytes whose byte order is
// the order of scores, -0 and 0 being the same: so the order of keys is that of Redis, by score and then by
// member.
//
// A *border* is a cut between keys: order (8) and member, or the beginning of that. Every range (by score, by
// member, by rank) is what lies between two borders.
//
// Invariants
//   Z1  Inline while Redis would keep a listpack and the payload is small; then large for good.
//   Z2  The flag kSkiplist is what OBJECT ENCODING says; a set is large without it when only its bytes
//       made it so.
//   Z3  No element lies before `low` or at or after `high` (empty: not known): a queue's ends are full of
//       erased records that nothing should walk over. Both are cut to kEdgeBytes.
//
// Threads: those of the view.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/types/rank_index.h"
#include "server/view.h"

namespace server {

struct ZsetLimits {
  uint64_t entries = 128;     // zset-max-listpack-entries
  uint64_t value_bytes = 64;  // zset-max-listpack-value
  uint64_t payload_bytes = 1536;
  uint64_t children_max = RankIndex::kChildrenMax;
};

struct ScoredMember {
  double score;
  std::string_view member;
};
// By score, then by member.
bool comes_before(const ScoredMember& a, const ScoredMember& b);

// ---- borders
inline constexpr std::string_view kFirstBorder = "";
inline constexpr std::string_view kLastBorder = "\xff\xff";
std::string border_at(double score);     // Before all members with this score.
std::string border_after(double score);  // After them all.
std::string border_at(double score, std::string_view member);
std::string border_after(double score, std::string_view member);

class Zset {
 public:
  // `header`: what view.header() gave, of a sorted set; nullopt begins a new one.
  Zset(View& view, const std::optional<Header>& header, const ZsetLimits& limits = {});

  uint64_t size() const { return object_ == engine::kNoObject ? inline_size_ : index_->root().weight; }
  std::optional<double> score(std::string_view member);
  // The same of many, in one round. Replaces *scores.
  void scores(std::span<const std::string_view> members, std::vector<std::optional<double>>* scores);
  // Fetches in one round what score() of all these is going to read.
  void prefetch(std::span<const std::string_view> members);
  uint64_t rank(std::string_view border);  // How many elements lie before it.

  // ---- changes; they are there once save() has written the header
  // `old`: what score(member) gave. Members must live as long as the Zset.
  void put(std::string_view member, double score, std::optional<double> old);
  void erase(std::string_view member, double old);
  // Erases everything between two borders and returns how much that was; of a large set at most so many, from
  // the front (*reached is then where the rest begins). Requires: save() is next.
  uint64_t erase_between(std::string_view first, std::string_view end, uint64_t at_most = UINT64_MAX,
                         std::string* reached = nullptr);
  void erase_all();  // The same of everything, at once.
  // Writes the header, or erases it when nothing is left. Requires: nothing else has written it in this run.
  void save(ObjectId database, std::string_view key);

  // ---- walking; a cursor ends with the next change
  class Cursor;
  Cursor at(uint64_t rank);
  Cursor first_from(std::string_view border);
  Cursor last_before(std::string_view border);

  // ---- ZSCAN: in an order that no change of scores disturbs
  struct Found {
    std::string member;
    double score;
  };
  // Appends some `count` elements from `cursor` on and returns the next cursor, 0 at the end.
  uint64_t scan(uint64_t cursor, uint64_t count, std::vector<Found>* found);

  // Writes a whole sorted set, without looking what it overwrites but for its header.
  // Requires: at least one element, in order, no member twice.
  static void write(View& view, ObjectId database, std::string_view key, std::span<const ScoredMember> sorted,
                    const ZsetLimits& limits);

  // Whether Redis would say "skiplist"; otherwise it is "listpack".
  static bool says_skiplist(const Header& header);

 private:
  static constexpr uint8_t kSkiplist = 1;
  static constexpr size_t kEdgeBytes = 48;

  bool large() const { return object_ != engine::kNoObject; }
  std::vector<ScoredMember>& entries();
  std::vector<ScoredMember>::iterator place_of(double score, std::string_view member);
  // Both in key_: valid until the next.
  const std::string& member_key(std::string_view member);
  const std::string& score_key(std::string_view border);
  RankIndex::Plan plan();
  void open_index(const RankIndex::Root& root);
  void make_large();
  void walk_all(Cursor* cursor);
  void raise_low(std::string_view border);
  void find_low();
  void write_element(std::string_view member, double score, engine::Existence before);

  View& view_;
  ZsetLimits limits_;
  Header header_;                     // Expiry and reference; the payload is written anew.
  std::optional<Header> old_header_;  // What the constructor was given.
  ObjectId object_ = engine::kNoObject;
  bool skiplist_ = false;

  // Inline
  uint64_t inline_size_ = 0;
  uint64_t inline_bytes_ = 0;
  std::string_view encoded_;  // Entries not yet decoded.
  bool decoded_ = false;
  std::vector<ScoredMember> entries_;

  // Large
  std::optional<RankIndex> index_;
  std::string low_, high_;
  uint64_t erased_ = 0;              // Since low_ was last looked up.
  std::vector<std::string> doomed_;  // Records to be erased by save().
  std::string key_;                  // Scratch.
};

// A place among the elements in order; falls off either end.
class Zset::Cursor {
 public:
  bool valid() const { return valid_; }
  // Requires for all: valid(). What they return is valid until the cursor moves.
  double score() const;
  std::string_view member() const;
  bool lies_before(std::string_view border) const;
  void next();
  void prev();
  void step(bool backward) { backward ? prev() : next(); }

 private:
  friend class Zset;
  explicit Cursor(Zset& zset) : zset_(&zset) {}
  Zset* zset_;
  std::string_view large_key() const;
  bool valid_ = false;
  size_t position_ = 0;               // Inline
  std::optional<View::Range> range_;  // Large
  size_t prefix_bytes_ = 0;           // Of its keys, in front of the order.
};

}  // namespace server
