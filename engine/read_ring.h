// engine/read_ring.h: reads of pages by Linux's io_uring, which need no thread.
//
// A read is a few words in a ring that is shared with the kernel. One system call starts all that were put
// there since the last, the disk works on them at once, and their ends are found in another ring. To wake a
// worker, and to be woken by it, costs more than all else about a read.
//
//     begin() ─▶ the kernel ─▶ descriptor() is readable ─▶ reap() ─▶ ended() ─▶ whoever reads on
//
// It exists where the kernel lets one thread collect its own completions (Linux 6.1) and nobody has forbidden
// it (container runtimes often do).
//
// Threads: all functions on the one that called make().
#pragma once

#include <liburing.h>

#include <cstddef>
#include <memory>

#include "engine/env.h"

namespace engine {

class ReadRing {
 public:
  static std::unique_ptr<ReadRing> make();  // Null: there is none to be had.
  // Requires: nothing is under way.
  ~ReadRing();
  ReadRing(const ReadRing&) = delete;
  ReadRing& operator=(const ReadRing&) = delete;

  // Requires: the file has a page_descriptor(). False: as much is under way as fits.
  bool begin(PageRead& read);
  // begin() has started it, unless the kernel was short of memory. False: it wants to be asked again.
  bool submit();
  // Calls ended() of what has ended, and says how many those were.
  size_t reap();

  size_t under_way() const { return under_way_; }
  // An eventfd, readable when there is something to reap. (The ring's own descriptor does not become readable
  // by completions that the kernel leaves to be collected.)
  int descriptor() const { return event_; }

 private:
  static constexpr unsigned kUnderWayMax = 256;

  ReadRing() = default;

  io_uring ring_{};
  int event_ = -1;
  unsigned under_way_ = 0;  // In the ring or in the kernel.
  unsigned not_taken_ = 0;  // Of these the kernel has not heard of.
};

}  // namespace engine
