#include "server/rdb/words.h"

#include <algorithm>

#include "server/types/packed.h"
#include "server/units.h"

namespace server::rdb {

void put_length(std::string* out, uint64_t length) {
  if (length < 1 << 6) {
    out->push_back(static_cast<char>(length));
  } else if (length < 1 << 14) {
    out->push_back(static_cast<char>(0x40 | length >> 8));
    out->push_back(static_cast<char>(length));
  } else if (length <= UINT32_MAX) {
    out->push_back(static_cast<char>(0x80));
    put_fixed(out, __builtin_bswap32(static_cast<uint32_t>(length)));
  } else {
    out->push_back(static_cast<char>(0x81));
    put_fixed(out, __builtin_bswap64(length));
  }
}

void put_string(std::string* out, std::string_view bytes) {
  constexpr size_t kNumberBytesMax = 11;
  if (bytes.size() <= kNumberBytesMax) {
    const auto number = parse_integer(bytes);
    if (number && *number >= INT8_MIN && *number <= INT8_MAX) {
      out->push_back(static_cast<char>(0xc0));
      return put_fixed(out, static_cast<int8_t>(*number));
    }
    if (number && *number >= INT16_MIN && *number <= INT16_MAX) {
      out->push_back(static_cast<char>(0xc1));
      return put_fixed(out, static_cast<int16_t>(*number));
    }
    if (number && *number >= INT32_MIN && *number <= INT32_MAX) {
      out->push_back(static_cast<char>(0xc2));
      return put_fixed(out, static_cast<int32_t>(*number));
    }
  }
  put_length(out, bytes.size());
  out->append(bytes);
}

// ---- listpacks

void ListpackWriter::entry(std::string_view head, std::string_view bytes) {
  body_.append(head);
  body_.append(bytes);
  ++count_;
  // The length once more, to be read from its end. The borders are Redis's.
  const uint64_t length = head.size() + bytes.size();
  size_t size = 5;
  if (length < 268435455) size = 4;
  if (length < 2097151) size = 3;
  if (length < 16383) size = 2;
  if (length <= 127) size = 1;
  for (size_t i = 0; i < size; ++i)
    body_.push_back(static_cast<char>((length >> (7 * (size - 1 - i)) & 127) | (i == 0 ? 0 : 128)));
}

void ListpackWriter::number(int64_t value) {
  std::string head;
  if (value >= 0 && value <= 127) {
    head.push_back(static_cast<char>(value));
  } else if (value >= INT16_MIN && value <= INT16_MAX) {
    head.push_back(static_cast<char>(0xf1));
    put_fixed(&head, static_cast<int16_t>(value));
  } else if (value >= INT32_MIN && value <= INT32_MAX) {
    head.push_back(static_cast<char>(0xf3));
    put_fixed(&head, static_cast<int32_t>(value));
  } else {
    head.push_back(static_cast<char>(0xf4));
    put_fixed(&head, value);
  }
  entry(head, {});
}

void ListpackWriter::text(std::string_view bytes) {
  std::string head;
  if (bytes.size() < 64) {
    head.push_back(static_cast<char>(0x80 | bytes.size()));
  } else if (bytes.size() < 4096) {
    head.push_back(static_cast<char>(0xe0 | bytes.size() >> 8));
    head.push_back(static_cast<char>(bytes.size()));
  } else {
    head.push_back(static_cast<char>(0xf0));
    put_fixed(&head, static_cast<uint32_t>(bytes.size()));
  }
  entry(head, bytes);
}

std::string ListpackWriter::take() {
  constexpr uint64_t kCountUnknown = 65535;
  std::string all;
  all.reserve(body_.size() + 7);
  put_fixed(&all, static_cast<uint32_t>(body_.size() + 7));
  put_fixed(&all, static_cast<uint16_t>(std::min(count_, kCountUnknown)));
  all += body_;
  all.push_back(static_cast<char>(0xff));
  body_.clear();
  count_ = 0;
  return all;
}

}  // namespace server::rdb
