// engine/arena.h: memory that is handed out piece by piece and given back all at once.
//
// Chunks grow from 64 KB to 1 MB, so that a small memtable is small and a large one asks malloc seldom. A
// piece that would waste much of a chunk gets one of its own.
//
// Threads: one at a time allocates; what was handed out may be read by any.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "engine/status.h"

namespace engine {

class Arena {
 public:
  static constexpr size_t kFirstChunkBytes = 64 << 10;
  static constexpr size_t kLastChunkBytes = 1 << 20;
  static constexpr size_t kAlignmentMax = 64;

  // Uninitialised. Requires: alignment is a power of two <= kAlignmentMax.
  char* allocate(size_t bytes, size_t alignment) {
    const size_t skip = -reinterpret_cast<uintptr_t>(next_) & (alignment - 1);
    if (bytes + skip <= static_cast<size_t>(end_ - next_)) [[likely]] {
      char* piece = next_ + skip;
      next_ = piece + bytes;
      bytes_ += bytes + skip;
      return piece;
    }
    return allocate_from_new_chunk(bytes);
  }

  // Handed out, with what was lost to alignment and at the ends of chunks.
  uint64_t bytes() const { return bytes_; }

 private:
  struct Free {
    void operator()(char* chunk) const { std::free(chunk); }
  };

  char* allocate_from_new_chunk(size_t bytes) {
    if (bytes > chunk_bytes_ / 4) {
      bytes_ += bytes;
      return new_chunk(bytes);
    }
    bytes_ += static_cast<size_t>(end_ - next_) + bytes;
    char* piece = new_chunk(chunk_bytes_);
    next_ = piece + bytes;
    end_ = piece + chunk_bytes_;
    chunk_bytes_ = std::min(chunk_bytes_ * 2, kLastChunkBytes);
    return piece;
  }

  char* new_chunk(size_t bytes) {
    const size_t rounded = (bytes + kAlignmentMax - 1) & ~(kAlignmentMax - 1);
    char* chunk = static_cast<char*>(std::aligned_alloc(kAlignmentMax, rounded));
    INVARIANT(chunk != nullptr);
    chunks_.emplace_back(chunk);
    return chunk;
  }

  std::vector<std::unique_ptr<char, Free>> chunks_;
  char* next_ = nullptr;  // What is left of the newest shared chunk.
  char* end_ = nullptr;
  size_t chunk_bytes_ = kFirstChunkBytes;  // Of the next shared chunk.
  uint64_t bytes_ = 0;
};

}  // namespace engine
