#include "engine/batch.h"

#include <algorithm>

namespace engine {

namespace {

constexpr size_t kVarintBytesMax = 10;

// Returns what lies behind it.
char* put_varint(char* out, uint64_t value) {
  while (value >= 0x80) {
    *out++ = static_cast<char>(value | 0x80);
    value >>= 7;
  }
  *out++ = static_cast<char>(value);
  return out;
}

void append_varint(std::string* out, uint64_t value) {
  char bytes[kVarintBytesMax];
  out->append(bytes, static_cast<size_t>(put_varint(bytes, value) - bytes));
}

char op_byte(Batch::Op op, Existence before) {
  return static_cast<char>(static_cast<uint8_t>(op) | (static_cast<uint8_t>(before) << 4));
}

char* put_bytes(char* out, std::string_view bytes) { return std::copy(bytes.begin(), bytes.end(), out); }

}  // namespace

void Batch::put(std::string_view key, std::string_view value, Existence before) {
  // Each append looks for room and calls for a copy: what is short is put together first.
  constexpr size_t kShort = 256;
  char bytes[1 + kVarintBytesMax + kShort + kVarintBytesMax];
  char* end = bytes;
  *end++ = op_byte(Op::kPut, before);
  end = put_varint(end, key.size());
  if (key.size() + value.size() <= kShort) [[likely]] {
    end = put_bytes(end, key);
    end = put_varint(end, value.size());
    end = put_bytes(end, value);
    bytes_.append(bytes, static_cast<size_t>(end - bytes));
  } else {
    bytes_.append(bytes, static_cast<size_t>(end - bytes));
    bytes_.append(key);
    append_varint(&bytes_, value.size());
    bytes_.append(value);
  }
  ++operations_;
}

void Batch::erase(std::string_view key, Existence before) {
  bytes_.push_back(op_byte(Op::kErase, before));
  append_varint(&bytes_, key.size());
  bytes_.append(key);
  ++operations_;
}

void Batch::moved(ObjectId id, uint32_t generation) {
  bytes_.push_back(op_byte(Op::kMoved, Existence::kUnknown));
  append_varint(&bytes_, id);
  append_varint(&bytes_, generation);
  ++operations_;
}

std::optional<uint64_t> BatchReader::varint() {
  uint64_t value = 0;
  for (int shift = 0; shift < 64 && at_ < bytes_.size(); shift += 7) {
    const auto byte = static_cast<uint8_t>(bytes_[at_++]);
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  return std::nullopt;
}

bool BatchReader::damaged(const char* what) {
  status_ =
      Status(Code::kCorruption, std::string("log record: ") + what + " at byte " +
                                    std::to_string(op_offset_) + " of " + std::to_string(bytes_.size()));
  return false;
}

bool BatchReader::next() {
  if (!status_.ok() || at_ == bytes_.size()) return false;
  op_offset_ = at_;
  const auto byte = static_cast<uint8_t>(bytes_[at_++]);
  if ((byte >> 4) > static_cast<uint8_t>(Existence::kPresent)) return damaged("unknown existence");
  before_ = static_cast<Existence>(byte >> 4);
  op_ = static_cast<Batch::Op>(byte & 0x0f);
  const auto take = [this](std::string_view* out) {
    // The length is nearly always one byte.
    uint64_t size = at_ < bytes_.size() ? static_cast<uint8_t>(bytes_[at_]) : 0x80;
    if (size < 0x80) [[likely]] {
      ++at_;
    } else {
      const auto long_size = varint();
      if (!long_size) return false;
      size = *long_size;
    }
    if (size > bytes_.size() - at_) return false;
    *out = {bytes_.data() + at_, size};
    at_ += size;
    return true;
  };
  switch (op_) {
    case Batch::Op::kPut: return take(&key_) && take(&value_) ? true : damaged("a put cut short");
    case Batch::Op::kErase: value_ = {}; return take(&key_) ? true : damaged("an erase cut short");
    case Batch::Op::kMoved: {
      const auto id = varint();
      const auto generation = id ? varint() : std::nullopt;
      if (!generation || *generation > UINT32_MAX) return damaged("a move cut short");
      id_ = *id;
      generation_ = static_cast<uint32_t>(*generation);
      return true;
    }
  }
  return damaged("unknown operation");
}

Status Batch::assign(std::string_view record) {
  clear();
  size_t operations = 0;
  BatchReader reader(record);
  while (reader.next()) ++operations;
  if (!reader.status().ok()) return reader.status();
  bytes_ = record;
  operations_ = operations;
  return {};
}

}  // namespace engine
