// server/expiry_census.h: how many keys of each database will expire, and in what time: INFO's expires and
// avg_ttl.
//
// The index by time knows. A short one is walked at once, and the answer is exact; a long one is walked by a
// worker now and then, and the answer is the last walk's. A walk stops after kWalkMax entries and takes the
// rest to be like what it saw.
//
// Threads: the reactor; walks run on a worker, over a snapshot.
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "engine/engine.h"

namespace server {

class ExpiryCensus {
 public:
  struct Entry {
    uint64_t keys = 0;
    uint64_t ttl_ms_sum = 0;
    uint64_t average_ttl_ms() const { return keys == 0 ? 0 : ttl_ms_sum / keys; }
  };
  using Counts = std::map<engine::ObjectId, Entry>;  // By the object of the database.

  ExpiryCensus(engine::Engine& engine, engine::Executor& executor) : engine_(engine), executor_(executor) {}

  const Counts& counts(int64_t now_ms);
  // Every few seconds: walks anew if somebody has asked since the last time and could not be answered
  // exactly.
  void refresh(int64_t now_ms);

 private:
  static constexpr uint64_t kWalkAtOnceMax = 1000;
  static constexpr uint64_t kWalkMax = 200'000;

  engine::Engine& engine_;
  engine::Executor& executor_;
  Counts counts_;
  bool wanted_ = false;
  bool walking_ = false;
};

}  // namespace server
