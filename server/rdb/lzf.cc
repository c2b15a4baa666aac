#include "server/rdb/lzf.h"

#include <cstdint>
#include <cstring>

namespace server::rdb {

bool lzf_expand(std::string_view compressed, size_t length, std::string* out) {
  constexpr size_t kExpansionMax = 88;  // Three bytes stand for up to 264.
  if (length / kExpansionMax > compressed.size()) return false;
  out->resize(length);
  const auto* in = reinterpret_cast<const uint8_t*>(compressed.data());
  const uint8_t* const end = in + compressed.size();
  size_t made = 0;
  while (in < end) {
    const size_t control = *in++;
    if (control < 32) {
      const size_t count = control + 1;
      if (count > static_cast<size_t>(end - in) || count > length - made) return false;
      std::memcpy(out->data() + made, in, count);
      in += count;
      made += count;
      continue;
    }
    size_t count = control >> 5;
    if (count == 7) {
      if (in == end) return false;
      count += *in++;
    }
    count += 2;
    if (in == end) return false;
    const size_t back = ((control & 31) << 8 | *in++) + 1;
    if (back > made || count > length - made) return false;
    // Byte by byte: it may repeat what it has just written.
    char* to = out->data() + made;
    for (size_t i = 0; i < count; ++i) to[i] = to[i - back];
    made += count;
  }
  return made == length;
}

}  // namespace server::rdb
