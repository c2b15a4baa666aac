#include "server/commands/scan_options.h"

#include "server/errors.h"
#include "server/units.h"

namespace server {

std::optional<uint64_t> parse_cursor(std::string_view text, resp::ReplyWriter& reply) {
  if (const auto cursor = parse_unsigned(text)) return cursor;
  // What strtoul reads besides plain digits.
  if (const auto cursor = parse_lax_integer(text); cursor && !text.empty() && text[0] != ' ')
    return static_cast<uint64_t>(*cursor);
  reply.error("ERR invalid cursor");
  return std::nullopt;
}

bool parse_scan_options(std::span<const std::string_view> args, bool allow_no_values, ScanOptions* options,
                        resp::ReplyWriter& reply) {
  for (size_t i = 0; i < args.size(); ++i) {
    const bool more = i + 1 < args.size();
    if (more && equals_ignoring_case(args[i], "count")) {
      const auto count = parse_integer(args[++i]);
      if (!count) {
        reply.error(kNotAnInteger);
        return false;
      }
      if (*count < 1) {
        reply.error(kSyntaxError);
        return false;
      }
      options->count = static_cast<uint64_t>(*count);
    } else if (more && equals_ignoring_case(args[i], "match")) {
      options->pattern = args[++i];
      options->matches_all = options->pattern == "*";
    } else if (allow_no_values && equals_ignoring_case(args[i], "novalues")) {
      options->no_values = true;
    } else {
      reply.error(kSyntaxError);
      return false;
    }
  }
  return true;
}

void reply_empty_scan(resp::ReplyWriter& reply) {
  reply.array(2);
  reply.bulk("0");
  reply.array(0);
}

}  // namespace server
