// server/commands/bitfields.cc: integers of any width inside a string: BITFIELD and BITFIELD_RO.
#include <algorithm>
#include <string>
#include <vector>

#include "server/bindings.h"
#include "server/commands/bit_support.h"
#include "server/commands/string_support.h"
#include "server/errors.h"
#include "server/units.h"

namespace server {
namespace {

__extension__ typedef __int128 Wide;  // Holds every sum of a field and an increment.

enum class Overflow : uint8_t { kWrap, kSaturate, kFail };

struct Operation {
  enum class Kind : uint8_t { kGet, kSet, kIncrement } kind;
  bool is_signed;
  unsigned width;  // In bits: up to 64 signed, up to 63 unsigned.
  uint64_t offset;
  int64_t operand;
  Overflow overflow;

  uint64_t last_bit() const { return offset + width - 1; }
};

// The field's bits lie in a 64-bit number's lowest; this is the number that they mean.
Wide meaning(const Operation& field, uint64_t bits) {
  const uint64_t mask = ~uint64_t{0} >> (64 - field.width);
  bits &= mask;
  const bool negative = field.is_signed && (bits >> (field.width - 1) & 1);
  return negative ? static_cast<Wide>(static_cast<int64_t>(bits | ~mask)) : static_cast<Wide>(bits);
}

// What is written for `value`, which may be too big; nothing: it is, and the operation fails.
std::optional<Wide> fitting(const Operation& field, Wide value) {
  const Wide one = 1;
  const Wide max = (one << (field.is_signed ? field.width - 1 : field.width)) - 1;
  const Wide min = field.is_signed ? -max - 1 : 0;
  if (value >= min && value <= max) return value;
  switch (field.overflow) {
    case Overflow::kWrap: return meaning(field, static_cast<uint64_t>(value));
    case Overflow::kSaturate: return value > max ? max : min;
    case Overflow::kFail: break;
  }
  return std::nullopt;
}

// The bytes of a string that a field touches: at most nine, those beyond its end zeros.
struct Window {
  static constexpr size_t kBytes = 9;

  uint64_t begin = 0;
  size_t size = 0;
  uint8_t bytes[kBytes] = {};

  Window(View& view, const std::optional<Header>& header, const Operation& field) {
    begin = field.offset / 8;
    size = static_cast<size_t>(field.last_bit() / 8 - begin + 1);
    const uint64_t length = header ? string_length(*header) : 0;
    if (begin >= length) return;
    std::string scratch;
    const std::string_view there =
        read_string_range(view, *header, begin, std::min<uint64_t>(size, length - begin), &scratch);
    std::copy(there.begin(), there.end(), bytes);
  }

