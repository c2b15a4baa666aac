// server/types/set_algebra.h: intersection, union and difference, without holding any of the sets in memory.
//
// Each walks sets and asks the others about what it meets, some members at a time, so that a round of fetches
// serves many: at first kProbesMin, then ever more. Memory: that of the members asked about at once.
//
// Threads: that of the view.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

#include "server/types/set.h"

namespace server {

inline constexpr size_t kProbesMin = 64;
inline constexpr size_t kProbesMax = 64 << 10;

// Called with each member of the result, once; false: enough.
using UseMember = std::function<bool(std::string_view)>;

// Walks the smallest.
void intersect(std::span<Set> sets, const UseMember& use);
// Walks all; a member is shown with the first set that has it.
void unite(std::span<Set> sets, const UseMember& use);
// Walks the first.
void subtract(std::span<Set> sets, const UseMember& use);

}  // namespace server
