#include "engine/table.h"

#include <doctest/doctest.h>
#include <xxhash.h>

#include <vector>

#include "engine/table_format.h"
#include "tests/engine/table_support.h"

using namespace table_test;

TEST_SUITE("engine/table") {
  TEST_CASE("what was added is read back, by every way of reading") {
    for (const char* shape : {"random", "sequential", "binary", "long shared prefixes", "short", "big values",
                              "empty values", "long keys"}) {
      for (const Compression compression : {Compression::kLz4, Compression::kNone}) {
        CAPTURE(shape);
        std::mt19937_64 random(std::hash<std::string>()(shape));
        const size_t count =
            std::string(shape) == "big values" || std::string(shape) == "long keys" ? 60 : 4000;
        const Model model = model_of_shape(shape, random, count);
        SimDisk disk;
        const TableMeta meta = build(disk, model, {.compression = compression});
        check_equal(opened(disk, meta), model, random);
      }
    }
  }

  TEST_CASE("a table of one record, and one of none") {
    std::mt19937_64 random(1);
    for (const Model& model : {Model{{"k", {"v", kPut}}}, Model{{std::string(1, '\0'), {"", kTombstone}}},
                               Model{{"", {"v", kPut}}, {std::string(1, 0), {"", kPut}}}, Model{}}) {
      SimDisk disk;
      const auto table = opened(disk, build(disk, model));
      CHECK(table->blocks() == (model.empty() ? 0 : 1));
      check_equal(table, model, random);
    }
  }

  TEST_CASE("the meta tells what is in the table") {
    std::mt19937_64 random(2);
    const Model model = model_of_shape("random", random, 1000);
    SimDisk disk;
    const TableMeta meta = build(disk, model);
    uint64_t data_bytes = 0, tombstones = 0, unsettled = 0;
    for (const auto& [key, entry] : model) {
      data_bytes += key.size() + entry.value.size();
      tombstones += (entry.flags & kTombstone) != 0;
      unsettled += (entry.flags & kUnsettled) != 0;
    }
    CHECK(meta.number == kNumber);
    CHECK(meta.entries == model.size());
    CHECK(meta.data_bytes == data_bytes);
    CHECK(meta.tombstones == tombstones);
    CHECK(meta.unsettled == unsettled);
    CHECK(meta.first_lsn == 100);
    CHECK(meta.last_lsn == 200);
    CHECK(meta.smallest == model.begin()->first);
    CHECK(meta.largest == model.rbegin()->first);
    const std::string bytes = disk.contents(kPath);
    CHECK(meta.file_bytes == bytes.size());
    CHECK(meta.checksum == XXH3_64bits(bytes.data(), bytes.size()));
  }

  TEST_CASE("the index finds the block of a key among thousands, also where heads are equal") {
    // Small blocks make many separators: several partitions, and runs of equal heads.
    for (const char* shape : {"random", "sequential", "binary", "long shared prefixes", "short"}) {
      CAPTURE(shape);
      std::mt19937_64 random(31);
      const Model model = model_of_shape(shape, random, 6000);
      SimDisk disk;
      const auto table = opened(disk, build(disk, model, {.block_bytes = 160}));
      if (std::string(shape) == "random") CHECK(table->blocks() > 2 * table_format::kPartitionBlocks);
      check_equal(table, model, random);
      for (uint32_t i = 0; i < table->blocks(); i += 1 + static_cast<uint32_t>(random() % 50)) {
        auto block = table->read_block(i);
        REQUIRE(block.ok());
        REQUIRE(table->find_block((*block)->key(0)) == i);
        REQUIRE(table->find_block((*block)->key((*block)->entries() - 1)) == i);
      }
      CHECK(table->find_block("") == 0);
      CHECK(table->find_block(table->meta().largest) == table->blocks() - 1);
      CHECK(table->find_block(table->meta().largest + '\0') == table->blocks());
    }
  }

  TEST_CASE("the filter lets pass every key that is there and few others; without one all pass") {
    std::mt19937_64 random(8);
    const Model model = model_of_shape("random", random, 5000);
    SimDisk disk;
    const auto table = opened(disk, build(disk, model));
    uint64_t passed = 0;
    for (int i = 0; i < 20000; ++i) passed += table->may_contain(random());
    CHECK(passed < 20000 * 15 / 1000);
    const auto unfiltered = opened(disk, build(disk, model, {.filter_bits_per_key = 0}));
    CHECK(unfiltered->may_contain(random()));
    CHECK(unfiltered->memory_bytes() < table->memory_bytes());
    check_equal(unfiltered, model, random);
  }

  TEST_CASE("a finished table survives a power cut once its directory is synced") {
    std::mt19937_64 random(4);
    const Model model = model_of_shape("big values", random, 60);
    SimDisk disk;
    const TableMeta meta = build(disk, model);
    REQUIRE(disk.sync_directory("db").ok());
    REQUIRE(disk.sync_directory(".").ok());
    for (uint64_t seed = 0; seed < 5; ++seed) {
      CAPTURE(seed);
      const auto rebooted = disk.crash(seed);
      check_equal(opened(*rebooted, meta), model, random);
    }
  }

  TEST_CASE("read_blocks() reads once, and gives what read_block() gives") {
    std::mt19937_64 random(6);
    const Model model = model_of_shape("random", random, 1000);
    SimDisk disk;
    const auto table = opened(disk, build(disk, model));
    REQUIRE(table->blocks() > 10);
    const uint64_t reads = disk.reads();
    auto blocks = table->read_blocks(2, 7);
    REQUIRE(blocks.ok());
    CHECK(disk.reads() == reads + 1);
    REQUIRE(blocks->size() == 7);
    for (uint32_t i = 0; i < 7; ++i) {
      auto block = table->read_block(2 + i);
      REQUIRE(block.ok());
      CHECK((*blocks)[i]->key(0) == (*block)->key(0));
      CHECK((*blocks)[i].sole());
    }
    CHECK(table->read_blocks(table->blocks(), 0)->empty());
  }

  TEST_CASE("reading ahead needs few reads in either direction, and none for what is not asked for") {
    std::mt19937_64 random(6);
    const Model model = model_of_shape("random", random, 4000);
    SimDisk disk;
    const auto table = opened(disk, build(disk, model));
    const auto reads_of = [&](uint64_t read_ahead, bool forward) {
      const uint64_t before = disk.reads();
      const auto source = blocking_source(read_ahead);
      const auto it = table_iterator(table, *source);
      State s = forward ? it->seek_first() : it->seek_last();
      uint64_t entries = 0;
      for (; s == State::kAt; s = forward ? it->next() : it->prev()) ++entries;
      CHECK(entries == model.size());
      return disk.reads() - before;
    };
    CHECK(reads_of(0, true) == table->blocks());
    CHECK(reads_of(0, false) == table->blocks());
    const uint64_t data = table->block_offset(table->blocks());
    CHECK(reads_of(64 << 10, true) <= data / (60 << 10) + 5);  // It begins with little.
    CHECK(reads_of(64 << 10, false) <= data / (60 << 10) + 5);

    const auto source = blocking_source(64 << 10);
    const uint64_t before = disk.reads();
    for (const uint32_t i : {5U, 1U, 9U, 9U, 3U}) REQUIRE(source->block(*table, i));
    CHECK(disk.reads() == before + 4);
  }

  TEST_CASE("one blocking source may serve several tables") {
    std::mt19937_64 random(6);
    SimDisk disk;
    const Model model = model_of_shape("random", random, 500);
    const auto one = opened(disk, build(disk, model));
    REQUIRE(disk.rename(kPath, "db/one").ok());
    TableOptions options;
    auto file = disk.open("db/two", OpenMode::kCreate, Caching::kKernel);
    REQUIRE(file.ok());
    TableBuilder builder(std::move(*file), kNumber + 1, options);
    REQUIRE(builder.add("only", "two", kPut).ok());
    const auto meta = builder.finish(1, 2);
    REQUIRE(meta.ok());
    auto two = Table::open(disk, "db/two", meta.value(), 0);
    REQUIRE(two.ok());
    const auto source = blocking_source(64 << 10);
    CHECK(source->block(*one, 0)->key(0) == model.begin()->first);
    CHECK(source->block(**two, 0)->key(0) == "only");
    CHECK(source->block(*one, 0)->key(0) == model.begin()->first);
  }

  TEST_CASE("approximate_bytes() is a range's share of the file, to within two blocks") {
    std::mt19937_64 random(12);
    const Model model = model_of_shape("sequential", random, 5000);
    SimDisk disk;
    const auto table = opened(disk, build(disk, model));
    const uint64_t all = table->block_offset(table->blocks());
    CHECK(table->approximate_bytes("", "") == all);
    CHECK(table->approximate_bytes("user:", "user;") == all);
    CHECK(table->approximate_bytes("a", "b") == 0);
    CHECK(table->approximate_bytes("z", "") == 0);
    CHECK(table->approximate_bytes("user:103000", "user:102000") == 0);
    const uint64_t half = table->approximate_bytes("user:101000", "user:103500");
    CHECK(half > all / 2 - 8192);
    CHECK(half < all / 2 + 8192);
    CHECK(table->approximate_bytes("user:102000", "user:102001") > 0);
    CHECK(table->approximate_bytes("user:102000", "user:102001") <= 8192);
  }

  TEST_CASE("an iterator over a block that is not in memory is cold, and stays so") {
    // As on the reactor: blocks up to the limit are cached, others are noted.
    struct Cached final : BlockSource {
      BlockRef block(const Table& table, uint32_t index) override {
        if (index < cached) return *table.read_block(index);
        noted = index;
        return {};
      }
      const Status& status() const override { return ok; }
      uint32_t cached = 0;
      uint32_t noted = 0;
      Status ok;
    } source;
    std::mt19937_64 random(13);
    const Model model = model_of_shape("random", random, 500);
    SimDisk disk;
    const auto table = opened(disk, build(disk, model));
    uint64_t restarts = 0;
    for (;; ++restarts) {
      REQUIRE(restarts <= table->blocks());
      const auto it = table_iterator(table, source);
      uint64_t entries = 0;
      State s = it->seek_first();
      for (; s == State::kAt; s = it->next()) ++entries;
      if (s == State::kEnd) {
        CHECK(entries == model.size());
        break;
      }
      REQUIRE(s == State::kCold);
      CHECK(it->status().ok());
      CHECK(it->seek_first() == State::kCold);
      CHECK(it->seek("") == State::kCold);
      CHECK(source.noted == source.cached);
      ++source.cached;
    }
    CHECK(restarts == table->blocks());
  }

  TEST_CASE("a failing read is an error that the iterator shows, and it stays failed") {
    std::mt19937_64 random(14);
    const Model model = model_of_shape("random", random, 500);
    SimDisk disk;
    const TableMeta meta = build(disk, model);
    const auto table = opened(disk, meta);
    const auto source = blocking_source(0);
    const auto it = table_iterator(table, *source);
    REQUIRE(it->seek_first() == State::kAt);
    disk.fail_read(disk.reads(), true);
    State s = State::kAt;
    while (s == State::kAt) s = it->next();
    CHECK(s == State::kFailed);
    CHECK(it->status().code() == Code::kIoError);
    CHECK(it->seek_first() == State::kFailed);
    CHECK(table->read_block(0).status().code() == Code::kIoError);
    CHECK(table->read_blocks(0, 2).status().code() == Code::kIoError);
    CHECK(Table::open(disk, kPath, meta, kSeed).status().code() == Code::kIoError);
    disk.no_faults();
    CHECK(table->read_block(0).ok());
  }

  TEST_CASE("every operation of a build may fail: the builder says so, and says it again") {
    std::mt19937_64 random(15);
    const Model model = model_of_shape("big values", random, 30);
    SimDisk whole;
    (void)build(whole, model);
    for (uint64_t n = 2; n < whole.operations().size(); ++n) {  // After the directory and the file were made.
      CAPTURE(whole.operations()[n]);
      SimDisk disk;
      disk.fail_operation(n, false);
      REQUIRE(disk.make_directory("db").ok());
      auto file = disk.open(kPath, OpenMode::kCreate, Caching::kKernel);
      REQUIRE(file.ok());
      TableBuilder builder(std::move(*file), kNumber, {});
      Status first;
      for (const auto& [key, entry] : model) {
        Status s = builder.add(key, entry.value, entry.flags);
        if (!first.ok()) CHECK(s.message() == first.message());
        if (first.ok()) first = s;
      }
      const Status last = builder.finish(1, 2).status();
      CHECK(last.code() == Code::kIoError);
      if (!first.ok()) CHECK(last.message() == first.message());
      CHECK(builder.finish(1, 2).status().code() == Code::kIoError);
    }
  }

  TEST_CASE("a full disk is told apart from other failures") {
    SimDisk disk;
    REQUIRE(disk.make_directory("db").ok());
    disk.set_capacity(100 << 10);
    auto file = disk.open(kPath, OpenMode::kCreate, Caching::kKernel);
    TableBuilder builder(std::move(*file), kNumber, {.compression = Compression::kNone});
    CHECK(builder.add("k", std::string(1 << 20, 'v'), kPut).ok());  // Buffered until its block ends.
    CHECK(builder.add("l", "v", kPut).code() == Code::kNoSpace);
    CHECK(builder.finish(1, 2).status().code() == Code::kNoSpace);
  }

  TEST_CASE("a table is written in long pieces, and compresses what is worth it") {
    std::mt19937_64 random(16);
    const Model model = model_of_shape("random", random, 20000);
    SimDisk disk;
    const TableMeta packed = build(disk, model);
    CHECK(disk.operations().size() <= packed.file_bytes / (256 << 10) + 4);
    CHECK(packed.file_bytes < packed.data_bytes);
    const TableMeta raw = build(disk, model, {.compression = Compression::kNone});
    CHECK(raw.file_bytes > raw.data_bytes);
    CHECK(packed.file_bytes < raw.file_bytes * 3 / 4);
  }
}
