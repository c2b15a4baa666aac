// engine/run_ahead.h: the blocks of a run in order, for a merge: the next ones are read while it works.
//
//     window ◀── taken up ── ahead ◀── hand_over() ── fetched ◀── read()
//     the merge's slice, on one worker                the errand, on another one at the same time
//
// Each is some `stretch_bytes` of the file, blocks decompressed and verified. Where the merge is faster than
// that it reads for itself, as it does what the errand could not read: only a block that is asked for and bad
// is an error.
//
// Threads: block() on one worker, read() on another; hand_over() on the reactor, while neither runs.
#pragma once

#include <vector>

#include "engine/version.h"

namespace engine {

class RunAhead final : public BlockSource {
 public:
  RunAhead(Run run, uint64_t stretch_bytes) : run_(std::move(run)), stretch_bytes_(stretch_bytes) {}

  BlockRef block(const Table& table, uint32_t index) override;
  const Status& status() const override { return status_; }

  void hand_over();
  bool has_work() const {
    return fetched_.blocks.empty() && !gave_up_ && until_.table < run_.tables().size();
  }
  void read();

  // About the most that it holds: three stretches, of blocks that LZ4 has halved.
  static uint64_t memory_bytes(uint64_t stretch_bytes) { return 6 * stretch_bytes; }

 private:
  struct Place {
    size_t table = 0;  // Which of the run's.
    uint32_t block = 0;
    auto operator<=>(const Place&) const = default;
  };
  struct Stretch {
    Place first;
    std::vector<BlockRef> blocks;
    bool has(Place place) const {
      return place.table == first.table && place.block >= first.block &&
             place.block - first.block < blocks.size();
    }
  };
  Result<Stretch> read_from(Place place) const;
  Place behind(const Stretch& stretch) const;
  Place place_of(const Table& table, uint32_t index) const;

  const Run run_;
  const uint64_t stretch_bytes_;

  // The slice's.
  Stretch window_, ahead_;
  Place passed_;   // Behind what it has read for itself.
  Status status_;  // Final once it is an error.

  // The errand's.
  Stretch fetched_;
  Place until_;  // Where it reads on.
  bool gave_up_ = false;
};

}  // namespace engine
