// engine/log_format.h: the bytes of the write-ahead log.
//
// A segment is a file of a size fixed when it was prepared, little-endian throughout:
//
//     0            8             12          16           24        32         4096
//     +------------+-------------+-----------+------------+---------+----------+---------+---------+----
//     | "varvelog" | version (4) | zeros (4) | segment id | xxh3    | zeros    | frame   | frame   | ...
//     +------------+-------------+-----------+------------+---------+----------+---------+---------+----
//                                                          xxh3 of the 24 bytes before it
//
// The id is random, new each time the file is prepared. No LSN stands here, for a segment is prepared, header
// and all, before it is known where it will begin: its name says so (16 hex digits and ".log"), and its
// first frame. While it waits, and until a worker has renamed it, the name is the id and ".spare".
//
// A frame is a group of whole records that were written together. It begins where the one before it
// ends, rounded up to 8 bytes, or on the page (4096 bytes) after that if there was a sync between them:
//
//     0         8            16            24             32              32 + length
//     +---------+------------+-------------+--------------+---------------+
//     | xxh3    | length     | first LSN   | synced LSN   | records       |    xxh3 of all that follows it,
//     +---------+------------+-------------+--------------+---------------+    seeded with the segment's id
//
//     record:  length (varint as in LEB128) | bytes            advances the LSN by the number of its bytes
//
// The synced LSN says how far the log was synced when the frame was written. The last frame of a log that was
// closed has no records and a synced LSN equal to its first LSN: all before it is known to be on the disk.
//
// What lies behind the last frame is zeros, or frames of an earlier life of the file, which the seed
// keeps from parsing.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/lsn.h"
#include "engine/status.h"

namespace engine {

static_assert(std::endian::native == std::endian::little, "the formats are copied as they lie in memory");

inline constexpr uint64_t kLogPageBytes = 4096;
inline constexpr uint32_t kLogFormatVersion = 1;
inline constexpr uint64_t kSegmentHeaderBytes = 32;
inline constexpr uint64_t kFirstFrameOffset = kLogPageBytes;
inline constexpr uint64_t kFrameHeaderBytes = 32;
inline constexpr uint64_t kFrameAlignment = 8;
inline constexpr uint64_t kRecordPrefixBytesMax = 5;
inline constexpr uint64_t kRecordBytesMax = (uint64_t{1} << 32) - 1;

constexpr uint64_t round_up(uint64_t value, uint64_t unit) { return (value + unit - 1) / unit * unit; }

std::string segment_name(Lsn first);
std::string spare_name(uint64_t id);
std::optional<Lsn> parse_segment_name(std::string_view name);
bool is_spare_name(std::string_view name);

std::string segment_header(uint64_t id);
// The id of the segment of which `bytes` is the beginning. Errors: kCorruption, kTooNew, naming `path`.
Result<uint64_t> parse_segment_header(const std::string& path, std::string_view bytes);

// Building: a string of kFrameHeaderBytes, then records, then the seal, which fills in the header and pads.
void append_record(std::string& frame, std::string_view record);
void seal_frame(std::string& frame, uint64_t segment_id, Lsn first, Lsn synced);

struct LogFrame {
  Lsn first = 0;
  Lsn synced = 0;
  std::string_view payload;
  uint64_t end = 0;  // Offset in the segment, rounded up.
};
// The frame at `offset` of a segment's bytes, if there is one whose checksum is right.
std::optional<LogFrame> frame_at(std::string_view segment, uint64_t offset, uint64_t segment_id);
// Where a frame at `offset` would end if its header, unchecked, is to be believed: for telling how much a
// torn one was. Nothing if there is none that begins at `first`.
std::optional<uint64_t> torn_frame_end(std::string_view segment, uint64_t offset, Lsn first);

// Takes the next record off the front of a payload; nothing if what is left does not parse.
std::optional<std::string_view> next_record(std::string_view& payload);

}  // namespace engine
