#include "engine/log_format.h"

#include <xxhash.h>

#include <algorithm>
#include <cstring>

#include "engine/raw_integers.h"

namespace engine {
namespace {

constexpr std::string_view kMagic = "varvelog";

std::string hex16(uint64_t value) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text(16, '0');
  for (size_t i = 16; i-- > 0; value >>= 4) text[i] = kDigits[value & 15];
  return text;
}

std::optional<uint64_t> parse_hex16(std::string_view text) {
  if (text.size() != 16) return std::nullopt;
  uint64_t value = 0;
  for (const char c : text) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit && !(c >= 'a' && c <= 'f')) return std::nullopt;
    value = value << 4 | static_cast<uint64_t>(digit ? c - '0' : c - 'a' + 10);
  }
  return value;
}

std::optional<uint64_t> parse_name(std::string_view name, std::string_view suffix) {
  if (name.size() != 16 + suffix.size() || name.substr(16) != suffix) return std::nullopt;
  return parse_hex16(name.substr(0, 16));
}

}  // namespace

std::string segment_name(Lsn first) { return hex16(first) + ".log"; }
std::string spare_name(uint64_t id) { return hex16(id) + ".spare"; }
std::optional<Lsn> parse_segment_name(std::string_view name) { return parse_name(name, ".log"); }
bool is_spare_name(std::string_view name) { return parse_name(name, ".spare").has_value(); }

std::string segment_header(uint64_t id) {
  std::string header(kSegmentHeaderBytes, '\0');
  std::memcpy(header.data(), kMagic.data(), kMagic.size());
  store(&header[8], kLogFormatVersion);
  store(&header[16], id);
  store(&header[24], XXH3_64bits(header.data(), 24));
  return header;
}

Result<uint64_t> parse_segment_header(const std::string& path, std::string_view bytes) {
  // The checksum first, so that a damaged version is not taken for a new one. Every version keeps these 32
  // bytes.
  if (bytes.size() < kSegmentHeaderBytes || bytes.substr(0, kMagic.size()) != kMagic ||
      load<uint64_t>(bytes.data() + 24) != XXH3_64bits(bytes.data(), 24)) {
    return Status(Code::kCorruption, path + " at offset 0: not the header of a log segment");
  }
  const uint32_t version = load<uint32_t>(bytes.data() + 8);
  if (version > kLogFormatVersion) {
    return Status(Code::kTooNew, path + ": log format " + std::to_string(version) +
                                     ", this build knows up to " + std::to_string(kLogFormatVersion));
  }
  return load<uint64_t>(bytes.data() + 16);
}

void append_record(std::string& frame, std::string_view record) {
  INVARIANT(!record.empty() && record.size() <= kRecordBytesMax);
  char prefix[kRecordPrefixBytesMax];
  size_t n = 0;
  uint64_t length = record.size();
  for (; length >= 0x80; length >>= 7) prefix[n++] = static_cast<char>(length | 0x80);
  prefix[n++] = static_cast<char>(length);
  frame.append(prefix, n);
  frame.append(record);
}

void seal_frame(std::string& frame, uint64_t segment_id, Lsn first, Lsn synced) {
  const uint64_t length = frame.size() - kFrameHeaderBytes;
  store(&frame[8], length);
  store(&frame[16], first);
  store(&frame[24], synced);
  store(&frame[0], XXH3_64bits_withSeed(frame.data() + 8, frame.size() - 8, segment_id));
  frame.resize(round_up(frame.size(), kFrameAlignment));
}

std::optional<LogFrame> frame_at(std::string_view segment, uint64_t offset, uint64_t segment_id) {
  if (offset > segment.size() || segment.size() - offset < kFrameHeaderBytes) return std::nullopt;
  const uint64_t room = segment.size() - offset - kFrameHeaderBytes;
  const uint64_t length = load<uint64_t>(segment.data() + offset + 8);
  LogFrame frame;
  frame.first = load<uint64_t>(segment.data() + offset + 16);
  frame.synced = load<uint64_t>(segment.data() + offset + 24);
  // Cheap tests before the dear one: this is asked of every 8th byte behind a damage.
  if (length > room || frame.synced > frame.first) return std::nullopt;
  const uint64_t checksum = load<uint64_t>(segment.data() + offset);
  if (checksum == 0 && length == 0 && frame.first == 0) return std::nullopt;  // The zeros of a fresh file.
  if (checksum !=
      XXH3_64bits_withSeed(segment.data() + offset + 8, kFrameHeaderBytes - 8 + length, segment_id)) {
    return std::nullopt;
  }
  frame.payload = segment.substr(offset + kFrameHeaderBytes, length);
  frame.end =
      std::min<uint64_t>(round_up(offset + kFrameHeaderBytes + length, kFrameAlignment), segment.size());
  return frame;
}

std::optional<uint64_t> torn_frame_end(std::string_view segment, uint64_t offset, Lsn first) {
  if (offset > segment.size() || segment.size() - offset < kFrameHeaderBytes) return std::nullopt;
  const uint64_t length = load<uint64_t>(segment.data() + offset + 8);
  if (length == 0 || load<uint64_t>(segment.data() + offset + 16) != first) return std::nullopt;
  const uint64_t room = segment.size() - offset - kFrameHeaderBytes;
  return offset + kFrameHeaderBytes + std::min(length, room);
}

std::optional<std::string_view> next_record(std::string_view& payload) {
  uint64_t length = 0;
  size_t n = 0;
  for (;; ++n) {
    if (n == kRecordPrefixBytesMax || n == payload.size()) return std::nullopt;
    const auto byte = static_cast<unsigned char>(payload[n]);
    length |= uint64_t{byte & 0x7fu} << (7 * n);
    if (byte < 0x80) break;
  }
  ++n;
  if (length == 0 || length > payload.size() - n) return std::nullopt;
  const std::string_view record = payload.substr(n, length);
  payload.remove_prefix(n + length);
  return record;
}

}  // namespace engine
