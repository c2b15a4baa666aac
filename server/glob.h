// server/glob.h: the patterns of KEYS, SCAN, PSUBSCRIBE and CONFIG GET.
//
//     *        any bytes, also none          [abc]  one of these      [^abc]  one other than these
//     ?        any one byte                  [a-z]  one of a range    \x      x itself
//
// Byte for byte Redis's reading, its corner cases included: a class may stay open at the end, "[]" and "[^]"
// match nothing and anything, "[a-]" is a range up to ']', a range may run backwards, a byte from 0x80
// on counts as negative in a range, and an escaped byte in a class minds case even where others do not.
// One difference: a pattern of nothing but stars also matches the empty text (KEYS * must list that key;
// Redis gets there by a special case in KEYS).
//
// Cost: at most pattern x text steps, no recursion and no memory, whatever a client sends.
#pragma once

#include <string>
#include <string_view>

namespace server {

enum class GlobCase : unsigned char { kExact, kIgnore };

bool glob_match(std::string_view pattern, std::string_view text, GlobCase letters = GlobCase::kExact);

// The bytes with which all matches begin, unescaped: where a range scan for the pattern may start.
// "user:\*[12]*" gives "user:*".
struct GlobPrefix {
  std::string bytes;
  bool whole = false;  // The pattern has no wildcard: only `bytes` itself matches.
};
GlobPrefix literal_prefix(std::string_view pattern);

}  // namespace server
