// server/key_walk.h: walks the keys of a range in order, either way.
//
// Threads: that of the view.
#pragma once

#include <string_view>

#include "server/key_bounds.h"
#include "server/view.h"

namespace server {

enum class KeyOrder : unsigned char { kRising, kFalling };

class KeyWalk {
 public:
  KeyWalk(View& view, ObjectId database, const KeyBounds& bounds, KeyOrder order);

  // To the next key, an expired one or not; false when there is none. Throws ColdRead, LongRead,
  // StorageError.
  bool next();
  // What follows is valid until the walk moves on.
  bool expired() const { return header_.expired(view_.now_ms()); }
  std::string_view key() const { return key_; }
  const Header& header() const { return header_; }
  size_t record_bytes() const { return key_.size() + header_.payload.size(); }

 private:
  View& view_;
  View::Range range_;
  const KeyOrder order_;
  const bool empty_;
  bool begun_ = false;
  std::string_view key_;
  Header header_;
};

}  // namespace server
