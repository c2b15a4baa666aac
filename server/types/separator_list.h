// server/types/separator_list.h: rising strings in one value, to be searched where they lie.
//
//     shared size | shared | strings | width (1: 2 or 4) | end of each (width) … | the rest of each …
//
// Sizes and numbers are varints, ends little-endian and counted from the end of the first rest. `shared` is
// what all of them begin with.
//
// Threads: any; a list refers to the bytes that it was made of.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace server {

class SeparatorList {
 public:
  // Requires: rising strings.
  static std::string encode(std::span<const std::string> separators);

  // Throws StorageError where the bytes are damaged; so do all below.
  explicit SeparatorList(std::string_view bytes);

  size_t size() const { return size_; }
  void at(size_t i, std::string* out) const;     // Requires: i < size(). Replaces *out.
  size_t not_above(std::string_view key) const;  // How many are less than `key` or equal.
  std::vector<std::string> all() const;

 private:
  uint64_t end_of(size_t i) const;
  std::string_view rest_of(size_t i) const;

  std::string_view shared_, ends_, rests_;
  size_t size_ = 0;
  uint8_t width_ = 0;
};

}  // namespace server
