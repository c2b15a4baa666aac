#include "engine/run_ahead.h"

#include <doctest/doctest.h>

#include <random>

#include "engine/file_names.h"
#include "engine/merge_job.h"
#include "engine/sim.h"
#include "engine/table_builder.h"
#include "tests/engine/object_schema.h"
#include "tests/engine/vector_iterator.h"

namespace engine {
namespace {

using State = Iterator::State;

struct Tables : SimWorld {
  explicit Tables(uint64_t seed) : SimWorld(seed) { REQUIRE(disk->make_directory("/d").ok()); }

  // `count` tables of some hundred blocks together, with keys that begin with `first`.
  Run run(int count, const std::string& first) {
    std::vector<TableRef> tables;
    for (int t = 0; t < count; ++t) {
      const uint64_t number = next_number++;
      TableOptions options;
      options.block_bytes = 512;
      TableBuilder builder(
          std::move(disk->open(table_path("/d", number), OpenMode::kCreate, Caching::kKernel).value()),
          number, options);
      for (int n = 0; n < 150; ++n, ++key) {
        records.push_back({first + std::to_string(key), std::to_string(entropy.next())});
        REQUIRE(builder.add(records.back().key, records.back().value, kPut).ok());
      }
      const TableMeta meta = builder.finish(1, 2).value();
      tables.push_back(Table::open(*disk, table_path("/d", number), meta, 0).value());
    }
    return Run(std::move(tables));
  }

  uint64_t next_number = 1;
  int key = 100000;
  TestRun records;
  ObjectSchema schema;
};

TEST_SUITE("engine/run_ahead") {
  TEST_CASE("whenever the errands run, the run's records come, all and in order") {
    for (uint64_t seed = 1; seed <= 60; ++seed) {
      CAPTURE(seed);
      std::mt19937_64 random(seed);
      Tables world(seed);
      const Run run = world.run(3, "k");
      RunAhead source(run, 600 + random() % 6000);
      const auto it = run_iterator(run, source);
      const uint64_t pace = 1 + random() % 200;  // Records a step: from far behind the errands to far before.
      size_t seen = 0;
      bool reading = false;
      for (State s = it->seek_first(); s == State::kAt; s = it->next(), ++seen) {
        REQUIRE(seen < world.records.size());
        REQUIRE(it->key() == world.records[seen].key);
        REQUIRE(it->value() == world.records[seen].value);
        if (random() % pace != 0) continue;
        if (reading) source.read();
        source.hand_over();
        reading = source.has_work();
      }
      CHECK(it->state() == State::kEnd);
      CHECK(seen == world.records.size());
    }
  }

  TEST_CASE("what the errands keep ahead of is read once, and not by the slice") {
    Tables world(1);
    const Run run = world.run(2, "k");
    RunAhead source(run, 2000);
    const auto it = run_iterator(run, source);
    REQUIRE(it->seek_first() == State::kAt);
    source.hand_over();
    const uint64_t opened = world.disk->reads();
    uint64_t errands = 0;
    while (it->state() == State::kAt) {
      if (source.has_work()) source.read(), ++errands;
      source.hand_over();
      it->next();
    }
    CHECK(it->state() == State::kEnd);
    CHECK(errands >= 4);
    CHECK(world.disk->reads() == opened + errands);
  }

  TEST_CASE("a damaged block is an error for whoever comes to it, and for nobody before") {
    for (uint64_t seed = 1; seed <= 20; ++seed) {
      CAPTURE(seed);
      Tables world(seed);
      const Run run = world.run(2, "k");
      const Table& second = *run.tables()[1];
      const uint32_t bad = static_cast<uint32_t>(world.entropy.below(second.blocks()));
      world.disk->flip_bit(table_path("/d", second.meta().number), second.block_offset(bad) + 9, 3);
      RunAhead source(run, 3000);
      const auto it = run_iterator(run, source);
      size_t seen = 0;
      for (State s = it->seek_first(); s == State::kAt; s = it->next(), ++seen) {
        if (seen % 10 != 0) continue;
        source.hand_over();
        if (source.has_work()) source.read();
      }
      CHECK(it->state() == State::kFailed);
      CHECK(it->status().code() == Code::kCorruption);
      // All records of all blocks before it.
      const auto before = blocking_source(0);
      size_t whole = run.tables()[0]->meta().entries;
      for (uint32_t block = 0; block < bad; ++block) whole += before->block(second, block)->entries();
      CHECK(seen == whole);
    }
  }

  TEST_CASE("a merge whose slices and errands run in any order makes what one after the other does") {
    const auto merged = [](uint64_t seed, bool shuffled) {
      Tables world(seed);
      const Run newer = world.run(2, "a"), older = world.run(3, "b");
      MergeOptions options;
      options.directory = "/d";
      options.table_bytes = 3000;
      std::vector<std::shared_ptr<RunAhead>> ahead{std::make_shared<RunAhead>(newer, 900),
                                                   std::make_shared<RunAhead>(older, 900)};
      std::vector<std::unique_ptr<Iterator>> inputs;
      inputs.push_back(run_iterator(newer, *ahead[0]));
      inputs.push_back(run_iterator(older, *ahead[1]));
      MergeJob job(
          world.env, world.schema, options, std::move(inputs), {}, [&world] { return world.next_number++; },
          ahead);
      while (!job.finished()) {
        if (!shuffled) {
          REQUIRE(job.run_step(1500).ok());
          continue;
        }
        job.begin_step();
        const bool slice = job.has_slice(), errand = job.has_errand();
        REQUIRE((slice || errand));
        const bool slice_first = world.entropy.below(2) == 0;
        if (slice && slice_first) REQUIRE(job.slice(1500).ok());
        if (errand) REQUIRE(job.errand(1500).ok());
        if (slice && !slice_first) REQUIRE(job.slice(1500).ok());
      }
      std::vector<std::pair<std::string, uint64_t>> tables;
      for (const TableMeta& meta : job.take_result().tables)
        tables.emplace_back(meta.smallest + ".." + meta.largest, meta.checksum);
      return tables;
    };
    for (uint64_t seed = 1; seed <= 10; ++seed) {
      CAPTURE(seed);
      const auto expected = merged(seed, false);
      CHECK(expected.size() > 3);
      CHECK(merged(seed, true) == expected);
    }
  }
}

}  // namespace
}  // namespace engine
