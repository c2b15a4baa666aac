#include "server/units.h"

#include <algorithm>
#include <cerrno>
#include <cfloat>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace server {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// Redis gives up on longer ones before it looks at them.
constexpr size_t kLongDoubleTextMax = 5 * 1024 - 1;

template <typename T>
std::optional<T> parse_canonical(std::string_view text) {
  const size_t sign = !text.empty() && text[0] == '-' ? 1 : 0;
  if (text.size() == sign || !is_digit(text[sign])) return std::nullopt;
  if (text[sign] == '0' && text.size() > 1) return std::nullopt;
  T value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// strtod and strtold want a terminated copy; what they find must be all of it.
template <typename T>
std::optional<T> parse_float(std::string_view text, T (*convert)(const char*, char**)) {
  if (text.empty() || text.size() > kLongDoubleTextMax || is_blank(text[0])) return std::nullopt;
  const std::string copy(text);
  char* end = nullptr;
  errno = 0;
  const T value = convert(copy.c_str(), &end);
  if (end != copy.c_str() + copy.size() || std::isnan(value)) return std::nullopt;
  // A denormal also reports ERANGE, and is a number all the same.
  if (errno == ERANGE && (std::isinf(value) || value == 0)) return std::nullopt;
  return value;
}

}  // namespace

std::optional<int64_t> parse_integer(std::string_view text) { return parse_canonical<int64_t>(text); }
std::optional<uint64_t> parse_unsigned(std::string_view text) { return parse_canonical<uint64_t>(text); }

std::optional<int64_t> parse_lax_integer(std::string_view text) {
  while (!text.empty() && is_blank(text[0])) text.remove_prefix(1);
  if (text.empty()) return 0;
  if (text[0] == '+') {
    text.remove_prefix(1);
    if (text.empty() || !is_digit(text[0])) return std::nullopt;
  }
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<uint64_t> parse_memory(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  const std::string unit = lower(text.substr(static_cast<size_t>(end - text.data())));
  uint64_t factor = 0;
  if (unit.empty() || unit == "b") factor = 1;
  if (unit == "k") factor = 1000;
  if (unit == "kb") factor = 1024;
  if (unit == "m") factor = 1000 * 1000;
  if (unit == "mb") factor = 1024 * 1024;
  if (unit == "g") factor = 1000 * 1000 * 1000;
  if (unit == "gb") factor = 1024 * 1024 * 1024;
  if (factor == 0 || value > UINT64_MAX / factor) return std::nullopt;
  return value * factor;
}

std::string format_memory(uint64_t bytes) {
  constexpr struct {
    uint64_t bytes;
    const char* name;
  } kUnits[] = {{1 << 30, "gb"}, {1 << 20, "mb"}, {1 << 10, "kb"}};
  for (const auto& unit : kUnits) {
    if (bytes != 0 && bytes % unit.bytes == 0) return std::to_string(bytes / unit.bytes) + unit.name;
  }
  return std::to_string(bytes);
}

std::optional<double> parse_double(std::string_view text) { return parse_float<double>(text, std::strtod); }
std::optional<long double> parse_long_double(std::string_view text) {
  return parse_float<long double>(text, std::strtold);
}

std::string format_long_double(long double value) {
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char buffer[LDBL_MAX_10_EXP + 32];
  const int length = std::snprintf(buffer, sizeof buffer, "%.17Lf", value);
  std::string text(buffer, static_cast<size_t>(length));
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text == "-0" ? "0" : text;
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), lower_char);
  return result;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower_char(x) == lower_char(y); });
}

}  // namespace server
