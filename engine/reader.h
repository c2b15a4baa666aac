// engine/reader.h: reading one state of the store.
//
// A command's handler reads through a Reader and does not know which: on the reactor the state is the
// present one and a block that is not in memory makes the answer kCold; on a worker it is a snapshot
// and the block is read where it stands.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "engine/iterator.h"
#include "engine/lsn.h"
#include "engine/status.h"

namespace engine {

struct Lookup {
  enum class State : unsigned char { kFound, kAbsent, kCold, kFailed };
  State state = State::kAbsent;
  std::string_view value;  // When found. Valid until the command has ended.
  Lsn lsn = 0;             // What a reply that shows this answer must wait for; 0: long settled.
};

class Reader {
 public:
  virtual ~Reader() = default;
  virtual Lookup get(std::string_view key) = 0;
  // Records with keys in [begin, end), tombstones hidden; an empty end means no end. The bounds hold for
  // every movement. Cold blocks: Iterator::State::kCold.
  virtual std::unique_ptr<Iterator> iterator(std::string_view begin, std::string_view end) = 0;
  // Who is told by the iterators made from here on, as they pass over tombstones, how many more they have
  // passed. It may throw: the iterator is then only good for being destroyed. On a worker nobody is told.
  using Passed = std::function<void(uint64_t tombstones)>;
  virtual void on_passed(Passed /*passed*/) {}
  // A key of a record in [begin, end), drawn by chance (`random` decides): each is about as likely as any
  // other, whatever its neighbours. It may have been erased or overwritten since: get() tells. kAbsent: this
  // draw met no record. Cost: as a get() of a key that is not cached.
  // A reader that cannot draw always says so.
  virtual Lookup::State sample(std::string_view /*begin*/, std::string_view /*end*/, uint64_t /*random*/,
                               std::string* /*key*/) {
    return Lookup::State::kAbsent;
  }
  // Why the last answer was kFailed.
  virtual const Status& status() const = 0;
  // The highest LSN that an iterator may have shown: an iterator does not track its records one by one.
  virtual Lsn newest() const = 0;
};

}  // namespace engine
