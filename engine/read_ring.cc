#include "engine/read_ring.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>

namespace engine {

std::unique_ptr<ReadRing> ReadRing::make() {
  std::unique_ptr<ReadRing> ring(new ReadRing);
  ring->ring_.ring_fd = -1;
  ring->event_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (ring->event_ < 0) return nullptr;
  io_uring made{};
  constexpr unsigned kFlags =
      IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
  if (io_uring_queue_init(kUnderWayMax, &made, kFlags) < 0) return nullptr;
  ring->ring_ = made;
  if (io_uring_register_eventfd(&ring->ring_, ring->event_) < 0) return nullptr;
  return ring;
}

ReadRing::~ReadRing() {
  INVARIANT(under_way() == 0);
  if (ring_.ring_fd >= 0) io_uring_queue_exit(&ring_);
  if (event_ >= 0) ::close(event_);
}

bool ReadRing::begin(PageRead& read) {
  if (under_way_ == kUnderWayMax) return false;
  io_uring_sqe* entry = io_uring_get_sqe(&ring_);
  if (entry == nullptr) return false;
  io_uring_prep_read(entry, read.file->page_descriptor(), read.out.data(),
                     static_cast<unsigned>(read.out.size()), read.offset);
  io_uring_sqe_set_data(entry, &read);
  ++under_way_;
  ++not_taken_;
  submit();  // At once: a disk that idles while the reactor gathers more costs more than a call.
  return true;
}

bool ReadRing::submit() {
  if (not_taken_ == 0) return true;
  // What has ended meanwhile is collected by the same call.
  const int taken = io_uring_submit_and_get_events(&ring_);
  if (taken > 0) not_taken_ -= std::min(not_taken_, static_cast<unsigned>(taken));
  return not_taken_ == 0;
}

size_t ReadRing::reap() {
  if (io_uring_cq_ready(&ring_) == 0) io_uring_get_events(&ring_);
  // Reset after what was collected has set it a second time, and before the last look: that asks the kernel
  // for what has come since, if anything has.
  uint64_t times;
  (void)!::read(event_, &times, sizeof times);
  size_t reaped = 0;
  io_uring_cqe* entry = nullptr;
  while (io_uring_peek_cqe(&ring_, &entry) == 0) {
    auto* read = static_cast<PageRead*>(io_uring_cqe_get_data(entry));
    const int64_t got = entry->res;
    io_uring_cqe_seen(&ring_, entry);
    --under_way_;
    ++reaped;
    read->ended(got);
  }
  return reaped;
}

}  // namespace engine
