// server/drawn_members.h: members of large sets that SPOP has drawn ahead.
//
// A draw is an ordered seek over all runs, several times what the rest of a pop costs. So one seek draws
// many: a run of neighbours, in the order of the keyed hash, which nobody outside knows. The elements' places
// say nothing of their names, so each order in which a set may be emptied stays as likely as any other; only
// what is added later than a run was drawn waits for the next, hence runs are short beside their set.
//
// These are hints: who takes a name looks whether it still is a member, and no command undoes anything here.
//
// Threads: the reactor only.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/schema.h"

namespace server {

class DrawnMembers {
 public:
  static constexpr size_t kSetsMax = 32;
  static constexpr uint64_t kNamesMax = 64;      // Of one set;
  static constexpr uint64_t kPartMax = 64;       // and not more than one in so many of its members;
  static constexpr size_t kBytesMax = 16 << 10;  // nor more bytes, but for the last name.

  // How many names to draw for a set of that size. Fewer than two: drawing ahead is no use.
  static uint64_t wanted(uint64_t size) { return std::min(kNamesMax, size / kPartMax); }

  // The names at hand for the set, the next one last. Valid until the next call.
  std::vector<std::string>& of(engine::ObjectId set) {
    ++now_;
    auto at = std::find_if(sets_.begin(), sets_.end(), [set](const Entry& one) { return one.set == set; });
    if (at == sets_.end()) {
      if (sets_.size() < kSetsMax) {
        at = sets_.emplace(sets_.end());
      } else {
        at = std::min_element(sets_.begin(), sets_.end(),
                              [](const Entry& a, const Entry& b) { return a.used < b.used; });
      }
      *at = Entry{set, 0, {}};
    }
    at->used = now_;
    return at->names;
  }

 private:
  struct Entry {
    engine::ObjectId set;
    uint64_t used;
    std::vector<std::string> names;
  };
  std::vector<Entry> sets_;
  uint64_t now_ = 0;
};

}  // namespace server
