#include "engine/log.h"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/env_posix.h"
#include "engine/log_format.h"
#include "engine/sim.h"
#include "engine/thread_executor.h"

using namespace engine;

namespace {

constexpr uint64_t kSegment = 32 << 10;

struct Opened {
  std::unique_ptr<Log> log;
  LogRecovery recovery;
  std::vector<std::string> records;
  Status status;
};

Opened open_log(Env& env, SyncPolicy policy, Lsn from = 0, uint64_t segment_bytes = kSegment) {
  Opened opened;
  LogOptions options;
  options.directory = "log";
  options.segment_bytes = segment_bytes;
  options.policy = policy;
  Result<std::unique_ptr<Log>> log = Log::open(
      env, options, from,
      [&opened](Lsn, std::string_view record) {
        opened.records.emplace_back(record);
        return Status();
      },
      &opened.recovery);
  opened.status = log.status();
  if (log.ok()) opened.log = std::move(log).value();
  return opened;
}

std::unique_ptr<Log> must_open(SimWorld& world, SyncPolicy policy, Lsn from = 0,
                               uint64_t segment_bytes = kSegment) {
  Opened opened = open_log(world.env, policy, from, segment_bytes);
  INFO(opened.status.message());
  REQUIRE(opened.status.ok());
  return std::move(opened.log);
}

// The operations since number `since` whose text begins with `kind`.
std::vector<std::string> operations(const SimDisk& disk, size_t since, const std::string& kind) {
  std::vector<std::string> found;
  for (size_t i = since; i < disk.operations().size(); ++i) {
    if (disk.operations()[i].starts_with(kind)) found.push_back(disk.operations()[i]);
  }
  return found;
}

std::vector<std::string> segment_files(SimDisk& disk) {
  std::vector<std::string> names = disk.list("log").value();
  std::erase_if(names, [](const std::string& name) { return !parse_segment_name(name); });
  return names;
}

}  // namespace

