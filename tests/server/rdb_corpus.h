// tests/server/rdb_corpus.h: serialised values: what DUMP of redis-server 7.0.15 gave, in hexadecimal, and
// builders for the forms that older and newer servers write.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "server/rdb/crc64.h"
#include "server/rdb/format.h"

namespace rdb_corpus {

struct Named {
  std::string name, bytes;
};

inline std::string from_hex(std::string_view hex) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes.push_back(static_cast<char>(digit(hex[i]) * 16 + digit(hex[i + 1])));
  return bytes;
}

template <typename T>
std::string raw(T value) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}
// Short ones only.
inline std::string text(std::string_view bytes) {
  return std::string(1, static_cast<char>(bytes.size())) + std::string(bytes);
}

// A whole payload: type, value, footer.
inline std::string payload(server::rdb::ValueType type, const std::string& value, uint16_t version = 10) {
  const std::string body = std::string(1, static_cast<char>(type)) + value + raw(version);
  return body + raw(server::rdb::crc64(0, body));
}
// With the checksum of what it says now.
inline std::string resealed(std::string payload) {
  payload.resize(payload.size() - 8);
  return payload + raw(server::rdb::crc64(0, payload));
}

// Entries: text, or one byte of number behind a '#'.
inline std::string ziplist(const std::vector<std::string>& entries) {
  std::string body;
  size_t last = 0;
  for (const std::string& entry : entries) {
    std::string made(1, static_cast<char>(last));
    if (entry.starts_with('#'))
      made += std::string("\xfe") + entry.substr(1, 1);
    else
      made += text(entry);
    body += made;
    last = made.size();
  }
  const auto bytes = static_cast<uint32_t>(10 + body.size() + 1);
  return raw(bytes) + raw(static_cast<uint32_t>(10 + body.size() - last)) +
         raw(static_cast<uint16_t>(entries.size())) + body + "\xff";
}
inline std::string listpack(const std::vector<std::string>& entries) {
  std::string body;
  for (const std::string& entry : entries) {
    const std::string made = entry.starts_with('#')
                                 ? entry.substr(1, 1)
                                 : std::string(1, static_cast<char>(0x80 | entry.size())) + entry;
    body += made + static_cast<char>(made.size());
  }
  return raw(static_cast<uint32_t>(6 + body.size() + 1)) + raw(static_cast<uint16_t>(entries.size())) + body +
         "\xff";
}

// As Redis 5 writes a stream: what it has, and neither what it had nor how far its groups have read. Its
// entries are 5-0 and 6-0, and its groups, of nobody, stand at 5-0 and 0-0.
inline std::string stream_of_redis_5() {
  const auto number = [](char value) { return std::string("#") + value; };
  const std::string id = std::string(7, '\0') + '\x05' + std::string(8, '\0');
  const std::string entries =
      listpack({number(2), number(0), number(1), "f", number(0), number(2), number(0), number(0), "v",
                number(4), number(2), number(1), number(0), "w", number(4)});
  const std::string empty_twice(2, '\0');  // No pending entries, no consumers.
  return payload(server::rdb::ValueType::kStreamListpacks,
                 "\x01" + text(id) + text(entries) + "\x02" + "\x06" + '\0' + "\x02" + text("g1") + "\x05" +
                     '\0' + empty_twice + text("g2") + empty_twice + empty_twice,
                 9);
}

