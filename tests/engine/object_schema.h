// tests/engine/object_schema.h: databases that own headers, headers that keep objects alive, objects that own
// elements; the least that shows all that a Schema can say.
//
//     H database(8) name          -> anything, or "@" id(8) generation(4)
//     S id(8) field               -> anything
//     any other key               -> belongs to nobody
#pragma once

#include <string>
#include <vector>

#include "engine/schema.h"

namespace engine {

inline std::string big_endian(uint64_t n, int bytes) {
  std::string out;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out += static_cast<char>(n >> shift);
  return out;
}
inline uint64_t from_big_endian(std::string_view bytes) {
  uint64_t n = 0;
  for (const char c : bytes) n = n << 8 | static_cast<uint8_t>(c);
  return n;
}
inline std::string header_key(ObjectId database, const std::string& name) {
  return "H" + big_endian(database, 8) + name;
}
inline std::string element_key(ObjectId id, const std::string& field) {
  return "S" + big_endian(id, 8) + field;
}
inline std::string object_value(ObjectId id, uint32_t generation) {
  return "@" + big_endian(id, 8) + big_endian(generation, 4);
}

class ObjectSchema final : public Schema {
 public:
  ObjectId owner(std::string_view key) const override {
    return key.size() >= 9 && (key[0] == 'H' || key[0] == 'S') ? from_big_endian(key.substr(1, 8))
                                                               : kNoObject;
  }
  Reference reference(std::string_view key, std::string_view value) const override {
    if (!counted(key) || value.size() != 13 || value[0] != '@') return {};
    return {from_big_endian(value.substr(1, 8)), static_cast<uint32_t>(from_big_endian(value.substr(9)))};
  }
  bool counted(std::string_view key) const override { return key.size() >= 9 && key[0] == 'H'; }
  std::vector<KeyRange> ranges(ObjectId id) const override {
    return {{"H" + big_endian(id, 8), "H" + big_endian(id + 1, 8)},
            {"S" + big_endian(id, 8), "S" + big_endian(id + 1, 8)}};
  }
};

}  // namespace engine
