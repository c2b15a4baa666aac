#include "resp/output_buffer.h"

#include <algorithm>
#include <utility>

namespace resp {

OutputBuffer::OutputBuffer(OutputBuffer&& other) noexcept { *this = std::move(other); }

OutputBuffer& OutputBuffer::operator=(OutputBuffer&& other) noexcept {
  chunks_ = std::move(other.chunks_);
  other.chunks_.clear();
  first_ = std::exchange(other.first_, 0);
  tail_ = std::exchange(other.tail_, nullptr);
  tail_left_ = std::exchange(other.tail_left_, 0);
  size_ = std::exchange(other.size_, 0);
  begin_position_ = std::exchange(other.begin_position_, 0);
  return *this;
}

size_t OutputBuffer::memory_bytes() const {
  size_t total = chunks_.capacity() * sizeof(Chunk);
  for (const Chunk& chunk : chunks_) total += chunk.capacity;
  return total;
}

void OutputBuffer::append_over_the_end(std::string_view bytes) {
  const size_t n = tail_left_;
  if (n != 0) std::memcpy(extend(n), bytes.data(), n);
  bytes.remove_prefix(n);
  std::memcpy(extend(bytes.size()), bytes.data(), bytes.size());
}

void OutputBuffer::append(std::string&& bytes) {
  if (bytes.size() < kMoveBytesMin) return append(std::string_view(bytes));
  seal();
  Chunk chunk;
  chunk.moved = std::move(bytes);
  chunk.end = chunk.capacity = chunk.moved.size();
  size_ += chunk.end;
  chunks_.push_back(std::move(chunk));
  open_tail();
}

void OutputBuffer::splice(OutputBuffer&& other) {
  if (other.empty()) return;
  if (other.size() < kMoveBytesMin) {
    for (size_t i = other.first_; i < other.chunks_.size(); ++i) {
      const Chunk& chunk = other.chunks_[i];
      append(std::string_view(chunk.bytes() + chunk.begin, other.end_of(i) - chunk.begin));
    }
  } else {
    seal();
    other.seal();
    for (size_t i = other.first_; i < other.chunks_.size(); ++i)
      chunks_.push_back(std::move(other.chunks_[i]));
    size_ += other.size_;
    open_tail();
  }
  const uint64_t end = other.end_position();
  other = OutputBuffer();
  other.begin_position_ = end;
}

size_t OutputBuffer::blocks(std::span<std::string_view> out, uint64_t bytes_max) const {
  size_t n = 0;
  for (size_t i = first_; i < chunks_.size() && n < out.size() && bytes_max > 0; ++i) {
    const size_t length = static_cast<size_t>(std::min<uint64_t>(end_of(i) - chunks_[i].begin, bytes_max));
    if (length == 0) continue;
    out[n++] = {chunks_[i].bytes() + chunks_[i].begin, length};
    bytes_max -= length;
  }
  return n;
}

size_t OutputBuffer::copy(uint64_t position, std::span<char> to) const {
  // Searched from the back: whoever asks means the last reply.
  size_t behind = static_cast<size_t>(end_position() - position);
  size_t i = chunks_.size();
  while (behind > 0) {
    --i;
    const size_t length = end_of(i) - chunks_[i].begin;
    if (length >= behind) break;
    behind -= length;
  }
  size_t copied = 0;
  for (size_t left = behind; i < chunks_.size() && copied < to.size(); ++i) {
    const size_t n = std::min(left, to.size() - copied);
    std::memcpy(to.data() + copied, chunks_[i].bytes() + end_of(i) - left, n);
    copied += n;
    if (i + 1 < chunks_.size()) left = end_of(i + 1) - chunks_[i + 1].begin;
  }
  return copied;
}

void OutputBuffer::consume(size_t n) {
  size_ -= n;
  begin_position_ += n;
  while (n > 0) {
    Chunk& chunk = chunks_[first_];
    const size_t length = end_of(first_) - chunk.begin;
    if (n < length) {
      chunk.begin += n;
      return;
    }
    n -= length;
    if (first_ + 1 == chunks_.size()) {
      // The last chunk is used again, unless it is a big one.
      if (chunk.own && chunk.capacity == kChunkBytes) {
        chunk.begin = 0;
        tail_ = chunk.bytes();
        tail_left_ = chunk.capacity;
      } else {
        chunk = Chunk();
        tail_ = nullptr;
        tail_left_ = 0;
      }
      break;
    }
    chunk = Chunk();
    ++first_;
  }
  drop_consumed_chunks();
}

void OutputBuffer::truncate(uint64_t position) {
  size_t n = static_cast<size_t>(end_position() - position);
  if (n == 0) return;
  seal();
  size_ -= n;
  while (n > 0) {
    Chunk& chunk = chunks_.back();
    const size_t length = chunk.end - chunk.begin;
    if (n < length) {
      chunk.end -= n;
      break;
    }
    n -= length;
    if (chunks_.size() == first_ + 1) {
      chunk.end = chunk.begin;
      break;
    }
    chunks_.pop_back();
  }
  open_tail();
}

uint64_t OutputBuffer::open_gap() {
  extend(kGapBytes);
  return end_position() - kGapBytes;
}

void OutputBuffer::fill_gap(uint64_t position, std::string_view bytes) {
  seal();
  // Where is it? Searched from the back: what follows a header is mostly short.
  uint64_t chunk_end = end_position();
  size_t i = chunks_.size() - 1;
  while (chunk_end - (chunks_[i].end - chunks_[i].begin) > position) {
    chunk_end -= chunks_[i].end - chunks_[i].begin;
    --i;
  }
  Chunk& chunk = chunks_[i];
  const size_t gap = chunk.end - static_cast<size_t>(chunk_end - position);
  const size_t surplus = kGapBytes - bytes.size();
  char* const p = chunk.bytes() + gap;
  std::memcpy(p, bytes.data(), bytes.size());
  std::memmove(p + bytes.size(), p + kGapBytes, chunk.end - gap - kGapBytes);
  chunk.end -= surplus;
  size_ -= surplus;
  open_tail();
}

std::string OutputBuffer::to_string() const {
  std::string all;
  all.reserve(size_);
  for (size_t i = first_; i < chunks_.size(); ++i) {
    all.append(chunks_[i].bytes() + chunks_[i].begin, end_of(i) - chunks_[i].begin);
  }
  return all;
}

void OutputBuffer::release() {
  if (!empty()) return;
  chunks_ = std::vector<Chunk>();
  first_ = 0;
  tail_ = nullptr;
  tail_left_ = 0;
}

void OutputBuffer::add_chunk(size_t n) {
  seal();
  Chunk chunk;
  chunk.capacity = std::max(n, kChunkBytes);
  chunk.own = std::make_unique_for_overwrite<char[]>(chunk.capacity);
  if (!chunks_.empty() && first_ + 1 == chunks_.size() && empty()) {
    chunks_.back() = std::move(chunk);
  } else {
    chunks_.push_back(std::move(chunk));
  }
  open_tail();
}

// Writes the last chunk's end down, so that all chunks are alike.
void OutputBuffer::seal() {
  if (!chunks_.empty()) chunks_.back().end = end_of(chunks_.size() - 1);
}

void OutputBuffer::open_tail() {
  Chunk& chunk = chunks_.back();
  tail_ = chunk.bytes() + chunk.end;
  tail_left_ = chunk.capacity - chunk.end;
}

size_t OutputBuffer::end_of(size_t i) const {
  return i + 1 == chunks_.size() ? chunks_[i].capacity - tail_left_ : chunks_[i].end;
}

void OutputBuffer::drop_consumed_chunks() {
  if (first_ < 16 || first_ * 2 < chunks_.size()) return;
  chunks_.erase(chunks_.begin(), chunks_.begin() + static_cast<std::ptrdiff_t>(first_));
  first_ = 0;
}

}  // namespace resp
