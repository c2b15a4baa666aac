// resp/output_buffer.h: replies on their way to a peer, as a chain of chunks for writev.
//
//     consumed │ chunk 0 (16 KB) │ chunk 1: one big value, moved in │ chunk 2 │ ← append
//              ▲ begin_position()                                             ▲ end_position()
//
// A position is an offset in the endless stream of replies. It names a reply's end (so that replies can be
// held back up to it), the mark to which an unfinished reply is taken back, and the place of a header that
// comes later.
//
// Invariants
//   O1  Bytes before an open gap never move: blocks() may be in flight while more is appended.
//   O2  A big block takes one allocation and one copy, a big std::string none.
//
// Threads: the owner's only. A reply made elsewhere is made in a buffer of its own, then spliced in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace resp {

class OutputBuffer {
 public:
  static constexpr size_t kChunkBytes = 16 * 1024;
  static constexpr size_t kMoveBytesMin =
      4 * 1024;  // A shorter std::string is copied: cheaper than a chunk of its own.

  OutputBuffer() = default;
  OutputBuffer(OutputBuffer&& other) noexcept;  // `other` is as new afterwards.
  OutputBuffer& operator=(OutputBuffer&& other) noexcept;

  uint64_t begin_position() const { return begin_position_; }
  uint64_t end_position() const { return begin_position_ + size_; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  size_t memory_bytes() const;

  void append(std::string_view bytes) {
    if (bytes.size() > tail_left_) return append_over_the_end(bytes);
    if (!bytes.empty()) std::memcpy(extend(bytes.size()), bytes.data(), bytes.size());
  }
  void append(std::string&& bytes);
  void append(const char* bytes) { append(std::string_view(bytes)); }

  // Takes over all of `other`, which is left empty.
  void splice(OutputBuffer&& other);

  // Room for `n` bytes in one piece, already counted: write them, at once.
  char* extend(size_t n) {
    if (n > tail_left_) add_chunk(n);
    char* const p = tail_;
    tail_ += n;
    tail_left_ -= n;
    size_ += n;
    return p;
  }
  // Takes the last `n` bytes of the last extend() back.
  void unextend(size_t n) {
    tail_ -= n;
    tail_left_ += n;
    size_ -= n;
  }

  // Fills `out` with what is to be written next, at most `bytes_max` bytes; returns how many blocks.
  size_t blocks(std::span<std::string_view> out, uint64_t bytes_max = UINT64_MAX) const;

  // Copies what lies from `position` on, as much as fits; returns how much. Cheap near the end.
  // Requires: begin_position() <= position <= end_position().
  size_t copy(uint64_t position, std::span<char> to) const;

  // The first `n` bytes have been written. Requires: n <= size().
  void consume(size_t n);

  // Forgets what was appended from `position` on. Requires: begin_position() <= position <= end_position().
  void truncate(uint64_t position);

  // A header whose bytes are known only when what follows it is: reserves room, and later puts them there.
  // Moves what follows in the same chunk, 16 KB at most, and nothing that may be in flight (O1). Requires:
  // the last one opened is filled first; nothing from `position` on is consumed meanwhile; bytes.size() <=
  // kGapBytes.
  static constexpr size_t kGapBytes = 24;
  uint64_t open_gap();
  void fill_gap(uint64_t position, std::string_view bytes);

  // The bytes as one string; for tests and for replies kept whole.
  std::string to_string() const;

  // Gives all memory back if nothing is waiting; for connections that fall idle.
  void release();

 private:
  // Used from begin to end. The last chunk's end is tail_ and not up to date in the chunk, see seal().
  struct Chunk {
    std::unique_ptr<char[]> own;
    std::string moved;  // Holds the bytes where own is null.
    size_t begin = 0;
    size_t end = 0;
    size_t capacity = 0;
    char* bytes() { return own ? own.get() : moved.data(); }
    const char* bytes() const { return own ? own.get() : moved.data(); }
  };

  void append_over_the_end(std::string_view bytes);
  void add_chunk(size_t n);
  void seal();
  void open_tail();
  size_t end_of(size_t i) const;
  void drop_consumed_chunks();

  std::vector<Chunk> chunks_;
  size_t first_ = 0;      // chunks_ before it are consumed.
  char* tail_ = nullptr;  // Where the next byte goes, in the last chunk.
  size_t tail_left_ = 0;
  size_t size_ = 0;
  uint64_t begin_position_ = 0;
};

}  // namespace resp
