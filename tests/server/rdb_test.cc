#include <doctest/doctest.h>

#include <deque>
#include <string>

#include "engine/sim.h"
#include "server/rdb/file_reader.h"
#include "server/rdb/lzf.h"
#include "server/rdb/payload.h"
#include "server/rdb/value_reader.h"
#include "tests/server/rdb_corpus.h"
#include "tests/server/sim_server.h"

using namespace server;
using namespace rdb_corpus;

namespace {

std::vector<Named> whole_corpus() {
  std::vector<Named> all = of_redis();
  for (Named& one : other_forms()) all.push_back(std::move(one));
  return all;
}

// What a value holds, as one line of text; the damage if there is some.
std::string read_value(rdb::Input& in, rdb::ValueReader& reader, const std::function<bool()>& feed) {
  std::string seen;
  rdb::Item item;
  for (;;) {
    switch (reader.next(in, &item)) {
      case rdb::Step::kMore: REQUIRE(feed()); break;
      case rdb::Step::kEnd: return seen;
      case rdb::Step::kDamaged: return in.damage().message();
      case rdb::Step::kItem:
        seen += std::to_string(static_cast<int>(item.kind)) + ":" + std::string(item.name) + "," +
                std::string(item.value) + "," + std::to_string(item.score) + "," +
                std::to_string(item.expiry_ms) + "," + std::to_string(item.id.ms) + "-" +
                std::to_string(item.id.seq) + "," + std::to_string(item.count);
        for (const std::string_view field : item.fields) seen += "," + std::string(field);
        seen += "; ";
    }
  }
}

std::string read_payload(const std::string& payload) {
  const auto body = rdb::verified_payload(payload);
  if (!body) return "not verified";
  if (body->empty() || !rdb::ValueReader::type_of(static_cast<uint8_t>((*body)[0]))) return "no type";
  rdb::Input in(body->substr(1), rdb::kPayloadBytesMax);
  rdb::ValueReader reader;
  reader.begin(static_cast<rdb::ValueType>((*body)[0]));
  return read_value(in, reader, [] { return false; });
}

std::string restored(SimServer& server, const Named& one, const std::vector<std::string>& question) {
  CAPTURE(one.name);
  CHECK(server.text({"RESTORE", "k", "0", one.bytes, "REPLACE"}) == "OK");
  return server.text(question);
}

const Named& named(const std::vector<Named>& all, std::string_view name) {
  for (const Named& one : all)
    if (one.name == name) return one;
  FAIL("no such payload");
  return all[0];
}

}  // namespace

