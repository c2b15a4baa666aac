// server/units.h: how Redis reads and writes numbers in text, for commands and configuration alike.
//
// Each parser takes the whole text or nothing: no blanks around it, no trailing bytes.
// Threads: any; no state. Not here: what range a caller allows.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace server {

// A signed 64-bit decimal in its one canonical form: no plus sign, no leading zeros, no "-0".
std::optional<int64_t> parse_integer(std::string_view text);

// The same for 0 .. 2^64-1 (SCAN cursors, LSNs): decimal digits, no leading zeros.
std::optional<uint64_t> parse_unsigned(std::string_view text);

// What C's strtoll takes whole: leading blanks, a plus sign and leading zeros are fine, nothing at all is 0.
// For the few places where Redis is that lax. Out of range is no number.
std::optional<int64_t> parse_lax_integer(std::string_view text);

// Bytes: digits, then nothing, b, k, kb, m, mb, g or gb in any case; k is 1000 and kb is 1024.
// Stricter than Redis, which reads "" and "mb" as 0 and lets big values wrap around.
std::optional<uint64_t> parse_memory(std::string_view text);

// The shortest exact way to write bytes for parse_memory: 268435456 is "256mb".
std::string format_memory(uint64_t bytes);

// What C's strtod and strtold take, without leading blanks, NaN, and what is too big or too small to hold.
// "inf", "1e3" and "0x10" are numbers.
std::optional<double> parse_double(std::string_view text);
std::optional<long double> parse_long_double(std::string_view text);

// INCRBYFLOAT's form: 17 digits behind the point, without trailing zeros, never an exponent.
std::string format_long_double(long double value);

// ASCII only, whatever the locale.
constexpr char lower_char(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }
std::string lower(std::string_view text);
bool equals_ignoring_case(std::string_view a, std::string_view b);

}  // namespace server
