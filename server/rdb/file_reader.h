// server/rdb/file_reader.h: an RDB file, or the one that a Redis sends its replica, read part by part.
//
//     for (;;) switch (reader.next(&part)) {
//       case Step::kMore:    reader.feed(more) or reader.end();
//       case Step::kItem:    use(part);           // A setting, a function, a key, a piece of its value …
//       case Step::kEnd:     the checksum was right.
//       case Step::kDamaged: reader.damage() names the offset.
//     }
//
// Threads: any, one at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "server/rdb/input.h"
#include "server/rdb/item.h"
#include "server/rdb/value_reader.h"

namespace server::rdb {

struct Part {
  enum class Kind : uint8_t {
    kAux,       // name, value: a fact about the file
    kFunction,  // value: the code of a library
    kDatabase,  // number: what follows lies there
    kKey,       // name, type, expiry_ms: its value follows
    kPiece,     // item: of the value
    kKeyEnd,    // the value is complete
  };
  Kind kind = Kind::kAux;
  std::string_view name, value;
  uint64_t number = 0;
  Type type = Type::kString;
  int64_t expiry_ms = kNoExpiry;
  Item item;
};

class FileReader {
 public:
  explicit FileReader(uint64_t string_bytes_max) : in_(string_bytes_max) { in_.check(true); }

  // Requires: next() has said kMore, or has not been called.
  void feed(std::string_view bytes) { in_.feed(bytes); }
  void end() { in_.end(); }

  // What *part refers to lives until the next call.
  Step next(Part* part);
  const engine::Status& damage() const { return in_.damage(); }
  uint64_t offset() const { return in_.offset(); }
  size_t unread() const { return in_.buffered(); }  // Behind the end: no longer the file's.

 private:
  Step read_header();
  Step read_part(Part* part);
  Step read_key(Part* part, uint8_t type);
  Step read_module_part();
  Step read_footer();

  Input in_;
  enum class Phase : uint8_t { kHeader, kParts, kValue, kModule, kFooter, kEnd } phase_ = Phase::kHeader;
  int version_ = 0;
  int64_t expiry_ms_ = kNoExpiry;  // Of the key that comes.
  ValueReader value_;
  std::string name_, text_;
};

}  // namespace server::rdb
