#include "engine/cold_fetch.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <string>
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
  bool begin(PageRead& read) override {
    if (page_reads) reads.push_back(&read);
    return page_reads;
  }
  // The oldest page read ends, with as much as `bytes_max` of it.
  void end_read(size_t bytes_max = SIZE_MAX) {
    PageRead& read = *reads.front();
    reads.erase(reads.begin());
    REQUIRE(read.offset % 4096 == 0);
    REQUIRE(read.out.size() % 4096 == 0);
    const Result<size_t> got = read.file->read(read.offset, read.out);
    REQUIRE(got.ok());
    read.ended(static_cast<int64_t>(std::min(got.value(), bytes_max)));
  }
  void work(size_t job) { jobs[job].first(), jobs[job].first = Task(); }
  void done(size_t job) { run_reports(), jobs[job].second(); }

  std::vector<std::pair<Task, Task>> jobs;
  std::vector<Task> reports;
  std::vector<PageRead*> reads;
  bool page_reads = false;
  std::function<void()> on_yield;
};

struct Bench {
  explicit Bench(const std::string& large = "", int records = 200) {
    REQUIRE(disk.make_directory("/d").ok());
    TableOptions options;
    options.block_bytes = 512;
    options.compression = Compression::kNone;
    TableBuilder builder(
        std::move(disk.open(table_path("/d", 1), OpenMode::kCreate, Caching::kKernel).value()), 1, options);
    for (int n = 1000; n < 1000 + records; ++n)
      REQUIRE(builder.add(std::to_string(n), std::string(20, 'v'), kPut).ok());
    if (!large.empty()) REQUIRE(builder.add("z", large, kPut).ok());
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

// The record's value, out of a block that was fetched.
std::string value_in(const ReadContext& context, const Table& table, uint32_t block, const std::string& key) {
  const auto entry = context.impl->pins.at({table.meta().number, block})->find(key, hash_key(key, 0));
  return entry ? std::string(entry->value) : "absent";
}

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

  TEST_CASE("where pages are read without a worker, blocks that lie anywhere in them come without one") {
    Bench bench;
    bench.executor.page_reads = true;
    for (int round = 0; round < 3; ++round) {  // Memory for pages is used again.
      std::vector<ReadContext> contexts(bench.table->blocks());
      int arrived = 0;
      for (uint32_t block = 0; block < bench.table->blocks(); ++block)
        bench.fetch(contexts[block], block, &arrived);
      while (!bench.executor.reads.empty()) bench.executor.end_read();
      CHECK(arrived == static_cast<int>(bench.table->blocks()));
      for (int n = 1000; n < 1200; ++n) {
        const std::string key = std::to_string(n);
        const uint32_t block = bench.table->find_block(key);
        CHECK(value_in(contexts[block], *bench.table, block, key) == std::string(20, 'v'));
      }
    }
    CHECK(bench.executor.jobs.empty());
    CHECK(bench.fetcher.idle());
    CHECK(bench.fetcher.without_worker() == 3 * bench.table->blocks());
  }

  TEST_CASE("of many blocks some wait without memory for their pages, and all come") {
    Bench bench({}, 4000);
    bench.executor.page_reads = true;
    REQUIRE(bench.table->blocks() > 150);
    ReadContext context;
    for (uint32_t block = 0; block < bench.table->blocks(); ++block) context.own().miss(*bench.table, block);
    bool done = false;
    bench.fetcher.fetch(context, [&done] { done = true; });
    CHECK(bench.executor.reads.size() == 128);
    for (uint32_t block = 0; block < bench.table->blocks(); ++block) {
      CHECK_FALSE(done);
      bench.executor.end_read();
      CHECK(bench.executor.reads.size() <= 128);
    }
    CHECK(done);
    CHECK(context.impl->pins.size() == bench.table->blocks());
    CHECK(bench.executor.jobs.empty());
    CHECK(bench.fetcher.idle());
  }

  TEST_CASE("pages that do not come, or not far enough, are a worker's to read") {
    Bench bench;
    bench.executor.page_reads = true;
    const uint64_t end = bench.table->block_offset(1);
    for (const uint64_t bytes : {uint64_t{0}, end - 1, end}) {
      CAPTURE(bytes);
      ReadContext context;
      int arrived = 0;
      const size_t jobs = bench.executor.jobs.size();
      bench.fetch(context, 0, &arrived);
      bench.executor.end_read(bytes);
      CHECK(bench.executor.jobs.size() == jobs + (bytes < end ? 1 : 0));
      if (bytes < end) {
        CHECK(arrived == 0);
        bench.executor.work(jobs);
        bench.executor.done(jobs);
      }
      CHECK(arrived == 1);
    }
    CHECK(bench.fetcher.idle());
    CHECK(bench.fetcher.without_worker() == 1);
  }

  TEST_CASE("a block that is damaged is noted as failed, naming file and offset, whoever read it") {
    for (const bool page_reads : {false, true}) {
      CAPTURE(page_reads);
      Bench bench;
      bench.executor.page_reads = page_reads;
      const uint64_t offset = bench.table->block_offset(2);
      auto file =
          std::move(bench.disk.open(table_path("/d", 1), OpenMode::kReadWrite, Caching::kKernel).value());
      REQUIRE(file->write(offset + 5, "?").ok());
      ReadContext context;
      context.own().miss(*bench.table, 2);
      bool done = false;
      bench.fetcher.fetch(context, [&done] { done = true; });
      if (page_reads) {
        bench.executor.end_read();
      } else {
        bench.executor.work(0);
        bench.executor.done(0);
      }
      CHECK(done);
      CHECK(context.impl->pins.empty());
      const Status& status = context.impl->failed.at({1, 2});
      CHECK(status.code() == Code::kCorruption);
      CHECK(status.message().find(table_path("/d", 1)) != std::string::npos);
      CHECK(status.message().find("offset " + std::to_string(offset)) != std::string::npos);
    }
  }

  TEST_CASE("a version that only the read kept is let go on a worker, for files are closed there") {
    Bench bench;
    bench.executor.page_reads = true;
    ReadContext context;
    auto version = std::make_shared<const Version>();
    const std::weak_ptr<const Version> watched = version;
    context.own().version = std::move(version);
    int arrived = 0;
    bench.fetch(context, 0, &arrived);
    bench.executor.end_read();
    CHECK(arrived == 1);
    CHECK_FALSE(watched.expired());
    REQUIRE(bench.executor.jobs.size() == 1);
    bench.executor.work(0);
    CHECK(watched.expired());
    bench.executor.done(0);
  }

  TEST_CASE("a large block is a worker's from the first: the reactor would take long to decode it") {
    Bench bench(std::string(200'000, 'v'));
    bench.executor.page_reads = true;
    ReadContext context;
    int arrived = 0;
    bench.fetch(context, bench.table->blocks() - 1, &arrived);
    CHECK(bench.executor.reads.empty());
    REQUIRE(bench.executor.jobs.size() == 1);
    bench.executor.work(0);
    bench.executor.done(0);
    CHECK(arrived == 1);
  }
}

}  // namespace
}  // namespace engine
