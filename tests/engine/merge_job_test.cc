#include "engine/merge_job.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>

#include "engine/file_names.h"
#include "engine/sim.h"
#include "tests/engine/object_schema.h"
#include "tests/engine/vector_iterator.h"

namespace engine {
namespace {

using State = Iterator::State;

struct World : SimWorld {
  explicit World(uint64_t seed = 1) : SimWorld(seed) { REQUIRE(disk->make_directory("/d").ok()); }

  uint64_t next_number = 1;

  std::unique_ptr<MergeJob> job(const std::vector<TestRun>& runs, MergeOptions options = {}) {
    std::vector<std::unique_ptr<Iterator>> inputs;
    for (const TestRun& run : runs) inputs.push_back(std::make_unique<VectorIterator>(run));
    return job_of(std::move(inputs), std::move(options));
  }
  std::unique_ptr<MergeJob> job_of(std::vector<std::unique_ptr<Iterator>> inputs, MergeOptions options,
                                   std::vector<std::shared_ptr<const void>> keep_alive = {}) {
    options.directory = "/d";
    options.first_lsn = 1;
    options.last_lsn = 2;
    return std::make_unique<MergeJob>(env, schema, std::move(options), std::move(inputs),
                                      std::move(keep_alive), [this] { return next_number++; });
  }
  TableRef open(const TableMeta& meta) {
    auto table = Table::open(*disk, table_path("/d", meta.number), meta, 0);
    INFO(table.status().message());
    REQUIRE(table.ok());
    return table.value();
  }
  TestRun records_of(const std::vector<TableMeta>& tables) {
    TestRun out;
    const auto source = blocking_source(0);
    for (const TableMeta& meta : tables) {
      const auto it = table_iterator(open(meta), *source);
      for (State s = it->seek_first(); s == State::kAt; s = it->next())
        out.push_back({std::string(it->key()), std::string(it->value()), it->flags()});
      REQUIRE(it->state() == State::kEnd);
    }
    return out;
  }
  size_t files() { return disk->list("/d").value().size(); }

