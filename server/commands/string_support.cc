#include "server/commands/string_support.h"

#include <xxhash.h>

#include <cstdio>

#include "server/commands/find_header.h"
#include "server/errors.h"
#include "server/server.h"
#include "server/units.h"

namespace server {

bool find_string(CommandContext& c, std::string_view key, std::optional<Header>* header) {
  return find_header(c, Type::kString, key, header);
}

bool length_allowed(CommandContext& c, uint64_t length) {
  if (length <= static_cast<uint64_t>(c.server.settings().proto_max_bulk_len)) return true;
  c.reply.error("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
  return false;
}

std::string value_digest(std::string_view value) {
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx",
                static_cast<unsigned long long>(XXH3_64bits(value.data(), value.size())));
  return digits;
}

bool ValueCondition::take(std::span<const std::string_view> args, size_t* at) {
  static constexpr struct {
    std::string_view word;
    Kind kind;
  } kWords[] = {{"ifeq", Kind::kEqual},
                {"ifne", Kind::kNotEqual},
                {"ifdeq", Kind::kDigestEqual},
                {"ifdne", Kind::kDigestNotEqual}};
  if (kind != Kind::kNone || *at + 1 >= args.size()) return false;
  for (const auto& [word, its_kind] : kWords) {
    if (!equals_ignoring_case(args[*at], word)) continue;
    kind = its_kind;
    operand = args[*at + 1];
    *at += 2;
    return true;
  }
  return false;
}

bool ValueCondition::holds(const std::optional<std::string_view>& value) const {
  switch (kind) {
    case Kind::kNone: return true;
    case Kind::kEqual: return value && *value == operand;
    case Kind::kNotEqual: return !value || *value != operand;
    case Kind::kDigestEqual: return value && equals_ignoring_case(value_digest(*value), operand);
    case Kind::kDigestNotEqual: return !value || !equals_ignoring_case(value_digest(*value), operand);
  }
  return false;
}

}  // namespace server
