#include "server/types/name_index.h"

#include <algorithm>

namespace server {

NameIndex::NameIndex(std::span<const std::string_view> names, size_t stride) {
  const size_t given = (names.size() + stride - 1) / stride;
  names_.reserve(given);
  if (given <= kFew) {
    bool distinct = true;
    for (size_t i = 0; i < given; ++i) {
      const std::string_view name = names[i * stride];
      size_t slot = 0;
      while (slot < names_.size() && names_[slot] != name) ++slot;
      if (slot == names_.size()) {
        names_.push_back(name);
      } else if (distinct) {
        distinct = false;
        for (uint32_t before = 0; before < i; ++before) slots_.push_back(before);
      }
      if (!distinct) slots_.push_back(static_cast<uint32_t>(slot));
    }
    return;
  }
  // Sorted, not hashed: nobody can make names collide.
  std::vector<uint32_t> order(given);
  for (uint32_t i = 0; i < given; ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    const int order_of_names = names[a * stride].compare(names[b * stride]);
    return order_of_names != 0 ? order_of_names < 0 : a < b;
  });
  // The first that gives a name stands for all that give it.
  std::vector<uint32_t> first(given);
  for (size_t at = 0; at < given; ++at) {
    const bool again = at > 0 && names[order[at] * stride] == names[order[at - 1] * stride];
    first[order[at]] = again ? first[order[at - 1]] : order[at];
  }
  slots_.resize(given);
  for (uint32_t i = 0; i < given; ++i) {
    if (first[i] == i) {
      slots_[i] = static_cast<uint32_t>(names_.size());
      names_.push_back(names[i * stride]);
    } else {
      slots_[i] = slots_[first[i]];
    }
  }
  for (const uint32_t i : order)
    if (first[i] == i) sorted_.push_back(slots_[i]);
}

std::optional<size_t> NameIndex::find(std::string_view name) const {
  if (sorted_.empty()) {
    for (size_t slot = 0; slot < names_.size(); ++slot)
      if (names_[slot] == name) return slot;
    return std::nullopt;
  }
  const auto at =
      std::lower_bound(sorted_.begin(), sorted_.end(), name,
                       [&](uint32_t slot, std::string_view wanted) { return names_[slot] < wanted; });
  if (at == sorted_.end() || names_[*at] != name) return std::nullopt;
  return *at;
}

}  // namespace server
