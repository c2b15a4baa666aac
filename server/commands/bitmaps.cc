// server/commands/bitmaps.cc: strings as bitmaps: SETBIT, GETBIT, BITCOUNT, BITPOS, BITOP.
#include "server/types/bitmap.h"

#include <algorithm>
#include <string>
#include <vector>

#include "server/bindings.h"
#include "server/commands/bit_support.h"
#include "server/commands/string_support.h"
#include "server/errors.h"
#include "server/long_write.h"
#include "server/server.h"
#include "server/units.h"

namespace server {

std::optional<uint64_t> parse_field_offset(CommandContext& c, std::string_view text, unsigned width) {
  const bool counted = !text.empty() && text[0] == '#' && width > 0;
  auto offset = parse_integer(text.substr(counted ? 1 : 0));
  int64_t bits = 0;
  if (offset && counted)
    offset = __builtin_mul_overflow(*offset, static_cast<int64_t>(width), &bits) ? std::nullopt
                                                                                 : std::optional(bits);
  // On a worker the first run, on the reactor, has checked how far it may be.
  if (offset && *offset >= 0 &&
      (c.view.on_worker() || static_cast<uint64_t>(*offset >> 3) < c.server.settings().proto_max_bulk_len))
    return static_cast<uint64_t>(*offset);
  c.reply.error("ERR bit offset is not an integer or out of range");
  return std::nullopt;
}

std::optional<uint64_t> parse_bit_offset(CommandContext& c, std::string_view text) {
  return parse_field_offset(c, text, 0);
}

namespace {

void get_bit(CommandContext& c) {
  const auto offset = parse_bit_offset(c, c.args[2]);
  if (!offset) return;
  std::optional<Header> header;
  if (!find_string(c, c.args[1], &header)) return;
  if (!header || *offset / 8 >= string_length(*header)) return c.reply.integer(0);
  std::string scratch;
  const std::string_view byte = read_string_range(c.view, *header, *offset / 8, 1, &scratch);
  c.reply.integer(static_cast<uint8_t>(byte[0]) >> (7 - *offset % 8) & 1);
}

void set_bit(CommandContext& c) {
  const auto offset = parse_bit_offset(c, c.args[2]);
  if (!offset) return;
  const auto bit = parse_integer(c.args[3]);
  if (!bit || (*bit != 0 && *bit != 1)) return c.reply.error("ERR bit is not an integer or out of range");
  std::optional<Header> header;
  if (!find_string(c, c.args[1], &header)) return;
  const bool within = header && *offset / 8 < string_length(*header);
  std::string scratch;
  const auto old = within
                       ? static_cast<uint8_t>(read_string_range(c.view, *header, *offset / 8, 1, &scratch)[0])
                       : uint8_t{0};
  const auto mask = static_cast<uint8_t>(0x80 >> *offset % 8);
  const auto changed = static_cast<uint8_t>(*bit ? old | mask : old & ~mask);
  if (!within || changed != old) {
    const char byte = static_cast<char>(changed);
    write_string_range(c.view, string_key(c, c.args[1]), header, *offset / 8, {&byte, 1});
    c.event(notify::kString, "setbit", c.args[1]);
  }
  c.reply.integer((old & mask) != 0);
}

// ---- ranges

// Whether `text` says that a range is one of bits; if it says nothing of the kind, the error is written.
std::optional<bool> parse_unit(CommandContext& c, std::string_view text) {
  if (equals_ignoring_case(text, "bit")) return true;
  if (equals_ignoring_case(text, "byte")) return false;
  c.reply.error(kSyntaxError);
  return std::nullopt;
}

struct BitRange {
  uint64_t first, last;  // Of bits, both included.
};
// What [start, end] of `length` units of `width` bits means: negative ones count from the end. Nothing:
// empty.
std::optional<BitRange> bit_range(int64_t start, int64_t end, uint64_t length, uint64_t width) {
  const auto units = static_cast<int64_t>(length);
  if (start < 0) start = std::max<int64_t>(units + start, 0);
  if (end < 0) end = std::max<int64_t>(units + end, 0);
  end = std::min(end, units - 1);
  if (start > end) return std::nullopt;
  return BitRange{static_cast<uint64_t>(start) * width, static_cast<uint64_t>(end + 1) * width - 1};
}

void bitcount(CommandContext& c) {
  std::optional<Header> header;
  if (!find_string(c, c.args[1], &header)) return;
  if (!header) return c.reply.integer(0);
  int64_t start = 0, end = -1;
  bool by_bits = false;
  if (c.args.size() == 4 || c.args.size() == 5) {
    const auto from = parse_integer(c.args[2]);
    const auto to = parse_integer(c.args[3]);
    if (!from || !to) return c.reply.error(kNotAnInteger);
    start = *from;
    end = *to;
    if (start < 0 && end < 0 && start > end) return c.reply.integer(0);
    if (c.args.size() == 5) {
      const auto unit = parse_unit(c, c.args[4]);
      if (!unit) return;
      by_bits = *unit;
    }
  } else if (c.args.size() != 2) {
    return c.reply.error(kSyntaxError);
  }
  const uint64_t length = string_length(*header);
  const auto range = bit_range(start, end, by_bits ? length * 8 : length, by_bits ? 1 : 8);
  c.reply.integer(range ? static_cast<int64_t>(count_bits(c.view, *header, range->first, range->last)) : 0);
}

void bitpos(CommandContext& c) {
  const auto bit = parse_integer(c.args[2]);
  if (!bit) return c.reply.error(kNotAnInteger);
  if (*bit != 0 && *bit != 1) return c.reply.error("ERR The bit argument must be 1 or 0.");
  std::optional<Header> header;
  if (!find_string(c, c.args[1], &header)) return;
  if (!header) return c.reply.integer(*bit ? -1 : 0);
  if (c.args.size() > 6) return c.reply.error(kSyntaxError);
  int64_t start = 0, end = -1;
  bool by_bits = false;
  const bool end_given = c.args.size() >= 5;
  if (c.args.size() >= 4) {
    const auto from = parse_integer(c.args[3]);
    if (!from) return c.reply.error(kNotAnInteger);
    start = *from;
    if (c.args.size() == 6) {
      const auto unit = parse_unit(c, c.args[5]);
      if (!unit) return;
      by_bits = *unit;
    }
    if (end_given) {
      const auto to = parse_integer(c.args[4]);
      if (!to) return c.reply.error(kNotAnInteger);
      end = *to;
    }
  }
  const uint64_t length = string_length(*header);
  const auto range = bit_range(start, end, by_bits ? length * 8 : length, by_bits ? 1 : 8);
  if (!range) return c.reply.integer(-1);
  if (const auto found = find_bit(c.view, *header, *bit == 1, range->first, range->last))
    return c.reply.integer(static_cast<int64_t>(*found));
  // Without an end the string is taken to go on with zeros.
  c.reply.integer(*bit == 0 && !end_given ? static_cast<int64_t>(range->last + 1) : -1);
}

// ---- BITOP AND|OR|XOR|NOT destination key [key …]

void bitop(CommandContext& c) {
  static constexpr std::pair<std::string_view, BitOperation> kWords[] = {{"and", BitOperation::kAnd},
                                                                         {"or", BitOperation::kOr},
                                                                         {"xor", BitOperation::kXor},
                                                                         {"not", BitOperation::kNot}};
  const auto* const word = std::find_if(std::begin(kWords), std::end(kWords), [&](const auto& one) {
    return equals_ignoring_case(c.args[1], one.first);
  });
  if (word == std::end(kWords)) return c.reply.error(kSyntaxError);
  const BitOperation operation = word->second;
  if (operation == BitOperation::kNot && c.args.size() != 4)
    return c.reply.error("ERR BITOP NOT must be called with a single source key.");
  may_take_long(c, c.args[2]);
  const auto keys = c.args.subspan(3);
  c.view.prefetch_headers(c.database, c.args.subspan(2));
  std::vector<std::optional<Header>> operands(keys.size());
  uint64_t length = 0;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (!find_string(c, keys[i], &operands[i])) return;
    if (operands[i]) length = std::max(length, string_length(*operands[i]));
  }
  if (length > 0) {
    combine_bitmaps(c.view, string_key(c, c.args[2]), operation, operands, length);
    c.event(notify::kString, "set", c.args[2]);
  } else if (c.view.header(c.database, c.args[2])) {
    c.view.erase_header(c.database, c.args[2]);
    c.event(notify::kGeneric, "del", c.args[2]);
  }
  c.reply.integer(static_cast<int64_t>(length));
}

constexpr Binding kBindings[] = {{"getbit", &get_bit},
                                 {"setbit", &set_bit},
                                 {"bitcount", &bitcount},
                                 {"bitpos", &bitpos},
                                 {"bitop", &bitop}};

}  // namespace

void bind_bitmap_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
