#include "resp/input_buffer.h"

#include <algorithm>
#include <cstring>

namespace resp {

std::span<char> InputBuffer::room(size_t wanted) {
  if (empty()) {
    shrink_if_oversized(wanted);
    begin_ = end_ = 0;
  }
  if (capacity_ - end_ < std::clamp(wanted, kRoomBytesMin, kStepBytes / 2)) {
    const size_t believed = std::min(wanted, std::max(kStepBytes, 7 * size()));  // B2
    const size_t needed = size() + believed + kRoomBytesMin;
    const bool oversized = capacity_ > kKeepBytes && needed <= kRestBytes;
    if (needed <= capacity_ && begin_ >= size() && !oversized) {
      // At least as many bytes were used up since the last move as move now (B1).
      std::memmove(bytes_.get(), bytes_.get() + begin_, size());
      end_ -= begin_;
      begin_ = 0;
    } else {
      reallocate(std::max({needed, 2 * size(), kRestBytes}));
    }
  }
  return {bytes_.get() + end_, capacity_ - end_};
}

void InputBuffer::append(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::span<char> tail = room(bytes.size());
    const size_t n = std::min(tail.size(), bytes.size());
    std::memcpy(tail.data(), bytes.data(), n);
    received(n);
    bytes.remove_prefix(n);
  }
}

void InputBuffer::release() {
  if (!empty()) return;
  bytes_.reset();
  begin_ = end_ = capacity_ = 0;
  small_fills_ = 0;
}

void InputBuffer::reallocate(size_t capacity) {
  auto bytes = std::make_unique_for_overwrite<char[]>(capacity);
  const size_t n = size();
  if (n != 0) std::memcpy(bytes.get(), bytes_.get() + begin_, n);
  bytes_ = std::move(bytes);
  begin_ = 0;
  end_ = n;
  capacity_ = capacity;
  small_fills_ = 0;
}

// The buffer is empty, and end_ still says how far the last fill went.
void InputBuffer::shrink_if_oversized(size_t wanted) {
  if (capacity_ <= kRestBytes || wanted > kRestBytes) return;
  if (end_ > kRestBytes)
    small_fills_ = 0;
  else
    ++small_fills_;
  if (capacity_ > kKeepBytes || small_fills_ >= kSmallFills) release();
}

}  // namespace resp
