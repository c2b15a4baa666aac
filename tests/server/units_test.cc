#include "server/units.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>

using namespace server;  // NOLINT(google-build-using-namespace)

TEST_SUITE("server/units") {
  TEST_CASE("an integer has one spelling, and only that is read") {
    CHECK(parse_integer("0") == 0);
    CHECK(parse_integer("-1") == -1);
    CHECK(parse_integer("9223372036854775807") == INT64_MAX);
    CHECK(parse_integer("-9223372036854775808") == INT64_MIN);
    for (const char* text :
         {"", "-", "-0", "00", "01", "-01", "+1", " 1", "1 ", "1x", "x", "0x10", "1.0", "1e3",
          "9223372036854775808", "-9223372036854775809", "99999999999999999999999"}) {
      CAPTURE(text);
      CHECK_FALSE(parse_integer(text).has_value());
    }
    CHECK_FALSE(parse_integer(std::string_view("1\0", 2)).has_value());
  }

  TEST_CASE("an unsigned integer reaches 2^64 - 1 and has no sign") {
    CHECK(parse_unsigned("18446744073709551615") == UINT64_MAX);
    CHECK(parse_unsigned("0") == 0);
    for (const char* text : {"", "-", "-1", "-0", "01", "18446744073709551616"}) {
      CAPTURE(text);
      CHECK_FALSE(parse_unsigned(text).has_value());
    }
  }

  TEST_CASE("a lax integer is what strtoll takes whole") {
    CHECK(parse_lax_integer("") == 0);
    CHECK(parse_lax_integer(" \t+007") == 7);
    CHECK(parse_lax_integer("-12") == -12);
    for (const char* text : {"1 ", "+-1", "+", "--1", "x", "9223372036854775808"}) {
      CAPTURE(text);
      CHECK_FALSE(parse_lax_integer(text).has_value());
    }
  }

  TEST_CASE("memory units: k is 1000, kb is 1024, in any case") {
    CHECK(parse_memory("123") == 123);
    CHECK(parse_memory("123b") == 123);
    CHECK(parse_memory("1k") == 1000);
    CHECK(parse_memory("1Kb") == 1024);
    CHECK(parse_memory("3m") == 3'000'000);
    CHECK(parse_memory("3MB") == 3 << 20);
    CHECK(parse_memory("2g") == 2'000'000'000);
    CHECK(parse_memory("2gB") == uint64_t{2} << 30);
    CHECK(parse_memory("18446744073709551615") == UINT64_MAX);
    for (const char* text : {"", "mb", "-1", "+1", " 1", "1 mb", "1.5gb", "1tb", "1bb",
                             "18446744073709551616", "99999999999gb", "20000000000gb"}) {
      CAPTURE(text);
      CHECK_FALSE(parse_memory(text).has_value());
    }
  }

  TEST_CASE("memory is written in the greatest unit that divides it") {
    CHECK(format_memory(0) == "0");
    CHECK(format_memory(1000) == "1000");
    CHECK(format_memory(1024) == "1kb");
    CHECK(format_memory(268435456) == "256mb");
    CHECK(format_memory(uint64_t{3} << 30) == "3gb");
    CHECK(format_memory((uint64_t{3} << 30) + 1024) == "3145729kb");
  }

  TEST_CASE("doubles are what strtod takes whole, but no blanks, no NaN and nothing out of range") {
    CHECK(parse_double("3.25") == 3.25);
    CHECK(parse_double("+.5e1") == 5.0);
    CHECK(parse_double("0x10") == 16.0);
    CHECK(parse_double("-inf") == -std::numeric_limits<double>::infinity());
    CHECK(parse_double("Infinity") == std::numeric_limits<double>::infinity());
    CHECK(parse_double("4.9406564584124654e-324") == std::numeric_limits<double>::denorm_min());
    CHECK(parse_long_double("1e4000") == 1e4000L);
    for (const char* text : {"", " 1", "1 ", "1x", "nan", "-nan", "1e400", "-1e400", "1e-400", "1,5"}) {
      CAPTURE(text);
      CHECK_FALSE(parse_double(text).has_value());
    }
    for (const char* text : {"", " 1", "1 ", "nan", "1e5000", "1e-5000"}) {
      CAPTURE(text);
      CHECK_FALSE(parse_long_double(text).has_value());
    }
    CHECK_FALSE(parse_double(std::string_view("1\0", 2)).has_value());
    CHECK_FALSE(parse_long_double(std::string(6000, '1')).has_value());
  }

  TEST_CASE("a long double is written without exponent and without trailing zeros") {
    CHECK(format_long_double(10.5L) == "10.5");
    CHECK(format_long_double(5000.0L) == "5000");
    CHECK(format_long_double(5.0e3L + 200) == "5200");
    CHECK(format_long_double(0.1L + 0.2L) == "0.3");
    CHECK(format_long_double(-0.0L) == "0");
    CHECK(format_long_double(-1e-30L) == "0");
    CHECK(format_long_double(1e27L) == "1000000000000000000000000000");
    CHECK(format_long_double(-std::numeric_limits<long double>::infinity()) == "-inf");
    CHECK(format_long_double(std::numeric_limits<long double>::max()).size() == 4933);
  }

  TEST_CASE("case is ASCII's alone") {
    CHECK(lower("GeT\xc3\x84[") == "get\xc3\x84[");
    CHECK(equals_ignoring_case("Slave-Priority", "slave-priority"));
    CHECK_FALSE(equals_ignoring_case("a", "ab"));
    CHECK_FALSE(equals_ignoring_case("[", "{"));
  }
}
