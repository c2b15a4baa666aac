#include "server/rdb/value_writer.h"

#include <algorithm>

#include "server/rdb/words.h"
#include "server/string_value.h"
#include "server/types/hash.h"
#include "server/types/list.h"
#include "server/types/packed.h"
#include "server/types/set.h"
#include "server/types/stream.h"
#include "server/types/zset.h"

namespace server::rdb {

ValueType ValueWriter::type_of(const Source& source) {
  switch (source.header.type) {
    case Type::kString: type_ = ValueType::kString; break;
    case Type::kList: type_ = ValueType::kList; break;
    case Type::kSet: type_ = ValueType::kSet; break;
    case Type::kZset: type_ = ValueType::kZset; break;
    case Type::kHash:
      type_ = source.header.elements_expiry_ms != kNoExpiry && version_ >= kVersionWithFieldExpiry
                  ? ValueType::kHashTimed
                  : ValueType::kHash;
      break;
    case Type::kStream: type_ = ValueType::kStreamListpacks2; break;
  }
  return type_;
}

bool ValueWriter::next(const Source& source, std::string* out) {
  const size_t before = out->size();
  bool more = false;
  switch (source.header.type) {
    case Type::kString: more = next_string(source, out); break;
    case Type::kList: more = next_list(source, out); break;
    case Type::kSet: more = next_set(source, out); break;
    case Type::kZset: more = next_zset(source, out); break;
    case Type::kHash: more = next_hash(source, out); break;
    case Type::kStream: {
      Stream stream(source.view, source.database, source.key, source.header);
      if (!stream_) stream_.emplace();
      more = stream_->next(source.view, stream, out);
      break;
    }
  }
  const size_t bytes = out->size() - before;
  if (bytes > kPartBytes) part_elements_ = std::max(part_elements_ / 4, kPartElementsMin);
  if (bytes < kPartBytes / 2) part_elements_ = std::min(part_elements_ * 2, kPartElementsMax);
  return more;
}

bool ValueWriter::next_string(const Source& source, std::string* out) {
  const uint64_t length = string_length(source.header);
  std::string scratch;
  if (!begun_ && length <= kPartBytes) {
    put_string(out, read_string(source.view, source.header, &scratch));
    return false;
  }
  if (!begun_) put_length(out, length);
  begun_ = true;
  const uint64_t part = std::min(kPartBytes, length - cursor_);
  out->append(read_string_range(source.view, source.header, cursor_, part, &scratch));
  cursor_ += part;
  return cursor_ < length;
}

bool ValueWriter::next_list(const Source& source, std::string* out) {
  List list(source.view, source.database, source.key, source.header);
  if (!begun_) put_length(out, list.size());
  begun_ = true;
  const size_t before = out->size();
  for (List::Walk walk(list, cursor_, true, std::min(part_elements_, list.size() - cursor_)); walk.next();) {
    put_string(out, walk.value());
    ++cursor_;
    if (out->size() - before >= kPartBytes) break;
  }
  return cursor_ < list.size();
}

bool ValueWriter::next_set(const Source& source, std::string* out) {
  Set set(source.view, source.database, source.key, source.header);
  if (!begun_) put_length(out, set.size());
  begun_ = true;
  cursor_ =
      set.scan(cursor_, part_elements_, [out](const Set::Member& member) { put_string(out, member.name); });
  return cursor_ != 0;
}

bool ValueWriter::next_zset(const Source& source, std::string* out) {
  Zset zset(source.view, source.header);
  if (!begun_) put_length(out, zset.size());
  begun_ = true;
  uint64_t left = part_elements_;
  for (auto at = zset.at(cursor_); at.valid() && left > 0; at.next(), --left) {
    put_string(out, at.member());
    put_fixed(out, at.score());
    ++cursor_;
  }
  return cursor_ < zset.size();
}

bool ValueWriter::next_hash(const Source& source, std::string* out) {
  Hash hash(source.view, source.database, source.key, source.header);
  const bool timed = type_ == ValueType::kHashTimed;
  // Relative to the earliest, of which ours is a bound from below (F2).
  const int64_t first_ms = source.header.elements_expiry_ms;
  if (!begun_) {
    if (timed) put_fixed(out, first_ms);
    put_length(out, hash.size());
  }
  begun_ = true;
  cursor_ = hash.scan(cursor_, part_elements_, [&](const Hash::Field& field) {
    if (timed) {
      put_length(out,
                 field.expiry_ms == kNoExpiry ? 0 : static_cast<uint64_t>(field.expiry_ms - first_ms + 1));
    } else {
      expiries_lost_ += field.expiry_ms != kNoExpiry;
    }
    put_string(out, field.name);
    put_string(out, field.value);
  });
  return cursor_ != 0;
}

}  // namespace server::rdb
