#include "server/rdb/crc64.h"

#include <array>
#include <cstddef>
#include <cstring>

namespace server::rdb {
namespace {

constexpr uint64_t kPolynomial = 0x95ac9329ac4bc9b5;  // 0xad93d23594c935a9 with its bits in reverse.

// [n][byte]: what a byte does to the checksum when n more bytes follow it.
using Tables = std::array<std::array<uint64_t, 256>, 8>;
constexpr Tables make_tables() {
  Tables tables{};
  for (uint64_t byte = 0; byte < 256; ++byte) {
    uint64_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    tables[0][byte] = crc;
  }
  for (size_t n = 1; n < 8; ++n) {
    for (size_t byte = 0; byte < 256; ++byte) {
      const uint64_t crc = tables[n - 1][byte];
      tables[n][byte] = tables[0][crc & 0xff] ^ (crc >> 8);
    }
  }
  return tables;
}
constexpr Tables kTables = make_tables();

}  // namespace

uint64_t crc64(uint64_t crc, std::string_view bytes) {
  const char* at = bytes.data();
  size_t left = bytes.size();
  for (; left >= 8; left -= 8, at += 8) {
    uint64_t eight;
    std::memcpy(&eight, at, 8);
    crc ^= eight;
    uint64_t next = 0;
    for (size_t i = 0; i < 8; ++i) next ^= kTables[7 - i][crc >> (8 * i) & 0xff];
    crc = next;
  }
  for (; left > 0; --left, ++at) crc = kTables[0][(crc ^ static_cast<uint8_t>(*at)) & 0xff] ^ (crc >> 8);
  return crc;
}

}  // namespace server::rdb
