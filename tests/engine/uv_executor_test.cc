#include "engine/uv_executor.h"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "engine/env_posix.h"
#include "engine/read_ring.h"
#include "tests/engine/executor_report.h"

using namespace engine;

namespace {

struct Loop {
  Loop() { REQUIRE(uv_loop_init(&loop) == 0); }
  ~Loop() { CHECK(uv_loop_close(&loop) == 0); }  // Busy if anything was left open.
  uv_loop_t loop;
};

struct Directory {
  Directory() {
    char name[] = "/tmp/varve-uv-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    path = name;
  }
  ~Directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::string path;
};

class Read final : public PageRead {
 public:
  Read(const File& of, uint64_t page, uint64_t pages)
      : memory_(static_cast<char*>(std::aligned_alloc(4096, pages * 4096)), std::free) {
    file = &of;
    offset = page * 4096;
    out = {memory_.get(), pages * 4096};
    std::fill(out.begin(), out.end(), '?');
  }
  void ended(int64_t bytes) override {
    got = bytes;
    ++ends;
    if (and_then) and_then();
  }
  std::string bytes() const { return {out.data(), out.size()}; }

  int64_t got = 0;
  int ends = 0;
  std::function<void()> and_then;

 private:
  const std::unique_ptr<char, void (*)(void*)> memory_;
};

}  // namespace

