// server/rdb/packed_values.h: Redis's compact collections, read entry by entry: listpacks, ziplists, intsets
// and zipmaps.
//
// They come from files and from clients, so nothing in them is believed: lengths, ends, counts, and the
// lengths backwards that Redis itself would follow are all checked, and an entry is shown only when it lies
// within the bytes.
//
// Threads: any, one at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace server::rdb {

enum class Packing : uint8_t { kListpack, kZiplist, kIntset, kZipmap };

// Bytes, or a whole number.
struct PackedValue {
  std::string_view bytes;
  int64_t number = 0;
  bool is_number = false;

  // The bytes that it stands for: its own, or those written to *scratch.
  std::string_view text(std::string* scratch) const;
};

class PackedReader {
 public:
  // `bytes` must stay. The header is checked by the first next().
  PackedReader(Packing packing, std::string_view bytes) : packing_(packing), bytes_(bytes) {}

  enum class Step : uint8_t { kValue, kEnd, kDamaged };
  Step next(PackedValue* value);
  size_t position() const { return at_; }  // Where the last step began or failed, for errors.

 private:
  bool open();
  Step next_listpack(PackedValue* value);
  Step next_ziplist(PackedValue* value);
  Step next_integer(PackedValue* value);
  Step next_zipmap(PackedValue* value);
  template <typename T>
  T little(size_t at) const;
  size_t left() const { return bytes_.size() - at_; }
  uint8_t byte(size_t at) const { return static_cast<uint8_t>(bytes_[at]); }

  Packing packing_;
  std::string_view bytes_;
  size_t at_ = 0;
  bool opened_ = false;
  uint64_t count_ = 0;    // As the header has it.
  bool counted_ = false;  // Whether it does.
  uint64_t seen_ = 0;
  size_t previous_ = 0;  // Ziplist: the length of the entry before.
  uint32_t width_ = 0;   // Intset.
  int64_t last_number_ = 0;
};

}  // namespace server::rdb
