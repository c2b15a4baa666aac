// engine/checkpoint.h: a store as files, at one moment, for another engine to begin with.
//
// The tables of one version hold everything up to its flushed LSN. But a compaction may have used what the
// log knew by then of dead objects, so the tables alone are no state that the store was ever in: they are
// one together with the log up to whole_at().
//
// Nothing is copied and nothing waits: while a Checkpoint lives its tables stay, and the log from flushed()
// on.
//
// Threads: made and released on the reactor; read() on any.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/log.h"
#include "engine/lsn.h"
#include "engine/status.h"

namespace engine {

// A table, by what it is: number and checksum together are the same file.
struct CheckpointFile {
  uint64_t number = 0, bytes = 0, checksum = 0;
  bool operator==(const CheckpointFile&) const = default;
};

class Checkpoint {
 public:
  virtual ~Checkpoint() = default;
  virtual Lsn flushed() const = 0;   // The log is needed from here,
  virtual Lsn whole_at() const = 0;  // and at least up to here.
  // All that a manifest says, for engine/incoming.h; the tables are named in it.
  virtual const std::string& state() const = 0;
  virtual const std::vector<CheckpointFile>& files() const = 0;
  // Some bytes of a table's file. Blocking. Errors: kIoError; kInvalid: there is no such table, or fewer
  // bytes.
  virtual Result<std::string> read(uint64_t number, uint64_t offset, uint64_t bytes) const = 0;
};

}  // namespace engine
