#include "server/object_encoding.h"

#include <string>

#include "server/string_value.h"
#include "server/types/hash.h"
#include "server/types/set.h"
#include "server/units.h"

namespace server {
namespace {

constexpr uint64_t kIntegerBytesMax = 20;   // Longer text is not looked at.
constexpr uint64_t kEmbeddedBytesMax = 44;  // What fits into Redis's object of 64 bytes.

std::string_view string_encoding(View& view, const Header& header) {
  const uint64_t length = string_length(header);
  if (length <= kIntegerBytesMax) {
    std::string scratch;
    if (parse_integer(read_string(view, header, &scratch))) return "int";
  }
  return length <= kEmbeddedBytesMax ? "embstr" : "raw";
}

}  // namespace

std::string_view object_encoding(View& view, const Header& header) {
  switch (header.type) {
    case Type::kString: return string_encoding(view, header);
    case Type::kList: return "quicklist";
    case Type::kSet: return set_encoding(header);
    case Type::kZset: return header.object.id == engine::kNoObject ? "listpack" : "skiplist";
    case Type::kHash: return hash_encoding(header);
    case Type::kStream: return "stream";
  }
  return "unknown";
}

}  // namespace server
