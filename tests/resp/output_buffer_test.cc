#include "resp/output_buffer.h"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

namespace resp {
namespace {

std::string bytes_of(std::mt19937_64& random, size_t n) {
  std::string bytes(n, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  return bytes;
}

std::string gathered(const OutputBuffer& out, size_t blocks_max, uint64_t bytes_max = UINT64_MAX) {
  std::vector<std::string_view> blocks(blocks_max);
  blocks.resize(out.blocks(blocks, bytes_max));
  std::string all;
  for (const std::string_view block : blocks) {
    CHECK(!block.empty());
    all += block;
  }
  return all;
}

}  // namespace

TEST_SUITE("resp/output_buffer") {
  TEST_CASE("it behaves as one long string under appends, moves, splices, gaps, truncation and consumption") {
    for (uint64_t seed = 1; seed <= 20; ++seed) {
      CAPTURE(seed);
      std::mt19937_64 random(seed);
      OutputBuffer out;
      std::string model;
      uint64_t consumed = 0;
      for (int round = 0; round < 1000; ++round) {
        CAPTURE(round);
        const size_t n = random() % 20 == 0 ? random() % 60'000 : random() % 200;
        switch (random() % 8) {
          case 0: {
            std::string bytes = bytes_of(random, n);
            model += bytes;
            out.append(std::move(bytes));
            break;
          }
          case 1: {
            OutputBuffer other;
            for (int part = 0; part < 3; ++part) {
              const std::string bytes = bytes_of(random, n / 3);
              model += bytes;
              other.append(bytes);
            }
            out.splice(std::move(other));
            break;
          }
          case 2: {
            const uint64_t gap = out.open_gap();
            const std::string header = bytes_of(random, random() % (OutputBuffer::kGapBytes + 1));
            const std::string body = bytes_of(random, n);
            out.append(body);
            out.fill_gap(gap, header);
            model += header + body;
            break;
          }
          case 3: {
            const size_t kept = model.size() - random() % (model.size() + 1) / (1 + random() % 20);
            out.truncate(consumed + kept);
            model.resize(kept);
            break;
          }
          case 4: {
            const size_t used = random() % 2 == 0 ? model.size() : random() % (model.size() + 1);
            out.consume(used);
            model.erase(0, used);
            consumed += used;
            if (random() % 4 == 0) out.release();
            break;
          }
          default: {
            const std::string bytes = bytes_of(random, n);
            model += bytes;
            out.append(bytes);
          }
        }
        REQUIRE(out.size() == model.size());
        REQUIRE(out.begin_position() == consumed);
        REQUIRE(out.end_position() == consumed + model.size());
        REQUIRE(out.to_string() == model);
        REQUIRE(gathered(out, 10'000) == model);
      }
    }
  }

  TEST_CASE("blocks() stops at the number of blocks and of bytes that it was given") {
    OutputBuffer out;
    for (int i = 0; i < 5; ++i)
      out.append(std::string(OutputBuffer::kChunkBytes, static_cast<char>('a' + i)));
    CHECK(gathered(out, 2) == out.to_string().substr(0, 2 * OutputBuffer::kChunkBytes));
    CHECK(gathered(out, 100, 20'000) == out.to_string().substr(0, 20'000));
    CHECK(gathered(out, 100, 0) == "");
  }

  TEST_CASE(
      "O1: bytes that are being written stay where they are while replies are added and headers filled in") {
    OutputBuffer out;
    out.append("in flight");
    std::string_view block;
    REQUIRE(out.blocks({&block, 1}) == 1);
    for (int i = 0; i < 100; ++i) {
      const uint64_t gap = out.open_gap();
      out.append(std::string(1000, 'x'));
      out.fill_gap(gap, "*1\r\n");
      out.append(std::string(5000, 'y'));
    }
    CHECK(block == "in flight");
    std::string_view again;
    REQUIRE(out.blocks({&again, 1}) == 1);
    CHECK(again.data() == block.data());
  }

  TEST_CASE("O2: a big std::string is not copied") {
    OutputBuffer out;
    std::string big(100'000, 'x');
    const char* const place = big.data();
    out.append("$100000\r\n");
    out.append(std::move(big));
    out.append("\r\n");
    std::vector<std::string_view> blocks(3);
    REQUIRE(out.blocks(blocks) == 3);
    CHECK(blocks[1].data() == place);
  }

  TEST_CASE("gaps nest: the inner one is filled first") {
    OutputBuffer out;
    out.append("before ");
    const uint64_t outer = out.open_gap();
    out.append("a");
    const uint64_t inner = out.open_gap();
    out.append(std::string(40'000, 'b'));
    out.fill_gap(inner, "<inner>");
    out.append("c");
    out.fill_gap(outer, "<outer>");
    CHECK(out.to_string() == "before <outer>a<inner>" + std::string(40'000, 'b') + "c");
  }

  TEST_CASE("a mark taken before a gap is good for a truncation after it") {
    OutputBuffer out;
    out.append("kept");
    const uint64_t mark = out.end_position();
    out.open_gap();
    out.append(std::string(50'000, 'x'));
    out.truncate(mark);
    out.append("!");
    CHECK(out.to_string() == "kept!");
  }

  TEST_CASE("small replies consumed as they come take one chunk for ever, and none when idle") {
    OutputBuffer out;
    CHECK(out.memory_bytes() == 0);
    for (int i = 0; i < 10'000; ++i) {
      out.append("+OK\r\n");
      out.consume(5);
    }
    CHECK(out.memory_bytes() < OutputBuffer::kChunkBytes + 200);
    out.append(std::string(1'000'000, 'x'));
    out.consume(1'000'000);
    CHECK(out.memory_bytes() < 2 * OutputBuffer::kChunkBytes);
    out.release();
    CHECK(out.memory_bytes() == 0);
  }

  TEST_CASE("copy() gives what lies from any position on, over the chunks' borders, consumed bytes or not") {
    std::mt19937_64 random(5);
    OutputBuffer out;
    std::string model;
    for (int i = 0; i < 200; ++i) {
      const std::string bytes = bytes_of(random, random() % 9000);
      model += bytes;
      if (i % 3 == 0) {
        out.append(std::string(bytes));
      } else {
        out.append(std::string_view(bytes));
      }
    }
    out.consume(50'000);
    for (int i = 0; i < 2000; ++i) {
      const size_t position = 50'000 + random() % (model.size() - 50'000 + 1);
      CAPTURE(position);
      std::string copied(random() % 40'000, '\0');
      copied.resize(out.copy(position, copied));
      REQUIRE(copied == model.substr(position, std::max(copied.size(), size_t{1})).substr(0, copied.size()));
      if (position + 40'000 < model.size()) continue;
      std::string rest(50'000, '\0');
      REQUIRE(out.copy(position, rest) == model.size() - position);
    }
  }

  TEST_CASE("a moved-from buffer is as new") {
    OutputBuffer out;
    out.append("abc");
    OutputBuffer other = std::move(out);
    CHECK(other.to_string() == "abc");
    out.append("def");
    CHECK(out.to_string() == "def");
  }
}
}  // namespace resp
