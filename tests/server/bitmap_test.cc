#include "server/types/bitmap.h"

#include <doctest/doctest.h>

#include <map>
#include <vector>

#include "tests/server/data_bench.h"
#include "tests/server/sim_server.h"

using namespace server;

namespace {

constexpr ObjectId kDatabase = 1;
using Model = std::map<std::string, std::string>;

struct Bench : server_test::DataBench {
  Bench(uint64_t seed, uint32_t cold_chance, uint64_t memtable_bytes)
      : DataBench(seed, cold_chance, memtable_bytes) {
    REQUIRE(engine->new_object() == kDatabase);  // No string is to get this id.
  }

  std::optional<Header> header(View& view, const std::string& key) { return view.header(kDatabase, key); }
  void write(const std::string& key, uint64_t offset, std::string_view bytes) {
    run([&](View& view) { write_string_range(view, {kDatabase, key}, header(view, key), offset, bytes); });
  }
  void combine(const std::string& to, BitOperation operation, const std::vector<std::string>& keys,
               uint64_t length) {
    run([&](View& view) {
      std::vector<std::optional<Header>> operands;
      for (const auto& key : keys) operands.push_back(header(view, key));
      combine_bitmaps(view, {kDatabase, to}, operation, operands, length);
    });
  }
  std::string value(const std::string& key) {
    std::string out;
    run([&](View& view) {
      std::string scratch;
      const auto found = header(view, key);
      out = found ? std::string(read_string(view, *found, &scratch)) : std::string();
    });
    return out;
  }
};

std::string combined(BitOperation operation, const std::vector<std::string>& values, uint64_t length) {
  std::string out = values[0];
  out.resize(length, '\0');
  for (uint64_t at = 0; at < length; ++at) {
    auto sum = static_cast<uint8_t>(out[at]);
    if (operation == BitOperation::kNot) sum = static_cast<uint8_t>(~sum);
    for (size_t i = 1; i < values.size(); ++i) {
      const auto one = at < values[i].size() ? static_cast<uint8_t>(values[i][at]) : uint8_t{0};
      if (operation == BitOperation::kAnd) sum &= one;
      if (operation == BitOperation::kOr) sum |= one;
      if (operation == BitOperation::kXor) sum ^= one;
    }
    out[at] = static_cast<char>(sum);
  }
  return out;
}

}  // namespace

