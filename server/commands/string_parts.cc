// server/commands/string_parts.cc: strings as bytes and as numbers: ranges, appending, counters, LCS.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "server/bindings.h"
#include "server/commands/string_support.h"
#include "server/errors.h"
#include "server/server.h"
#include "server/units.h"

namespace server {
namespace {

void strlen_of(CommandContext& c) {
  std::optional<Header> header;
  if (!find_string(c, c.args[1], &header)) return;
  c.reply.integer(header ? static_cast<int64_t>(string_length(*header)) : 0);
}

void append(CommandContext& c) {
  std::optional<Header> header;
  if (!find_string(c, c.args[1], &header)) return;
  const uint64_t length = header ? string_length(*header) : 0;
  if (!length_allowed(c, length + c.args[2].size())) return;
  uint64_t now = length;
  if (!header || !c.args[2].empty())
    now = write_string_range(c.view, string_key(c, c.args[1]), header, length, c.args[2]);
  c.event(notify::kString, "append", c.args[1]);
  c.reply.integer(static_cast<int64_t>(now));
}

void setrange(CommandContext& c) {
  const auto offset = parse_integer(c.args[2]);
  if (!offset) return c.reply.error(kNotAnInteger);
  if (*offset < 0) return c.reply.error("ERR offset is out of range");
  std::optional<Header> header;
  if (!find_string(c, c.args[1], &header)) return;
  const std::string_view bytes = c.args[3];
  if (bytes.empty()) return c.reply.integer(header ? static_cast<int64_t>(string_length(*header)) : 0);
  const auto from = static_cast<uint64_t>(*offset);
  if (!length_allowed(c, from + bytes.size())) return;
  c.reply.integer(
      static_cast<int64_t>(write_string_range(c.view, string_key(c, c.args[1]), header, from, bytes)));
  c.event(notify::kString, "setrange", c.args[1]);
}

void getrange(CommandContext& c) {
  const auto start = parse_integer(c.args[2]);
  const auto stop = parse_integer(c.args[3]);
  if (!start || !stop) return c.reply.error(kNotAnInteger);
  std::optional<Header> header;
  if (!find_string(c, c.args[1], &header)) return;
  if (!header) return c.reply.bulk("");
  const auto length = static_cast<int64_t>(string_length(*header));
  if (*start < 0 && *stop < 0 && *start > *stop) return c.reply.bulk("");
  const int64_t first = std::max<int64_t>(*start < 0 ? length + *start : *start, 0);
  const int64_t last = std::min(std::max<int64_t>(*stop < 0 ? length + *stop : *stop, 0), length - 1);
  if (length == 0 || first > last) return c.reply.bulk("");
  std::string scratch;
  c.reply.bulk(read_string_range(c.view, *header, static_cast<uint64_t>(first),
                                 static_cast<uint64_t>(last - first + 1), &scratch));
}

// ---- counters

void write_number(CommandContext& c, const std::optional<Header>& old, std::string_view digits) {
  write_string(c.view, string_key(c, c.args[1]), digits, old ? old->expiry_ms : kNoExpiry, false);
}

void add(CommandContext& c, int64_t delta) {
  std::optional<Header> header;
  if (!find_string(c, c.args[1], &header)) return;
  int64_t value = 0;
  if (header) {
    std::string scratch;
    const auto present = parse_integer(string_length(*header) <= 20 ? read_string(c.view, *header, &scratch)
                                                                    : std::string_view("too long"));
    if (!present) return c.reply.error(kNotAnInteger);
    value = *present;
  }
  if (__builtin_add_overflow(value, delta, &value))
    return c.reply.error("ERR increment or decrement would overflow");
  write_number(c, header, std::to_string(value));
  c.event(notify::kString, "incrby", c.args[1]);
  c.reply.integer(value);
}

void incr(CommandContext& c) { add(c, 1); }
void decr(CommandContext& c) { add(c, -1); }
void incrby(CommandContext& c) {
  const auto delta = parse_integer(c.args[2]);
  if (!delta) return c.reply.error(kNotAnInteger);
  add(c, *delta);
}
void decrby(CommandContext& c) {
  const auto delta = parse_integer(c.args[2]);
  if (!delta) return c.reply.error(kNotAnInteger);
  if (*delta == std::numeric_limits<int64_t>::min()) return c.reply.error("ERR decrement would overflow");
  add(c, -*delta);
}

void incrbyfloat(CommandContext& c) {
  constexpr std::string_view kNotAFloat = "ERR value is not a valid float";
  std::optional<Header> header;
  if (!find_string(c, c.args[1], &header)) return;
  long double value = 0;
  if (header) {
    std::string scratch;
    const auto present = parse_long_double(read_string(c.view, *header, &scratch));
    if (!present) return c.reply.error(kNotAFloat);
    value = *present;
  }
  const auto delta = parse_long_double(c.args[2]);
  if (!delta) return c.reply.error(kNotAFloat);
  value += *delta;
  if (std::isnan(value) || std::isinf(value))
    return c.reply.error("ERR increment would produce NaN or Infinity");
  const std::string digits = format_long_double(value);
  write_number(c, header, digits);
  c.event(notify::kString, "incrbyfloat", c.args[1]);
  c.reply.bulk(digits);
}

// ---- LCS key1 key2 [LEN] [IDX] [MINMATCHLEN n] [WITHMATCHLEN]

struct Match {
  size_t a_first, a_last, b_first, b_last;
};

void lcs(CommandContext& c) {
  c.view.prefetch_headers(c.database, c.args.subspan(1, 2));
  const auto a_header = c.view.header(c.database, c.args[1]);
  const auto b_header = c.view.header(c.database, c.args[2]);
  if ((a_header && a_header->type != Type::kString) || (b_header && b_header->type != Type::kString))
    return c.reply.error("ERR The specified keys must contain string values");
  bool only_length = false, indexes = false, with_length = false;
  int64_t min_length = 0;
  for (size_t i = 3; i < c.args.size(); ++i) {
    if (equals_ignoring_case(c.args[i], "idx")) {
      indexes = true;
    } else if (equals_ignoring_case(c.args[i], "len")) {
      only_length = true;
    } else if (equals_ignoring_case(c.args[i], "withmatchlen")) {
      with_length = true;
    } else if (equals_ignoring_case(c.args[i], "minmatchlen") && i + 1 < c.args.size()) {
      const auto given = parse_integer(c.args[++i]);
      if (!given) return c.reply.error(kNotAnInteger);
      min_length = std::max<int64_t>(*given, 0);
    } else {
      return c.reply.error(kSyntaxError);
    }
  }
  std::string a_scratch, b_scratch;
  std::string_view a, b;
  if (a_header) a = read_string(c.view, *a_header, &a_scratch);
  if (b_header) b = read_string(c.view, *b_header, &b_scratch);
  if (indexes && only_length)
    return c.reply.error("ERR If you want both the length and indexes, please just use IDX.");
  // The table has a cell for each pair of prefixes.
  constexpr uint64_t kStringMax = std::numeric_limits<uint32_t>::max() - 1;
  if (a.size() >= kStringMax || b.size() >= kStringMax) return c.reply.error("ERR String too long for LCS");
  const uint64_t cells = (a.size() + 1) * (b.size() + 1);
  if (cells > c.bulk_max / sizeof(uint32_t))
    return c.reply.error("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
  c.view.charge(cells / 16);

  std::vector<uint32_t> table(cells);
  const auto cell = [&](size_t i, size_t j) -> uint32_t& { return table[i * (b.size() + 1) + j]; };
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j)
      cell(i, j) = a[i - 1] == b[j - 1] ? cell(i - 1, j - 1) + 1 : std::max(cell(i - 1, j), cell(i, j - 1));
  }
  const uint32_t length = cell(a.size(), b.size());
  if (only_length) return c.reply.integer(length);

