// engine/batch.h: the writes of one command, transaction or script: one log record, applied whole or not at
// all.
//
// A batch is kept in the very bytes that the log will hold, little-endian, varints as in LEB128:
//
//     op (1) | key length (varint) | key | value length (varint) | value        put
//     op (1) | key length (varint) | key                                        erase
//     op (1) | object id (varint)  | generation (varint)                        moved
//
// The op byte's low nibble is the kind, its high nibble an Existence.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/schema.h"
#include "engine/status.h"

namespace engine {

// What the writer knows of the key's present state. kUnknown is always right: the engine finds out what
// memory can tell and marks the rest unsettled (engine/record.h). A wrong kAbsent or kPresent makes counts
// wrong.
enum class Existence : uint8_t { kUnknown = 0, kAbsent = 1, kPresent = 2 };

class Batch {
 public:
  enum class Op : uint8_t { kPut = 1, kErase = 2, kMoved = 3 };

  void put(std::string_view key, std::string_view value, Existence before = Existence::kUnknown);
  void erase(std::string_view key, Existence before = Existence::kUnknown);
  // The header of `id` moves to another key with this generation (higher than its last). Must come before the
  // put and the erase that move it, and the header put must carry the same reference.
  void moved(ObjectId id, uint32_t generation);

  // Becomes the batch that these bytes are. Errors: kCorruption, and it is empty then.
  Status assign(std::string_view record);

  void clear() {
    bytes_.clear();
    operations_ = 0;
  }
  bool empty() const { return operations_ == 0; }
  size_t operations() const { return operations_; }
  std::string_view bytes() const { return bytes_; }
  std::string& mutable_bytes() { return bytes_; }  // The engine notes existence in place.

 private:
  std::string bytes_;
  size_t operations_ = 0;
};

// Walks the operations of a record. Requires nothing of the bytes: next() says kCorruption rather than read
// astray.
class BatchReader {
 public:
  explicit BatchReader(std::string_view bytes) : bytes_(bytes) {}
  // False at the end or on damage; status() tells which.
  bool next();
  const Status& status() const { return status_; }

  Batch::Op op() const { return op_; }
  Existence before() const { return before_; }
  size_t op_offset() const { return op_offset_; }  // Of the op byte in the record.
  std::string_view key() const { return key_; }
  std::string_view value() const { return value_; }
  ObjectId id() const { return id_; }
  uint32_t generation() const { return generation_; }

 private:
  std::optional<uint64_t> varint();
  bool damaged(const char* what);
  std::string_view bytes_;
  size_t at_ = 0, op_offset_ = 0;
  Batch::Op op_ = Batch::Op::kPut;
  Existence before_ = Existence::kUnknown;
  std::string_view key_, value_;
  ObjectId id_ = kNoObject;
  uint32_t generation_ = 0;
  Status status_;
};

}  // namespace engine
