// server/types/name_index.h: the distinct among the names that a command gives.
//
// HSET h f 1 f 2 names a field twice. Types look each name up once and keep one slot for it.
//
// Threads: the owner's only.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace server {

class NameIndex {
 public:
  NameIndex() = default;
  // Every `stride`-th of `names`, beginning with the first. They must outlive the index.
  explicit NameIndex(std::span<const std::string_view> names, size_t stride = 1);

  // Distinct names, in the order in which they first come.
  size_t size() const { return names_.size(); }
  std::string_view name(size_t slot) const { return names_[slot]; }
  // Of the i-th name that was given.
  size_t slot(size_t i) const { return slots_.empty() ? i : slots_[i]; }
  std::optional<size_t> find(std::string_view name) const;

 private:
  static constexpr size_t kFew = 8;  // So many are compared one by one.

  std::vector<std::string_view> names_;
  std::vector<uint32_t> slots_;   // Empty: the names are distinct.
  std::vector<uint32_t> sorted_;  // Slots by name, when there are more than a few.
};

}  // namespace server
