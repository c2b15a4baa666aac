// server/rdb/value_writer.h: a value of ours in Redis's serialisation, written part by part.
//
// Only plain forms are written, which Redis reads whatever its limits are, and packs by itself where it
// would. A place in the value is remembered as a cursor, not as an iterator: between two parts the view may
// go, and with it all that it held in memory, if the next one shows the same state.
//
// Threads: that of the view.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "server/rdb/format.h"
#include "server/rdb/stream_writer.h"
#include "server/view.h"

namespace server::rdb {

// A key's value, as it was when the first part was written.
class ValueWriter {
 public:
  // `version`: what is written must be of that or an older one. Then fields that expire cannot say so.
  explicit ValueWriter(int version) : version_(version) {}

  struct Source {
    View& view;
    ObjectId database;
    std::string_view key;
    const Header& header;
  };
  // The type byte that the value will have; put it in front.
  ValueType type_of(const Source& source);
  // Appends the next part, about kPartBytes; false: it was the last.
  // Requires: type_of() has been called.
  bool next(const Source& source, std::string* out);
  uint64_t expiries_lost() const { return expiries_lost_; }

  static constexpr uint64_t kPartElementsMin = 32, kPartElementsMax = 16 << 10;
  static constexpr uint64_t kPartBytes = 256 << 10;

 private:
  bool next_string(const Source& source, std::string* out);
  bool next_list(const Source& source, std::string* out);
  bool next_set(const Source& source, std::string* out);
  bool next_zset(const Source& source, std::string* out);
  bool next_hash(const Source& source, std::string* out);

  const int version_;
  ValueType type_ = ValueType::kString;
  bool begun_ = false;
  uint64_t cursor_ = 0;  // What the type makes of it.
  // How many elements the next part is of, by what the last ones took. (Each part opens iterators anew, which
  // read ahead: many small parts would read everything many times.)
  uint64_t part_elements_ = kPartElementsMin;
  uint64_t expiries_lost_ = 0;
  std::optional<StreamWriter> stream_;
};

}  // namespace server::rdb