  // Back from the end: the sequence, and its runs in both strings, last first.
  std::string sequence(length, '\0');
  std::vector<Match> matches;
  size_t left = length;
  for (size_t i = a.size(), j = b.size(); i > 0 && j > 0;) {
    if (a[i - 1] == b[j - 1]) {
      sequence[--left] = a[i - 1];
      if (!matches.empty() && matches.back().a_first == i && matches.back().b_first == j) {
        matches.back().a_first = i - 1;
        matches.back().b_first = j - 1;
      } else {
        matches.push_back({i - 1, i - 1, j - 1, j - 1});
      }
      --i;
      --j;
    } else if (cell(i - 1, j) > cell(i, j - 1)) {
      --i;
    } else {
      --j;
    }
  }
  if (!indexes) return c.reply.bulk(std::move(sequence));
  c.reply.map(2);
  c.reply.bulk("matches");
  std::erase_if(matches, [&](const Match& match) {
    return static_cast<int64_t>(match.a_last - match.a_first + 1) < min_length;
  });
  c.reply.array(matches.size());
  for (const Match& match : matches) {
    c.reply.array(with_length ? 3 : 2);
    c.reply.array(2);
    c.reply.integer(static_cast<int64_t>(match.a_first));
    c.reply.integer(static_cast<int64_t>(match.a_last));
    c.reply.array(2);
    c.reply.integer(static_cast<int64_t>(match.b_first));
    c.reply.integer(static_cast<int64_t>(match.b_last));
    if (with_length) c.reply.integer(static_cast<int64_t>(match.a_last - match.a_first + 1));
  }
  c.reply.bulk("len");
  c.reply.integer(length);
}

constexpr Binding kBindings[] = {
    {"strlen", &strlen_of},  {"append", &append},           {"setrange", &setrange},
    {"getrange", &getrange}, {"substr", &getrange},         {"incr", &incr},
    {"decr", &decr},         {"incrby", &incrby},           {"decrby", &decrby},
    {"lcs", &lcs},           {"incrbyfloat", &incrbyfloat},
};

}  // namespace

void bind_string_part_commands(CommandTable& table) { table.bind(kBindings); }

}  // namespace server