  ObjectSchema schema;
};

MergeResult run_all(MergeJob& job, uint64_t slice = 1000) {
  while (!job.finished()) {
    const Status s = job.run_step(slice);
    INFO(s.message());
    REQUIRE(s.ok());
  }
  return job.take_result();
}

MergeOptions over_nothing() {
  MergeOptions options;
  options.below = std::make_shared<Version>();
  return options;
}

std::vector<ObjectId> ids_of(const std::vector<Reference>& references) {
  std::vector<ObjectId> ids;
  for (const Reference& reference : references) ids.push_back(reference.id);
  return ids;
}

// Records of `n` keys with values of 100 bytes that do not compress.
TestRun numbered(int n) {
  std::mt19937_64 random(5);
  TestRun run;
  for (int i = 0; i < n; ++i) {
    std::string value;
    for (int b = 0; b < 100; ++b) value += static_cast<char>(random());
    run.push_back({"k" + std::to_string(100000 + i), value});
  }
  return run;
}

const std::string kKey = header_key(1, "k");
constexpr uint8_t kUnsettledTombstone = kTombstone | kUnsettled;

TEST_SUITE("engine/merge_job") {
  TEST_CASE("the newest record of each key stays, in tables that can be read") {
    World world;
    auto job = world.job({{{"b", "new"}, {"c", "", kTombstone}}, {{"a", "1"}, {"b", "old"}, {"c", "3"}}});
    const MergeResult result = run_all(*job);
    CHECK(world.records_of(result.tables) == TestRun{{"a", "1"}, {"b", "new"}, {"c", "", kTombstone}});
    CHECK(result.read_records == 5);
    CHECK(result.written_records == 3);
    REQUIRE(result.tables.size() == 1);
    CHECK(result.written_bytes == result.tables[0].file_bytes);
    CHECK(result.tables[0].first_lsn == 1);
    CHECK(result.tables[0].last_lsn == 2);
  }

  TEST_CASE("nothing in, or nothing left, is no file at all") {
    World world;
    CHECK(run_all(*world.job({})).tables.empty());
    CHECK(run_all(*world.job({{}, {}})).tables.empty());
    CHECK(run_all(*world.job({{{"a", "", kTombstone}}, {{"a", "1"}}}, over_nothing())).tables.empty());
    CHECK(world.files() == 0);
  }

  TEST_CASE("debts of unsettled records are paid by what lies under them, and pass to the bottom") {
    struct Case {
      std::vector<uint8_t> flags;  // Newest first; of puts and tombstones alike.
      uint8_t left;                // Flags of the result where something may lie below.
      int64_t delta;
    };
    const std::vector<Case> cases = {
        {{kPut}, kPut, 0},
        {{kUnsettled}, kUnsettled, 0},
        {{kUnsettled, kPut}, kPut, -1},
        {{kUnsettled, kTombstone}, kPut, 0},
        {{kPut, kUnsettled}, kUnsettled, 0},
        {{kUnsettled, kUnsettled}, kUnsettled, -1},
        {{kUnsettled, kUnsettled, kPut}, kPut, -2},
        {{kUnsettled, kTombstone, kPut}, kPut, 0},
        {{kUnsettled, kUnsettledTombstone, kPut}, kPut, -1},
        {{kTombstone, kUnsettled, kUnsettled}, kUnsettledTombstone, -1},
        {{kUnsettledTombstone, kPut}, kTombstone, -1},
    };
    for (const Case& c : cases) {
      CAPTURE(c.left);
      CAPTURE(c.delta);
      std::vector<TestRun> runs;
      for (const uint8_t flags : c.flags) runs.push_back({{kKey, flags & kTombstone ? "" : "v", flags}});
      World world;
      const MergeResult over_something = run_all(*world.job(runs));
      CHECK(world.records_of(over_something.tables)[0].flags == c.left);
      const std::map<ObjectId, int64_t> deltas =
          c.delta == 0 ? std::map<ObjectId, int64_t>{} : std::map<ObjectId, int64_t>{{1, c.delta}};
      CHECK(over_something.count_deltas == deltas);

      // At the bottom tombstones and debts are gone, and no count is touched for it.
      const MergeResult bottom = run_all(*world.job(runs, over_nothing()));
      CHECK(bottom.count_deltas == deltas);
      const TestRun left = world.records_of(bottom.tables);
      if ((c.left & kTombstone) != 0) {
        CHECK(left.empty());
      } else {
        CHECK(left[0].flags == kPut);
      }
    }
  }

  TEST_CASE("what is not counted pays no debts") {
    World world;
    const MergeResult result = run_all(*world.job({{{"plain", "1", kUnsettled}}, {{"plain", "0"}}}));
    CHECK(result.count_deltas.empty());
  }

  TEST_CASE("the bottom is where neither range nor filter of a deeper table has the key") {
    World world;
    const auto make = [&](const TestRun& run) { return world.open(run_all(*world.job({run})).tables[0]); };
    Version::Levels levels(kLevels);
    levels[1].runs.emplace_back(std::vector<TableRef>{make({{"a", "1"}}), make({{"m", "1"}, {"p", "1"}})});
    levels[3].runs.emplace_back(std::vector<TableRef>{make({{"c", "1"}, {"f", "1"}})});
    MergeOptions options;
    options.below = std::make_shared<Version>(levels);
    TestRun run;
    for (const char* key : {"a", "b", "c", "f", "m", "p", "z"}) run.push_back({key, "", kTombstone});
    const auto keys_left = [&](int level) {
      options.below_level = level;
      std::string keys;
      for (const TestRecord& r : world.records_of(run_all(*world.job({run}, options)).tables)) keys += r.key;
      return keys;
    };
    CHECK(keys_left(0) == "acfmp");
    CHECK(keys_left(2) == "cf");
    CHECK(keys_left(4).empty());
    // In the range of [m p] and not in its filter.
    run = {{"n0", "", kTombstone}, {"n1", "", kTombstone}, {"n2", "", kTombstone}, {"n3", "", kTombstone}};
    CHECK(keys_left(0).empty());
  }

  TEST_CASE("a dropped header kills its object, if what stays refers to another or to none") {
    World world;
    const std::string five = object_value(5, 0), six = object_value(6, 2);
    const auto kills = [&](const std::vector<TestRun>& runs) {
      return ids_of(run_all(*world.job(runs)).kills);
    };
    using Ids = std::vector<ObjectId>;
    CHECK(kills({{{kKey, "plain"}}, {{kKey, five}}}) == Ids{5});
    CHECK(kills({{{kKey, "", kTombstone}}, {{kKey, five}}}) == Ids{5});
    CHECK(kills({{{kKey, six}}, {{kKey, five}}}) == Ids{5});
    CHECK(kills({{{kKey, "", kTombstone}}, {{kKey, six}}, {{kKey, five}}}) == Ids{6, 5});
    CHECK(kills({{{kKey, five}}, {{kKey, "plain"}}}).empty());
    // D1: the same id is rewritten, not dropped; also where another was between (a rename there and back).
    CHECK(kills({{{kKey, object_value(5, 1)}}, {{kKey, five}}}).empty());
    CHECK(kills({{{kKey, object_value(5, 2)}}, {{kKey, six}}, {{kKey, five}}}) == Ids{6});
    const MergeResult result = run_all(*world.job({{{kKey, "plain"}}, {{kKey, six}}}));
    CHECK(result.kills == std::vector<Reference>{{6, 2}});
  }

  TEST_CASE("what a dead object owns goes, and headers of a dead database take their objects along") {
    World world;
    DeadObjects dead;
    dead.kill({2, 0}, 0);   // A database.
    dead.kill({70, 0}, 0);  // An object.
    MergeOptions options;
    options.dead = dead.usable(0);
    const std::vector<TestRun> runs = {
        {{header_key(2, "a"), object_value(80, 0)}, {header_key(2, "b"), "", kTombstone}},
        {{header_key(1, "a"), object_value(81, 0)},
         {header_key(2, "a"), object_value(82, 1), kUnsettled},
         {header_key(2, "b"), object_value(83, 0)},
         {header_key(2, "c"), object_value(84, 0)},
         {header_key(3, "a"), "plain"},
         {element_key(69, "x"), "1"},
         {element_key(70, "x"), "2"},
         {element_key(70, "y"), "3"},
         {element_key(71, "x"), "4"}}};
    const MergeResult result = run_all(*world.job(runs, options));
    std::vector<std::string> left;
    for (const TestRecord& r : world.records_of(result.tables)) left.push_back(r.key);
    CHECK(left == std::vector<std::string>{header_key(1, "a"), header_key(3, "a"), element_key(69, "x"),
                                           element_key(71, "x")});
    CHECK(ids_of(result.kills) == std::vector<ObjectId>{80, 82, 83, 84});
    CHECK(result.count_deltas.empty());
  }

  TEST_CASE("files are cut near the size asked for") {
    World world;
    MergeOptions options;
    options.table_bytes = 20000;
    const MergeResult result = run_all(*world.job({numbered(2000)}, options));
    REQUIRE(result.tables.size() > 8);
    for (size_t i = 0; i + 1 < result.tables.size(); ++i) {
      CHECK(result.tables[i].file_bytes > 18000);
      CHECK(result.tables[i].file_bytes < 26000);
    }
    CHECK(world.records_of(result.tables) == numbered(2000));
  }

  TEST_CASE("files end in front of borders where they are full enough, and wait for one a little") {
    World world;
    MergeOptions options;
    options.table_bytes = 20000;
    const TestRun run = numbered(2000);
    // One border every 250 records (27 KB): each file ends there, a little over size.
    for (size_t i = 250; i < run.size(); i += 250) options.borders.push_back(run[i].key);
    MergeResult result = run_all(*world.job({run}, options));
    REQUIRE(result.tables.size() == 9);  // Behind the last border the size decides.
    for (size_t i = 1; i < 8; ++i) CHECK(result.tables[i].smallest == options.borders[i - 1]);
    CHECK(world.records_of(result.tables) == run);
    // One every 60 (6.5 KB), quickly one after the other: not each is taken, and nothing but borders is.
    options.borders.clear();
    for (size_t i = 60; i < run.size(); i += 60) options.borders.push_back(run[i].key);
    result = run_all(*world.job({run}, options));
    CHECK(result.tables.size() < 25);
    for (size_t i = 1; i < result.tables.size(); ++i) {
      CHECK(std::count(options.borders.begin(), options.borders.end(), result.tables[i].smallest) == 1);
      CHECK(result.tables[i - 1].file_bytes < 30000);
    }
    // None for long: the size decides.
    options.borders = {"k0", run.back().key};
    result = run_all(*world.job({run}, options));
    for (const TableMeta& table : result.tables) CHECK(table.file_bytes < 36000);
  }

  TEST_CASE("a slice is about as long as asked") {
    World world;
    auto job = world.job({numbered(1000)});
    size_t slices = 0;
    while (!job->finished()) {
      REQUIRE(job->run_step(10700).ok());
      ++slices;
    }
    CHECK(slices == 12);  // The last two write and read back what is left.
  }

  TEST_CASE("an operation that fails, whichever, ends the job and leaves no file behind") {
    MergeOptions options;
    options.table_bytes = 20000;
    uint64_t operations = 0;
    {
      World world;
      run_all(*world.job({numbered(1000)}, options));
      operations = world.disk->operations().size();
    }
    for (uint64_t fail = 1; fail < operations; ++fail) {
      CAPTURE(fail);
      World world;
      world.disk->fail_operation(fail, false);
      auto job = world.job({numbered(1000)}, options);
      Status s;
      while (s.ok() && !job->finished()) s = job->run_step(5000);
      CHECK(s.code() == Code::kIoError);
      CHECK(world.files() == 0);
    }
  }

  TEST_CASE("a full disk ends the job with kNoSpace and no file") {
    World world;
    world.disk->set_capacity(50000);
    MergeOptions options;
    options.table_bytes = 20000;
    auto job = world.job({numbered(1000)}, options);
    Status s;
    while (s.ok() && !job->finished()) s = job->run_step(5000);
    CHECK(s.code() == Code::kNoSpace);
    CHECK(world.files() == 0);
  }

  TEST_CASE("a damaged input ends the job with its status, wherever the damage is") {
    for (int moves = 0; moves < 5; ++moves) {
      World world;
      std::vector<std::unique_ptr<Iterator>> inputs;
      inputs.push_back(
          std::make_unique<VectorIterator>(TestRun{{"a", "1"}, {"b", "1"}, {"c", "1"}, {"d", "1"}}));
      auto broken = std::make_unique<VectorIterator>(TestRun{{"a", "0"}, {"b", "0"}, {"c", "0"}, {"d", "0"}});
      broken->break_after(moves, State::kFailed, {Code::kCorruption, "file and offset"});
      inputs.push_back(std::move(broken));
      auto job = world.job_of(std::move(inputs), over_nothing());
      const Status s = job->run_step(1 << 20);
      CHECK(s.code() == Code::kCorruption);
      CHECK(s.message() == "file and offset");
      CHECK_FALSE(job->finished());
      CHECK(world.files() == 0);
    }
  }

  TEST_CASE("a job that is discarded, in the middle or when finished, leaves no file behind") {
    for (const uint64_t steps : {10, 1000}) {
      World world;
      MergeOptions options;
      options.table_bytes = 20000;
      auto job = world.job({numbered(1000)}, options);
      for (uint64_t i = 0; i < steps && !job->finished(); ++i) REQUIRE(job->run_step(5000).ok());
      CHECK(world.files() > 0);
      job->discard();
      CHECK(world.files() == 0);
    }
  }

  TEST_CASE("once a job is finished its files survive a power cut") {
    World world;
    REQUIRE(world.disk->sync_directory("/").ok());
    MergeOptions options;
    options.table_bytes = 20000;
    const MergeResult result = run_all(*world.job({numbered(500)}, options));
    for (uint64_t seed = 0; seed < 20; ++seed) {
      World rebooted;
      rebooted.disk = world.disk->crash(seed, {.junk = true});
      CHECK(rebooted.records_of(result.tables) == numbered(500));
    }
  }
}

}  // namespace
}  // namespace engine
