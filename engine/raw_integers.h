// engine/raw_integers.h: integers as they lie in files: little-endian, at any address.
#pragma once

#include <bit>
#include <cstring>
#include <string>

namespace engine {

static_assert(std::endian::native == std::endian::little,
              "integers are loaded and stored as they lie in memory");

template <typename T>
T load(const char* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}
template <typename T>
void store(char* at, T value) {
  std::memcpy(at, &value, sizeof value);
}
template <typename T>
void append(std::string& to, T value) {
  to.append(reinterpret_cast<const char*>(&value), sizeof value);
}

}  // namespace engine
