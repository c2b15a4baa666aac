#include "server/types/string_chunk.h"

#include <doctest/doctest.h>

#include "engine/sim.h"

using namespace server;

namespace {

bool bit_of(std::string_view bytes, uint64_t at) {
  return at / 8 < bytes.size() && (static_cast<uint8_t>(bytes[at / 8]) >> (7 - at % 8) & 1);
}

// Texts of every kind: few bits, long runs, noise, and all of them in one.
std::string drawn(engine::SimEntropy& dice) {
  std::string bytes(dice.below(4) == 0 ? kChunkBytes : 1 + dice.below(kChunkBytes), '\0');
  const auto set = [&](uint64_t at, bool on) {
    const auto byte = static_cast<uint8_t>(bytes[at / 8]);
    const auto mask = static_cast<uint8_t>(0x80 >> at % 8);
    bytes[at / 8] = static_cast<char>(on ? byte | mask : byte & ~mask);
  };
  for (uint64_t i = dice.below(4); i > 0; --i) {
    const uint64_t first = dice.below(bytes.size() * 8);
    const uint64_t last = first + dice.below(bytes.size() * 8 - first);
    switch (dice.below(3)) {
      case 0:
        for (uint64_t at = first; at <= last; ++at) set(at, true);
        break;
      case 1:
        for (uint64_t n = dice.below(40); n > 0; --n)
          set(first + dice.below(last - first + 1), dice.below(5) > 0);
        break;
      case 2:
        for (uint64_t at = first / 8; at <= last / 8; ++at) bytes[at] = static_cast<char>(dice.next());
        break;
    }
  }
  return bytes;
}

}  // namespace

TEST_SUITE("server/string_chunk") {
  TEST_CASE("a chunk reads back as it was written, in whole and in parts, in every form") {
    engine::SimEntropy dice(1);
    uint64_t forms[3] = {};
    for (int round = 0; round < 600; ++round) {
      CAPTURE(round);
      const std::string bytes = drawn(dice);
      std::string record;
      Chunk::encode(bytes, &record);
      CHECK(record.size() <= bytes.size() + 1);
      CHECK(record.empty() == (bytes.find_first_not_of('\0') == std::string::npos));
      if (record.empty()) continue;
      const auto chunk = Chunk::parse(record);
      REQUIRE(chunk.has_value());
      ++forms[static_cast<int>(chunk->form())];
      std::string whole = bytes;
      whole.resize(kChunkBytes, '\0');
      for (int part = 0; part < 6; ++part) {
        const uint64_t from = part == 0 ? 0 : dice.below(kChunkBytes);
        const uint64_t size = part == 0 ? kChunkBytes : 1 + dice.below(kChunkBytes - from);
        std::string read(size, 'x');
        chunk->read(from, size, read.data());
        CHECK(read == whole.substr(from, size));
      }
    }
    for (const uint64_t count : forms) CHECK(count > 30);
  }

  TEST_CASE("bits are counted and found as one by one, in every form") {
    engine::SimEntropy dice(2);
    for (int round = 0; round < 600; ++round) {
      CAPTURE(round);
      const std::string bytes = drawn(dice);
      std::string record;
      Chunk::encode(bytes, &record);
      if (record.empty()) continue;
      const Chunk chunk = *Chunk::parse(record);
      const uint64_t first = dice.below(kChunkBits);
      const uint64_t last = first + dice.below(dice.below(2) == 0 ? kChunkBits - first : 1);
      CAPTURE(first);
      CAPTURE(last);
      uint64_t bits = 0;
      std::optional<uint64_t> set, clear;
      for (uint64_t at = first; at <= last; ++at) {
        const bool on = bit_of(bytes, at);
        bits += on;
        auto& found = on ? set : clear;
        if (!found) found = at;
      }
      CHECK(chunk.count(first, last) == bits);
      CHECK(chunk.find(true, first, last) == set);
      CHECK(chunk.find(false, first, last) == clear);
    }
  }

  TEST_CASE("the forms on disk are these bytes") {
    std::string record;
    std::string bytes(kChunkBytes, '\0');
    bytes[0x20] = '\x40';    // Bit 0x101.
    bytes[0x1fff] = '\x01';  // Bit 0xffff.
    Chunk::encode(bytes, &record);
    CHECK(record == std::string("\x01\x01\x01\xff\xff", 5));
    Chunk::encode(std::string(kChunkBytes, '\xff'), &record);
    CHECK(record == std::string("\x02\x00\x00\xff\xff", 5));
    Chunk::encode(std::string("abc\0\0", 5), &record);
    CHECK(record == std::string("\0abc", 4));
  }

  TEST_CASE("what is no chunk is not taken for one, and what might be one does no harm") {
    CHECK_FALSE(Chunk::parse("").has_value());
    CHECK_FALSE(Chunk::parse("\x03").has_value());
    CHECK_FALSE(Chunk::parse("\x01"
                             "abc")
                    .has_value());
    CHECK_FALSE(Chunk::parse("\x02"
                             "ab")
                    .has_value());
    CHECK_FALSE(Chunk::parse(std::string(kChunkBytes + 2, '\0')).has_value());
    engine::SimEntropy dice(3);
    for (int round = 0; round < 2000; ++round) {
      std::string record(1 + 4 * dice.below(40), '\0');
      for (char& byte : record) byte = static_cast<char>(dice.next());
      record[0] = static_cast<char>(dice.below(3));
      const auto chunk = Chunk::parse(record);
      REQUIRE(chunk.has_value());
      const uint64_t from = dice.below(kChunkBytes);
      const uint64_t size = 1 + dice.below(kChunkBytes - from);
      std::string read(size, '\0');
      chunk->read(from, size, read.data());
      CHECK(chunk->count(from * 8, from * 8 + size * 8 - 1) <= kChunkBits * 20);
      for (const bool value : {false, true}) {
        const auto found = chunk->find(value, from * 8, (from + size) * 8 - 1);
        if (found) CHECK(*found <= (from + size) * 8 - 1);
      }
    }
  }
}