TEST_SUITE("engine/log") {
  TEST_CASE("what was appended is replayed in order, with the LSN at which each record ends") {
    SimWorld world(1);
    {
      auto log = must_open(world, SyncPolicy::kNo);
      CHECK(log->append("one") == 3);
      CHECK(log->append("three") == 8);
      log->end_turn();
      CHECK(log->append(std::string(300, 'x')) == 308);
      log->end_turn();
      CHECK(log->end() == 308);
      REQUIRE(log->close().ok());
    }
    Opened again = open_log(world.env, SyncPolicy::kNo);
    REQUIRE(again.status.ok());
    CHECK(again.records == std::vector<std::string>{"one", "three", std::string(300, 'x')});
    CHECK(again.recovery.end == 308);
    CHECK(again.recovery.records == 3);
    CHECK(again.recovery.cut_bytes == 0);
    CHECK(again.recovery.cut_at.empty());
    CHECK(again.log->synced() == 308);
    Opened later = open_log(world.env, SyncPolicy::kNo, 3);
    CHECK(later.records.size() == 2);
  }

  TEST_CASE("a new history begins where it is told to, and one that begins too late is refused by name") {
    SimWorld world(1);
    auto log = must_open(world, SyncPolicy::kNo, 1000);
    CHECK(log->append("x") == 1001);
    REQUIRE(log->close().ok());
    log.reset();
    CHECK(segment_files(*world.disk) == std::vector<std::string>{"00000000000003e8.log"});
    const Opened early = open_log(world.env, SyncPolicy::kNo, 999);
    CHECK(early.status.code() == Code::kCorruption);
    CHECK(early.status.message().find("log/00000000000003e8.log at offset 0") != std::string::npos);
  }

  TEST_CASE("the records of a turn make one frame, and an empty turn none") {
    SimWorld world(1);
    auto log = must_open(world, SyncPolicy::kNo);
    world.executor.run_all();
    const size_t before = world.disk->operations().size();
    log->end_turn();
    CHECK(world.disk->operations().size() == before);
    for (int i = 0; i < 10; ++i) log->append("record");
    CHECK(log->written() == 0);
    log->end_turn();
    CHECK(log->written() == 60);
    CHECK(operations(*world.disk, before, "write").size() == 1);
    CHECK(log->stats().frames == 1);
    REQUIRE(log->close().ok());
  }

  TEST_CASE("kEverySec: the reactor writes at once, and a worker syncs once a second") {
    SimWorld world(1);
    auto log = must_open(world, SyncPolicy::kEverySec);
    world.executor.run_all();
    log->append("abc");
    log->end_turn();
    CHECK(log->written() == 3);
    log->tick();
    CHECK(world.executor.waiting() == 0);
    world.clock.advance_ms(1000);
    log->tick();
    CHECK(log->synced() == 0);
    world.executor.run_all();
    CHECK(log->synced() == 3);
    CHECK(log->stats().syncs == 1);
    world.clock.advance_ms(5000);
    log->tick();
    CHECK(world.executor.waiting() == 0);  // Nothing new, nothing to sync.
    REQUIRE(log->close().ok());
  }

  TEST_CASE("kAlways: frames that come before a worker takes them are one, and progress tells") {
    SimWorld world(1);
    auto log = must_open(world, SyncPolicy::kAlways);
    world.executor.run_all();
    int calls = 0;
    log->on_progress([&calls] { ++calls; });
    for (int turn = 0; turn < 5; ++turn) {
      log->append("early");
      log->end_turn();
    }
    CHECK(world.executor.waiting_works(Lane::kLog) == 1);
    REQUIRE(world.executor.run_work(Lane::kLog));
    CHECK(log->synced() == 0);  // It moves on the reactor only.
    CHECK(log->written() == 0);
    REQUIRE(world.executor.run_report());
    CHECK(log->synced() == 25);
    CHECK(log->written() == 25);
    CHECK(calls == 1);
    CHECK_FALSE(log->idle());
    world.executor.run_all();
    CHECK(log->idle());
    CHECK(calls == 1);
    CHECK(log->stats().syncs == 1);
    CHECK(log->stats().frames == 1);
    REQUIRE(log->close().ok());
  }

  TEST_CASE("kAlways: a worker goes on with what comes while it syncs, and a turn finds out how far it is") {
    SimWorld world(1);
    auto log = must_open(world, SyncPolicy::kAlways);
    world.executor.run_all();
    log->append("first");
    log->end_turn();
    const size_t before = world.disk->operations().size();
    int during = 0;
    std::vector<Lsn> synced;
    world.disk->during_io([&] {  // Of each group a write and a sync.
      if (++during <= 4) log->append("later");
      log->end_turn();
      synced.push_back(log->synced());
    });
    REQUIRE(world.executor.run_work(Lane::kLog));
    CHECK(during == 6);
    CHECK(synced == std::vector<Lsn>{0, 0, 5, 5, 15, 15});
    CHECK(operations(*world.disk, before, "write").size() == 3);
    CHECK(world.executor.waiting_works(Lane::kLog) == 0);
    world.executor.run_all();
    CHECK(log->synced() == 25);
    CHECK(log->stats().syncs == 3);
    CHECK(log->stats().frames == 3);
    // Each frame says how far the log was synced when it was written, though no turn had heard of that.
    const std::string bytes = world.disk->contents("log/0000000000000000.log");
    const uint64_t id = parse_segment_header("", bytes).value();
    for (const auto& [page, lsn] : {std::pair{1, 0}, {2, 5}, {3, 15}}) {
      const auto frame = frame_at(bytes, static_cast<uint64_t>(page) * 4096, id);
      REQUIRE(frame);
      CHECK(frame->synced == static_cast<Lsn>(lsn));
    }
    world.disk->during_io(nullptr);
    REQUIRE(log->close().ok());
  }

  TEST_CASE(
      "kAlways: a worker that always finds more comes back now and then, and the rest is not forgotten") {
    SimWorld world(1);
    auto log = must_open(world, SyncPolicy::kAlways, 0, 1 << 20);  // A page a group.
    world.executor.run_all();
    log->append("x");
    log->end_turn();
    uint64_t during = 0;
    world.disk->during_io([&] {
      if (++during > 200) return;
      log->append("x");
      log->end_turn();
    });
    REQUIRE(world.executor.run_work(Lane::kLog));
    CHECK(during < 200);
    CHECK(world.executor.waiting_works(Lane::kLog) == 0);
    REQUIRE(world.executor.run_done(Lane::kLog));
    CHECK(log->synced() < log->end());
    CHECK(world.executor.waiting_works(Lane::kLog) == 1);
    world.executor.run_all();
    CHECK(log->synced() == 201);
    world.disk->during_io(nullptr);
    REQUIRE(log->close().ok());
  }

  TEST_CASE("L3: the group after one that failed is never written, and the one before it counts") {
    SimWorld world(1);
    auto log = must_open(world, SyncPolicy::kAlways);
    world.executor.run_all();
    log->append("good");
    log->end_turn();
    const size_t next = world.disk->operations().size();
    world.disk->fail_operation(next + 3, false);  // The second group's sync.
    int during = 0;
    world.disk->during_io([&] {
      ++during;
      log->append("more");
      log->end_turn();
    });
    world.executor.run_all();
    CHECK(during == 4);
    CHECK(log->failure().code() == Code::kIoError);
    CHECK(log->synced() == 4);
    CHECK(log->written() == 4);
    CHECK(operations(*world.disk, next, "write").size() == 2);
    CHECK_FALSE(log->close().ok());
    CHECK(log->synced() == 4);
    CHECK(world.disk->operations().size() == next + 4);
  }

  TEST_CASE("L2: a power cut in the middle of a run of groups takes nothing that was said to be synced") {
    for (uint64_t seed = 0; seed < 150; ++seed) {
      CAPTURE(seed);
      SimWorld world(seed);
      SimEntropy random(seed);
      std::vector<std::string> appended;
      Lsn synced = 0;
      {
        auto log = must_open(world, SyncPolicy::kAlways);
        world.executor.run_all();
        const auto turn = [&] {
          if (!log->failure().ok()) return;
          for (uint64_t n = random.below(4); n > 0; --n) {
            std::string record = std::to_string(appended.size()) + std::string(random.below(1500), 'r');
            if (record.size() > log->room()) break;
            log->append(record);
            appended.push_back(std::move(record));
          }
          log->end_turn();
          synced = std::max(synced, log->synced());
        };
        world.disk->cut_power_at(world.disk->operations().size() + random.below(120));
        world.disk->during_io(turn);
        for (int step = 0; step < 400 && !world.disk->power_is_cut(); ++step) {
          random.below(3) == 0 ? turn() : static_cast<void>(world.executor.run_one());
        }
        world.disk->during_io(nullptr);
      }
      for (uint64_t crash = 0; crash < 4; ++crash) {
        CAPTURE(crash);
        SimWorld after(crash, world.disk->crash(seed * 10 + crash));
        const Opened again = open_log(after.env, SyncPolicy::kAlways);
        INFO(again.status.message());
        REQUIRE(again.status.ok());
        CHECK(again.recovery.end >= synced);
        REQUIRE(again.records.size() <= appended.size());
        CHECK(std::equal(again.records.begin(), again.records.end(), appended.begin()));
      }
    }
  }

  TEST_CASE("kAlways: a group waits for a sync of the file if something before it does") {
    SimWorld world(1);
    auto log = must_open(world, SyncPolicy::kEverySec);
    world.executor.run_all();
    log->append("through the cache");
    log->end_turn();
    log->append("and past it");
    log->set_policy(SyncPolicy::kAlways);
    world.executor.run_all();
    REQUIRE(log->synced() == log->end());
    for (uint64_t seed = 0; seed < 50; ++seed) {
      CAPTURE(seed);
      SimWorld after(seed, world.disk->crash(seed));
      const Opened again = open_log(after.env, SyncPolicy::kAlways);
      REQUIRE(again.status.ok());
      CHECK(again.records == std::vector<std::string>{"through the cache", "and past it"});
    }
    REQUIRE(log->close().ok());
  }

  TEST_CASE("request_sync syncs under any policy, and set_policy(kAlways) what was not synced before") {
    SimWorld world(1);
    auto log = must_open(world, SyncPolicy::kNo);
    log->append("a");
    log->request_sync();
    world.executor.run_all();
    CHECK(log->synced() == 1);
    log->append("b");
    log->end_turn();
    world.clock.advance_ms(5000);
    log->tick();
    world.executor.run_all();
    CHECK(log->synced() == 1);
    log->set_policy(SyncPolicy::kAlways);
    world.executor.run_all();
    CHECK(log->synced() == 2);
    log->append("c");
    log->end_turn();
    log->set_policy(SyncPolicy::kNo);  // In the middle of a group.
    log->append("d");
    log->end_turn();
    CHECK(log->written() == 2);  // Behind the group, or frames would change places (L1).
    world.executor.run_all();
    CHECK(log->synced() == 3);
    CHECK(log->written() == 4);
    REQUIRE(log->close().ok());
  }

  TEST_CASE(
      "L1: whatever order jobs, turns and changes of policy come in, replay gives the records in order") {
    for (uint64_t seed = 0; seed < 60; ++seed) {
      CAPTURE(seed);
      SimWorld world(seed);
      SimEntropy random(seed);
      std::vector<std::string> appended;
      {
        auto log = must_open(world, SyncPolicy::kEverySec);
        for (int step = 0; step < 200; ++step) {
          const uint64_t kind = random.below(12);
          if (kind < 5) {
            std::string record = std::to_string(appended.size()) + std::string(random.below(900), 'r');
            if (record.size() <= log->room()) {
              log->append(record);
              appended.push_back(std::move(record));
            }
          } else if (kind < 7) {
            log->end_turn();
          } else if (kind == 7) {
            log->set_policy(static_cast<SyncPolicy>(random.below(3)));
          } else if (kind == 8) {
            log->request_sync();
          } else if (kind == 9) {
            world.clock.advance_ms(400);
            log->tick();
          } else {
            world.executor.run_one();
          }
          // What the reactor does while a worker waits for the disk.
          world.disk->during_io(random.below(2) == 0 ? std::function<void()>() : [&] {
            std::string record = std::to_string(appended.size()) + std::string(random.below(900), 'd');
            if (record.size() <= log->room()) {
              log->append(record);
              appended.push_back(std::move(record));
            }
            if (random.below(4) == 0) log->set_policy(static_cast<SyncPolicy>(random.below(3)));
            log->end_turn();
          });
          REQUIRE(log->failure().ok());
          CHECK(log->synced() <= log->written());
          CHECK(log->written() <= log->end());
        }
        world.disk->during_io(nullptr);
        REQUIRE(log->close().ok());  // With jobs in whatever state.
        CHECK(log->synced() == log->end());
      }
      world.executor.run_all();  // Completions of jobs whose log is gone.
      CHECK(open_log(world.env, SyncPolicy::kNo).records == appended);
    }
  }

  TEST_CASE(
      "L3: the first failed write or sync closes the log for good, and what is queued does not follow") {
    for (const SyncPolicy policy : {SyncPolicy::kAlways, SyncPolicy::kEverySec}) {
      for (const char* kind : {"write", "sync"}) {
        CAPTURE(kind);
        SimWorld world(1);
        auto log = must_open(world, policy);
        world.executor.run_all();
        log->append("good");
        log->request_sync();
        world.executor.run_all();
        REQUIRE(log->synced() == 4);
        const size_t next = world.disk->operations().size();
        world.disk->fail_operation(next + (kind[0] == 's' ? 1 : 0), false);
        log->append("bad");
        log->end_turn();
        log->request_sync();
        world.executor.run_all();
        CHECK(log->failure().code() == Code::kIoError);
        CHECK(log->failure().message().find("log/0000000000000000.log") == std::string::npos);
        CHECK(log->failure().message().find("log/") != std::string::npos);
        CHECK(log->synced() == 4);
        const size_t after = world.disk->operations().size();
        log->end_turn();
        log->request_sync();
        world.clock.advance_ms(3000);
        log->tick();
        world.executor.run_all();
        CHECK(operations(*world.disk, after, "sync").empty());  // Never retried.
        CHECK(operations(*world.disk, after, "write").empty());
        CHECK_FALSE(log->close().ok());
        CHECK(log->synced() == 4);
      }
    }
  }

  TEST_CASE(
      "L4: on a full disk room() is what the prepared segments hold, all of it can be written, and space "
      "cures it") {
    SimWorld world(1);
    auto log = must_open(world, SyncPolicy::kEverySec);
    world.executor.run_all();
    world.disk->set_capacity(world.disk->used_bytes());
    Lsn appended = 0;
    while (log->room() >= 1000) {
      log->append(std::string(1000, 'x'));
      log->request_sync();  // Page by page, the most wasteful way.
      world.executor.run_all();
      appended += 1000;
      REQUIRE(log->failure().ok());
    }
    CHECK(appended >= 4000);
    CHECK(log->synced() == appended);
    CHECK(log->preparation().code() == Code::kNoSpace);
    int calls = 0;
    log->on_progress([&calls] { ++calls; });
    world.disk->set_capacity(SimDisk::kNever);
    log->tick();
    CHECK(world.executor.waiting() == 0);  // Once a second is often enough.
    world.clock.advance_ms(1000);
    log->tick();
    world.executor.run_all();
    CHECK(calls == 1);
    CHECK(log->preparation().ok());
    CHECK(log->room() >= 1000);
    REQUIRE(log->close().ok());
  }

  TEST_CASE("a log opens on a full disk, without room, and gets some when there is space") {
    SimWorld world(1);
    {
      auto log = must_open(world, SyncPolicy::kNo);
      log->append("kept");
      log->end_turn();
    }
    world.executor.run_all();
    const std::vector<std::string> names = world.disk->list("log").value();
    for (const std::string& name : names) {
      if (is_spare_name(name)) REQUIRE(world.disk->remove("log/" + name).ok());
    }
    world.disk->set_capacity(world.disk->used_bytes());
    auto log = must_open(world, SyncPolicy::kNo);
    CHECK(log->end() == 4);
    CHECK(log->room() == 0);
    CHECK(log->oldest() == 0);
    world.executor.run_all();
    CHECK(log->preparation().code() == Code::kNoSpace);
    world.disk->set_capacity(SimDisk::kNever);
    world.clock.advance_ms(1000);
    log->tick();
    world.executor.run_all();
    REQUIRE(log->room() > 0);
    CHECK(log->append("more") == 8);
    REQUIRE(log->close().ok());
    log.reset();
    CHECK(open_log(world.env, SyncPolicy::kNo).records == std::vector<std::string>{"kept", "more"});
  }

  TEST_CASE("L3: what succeeds beside a failed sync moves written() and synced() no more") {
    SimWorld world(1);
    auto log = must_open(world, SyncPolicy::kEverySec);
    world.executor.run_all();
    log->append("abc");
    log->request_sync();
    log->append("def");
    log->end_turn();
    world.disk->fail_operations("sync");
    REQUIRE(world.executor.run_work(Lane::kLog));  // The sync fails,
    REQUIRE(world.executor.run_work(Lane::kLog));  // the write beside it does not.
    REQUIRE(world.executor.run_done(Lane::kLog));
    world.executor.run_all();
    CHECK_FALSE(log->failure().ok());
    CHECK(log->written() == 3);
    CHECK(log->synced() == 0);
  }

  TEST_CASE("L5: while a sync runs the reactor writes nothing, a worker does") {
    SimWorld world(1);
    auto log = must_open(world, SyncPolicy::kEverySec);
    world.executor.run_all();
    log->append("abc");
    log->request_sync();
    REQUIRE(world.executor.waiting_works(Lane::kLog) == 1);
    const size_t before = world.disk->operations().size();
    log->append("def");
    log->end_turn();
    CHECK(world.disk->operations().size() == before);
    CHECK(log->written() == 3);
    REQUIRE(world.executor.waiting_works(Lane::kLog) == 2);
    log->append("ghi");
    log->end_turn();
    CHECK(world.executor.waiting_works(Lane::kLog) == 2);
    world.executor.run_all();
    CHECK(log->written() == 9);
    CHECK(log->synced() == 3);  // What was written after the sync began is not covered by it.
    REQUIRE(log->close().ok());
  }

  TEST_CASE("L6: after a sync the next frame starts on a new page") {
    SimWorld world(1);
    auto log = must_open(world, SyncPolicy::kAlways);
    world.executor.run_all();
    const size_t before = world.disk->operations().size();
    for (int i = 0; i < 3; ++i) {
      log->append("x");
      log->end_turn();
      world.executor.run_all();
      if (i == 1) log->set_policy(SyncPolicy::kNo);  // Also one that goes through the page cache.
    }
    const std::vector<std::string> writes = operations(*world.disk, before, "write");
    REQUIRE(writes.size() == 3);
    for (size_t i = 0; i < 3; ++i) {
      CHECK(writes[i].find("at offset " + std::to_string(4096 * (i + 1)) + "+40") != std::string::npos);
    }
    REQUIRE(log->close().ok());
  }

  TEST_CASE("a full segment is followed by one that was prepared ahead, named by its first LSN") {
    SimWorld world(1);
    auto log = must_open(world, SyncPolicy::kNo);
    for (int i = 0; i < 60; ++i) {
      world.executor.run_all();
      REQUIRE(log->room() >= 1024);
      log->append(std::string(1024, static_cast<char>('a' + i % 26)));
      log->end_turn();
      CHECK(log->written() == log->end());
    }
    world.executor.run_all();
    const std::vector<std::string> names = segment_files(*world.disk);
    CHECK(names.size() >= 3);
    CHECK(names[0] == "0000000000000000.log");
    for (const std::string& name : names) CHECK(*parse_segment_name(name) % 1024 == 0);
    CHECK(log->stats().segments == names.size());
    REQUIRE(log->close().ok());
    log.reset();
    CHECK(open_log(world.env, SyncPolicy::kNo).records.size() == 60);
  }

  TEST_CASE("one turn may reach over several segments") {
    SimWorld world(1);
    auto log = must_open(world, SyncPolicy::kNo);
    std::vector<std::string> appended;
    for (int i = 0; i < 25; ++i) {
      world.executor.run_all();
      REQUIRE(log->room() >= 1500);
      appended.emplace_back(1500, static_cast<char>('a' + i));
      log->append(appended.back());
    }
    CHECK(log->written() == 0);
    log->end_turn();
    CHECK(log->written() == log->end());
    REQUIRE(log->close().ok());
    log.reset();
    world.executor.run_all();
    CHECK(open_log(world.env, SyncPolicy::kNo).records == appended);
  }

  TEST_CASE("released segments are used again under a new id, and old frames in them never parse") {
    SimWorld world(1);
    auto log = must_open(world, SyncPolicy::kNo);
    std::vector<std::string> tail;
    for (int i = 0; i < 200; ++i) {
      world.executor.run_all();
      REQUIRE(log->room() >= 1000);
      log->append(std::to_string(10000 + i) + std::string(995, 'x'));
      log->end_turn();
      if (i % 20 == 19) log->release(log->end());
    }
    world.executor.run_all();
    CHECK(log->oldest() > 150000);
    CHECK(log->oldest() < log->end());
    CHECK(operations(*world.disk, 0, "create").size() < 12);
    CHECK(world.disk->list("log").value().size() < 12);
    const Lsn from = log->oldest();
    const Lsn end = log->end();
    log.reset();  // As by kill -9: no closing mark.
    const Opened again = open_log(world.env, SyncPolicy::kNo, from);
    REQUIRE(again.status.ok());
    CHECK(again.recovery.end == end);
    CHECK(again.recovery.cut_bytes == 0);
    CHECK(again.records.size() == (end - from) / 1000);
    CHECK(again.records.back().substr(0, 5) == "10199");
  }

  TEST_CASE("a record larger than a segment gets one of its own by reserve, which later is not kept") {
    SimWorld world(1);
    auto log = must_open(world, SyncPolicy::kAlways);
    world.executor.run_all();
    const std::string large(100000, 'L');
    CHECK(log->room() < large.size());
    int calls = 0;
    log->on_progress([&calls] { ++calls; });
    log->reserve(large.size());
    world.executor.run_all();
    CHECK(calls == 1);
    REQUIRE(log->room() >= large.size());
    log->append("before");
    log->append(large);
    log->append("after");
    log->end_turn();
    world.executor.run_all();
    CHECK(log->synced() == log->end());
    while (log->stats().segments < 4) {
      REQUIRE(log->room() >= 3000);
      log->append(std::string(3000, 'x'));
      log->end_turn();
      world.executor.run_all();
    }
    const uint64_t used = world.disk->used_bytes();
    log->release(log->end());
    world.executor.run_all();
    CHECK(world.disk->used_bytes() + large.size() < used);
    REQUIRE(log->close().ok());
  }

  TEST_CASE("a segment is released only whole, and oldest() tells") {
    SimWorld world(1);
    auto log = must_open(world, SyncPolicy::kNo);
    while (log->stats().segments < 3) {
      world.executor.run_all();
      log->append(std::string(1000, 'x'));
      log->end_turn();
    }
    world.executor.run_all();
    const std::vector<std::string> names = segment_files(*world.disk);
    const Lsn second = *parse_segment_name(names[1]);
    log->release(second - 1);
    CHECK(log->oldest() == 0);
    log->release(second);
    CHECK(log->oldest() == second);
    log->release(log->end());
    CHECK(log->oldest() == *parse_segment_name(names[2]));  // The one being written stays.
    REQUIRE(log->close().ok());
  }

  TEST_CASE("a segment whose renaming fails is found all the same, and released only after it succeeds") {
    SimWorld world(1);
    auto log = must_open(world, SyncPolicy::kNo);
    std::vector<std::string> appended;
    const auto fill_segment = [&] {
      for (const uint64_t before = log->stats().segments; log->stats().segments == before;) {
        while (log->room() < 1000) REQUIRE(world.executor.run_one());
        appended.push_back(std::to_string(appended.size()) + std::string(900, 'x'));
        log->append(appended.back());
        log->end_turn();
      }
    };
    world.executor.run_all();
    world.disk->fail_operations("rename");
    fill_segment();
    fill_segment();
    world.executor.run_all();
    CHECK(segment_files(*world.disk).size() == 1);
    SimWorld killed(2, world.disk->copy());
    CHECK(open_log(killed.env, SyncPolicy::kNo).records == appended);
    log->release(log->end());
    const Lsn second = log->oldest();
    CHECK(second > 0);
    CHECK(log->stats().segments == 2);
    world.executor.run_all();
    world.disk->no_faults();
    log->tick();
    world.executor.run_all();
    CHECK(log->oldest() == second);  // Tried again once a second.
    world.clock.advance_ms(1000);
    log->tick();
    world.executor.run_all();
    CHECK(log->oldest() > second);
    CHECK(log->stats().segments == 1);
    REQUIRE(log->close().ok());
  }

  TEST_CASE("a released segment stays while a sync of it is under way") {
    SimWorld world(1);
    auto log = must_open(world, SyncPolicy::kEverySec);
    while (log->stats().segments < 2) {
      world.executor.run_all();
      log->append(std::string(1000, 'x'));
      log->end_turn();
    }
    world.executor.run_all();
    log->request_sync();
    log->release(log->end());
    CHECK(log->oldest() == 0);
    world.executor.run_all();
    CHECK(log->oldest() > 0);
    CHECK(log->synced() == log->end());
    REQUIRE(log->close().ok());
  }

  TEST_CASE("a log closed properly goes on in its last segment, others begin a new one") {
    SimWorld world(1);
    {
      auto log = must_open(world, SyncPolicy::kNo);
      REQUIRE(log->close().ok());
    }
    {
      auto log = must_open(world, SyncPolicy::kNo);
      log->append("closed");
      REQUIRE(log->close().ok());
    }
    CHECK(segment_files(*world.disk).size() == 1);
    for (int i = 0; i < 2; ++i) {
      auto log = must_open(world, SyncPolicy::kNo);
      log->append("not closed");
      log->end_turn();
    }
    CHECK(segment_files(*world.disk).size() == 2);
    must_open(world, SyncPolicy::kNo);
    must_open(world, SyncPolicy::kNo);
    CHECK(segment_files(*world.disk).size() == 3);
    CHECK(open_log(world.env, SyncPolicy::kNo).records.size() == 3);
  }

  TEST_CASE("a segment that is gone on in stays open for group after group") {
    SimWorld world(1);
    {
      auto log = must_open(world, SyncPolicy::kAlways);
      log->append("closed");
      REQUIRE(log->close().ok());
    }
    auto log = must_open(world, SyncPolicy::kAlways);
    for (int i = 0; i < 3; ++i) {
      log->append("again");
      log->end_turn();
      world.executor.run_all();
      CHECK(log->synced() == log->end());
    }
    CHECK(segment_files(*world.disk).size() == 1);
    REQUIRE(log->close().ok());
  }

  TEST_CASE("on a real disk with real threads: what was synced is replayed") {
    char name[] = "/tmp/varve-log-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    PosixFileSystem files;
    SystemClock clock;
    SystemEntropy entropy;
    std::vector<std::string> appended;
    LogOptions options;
    options.directory = std::string(name) + "/log";
    options.segment_bytes = 64 << 10;
    for (const SyncPolicy policy : {SyncPolicy::kAlways, SyncPolicy::kEverySec}) {
      ThreadExecutor executor(4);
      Env env{files, clock, entropy, executor};
      options.policy = policy;
      std::vector<std::string> replayed;
      Result<std::unique_ptr<Log>> log = Log::open(
          env, options, 0,
          [&](Lsn, std::string_view record) {
            replayed.emplace_back(record);
            return Status();
          },
          nullptr);
      INFO(log.status().message());
      REQUIRE(log.ok());
      CHECK(replayed == appended);
      for (int i = 0; i < 100; ++i) {
        std::string record = std::to_string(i) + std::string(2000, 'x');
        while ((*log)->room() < record.size()) executor.wait();
        (*log)->append(record);
        appended.push_back(std::move(record));
        if (i % 3 == 0) (*log)->end_turn();
        if (i % 40 == 0) (*log)->request_sync();
        executor.poll();
      }
      REQUIRE((*log)->close().ok());
    }
    std::filesystem::remove_all(name);
  }
}
