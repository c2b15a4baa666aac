// engine/read_toll.h: what readers in order pay for a deep L0, and when a merge would be cheaper.
//
// L0 is deep because merging it late writes less, and a point read hardly feels it. An iterator does: each
// sublevel costs it a seek, and something at every move. So what iterators pay is added up, and when it has
// reached the price of the merge that would have spared it, that merge is made: at worst both are paid, twice
// what the wisest would have paid (ski rental), and a store that is not walked pays for none.
//
// Threads: the reactor.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace engine {

class ReadToll {
 public:
  // A walk that began at `begin` met so many sublevels that it need not have met.
  void pay(std::string_view begin, uint64_t sublevels, uint64_t seeks, uint64_t moves) {
    paid_ns_ += sublevels * (seeks * kSeekNs + moves * kMoveNs);
    if (paid_ns_ < next_note_ns_) return;
    next_note_ns_ = paid_ns_ + kNoteNs;
    where_ = begin;
  }

  // Whether it is worth asking what a merge would read.
  bool worth_a_look() const { return paid_ns_ >= kLookNs; }
  bool covers(uint64_t merge_bytes) const { return paid_ns_ >= merge_bytes * kMergeNsPerByte; }
  // Where a walk began that paid: one that pays twice as much is found here twice as often.
  const std::string& where() const { return where_; }

  // Merged, or there is nothing to merge.
  void forget() { *this = {}; }

 private:
  // Measured, roughly: a child of a merge that is sought in cached blocks, and one that is stepped over.
  static constexpr uint64_t kSeekNs = 300, kMoveNs = 20;
  // Of a compaction, with the blocks that have to be read anew after it.
  static constexpr uint64_t kMergeNsPerByte = 10;
  static constexpr uint64_t kNoteNs = 1'000'000, kLookNs = 20'000'000;

  uint64_t paid_ns_ = 0, next_note_ns_ = 0;
  std::string where_;
};

}  // namespace engine
