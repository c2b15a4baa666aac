// engine/dead_objects.h: ids to which no header refers any more.
//
// Compaction drops whatever a dead id owns, and an id leaves the set when no file can hold it any more. Kills
// come from commands and from in-place overwrites in the memtable (usable once their log record is synced: a
// crash must not bring a header back whose elements are gone), and from compactions that drop a shadowed
// header (usable at once: what shadows it is in a table). Every kill is checked against `moved`: the header
// of an object that was renamed carries an old generation wherever it used to be, and kills nothing.
//
// Invariants
//   D1  A dropped record whose shadowing record refers to the same id kills nothing (the caller's to see).
//   D2  A reference with a generation below the one in `moved` kills nothing.
//   D3  An id killed at LSN x is in usable(synced) only if x <= synced.
//   D4  Ids are never used again, so dying twice is dying once.
//
// What is dead is a Roaring bitmap for every 2^32 ids: two bytes an id where they are scattered, next to
// nothing where they lie together.
//
// Threads: the reactor; a Set handed to a worker is immutable.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/lsn.h"
#include "engine/schema.h"
#include "engine/status.h"

namespace engine {

class DeadObjects {
 public:
  class Set;  // Ids at one moment; below.

  DeadObjects();
  ~DeadObjects();
  DeadObjects(DeadObjects&&) noexcept;
  DeadObjects& operator=(DeadObjects&&) noexcept;

  // The object's header now has this generation: records with a lower one are its old homes. `lsn` as in
  // kill().
  void moved(ObjectId id, uint32_t generation, Lsn lsn = 0);
  // Nothing at `reference` any more. Returns whether that killed the id: not where its header lives on
  // elsewhere (D2), not if it was dead (D4; but then it is usable at once if `lsn` is 0). `lsn` 0: usable at
  // once. Requires: `lsn` 0 or not below that of an earlier call.
  bool kill(Reference reference, Lsn lsn);
  bool is_dead(ObjectId id) const;

  // What a compaction that starts now may drop. Cheap when nothing changed since the last call.
  std::shared_ptr<const Set> usable(Lsn synced);
  // No file, memtable or snapshot-free run can hold the id any more; forgets it and its generation.
  void forget(ObjectId id);
  std::vector<ObjectId> ids() const;
  uint64_t count() const;

  // For the manifest: all that is known of kills and moves at or below `flushed` or what usable() was told is
  // synced; the log tells the rest again. engine/dead_objects.cc draws it.
  std::string serialize(Lsn flushed) const;
  Status restore(std::string_view bytes);  // Errors: kCorruption.

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Immutable. Threads: any.
class DeadObjects::Set {
 public:
  struct Bitmap;
  explicit Set(std::unique_ptr<const Bitmap> bitmap);
  ~Set();
  bool contains(ObjectId id) const;
  uint64_t count() const;
  std::vector<ObjectId> sample(uint64_t at_most) const;  // All, or so many of them spread evenly; rising.

 private:
  std::unique_ptr<const Bitmap> bitmap_;
};

}  // namespace engine
