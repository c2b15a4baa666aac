#include "server/rdb/input.h"

#include "server/rdb/crc64.h"
#include "server/rdb/lzf.h"

namespace server::rdb {

void Input::feed(std::string_view bytes) {
  INVARIANT(!ended_);
  // What has been used goes when it is the larger part: each byte is moved about once.
  if (committed_ > own_.size() / 2) {
    own_.erase(0, committed_);
    base_ += committed_;
    at_ -= committed_;
    committed_ = 0;
  }
  own_.append(bytes);
  bytes_ = own_;
}

bool Input::has(uint64_t count) {
  if (state_ != State::kOk) return false;
  if (bytes_.size() - at_ >= count) return true;
  if (ended_)
    damaged("the end is missing");
  else
    state_ = State::kShort;
  return false;
}

void Input::damaged(std::string_view what) {
  if (state_ != State::kOk) return;
  state_ = State::kDamaged;
  damage_ = {engine::Code::kCorruption,
             "RDB: " + std::string(what) + ", at offset " + std::to_string(offset())};
}

void Input::commit() {
  if (checked_) checksum_ = crc64(checksum_, bytes_.substr(committed_, at_ - committed_));
  committed_ = at_;
}

Step Input::stopped() {
  if (state_ == State::kDamaged) return Step::kDamaged;
  state_ = State::kOk;
  at_ = committed_;
  return Step::kMore;
}

uint8_t Input::byte() {
  if (!has(1)) return 0;
  return static_cast<uint8_t>(bytes_[at_++]);
}

std::string_view Input::bytes(uint64_t count) {
  if (!has(count)) return {};
  const std::string_view taken = bytes_.substr(at_, count);
  at_ += count;
  return taken;
}

uint64_t Input::length() {
  const uint8_t first = byte();
  switch (first >> 6) {
    case 0: return first;
    case 1: return uint64_t{first & 0x3fu} << 8 | byte();
    case 2:
      if (first == 0x80) return __builtin_bswap32(little<uint32_t>());
      if (first == 0x81) return __builtin_bswap64(little<uint64_t>());
      break;
    default: break;
  }
  damaged("a length of no known form");
  return 0;
}

std::string_view Input::string(std::string* scratch) {
  if (!has(1)) return {};
  const auto first = static_cast<uint8_t>(bytes_[at_]);
  if (first >> 6 == 3) {
    ++at_;
    return special_string(first & 0x3f, scratch);
  }
  const uint64_t size = length();
  if (ok() && size > string_bytes_max_) {
    damaged("a string of " + std::to_string(size) + " bytes, more than are allowed");
    return {};
  }
  return bytes(size);
}

std::string_view Input::special_string(uint8_t form, std::string* scratch) {
  const auto text = [scratch](int64_t number) -> std::string_view {
    *scratch = std::to_string(number);
    return *scratch;
  };
  switch (form) {
    case 0: return text(little<int8_t>());
    case 1: return text(little<int16_t>());
    case 2: return text(little<int32_t>());
    case 3: {
      const uint64_t packed = length();
      const uint64_t size = length();
      if (ok() && (size > string_bytes_max_ || packed > string_bytes_max_)) {
        damaged("a string of " + std::to_string(size) + " bytes, more than are allowed");
        return {};
      }
      const std::string_view compressed = bytes(packed);
      if (!ok()) return {};
      if (!lzf_expand(compressed, size, scratch)) {
        damaged("a compressed string that does not expand");
        return {};
      }
      return *scratch;
    }
    default: damaged("a string of no known form"); return {};
  }
}

}  // namespace server::rdb
