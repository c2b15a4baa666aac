#include "server/glob.h"

#include <cstring>
#include <utility>

#include "server/units.h"

namespace server {
namespace {

// Bytes compare as signed numbers, as they do in Redis on x86.
signed char byte_of(char c, GlobCase letters) {
  return static_cast<signed char>(letters == GlobCase::kIgnore ? lower_char(c) : c);
}

// Whether `c` is in the class whose '[' stands at `at`; moves `at` behind the class.
bool match_class(std::string_view pattern, size_t& at, char c, GlobCase letters) {
  size_t i = at + 1;
  const bool inverted = i < pattern.size() && pattern[i] == '^';
  if (inverted) ++i;
  bool found = false;
  while (i < pattern.size() && pattern[i] != ']') {
    if (pattern[i] == '\\' && i + 1 < pattern.size()) {
      found |= pattern[i + 1] == c;
      i += 2;
    } else if (i + 2 < pattern.size() && pattern[i + 1] == '-') {
      // Redis swaps the ends before it folds case.
      char from = pattern[i];
      char to = pattern[i + 2];
      if (static_cast<signed char>(from) > static_cast<signed char>(to)) std::swap(from, to);
      const signed char value = byte_of(c, letters);
      found |= value >= byte_of(from, letters) && value <= byte_of(to, letters);
      i += 3;
    } else {
      found |= byte_of(pattern[i], letters) == byte_of(c, letters);
      ++i;
    }
  }
  at = i < pattern.size() ? i + 1 : i;
  return found != inverted;
}

// Whether `c` matches the element at `at`, which is no star; moves `at` behind the element.
bool match_one(std::string_view pattern, size_t& at, char c, GlobCase letters) {
  if (pattern[at] == '?') {
    ++at;
    return true;
  }
  if (pattern[at] == '[') return match_class(pattern, at, c, letters);
  if (pattern[at] == '\\' && at + 1 < pattern.size()) ++at;
  return byte_of(pattern[at++], letters) == byte_of(c, letters);
}

bool is_plain(char c) { return c != '*' && c != '?' && c != '[' && c != '\\'; }

}  // namespace

bool glob_match(std::string_view pattern, std::string_view text, GlobCase letters) {
  // Only the last star seen ever needs another try: what stands between two stars is best matched as far to
  // the left as possible. That is what keeps this from being exponential.
  constexpr size_t kNone = static_cast<size_t>(-1);
  size_t p = 0;
  size_t t = 0;
  size_t retry_p = kNone;
  size_t retry_t = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      while (p < pattern.size() && pattern[p] == '*') ++p;
      if (p == pattern.size()) return true;
      retry_p = p;
      retry_t = t;
    }
    if (p == retry_p && letters == GlobCase::kExact && is_plain(pattern[p])) {
      const void* next = std::memchr(text.data() + t, pattern[p], text.size() - t);
      if (next == nullptr) return false;
      t = retry_t = static_cast<size_t>(static_cast<const char*>(next) - text.data());
    }
    if (p < pattern.size() && match_one(pattern, p, text[t], letters)) {
      ++t;
    } else if (retry_p != kNone) {
      p = retry_p;
      t = ++retry_t;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

GlobPrefix literal_prefix(std::string_view pattern) {
  GlobPrefix prefix;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '*' || pattern[i] == '?' || pattern[i] == '[') return prefix;
    if (pattern[i] == '\\' && i + 1 < pattern.size()) ++i;
    prefix.bytes.push_back(pattern[i]);
  }
  prefix.whole = true;
  return prefix;
}

}  // namespace server
