// Reads and writes the values of each type of parameter. The error texts are Redis's: clients and people know
// them.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <optional>

#include "engine/status.h"
#include "server/config/parameter.h"
#include "server/units.h"

namespace server {
namespace {

using Words = std::span<const std::string>;

std::string octal(int64_t number) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%llo", static_cast<unsigned long long>(number));
  return buffer;
}

std::string out_of_range(const std::string& min, const std::string& max) {
  return "argument must be between " + min + " and " + max + " inclusive";
}

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::string read_bool(const std::string& word, Value& out) {
  const bool yes = equals_ignoring_case(word, "yes");
  if (!yes && !equals_ignoring_case(word, "no")) return "argument must be 'yes' or 'no'";
  out = {yes ? "yes" : "no", yes};
  return {};
}

std::string read_integer(const Parameter& parameter, const std::string& word, Value& out) {
  std::optional<int64_t> number = parse_integer(word);
  if (!number) return "argument couldn't be parsed into an integer";
  if (parameter.flags & kClamped) {
    if (*number < 0 || *number > INT32_MAX) return out_of_range("0", std::to_string(INT32_MAX));
    number = std::clamp(*number, parameter.min, parameter.max);
  }
  if (*number < parameter.min || *number > parameter.max) {
    return out_of_range(std::to_string(parameter.min), std::to_string(parameter.max));
  }
  out = {std::to_string(*number), *number};
  return {};
}

std::string read_octal(const Parameter& parameter, const std::string& word, Value& out) {
  char* end = nullptr;
  errno = 0;
  const long long number = std::strtoll(word.c_str(), &end, 8);
  if (errno != 0 || end != word.c_str() + word.size())
    return "argument couldn't be parsed as an octal number";
  if (number < parameter.min || number > parameter.max) {
    return out_of_range(octal(parameter.min), octal(parameter.max));
  }
  out = {octal(number), number};
  return {};
}

std::string read_memory(const Parameter& parameter, const std::string& word, Value& out) {
  const bool may_be_part = parameter.type == ParameterType::kMemoryOrPart;
  if (may_be_part && word.ends_with('%')) {
    const std::optional<int64_t> percent = parse_integer(std::string_view(word).substr(0, word.size() - 1));
    if (percent && *percent >= 0) {
      if (*percent > -parameter.min) {
        return "percentage argument must be less or equal to " + std::to_string(-parameter.min);
      }
      out = {std::to_string(*percent) + (*percent > 0 ? "%" : ""), -*percent};
      return {};
    }
  }
  // As in Redis, an empty word is 0: `--maxmemory "$LIMIT"` without a limit.
  const std::optional<uint64_t> bytes = word.empty() ? 0 : parse_memory(word);
  if (!bytes)
    return may_be_part ? "argument must be a memory or percent value" : "argument must be a memory value";
  const uint64_t min = may_be_part ? 0 : static_cast<uint64_t>(parameter.min);
  const uint64_t max = static_cast<uint64_t>(parameter.max);
  if (*bytes < min || *bytes > max) return out_of_range(std::to_string(min), std::to_string(max));
  out = {std::to_string(*bytes), static_cast<int64_t>(*bytes)};
  return {};
}

// The words of an enumeration: what is read, and the place of what it stands for.
struct Choice {
  std::string name;
  int64_t place;
};
std::vector<Choice> choices_of(const Parameter& parameter) {
  std::vector<Choice> choices;
  for (const std::string& word : split_at_blanks(parameter.words)) {
    const size_t equals = word.find('=');
    Choice choice{word.substr(0, equals), static_cast<int64_t>(choices.size())};
    if (equals != std::string::npos) {
      for (const Choice& other : choices) {
        if (other.name == word.substr(equals + 1)) choice.place = other.place;
      }
    }
    choices.push_back(choice);
  }
  return choices;
}

std::string wrong_choice(const std::vector<Choice>& choices) {
  std::string text = "argument(s) must be one of the following: ";
  for (const Choice& choice : choices) text += (&choice == choices.data() ? "" : ", ") + choice.name;
  return text;
}

const Choice* find_choice(const std::vector<Choice>& choices, std::string_view word) {
  for (const Choice& choice : choices) {
    if (equals_ignoring_case(choice.name, word)) return &choice;
  }
  return nullptr;
}

std::string read_enum(const Parameter& parameter, const std::string& word, Value& out) {
  const std::vector<Choice> choices = choices_of(parameter);
  const Choice* choice = find_choice(choices, word);
  if (choice == nullptr) return wrong_choice(choices);
  out = {choices[static_cast<size_t>(choice->place)].name, choice->place};
  return {};
}

// The first word means no bit, each further one a bit of its own.
std::string read_flags(const Parameter& parameter, Words words, Value& out) {
  const std::vector<Choice> choices = choices_of(parameter);
  int64_t bits = 0;
  if (words.empty()) return wrong_choice(choices);
  for (const std::string& word : words) {
    const Choice* choice = find_choice(choices, word);
    if (choice == nullptr) return wrong_choice(choices);
    if (choice->place > 0) bits |= int64_t{1} << (choice->place - 1);
  }
  std::vector<std::string> names;
  for (size_t i = 1; i < choices.size(); ++i) {
    if (bits & (int64_t{1} << (i - 1))) names.push_back(choices[i].name);
  }
  out = {names.empty() ? choices[0].name : join(names), bits};
  return {};
}

bool is_one_empty_word(Words words) { return words.size() == 1 && words[0].empty(); }

std::string read_save(Words words, Value& out) {
  constexpr const char* kError = "Invalid save parameters";
  if (is_one_empty_word(words)) words = {};
  if (words.size() % 2 != 0) return kError;
  std::vector<std::string> numbers;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::optional<int64_t> number = parse_lax_integer(words[i]);
    if (!number || *number < (i % 2 == 0 ? 1 : 0)) return kError;
    numbers.push_back(std::to_string(*number));
  }
  out = {join(numbers), 0};
  return {};
}

