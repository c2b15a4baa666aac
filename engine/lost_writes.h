// engine/lost_writes.h: what is in memory but, since the log has failed, will never be durable: which keys.
//
// A walk does not look at the LSNs of its records one by one, so it counts as having seen the newest write of
// all. Once the log stands still that would make every walk wait for ever; from then on a walk is asked what
// its bounds hold of these few (the last turn's writes, or the last second's).
//
// Threads: immutable.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/lsn.h"
#include "engine/memtable.h"

namespace engine {

class LostWrites {
 public:
  // Those in `memtables` that are newer than `synced`. Walks them: some 50 ns a record, once in a life.
  LostWrites(const std::vector<const Memtable*>& memtables, Lsn synced);

  // The newest within [begin, end) (empty end: no end), or 0.
  Lsn newest(std::string_view begin, std::string_view end) const;

 private:
  std::vector<std::pair<std::string, Lsn>> writes_;  // By key.
};

}  // namespace engine
