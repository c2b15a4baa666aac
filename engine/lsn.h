// engine/lsn.h: the one number.
//
// A log sequence number is a byte position in the endless log of one history: replication offset, durability
// mark and recency at once. It counts record bytes only, not the frames, padding or segments in which a
// particular disk holds them, so a replica that frames the same records otherwise has the same numbers.
#pragma once

#include <cstdint>

namespace engine {
using Lsn = uint64_t;
}  // namespace engine
