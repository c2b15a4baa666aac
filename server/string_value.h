// server/string_value.h: how a string lies in the store.
//
//     inline     header payload = the bytes
//     chunked    header refers to an object, payload = length (8, little-endian);
//                elements: chunk number (4, big-endian) -> a chunk (server/types/string_chunk.h)
//
// Chunk n holds the bytes from n * kChunkBytes on. A chunk that is absent is zeros, and one that is mostly
// zeros is kept as the places of its bits, so a far SETRANGE or SETBIT costs one small record. A value is
// chunked when it is written long, or when it is changed in place and no longer small; then SETRANGE, APPEND,
// GETRANGE and the bit commands touch only what they change.
//
// Threads: that of the view.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/types/string_chunk.h"
#include "server/view.h"

namespace server {

inline constexpr uint64_t kInlineMax = 32 << 10;        // A value written whole is inline up to this.
inline constexpr uint64_t kInlineChangedMax = 8 << 10;  // One that is changed in place, up to this.

// A string's place, for the commands on its bytes.
struct StringKey {
  ObjectId database;
  std::string_view name;
};

uint64_t string_length(const Header& header);

// All of it: a view into the record where it is inline, else assembled in *scratch.
std::string_view read_string(View& view, const Header& header, std::string* scratch);
// `length` bytes from `offset`. Requires: they are within it.
std::string_view read_string_range(View& view, const Header& header, uint64_t offset, uint64_t length,
                                   std::string* scratch);

// Writes a new value whole. `blind`: the writer has not looked what is there (a plain SET).
void write_string(View& view, const StringKey& key, std::string_view value, int64_t expiry_ms, bool blind);

// Overwrites the bytes from `offset`, growing the value with zeros where needed. `old` is what
// view.header() gave; without one a new value begins. Returns the new length.
uint64_t write_string_range(View& view, const StringKey& key, const std::optional<Header>& old,
                            uint64_t offset, std::string_view bytes);

// The chunks of a string that are there, in order; of an inline one its parts of kChunkBytes.
class StringChunks {
 public:
  // From chunk `first` on. `all`: a command that writes will walk all of them, so cold ones are fetched many
  // at a time. (One that only reads goes on on a worker.)
  StringChunks(View& view, const Header& header, uint64_t first, bool all = false);

  bool next();  // To the first, then to the next; false: there is none.
  uint64_t number() const { return number_; }
  const Chunk& chunk() const { return chunk_; }  // Until the next next().

 private:
  void fetch_ahead();

  View& view_;
  ObjectId object_;
  std::string_view inline_value_;
  std::optional<View::Range> range_;
  bool begun_ = false, all_;
  uint64_t number_;
  uint64_t last_;             // The highest number that may be there.
  uint64_t fetched_end_ = 0;  // Chunks below have been asked for.
  Chunk chunk_ = Chunk::of({});
};

// Writes a new value of `length` bytes from the records of its chunks, numbers rising; others are zeros.
using NumberedRecord = std::pair<uint64_t, std::string>;
void write_string_chunks(View& view, const StringKey& key, uint64_t length,
                         const std::vector<NumberedRecord>& chunks, int64_t expiry_ms);

}  // namespace server
