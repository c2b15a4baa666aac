#include "server/types/hashed_elements.h"

#include <xxhash.h>

#include <algorithm>

namespace server {
namespace {

constexpr char kElementTag = 'e';
constexpr size_t kPositionBytes = 5;

void position_key(ObjectId object, Position position, std::string* out) {
  const char element[1 + kPositionBytes] = {kElementTag,
                                            static_cast<char>(position >> 32),
                                            static_cast<char>(position >> 24),
                                            static_cast<char>(position >> 16),
                                            static_cast<char>(position >> 8),
                                            static_cast<char>(position)};
  element_key(object, {element, sizeof element}, out);
}

std::string tag_begin(ObjectId object) {
  std::string key;
  element_key(object, {&kElementTag, 1}, &key);
  return key;
}

}  // namespace

Position position_of(const HashedObject& object, std::string_view name) {
  return XXH3_64bits_withSeed(name.data(), name.size(), object.seed) >> 24;
}

void hashed_key(const HashedObject& object, std::string_view name, std::string* out) {
  position_key(object.id, position_of(object, name), out);
  out->append(name);
}

HashedWalk::HashedWalk(View& view, const HashedObject& object)
    : object_(object),
      range_(view.range(tag_begin(object.id), prefix_end(tag_begin(object.id)))),
      prefix_bytes_(tag_begin(object.id).size()) {}

bool HashedWalk::settle(bool there) {
  if (!there) return false;
  const std::string_view key = range_.key();
  INVARIANT(key.size() >= prefix_bytes_ + kPositionBytes);
  position_ = 0;
  for (size_t i = 0; i < kPositionBytes; ++i)
    position_ = position_ << 8 | static_cast<uint8_t>(key[prefix_bytes_ + i]);
  name_ = key.substr(prefix_bytes_ + kPositionBytes);
  return true;
}

bool HashedWalk::seek(Position position) {
  if (position >= kPositions) return false;
  position_key(object_.id, position, &key_);
  return settle(range_.seek(key_));
}

bool HashedWalk::next() { return settle(range_.next()); }

bool HashedWalk::seek_at_random(Random& random, uint64_t slots, uint64_t windows_more, Position* place,
                                uint64_t* slot) {
  *place = random.below(kPositions);
  *slot = random.below(slots);
  position_key(object_.id, *place, &key_);
  if (windows_more == 0) return settle(range_.seek(key_));
  // Each window takes the same two numbers, whatever is found in it: so those to come are known.
  return settle(range_.seek(key_, [&](std::vector<std::string>& keys) {
    Random next = random;
    for (uint64_t n = std::min(windows_more, kWindowsAhead); n > 0; --n) {
      position_key(object_.id, next.below(kPositions), &keys.emplace_back());
      next.below(slots);
    }
  }));
}

void HashedWalk::draw(uint64_t count, Random& random, uint64_t more) {
  // Nobody comes here with a wrong count; a damaged one must not keep us for ever.
  constexpr int kTriesMax = 1000;
  for (int tries = 0; tries < kTriesMax; ++tries) {
    const bool all = count <= kWindowSlots;
    const Position width = all ? kPositions : kPositions / count * kWindowElements;
    Position begin = 0;
    uint64_t left = 0;
    bool there = false;
    if (all) {
      left = random.below(count);
      there = first();
    } else {
      there = seek_at_random(random, kWindowSlots, more * kWindowsPerDraw, &begin, &left);
    }
    // The window may reach past the end and go on from the beginning.
    bool wrapped = false;
    const auto inside = [&] { return (position_ - begin) % kPositions < width; };
    for (;;) {
      if (!there && !wrapped && begin > 0) {
        wrapped = true;
        there = first();
      }
      if (!there || !inside() || (wrapped && position_ >= begin)) break;
      if (left == 0) return;
      --left;
      there = next();
    }
  }
  if (!first())
    throw StorageError{engine::Status(engine::Code::kCorruption, "a collection is empty that should not be")};
}

void HashedWalk::draw_to_remove(Random& random, uint64_t more) {
  Position place = 0;
  uint64_t left = 0;
  bool there = seek_at_random(random, kNearSlots, more, &place, &left) || first();
  for (; there && left > 0; --left) there = next() || first();
  if (!there)
    throw StorageError{engine::Status(engine::Code::kCorruption, "a collection is empty that should not be")};
}

}  // namespace server
