// engine/fields.h: small facts as bytes: varints (7 bits a byte, low ones first; signed ones zigzag), strings
// (length and bytes), and tags of one byte.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace engine {

class FieldWriter {
 public:
  FieldWriter& tag(uint8_t tag) {
    out_ += static_cast<char>(tag);
    return *this;
  }
  FieldWriter& number(uint64_t n) {
    char bytes[kNumberBytesMax];
    size_t size = 0;
    for (; n >= 0x80; n >>= 7) bytes[size++] = static_cast<char>(n | 0x80);
    bytes[size++] = static_cast<char>(n);
    out_.append(bytes, size);
    return *this;
  }
  FieldWriter& signed_number(int64_t n) {
    return number((static_cast<uint64_t>(n) << 1) ^ (n < 0 ? ~uint64_t{0} : 0));
  }
  FieldWriter& text(std::string_view bytes) {
    number(bytes.size());
    out_ += bytes;
    return *this;
  }
  std::string take() { return std::move(out_); }

 private:
  static constexpr size_t kNumberBytesMax = 10;
  std::string out_;
};

// Once a read fails everything after it does, and ok() is false: disk bytes may be read without a check at
// each step.
class FieldReader {
 public:
  explicit FieldReader(std::string_view bytes) : rest_(bytes) {}
  bool ok() const { return ok_; }
  bool done() const { return rest_.empty() || !ok_; }

  uint8_t tag() { return byte(); }
  uint64_t number() {
    if (ok_ && !rest_.empty() && static_cast<uint8_t>(rest_.front()) < 0x80) return byte();
    uint64_t n = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const uint8_t next = byte();
      if (shift == 63 && next > 1) break;
      n |= static_cast<uint64_t>(next & 0x7f) << shift;
      if (next < 0x80) return n;
    }
    ok_ = false;
    return 0;
  }
  int64_t signed_number() {
    const uint64_t n = number();
    return static_cast<int64_t>((n >> 1) ^ ((n & 1) != 0 ? ~uint64_t{0} : 0));
  }
  std::string text() {
    const uint64_t size = number();
    if (size > rest_.size()) ok_ = false;
    if (!ok_) return {};
    std::string bytes(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return bytes;
  }

 private:
  uint8_t byte() {
    if (rest_.empty()) ok_ = false;
    if (!ok_) return 0;
    const auto next = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return next;
  }

  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace engine
