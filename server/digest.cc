#include "server/digest.h"

#include <openssl/sha.h>

#include <cstdio>

#include "server/key_walk.h"
#include "server/string_value.h"
#include "server/types/hash.h"
#include "server/types/list.h"
#include "server/types/set.h"
#include "server/types/stream.h"
#include "server/types/zset.h"

namespace server {
namespace {

std::string big_endian(uint32_t n) {
  std::string text;
  for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(n >> shift & 255);
  return text;
}

void add_hash(View& view, ObjectId database, std::string_view key, const Header& header, Digest* digest) {
  Hash hash(view, database, key, header);
  hash.each([&](const Hash::Field& field) {
    Digest own;
    own.mix(field.name);
    own.mix(field.value);
    digest->add(own.bytes());
    return true;
  });
}

void add_zset(View& view, const Header& header, Digest* digest) {
  Zset zset(view, header);
  for (auto cursor = zset.at(0); cursor.valid(); cursor.next()) {
    char score[32];
    std::snprintf(score, sizeof(score), "%.17g", cursor.score());
    Digest own;
    own.mix(cursor.member());
    own.mix(score);
    digest->add(own.bytes());
  }
}

void mix_stream(View& view, ObjectId database, std::string_view key, const Header& header, Digest* digest) {
  Stream stream(view, database, key, header);
  for (Stream::Walk walk(stream, {}, kStreamIdMax, true); walk.next();) {
    digest->mix(std::to_string(walk.id().ms) + "." + std::to_string(walk.id().seq));
    StreamFields fields(walk.entry());
    for (uint64_t i = 0; i < fields.count(); ++i) digest->mix(fields.next());
  }
}

}  // namespace

void Digest::add(std::string_view bytes) {
  unsigned char hash[SHA_DIGEST_LENGTH];
  SHA1(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), hash);
  for (size_t i = 0; i < sum_.size(); ++i) sum_[i] = static_cast<unsigned char>(sum_[i] ^ hash[i]);
}

void Digest::mix(std::string_view bytes) {
  add(bytes);
  const auto sum = sum_;
  SHA1(sum.data(), sum.size(), sum_.data());
}

std::string Digest::hex() const {
  std::string text;
  for (const unsigned char byte : sum_) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

void mix_value(View& view, ObjectId database, std::string_view key, const Header& header, Digest* digest) {
  const uint32_t type =
      header.type == Type::kStream ? 6 : static_cast<uint32_t>(header.type);  // Redis's numbers.
  digest->mix(big_endian(type));
  switch (header.type) {
    case Type::kString: {
      std::string scratch;
      digest->mix(read_string(view, header, &scratch));
      break;
    }
    case Type::kList: {
      List list(view, database, key, header);
      for (List::Walk walk(list, 0, true, list.size()); walk.next();) digest->mix(walk.value());
      break;
    }
    case Type::kSet: {
      Set set(view, database, key, header);
      set.each([&](const Set::Member& member) {
        digest->add(member.name);
        return true;
      });
      break;
    }
    case Type::kZset: add_zset(view, header, digest); break;
    case Type::kHash: add_hash(view, database, key, header, digest); break;
    case Type::kStream: mix_stream(view, database, key, header, digest); break;
  }
  if (header.expiry_ms != kNoExpiry) digest->add("!!expire!!");
}

Digest digest_of_data(View& view, std::span<const ObjectId> databases) {
  Digest all;
  for (uint32_t number = 0; number < databases.size(); ++number) {
    KeyWalk walk(view, databases[number], {}, KeyOrder::kRising);
    bool begun = false;
    while (walk.next()) {
      if (walk.expired()) continue;
      if (!begun) all.mix(big_endian(number));
      begun = true;
      Digest own;
      own.mix(walk.key());
      const std::string key(walk.key());
      mix_value(view, databases[number], key, walk.header(), &own);
      all.add(own.bytes());
    }
  }
  return all;
}

}  // namespace server
