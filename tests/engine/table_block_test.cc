#include "engine/table_block.h"

#include <doctest/doctest.h>
#include <lz4.h>

#include <map>
#include <random>
#include <string>

#include "engine/record.h"
#include "engine/table_block_writer.h"

namespace {

using namespace engine;
using Model = std::map<std::string, std::string>;

constexpr uint64_t kSeed = 3;

std::string raw_block(const Model& model) {
  BlockWriter writer;
  for (const auto& [key, value] : model) {
    writer.add(key, value, static_cast<uint8_t>(key.size() % 4), hash_key(key, kSeed));
  }
  std::string raw;
  writer.finish(raw);
  CHECK(writer.empty());
  return raw;
}

// As on disk; the hash is the reader's to check and zero here.
std::string section(std::string content, uint64_t type) {
  append(content, type);
  return content;
}

std::string compressed(const std::string& raw, uint32_t claimed_length) {
  std::string content;
  append(content, claimed_length);
  content.resize(4 + LZ4_compressBound(static_cast<int>(raw.size())));
  const int length = LZ4_compress_default(raw.data(), content.data() + 4, static_cast<int>(raw.size()),
                                          static_cast<int>(content.size() - 4));
  content.resize(4 + static_cast<size_t>(length));
  return content;
}

BlockRef block_of(const Model& model) {
  auto block = Block::make(section(raw_block(model), table_format::kRaw));
  REQUIRE(block.ok());
  return *block;
}

void check_equal(const Block& block, const Model& model) {
  REQUIRE(block.entries() == model.size());
  uint32_t i = 0;
  for (const auto& [key, value] : model) {
    CAPTURE(key);
    CHECK(block.key(i) == key);
    CHECK(block.record(i).value == value);
    CHECK(block.record(i).flags == key.size() % 4);
    CHECK(block.lower_bound(key) == i);
    CHECK(block.lower_bound(key + '\0') == i + 1);
    const auto found = block.find(key, hash_key(key, kSeed));
    REQUIRE(found.has_value());
    CHECK(found->value == value);
    CHECK(found->flags == key.size() % 4);
    ++i;
  }
}

// Reads all that a reader could reach. Under ASan this is what finds a check that is missing.
uint64_t read_everything(const Block& block) {
  uint64_t sum = 0;
  std::string last;
  for (uint32_t i = 0; i < block.entries(); ++i) {
    const std::string key = block.key(i);
    REQUIRE((i == 0 || last < key));
    last = key;
    for (const char c : block.record(i).value) sum += static_cast<uint8_t>(c);
    REQUIRE(block.lower_bound(key) == i);
    sum += block.find(key, hash_key(key, kSeed)).has_value();
  }
  for (int tag = 0; tag < 256; ++tag)
    sum += block.find(std::string(block.prefix()) + "nowhere", tag).has_value();
  return sum;
}

Model small_model() {
  Model model;
  for (int i = 0; i < 20; ++i) model["prefix:" + std::to_string(1000 + i * 7)] = std::string(i % 7, 'v');
  return model;
}

}  // namespace