constexpr const char* kClassNames[] = {"normal", "slave",
                                       "pubsub"};  // By ClientClass, as CONFIG GET shows them.

std::string read_limits(Words words, Value& out) {
  std::array<OutputBufferLimit, 3> limits{};
  if (!out.text.empty()) limits = read_output_limits(out.text);
  if (words.size() % 4 != 0) return "Wrong number of arguments in buffer limit configuration.";
  for (size_t i = 0; i < words.size(); i += 4) {
    const std::string name = lower(words[i]) == "replica" ? "slave" : lower(words[i]);
    size_t c = 0;
    while (c < std::size(kClassNames) && name != kClassNames[c]) ++c;
    if (c == std::size(kClassNames)) return "Invalid client class specified in buffer limit configuration.";
    const std::optional<uint64_t> hard = parse_memory(words[i + 1]);
    const std::optional<uint64_t> soft = parse_memory(words[i + 2]);
    const std::optional<int64_t> seconds = parse_lax_integer(words[i + 3]);
    if (!hard || !soft || !seconds || *seconds < 0 || *seconds > INT32_MAX) {
      return "Error in hard, soft or soft_seconds setting in buffer limit configuration.";
    }
    limits[c] = {*hard, *soft, *seconds};
  }
  std::vector<std::string> parts;
  for (size_t c = 0; c < limits.size(); ++c) {
    parts.insert(parts.end(), {kClassNames[c], std::to_string(limits[c].hard_bytes),
                               std::to_string(limits[c].soft_bytes), std::to_string(limits[c].soft_seconds)});
  }
  out = {join(parts), 0};
  return {};
}

std::string read_oom_values(Words words, Value& out) {
  if (words.size() != 3) return "wrong number of arguments";
  std::vector<std::string> numbers;
  for (const std::string& word : words) {
    const std::optional<int64_t> number = parse_lax_integer(word);
    if (!number || *number < -2000 || *number > 2000) {
      return "Invalid oom-score-adj-values, elements must be between -2000 and 2000.";
    }
    numbers.push_back(std::to_string(*number));
  }
  out = {join(numbers), 0};
  return {};
}

std::string read_events(const std::string& word, Value& out) {
  // In the order of their bits. 'A' stands for those from g to d; n, K, E and m are never part of it.
  constexpr std::string_view kLetters = "KEg$lshzxetmdn";
  constexpr std::string_view kShown = "g$lshzxetdn";
  constexpr std::string_view kAll = "g$lshzxetd";
  const auto bit = [&](char letter) { return int64_t{1} << kLetters.find(letter); };
  int64_t all = 0;
  for (const char letter : kAll) all |= bit(letter);
  int64_t bits = 0;
  for (const char letter : word) {
    if (letter == 'A') {
      bits |= all;
    } else if (kLetters.find(letter) != std::string_view::npos) {
      bits |= bit(letter);
    } else {
      return "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.";
    }
  }
  // As Redis does, 'A' swallows n when it is written back.
  std::string text = (bits & all) == all ? "A" : "";
  if (text.empty()) {
    for (const char letter : kShown) {
      if (bits & bit(letter)) text.push_back(letter);
    }
  }
  for (const char letter : std::string_view("KEm")) {
    if (bits & bit(letter)) text.push_back(letter);
  }
  out = {text, bits};
  return {};
}

