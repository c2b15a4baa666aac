// server/types/sample.h: several random elements of one collection, for SRANDMEMBER, SPOP and HRANDFIELD.
//
// A Collection has size(), draw(random, use, more) and each(use), as Hash and Set have; what `use` is given
// has a name.
//
// Threads: that of the view.
#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "server/random.h"

namespace server {

// A draw costs about as much as this many steps of a walk.
inline constexpr uint64_t kWalkStepsPerDraw = 50;

// A Set whose drawn members are then removed.
template <typename Set>
struct Emptied {
  Set& set;
  template <typename Use>
  void draw(Random& random, Use use, uint64_t more) {
    set.draw_to_remove(random, use, more);
  }
  template <typename Use>
  void each(Use use) {
    set.each(use);
  }
};

// Calls use(element) for `wanted` different elements, all sets of them equally likely.
// Requires: wanted <= size, the collection's size().
template <typename Collection, typename Use>
void sample_distinct(Collection& collection, uint64_t size, uint64_t wanted, Random& random, Use use) {
  if (wanted == 0) return;
  // Few: drawn until they are enough, each remembered.
  if (wanted < size / kWalkStepsPerDraw) {
    std::set<std::string, std::less<>> drawn;
    while (drawn.size() < wanted) {
      collection.draw(
          random,
          [&](const auto& element) {
            if (drawn.emplace(element.name).second) use(element);
          },
          wanted - drawn.size() - 1);
    }
    return;
  }
  // Many: one walk, on which each element is taken with the chance that the rest needs (Fan, Muller, Rezucha
  // 1962).
  uint64_t left = size;
  collection.each([&](const auto& element) {
    if (wanted == left || random.below(left) < wanted) {
      use(element);
      --wanted;
    }
    --left;
    return wanted > 0;
  });
}

}  // namespace server
