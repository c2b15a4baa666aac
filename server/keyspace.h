// server/keyspace.h: how Redis's keys lie in the engine's one ordered space of bytes.
//
// clang-format off
//     'B' id(object)                              -> id, generation   it is being built, in steps (server/long_write.h)
//     'D' db (2, big-endian)                      -> id, generation   which object database db is at present
//     'F' name of a library                       -> source           functions for FCALL
//     'P'                                         -> name, offset     up to where a Redis is followed (server/redis_follower.h)
//     'R'                                         -> epochs           whose writes the log holds
//     'H' id(db) user key                         -> header           one record a key
//     'S' id(object) element key                  -> value            elements of what outgrew its header
//     'T' expiry (8, big-endian ms) id(db) key    -> (nothing)        the index by time
// clang-format on
//
// An id is written as its length in bytes (1) and then its bytes, big-endian, shortest form: small, and its
// byte order is its numeric order. A user key stands as it is, so ranges over keys are ranges over bytes.
//
// A header is
//
//     kind (1) | [expiry (8)] | [elements' expiry (8)] | [death (8)] | [object id (8) | generation (4)]
//              | payload
//
// little-endian; kind holds the type in its low nibble and says which optional parts follow. The payload is
// the type's own. The index by time has an entry for the expiry and one for the elements' expiry. 'R'
// is replication/history.h's.
//
// Threads: pure functions; any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/schema.h"

namespace server {

using engine::ObjectId;

enum class Type : uint8_t { kString = 0, kList = 1, kSet = 2, kZset = 3, kHash = 4, kStream = 5 };
const char* type_name(Type type);  // As TYPE prints it.

inline constexpr int64_t kNoExpiry = -1;

struct Header {
  Type type = Type::kString;
  int64_t expiry_ms = kNoExpiry;  // Unix time.
  engine::Reference object;       // Where the elements lie; {kNoObject} when all is in the payload.
  std::string_view payload;       // Into the record.
  // Of a collection whose elements expire each on its own: before this moment none does ...
  int64_t elements_expiry_ms = kNoExpiry;
  // ... and at this one the last of them has, and the key is gone. Only if all of them will expire.
  int64_t death_ms = kNoExpiry;

  bool expired(int64_t now_ms) const {
    return (expiry_ms != kNoExpiry && expiry_ms <= now_ms) || (death_ms != kNoExpiry && death_ms <= now_ms);
  }
  // Of one that has expired: its elements' times were up before its own.
  bool died_of_elements() const {
    return death_ms != kNoExpiry && (expiry_ms == kNoExpiry || death_ms < expiry_ms);
  }
};

// Nullopt: not a header (a damaged store; the caller says so).
std::optional<Header> decode_header(std::string_view record);
void encode_header(const Header& header, std::string* out);  // Replaces *out.

std::string building_key(ObjectId object);  // Its record is as that of a database.
std::string building_begin();
std::string building_end();

std::string database_key(uint32_t database);
std::string encode_database(engine::Reference reference);
std::optional<engine::Reference> decode_database(std::string_view record);

void header_key(ObjectId database, std::string_view user_key, std::string* out);  // Replaces *out.
std::string_view user_key_of(std::string_view header_key);
// Whose header lies at a record's key; nothing if the record is no header.
struct HeaderPlace {
  ObjectId database;
  std::string_view user_key;
};
std::optional<HeaderPlace> header_place(std::string_view key);
std::string header_begin(ObjectId database);  // [begin, end) holds all headers of a database.
std::string header_end(ObjectId database);

void element_key(ObjectId object, std::string_view element, std::string* out);
std::string_view element_of(std::string_view element_key);
std::string element_begin(ObjectId object);
std::string element_end(ObjectId object);

std::string expiry_key(int64_t expiry_ms, ObjectId database, std::string_view user_key);
struct ExpiryEntry {
  int64_t expiry_ms;
  ObjectId database;
  std::string_view user_key;
};
std::optional<ExpiryEntry> decode_expiry_key(std::string_view key);
std::string expiry_end(
    int64_t now_ms);  // All entries due at now_ms lie in [expiry_begin(), expiry_end(now_ms)).
std::string expiry_begin();

// The smallest string greater than every string with this prefix; empty: there is none.
std::string prefix_end(std::string_view prefix);

// What the engine is told of all this: databases own headers, objects own elements, headers are counted.
class KeyspaceSchema final : public engine::Schema {
 public:
  ObjectId owner(std::string_view key) const override;
  engine::Reference reference(std::string_view key, std::string_view value) const override;
  bool counted(std::string_view key) const override;
  std::vector<engine::KeyRange> ranges(ObjectId id) const override;
};

}  // namespace server
