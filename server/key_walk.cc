#include "server/key_walk.h"

#include <string>

namespace server {
namespace {

View::Range range_of(View& view, const engine::KeyRange& headers) {
  return view.range(headers.begin, headers.end);
}

}  // namespace

KeyWalk::KeyWalk(View& view, ObjectId database, const KeyBounds& bounds, KeyOrder order)
    : view_(view), range_(range_of(view, bounds.headers(database))), order_(order), empty_(bounds.empty()) {}

bool KeyWalk::next() {
  if (empty_) return false;
  const bool rising = order_ == KeyOrder::kRising;
  const bool there =
      begun_ ? (rising ? range_.next() : range_.prev()) : (rising ? range_.seek_first() : range_.seek_last());
  begun_ = true;
  if (!there) return false;
  key_ = user_key_of(range_.key());
  const auto header = decode_header(range_.value());
  if (!header) {
    throw StorageError{engine::Status(engine::Code::kCorruption,
                                      "the header of key '" + std::string(key_) + "' is malformed")};
  }
  header_ = *header;
  return true;
}

}  // namespace server