TEST_SUITE("server/bitmap") {
  TEST_CASE(
      "a string is its bytes, whatever is done to it, inline and in chunks, cold and through restarts") {
    for (uint64_t seed = 1; seed <= 12; ++seed) {
      CAPTURE(seed);
      Bench bench(seed, seed % 2 == 0 ? UINT32_MAX / 8 : 0, 64 << 10);
      const std::vector<std::string> keys{"a", "b", "c"};
      Model model;
      const uint64_t reach = seed % 3 == 0 ? 6000 : 120'000;
      for (int round = 0; round < 120; ++round) {
        CAPTURE(round);
        const std::string& key = keys[bench.dice.below(keys.size())];
        std::string& expected = model[key];
        switch (bench.dice.below(6)) {
          case 0:
          case 1:
          case 2: {
            const uint64_t offset = bench.dice.below(reach);
            std::string bytes(1 + bench.dice.below(bench.dice.below(3) == 0 ? 20'000 : 8), '\0');
            const uint64_t kind = bench.dice.below(3);
            for (char& byte : bytes)
              byte = kind == 0 ? '\0' : kind == 1 ? '\xff' : static_cast<char>(bench.dice.next());
            if (expected.size() < offset + bytes.size()) expected.resize(offset + bytes.size(), '\0');
            expected.replace(offset, bytes.size(), bytes);
            bench.write(key, offset, bytes);
            break;
          }
          case 3: {
            const auto operation = static_cast<BitOperation>(bench.dice.below(4));
            std::vector<std::string> sources(operation == BitOperation::kNot ? 1 : 1 + bench.dice.below(3));
            std::vector<std::string> values;
            uint64_t length = 0;
            for (auto& source : sources) {
              source = keys[bench.dice.below(keys.size())];
              values.push_back(model[source]);
              length = std::max<uint64_t>(length, values.back().size());
            }
            if (length == 0) break;
            bench.combine(key, operation, sources, length);
            expected = combined(operation, values, length);
            break;
          }
          case 4: {
            if (expected.empty()) break;
            const uint64_t first = bench.dice.below(expected.size() * 8);
            const uint64_t last = first + bench.dice.below(expected.size() * 8 - first);
            bench.run([&](View& view) {
              const auto found = bench.header(view, key);
              REQUIRE(found.has_value());
              CHECK(count_bits(view, *found, first, last) == count_bits(expected, first, last));
              for (const bool on : {false, true})
                CHECK(find_bit(view, *found, on, first, last) == find_bit(expected, on, first, last));
            });
            break;
          }
          case 5: {
            if (expected.empty()) break;
            const uint64_t offset = bench.dice.below(expected.size());
            const uint64_t length = bench.dice.below(expected.size() - offset + 1);
            bench.run([&](View& view) {
              std::string scratch;
              const auto found = bench.header(view, key);
              REQUIRE(found.has_value());
              REQUIRE(string_length(*found) == expected.size());
              CHECK(read_string_range(view, *found, offset, length, &scratch) ==
                    expected.substr(offset, length));
            });
            break;
          }
        }
        if (bench.dice.below(40) == 0) bench.restart();
      }
      for (const auto& [key, expected] : model) CHECK(bench.value(key) == expected);
    }
  }

  TEST_CASE("a bit half a gigabyte out costs two records, and nothing walks the zeros before it") {
    Bench bench(1, 0, 64 << 10);
    constexpr uint64_t kFar = 4'294'967'295;
    bench.write("a", kFar / 8, "\x01");
    CHECK(bench.written == 2);
    CHECK(bench.engine->stats().user_bytes < 200);
    bench.write("b", 10, "\x80");
    bench.write("b", kFar / 8 - 1, std::string_view("\0\x03", 2));
    bench.run([&](View& view) {
      const auto a = bench.header(view, "a");
      CHECK(string_length(*a) == kFar / 8 + 1);
      CHECK(count_bits(view, *a, 0, kFar) == 1);
      CHECK(find_bit(view, *a, true, 0, kFar) == kFar);
      CHECK(find_bit(view, *a, false, 0, kFar) == 0);
    });
    CHECK(bench.touched < 20);
    for (const auto& [operation, bits] :
         {std::pair{BitOperation::kAnd, 1}, {BitOperation::kOr, 3}, {BitOperation::kXor, 2}}) {
      bench.combine("sum", operation, {"a", "b"}, kFar / 8 + 1);
      CHECK(bench.touched < 20);
      bench.run([&, bits = bits](View& view) {
        const auto sum = bench.header(view, "sum");
        CHECK(count_bits(view, *sum, 0, kFar) == static_cast<uint64_t>(bits));
      });
    }
  }

  TEST_CASE("BITFIELD makes one change a field, and none beside them for a string that grows") {
    SimServer server(4);
    const auto changes = [&](const std::vector<std::string>& words) {
      const uint64_t before = server.server->changes_since_save();
      server.text(words);
      return server.server->changes_since_save() - before;
    };
    CHECK(changes({"BITFIELD", "k", "INCRBY", "i5", "0", "1"}) == 1);
    CHECK(changes({"BITFIELD", "k", "SET", "u8", "100", "7", "INCRBY", "u8", "8", "1"}) == 2);
    CHECK(server.text({"BITFIELD", "k", "GET", "u8", "100", "GET", "u8", "8", "GET", "i5", "0"}) ==
          "[7, 1, 1]");
    // What changes nothing, and what fails, lengthens it all the same.
    CHECK(changes({"BITFIELD", "k", "SET", "u8", "200", "0"}) == 1);
    CHECK(server.text({"STRLEN", "k"}) == "26");
    CHECK(server.text({"BITFIELD", "k", "SET", "u8", "0", "5", "OVERFLOW", "FAIL", "SET", "u2", "300",
                       "9"}) == "[8, nil]");
    CHECK(server.text({"STRLEN", "k"}) == "38");
    CHECK(changes({"BITFIELD", "k", "SET", "u8", "200", "0"}) == 0);
  }
}
