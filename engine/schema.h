// engine/schema.h: the little that the engine must know of the bytes it stores.
//
// The engine stores ordered byte strings. Its user lays objects over them: a *header* record may refer to
// an object id, and *elements* lie under that id at keys of their own. When no header refers to an id any
// more, the id is dead and compaction drops everything that it owns, without a delete per element.
// A database is an object too: it owns its headers, so flushing one is the death of one id.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace engine {

using ObjectId = uint64_t;  // Never used twice in a store; rises.
inline constexpr ObjectId kNoObject = 0;

// What a header keeps alive. A move of the header to another key raises the generation, so that the old
// header, met later by a compaction, does not kill what lives on at the new key.
struct Reference {
  ObjectId id = kNoObject;
  uint32_t generation = 0;
  bool operator==(const Reference&) const = default;
};

struct KeyRange {
  std::string begin;  // Inclusive.
  std::string end;    // Exclusive; empty means no end.
};

// Pure functions of the bytes. Threads: any.
class Schema {
 public:
  virtual ~Schema() = default;
  // The object under which this key lies and with which it dies; kNoObject if none.
  virtual ObjectId owner(std::string_view key) const = 0;
  // The object that the record (key, value) keeps alive; {kNoObject} for most, and where !counted(key).
  virtual Reference reference(std::string_view key, std::string_view value) const = 0;
  // Whether live keys under the owner of `key` are counted, exactly (Engine::count).
  virtual bool counted(std::string_view key) const = 0;
  // All key ranges in which keys owned by `id` can lie, and no others': what is wholly in one can go unread.
  virtual std::vector<KeyRange> ranges(ObjectId id) const = 0;
};

// No objects, nothing counted: plain ordered bytes.
class PlainSchema final : public Schema {
 public:
  ObjectId owner(std::string_view) const override { return kNoObject; }
  Reference reference(std::string_view, std::string_view) const override { return {}; }
  bool counted(std::string_view) const override { return false; }
  std::vector<KeyRange> ranges(ObjectId) const override { return {}; }
};

}  // namespace engine