std::string read_addresses(Words words, Value& out) {
  if (words.size() > 16) return "Too many bind addresses specified.";
  if (is_one_empty_word(words)) words = {};
  out = {join({words.begin(), words.end()}), 0};
  return {};
}

std::string read_primary(Words words, Value& out) {
  if (words.size() != 2) return "wrong number of arguments";
  if (equals_ignoring_case(words[0], "no") && equals_ignoring_case(words[1], "one")) {
    out = {};
    return {};
  }
  const std::optional<int64_t> port = parse_lax_integer(words[1]);
  if (!port || *port < 0 || *port > 65535) return "Invalid master port";
  out = {words[0] + " " + std::to_string(*port), *port};
  return {};
}

std::string read_percentiles(Words words, Value& out) {
  if (is_one_empty_word(words)) words = {};
  std::vector<std::string> numbers;
  for (const std::string& word : words) {
    const std::optional<double> number = parse_double(word);
    if (!number) return "Invalid latency-tracking-info-percentiles parameters";
    if (*number < 0.0 || *number > 100.0) {
      return "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]";
    }
    char buffer[32];
    std::snprintf(buffer, sizeof buffer, "%f", *number);
    std::string text = buffer;
    text.erase(text.find_last_not_of('0') + 1);
    if (text.ends_with('.')) text.pop_back();
    numbers.push_back(text);
  }
  out = {join(numbers), 0};
  return {};
}

std::string read_by_type(const Parameter& parameter, Words words, Value& out) {
  switch (parameter.type) {
    case ParameterType::kBool: return read_bool(words[0], out);
    case ParameterType::kInteger: return read_integer(parameter, words[0], out);
    case ParameterType::kOctal: return read_octal(parameter, words[0], out);
    case ParameterType::kMemory:
    case ParameterType::kMemoryOrPart: return read_memory(parameter, words[0], out);
    case ParameterType::kEnum: return read_enum(parameter, words[0], out);
    case ParameterType::kString:
    case ParameterType::kDirectory: out = {words[0], 0}; return {};
    case ParameterType::kFlags: return read_flags(parameter, words, out);
    case ParameterType::kSave: return read_save(words, out);
    case ParameterType::kOutputLimits: return read_limits(words, out);
    case ParameterType::kOomValues: return read_oom_values(words, out);
    case ParameterType::kEvents: return read_events(words[0], out);
    case ParameterType::kAddresses: return read_addresses(words, out);
    case ParameterType::kPrimary: return read_primary(words, out);
    case ParameterType::kPercentiles: return read_percentiles(words, out);
  }
  return {};
}

}  // namespace

bool Parameter::takes_words() const {
  switch (type) {
    case ParameterType::kFlags:
    case ParameterType::kSave:
    case ParameterType::kOutputLimits:
    case ParameterType::kOomValues:
    case ParameterType::kAddresses:
    case ParameterType::kPrimary:
    case ParameterType::kPercentiles: return true;
    default: return false;
  }
}

std::string read_value(const Parameter& parameter, Words words, Value& out) {
  INVARIANT(parameter.takes_words() || words.size() == 1);
  Value value = out;
  if (std::string error = read_by_type(parameter, words, value); !error.empty()) return error;
  if (parameter.refuse != nullptr) {
    if (const char* error = parameter.refuse(value.text)) return error;
  }
  out = std::move(value);
  return {};
}

Value initial_value(const Parameter& parameter) {
  Value value;
  if (parameter.type == ParameterType::kPrimary) return value;
  const std::vector<std::string> words = parameter.takes_words()
                                             ? split_at_blanks(parameter.initial)
                                             : std::vector<std::string>{parameter.initial};
  const std::string error = read_value(parameter, words, value);
  if (!error.empty()) std::fprintf(stderr, "the default of %s: %s\n", parameter.name, error.c_str());
  INVARIANT(error.empty());
  return value;
}

std::vector<std::string> split_at_blanks(std::string_view text) {
  std::vector<std::string> words;
  if (text.empty()) return words;
  for (;;) {
    const size_t blank = text.find(' ');
    words.emplace_back(text.substr(0, blank));
    if (blank == std::string_view::npos) return words;
    text.remove_prefix(blank + 1);
  }
}

std::array<OutputBufferLimit, 3> read_output_limits(std::string_view text) {
  std::array<OutputBufferLimit, 3> limits{};
  const std::vector<std::string> words = split_at_blanks(text);
  INVARIANT(words.size() == 4 * limits.size());
  for (size_t c = 0; c < limits.size(); ++c) {
    limits[c] = {*parse_memory(words[4 * c + 1]), *parse_memory(words[4 * c + 2]),
                 *parse_integer(words[4 * c + 3])};
  }
  return limits;
}

}  // namespace server
