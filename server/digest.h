// server/digest.h: digests of values and of all data, equal to those of a Redis server with equal data: DEBUG
// DIGEST.
//
// Where order means nothing (keys, fields, members) digests are combined by xor, elsewhere each goes into the
// next.
//
// Threads: that of the view.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "server/view.h"

namespace server {

class Digest {
 public:
  void add(std::string_view bytes);  // Order means nothing: xor of SHA-1.
  void mix(std::string_view bytes);  // Order means something: SHA-1 of that xor.
  std::string_view bytes() const { return {reinterpret_cast<const char*>(sum_.data()), sum_.size()}; }
  std::string hex() const;

 private:
  std::array<unsigned char, 20> sum_{};
};

// Goes on from `digest` with a key's value. Charges the view for what it reads.
void mix_value(View& view, ObjectId database, std::string_view key, const Header& header, Digest* digest);

// Of everything. `databases`: the object of each, by number.
Digest digest_of_data(View& view, std::span<const ObjectId> databases);

}  // namespace server
