// engine/table_format.h: the bytes of a table file.
//
// All integers are little-endian. A file is sections that follow each other without a gap, then a footer:
//
//     +---------+---------+-----+-------------+-----+------+--------+--------+
//     | block 0 | block 1 | ... | partition 0 | ... | root | filter | footer |
//     +---------+---------+-----+-------------+-----+------+--------+--------+
//                               ^ index_offset      ^ root_offset    ^ 120 bytes
//                                                          ^ filter_offset
//
// Every section is its content and a trailer of eight bytes, one integer: the section's type in the low byte,
// 56 bits of XXH3 above it. The hash covers the content and the type and is seeded with the table's number
// and the section's offset, so that a read that went to another place or another file is noticed.
//
//     0               n      n + 1             n + 8
//     +---------------+------+-----------------+
//     | content       | type | xxh3 (56 bits)  |
//     +---------------+------+-----------------+
//
// Data block (kRaw; kLz4 is u32 its length when decompressed, then the LZ4 block). See engine/table_block.h.
//
//     0       2       3      4               8         8+count                                       length
//     +-------+-------+------+---------------+---------+---------------------+--------+--------------+
//     | count | flags | zero | prefix length | tags    | offsets             | prefix | entries      |
//     | u16   | u8    | u8   | u32           | u8 each | u16 each, count + 1 |        |              |
//     +-------+-------+------+---------------+---------+---------------------+--------+--------------+
//
//     flags    1: offsets are u32, because the block is longer than 65535 bytes
//     tags     the low byte of each key's hash, to find a key without comparing keys
//     offsets  of the entries, from the block's start; the last one is the block's length
//     prefix   what all keys of the block begin with
//     entry    varint(suffix length << 2 | record flags), the key after the prefix, the value; up to the
//              next entry
//
// Index node: what separates children (data blocks under a partition, partitions under the root). The
// separator after child i is the shortest prefix of the first key behind it that is greater than the last key
// in it; after the last child of all, the largest key and a zero byte. Separators stand without what all keys
// of the file have in common, as a head (the first eight bytes, zero-padded, as a big-endian number so that
// numbers order as keys do) and a tail: one byte min(length, 8), which orders equal padded heads, then what
// follows the head.
//
//     0       4            8            8+8n            8+12n           8+16n
//     +-------+------------+------------+---------------+---------------+----------------+
//     | n u32 | tail bytes | heads      | lengths       | tail ends     | tails          |
//     |       | u32        | u64 each   | u32 each, of  | u32 each      |                |
//     |       |            |            | the children  |               |                |
//     +-------+------------+------------+---------------+---------------+----------------+
//
//     partition  an index node over up to 256 data blocks (about 4 KB, so that it could be paged)
//     root       u32 and u32: lengths of the smallest and the largest key; those keys; an index node of
//                partitions
//     filter     split-block Bloom: blocks of eight u32 (engine/filter.h); empty when there is none
//
// Footer. The last 16 bytes stay where they are and as they are in every future version.
//
//     0             8            16             24      32      40          48       56          64
//     +-------------+------------+--------------+-------+-------+-----------+--------+-----------+----------+
//     | index       | root       | filter       | data  | table | data      |entries |tombstones | unsettled|
//     | offset      | offset     | offset       | blocks| number| bytes     |        |           |          |
//     +-------------+------------+--------------+-------+-------+-----------+--------+-----------+----------+
//     72          80         88          96         104       108        112      120
//     +-----------+----------+-----------+----------+---------+----------+--------+
//     | first lsn | last lsn | hash seed | xxh3 of  | version | mark u32 | magic  |
//     |           |          |           | 0 to 96  | u32     |          |        |
//     +-----------+----------+-----------+----------+---------+----------+--------+
//
//     mark     low half of the XXH3 of version and magic: a flipped version is corruption, not a newer format
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/raw_integers.h"
#include "engine/status.h"

namespace engine::table_format {

inline constexpr uint64_t kMagic = 0x656c626174767276;  // "vrvtable"
inline constexpr uint32_t kVersion = 1;
inline constexpr uint64_t kFooterBytes = 120;
inline constexpr uint64_t kFooterTailBytes = 16;  // Version, mark, magic.
inline constexpr uint64_t kTrailerBytes = 8;
inline constexpr uint64_t kBlockHeaderBytes = 8;
inline constexpr uint32_t kBlockEntriesMax = 0xffff;
inline constexpr uint64_t kIndexNodeHeaderBytes = 8;
inline constexpr uint64_t kIndexNodeBytesPerChild = 16;  // And its tail.
inline constexpr uint32_t kPartitionBlocks = 256;
inline constexpr uint64_t kRecordBytesMax = uint64_t{1}
                                            << 30;  // Key and value together; lengths stay within u32.
inline constexpr int kRecordFlagBits = 2;           // RecordFlags, as stored in an entry.

enum BlockFlags : uint8_t { kWideOffsets = 1 };
enum SectionType : uint8_t { kRaw = 0, kLz4 = 1, kPartition = 2, kRoot = 3, kFilter = 4 };

// The trailer for a section whose content, followed by its type byte, are `content_and_type`.
uint64_t make_trailer(std::string_view content_and_type, uint64_t table, uint64_t offset);
// Whether `section` (content and trailer) is what was written for this table at this offset.
bool trailer_holds(std::string_view section, uint64_t table, uint64_t offset);
inline uint8_t section_type(std::string_view section) {
  return static_cast<uint8_t>(section[section.size() - kTrailerBytes]);
}

struct Footer {
  uint64_t index_offset = 0;  // Where the data blocks end.
  uint64_t root_offset = 0;
  uint64_t filter_offset = 0;
  uint64_t blocks = 0;
  uint64_t number = 0;
  uint64_t data_bytes = 0;
  uint64_t entries = 0;
  uint64_t tombstones = 0;
  uint64_t unsettled = 0;
  uint64_t first_lsn = 0;
  uint64_t last_lsn = 0;
  uint64_t hash_seed = 0;

  void encode(std::string& to) const;
  // `bytes` are the last kFooterBytes of a file. Errors: kCorruption, kTooNew, without the file's name.
  static Result<Footer> decode(std::string_view bytes);
};

// How many bytes two keys have in common at their beginning.
inline size_t common_prefix(std::string_view a, std::string_view b) {
  const size_t limit = a.size() < b.size() ? a.size() : b.size();
  size_t n = 0;
  while (n + 8 <= limit) {
    const uint64_t difference = load<uint64_t>(a.data() + n) ^ load<uint64_t>(b.data() + n);
    if (difference != 0) return n + static_cast<size_t>(std::countr_zero(difference)) / 8;
    n += 8;
  }
  while (n < limit && a[n] == b[n]) ++n;
  return n;
}

}  // namespace engine::table_format
