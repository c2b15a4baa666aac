#include "engine/cold_fetch.h"

#include <doctest/doctest.h>

#include <functional>
#include <utility>
#include <vector>

#include "engine/file_names.h"
#include "engine/record.h"
#include "engine/sim.h"
#include "engine/table_builder.h"

namespace engine {
namespace {

// One thread for reactor and worker: `on_yield` is what the reactor does while a worker lingers.
class Interleaved final : public Executor {
 public:
  void submit(Lane /*lane*/, Task work, Task done) override {
    jobs.emplace_back(std::move(work), std::move(done));
  }
  void post(Task task) override { reports.push_back(std::move(task)); }
  void report(Task task) override { reports.push_back(std::move(task)); }
  void yield() override {
    if (auto act = std::exchange(on_yield, nullptr)) act();
  }
  void run_reports() {
    for (Task& task : std::exchange(reports, {})) task();
  }
  void work(size_t job) { jobs[job].first(), jobs[job].first = Task(); }
  void done(size_t job) { run_reports(), jobs[job].second(); }

  std::vector<std::pair<Task, Task>> jobs;
  std::vector<Task> reports;
  std::function<void()> on_yield;
};

struct Bench {
  Bench() {
    REQUIRE(disk.make_directory("/d").ok());
    TableOptions options;
    options.block_bytes = 512;
    TableBuilder builder(
        std::move(disk.open(table_path("/d", 1), OpenMode::kCreate, Caching::kKernel).value()), 1, options);
    for (int n = 1000; n < 1200; ++n)
      REQUIRE(builder.add(std::to_string(n), std::string(20, 'v'), kPut).ok());
    table = Table::open(disk, table_path("/d", 1), builder.finish(1, 2).value(), 0).value();
    REQUIRE(table->blocks() > 4);
  }
  void fetch(ReadContext& context, uint32_t block, int* arrived) {
    context.own().miss(*table, block);
    fetcher.fetch(context, [&context, block, arrived] {
      CHECK(context.impl->pins.contains(BlockId{1, block}));
      ++*arrived;
    });
  }

  SimDisk disk;
  SimClock clock;
  SimEntropy entropy{1};
  Interleaved executor;
  Env env{disk, clock, entropy, executor};
  BlockCache cache{1 << 20};
  ColdFetcher fetcher{env, cache};
  std::shared_ptr<const Table> table;
};

TEST_SUITE("engine/cold_fetch") {
  TEST_CASE("who lingers is given the next block to read, and nobody else is woken") {
    Bench bench;
    ReadContext first, second, third;
    int arrived = 0;
    bench.fetch(first, 0, &arrived);
    REQUIRE(bench.executor.jobs.size() == 1);
    bench.executor.on_yield = [&] {
      bench.executor.run_reports();
      CHECK(arrived == 1);
      bench.fetch(second, 1, &arrived);
      bench.fetch(third, 2, &arrived);  // There is one in the mailbox already.
    };
    bench.executor.work(0);
    CHECK(bench.executor.jobs.size() == 2);
    bench.executor.done(0);
    CHECK(arrived == 2);
    bench.executor.work(1);
    bench.executor.done(1);
    CHECK(arrived == 3);
    CHECK(bench.fetcher.idle());
  }

  TEST_CASE("a second worker does not linger beside the first, and who lingered in vain is not waited for") {
    Bench bench;
    ReadContext first, second, third;
    int arrived = 0;
    bench.fetch(first, 0, &arrived);
    bench.fetch(second, 1, &arrived);
    REQUIRE(bench.executor.jobs.size() == 2);
    bench.executor.on_yield = [&] {
      bench.executor.work(1);
      bench.executor.done(1);
      CHECK(arrived == 2);
    };
    bench.executor.work(0);
    bench.executor.done(0);
    CHECK(arrived == 2);
    CHECK(bench.fetcher.idle());
    bench.fetch(third, 2, &arrived);
    REQUIRE(bench.executor.jobs.size() == 3);
    bench.executor.work(2);
    bench.executor.done(2);
    CHECK(arrived == 3);
  }
}

}  // namespace
}  // namespace engine
