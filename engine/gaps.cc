#include "engine/gaps.h"

#include <algorithm>
#include <iterator>

namespace engine {

void Gaps::note(std::string_view begin, std::string_view end) {
  if (begin >= end || begin.size() + end.size() > kGapBytesMax) return;
  std::string first(begin), last(end);
  auto at = gaps_.upper_bound(first);
  if (at != gaps_.begin() && std::prev(at)->second >= first) --at;
  while (at != gaps_.end() && at->first <= last) {
    first = std::min(first, at->first);
    last = std::max(last, at->second);
    at = gaps_.erase(at);
  }
  if (gaps_.size() >= kGapsMax) make_room();
  gaps_.emplace(std::move(first), std::move(last));
}

const std::string* Gaps::end_of(std::string_view key) const {
  auto at = gaps_.upper_bound(key);
  if (at == gaps_.begin()) return nullptr;
  --at;
  return key < std::string_view(at->second) ? &at->second : nullptr;
}

const std::string* Gaps::begin_before(std::string_view key) const {
  auto at = gaps_.lower_bound(key);
  if (at == gaps_.begin()) return nullptr;
  --at;
  return key <= std::string_view(at->second) ? &at->first : nullptr;
}

void Gaps::split(std::string_view key) {
  auto at = gaps_.upper_bound(key);
  if (at == gaps_.begin()) return;
  --at;
  if (key >= std::string_view(at->second)) return;
  std::string after(key);
  after += '\0';
  std::string end = std::move(at->second);
  if (at->first == key)
    gaps_.erase(at);
  else
    at->second = std::string(key);
  if (after < end) {
    if (gaps_.size() >= kGapsMax) make_room();
    gaps_.emplace(std::move(after), std::move(end));
  }
}

// Any one will do, if not always the same.
void Gaps::make_room() {
  auto at = gaps_.upper_bound(hand_);
  if (at == gaps_.end()) at = gaps_.begin();
  hand_ = at->first;
  gaps_.erase(at);
}

}  // namespace engine
