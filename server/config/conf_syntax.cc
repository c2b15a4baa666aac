// redis.conf syntax.
#include <cctype>

#include "server/config/entry.h"
#include "server/units.h"

namespace server {
namespace {

bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char l = lower_char(c);
  return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

// Reads the rest of a word in double quotes from `at`, just behind the opening one, to behind the closing
// one.
bool read_double_quoted(std::string_view line, size_t& at, std::string& word) {
  for (; at < line.size(); ++at) {
    const char c = line[at];
    if (c == '"') {
      ++at;
      return at == line.size() || is_blank(line[at]);
    }
    if (c != '\\' || at + 1 == line.size()) {
      word.push_back(c);
      continue;
    }
    const char next = line[++at];
    if (next == 'x' && at + 2 < line.size() && hex_value(line[at + 1]) >= 0 && hex_value(line[at + 2]) >= 0) {
      word.push_back(static_cast<char>(hex_value(line[at + 1]) * 16 + hex_value(line[at + 2])));
      at += 2;
      continue;
    }
    constexpr std::string_view kLetters = "nrtba";
    constexpr std::string_view kMeanings = "\n\r\t\b\a";
    const size_t known = kLetters.find(next);
    word.push_back(known == std::string_view::npos ? next : kMeanings[known]);
  }
  return false;
}

bool read_single_quoted(std::string_view line, size_t& at, std::string& word) {
  for (; at < line.size(); ++at) {
    if (line[at] == '\'') {
      ++at;
      return at == line.size() || is_blank(line[at]);
    }
    if (line[at] == '\\' && at + 1 < line.size() && line[at + 1] == '\'') ++at;
    word.push_back(line[at]);
  }
  return false;
}

}  // namespace

std::string Entry::place() const {
  if (line == 0) return "--" + name;
  return source + ":" + std::to_string(line);
}

Syntax syntax_of(std::string_view file) {
  return file.empty() || file.ends_with(".conf") ? Syntax::kConf : Syntax::kToml;
}

std::optional<std::vector<std::string>> split_words(std::string_view line) {
  std::vector<std::string> words;
  size_t at = 0;
  for (;;) {
    while (at < line.size() && is_blank(line[at])) ++at;
    if (at == line.size()) return words;
    std::string word;
    // A quote may begin in the middle of a word, and ends it.
    for (bool in_word = true; in_word && at < line.size();) {
      const char c = line[at];
      if (c == ' ' || c == '\n' || c == '\r' || c == '\t') break;
      ++at;
      if (c == '"' || c == '\'') {
        if (!(c == '"' ? read_double_quoted(line, at, word) : read_single_quoted(line, at, word)))
          return std::nullopt;
        in_word = false;
      } else {
        word.push_back(c);
      }
    }
    words.push_back(std::move(word));
  }
}

std::string quote_word(std::string_view word) {
  bool bare = !word.empty() && word[0] != '#';
  for (const char c : word) bare &= c > ' ' && c < 0x7f && c != '"' && c != '\'' && c != '\\';
  if (bare) return std::string(word);
  std::string quoted = "\"";
  for (const char c : word) {
    constexpr std::string_view kBytes = "\n\r\t\b\a\"\\";
    constexpr std::string_view kLetters = "nrtba\"\\";
    const size_t known = kBytes.find(c);
    if (known != std::string_view::npos) {
      quoted.push_back('\\');
      quoted.push_back(kLetters[known]);
    } else if (c >= ' ' && c < 0x7f) {
      quoted.push_back(c);
    } else {
      constexpr char kDigits[] = "0123456789abcdef";
      const auto byte = static_cast<unsigned char>(c);
      quoted += {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return quoted + "\"";
}

engine::Result<std::vector<Entry>> parse_conf(std::string_view text, const std::string& source) {
  std::vector<Entry> entries;
  int line_number = 0;
  for (size_t start = 0; start <= text.size();) {
    const size_t end = std::min(text.find('\n', start), text.size());
    std::string_view line = text.substr(start, end - start);
    const size_t line_start = start;
    start = end + 1;
    ++line_number;
    const size_t first = line.find_first_not_of(" \t\r");
    if (first == std::string_view::npos || line[first] == '#') continue;
    line = line.substr(0, line.find_last_not_of(" \t\r") + 1);

    Entry entry;
    entry.source = source;
    entry.line = line_number;
    entry.begin = line_start + first;
    entry.end = line_start + line.size();
    std::optional<std::vector<std::string>> words = split_words(line);
    if (!words || words->empty()) {
      return engine::Status(engine::Code::kInvalid,
                            entry.place() + ": quotes do not close: " + std::string(line));
    }
    entry.name = lower(words->front());
    words->erase(words->begin());
    entry.words = std::move(*words);
    entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace server
