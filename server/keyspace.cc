#include "server/keyspace.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "engine/status.h"

namespace server {

namespace {

constexpr char kDatabaseTag = 'D';
constexpr char kHeaderTag = 'H';
constexpr char kBuildingTag = 'B';
constexpr char kElementTag = 'S';
constexpr char kExpiryTag = 'T';

// The kind byte of a header.
constexpr uint8_t kTypeMask = 0x0f;
constexpr uint8_t kHasExpiry = 0x10;
constexpr uint8_t kHasObject = 0x20;
constexpr uint8_t kHasElementsExpiry = 0x40;
constexpr uint8_t kHasDeath = 0x80;
constexpr size_t kHeadBytesMax = 1 + 3 * sizeof(int64_t) + sizeof(ObjectId) + sizeof(uint32_t);

static_assert(std::endian::native == std::endian::little);

template <typename T>
void append_raw(std::string* out, T value) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out->append(bytes, sizeof(T));
}

template <typename T>
bool take_raw(std::string_view* in, T* value) {
  if (in->size() < sizeof(T)) return false;
  std::memcpy(value, in->data(), sizeof(T));
  in->remove_prefix(sizeof(T));
  return true;
}

void append_big_endian(std::string* out, uint64_t value) { append_raw(out, __builtin_bswap64(value)); }

// Keys are made for every command, so their beginnings are put together in place and appended at once.
constexpr size_t kIdBytesMax = 1 + sizeof(ObjectId);

// Returns what lies behind it. Writes kIdBytesMax bytes.
char* put_id(char* out, ObjectId id) {
  const int bytes = id == 0 ? 1 : (64 - std::countl_zero(id) + 7) / 8;
  *out++ = static_cast<char>(bytes);
  const uint64_t big_endian = __builtin_bswap64(id << (64 - 8 * bytes));
  std::memcpy(out, &big_endian, sizeof big_endian);
  return out + bytes;
}

void append_id(std::string* out, ObjectId id) {
  char bytes[kIdBytesMax];
  out->append(bytes, static_cast<size_t>(put_id(bytes, id) - bytes));
}

// Replaces *out by `head`, of which there is room for kShort bytes more, and `rest`.
constexpr size_t kShort = 64;
void assign_both(char* head, size_t head_size, std::string_view rest, std::string* out) {
  if (rest.size() <= kShort) [[likely]] {
    std::copy(rest.begin(), rest.end(), head + head_size);
    out->assign(head, head_size + rest.size());
  } else {
    out->assign(head, head_size);
    out->append(rest);
  }
}

void tagged_key(char tag, ObjectId id, std::string_view rest, std::string* out) {
  char head[1 + kIdBytesMax + kShort];
  head[0] = tag;
  assign_both(head, static_cast<size_t>(put_id(head + 1, id) - head), rest, out);
}

std::optional<ObjectId> take_id(std::string_view* in) {
  if (in->empty()) return std::nullopt;
  const auto bytes = static_cast<uint8_t>((*in)[0]);
  if (bytes == 0 || bytes > 8 || in->size() < 1u + bytes) return std::nullopt;
  ObjectId id = 0;
  if (in->size() >= kIdBytesMax) [[likely]] {
    std::memcpy(&id, in->data() + 1, sizeof id);
    id = __builtin_bswap64(id) >> (64 - 8 * bytes);
  } else {
    for (size_t i = 1; i <= bytes; ++i) id = id << 8 | static_cast<uint8_t>((*in)[i]);
  }
  in->remove_prefix(1u + bytes);
  return id;
}

std::string tagged(char tag, ObjectId id) {
  std::string key;
  tagged_key(tag, id, {}, &key);
  return key;
}

}  // namespace

const char* type_name(Type type) {
  switch (type) {
    case Type::kString: return "string";
    case Type::kList: return "list";
    case Type::kSet: return "set";
    case Type::kZset: return "zset";
    case Type::kHash: return "hash";
    case Type::kStream: return "stream";
  }
  return "unknown";
}

std::optional<Header> decode_header(std::string_view record) {
  if (record.empty()) return std::nullopt;
  const auto kind = static_cast<uint8_t>(record[0]);
  record.remove_prefix(1);
  Header header;
  if ((kind & kTypeMask) > static_cast<uint8_t>(Type::kStream)) return std::nullopt;
  header.type = static_cast<Type>(kind & kTypeMask);
  if ((kind & kHasExpiry) && !take_raw(&record, &header.expiry_ms)) return std::nullopt;
  if ((kind & kHasElementsExpiry) && !take_raw(&record, &header.elements_expiry_ms)) return std::nullopt;
  if ((kind & kHasDeath) && !take_raw(&record, &header.death_ms)) return std::nullopt;
  if (kind & kHasObject) {
    if (!take_raw(&record, &header.object.id) || !take_raw(&record, &header.object.generation))
      return std::nullopt;
  }
  header.payload = record;
  return header;
}