TEST_SUITE("engine/uv_executor") {
  TEST_CASE("work runs on another thread, done on the loop's, and stop leaves none behind") {
    Loop loop;
    UvExecutor executor(&loop.loop, 4);
    const std::thread::id reactor = std::this_thread::get_id();
    int done = 0;
    for (int i = 0; i < 100; ++i) {
      auto worker = std::make_shared<std::thread::id>();
      executor.submit(
          static_cast<Lane>(i % kLanes), [worker] { *worker = std::this_thread::get_id(); },
          [worker, reactor, &done] {
            CHECK(*worker != std::thread::id());
            CHECK(*worker != reactor);
            CHECK(std::this_thread::get_id() == reactor);
            ++done;
          });
    }
    CHECK(done == 0);
    executor.stop();
    CHECK(done == 100);
    CHECK(executor.unfinished() == 0);
  }

  TEST_CASE("a report of work that goes on runs on the reactor, before the work's done") {
    Loop loop;
    UvExecutor executor(&loop.loop, 2);
    check_report(executor, [&executor] { executor.stop(); });
  }

  TEST_CASE("stop runs what unfinished work brings forth") {
    Loop loop;
    UvExecutor executor(&loop.loop, 2);
    std::vector<int> order;
    executor.submit(
        Lane::kCompaction, [] {},
        [&] {
          order.push_back(1);
          executor.post([&] {
            order.push_back(2);
            executor.submit(
                Lane::kLog, [] {}, [&] { order.push_back(3); });
          });
        });
    executor.stop();
    CHECK(order == std::vector<int>{1, 2, 3});
  }

  TEST_CASE("a posted task runs after the present call and without waiting for any event") {
    Loop loop;
    UvExecutor executor(&loop.loop, 2);
    // A timer an hour away: were the loop to sleep while a task waits, this test would not end.
    uv_timer_t far;
    uv_timer_init(&loop.loop, &far);
    uv_timer_start(
        &far, [](uv_timer_t*) {}, 3'600'000, 0);
    std::vector<int> order;
    executor.post([&] {
      order.push_back(1);
      executor.post([&] {
        order.push_back(3);
        uv_close(reinterpret_cast<uv_handle_t*>(&far), nullptr);
      });
      order.push_back(2);
    });
    CHECK(order.empty());
    uv_run(&loop.loop, UV_RUN_DEFAULT);
    CHECK(order == std::vector<int>{1, 2, 3});
    executor.stop();
  }

  TEST_CASE("while nothing is posted the executor keeps no handle active, so the loop may sleep or end") {
    Loop loop;
    UvExecutor executor(&loop.loop, 2);
    CHECK(uv_loop_alive(&loop.loop) == 0);
    bool ran = false;
    executor.post([&ran] { ran = true; });
    CHECK(uv_loop_alive(&loop.loop) != 0);
    CHECK(uv_backend_timeout(&loop.loop) == 0);
    uv_run(&loop.loop, UV_RUN_NOWAIT);
    CHECK(ran);
    CHECK(uv_loop_alive(&loop.loop) == 0);
    executor.stop();
  }

  TEST_CASE("page reads come from the disk without a worker, and one that does not fit is refused") {
    const Directory directory;
    constexpr uint64_t kPages = 255;
    PosixFileSystem files;
    {
      auto file = std::move(files.open(directory.path + "/f", OpenMode::kCreate, Caching::kKernel).value());
      for (uint64_t page = 0; page < kPages; ++page)
        REQUIRE(file->write(page * 4096, std::string(4096, static_cast<char>('a' + page % 26))).ok());
      REQUIRE(file->write(kPages * 4096, "the end").ok());
      REQUIRE(file->sync().ok());
    }
    const auto direct = std::move(files.open(directory.path + "/f", OpenMode::kRead, Caching::kNone).value());
    const auto buffered =
        std::move(files.open(directory.path + "/f", OpenMode::kRead, Caching::kKernel).value());
    if (!ReadRing::make()) {
      MESSAGE("this kernel, or this container, has no io_uring for us");
      return;
    }
    if (direct->page_descriptor() < 0) {
      MESSAGE("this file system does not read past the page cache");
      return;
    }
    Loop loop;
    UvExecutor executor(&loop.loop, 2);
    Read refused(*buffered, 0, 1);
    CHECK_FALSE(executor.begin(refused));

    std::vector<std::unique_ptr<Read>> reads;
    for (uint64_t page = 0; page < kPages; ++page) {
      reads.push_back(std::make_unique<Read>(*direct, page, 1));
      REQUIRE(executor.begin(*reads.back()));
    }
    CHECK(executor.unfinished() == kPages);
    reads.push_back(std::make_unique<Read>(*direct, kPages - 1, 2));  // Past the end.
    Read& last = *reads.back();
    Read after(*direct, 7, 1), refused_later(*direct, 0, 1);
    last.and_then = [&] { REQUIRE(executor.begin(after)); };
    REQUIRE(executor.begin(last));
    CHECK_FALSE(executor.begin(refused_later));
    for (const auto& read : reads) CHECK(read->ends == 0);  // Not before begin() has returned.
    executor.stop();
    CHECK(executor.unfinished() == 0);
    for (uint64_t page = 0; page < kPages; ++page) {
      CAPTURE(page);
      CHECK(reads[page]->ends == 1);
      CHECK(reads[page]->got == 4096);
      CHECK(reads[page]->bytes() == std::string(4096, static_cast<char>('a' + page % 26)));
    }
    CHECK(last.got == 4096 + 7);
    CHECK(last.bytes().substr(4096, 7) == "the end");
    CHECK(after.got == 4096);
    CHECK(refused.ends + refused_later.ends == 0);
  }

  TEST_CASE("page reads keep the loop going, one after the other, and let it end when there are none") {
    const Directory directory;
    PosixFileSystem files;
    {
      auto file = std::move(files.open(directory.path + "/f", OpenMode::kCreate, Caching::kKernel).value());
      REQUIRE(file->write(0, std::string(8 * 4096, 'x')).ok());
    }
    const auto direct = std::move(files.open(directory.path + "/f", OpenMode::kRead, Caching::kNone).value());
    if (!ReadRing::make() || direct->page_descriptor() < 0) return;  // As said above.
    Loop loop;
    UvExecutor executor(&loop.loop, 2);
    std::vector<std::unique_ptr<Read>> reads;
    for (uint64_t n = 0; n < 100; ++n) reads.push_back(std::make_unique<Read>(*direct, n % 8, 1));
    for (size_t n = 0; n + 1 < reads.size(); ++n)
      reads[n]->and_then = [&, n] { REQUIRE(executor.begin(*reads[n + 1])); };
    REQUIRE(executor.begin(*reads[0]));
    CHECK(uv_loop_alive(&loop.loop) != 0);
    uv_run(&loop.loop, UV_RUN_DEFAULT);
    for (const auto& read : reads) CHECK(read->got == 4096);
    CHECK(uv_loop_alive(&loop.loop) == 0);
    executor.stop();
  }
}
