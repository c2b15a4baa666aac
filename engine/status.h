// engine/status.h: how a failure travels, as a value.
//
// Absence is not a failure: it is an empty optional. A code exists only if some caller acts on it.
// The sentence is for people: what was tried, on which file and offset, what the system said.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace engine {

enum class Code : unsigned char {
  kOk,
  kIoError,     // The system refused or failed a call.
  kNoSpace,     // As kIoError, and freeing disk space would cure it.
  kCorruption,  // Bytes on disk are not what was written.
  kTooNew,      // A format version that this build does not know.
  kBusy,        // Another process holds the directory.
  kInvalid,     // The caller asked for something that cannot be.
};

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {}

  bool ok() const { return code_ == Code::kOk; }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }

 private:
  Code code_ = Code::kOk;
  std::string message_;
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}          // NOLINT(google-explicit-constructor)
  Result(Status status) : status_(std::move(status)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return status_.ok(); }
  const Status& status() const { return status_; }
  T& value() & { return *value_; }
  const T& value() const& { return *value_; }
  T value() && { return std::move(*value_); }
  T* operator->() { return &*value_; }
  T& operator*() { return *value_; }

 private:
  std::optional<T> value_;
  Status status_;
};

// A condition that only a bug of ours can break; on in release builds too. Disk, peers and clients never trip
// it.
#define INVARIANT(condition)                                                                 \
  do {                                                                                       \
    if (!(condition)) [[unlikely]] {                                                         \
      std::fprintf(stderr, "%s:%d: invariant broken: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                          \
    }                                                                                        \
  } while (false)

}  // namespace engine
