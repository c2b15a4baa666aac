// engine/log_tail.h: the newest records of the log in memory, for readers that keep up with it.
//
// Chunks end with a turn, as frames do, so that what has been written is always whole chunks.
//
// Threads: the reactor.
#pragma once

#include <algorithm>
#include <deque>
#include <string>
#include <string_view>

#include "engine/log.h"
#include "engine/log_format.h"

namespace engine {

class LogTail {
 public:
  static constexpr size_t kBytesMax = 4 << 20;
  static constexpr size_t kChunkBytes = 64 << 10;

  void add(Lsn first, std::string_view record) {
    if (chunks_.empty() || ended_ || chunks_.back().payload.size() >= kChunkBytes ||
        chunks_.back().end != first) {
      if (!chunks_.empty() && chunks_.back().end != first) clear();
      chunks_.push_back({first, first, {}});
      ended_ = false;
    }
    LogChunk& chunk = chunks_.back();
    const size_t before = chunk.payload.size();
    append_record(chunk.payload, record);
    chunk.end += record.size();
    bytes_ += chunk.payload.size() - before;
    while (bytes_ > kBytesMax && chunks_.size() > 1) {
      bytes_ -= chunks_.front().payload.size();
      chunks_.pop_front();
    }
  }
  void end_turn() { ended_ = true; }
  void clear() {
    chunks_.clear();
    bytes_ = 0;
  }

  // The records from `lsn` on, as many as make a good read, of what has been written.
  bool get(Lsn lsn, Lsn written, LogChunk* out) const {
    // There may be as many chunks as turns, and a reader that is behind asks for one after the other.
    auto chunk = std::upper_bound(chunks_.begin(), chunks_.end(), lsn,
                                  [](Lsn at, const LogChunk& one) { return at < one.first; });
    if (chunk == chunks_.begin()) return false;
    --chunk;
    if (lsn >= chunk->end || chunk->end > written) return false;
    std::string_view rest = chunk->payload;
    Lsn at = chunk->first;
    while (at < lsn) {
      const auto record = next_record(rest);
      if (!record) return false;
      at += record->size();
    }
    if (at != lsn) return false;
    out->first = lsn;
    out->end = chunk->end;
    out->payload = rest;
    while (++chunk != chunks_.end() && chunk->end <= written && out->payload.size() < kChunkBytes) {
      out->payload += chunk->payload;
      out->end = chunk->end;
    }
    return true;
  }

 private:
  std::deque<LogChunk> chunks_;
  size_t bytes_ = 0;
  bool ended_ = true;
};

}  // namespace engine
