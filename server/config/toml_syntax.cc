// TOML, by toml++. The only file that includes it: it costs seconds to compile.
#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
// It asserts what not every file bears out ("[ }"). That is an error of the file, not the end of the process.
struct TomlUnexpected {};
[[noreturn]] inline void toml_unexpected() { throw TomlUnexpected(); }
#define TOML_ASSERT(expression)           \
  do {                                    \
    if (!(expression)) toml_unexpected(); \
  } while (false)
#include <toml++/toml.h>

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "server/config/entry.h"
#include "server/units.h"

namespace server {
namespace {

// toml++ counts lines and characters from 1; we cut bytes.
class Positions {
 public:
  explicit Positions(std::string_view text) : text_(text), line_starts_{0} {
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '\n') line_starts_.push_back(i + 1);
    }
  }
  size_t byte_of(const toml::source_position& position) const {
    const size_t line = std::min<size_t>(position.line - 1, line_starts_.size() - 1);
    size_t at = line_starts_[line];
    for (toml::source_index column = 1; column < position.column && at < text_.size(); ++column) {
      ++at;
      while (at < text_.size() && (static_cast<unsigned char>(text_[at]) & 0xc0) == 0x80) ++at;
    }
    return std::min(at, text_.size());
  }

 private:
  std::string_view text_;
  std::vector<size_t> line_starts_;
};

std::string octal_digits(int64_t number) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%llo", static_cast<unsigned long long>(number));
  return buffer;
}

// A scalar as one word of redis.conf; nothing for what has no such form (dates, tables).
std::optional<std::string> word_of(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* flag = node.as_boolean()) return flag->get() ? "yes" : "no";
  if (const auto* number = node.as_integer()) {
    // 0o700 is the mode 700.
    const bool is_octal = (number->flags() & toml::value_flags::format_as_octal) != toml::value_flags::none;
    return is_octal ? octal_digits(number->get()) : std::to_string(number->get());
  }
  if (const auto* number = node.as_floating_point()) {
    char buffer[64];
    const auto end = std::to_chars(buffer, buffer + sizeof buffer, number->get()).ptr;
    return std::string(buffer, end);
  }
  return std::nullopt;
}

engine::Status refusal(const Entry& entry, const std::string& why) {
  return {engine::Code::kInvalid, entry.place() + ": '" + entry.name + "' " + why};
}

// Nothing where toml++ does not know what it has before it.
std::optional<toml::parse_result> parsed_by_library(std::string_view text, const std::string& source) {
  try {
    return toml::parse(text, source);
  } catch (const TomlUnexpected&) {
    return std::nullopt;
  }
}

// The first line with which it does not.
int line_of_the_unexpected(std::string_view text, const std::string& source) {
  int line = 1;
  for (size_t end = text.find('\n'); end != text.npos; end = text.find('\n', end + 1), ++line)
    if (!parsed_by_library(text.substr(0, end + 1), source)) break;
  return line;
}

}  // namespace

engine::Result<std::vector<Entry>> parse_toml(std::string_view text, const std::string& source) {
  const std::optional<toml::parse_result> outcome = parsed_by_library(text, source);
  if (!outcome) {
    return engine::Status(engine::Code::kInvalid, source + ":" +
                                                      std::to_string(line_of_the_unexpected(text, source)) +
                                                      ": a value was expected here, and this is none");
  }
  const toml::parse_result& parsed = *outcome;
  if (!parsed) {
    return engine::Status(engine::Code::kInvalid, source + ":" +
                                                      std::to_string(parsed.error().source().begin.line) +
                                                      ": " + std::string(parsed.error().description()));
  }
  const Positions positions(text);
  std::vector<Entry> entries;
  for (const auto& [key, node] : parsed.table()) {
    Entry entry;
    entry.name = lower(key.str());
    entry.source = source;
    entry.line = static_cast<int>(key.source().begin.line);
    entry.begin = positions.byte_of(key.source().begin);
    entry.value_begin = positions.byte_of(node.source().begin);
    entry.end = positions.byte_of(node.source().end);
    if (node.is_table() || node.is_array_of_tables()) {
      return refusal(entry, "is a table; settings stand at the top level, as name = value");
    }
    if (const toml::array* array = node.as_array()) {
      entry.is_array = true;
      for (const toml::node& element : *array) {
        std::optional<std::string> word = word_of(element);
        if (!word) return refusal(entry, "has an element that is no string, number or boolean");
        entry.words.push_back(std::move(*word));
      }
    } else {
      std::optional<std::string> word = word_of(node);
      if (!word) return refusal(entry, "is no string, number, boolean or array");
      entry.words.push_back(std::move(*word));
    }
    entries.push_back(std::move(entry));
  }
  // toml++ sorts by key; people wrote in an order.
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.begin < b.begin; });
  return entries;
}

std::string quote_toml(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += {'\\', c};
    } else if (byte < 0x20 || byte == 0x7f) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", byte);
      quoted += escape;
    } else {
      quoted.push_back(c);
    }
  }
  return quoted + "\"";
}

}  // namespace server