  uint64_t get(const Operation& field) const {
    uint64_t bits = 0;
    for (uint64_t i = 0, at = field.offset - begin * 8; i < field.width; ++i, ++at)
      bits = bits << 1 | (bytes[at / 8] >> (7 - at % 8) & 1);
    return bits;
  }
  void set(const Operation& field, uint64_t bits) {
    for (uint64_t i = 0, at = field.offset - begin * 8; i < field.width; ++i, ++at) {
      const auto mask = static_cast<uint8_t>(0x80 >> at % 8);
      const bool on = bits >> (field.width - 1 - i) & 1;
      bytes[at / 8] = static_cast<uint8_t>(on ? bytes[at / 8] | mask : bytes[at / 8] & ~mask);
    }
  }
  std::string_view text() const { return {reinterpret_cast<const char*>(bytes), size}; }
};

bool parse_type(CommandContext& c, std::string_view text, Operation* field) {
  if (!text.empty() && (text[0] == 'i' || text[0] == 'u')) {
    field->is_signed = text[0] == 'i';
    const auto width = parse_integer(text.substr(1));
    if (width && *width >= 1 && *width <= (field->is_signed ? 64 : 63)) {
      field->width = static_cast<unsigned>(*width);
      return true;
    }
  }
  c.reply.error(
      "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.");
  return false;
}

// All operations, or false: the error is written.
bool parse_operations(CommandContext& c, std::vector<Operation>* operations) {
  Overflow overflow = Overflow::kWrap;
  const auto args = c.args;
  for (size_t i = 2; i < args.size(); ++i) {
    const size_t rest = args.size() - i - 1;
    Operation one{};
    if (equals_ignoring_case(args[i], "get") && rest >= 2) {
      one.kind = Operation::Kind::kGet;
    } else if (equals_ignoring_case(args[i], "set") && rest >= 3) {
      one.kind = Operation::Kind::kSet;
    } else if (equals_ignoring_case(args[i], "incrby") && rest >= 3) {
      one.kind = Operation::Kind::kIncrement;
    } else if (equals_ignoring_case(args[i], "overflow") && rest >= 1) {
      const std::string_view word = args[++i];
      if (equals_ignoring_case(word, "wrap")) {
        overflow = Overflow::kWrap;
      } else if (equals_ignoring_case(word, "sat")) {
        overflow = Overflow::kSaturate;
      } else if (equals_ignoring_case(word, "fail")) {
        overflow = Overflow::kFail;
      } else {
        c.reply.error("ERR Invalid OVERFLOW type specified");
        return false;
      }
      continue;
    } else {
      c.reply.error(kSyntaxError);
      return false;
    }
    one.overflow = overflow;
    if (!parse_type(c, args[i + 1], &one)) return false;
    const auto offset = parse_field_offset(c, args[i + 2], one.width);
    if (!offset) return false;
    one.offset = *offset;
    i += 2;
    if (one.kind != Operation::Kind::kGet) {
      const auto operand = parse_integer(args[++i]);
      if (!operand) {
        c.reply.error(kNotAnInteger);
        return false;
      }
      one.operand = *operand;
    }
    operations->push_back(one);
  }
  return true;
}

// Carries out a SET or INCRBY and replies; whether the field was written with another value.
bool change(CommandContext& c, const Operation& field, const std::optional<Header>& header, bool* written) {
  Window window(c.view, header, field);
  const Wide old = meaning(field, window.get(field));
  const bool sets = field.kind == Operation::Kind::kSet;
  // An unsigned field takes a negative operand of SET for the huge number with the same bits.
  const Wide wanted = !sets             ? old + field.operand
                      : field.is_signed ? static_cast<Wide>(field.operand)
                                        : static_cast<Wide>(static_cast<uint64_t>(field.operand));
  const auto value = fitting(field, wanted);
  *written = value.has_value();
  if (!value) {
    c.reply.null();
    return false;
  }
  c.reply.integer(static_cast<int64_t>(sets ? old : *value));
  if (*value == old) return false;
  window.set(field, static_cast<uint64_t>(*value));
  write_string_range(c.view, string_key(c, c.args[1]), header, window.begin, window.text());
  return true;
}

void run_operations(CommandContext& c, bool only_gets) {
  std::vector<Operation> operations;
  if (!parse_operations(c, &operations)) return;
  uint64_t needed = 0;  // Bytes, for what is to be written.
  for (const Operation& one : operations)
    if (one.kind != Operation::Kind::kGet) needed = std::max(needed, one.last_bit() / 8 + 1);
  const bool writes = needed > 0;
  if (writes && only_gets) return c.reply.error("ERR BITFIELD_RO only supports the GET subcommand");
  const std::string_view key = c.args[1];
  std::optional<Header> header;
  if (!find_string(c, key, &header)) return;

  const bool grows = writes && (!header || string_length(*header) < needed);
  c.reply.array(operations.size());
  bool changed = false;
  for (const Operation& one : operations) {
    if (one.kind == Operation::Kind::kGet) {
      const Wide value = meaning(one, Window(c.view, header, one).get(one));
      c.reply.integer(static_cast<int64_t>(value));
      continue;
    }
    bool written = false;
    if (change(c, one, header, &written)) {
      changed = true;
      header = c.view.header(c.database, key);
    } else {
      changed |= grows && written;
    }
  }
  // The string becomes as long as its last field needs, even if all of them fail to fit.
  if (grows && (!header || string_length(*header) < needed))
    write_string_range(c.view, string_key(c, key), header, needed - 1, std::string_view("\0", 1));
  if (changed) c.event(notify::kString, "setbit", key);
}

void bitfield(CommandContext& c) { run_operations(c, false); }
void bitfield_ro(CommandContext& c) { run_operations(c, true); }

constexpr Binding kBindings[] = {{"bitfield", &bitfield}, {"bitfield_ro", &bitfield_ro}};

}  // namespace

void bind_bitfield_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