// Of every form one that redis-server 7.0 does not write.
inline std::vector<Named> other_forms() {
  using server::rdb::ValueType;
  const auto score = [](double value) { return raw(value); };
  const std::string early = raw(int64_t{4102444800000});
  return {
      {"zset of text", payload(ValueType::kZsetText,
                               "\x03" + text("a") + text("1.5") + text("b") + "\xfe" + text("c") + "\xff")},
      {"zipmap", payload(ValueType::kHashZipmap, text(std::string("\x02") + "\x01" + "f" + "\x02" + '\0' +
                                                      "vv" + "\x01" + "g" + "\x01\x03" + "w..." + "\xff"))},
      {"list of a ziplist", payload(ValueType::kListZiplist, text(ziplist({"a", "#\xfe", "ccc"})))},
      {"zset of a ziplist", payload(ValueType::kZsetZiplist, text(ziplist({"a", "#\x02", "b", "2.5"})))},
      {"hash of a ziplist", payload(ValueType::kHashZiplist, text(ziplist({"f", "v", "g", "#\x07"})))},
      {"quicklist", payload(ValueType::kListQuicklist,
                            "\x02" + text(ziplist({"a", "b"})) + text(ziplist({"c", "#\x05"})))},
      {"list with a plain node",
       payload(ValueType::kListQuicklist2, "\x02\x01" + text("plain") + "\x02" + text(listpack({"x", "y"})))},
      {"set of a listpack", payload(ValueType::kSetListpack, text(listpack({"x", "y"})), 11)},
      {"plain", payload(ValueType::kZset, "\x02" + text("a") + score(0.5) + text("b") + score(-1))},
      {"hash of which fields expire",
       payload(ValueType::kHashTimed,
               early + "\x02" + std::string(1, '\0') + text("f") + text("v") + "\x06" + text("g") + text("w"),
               12)},
      {"stream", stream_of_redis_5()},
      {"listpack of which fields expire",
       payload(ValueType::kHashTimedListpack, early + text(listpack({"f", "v", "#\x01"})), 12)},
  };
}

// The keys that redis-server 7.0.15 held, and DUMP of each.
inline std::vector<Named> of_redis() {
  std::vector<Named> all = {
      {"text", "000568656c6c6f0a006372df766534200a"},
      {"number", "00c139300a009d94ea2793fc08b9"},
      {"lzf", "00c30c406f0361626361e05f020278797a0a00a35a66c59a8be07a"},
      {"list",
       "120102406f6f00000006008161020101ded402f270110104f400f2052a0100000009e04e74657874206f6620736f6d65206c"
       "656e677468207468617420676f657320706173742073697874792d74687265652062797465732c2077686963682074616b65"
       "7320616e6f7468657220666f726d50ff0a004f63cd8bf0c53091"},
      {"nodes",
       "1203020d0d0000000200816102816202ff02c312200a2000000002008163029464e00a000115ff020a0a0000000100816502"
       "ff0a00df848b5603fbc0f3"},
      {"intset", "0b14040000000300000090eefeff01000000020000000a005d9df7da2f43d06b"},
      {"set", "0203017a017901780a00a2117a196f6ea3e5"},
      {"hash", "1012120000000400816602817602816e021101ff0a00a180dda23510453b"},
      {"hashtable", "0402016ec011016601760a007734076dbe2c4efb"},
      {"zset", "111d1d0000000600816202842d322e3505816102010181630283696e6604ff0a009b1887c2526582cb"},
      {"skiplist", "05030163000000000000f07f0161000000000000f03f016200000000000004c00a00c72e14909bdf6c0b"},
      {"stream",
       "13011000000000000000010000000000000001c34062406e126e0000002b0005010101020181660281670200200900002001"
       "0782763103010105012004600d02320302200d00022001401b02330303600d0003600d02340304600d0004600d0235030520"
       "0d0200010820010d0101856f746865720601010601ff050909010102010602026731040181ffffffffffffffff0200000000"
       "0000000300000000000000012ca3ebfaa101000001000000000000000400000000000000012ca3ebfaa1010000010205616c"
       "6963652ca3ebfaa1010000010000000000000003000000000000000103626f622ca3ebfaa101000001000000000000000400"
       "00000000000001026732090981ffffffffffffffff0001056361726f6c2ca3ebfaa1010000000a00bb1e5954fae91183"},
  };
  for (Named& one : all) one.bytes = from_hex(one.bytes);
  return all;
}

}  // namespace rdb_corpus
