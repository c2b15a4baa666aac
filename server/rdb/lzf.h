// server/rdb/lzf.h: LZF, in which Redis compresses strings.
//
//     000nnnnn  n + 1 bytes                             as they are
//     lllddddd  d                  l = 1 .. 6           l + 2 bytes from 1 + d (13 bits) bytes back
//     111ddddd  l  d                                    l + 9 bytes, the same
//
// Only the way back: what we write is not compressed. (liblzf would do, but trusts its caller more than we
// trust a file.)
//
// Threads: pure functions; any.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace server::rdb {

// Replaces *out by exactly `length` bytes; false: the bytes do not give that. Nothing is allocated that
// `compressed` could not fill.
bool lzf_expand(std::string_view compressed, size_t length, std::string* out);

}  // namespace server::rdb
