// server/rdb/loader.h: a data set in Redis's serialisation, from a file or a primary, made into writes.
//
//     bytes ──feed()──▶ Loader ──next()──▶ Portion ──write()──▶ a batch
//
// A portion is some hundred kilobytes and owns what it holds, so a set of any size goes through in bounded
// memory; only a single string is here as a whole. Keys that have expired are left out.
//
// Threads: feed() and next(): any, one at a time. write(): that of the view.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "server/rdb/file_reader.h"
#include "server/rdb/portion.h"
#include "server/rdb/store.h"

namespace server::rdb {

class Loader {
 public:
  Loader(uint64_t string_bytes_max, int64_t now_ms) : reader_(string_bytes_max), now_ms_(now_ms) {}

  // Requires: next() has said kMore, or has not been called.
  void feed(std::string_view bytes) { reader_.feed(bytes); }
  void end() { reader_.end(); }  // No more will come.

  // kItem: *portion is the next one. kEnd: that was all, and the checksum was right. kMore, kDamaged: as
  // FileReader.
  Step next(Portion* portion);
  const engine::Status& damage() const { return reader_.damage(); }

  uint64_t keys() const { return keys_; }        // Begun so far,
  uint64_t expired() const { return expired_; }  // and left out.
  uint64_t offset() const { return reader_.offset(); }
  size_t unread() const { return reader_.unread(); }  // Behind the end: no longer the data set's.

 private:
  FileReader reader_;
  const int64_t now_ms_;
  Portion portion_;  // Being filled.
  Part part_;
  uint64_t database_ = 0;
  bool skipping_ = false, ended_ = false;
  uint64_t keys_ = 0, expired_ = 0;
};

// Writes the keys of a portion; not its functions. `databases`: by number. Portions come in order, each in a
// batch of its own. May be run again after a ColdRead.
// Throws, besides what the view throws, StorageError: kCorruption: a key or an element of it comes twice, or
// the key is here already; kInvalid: there is no such database. The batch must not be applied then.
void write(View& view, const Portion& portion, std::span<const ObjectId> databases, const StoreLimits& limits,
           uint64_t random_seed);

}  // namespace server::rdb
