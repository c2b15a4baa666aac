#include "resp/reply_writer.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>

namespace resp {
namespace {

template <typename Write>
std::string written(Version version, Write write) {
  OutputBuffer out;
  ReplyWriter writer(out, version);
  write(writer);
  return out.to_string();
}

template <typename Write>
std::string in2(Write write) {
  return written(Version::kResp2, write);
}
template <typename Write>
std::string in3(Write write) {
  return written(Version::kResp3, write);
}

std::string text_of(double x) {
  char text[kNumberBytesMax];
  return std::string(text, format_number(x, text));
}

}  // namespace

TEST_SUITE("resp/reply_writer") {
  TEST_CASE("strings, errors and integers are alike in both versions") {
    const auto write = [](ReplyWriter& w) {
      w.ok();
      w.simple("PONG");
      w.error("ERR syntax error");
      w.integer(0);
      w.integer(-9223372036854775807 - 1);
      w.bulk("");
      w.bulk("a\r\nb");
      w.bulk_integer(-12);
    };
    CHECK(in2(write) ==
          "+OK\r\n+PONG\r\n-ERR syntax "
          "error\r\n:0\r\n:-9223372036854775808\r\n$0\r\n\r\n$4\r\na\r\nb\r\n$3\r\n-12\r\n");
    CHECK(in3(write) == in2(write));
  }

  TEST_CASE("a line end inside an error or a simple string is written as blanks") {
    CHECK(in2([](ReplyWriter& w) { w.error("ERR expected '$', got '\r'\n"); }) ==
          "-ERR expected '$', got ' ' \r\n");
    CHECK(in2([](ReplyWriter& w) { w.simple("a\r\nb"); }) == "+a  b\r\n");
  }

  TEST_CASE("RESP3's own types take RESP2's forms where the client speaks RESP2") {
    struct Case {
      void (*write)(ReplyWriter&);
      const char* resp2;
      const char* resp3;
    };
    const Case cases[] = {
        {[](ReplyWriter& w) { w.null(); }, "$-1\r\n", "_\r\n"},
        {[](ReplyWriter& w) { w.null_array(); }, "*-1\r\n", "_\r\n"},
        {[](ReplyWriter& w) { w.array(12); }, "*12\r\n", "*12\r\n"},
        {[](ReplyWriter& w) { w.map(7); }, "*14\r\n", "%7\r\n"},
        {[](ReplyWriter& w) { w.set(3); }, "*3\r\n", "~3\r\n"},
        {[](ReplyWriter& w) { w.push(3); }, "*3\r\n", ">3\r\n"},
        {[](ReplyWriter& w) { w.number(1.5); }, "$3\r\n1.5\r\n", ",1.5\r\n"},
        {[](ReplyWriter& w) { w.number(-INFINITY); }, "$4\r\n-inf\r\n", ",-inf\r\n"},
        {[](ReplyWriter& w) { w.number_text("13.361"); }, "$6\r\n13.361\r\n", ",13.361\r\n"},
        {[](ReplyWriter& w) { w.boolean(true); }, ":1\r\n", "#t\r\n"},
        {[](ReplyWriter& w) { w.boolean(false); }, ":0\r\n", "#f\r\n"},
        {[](ReplyWriter& w) { w.big_number("-123456789012345678901"); }, "$22\r\n-123456789012345678901\r\n",
         "(-123456789012345678901\r\n"},
        {[](ReplyWriter& w) { w.verbatim("txt", "a\nb"); }, "$3\r\na\nb\r\n", "=7\r\ntxt:a\nb\r\n"},
        {[](ReplyWriter& w) { w.close(w.open_array(), 0); }, "*0\r\n", "*0\r\n"},
        {[](ReplyWriter& w) { w.close(w.open_map(), 100); }, "*200\r\n", "%100\r\n"},
        {[](ReplyWriter& w) { w.close(w.open_set(), 5); }, "*5\r\n", "~5\r\n"},
    };
    for (const Case& c : cases) {
      CHECK(in2(c.write) == c.resp2);
      CHECK(in3(c.write) == c.resp3);
    }
    CHECK(in3([](ReplyWriter& w) { w.attribute(2); }) == "|2\r\n");
  }

  TEST_CASE("numbers have the text of Redis 7.0") {
    CHECK(text_of(0) == "0");
    CHECK(text_of(-0.0) == "-0");
    CHECK(text_of(3) == "3");
    CHECK(text_of(-42) == "-42");
    CHECK(text_of(3.14) == "3.1400000000000001");
    CHECK(text_of(0.1) == "0.10000000000000001");
    CHECK(text_of(0.5) == "0.5");
    CHECK(text_of(1e15) == "1000000000000000");
    CHECK(text_of(1e16) == "10000000000000000");
    CHECK(text_of(1e17) == "1e+17");
    CHECK(text_of(123456789012345678.0) == "1.2345678901234568e+17");
    CHECK(text_of(-1.7976931348623157e308) == "-1.7976931348623157e+308");
    CHECK(text_of(std::numeric_limits<double>::denorm_min()) == "4.9406564584124654e-324");
    CHECK(text_of(INFINITY) == "inf");
    CHECK(text_of(-INFINITY) == "-inf");
    CHECK(text_of(std::nan("")) == "nan");
    CHECK(text_of(-std::nan("")) == "nan");
  }

  TEST_CASE("an array whose length comes later may be long and nested") {
    const std::string bytes = in3([](ReplyWriter& w) {
      w.ok();
      const ReplyWriter::Open outer = w.open_array();
      for (int i = 0; i < 10'000; ++i) w.bulk("element");
      const ReplyWriter::Open inner = w.open_map();
      w.bulk("k");
      w.integer(1);
      w.close(inner, 1);
      w.close(outer, 10'001);
      w.ok();
    });
    std::string expected = "+OK\r\n*10001\r\n";
    for (int i = 0; i < 10'000; ++i) expected += "$7\r\nelement\r\n";
    CHECK(bytes == expected + "%1\r\n$1\r\nk\r\n:1\r\n+OK\r\n");
  }

  TEST_CASE("rollback() forgets a reply that had begun, also in the middle of an open array") {
    OutputBuffer out;
    ReplyWriter writer(out);
    writer.ok();
    const uint64_t mark = writer.mark();
    writer.open_array();
    for (int i = 0; i < 5'000; ++i) writer.bulk("element");
    writer.rollback(mark);
    writer.integer(7);
    CHECK(out.to_string() == "+OK\r\n:7\r\n");
  }

  TEST_CASE("bulk strings of every size around the places where chunks end come out whole") {
    for (const size_t size : {1000, 1023, 1024, 1025, 4095, 4096, 16'300, 16'384, 16'385, 100'000}) {
      CAPTURE(size);
      const std::string value(size, 'v');
      const std::string one = "$" + std::to_string(size) + "\r\n" + value + "\r\n";
      const std::string bytes = in2([&](ReplyWriter& w) {
        for (int i = 0; i < 20; ++i) {
          w.bulk(std::string_view(value));
          w.bulk(std::string(value));
        }
      });
      std::string expected;
      for (int i = 0; i < 40; ++i) expected += one;
      CHECK((bytes == expected));
    }
  }
}
}  // namespace resp
