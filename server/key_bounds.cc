#include "server/key_bounds.h"

#include <utility>

namespace server {
namespace {

// A place between keys: before `key`, or before all or behind all.
struct Place {
  enum class Kind : unsigned char { kBeforeAll, kBeforeKey, kBehindAll } kind;
  std::string key;
};

// Where a range begins, or, for the max, ends: as a max "[k" lies behind k.
std::optional<Place> parse_place(std::string_view text, bool is_max) {
  if (text == "-") return Place{Place::Kind::kBeforeAll, {}};
  if (text == "+") return Place{Place::Kind::kBehindAll, {}};
  if (text.empty() || (text[0] != '[' && text[0] != '(')) return std::nullopt;
  Place place{Place::Kind::kBeforeKey, std::string(text.substr(1))};
  // Of all keys greater than k the least is k and a zero byte.
  if ((text[0] == '[') == is_max) place.key.push_back('\0');
  return place;
}

}  // namespace

std::optional<KeyBounds> parse_key_bounds(std::string_view min, std::string_view max) {
  auto from = parse_place(min, false);
  auto to = parse_place(max, true);
  if (!from || !to) return std::nullopt;
  if (from->kind == Place::Kind::kBehindAll || to->kind == Place::Kind::kBeforeAll)
    return KeyBounds{{}, std::string()};
  KeyBounds bounds;
  bounds.begin = std::move(from->key);
  if (to->kind == Place::Kind::kBeforeKey) bounds.end = std::move(to->key);
  return bounds;
}

void KeyBounds::only_with_prefix(std::string_view prefix) {
  if (begin < prefix) begin = prefix;
  const std::string behind = prefix_end(prefix);  // Empty: nothing is greater than all with this prefix.
  if (!behind.empty() && (!end || *end > behind)) end = behind;
}

void KeyBounds::only(std::string_view key) {
  if (begin < key) begin = key;
  only_up_to(key);
}

void KeyBounds::only_up_to(std::string_view key) {
  std::string behind(key);
  behind.push_back('\0');
  if (!end || *end > behind) end = std::move(behind);
}

void KeyBounds::only_after(std::string_view key) {
  if (begin > key) return;
  begin = key;
  begin.push_back('\0');
}

void KeyBounds::only_before(std::string_view key) {
  if (!end || *end > key) end = key;
}

engine::KeyRange KeyBounds::headers(ObjectId database) const {
  engine::KeyRange range;
  header_key(database, begin, &range.begin);
  if (end)
    header_key(database, *end, &range.end);
  else
    range.end = header_end(database);
  return range;
}

}  // namespace server
