// server/commands/multi_pop.h: what LMPOP and ZMPOP, and their blocking forms, ask for.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "server/command.h"
#include "server/errors.h"
#include "server/units.h"

namespace server {

template <typename End>
struct MultiPop {
  std::span<const std::string_view> keys;
  End end;
  uint64_t count = 1;
};

// numkeys key [key ...] END [COUNT count], from args[at] on, END as `parse_end` reads it. Nothing: the error
// is written.
template <typename End>
std::optional<MultiPop<End>> parse_multi_pop(CommandContext& c, size_t at,
                                             std::optional<End> (*parse_end)(std::string_view)) {
  const auto fail = [&](std::string_view error) {
    c.reply.error(error);
    return std::nullopt;
  };
  const auto keys = parse_integer(c.args[at]);
  if (!keys || *keys <= 0) return fail("ERR numkeys should be greater than 0");
  const size_t first = at + 1;
  if (static_cast<uint64_t>(*keys) >= c.args.size() - first) return fail(kSyntaxError);
  const size_t where = first + static_cast<size_t>(*keys);
  const auto end = parse_end(c.args[where]);
  if (!end) return fail(kSyntaxError);
  MultiPop<End> what{c.args.subspan(first, where - first), *end};
  if (where + 1 == c.args.size()) return what;
  if (!equals_ignoring_case(c.args[where + 1], "count") || where + 2 == c.args.size())
    return fail(kSyntaxError);
  const auto count = parse_integer(c.args[where + 2]);
  if (!count || *count <= 0) return fail("ERR count should be greater than 0");
  if (where + 3 != c.args.size()) return fail(kSyntaxError);
  what.count = static_cast<uint64_t>(*count);
  return what;
}

}  // namespace server