TEST_SUITE("server/rdb") {
  TEST_CASE("the checksum is Redis's") {
    CHECK(rdb::crc64(0, "123456789") == 0xe9c6d914c4b8d9ca);
    const std::string text = "This is a test of the emergency broadcast system.";
    for (size_t cut = 0; cut <= text.size(); ++cut)
      CHECK(rdb::crc64(rdb::crc64(0, text.substr(0, cut)), text.substr(cut)) == rdb::crc64(0, text));
  }

  TEST_CASE("LZF expands to exactly what was announced or not at all") {
    std::string out;
    CHECK(rdb::lzf_expand(std::string("\x02") + "abc" + "\x80\x02", 9, &out));  // Six bytes from three back.
    CHECK(out == "abcabcabc");
    CHECK_FALSE(rdb::lzf_expand(std::string("\x02") + "abc" + "\x80\x02", 8, &out));
    CHECK_FALSE(rdb::lzf_expand(std::string("\x02") + "abc" + "\x80\x02", 10, &out));
    CHECK_FALSE(
        rdb::lzf_expand(std::string("\x02") + "abc" + "\x80\x03", 9, &out));  // From before the beginning.
    CHECK_FALSE(rdb::lzf_expand(std::string("\x02") + "ab", 3, &out));
    CHECK_FALSE(rdb::lzf_expand(std::string("\xe0"), 9, &out));
    CHECK(rdb::lzf_expand("", 0, &out));
    // What is announced is not allocated: this would be half a gigabyte.
    CHECK_FALSE(rdb::lzf_expand("abc", 512 << 20, &out));
    CHECK(out.capacity() < 1 << 20);
  }

  TEST_CASE("what redis-server dumped is read") {
    const auto all = of_redis();
    SimServer server(1);
    CHECK(restored(server, named(all, "text"), {"GET", "k"}) == "\"hello\"");
    CHECK(restored(server, named(all, "number"), {"GET", "k"}) == "\"12345\"");
    CHECK(restored(server, named(all, "lzf"), {"GET", "k"}) ==
          "\"abcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabc"
          "abcabcabcabcxyz\"");
    CHECK(restored(server, named(all, "list"), {"LRANGE", "k", "0", "4"}) ==
          "[\"a\", \"1\", \"-300\", \"70000\", \"5000000000\"]");
    CHECK(restored(server, named(all, "nodes"), {"LRANGE", "k", "0", "-1"}) ==
          "[\"a\", \"b\", \"c\", \"dddddddddddddddddddd\", \"e\"]");
    CHECK(restored(server, named(all, "intset"), {"SMEMBERS", "k"}) == "[\"-70000\", \"1\", \"2\"]");
    CHECK(restored(server, named(all, "set"), {"SMISMEMBER", "k", "x", "y", "z", "a"}) == "[1, 1, 1, 0]");
    for (const char* name : {"hash", "hashtable"})
      CHECK(restored(server, named(all, name), {"HMGET", "k", "f", "n"}) == "[\"v\", \"17\"]");
    for (const char* name : {"zset", "skiplist"})
      CHECK(restored(server, named(all, name), {"ZRANGE", "k", "0", "-1", "WITHSCORES"}) ==
            "[\"b\", \"-2.5\", \"a\", \"1\", \"c\", \"inf\"]");
    CHECK(restored(server, named(all, "stream"), {"XRANGE", "k", "-", "+"}) ==
          "[[\"1-1\", [\"f\", \"v1\", \"g\", \"1\"]], [\"3-1\", [\"f\", \"v3\", \"g\", \"3\"]], "
          "[\"4-1\", [\"f\", \"v4\", \"g\", \"4\"]], [\"5-1\", [\"f\", \"v5\", \"g\", \"5\"]], "
          "[\"9-9\", [\"other\", \"1\"]]]");
    CHECK(server.text({"XPENDING", "k", "g1"}) ==
          "[2, \"3-1\", \"4-1\", [[\"alice\", \"1\"], [\"bob\", \"1\"]]]");
    CHECK(server.text({"XPENDING", "k", "g2"}) == "[0, nil, nil, nil]");
  }

  TEST_CASE("the forms of older and newer servers are read") {
    const auto all = other_forms();
    SimServer server(2);
    CHECK(restored(server, named(all, "zset of text"), {"ZRANGE", "k", "0", "-1", "WITHSCORES"}) ==
          "[\"c\", \"-inf\", \"a\", \"1.5\", \"b\", \"inf\"]");
    CHECK(restored(server, named(all, "zipmap"), {"HGETALL", "k"}) == "[\"f\", \"vv\", \"g\", \"w\"]");
    CHECK(restored(server, named(all, "list of a ziplist"), {"LRANGE", "k", "0", "-1"}) ==
          "[\"a\", \"-2\", \"ccc\"]");
    CHECK(restored(server, named(all, "zset of a ziplist"), {"ZRANGE", "k", "0", "-1", "WITHSCORES"}) ==
          "[\"a\", \"2\", \"b\", \"2.5\"]");
    CHECK(restored(server, named(all, "hash of a ziplist"), {"HGETALL", "k"}) ==
          "[\"f\", \"v\", \"g\", \"7\"]");
    CHECK(restored(server, named(all, "quicklist"), {"LRANGE", "k", "0", "-1"}) ==
          "[\"a\", \"b\", \"c\", \"5\"]");
    CHECK(restored(server, named(all, "list with a plain node"), {"LRANGE", "k", "0", "-1"}) ==
          "[\"plain\", \"x\", \"y\"]");
    CHECK(restored(server, named(all, "set of a listpack"), {"SMISMEMBER", "k", "x", "y"}) == "[1, 1]");
    CHECK(restored(server, named(all, "hash of which fields expire"),
                   {"HPEXPIRETIME", "k", "FIELDS", "2", "f", "g"}) == "[-1, 4102444800005]");
    CHECK(restored(server, named(all, "listpack of which fields expire"), {"HGETALL", "k"}) == "[]");
  }

  TEST_CASE("how far the groups of an old stream have read is told where its entries tell") {
    SimServer server(2);
    CHECK(restored(server, named(other_forms(), "stream"), {"XRANGE", "k", "-", "+"}) ==
          "[[\"5-0\", [\"f\", \"v\"]], [\"6-0\", [\"f\", \"w\"]]]");
    CHECK(server.text({"XINFO", "GROUPS", "k"}) ==
          "[[\"name\", \"g1\", \"consumers\", 0, \"pending\", 0, \"last-delivered-id\", \"5-0\", "
          "\"entries-read\", 1, \"lag\", 1], "
          "[\"name\", \"g2\", \"consumers\", 0, \"pending\", 0, \"last-delivered-id\", \"0-0\", "
          "\"entries-read\", 0, \"lag\", 2]]");
  }

  TEST_CASE("DUMP gives what RESTORE takes, whatever the size, and over many portions") {
    SimServer server(3);
    for (int i = 0; i < 5000; ++i) {
      const std::string n = std::to_string(i);
      server.command({"RPUSH", "l", n});
      server.command({"SADD", "s", "m" + n});
      server.command({"ZADD", "z", n, "m" + n});
      server.command({"HSET", "h", n, "v" + n});
    }
    server.command({"HPEXPIREAT", "h", "4102444800000", "FIELDS", "2", "1", "4999"});
    server.command({"SET", "t", std::string(700'000, 'x')});
    const std::vector<std::vector<std::string>> questions = {
        {"LRANGE", "l", "0", "-1"},
        {"ZRANGE", "z", "0", "-1", "WITHSCORES"},
        {"GET", "t"},
        {"SCARD", "s"},
        {"SMISMEMBER", "s", "m0", "m4999", "x"},
        {"HLEN", "h"},
        {"HMGET", "h", "0", "1", "4999", "x"},
        {"HPEXPIRETIME", "h", "FIELDS", "3", "0", "1", "4999"}};
    std::vector<std::string> before;
    for (const auto& question : questions) before.push_back(server.text(question));
    for (const char* key : {"l", "s", "z", "h", "t"}) {
      const resp::Reply dumped = server.command({"DUMP", key});
      CAPTURE(key);
      CHECK(server.text({"RESTORE", key, "0", dumped.text}) ==
            "(error) BUSYKEY Target key name already exists.");
      CHECK(server.text({"RESTORE", key, "0", dumped.text, "REPLACE"}) == "OK");
      CHECK(server.text({"DUMP", key}).size() > 0);
    }
    for (size_t i = 0; i < questions.size(); ++i) CHECK(server.text(questions[i]) == before[i]);
    server.restart();
    for (size_t i = 0; i < questions.size(); ++i) CHECK(server.text(questions[i]) == before[i]);
    CHECK(server.text({"DBSIZE"}) == "5");
  }

  TEST_CASE("a value that fails half-way leaves what was there") {
    SimServer server(4);
    server.command({"SET", "k", "old"});
    // More than a portion, and the last member is the first one again.
    std::string members;
    for (int i = 0; i < 3000; ++i) members += text("member" + std::to_string(i));
    rdb::ValueType set = rdb::ValueType::kSet;
    std::string value("\x4b\xb9", 2);  // 3001
    CHECK(server.text({"RESTORE", "k", "0", payload(set, value + members + text("member0")), "REPLACE"}) ==
          "(error) ERR Bad data format");
    CHECK(server.text({"RESTORE", "k", "0", payload(set, value + members), "REPLACE"}) ==
          "(error) ERR Bad data format");
    CHECK(server.text({"GET", "k"}) == "\"old\"");
    CHECK(server.text({"RESTORE", "k", "0", payload(set, value + members + text("other")), "REPLACE"}) ==
          "OK");
    CHECK(server.text({"SCARD", "k"}) == "3001");
  }

  TEST_CASE("RESTORE sets the time to live it is given") {
    SimServer server(5);
    const std::string value = payload(rdb::ValueType::kSet, "\x01" + text("m"));
    CHECK(server.text({"RESTORE", "a", "4102444800000", value, "ABSTTL"}) == "OK");
    CHECK(server.text({"PEXPIRETIME", "a"}) == "4102444800000");
    CHECK(server.text({"RESTORE", "a", "100000", value, "REPLACE"}) == "OK");
    CHECK(server.text({"TTL", "a"}) == "100");
    CHECK(server.text({"RESTORE", "a", "0", value, "REPLACE"}) == "OK");
    CHECK(server.text({"TTL", "a"}) == "-1");
    CHECK(server.text({"RESTORE", "a", "1", value, "ABSTTL", "REPLACE"}) == "OK");
    CHECK(server.text({"EXISTS", "a"}) == "0");
    CHECK(server.text({"RESTORE", "a", "9223372036854775807", value}) ==
          "(error) ERR Invalid TTL value, must be >= 0");
  }

  TEST_CASE("a value read byte by byte is the value read at once") {
    for (const Named& one : whole_corpus()) {
      CAPTURE(one.name);
      const std::string body(*rdb::verified_payload(one.bytes));
      rdb::Input in(1 << 20);
      rdb::ValueReader reader;
      reader.begin(static_cast<rdb::ValueType>(body[0]));
      size_t fed = 1;
      const std::string seen = read_value(in, reader, [&] {
        if (fed == body.size()) return false;
        in.feed(body.substr(fed++, 1));
        return true;
      });
      CHECK(seen == read_payload(one.bytes));
      CHECK(fed == body.size());
      CHECK(seen.find("RDB:") == std::string::npos);
    }
  }

  TEST_CASE("no damaged value crashes a reader, and none is read beyond its end") {
    // Under a sanitizer this says more. With the checksum of the damaged bytes, or nothing would get past it.
    SimServer server(6);
    engine::SimEntropy dice(6);
    for (const Named& one : whole_corpus()) {
      CAPTURE(one.name);
      const size_t end = one.bytes.size() - 10;
      for (size_t at = 0; at < end; ++at) {
        CAPTURE(at);
        for (const int mask : {0x01, 0x80, 0xff, 0x40, static_cast<int>(dice.next() % 255 + 1)}) {
          std::string damaged = one.bytes;
          damaged[at] = static_cast<char>(damaged[at] ^ mask);
          damaged = resealed(damaged);
          const std::string seen = read_payload(damaged);
          if (seen.starts_with("RDB:")) CHECK(seen.find("at offset") != std::string::npos);
          if (at % 4 != 0) continue;
          const std::string reply = server.text({"RESTORE", "k", "0", damaged, "REPLACE"});
          CHECK((reply == "OK" || reply == "(error) ERR Bad data format"));
          const bool readable = !seen.starts_with("RDB:") && seen != "no type";
          if (!readable) CHECK(reply == "(error) ERR Bad data format");
        }
      }
      for (size_t cut = 1; cut < end; ++cut) {
        const std::string seen =
            read_payload(resealed(one.bytes.substr(0, cut) + std::string("\x0a\0", 2) + "........"));
        CHECK(seen.starts_with("RDB:"));
      }
    }
  }

  TEST_CASE("a length that is only announced is not allocated") {
    for (const int type : {0, 1, 2, 4, 5, 10, 12, 14, 16, 18, 19, 20, 24}) {
      CAPTURE(type);
      for (const std::string& length : {std::string("\x80\xff\xff\xff\xff"), "\x81" + std::string(8, '\xff'),
                                        "\x81" + std::string("\x7f") + std::string(7, '\xff'),
                                        std::string("\xc3\x80\xff\xff\xff\xff\x80\xff\xff\xff\xff")}) {
        const std::string value =
            (type == 24 ? std::string(8, '\1') : std::string()) + length + length + length;
        CHECK(read_payload(payload(static_cast<rdb::ValueType>(type), value)).starts_with("RDB:"));
      }
    }
  }
}
