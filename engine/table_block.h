// engine/table_block.h: one data block in memory, decompressed, its arrays usable in place.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

namespace engine {

struct BlockEntry {
  std::string_view value;
  uint8_t flags;
};

// The bytes of a slotted block. Immutable once made.
class Block;

// A shared reference to a Block. Counted without atomics: it stays on one thread at a time; handing
// the only reference over from a worker to the reactor is fine.
class BlockRef;

}  // namespace engine
