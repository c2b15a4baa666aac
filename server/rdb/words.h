// server/rdb/words.h: lengths and strings as they are written (server/rdb/format.h).
//
// Threads: pure functions; any.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace server::rdb {

void put_length(std::string* out, uint64_t length);
void put_string(std::string* out, std::string_view bytes);  // As a number where that is shorter.

// A listpack, entry by entry.
class ListpackWriter {
 public:
  void number(int64_t value);
  void text(std::string_view bytes);
  void append(const ListpackWriter& entries) {  // All of them.
    body_ += entries.body_;
    count_ += entries.count_;
  }
  std::string take();  // The whole of it; begins a new one.

 private:
  void entry(std::string_view head, std::string_view bytes);
  std::string body_;
  uint64_t count_ = 0;
};

}  // namespace server::rdb
