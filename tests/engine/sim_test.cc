#include "engine/sim.h"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

using namespace engine;

namespace {

std::unique_ptr<File> create(SimDisk& disk, const std::string& path) {
  Result<std::unique_ptr<File>> file = disk.open(path, OpenMode::kCreate, Caching::kKernel);
  REQUIRE(file.ok());
  return std::move(file).value();
}

bool has(SimDisk& disk, const std::string& path) { return disk.exists(path).value(); }

}  // namespace

TEST_SUITE("engine/sim") {
  TEST_CASE("what was synced survives every crash, entry and bytes") {
    for (uint64_t seed = 0; seed < 200; ++seed) {
      CAPTURE(seed);
      SimDisk disk;
      REQUIRE(disk.make_directory("d").ok());
      REQUIRE(disk.sync_directory(".").ok());
      auto file = create(disk, "d/a");
      REQUIRE(file->write(0, std::string(5000, 'x')).ok());
      REQUIRE(file->sync().ok());
      REQUIRE(disk.sync_directory("d").ok());
      REQUIRE(file->write(8192, "later").ok());
      const auto after = disk.crash(seed);
      CHECK(after->contents("d/a").substr(0, 5000) == std::string(5000, 'x'));
    }
  }

  TEST_CASE("unsynced writes are lost, kept, torn by sector and reordered, each by some seed") {
    bool lost = false, kept = false, torn = false, second_without_first = false, size_only = false;
    for (uint64_t seed = 0; seed < 400; ++seed) {
      CAPTURE(seed);
      SimDisk disk;
      auto file = create(disk, "a");
      REQUIRE(file->sync().ok());
      REQUIRE(disk.sync_directory(".").ok());
      REQUIRE(file->write(0, std::string(4096, '1')).ok());
      REQUIRE(file->write(4096, std::string(4096, '2')).ok());
      const std::string after = disk.crash(seed)->contents("a");
      CHECK((after.size() == 0 || after.size() == 4096 || after.size() == 8192));
      // Never anything but old (zeros) or new, by whole sectors.
      for (size_t at = 0; at < after.size(); ++at) {
        const char expected = at < 4096 ? '1' : '2';
        const bool sane = after[at] == expected || after[at] == '\0';
        if (!sane || after[at] != after[at / 512 * 512]) FAIL("byte " << at);
      }
      const bool first = after.size() >= 4096 && after.substr(0, 4096) == std::string(4096, '1');
      const bool second = after.size() == 8192 && after.substr(4096) == std::string(4096, '2');
      lost |= after.empty();
      kept |= first && second;
      second_without_first |= second && !first;
      torn |= !after.empty() && after.find('1') != std::string::npos && !first;
      size_only |= after.size() == 8192 && after == std::string(8192, '\0');
    }
    CHECK(lost);
    CHECK(kept);
    CHECK(torn);
    CHECK(second_without_first);
    CHECK(size_only);
  }

  TEST_CASE("a synced write survives every crash, and what was written before it elsewhere need not") {
    SimDisk disk;
    REQUIRE(disk.make_directory("d").ok());
    REQUIRE(disk.sync_directory(".").ok());
    auto file = create(disk, "d/f");
    REQUIRE(file->write(0, std::string(16384, '.')).ok());
    REQUIRE(file->sync().ok());
    REQUIRE(disk.sync_directory("d").ok());
    REQUIRE(file->write(0, "unsynced").ok());
    REQUIRE(file->write_synced(8192, "synced").ok());
    bool lost = false;
    for (uint64_t seed = 0; seed < 50; ++seed) {
      CAPTURE(seed);
      const std::string after = disk.crash(seed)->contents("d/f");
      CHECK(after.substr(8192, 7) == "synced.");
      lost |= after.substr(0, 8) == "........";
    }
    CHECK(lost);
  }

  TEST_CASE("the same seed makes the same disk, and a crash leaves the running disk as it was") {
    SimDisk disk;
    auto file = create(disk, "a");
    REQUIRE(disk.sync_directory(".").ok());
    REQUIRE(file->write(0, std::string(20000, 'x')).ok());
    std::set<std::string> states;
    for (uint64_t seed = 0; seed < 50; ++seed) {
      const std::string once = disk.crash(seed)->contents("a");
      CHECK(once == disk.crash(seed)->contents("a"));
      states.insert(once);
    }
    CHECK(states.size() > 10);
    CHECK(disk.contents("a") == std::string(20000, 'x'));
  }

  TEST_CASE("an unsynced creation or removal may or may not have happened") {
    bool created = false, not_created = false, removed = false, not_removed = false;
    for (uint64_t seed = 0; seed < 100; ++seed) {
      SimDisk disk;
      create(disk, "old");
      REQUIRE(disk.sync_directory(".").ok());
      create(disk, "new");
      REQUIRE(disk.remove("old").ok());
      const auto after = disk.crash(seed);
      (has(*after, "new") ? created : not_created) = true;
      (has(*after, "old") ? not_removed : removed) = true;
    }
    CHECK(created);
    CHECK(not_created);
    CHECK(removed);
    CHECK(not_removed);
  }

  TEST_CASE("an unsynced rename has happened or not, and never half") {
    bool happened = false, not_happened = false;
    for (uint64_t seed = 0; seed < 100; ++seed) {
      CAPTURE(seed);
      SimDisk disk;
      for (const char* name : {"from", "to"}) {
        auto file = create(disk, name);
        REQUIRE(file->write(0, name).ok());
        REQUIRE(file->sync().ok());
      }
      REQUIRE(disk.sync_directory(".").ok());
      REQUIRE(disk.rename("from", "to").ok());
      CHECK(disk.contents("to") == "from");
      const auto after = disk.crash(seed);
      REQUIRE(has(*after, "to"));
      if (has(*after, "from")) {
        not_happened = true;
        CHECK(after->contents("to") == "to");
        CHECK(after->contents("from") == "from");
      } else {
        happened = true;
        CHECK(after->contents("to") == "from");
      }
    }
    CHECK(happened);
    CHECK(not_happened);
  }

  TEST_CASE("a file in a directory that never became durable is gone, however often it was synced") {
    for (uint64_t seed = 0; seed < 50; ++seed) {
      SimDisk disk;
      REQUIRE(disk.make_directory("d").ok());
      auto file = create(disk, "d/a");
      REQUIRE(file->sync().ok());
      REQUIRE(disk.sync_directory("d").ok());
      const auto after = disk.crash(seed);
      CHECK(has(*after, "d/a") == has(*after, "d"));
    }
  }

  TEST_CASE("after the cut every call fails and nothing has an effect") {
    SimDisk disk;
    auto file = create(disk, "a");
    disk.cut_power_at(2);
    REQUIRE(file->write(0, "1").ok());
    CHECK(file->write(0, "2").code() == Code::kIoError);
    CHECK(disk.power_is_cut());
    CHECK_FALSE(file->sync().ok());
    CHECK_FALSE(disk.rename("a", "b").ok());
    CHECK_FALSE(disk.list(".").ok());
    CHECK(disk.contents("a") == "1");
    CHECK(disk.operations() == std::vector<std::string>{"create a", "write a at offset 0+1",
                                                        "write a at offset 0+1", "sync a", "rename a to b"});
  }

  TEST_CASE("operations and reads fail once or from then on, and no_faults ends it") {
    SimDisk disk;
    auto file = create(disk, "a");
    disk.fail_operation(2, false);
    CHECK(file->write(0, "1").ok());
    CHECK(file->write(0, "2").code() == Code::kIoError);
    CHECK(file->write(0, "3").ok());
    disk.fail_operation(4, true);
    CHECK_FALSE(file->sync().ok());
    CHECK_FALSE(file->sync().ok());
    disk.fail_read(disk.reads(), true);
    char out[1];
    CHECK_FALSE(file->read(0, out).ok());
    CHECK_FALSE(file->size().ok());
    disk.no_faults();
    CHECK(file->read(0, out).ok());
    CHECK(out[0] == '3');
    CHECK(file->write(0, "4").ok());
  }

  TEST_CASE("a sync that follows a failed one makes nothing durable of what that one had to") {
    bool lost = false;
    for (uint64_t seed = 0; seed < 50; ++seed) {
      SimDisk disk;
      auto file = create(disk, "a");
      REQUIRE(disk.sync_directory(".").ok());
      REQUIRE(file->write(0, "x").ok());
      disk.fail_operation(3, false);
      REQUIRE_FALSE(file->sync().ok());
      REQUIRE(file->sync().ok());
      lost |= disk.crash(seed)->contents("a") != "x";
      char out[1];
      CHECK(file->read(0, out).value() == 1);
      CHECK(disk.open("a", OpenMode::kRead, Caching::kNone).value()->size().value() == 0);
    }
    CHECK(lost);
  }

  TEST_CASE("beyond its capacity the disk is full, until something is removed") {
    SimDisk disk;
    disk.set_capacity(100);
    auto a = create(disk, "a");
    REQUIRE(a->allocate(0, 60).ok());
    auto b = create(disk, "b");
    CHECK(b->write(0, std::string(41, 'x')).code() == Code::kNoSpace);
    CHECK(disk.free_bytes(".").value() == 40);
    CHECK(a->write(0, std::string(60, 'x')).ok());
    REQUIRE(disk.remove("a").ok());
    CHECK(b->write(0, std::string(41, 'x')).ok());
  }

  TEST_CASE("directories must exist, names come sorted, locks exclude") {
    SimDisk disk;
    CHECK_FALSE(disk.open("d/a", OpenMode::kCreate, Caching::kKernel).ok());
    REQUIRE(disk.make_directory("d").ok());
    REQUIRE(disk.make_directory("d").ok());
    create(disk, "d/b");
    create(disk, "d/a");
    CHECK_FALSE(disk.open("d/a", OpenMode::kCreate, Caching::kKernel).ok());
    CHECK(disk.list("d").value() == std::vector<std::string>{"a", "b"});
    CHECK(disk.list(".").value() == std::vector<std::string>{"d"});
    Result<std::unique_ptr<FileLock>> lock = disk.lock("LOCK");
    REQUIRE(lock.ok());
    CHECK(disk.lock("LOCK").status().code() == Code::kBusy);
    lock = Status(Code::kInvalid, "released");
    CHECK(disk.lock("LOCK").ok());
  }

  TEST_CASE("the executor's order is drawn, repeatable, and has a work before its done") {
    const auto run = [](uint64_t seed) {
      SimExecutor executor(seed);
      std::string order;
      for (char name = 'a'; name < 'g'; ++name) {
        executor.submit(
            Lane::kFlush, [&order, name] { order += name; },
            [&order, name] { order += static_cast<char>(name - 'a' + 'A'); });
      }
      executor.post([&] { order += '1'; });
      executor.post([&] { order += '2'; });
      executor.run_all();
      return order;
    };
    std::set<std::string> orders;
    for (uint64_t seed = 0; seed < 20; ++seed) {
      const std::string order = run(seed);
      CAPTURE(order);
      CHECK(order == run(seed));
      CHECK(order.size() == 14);
      for (char name = 'a'; name < 'g'; ++name) {
        CHECK(order.find(name) < order.find(static_cast<char>(name - 'a' + 'A')));
      }
      CHECK(order.find('1') < order.find('2'));
      orders.insert(order);
    }
    CHECK(orders.size() > 10);
  }

  TEST_CASE("single steps run the oldest of their kind") {
    SimExecutor executor(1);
    std::string order;
    for (const char name : {'a', 'b'}) {
      executor.submit(
          Lane::kLog, [&order, name] { order += name; }, [&order] { order += '.'; });
    }
    CHECK(executor.waiting_works(Lane::kLog) == 2);
    CHECK_FALSE(executor.run_done(Lane::kLog));
    CHECK(executor.run_work(Lane::kLog));
    CHECK(executor.run_done(Lane::kLog));
    CHECK_FALSE(executor.run_work(Lane::kFlush));
    CHECK(executor.run_work(Lane::kLog));
    CHECK(order == "a.b");
    CHECK(executor.waiting() == 1);
  }

  TEST_CASE("the clock moves only by hand") {
    SimClock clock;
    const uint64_t start = clock.monotonic_us();
    clock.set_wall_ms(5000);
    clock.advance_ms(7);
    CHECK(clock.monotonic_us() == start + 7000);
    CHECK(clock.wall_ms() == 5007);
  }
}
