// server/range_deletion.h: deletes the keys of a range.
//
// A range of up to kKeysAtOnceMax keys (of at most 1 MB) goes at once, in one batch. A longer one goes in
// steps, in the order of keys, one batch each, with other commands between them, so that it neither holds
// anybody up nor makes a log record of any size:
//
//   R1  Each step deletes the keys that are there when it comes to them. What is written behind it stays.
//   R2  It ends at the last key that was there at its beginning, whatever is appended meanwhile.
//   R3  A step is atomic and survives as a whole; after a crash a prefix of the steps has happened.
//   R4  The count is of the keys deleted, exactly. Expired ones are left to expiry.
//
// Threads: the reactor.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "server/batch_runner.h"
#include "server/key_bounds.h"

namespace server {

class RangeDeletion {
 public:
  static constexpr size_t kKeysAtOnceMax = 1000;
  // In a transaction or a script there are no steps: so many go in one batch with all else, or none.
  static constexpr size_t kKeysNestedMax = 100'000;

  // The first keys of a range, as many as one batch takes.
  struct Found {
    std::vector<std::string> keys;
    bool more = false;    // There is something left behind
    std::string reached;  // this key.
  };
  static Found find(View& view, ObjectId database, const KeyBounds& bounds, size_t keys_max = kKeysAtOnceMax);
  static void erase(View& view, ObjectId database, const Found& found);

  // R2: what start() is to be given.
  static KeyBounds ending_at_last_key(View& view, ObjectId database, KeyBounds bounds);

  struct Outcome {
    engine::Status status;  // Not OK: it stopped there.
    int64_t deleted = 0;
    engine::Lsn end = 0;
  };
  // In steps. `exists` tells whether the database still is one (FLUSHDB ends the deletion); `deleted` hears
  // of each step's keys once they are gone; `done` is called once, perhaps within this call.
  static void start(BatchRunner& runner, engine::Executor& executor, ObjectId database, KeyBounds bounds,
                    std::function<bool()> exists,
                    std::function<void(const std::vector<std::string>& keys)> deleted,
                    std::function<void(const Outcome&)> done);
};

}  // namespace server
