// server/touched_keys.h: what a batch does to user keys, told in the order of its operations.
//
//     'H' database key     put or erased     key_touched()       the key as a whole: it came, went or changed
//     'S' object element   put or erased     elements_touched()  a part of whatever key refers to this object
//     'D' number           put               database_replaced()
//
// A large collection may change by its elements alone (HSET over a field that it has), its header unwritten.
// So whoever cares for a key remembers the object that its header refers to, and listens to both.
//
// Threads: the reactor. Server::apply() asks, once for each batch, before the table of databases is
// refreshed.
#pragma once

#include <cstdint>
#include <string_view>

#include "server/keyspace.h"

namespace engine {
class Batch;
}

namespace server {

class Databases;

class TouchListener {
 public:
  enum class Touch : uint8_t { kWritten, kErased };
  // kErased: the record is gone; it may have been one that had expired, so gone before in all readers' eyes.
  virtual void key_touched(uint32_t database, std::string_view user_key, Touch how) = 0;
  virtual void elements_touched(ObjectId object) = 0;
  enum class Replaced : uint8_t {
    kEmptied,  // The database begins anew: FLUSHDB.
    kSwapped,  // It is what another one was: SWAPDB, which tells of both.
  };
  virtual void database_replaced(uint32_t database, Replaced how) = 0;

 protected:
  ~TouchListener() = default;
};

// Tells `listener` of all that `batch` touches. Records of databases that were dead before are passed over.
// Requires: `databases` is as it was before the batch. *operation, if there is one: how many operations there
// are up to the one that is told of.
void tell_touched(const engine::Batch& batch, const Databases& databases, TouchListener& listener,
                  size_t* operation = nullptr);

}  // namespace server
