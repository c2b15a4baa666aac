#include "engine/block_cache.h"

#include <doctest/doctest.h>

#include <random>
#include <set>
#include <string>

#include "engine/table_block_writer.h"

namespace {

using namespace engine;

// A block of one record; `bytes` is the length of its value.
BlockRef block_of(const std::string& key, size_t bytes = 3900) {
  BlockWriter writer;
  writer.add(key, std::string(bytes, 'v'), 0, 0);
  std::string raw;
  writer.finish(raw);
  append(raw, uint64_t{table_format::kRaw});
  Result<BlockRef> block = Block::make(raw);
  REQUIRE(block.ok());
  return std::move(*block);
}

// What the reader of a block does.
bool read_through(BlockCache& cache, BlockId id) {
  if (cache.find(id)) return true;
  cache.insert(id, block_of("k"));
  cache.maintain();
  return false;
}

constexpr uint64_t kMegabyte = 1 << 20;  // Some 250 blocks.

}  // namespace

TEST_SUITE("engine/block_cache") {
  TEST_CASE("a block that was inserted is found, and only under its own name") {
    BlockCache cache(kMegabyte);
    cache.insert({1, 2}, block_of("one"));
    cache.insert({2, 1}, block_of("two"));
    REQUIRE(cache.find({1, 2}));
    CHECK(cache.find({1, 2})->key(0) == "one");
    CHECK(cache.find({2, 1})->key(0) == "two");
    CHECK_FALSE(cache.find({1, 1}));
    CHECK_FALSE(cache.find({2, 2}));
    CHECK(cache.contains({1, 2}));
    CHECK_FALSE(cache.contains({3, 2}));
    CHECK(cache.blocks() == 2);
    CHECK(cache.hits() == 3);
    CHECK(cache.misses() == 2);
  }

  TEST_CASE("a block that is there already stays") {
    BlockCache cache(kMegabyte);
    cache.insert({1, 1}, block_of("first"));
    cache.insert({1, 1}, block_of("second"));
    CHECK(cache.blocks() == 1);
    CHECK(cache.find({1, 1})->key(0) == "first");
  }

  TEST_CASE("maintain() brings it down to the capacity, whatever the sizes of blocks") {
    std::mt19937_64 random(11);
    BlockCache cache(kMegabyte);
    for (uint32_t i = 0; i < 3000; ++i) {
      cache.insert({1, i}, block_of("k", random() % 20000));
      if (random() % 3 == 0) cache.find({1, static_cast<uint32_t>(random() % (i + 1))});
      if (random() % 10 == 0) {
        cache.maintain();
        REQUIRE(cache.bytes() <= kMegabyte);
      }
    }
    cache.maintain();
    CHECK(cache.bytes() <= kMegabyte);
    CHECK(cache.bytes() > kMegabyte * 9 / 10);
    cache.set_capacity(kMegabyte / 4);
    cache.maintain();
    CHECK(cache.bytes() <= kMegabyte / 4);
    cache.set_capacity(0);
    cache.maintain();
    CHECK(cache.blocks() == 0);
  }

  TEST_CASE("hot blocks survive a scan that is many times as big as the cache") {
    BlockCache cache(kMegabyte);
    constexpr uint32_t kHot = 100;
    for (int round = 0; round < 5; ++round) {
      for (uint32_t i = 0; i < kHot; ++i) read_through(cache, {1, i});
    }
    for (uint32_t i = 0; i < 5000; ++i) read_through(cache, {2, i});
    uint32_t survivors = 0;
    for (uint32_t i = 0; i < kHot; ++i) survivors += cache.contains({1, i});
    CHECK(survivors == kHot);
  }

  TEST_CASE("a block that comes back soon after its eviction is kept longer than a new one") {
    BlockCache cache(kMegabyte);
    // Fills the main queue, so that there is something to compete with.
    for (int round = 0; round < 4; ++round) {
      for (uint32_t i = 0; i < 150; ++i) read_through(cache, {1, i});
    }
    uint32_t next = 0;
    read_through(cache, {3, 0});
    while (cache.contains({3, 0})) read_through(cache, {2, next++});  // Now a ghost.
    CHECK_FALSE(read_through(cache, {3, 0}));                         // Back, to the main queue.
    read_through(cache, {4, 0});                                      // New, to the small one.
    while (cache.contains({4, 0})) read_through(cache, {2, next++});
    CHECK(cache.contains({3, 0}));
  }

  TEST_CASE("a cold main queue makes room for what is used now") {
    BlockCache cache(kMegabyte);
    for (int round = 0; round < 4; ++round) {
      for (uint32_t i = 0; i < 200; ++i) read_through(cache, {1, i});
    }
    for (int round = 0; round < 60; ++round) {
      for (uint32_t i = 0; i < 150; ++i) read_through(cache, {2, i});
    }
    uint32_t there = 0;
    for (uint32_t i = 0; i < 150; ++i) there += cache.contains({2, i});
    CHECK(there == 150);
  }

  TEST_CASE("S3-FIFO misses less than a plain FIFO on skewed reads mixed with scans") {
    std::mt19937_64 random(5);
    BlockCache cache(kMegabyte);
    constexpr size_t kFifoBlocks = 250;
    std::set<uint64_t> fifo;
    std::vector<uint64_t> order;
    size_t oldest = 0;
    uint64_t misses = 0, fifo_misses = 0;
    uint32_t scan = 0;
    for (int i = 0; i < 40000; ++i) {
      // Every fifth read is a scan's; the others are skewed over 2500 blocks.
      const double u = static_cast<double>(random() % 1000000) / 1e6;
      const bool scanning = i % 5 == 0;
      const BlockId id =
          scanning ? BlockId{2, scan++} : BlockId{1, static_cast<uint32_t>(2500 * u * u * u * u)};
      misses += !read_through(cache, id);
      const uint64_t name = id.table << 32 | id.index;
      if (fifo.insert(name).second) {
        ++fifo_misses;
        order.push_back(name);
        if (fifo.size() > kFifoBlocks) fifo.erase(order[oldest++]);
      }
    }
    CHECK(misses < fifo_misses * 9 / 10);
  }

  TEST_CASE("an evicted block stays usable for whoever refers to it") {
    BlockCache cache(0);
    cache.insert({1, 1}, block_of("kept"));
    const BlockRef mine = cache.find({1, 1});
    cache.maintain();
    CHECK_FALSE(cache.contains({1, 1}));
    CHECK(mine.sole());
    CHECK(mine->key(0) == "kept");
  }

  TEST_CASE("erase_table() drops all blocks of a table and no other") {
    std::mt19937_64 random(3);
    BlockCache cache(16 * kMegabyte);
    std::set<std::pair<uint64_t, uint32_t>> there;
    for (int i = 0; i < 6000; ++i) {
      const BlockId id{random() % 20, static_cast<uint32_t>(random() % 100)};
      if (random() % 50 == 0) {
        cache.erase_table(id.table, 100);
        std::erase_if(there, [&](const auto& pair) { return pair.first == id.table; });
      } else {
        cache.insert(id, block_of(std::to_string(id.table) + "/" + std::to_string(id.index), 10));
        there.insert({id.table, id.index});
      }
    }
    CHECK(cache.blocks() == there.size());
    for (uint64_t table = 0; table < 20; ++table) {
      for (uint32_t i = 0; i < 100; ++i) {
        const BlockRef block = cache.find({table, i});
        REQUIRE(static_cast<bool>(block) == there.contains({table, i}));
        if (block) CHECK(block->key(0) == std::to_string(table) + "/" + std::to_string(i));
      }
    }
    cache.clear();
    CHECK(cache.blocks() == 0);
    CHECK_FALSE(cache.contains({1, 1}));
  }

  TEST_CASE("bytes() is what the allocator gave for the blocks, and little more") {
    BlockCache cache(64 * kMegabyte);
    uint64_t given = 0;
    for (uint32_t i = 0; i < 2000; ++i) {
      BlockRef block = block_of("k", 100 * (i % 50));
      given += block->memory_bytes();
      cache.insert({1, i}, std::move(block));
    }
    CHECK(cache.bytes() >= given);
    CHECK(cache.bytes() < given + 2000 * 128);
  }
}
