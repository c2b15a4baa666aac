#include "server/types/set_algebra.h"

#include <algorithm>
#include <string>
#include <vector>

namespace server {
namespace {

// Members of a walk, asked about together.
class Sieve {
 public:
  // Lets a member through if each of `others` contains it (`wanted`), or none does.
  Sieve(std::span<Set* const> others, bool wanted, const UseMember& use)
      : others_(others), wanted_(wanted), use_(use) {}

  // False: enough.
  bool add(std::string_view name) {
    if (others_.empty()) return use_(name);
    members_.emplace_back(name);
    return members_.size() < limit_ || flush();
  }

  bool flush() {
    for (Set* other : others_) {
      if (members_.empty()) break;
      other->contains(members_, &contained_);
      size_t kept = 0;
      for (size_t i = 0; i < members_.size(); ++i) {
        if (static_cast<bool>(contained_[i]) != wanted_) continue;
        if (kept != i) members_[kept] = std::move(members_[i]);
        ++kept;
      }
      members_.resize(kept);
    }
    for (const std::string& member : members_)
      if (!use_(member)) return false;
    members_.clear();
    limit_ = std::min(limit_ * 2, kProbesMax);
    return true;
  }

 private:
  std::span<Set* const> others_;
  const bool wanted_;
  const UseMember& use_;
  size_t limit_ = kProbesMin;
  std::vector<std::string> members_;
  std::vector<char> contained_;
};

// False: enough.
bool sift(Set& source, std::span<Set* const> others, bool wanted, const UseMember& use) {
  Sieve sieve(others, wanted, use);
  bool more = true;
  source.each([&](const Set::Member& member) { return more = sieve.add(member.name); });
  return more && sieve.flush();
}

std::vector<Set*> pointers(std::span<Set> sets) {
  std::vector<Set*> all;
  for (Set& set : sets) all.push_back(&set);
  return all;
}

}  // namespace

void intersect(std::span<Set> sets, const UseMember& use) {
  std::vector<Set*> all = pointers(sets);
  std::stable_sort(all.begin(), all.end(), [](const Set* a, const Set* b) { return a->size() < b->size(); });
  sift(*all[0], std::span(all).subspan(1), true, use);
}

void unite(std::span<Set> sets, const UseMember& use) {
  const std::vector<Set*> all = pointers(sets);
  for (size_t i = 0; i < all.size(); ++i)
    if (!sift(*all[i], std::span(all).first(i), false, use)) return;
}

void subtract(std::span<Set> sets, const UseMember& use) {
  const std::vector<Set*> all = pointers(sets);
  sift(*all[0], std::span(all).subspan(1), false, use);
}

}  // namespace server
