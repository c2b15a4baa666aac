#include "server/commands/element_scan.h"

#include "server/commands/find_header.h"
#include "server/units.h"

namespace server {
namespace {

// "ERR invalid cursor" is written if it is none.
std::optional<uint64_t> parse_cursor(CommandContext& c, std::string_view text) {
  if (text.empty()) return 0;  // As strtoul has it.
  if (const auto cursor = parse_unsigned(text)) return cursor;
  // What strtoul reads besides plain digits.
  if (const auto cursor = parse_lax_integer(text); cursor && !text.empty() && text[0] != ' ')
    return static_cast<uint64_t>(*cursor);
  c.reply.error("ERR invalid cursor");
  return std::nullopt;
}

// From args[at] on. False: the error is written.
bool parse_options(CommandContext& c, size_t at, bool allow_no_values, ElementScan* scan) {
  const auto fail = [&](std::string_view error) { return c.reply.error(error), false; };
  for (; at < c.args.size(); ++at) {
    const bool more = at + 1 < c.args.size();
    if (more && equals_ignoring_case(c.args[at], "count")) {
      const auto count = parse_integer(c.args[++at]);
      if (!count) return fail(kNotAnInteger);
      if (*count < 1) return fail(kSyntaxError);
      scan->count = static_cast<uint64_t>(*count);
    } else if (more && equals_ignoring_case(c.args[at], "match")) {
      scan->pattern = c.args[++at];
      scan->matches_all = scan->pattern == "*";
    } else if (allow_no_values && equals_ignoring_case(c.args[at], "novalues")) {
      scan->no_values = true;
    } else {
      return fail(kSyntaxError);
    }
  }
  return true;
}

}  // namespace

std::optional<ElementScan> begin_element_scan(CommandContext& c, Type type) {
  ElementScan scan;
  const auto cursor = parse_cursor(c, c.args[2]);
  if (!cursor || !find_header(c, type, c.args[1], &scan.header)) return std::nullopt;
  scan.cursor = *cursor;
  if (!scan.header) {
    ScannedElements(c).reply(0);
    return std::nullopt;
  }
  if (!parse_options(c, 3, type == Type::kHash, &scan)) return std::nullopt;
  return scan;
}

}  // namespace server