TEST_SUITE("engine/table_block") {
  TEST_CASE("entries are found by hash, by order and by number") {
    std::mt19937_64 random(17);
    for (const size_t count : {1, 2, 15, 16, 17, 31, 32, 33, 200, 3000}) {
      CAPTURE(count);
      Model model;
      while (model.size() < count) {
        model["common/" + std::to_string(random())] = std::string(random() % 40, 'x');
      }
      check_equal(*block_of(model), model);
    }
  }

  TEST_CASE("absent keys are not found, and are placed between their neighbours") {
    const Model model = small_model();
    const BlockRef block = block_of(model);
    for (const std::string key : {"", "p", "prefix:", "prefix:1000\x01", "prefix:10", "prefix:9", "prefiy",
                                  "zzz", "a", "prefix:1133", "prefix:11335"}) {
      CAPTURE(key);
      CHECK(block->find(key, hash_key(key, kSeed)).has_value() == model.contains(key));
      CHECK(block->lower_bound(key) == std::distance(model.begin(), model.lower_bound(key)));
    }
  }

  TEST_CASE("what all keys begin with is stored once") {
    Model model;
    const std::string prefix(500, 'p');
    for (int i = 0; i < 30; ++i) model[prefix + std::to_string(100 + i)] = "v";
    const std::string raw = raw_block(model);
    CHECK(raw.size() < 500 + 30 * 10);
    const BlockRef block = block_of(model);
    CHECK(block->prefix() == prefix + "1");
    check_equal(*block, model);
  }

  TEST_CASE("keys, values and blocks of every length are right, also where offsets become wide") {
    for (const size_t length :
         {0, 1, 30, 31, 32, 33, 127, 128, 5000, 65400, 65500, 65510, 65520, 65530, 65540, 70000, 1 << 20}) {
      CAPTURE(length);
      const Model by_value{{"a", ""}, {"bb", std::string(length, 'v')}, {"ccc", "c"}};
      check_equal(*block_of(by_value), by_value);
      const Model by_key{
          {"", "e"}, {"a" + std::string(length, 'k'), "v"}, {"b" + std::string(length, 'k'), "w"}};
      check_equal(*block_of(by_key), by_key);
    }
  }

  TEST_CASE("a writer keeps to the length that it is asked to keep to") {
    std::mt19937_64 random(23);
    for (int round = 0; round < 200; ++round) {
      CAPTURE(round);
      const uint64_t bytes_max = 200 + random() % 5000;
      std::map<std::string, std::string> sorted;
      for (int i = 0; i < 300; ++i) {
        sorted[std::string(random() % 30, 'p') + std::to_string(random())] = std::string(random() % 150, 'v');
      }
      BlockWriter writer;
      for (const auto& [key, value] : sorted) {
        if (!writer.fits(key, value, bytes_max)) break;
        writer.add(key, value, 0, 0);
      }
      const uint32_t entries = writer.entries();
      std::string raw;
      writer.finish(raw);
      CHECK((raw.size() <= bytes_max || entries == 1));
      CHECK((raw.size() > bytes_max * 2 / 3 || entries == 1 || bytes_max < 1000));
    }
  }

  TEST_CASE("the block and its object together fill 4 KB of memory, not more") {
    CHECK(Block::kOverheadBytes >= sizeof(Block) + 16);
    const Model model{{"k", std::string(4096 - Block::kOverheadBytes - 20, 'v')}};
    CHECK(block_of(model)->memory_bytes() >= 4000);
  }

  TEST_CASE("references are counted, and only the sole one may be handed over") {
    BlockRef a = block_of(small_model());
    CHECK(a.sole());
    BlockRef b = a;
    CHECK_FALSE(a.sole());
    CHECK(a == b);
    a = BlockRef();
    CHECK(b.sole());
    BlockRef& same = b;
    b = same;
    CHECK(b.sole());
    const BlockRef c = std::move(b).hand_over();
    CHECK(c.sole());
    CHECK_FALSE(BlockRef().sole());
    CHECK(c->key(0) == "prefix:1000");
  }

  TEST_CASE("a block whose claimed length is not that of its bytes is refused before it is believed") {
    const std::string raw = raw_block({{"k", std::string(3000, 'v')}});
    REQUIRE(
        Block::make(section(compressed(raw, static_cast<uint32_t>(raw.size())), table_format::kLz4)).ok());
    for (const uint64_t claim : {uint64_t{0}, uint64_t{1}, raw.size() - 1, raw.size() + 1, uint64_t{1} << 31,
                                 uint64_t{UINT32_MAX}}) {
      CAPTURE(claim);
      const auto block =
          Block::make(section(compressed(raw, static_cast<uint32_t>(claim)), table_format::kLz4));
      CHECK(block.status().code() == Code::kCorruption);
    }
    CHECK(Block::make(section("", table_format::kLz4)).status().code() == Code::kCorruption);
    CHECK(Block::make(section("", table_format::kRaw)).status().code() == Code::kCorruption);
    CHECK(Block::make(section(raw, 9)).status().code() == Code::kCorruption);
    CHECK(Block::make(section(raw, table_format::kFilter)).status().code() == Code::kCorruption);
  }

  TEST_CASE("B2: a block of hostile bytes is refused, or every read of it stays inside") {
    const std::string good = raw_block(small_model());
    uint64_t refused = 0, taken = 0;
    const auto attempt = [&](const std::string& bytes) {
      auto block = Block::make(section(bytes, table_format::kRaw));
      if (!block.ok()) {
        CHECK(block.status().code() == Code::kCorruption);
        ++refused;
      } else {
        read_everything(**block);
        ++taken;
      }
    };
    // Every byte, every bit and some values that lengths are fond of.
    for (size_t at = 0; at < good.size(); ++at) {
      for (int bit = 0; bit < 8; ++bit) {
        std::string bad = good;
        bad[at] = static_cast<char>(bad[at] ^ 1 << bit);
        attempt(bad);
      }
      for (const int value : {0x00, 0x7f, 0x80, 0xff}) {
        std::string bad = good;
        bad[at] = static_cast<char>(value);
        attempt(bad);
      }
    }
    for (size_t length = 0; length < good.size(); ++length) attempt(good.substr(0, length));
    std::mt19937_64 random(99);
    for (int round = 0; round < 20000; ++round) {
      std::string bad = good;
      for (uint64_t n = 1 + random() % 4; n > 0; --n)
        bad[random() % bad.size()] = static_cast<char>(random());
      if (random() % 8 == 0) bad.resize(random() % (bad.size() + 1));
      if (random() % 8 == 0) bad.append(random() % 20, static_cast<char>(random()));
      attempt(bad);
    }
    CHECK(refused > 1000);
    CHECK(taken > 1000);  // Values and tags may be anything.
  }

  TEST_CASE("B1: keys that do not rise are refused") {
    const std::string good = raw_block({{"p1", "v"}, {"p2", "v"}, {"p3", "v"}});
    const size_t at = good.find('2');
    REQUIRE(at != std::string::npos);
    for (const char c : {'0', '1', '3', '4'}) {
      std::string bad = good;
      bad[at] = c;
      CHECK(Block::make(section(bad, table_format::kRaw)).status().code() == Code::kCorruption);
    }
  }
}
