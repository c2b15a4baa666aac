// resp/input_buffer.h: the bytes that a peer sent and nobody has used yet, in one piece.
//
//     0         begin_           end_            capacity_
//     +---------+----------------+---------------+
//     |  used   |    unread()    |    room()     |
//     +---------+----------------+---------------+
//
// One piece, because arguments are views into it. Bytes move only inside room(), so every view lives until
// the next room(); after it, offsets from the start of unread() still hold (RequestParser goes by them).
//
// Invariants
//   B1  A byte is moved O(1) times on average, however small the reads are.
//   B2  Memory is at most 8 times the bytes that really came, plus kStepBytes and a little, whatever length
//       a peer announces.
//   B3  A big request leaves no big buffer behind: what is over kKeepBytes goes once the buffer is empty,
//       what is over kRestBytes when kSmallFills fills in a row could have done without it.
//
// Threads: the owner's only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace resp {

class InputBuffer {
 public:
  static constexpr size_t kRestBytes = 16 * 1024;    // The usual size, and that of one read.
  static constexpr size_t kRoomBytesMin = 4 * 1024;  // A smaller tail is not worth a system call.
  static constexpr size_t kKeepBytes = 1 << 20;
  static constexpr size_t kStepBytes = 1 << 20;
  static constexpr unsigned kSmallFills = 8;

  InputBuffer() = default;
  InputBuffer(const InputBuffer&) = delete;
  InputBuffer& operator=(const InputBuffer&) = delete;

  std::string_view unread() const { return {bytes_.get() + begin_, end_ - begin_}; }
  size_t size() const { return end_ - begin_; }
  bool empty() const { return begin_ == end_; }

  // Where the next bytes from the peer go: kRoomBytesMin or more. `wanted` is what is known to be missing
  // (RequestParser::wanted()): if memory must be taken, then so much that a big argument is read straight to
  // its place (in a few steps if it is huge: B2). Views die here.
  std::span<char> room(size_t wanted = 1);

  // `n` bytes were written to the front of room().
  void received(size_t n) { end_ += n; }

  // For bytes that are in memory already (tests, replication): copies them in.
  void append(std::string_view bytes);

  // The first `n` bytes of unread() are done with. Views stay valid.
  void consume(size_t n) {
    begin_ += n;
    position_ += n;
  }

  // The stream's offset of unread()'s first byte.
  uint64_t position() const { return position_; }

  // Gives the memory back if nothing is unread; for connections that fall idle.
  void release();

  size_t capacity_bytes() const { return capacity_; }

 private:
  void reallocate(size_t capacity);
  void shrink_if_oversized(size_t wanted);

  std::unique_ptr<char[]> bytes_;
  size_t begin_ = 0;
  size_t end_ = 0;
  size_t capacity_ = 0;
  uint64_t position_ = 0;
  unsigned small_fills_ = 0;  // How often in a row the buffer fell empty with kRestBytes or less used.
};

}  // namespace resp
