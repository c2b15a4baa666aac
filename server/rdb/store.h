// server/rdb/store.h: writes what was read of a serialisation as a key of ours.
//
// Threads: that of the view.
#pragma once

#include "engine/status.h"
#include "server/rdb/portion.h"
#include "server/settings.h"
#include "server/types/hash.h"
#include "server/types/set.h"
#include "server/types/stream.h"
#include "server/types/zset.h"
#include "server/view.h"

namespace server::rdb {

struct StoreLimits {
  explicit StoreLimits(const Settings& settings);
  HashLimits hash;
  SetLimits set;
  ZsetLimits zset;
  StreamLimits stream;
};

// The run becomes part of the key; with the last one the key's expiry is set. Works in portions, each in a
// batch of its own, and for one key in one batch.
// Requires: of a first run, that the key is not there (erased in this batch, perhaps).
// Errors: kCorruption: an element comes twice. What was written before that is in the batch.
engine::Status store(View& view, ObjectId database, const Run& run, const StoreLimits& limits,
                     uint64_t random_seed);

}  // namespace server::rdb
