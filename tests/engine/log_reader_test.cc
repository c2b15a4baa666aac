#include "engine/log_reader.h"

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

#include "engine/log_format.h"
#include "engine/sim.h"

using namespace engine;

namespace {

constexpr uint64_t kSegment = 32 << 10;

std::unique_ptr<Log> open_log(SimWorld& world, SyncPolicy policy, uint64_t keep = 0) {
  LogOptions options;
  options.directory = "log";
  options.segment_bytes = kSegment;
  options.policy = policy;
  options.keep_bytes = keep;
  auto log = Log::open(
      world.env, options, 0, [](Lsn, std::string_view) { return Status(); }, nullptr);
  INFO(log.status().message());
  REQUIRE(log.ok());
  return std::move(log).value();
}

// What a reader has come by, record by record, with the LSN at which each begins.
struct Read {
  std::map<Lsn, std::string> records;
  Lsn end = 0;

  void add(const LogChunk& chunk) {
    REQUIRE(chunk.first == end);
    std::string_view rest = chunk.payload;
    while (!rest.empty()) {
      const auto record = next_record(rest);
      REQUIRE(record.has_value());
      records.emplace(end, *record);
      end += record->size();
    }
    REQUIRE(chunk.end == end);
  }
};

// Everything that can be read now.
void catch_up(SimWorld& world, LogReader& reader, Read* read, bool from_memory) {
  while (!reader.at_end()) {
    LogChunk chunk;
    if (from_memory && reader.take(&chunk)) {
      read->add(chunk);
      continue;
    }
    bool done = false;
    reader.fetch(1 + world.entropy.below(4000), [&](Result<LogChunk> result) {
      INFO(result.status().message());
      REQUIRE(result.ok());
      read->add(result.value());
      done = true;
    });
    while (!done) REQUIRE(world.executor.run_one());
  }
}

}  // namespace

TEST_SUITE("engine/log_reader") {
  TEST_CASE("a reader gets every record once, in order, while the log is written, synced and released") {
    for (uint64_t seed = 1; seed <= 30; ++seed) {
      CAPTURE(seed);
      SimWorld world(seed);
      const auto policy = static_cast<SyncPolicy>(seed % 3);
      auto log = open_log(world, policy);
      LogReader reader(world.env, *log, 0);
      Read read;
      std::map<Lsn, std::string> written;
      for (int turn = 0; turn < 120; ++turn) {
        for (uint64_t i = world.entropy.below(4); i > 0; --i) {
          const std::string record(1 + world.entropy.below(world.entropy.below(20) == 0 ? 20000 : 300),
                                   static_cast<char>('a' + turn % 26));
          for (int wait = 0; log->room() < record.size(); ++wait) {
            REQUIRE(wait < 1000);
            log->reserve(record.size());
            log->tick();
            world.executor.run_one();
          }
          written.emplace(log->end(), record);
          log->append(record);
        }
        log->end_turn();
        log->release(log->end());
        world.clock.advance_ms(world.entropy.below(400));
        log->tick();
        for (uint64_t i = world.entropy.below(6); i > 0; --i) world.executor.run_one();
        if (world.entropy.below(3) == 0) catch_up(world, reader, &read, world.entropy.below(2) == 0);
      }
      log->request_sync();
      world.executor.run_all();
      catch_up(world, reader, &read, false);
      CHECK(read.end == log->end());
      CHECK(read.records == written);
      REQUIRE(log->close().ok());
    }
  }

  TEST_CASE("what a reader has not passed stays, and goes when the reader does") {
    SimWorld world(7);
    auto log = open_log(world, SyncPolicy::kNo);
    auto reader = std::make_unique<LogReader>(world.env, *log, 0);
    for (int i = 0; i < 40; ++i) {
      while (log->room() < 4000) world.executor.run_one();
      log->append(std::string(4000, 'x'));
      log->end_turn();
      log->release(log->end());
      world.executor.run_all();
    }
    CHECK(log->oldest() == 0);
    Read read;
    catch_up(world, *reader, &read, false);
    CHECK(read.end == log->end());
    reader.reset();
    log->tick();
    world.executor.run_all();
    CHECK(log->oldest() > 100000);
    REQUIRE(log->close().ok());
  }

  TEST_CASE("so many bytes behind the end are kept for who may come, unless the disk is full") {
    SimWorld world(8);
    auto log = open_log(world, SyncPolicy::kNo, 70000);
    for (int i = 0; i < 60; ++i) {
      while (log->room() < 4000) world.executor.run_one();
      log->append(std::string(4000, 'x'));
      log->end_turn();
      log->release(log->end());
      world.executor.run_all();
    }
    const Lsn oldest = log->oldest();
    CHECK(oldest <= log->end() - 70000);
    CHECK(oldest > log->end() - 70000 - 2 * kSegment);
    log->keep(0);
    log->tick();
    world.executor.run_all();
    CHECK(log->oldest() > oldest);
    REQUIRE(log->close().ok());
  }

  TEST_CASE(
      "a reader that begins in the middle gets the rest, and one that begins inside a record an error") {
    SimWorld world(9);
    auto log = open_log(world, SyncPolicy::kNo);
    for (int i = 0; i < 10; ++i) log->append("record" + std::to_string(i));
    log->end_turn();
    LogReader middle(world.env, *log, 21);
    Read read;
    read.end = 21;
    catch_up(world, middle, &read, false);
    CHECK(read.records.begin()->second == "record3");
    CHECK(read.records.size() == 7);
    LogReader inside(world.env, *log, 23);
    Status status;
    inside.fetch(100, [&](Result<LogChunk> result) { status = result.status(); });
    world.executor.run_all();
    CHECK(status.code() == Code::kInvalid);
    REQUIRE(log->close().ok());
  }

  TEST_CASE("a reader far behind is served from memory in few pieces, however many turns they were") {
    // Once it took the chunks of turns one by one, and looked for each among all of them: seconds.
    SimWorld world(11);
    auto log = open_log(world, SyncPolicy::kNo);
    LogReader reader(world.env, *log, 0);
    for (int i = 0; i < 20000; ++i) {
      while (log->room() < 100) world.executor.run_one();
      log->append(std::string(40, 'x'));
      log->end_turn();
    }
    world.executor.run_all();
    Read read;
    int takes = 0;
    for (LogChunk chunk; !reader.at_end() && reader.take(&chunk); ++takes) read.add(chunk);
    CHECK(read.end == log->end());
    CHECK(takes < 30);
    REQUIRE(log->close().ok());
  }

  TEST_CASE("a damaged frame is an error that names file and offset") {
    SimWorld world(10);
    auto log = open_log(world, SyncPolicy::kNo);
    log->append("one");
    log->end_turn();
    log->append("two");
    log->end_turn();
    world.disk->flip_bit("log/0000000000000000.log", kFirstFrameOffset + 40 + 33, 2);
    LogReader reader(world.env, *log, 0);
    Status status;
    reader.fetch(100, [&](Result<LogChunk> result) { status = result.status(); });
    world.executor.run_all();
    CHECK(status.code() == Code::kCorruption);
    CHECK(status.message().find("log/0000000000000000.log at offset 4136") != std::string::npos);
    REQUIRE(log->close().ok());
  }
}
