// server/rdb/input.h: the bytes of a serialisation as they come, and what is read from them.
//
// A reader takes what belongs together and then asks ok(). If bytes were missing it goes back to where it
// began and tries again when more have come:
//
//     const uint64_t count = in.length();
//     const std::string_view name = in.string(&scratch);
//     if (!in.ok()) return in.stopped();      // kMore: nothing was taken. kDamaged: damage() says what.
//     in.commit();
//
// Once something failed everything gives zeros and empty strings, so that it is enough to ask at the end.
// Memory: the bytes that are here, and one string; what is only announced is not allocated.
//
// Threads: any, one at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/status.h"

namespace server::rdb {

enum class Step : uint8_t { kItem, kEnd, kMore, kDamaged };

class Input {
 public:
  // Of bytes that come by feed().
  explicit Input(uint64_t string_bytes_max) : string_bytes_max_(string_bytes_max) {}
  // Of all at once, which must stay; offsets count from the first of them.
  Input(std::string_view whole, uint64_t string_bytes_max)
      : bytes_(whole), ended_(true), string_bytes_max_(string_bytes_max) {}
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  // Views that were given out end. Requires: not of all at once, not after end().
  void feed(std::string_view bytes);
  void end() { ended_ = true; }  // No more will come: what is missing is damage.

  uint64_t offset() const { return base_ + at_; }
  // CRC-64 of all that was committed since check(true).
  uint64_t checksum() const { return checksum_; }
  void check(bool on) { checked_ = on; }
  bool at_end() const { return at_ == bytes_.size(); }
  size_t buffered() const { return bytes_.size() - at_; }

  // ---- taking. Views live until the next feed(), or the next use of the scratch.
  uint8_t byte();
  std::string_view bytes(uint64_t count);
  template <typename T>
  T little();
  uint64_t length();
  std::string_view string(std::string* scratch);

  // ---- the end of an attempt
  bool ok() const { return state_ == State::kOk; }
  void commit();
  // After a failure: back to the last commit().
  Step stopped();
  // Names the first damage and where it lies; what follows fails.
  void damaged(std::string_view what);
  const engine::Status& damage() const { return damage_; }

 private:
  enum class State : uint8_t { kOk, kShort, kDamaged };
  bool has(uint64_t count);
  std::string_view special_string(uint8_t form, std::string* scratch);

  std::string own_;
  std::string_view bytes_;
  uint64_t base_ = 0;  // How many bytes came before bytes_.
  size_t at_ = 0, committed_ = 0;
  bool ended_ = false;
  bool checked_ = false;
  uint64_t checksum_ = 0;
  const uint64_t string_bytes_max_;
  State state_ = State::kOk;
  engine::Status damage_;
};

template <typename T>
T Input::little() {
  const std::string_view raw = bytes(sizeof(T));
  T value{};
  if (!raw.empty()) __builtin_memcpy(&value, raw.data(), sizeof(T));
  return value;
}

}  // namespace server::rdb