void encode_header(const Header& header, std::string* out) {
  const bool expires = header.expiry_ms != kNoExpiry;
  const bool elements_expire = header.elements_expiry_ms != kNoExpiry;
  const bool dies = header.death_ms != kNoExpiry;
  const bool object = header.object.id != engine::kNoObject;
  char head[kHeadBytesMax + kShort];
  size_t size = 0;
  const auto add = [&]<typename T>(T value) {
    std::memcpy(head + size, &value, sizeof value);
    size += sizeof value;
  };
  add(static_cast<uint8_t>(static_cast<uint8_t>(header.type) | (expires ? kHasExpiry : 0) |
                           (elements_expire ? kHasElementsExpiry : 0) | (dies ? kHasDeath : 0) |
                           (object ? kHasObject : 0)));
  if (expires) add(header.expiry_ms);
  if (elements_expire) add(header.elements_expiry_ms);
  if (dies) add(header.death_ms);
  if (object) {
    add(header.object.id);
    add(header.object.generation);
  }
  assign_both(head, size, header.payload, out);
}

std::string building_key(ObjectId object) { return tagged(kBuildingTag, object); }
std::string building_begin() { return std::string(1, kBuildingTag); }
std::string building_end() { return prefix_end(building_begin()); }

std::string database_key(uint32_t database) {
  INVARIANT(database <= UINT16_MAX);
  return {kDatabaseTag, static_cast<char>(database >> 8), static_cast<char>(database)};
}

std::string encode_database(engine::Reference reference) {
  std::string record;
  append_raw(&record, reference.id);
  append_raw(&record, reference.generation);
  return record;
}

std::optional<engine::Reference> decode_database(std::string_view record) {
  engine::Reference reference;
  if (!take_raw(&record, &reference.id) || !take_raw(&record, &reference.generation) || !record.empty())
    return std::nullopt;
  return reference;
}

void header_key(ObjectId database, std::string_view user_key, std::string* out) {
  tagged_key(kHeaderTag, database, user_key, out);
}

std::string_view user_key_of(std::string_view header_key) {
  std::string_view rest = header_key.substr(1);
  INVARIANT(header_key[0] == kHeaderTag && take_id(&rest));
  return rest;
}

std::optional<HeaderPlace> header_place(std::string_view key) {
  if (key.empty() || key[0] != kHeaderTag) return std::nullopt;
  key.remove_prefix(1);
  const auto database = take_id(&key);
  if (!database) return std::nullopt;
  return HeaderPlace{*database, key};
}

std::string header_begin(ObjectId database) { return tagged(kHeaderTag, database); }
std::string header_end(ObjectId database) { return prefix_end(tagged(kHeaderTag, database)); }

void element_key(ObjectId object, std::string_view element, std::string* out) {
  tagged_key(kElementTag, object, element, out);
}

std::string_view element_of(std::string_view element_key) {
  std::string_view rest = element_key.substr(1);
  INVARIANT(element_key[0] == kElementTag && take_id(&rest));
  return rest;
}

std::string element_begin(ObjectId object) { return tagged(kElementTag, object); }
std::string element_end(ObjectId object) { return prefix_end(tagged(kElementTag, object)); }

std::string expiry_key(int64_t expiry_ms, ObjectId database, std::string_view user_key) {
  std::string key(1, kExpiryTag);
  append_big_endian(&key, static_cast<uint64_t>(expiry_ms));
  append_id(&key, database);
  key.append(user_key);
  return key;
}

std::optional<ExpiryEntry> decode_expiry_key(std::string_view key) {
  uint64_t big_endian = 0;
  if (key.empty() || key[0] != kExpiryTag) return std::nullopt;
  key.remove_prefix(1);
  if (!take_raw(&key, &big_endian)) return std::nullopt;
  const auto database = take_id(&key);
  if (!database) return std::nullopt;
  return ExpiryEntry{static_cast<int64_t>(__builtin_bswap64(big_endian)), *database, key};
}

std::string expiry_begin() { return std::string(1, kExpiryTag); }

std::string expiry_end(int64_t now_ms) {
  std::string key(1, kExpiryTag);
  append_big_endian(&key, static_cast<uint64_t>(now_ms) + 1);
  return key;
}

std::string prefix_end(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && end.back() == '\xff') end.pop_back();
  if (!end.empty()) end.back() = static_cast<char>(end.back() + 1);
  return end;
}

ObjectId KeyspaceSchema::owner(std::string_view key) const {
  if (key.empty() || (key[0] != kHeaderTag && key[0] != kElementTag)) return engine::kNoObject;
  key.remove_prefix(1);
  return take_id(&key).value_or(engine::kNoObject);
}

engine::Reference KeyspaceSchema::reference(std::string_view key, std::string_view value) const {
  if (key.empty()) return {};
  if (key[0] == kHeaderTag) {
    if (value.empty() || !(static_cast<uint8_t>(value[0]) & kHasObject)) return {};
    const auto header = decode_header(value);
    return header ? header->object : engine::Reference{};
  }
  if (key[0] == kDatabaseTag || key[0] == kBuildingTag)
    return decode_database(value).value_or(engine::Reference{});
  return {};
}

bool KeyspaceSchema::counted(std::string_view key) const { return !key.empty() && key[0] == kHeaderTag; }

std::vector<engine::KeyRange> KeyspaceSchema::ranges(ObjectId id) const {
  return {{header_begin(id), header_end(id)}, {element_begin(id), element_end(id)}};
}

}  // namespace server
