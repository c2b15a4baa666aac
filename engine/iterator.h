// engine/iterator.h: a position among ordered records.
//
// One interface for a memtable, a table, a run, and the merge of them all. An iterator over tables may meet a
// block that is not in memory: on the reactor that is kCold (the source has noted which block; fetch it, then
// make a new iterator and start again), on a worker it never happens because the source reads the block.
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/status.h"

namespace engine {

class Iterator {
 public:
  enum class State : unsigned char {
    kEnd,     // No such record.
    kAt,      // On a record.
    kCold,    // A block is needed that is not in memory. Final.
    kFailed,  // status() tells. Final.
  };

  virtual ~Iterator() = default;
  virtual State seek_first() = 0;
  virtual State seek_last() = 0;
  virtual State seek(std::string_view key) = 0;         // The first record whose key is >= key.
  virtual State seek_before(std::string_view key) = 0;  // The last record whose key is < key.
  virtual State next() = 0;                             // Requires: state() == kAt. So too for all below.
  virtual State prev() = 0;
  virtual const Status& status() const = 0;

  State state() const { return here_.state; }
  // Valid until the iterator moves.
  std::string_view key() const { return here_.key; }
  std::string_view value() const { return here_.value; }
  uint8_t flags() const { return here_.flags; }  // RecordFlags.

 protected:
  // What each move leaves behind. Kept here, because merges and bounds look at it several times a record, and
  // a virtual call for each look cost more than the move.
  struct Here {
    State state = State::kEnd;
    uint8_t flags = 0;
    std::string_view key, value;
  };
  Here here_;

  State end() { return here_.state = State::kEnd; }
  // Stands where `other` does.
  State follow(const Iterator& other) {
    here_ = other.here_;
    return here_.state;
  }
};

}  // namespace engine
