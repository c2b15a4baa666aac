// server/databases.h: which object each numbered database is at.
//
// A database is an object that owns its headers; the record 'D' number says which. Emptying one gives it a
// new object, swapping two swaps the records (and raises both generations, as any move of a header does). The
// table in memory is what the records say: it changes when a batch that writes them has been applied.
//
// Every database of the configuration has its record from the first start on, so no reader has to ask
// whether one exists.
//
// Threads: the reactor.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "engine/engine.h"
#include "server/view.h"

namespace server {

class Databases {
 public:
  // Reads all records, makes the missing ones of the first `count`, but not if `follower`: then those
  // databases are empty. Blocking: for the start. Errors: a damaged record.
  engine::Status open(engine::Engine& engine, uint32_t count, bool follower = false);

  uint32_t count() const { return count_; }
  // Requires: number < count().
  ObjectId object(uint32_t number) const { return references_[number].id; }
  // The same, as the view has it: with what its batch has emptied or swapped.
  ObjectId object(View& view, uint32_t number) const { return reference(view, number).id; }
  // The other way round; nothing: the database has been emptied, its object is dead.
  std::optional<uint32_t> number(ObjectId object) const;

  // The number that a record of the directory is about; nothing: it is another kind of record, or of a
  // database that there is not.
  std::optional<uint32_t> number_of_record(std::string_view key) const;

  // In the command's batch; the dispatcher refreshes the table once it is applied.
  void empty(View& view, uint32_t number) const;
  void swap(View& view, uint32_t a, uint32_t b) const;
  void refresh(const engine::Batch& batch);

 private:
  engine::Reference reference(View& view, uint32_t number) const;

  uint32_t count_ = 0;
  std::vector<engine::Reference> references_;
};

}  // namespace server
