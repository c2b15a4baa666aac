#include "server/command_syntax.h"

#include <algorithm>
#include <iterator>

#include "server/units.h"

namespace server {

namespace {

constexpr std::string_view kTypeNames[] = {"string",    "integer",    "double", "key",  "pattern",
                                           "unix-time", "pure-token", "oneof",  "block"};
constexpr std::string_view kEndOfWord = " []()|{}=:#@~*.'";

std::optional<Argument::Type> type_of(std::string_view name) {
  if (name == "token") return Argument::Type::kPureToken;
  const auto* found = std::find(std::begin(kTypeNames), std::end(kTypeNames), name);
  if (found == std::end(kTypeNames) || name == "pure-token" || name == "oneof" || name == "block") return {};
  return static_cast<Argument::Type>(found - std::begin(kTypeNames));
}

class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  // Arguments parted by `separator`, up to `end` (empty: to the end of the text).
  bool list(std::string_view separator, std::string_view end, std::vector<Argument>* out) {
    do {
      if (!argument(&out->emplace_back())) return false;
    } while (take(separator));
    return end.empty() ? rest_.empty() : take(end);
  }

 private:
  bool take(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }

  bool word(std::string_view* out) {
    const bool quoted = take("'");
    const size_t size = quoted ? rest_.find('\'') : std::min(rest_.find_first_of(kEndOfWord), rest_.size());
    if (size == (quoted ? std::string_view::npos : 0)) return false;
    *out = rest_.substr(0, size);
    rest_.remove_prefix(quoted ? size + 1 : size);
    return true;
  }

  // Digits with dots between them; what follows may be "...".
  bool version(std::string_view* out) {
    const auto digit = [this](size_t i) { return i < rest_.size() && rest_[i] >= '0' && rest_[i] <= '9'; };
    size_t size = 0;
    while (digit(size) || (size > 0 && digit(size + 1) && rest_[size] == '.')) ++size;
    *out = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return size > 0;
  }

  bool argument(Argument* out) {
    out->optional = take("[");
    if (!head(out)) return false;
    if (take("(")) {
      out->type = Argument::Type::kOneOf;
      if (!list(" | ", ")", &out->arguments)) return false;
    } else if (take("{")) {
      out->type = Argument::Type::kBlock;
      if (!list(" ", "}", &out->arguments)) return false;
    }
    if (take("*...")) out->multiple = out->multiple_token = true;
    if (take("...")) out->multiple = true;
    return !out->optional || take("]");
  }

  bool head(Argument* out) {
    std::string_view name;
    if (!word(&name)) return false;
    if (take("=")) {
      out->token = name;
      if (!word(&name)) return false;
    }
    if (name.empty()) return false;
    out->name = name;
    bool typed = false;
    if (take(":")) {
      std::string_view type;
      if (!word(&type)) return false;
      const auto found = type_of(type);
      if (!found) return false;
      out->type = *found;
      typed = true;
    }
    if (take("#")) {
      std::string_view digit;
      if (!word(&digit) || digit.size() != 1 || digit[0] < '0' || digit[0] > '9') return false;
      out->key_spec = digit[0] - '0';
      if (!typed) out->type = Argument::Type::kKey;
      typed = true;
    }
    if (!typed && !out->token && in_capitals(name)) {
      out->type = Argument::Type::kPureToken;
      out->token = name;
      out->name = lower(name);
    }
    if (take("@") && !version(&out->since)) return false;
    return !take("~") || version(&out->deprecated_since);
  }

  static bool in_capitals(std::string_view name) {
    return std::none_of(name.begin(), name.end(), [](char c) { return c >= 'a' && c <= 'z'; });
  }

  std::string_view rest_;
};

}  // namespace

std::optional<std::vector<Argument>> read_synopsis(std::string_view synopsis) {
  std::vector<Argument> arguments;
  if (!Reader(synopsis).list(" ", "", &arguments)) return std::nullopt;
  return arguments;
}

namespace {

void append_list(const std::vector<Argument>& arguments, std::string_view separator, std::string* out);

// The value alone, without its token, brackets and repetition.
void append_value(const Argument& argument, std::string* out) {
  if (argument.type == Argument::Type::kOneOf) {
    append_list(argument.arguments, "|", out);
  } else if (argument.type == Argument::Type::kBlock) {
    append_list(argument.arguments, " ", out);
  } else if (argument.type == Argument::Type::kPureToken) {
    out->append(argument.token.value_or(argument.name));
  } else {
    out->append(argument.name);
  }
}

void append_argument(const Argument& argument, std::string* out) {
  std::string value;
  append_value(argument, &value);
  std::string whole;
  if (argument.token && argument.type != Argument::Type::kPureToken) {
    whole.append(*argument.token).append(" ");
  }
  // What stands in brackets, or holds one of several required words, needs no others around it.
  const bool braces = argument.type == Argument::Type::kOneOf && (!argument.optional || !whole.empty());
  whole.append(braces ? "<" : "").append(value).append(braces ? ">" : "");
  if (argument.multiple) {
    whole += " [" + (argument.multiple_token ? whole : value) + " ...]";
  }
  out->append(argument.optional ? "[" : "").append(whole).append(argument.optional ? "]" : "");
}

void append_list(const std::vector<Argument>& arguments, std::string_view separator, std::string* out) {
  bool first = true;
  for (const Argument& argument : arguments) {
    if (!first) out->append(separator);
    first = false;
    append_argument(argument, out);
  }
}

}  // namespace

std::string synopsis_text(const std::vector<Argument>& arguments) {
  std::string text;
  append_list(arguments, " ", &text);
  return text;
}

std::string_view type_name(Argument::Type type) { return kTypeNames[static_cast<int>(type)]; }

}  // namespace server
