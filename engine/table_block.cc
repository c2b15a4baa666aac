#include "engine/table_block.h"

#include <emmintrin.h>
#include <lz4.h>
#include <malloc.h>

#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>

#include "engine/key_head.h"

namespace engine {

namespace {

// LZ4 cannot do better than this, so a claim beyond it is a lie and not worth allocating for.
constexpr uint64_t kLz4RatioMax = 255;
constexpr uint64_t kBlockBytesMax = 3 * table_format::kRecordBytesMax;

Status corrupt(std::string message) { return {Code::kCorruption, std::move(message)}; }

}  // namespace

Block* Block::allocate(uint32_t size) {
  void* memory = std::malloc(sizeof(Block) + size + kSlackBytes);
  if (memory == nullptr) throw std::bad_alloc();  // As operator new does.
  Block* block = new (memory) Block;
  block->size_ = size;
  block->memory_bytes_ = malloc_usable_size(memory);
  std::memset(block->bytes() + size, 0, kSlackBytes);
  return block;
}

void BlockRef::destroy(Block* block) {
  block->~Block();
  std::free(block);
}

Result<BlockRef> Block::make(std::string_view section) {
  const uint8_t type = table_format::section_type(section);
  const std::string_view content = section.substr(0, section.size() - table_format::kTrailerBytes);
  BlockRef block;
  if (type == table_format::kRaw) {
    if (content.size() > kBlockBytesMax) return corrupt("the block is too long");
    block = BlockRef(allocate(static_cast<uint32_t>(content.size())));
    std::memcpy(block.block_->bytes(), content.data(), content.size());
  } else if (type == table_format::kLz4) {
    if (content.size() < 4) return corrupt("the compressed block is too short");
    const uint32_t raw_size = load<uint32_t>(content.data());
    const uint64_t packed_size = content.size() - 4;
    if (raw_size > kBlockBytesMax || raw_size > packed_size * kLz4RatioMax || raw_size > LZ4_MAX_INPUT_SIZE ||
        packed_size > LZ4_MAX_INPUT_SIZE) {
      return corrupt("the decompressed length cannot be right: " + std::to_string(raw_size));
    }
    block = BlockRef(allocate(raw_size));
    const int got = LZ4_decompress_safe(content.data() + 4, block.block_->bytes(),
                                        static_cast<int>(packed_size), static_cast<int>(raw_size));
    if (got < 0 || static_cast<uint32_t>(got) != raw_size) return corrupt("the block does not decompress");
  } else {
    return corrupt("unknown block type " + std::to_string(type));
  }
  if (Status s = block.block_->validate(); !s.ok()) return s;
  return block;
}

Status Block::validate() {
  if (size_ < table_format::kBlockHeaderBytes) return corrupt("the block is shorter than its header");
  const uint32_t entries = load<uint16_t>(bytes());
  const auto flags = load<uint8_t>(bytes() + 2);
  const uint64_t prefix_bytes = load<uint32_t>(bytes() + 4);
  if (entries == 0) return corrupt("the block has no entries");
  if ((flags & ~table_format::kWideOffsets) != 0 || bytes()[3] != 0) return corrupt("unknown block flags");
  const bool wide = (flags & table_format::kWideOffsets) != 0;
  const uint64_t prefix_at =
      table_format::kBlockHeaderBytes + entries + (uint64_t{entries} + 1) * (wide ? 4 : 2);
  if (prefix_at + prefix_bytes > size_) return corrupt("the block is shorter than its arrays");
  entries_ = entries;
  wide_ = wide;
  prefix_at_ = static_cast<uint32_t>(prefix_at);
  prefix_bytes_ = static_cast<uint32_t>(prefix_bytes);

  if (offset(0) != prefix_at + prefix_bytes) return corrupt("the first entry is not where it should be");
  if (offset(entries) != size_) return corrupt("the last entry does not end with the block");
  uint32_t begin = offset(0);
  std::string_view last;
  for (uint32_t i = 0; i < entries; ++i) {
    const uint32_t end = offset(i + 1);
    if (end <= begin || end > size_) return corrupt("entry " + std::to_string(i) + " has no right end");
    uint64_t head = 0;
    int shift = 0;
    uint32_t at = begin;
    for (;; shift += 7) {
      if (at == end || shift > 28) return corrupt("the length in entry " + std::to_string(i) + " has no end");
      const auto byte = static_cast<uint8_t>(bytes()[at++]);
      head |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    const uint64_t suffix_bytes = head >> table_format::kRecordFlagBits;
    if (suffix_bytes > end - at) return corrupt("the key of entry " + std::to_string(i) + " passes its end");
    const std::string_view suffix(bytes() + at, suffix_bytes);
    if (i > 0 && compare_keys(suffix, last) <= 0)
      return corrupt("the key of entry " + std::to_string(i) + " is out of order");
    last = suffix;
    begin = end;
  }
  return {};
}

std::string Block::key(uint32_t i) const {
  std::string key(prefix());
  key += record(i).suffix;
  return key;
}

std::optional<BlockEntry> Block::find(std::string_view key, uint64_t hash) const {
  if (!key.starts_with(prefix())) return {};
  const std::string_view suffix = key.substr(prefix_bytes_);
  const __m128i wanted = _mm_set1_epi8(static_cast<char>(hash));
  for (uint32_t base = 0; base < entries_; base += 16) {
    const __m128i tags16 = _mm_loadu_si128(reinterpret_cast<const __m128i*>(tags() + base));
    auto hits = static_cast<uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(tags16, wanted)));
    if (entries_ - base < 16) hits &= (1U << (entries_ - base)) - 1;
    for (; hits != 0; hits &= hits - 1) {
      const Record found = record(base + static_cast<uint32_t>(std::countr_zero(hits)));
      if (found.suffix == suffix) return BlockEntry{found.value, found.flags};
    }
  }
  return {};
}

uint32_t Block::lower_bound(std::string_view key) const {
  const size_t shared = key.size() < prefix_bytes_ ? key.size() : prefix_bytes_;
  const int order = key.substr(0, shared).compare(prefix().substr(0, shared));
  if (order < 0 || (order == 0 && key.size() < prefix_bytes_)) return 0;
  if (order > 0) return entries_;
  const std::string_view suffix = key.substr(prefix_bytes_);
  uint32_t begin = 0;
  uint32_t end = entries_;
  while (begin < end) {
    const uint32_t middle = (begin + end) / 2;
    if (compare_keys(record(middle).suffix, suffix) < 0) {
      begin = middle + 1;
    } else {
      end = middle;
    }
  }
  return begin;
}

}  // namespace engine
