#include "engine/log_recovery.h"

#include <doctest/doctest.h>
#include <xxhash.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "engine/log.h"
#include "engine/log_format.h"
#include "engine/sim.h"

using namespace engine;

namespace {

constexpr uint64_t kSegment = 16 << 10;

LogOptions options_for(SyncPolicy policy) {
  LogOptions options;
  options.directory = "log";
  options.segment_bytes = kSegment;
  options.policy = policy;
  return options;
}

// Every record says which it is, so a replay can be compared with what was appended.
std::string record_of(size_t index, size_t bytes) {
  std::string record = std::to_string(index) + ":";
  while (record.size() < bytes) record += static_cast<char>('a' + (index + record.size()) % 26);
  return record;
}

struct Replayed {
  Status status;
  std::unique_ptr<Log> log;
  LogRecovery recovery;
  std::vector<std::string> records;
};

Replayed replay(SimWorld& world, Lsn from, SyncPolicy policy = SyncPolicy::kAlways) {
  Replayed out;
  Result<std::unique_ptr<Log>> log = Log::open(
      world.env, options_for(policy), from,
      [&out](Lsn, std::string_view record) {
        out.records.emplace_back(record);
        return Status();
      },
      &out.recovery);
  out.status = log.status();
  if (log.ok()) out.log = std::move(log).value();
  return out;
}

// A history being written until it ends, fails or the power goes, and what was promised meanwhile.
struct History {
  std::vector<std::string> records;  // All appended from LSN 0 on.
  Lsn promised = 0;                  // What synced() last said.
  Lsn handed_over = 0;               // What written() last said.
  Lsn released = 0;

  Lsn end() const {
    Lsn sum = 0;
    for (const std::string& record : records) sum += record.size();
    return sum;
  }
  // How many records end at or below `lsn`; it must be the end of one.
  size_t count_to(Lsn lsn) const {
    Lsn sum = 0;
    size_t count = 0;
    while (sum < lsn && count < records.size()) sum += records[count++].size();
    CHECK(sum == lsn);
    return count;
  }
};

// Some 60 turns with random sizes, releases, syncs and orders of jobs.
void write_history(SimWorld& world, Log& log, SimEntropy& random, int steps, History* history) {
  const auto note = [&] {
    history->promised = std::max(history->promised, log.synced());
    history->handed_over = std::max(history->handed_over, log.written());
  };
  for (int step = 0; step < steps && log.failure().ok(); ++step) {
    const uint64_t records = random.below(4);
    for (uint64_t i = 0; i < records; ++i) {
      std::string record = record_of(history->records.size(), 1 + random.below(1500));
      if (record.size() > log.room()) break;
      log.append(record);
      history->records.push_back(std::move(record));
    }
    log.end_turn();
    note();
    for (uint64_t i = random.below(6); i > 0; --i) world.executor.run_one();
    world.clock.advance_ms(random.below(600));
    if (log.failure().ok()) log.tick();
    if (random.below(10) == 0) {
      history->released = log.synced() - log.synced() % 7 / 7;
      log.release(history->released);
    }
    note();
  }
}

// What recovery may say after a power cut: no error, a prefix, at least what was promised.
void check_recovered(const History& history, const Replayed& got) {
  INFO(got.status.message());
  REQUIRE(got.status.ok());
  const Lsn end = got.recovery.end;
  CAPTURE(end);
  CAPTURE(history.promised);
  CHECK(end >= history.promised);
  REQUIRE(end <= history.end());
  const size_t count = history.count_to(end);
  const size_t skipped = history.count_to(history.released);
  REQUIRE(got.records.size() == count - std::min(skipped, count));
  for (size_t i = 0; i < got.records.size(); ++i) REQUIRE(got.records[i] == history.records[skipped + i]);
}

void crash_everywhere(SyncPolicy policy, uint64_t seed, uint64_t stride, int crashes) {
  CAPTURE(seed);
  // Two lives of the process on one disk: the first killed or ended properly, the second ended properly.
  const auto run = [&](uint64_t cut, History* history) {
    auto disk = std::make_unique<SimDisk>();
    disk->cut_power_at(cut);
    SimEntropy random(seed * 1000 + 7);
    for (const bool first : {true, false}) {
      SimWorld world(seed + (first ? 0 : 1), std::move(disk));
      Replayed opened = replay(world, history->released, policy);
      if (opened.status.ok()) {
        // A killed process leaves all that the kernel had, and opening makes it durable.
        REQUIRE(opened.log->end() >= history->handed_over);
        history->promised = opened.log->synced();
        history->records.resize(history->count_to(opened.log->end()));
        write_history(world, *opened.log, random, first ? 30 : 20, history);
        const bool killed = first && seed % 2 == 0;
        if (!killed && opened.log->close().ok()) history->promised = opened.log->synced();
      } else {
        REQUIRE(world.disk->power_is_cut());
      }
      disk = std::move(world.disk);
    }
    return disk;
  };
  uint64_t operations;
  {
    History history;
    operations = run(SimDisk::kNever, &history)->operations().size();
  }
  for (uint64_t cut = seed % stride; cut <= operations; cut += stride) {
    CAPTURE(cut);
    History history;
    const std::unique_ptr<SimDisk> disk = run(cut, &history);
    for (int crash = 0; crash < crashes; ++crash) {
      CAPTURE(crash);
      SimWorld after(seed + 100, disk->crash(cut * 100 + crash, {.junk = crash % 2 == 1}));
      History continued = history;
      Replayed got = replay(after, history.released, policy);
      check_recovered(history, got);
      // Then the log must be as good as new: go on, lose power again, recover again.
      continued.records.resize(history.count_to(got.recovery.end));
      continued.promised = got.recovery.end;
      SimEntropy random(cut + crash);
      after.disk->cut_power_at(after.disk->operations().size() + random.below(60));
      write_history(after, *got.log, random, 6, &continued);
      SimWorld third(seed + 200, after.disk->crash(cut * 100 + crash));
      check_recovered(continued, replay(third, continued.released, policy));
    }
  }
}

// A log of several frames and segments, all synced, and closed properly or not.
std::unique_ptr<SimDisk> small_log(bool closed, std::vector<std::string>* records, int count = 14) {
  SimWorld world(3);
  Replayed opened = replay(world, 0);
  REQUIRE(opened.status.ok());
  for (int i = 0; i < count; ++i) {
    world.executor.run_all();
    records->push_back(record_of(static_cast<size_t>(i), 20 + static_cast<size_t>(i % 3) * 30));
    opened.log->append(records->back());
    opened.log->end_turn();
  }
  world.executor.run_all();
  if (closed) REQUIRE(opened.log->close().ok());
  return world.disk->copy();
}

bool is_prefix(const std::vector<std::string>& part, const std::vector<std::string>& whole) {
  return part.size() <= whole.size() && std::equal(part.begin(), part.end(), whole.begin());
}

std::vector<std::string> segment_paths(SimDisk& disk) {
  std::vector<std::string> paths;
  const std::vector<std::string> names = disk.list("log").value();
  for (const std::string& name : names) {
    if (parse_segment_name(name)) paths.push_back("log/" + name);
  }
  return paths;
}

}  // namespace

TEST_SUITE("engine/log_recovery") {
  TEST_CASE(
      "L2: with the power cut at every operation, all that was acknowledged is there, whole and in order") {
    crash_everywhere(SyncPolicy::kAlways, 1, 1, 4);
  }
  TEST_CASE("the same under kEverySec and kNo, where a cut may take what was not synced and leaves no hole") {
    crash_everywhere(SyncPolicy::kEverySec, 2, 2, 4);
    crash_everywhere(SyncPolicy::kNo, 3, 2, 4);
  }
  TEST_CASE("the same for other histories, at operations drawn from each") {
    for (uint64_t seed = 10; seed < 30; ++seed) {
      crash_everywhere(static_cast<SyncPolicy>(seed % 3), seed, 23, 2);
    }
  }

  // After a failed sync the page cache shows frames that the disk does not have. A restart that believed it
  // would serve them and then, having "synced" again, lose them to the next power cut.
  TEST_CASE(
      "whichever operation fails, the next process finds what was promised, and only what the disk has") {
    for (const uint64_t seed : {1, 2, 3}) {
      for (uint64_t n = 0;; ++n) {
        CAPTURE(seed);
        CAPTURE(n);
        History history;
        SimEntropy random(seed);
        SimWorld first(seed);
        first.disk->fail_operation(n, false);
        {
          Replayed opened = replay(first, 0, static_cast<SyncPolicy>(seed % 3));
          if (opened.status.ok()) write_history(first, *opened.log, random, 15, &history);
        }
        const bool finished = first.disk->operations().size() <= n;
        first.disk->no_faults();
        SimWorld second(seed + 100, std::move(first.disk));
        Replayed got = replay(second, history.released);
        check_recovered(history, got);
        history.records.resize(history.count_to(got.recovery.end));
        history.promised = got.log->synced();
        for (uint64_t crash = 0; crash < 3; ++crash) {
          SimWorld third(seed + 200, second.disk->crash(n * 10 + crash));
          check_recovered(history, replay(third, history.released));
        }
        if (finished) break;
      }
    }
  }

  TEST_CASE("a killed process loses nothing that was handed to the kernel") {
    for (uint64_t seed = 0; seed < 40; ++seed) {
      CAPTURE(seed);
      SimWorld world(seed);
      SimEntropy random(seed);
      History history;
      Replayed opened = replay(world, 0, static_cast<SyncPolicy>(seed % 3));
      REQUIRE(opened.status.ok());
      write_history(world, *opened.log, random, 30, &history);
      SimWorld after(seed + 100, world.disk->copy());
      history.promised = history.handed_over;
      check_recovered(history, replay(after, history.released));
    }
  }

  TEST_CASE("one bit flipped anywhere in a closed log: the whole history or kCorruption naming the file") {
    std::vector<std::string> records;
    const auto disk = small_log(true, &records);
    const std::vector<std::string> paths = segment_paths(*disk);
    CHECK(paths.size() >= 3);
    size_t refused = 0;
    for (const std::string& path : paths) {
      const std::string original = disk->contents(path);
      for (uint64_t byte = 0; byte < original.size(); ++byte) {
        // Padding is plenty; of zeros far from any frame every 61st will do.
        const bool padding = original[byte] == '\0' && byte % 4096 > 200 && byte % 61 != 0;
        if (padding) continue;
        CAPTURE(path);
        CAPTURE(byte);
        SimWorld world(1, disk->copy());
        world.disk->flip_bit(path, byte, static_cast<int>(byte % 8));
        const Replayed got = replay(world, 0);
        if (got.status.ok()) {
          REQUIRE(got.records == records);
        } else {
          ++refused;
          REQUIRE(got.status.code() == Code::kCorruption);
          REQUIRE(got.status.message().find(path + " at offset ") != std::string::npos);
        }
      }
    }
    CHECK(refused > 500);
  }

  TEST_CASE(
      "one bit flipped anywhere in a log that was not closed: a prefix or kCorruption naming the file") {
    std::vector<std::string> records;
    const auto disk = small_log(false, &records, 5);
    for (const std::string& path : segment_paths(*disk)) {
      const std::string original = disk->contents(path);
      for (uint64_t byte = 0; byte < original.size(); ++byte) {
        if (original[byte] == '\0' && byte % 4096 > 200) continue;
        CAPTURE(byte);
        SimWorld world(1, disk->copy());
        world.disk->flip_bit(path, byte, static_cast<int>(byte % 8));
        const Replayed got = replay(world, 0);
        if (got.status.ok()) {
          REQUIRE(is_prefix(got.records, records));
          REQUIRE(got.records.size() + 1 >=
                  records.size());  // Only the last frame has no later one to vouch.
        } else {
          REQUIRE(got.status.code() == Code::kCorruption);
          REQUIRE(got.status.message().find(path + " at offset ") != std::string::npos);
        }
      }
    }
  }

  TEST_CASE("a segment cut at any length: a prefix, said to be cut, or kCorruption naming a file") {
    std::vector<std::string> records;
    const auto disk = small_log(true, &records);
    const std::vector<std::string> paths = segment_paths(*disk);
    for (const std::string& path : paths) {
      const std::string original = disk->contents(path);
      for (uint64_t length = 0; length < original.size(); length += length % 4096 < 200 ? 1 : 97) {
        CAPTURE(path);
        CAPTURE(length);
        SimWorld world(1, disk->copy());
        world.disk->set_contents(path, original.substr(0, length));
        const Replayed got = replay(world, 0);
        if (got.status.ok()) {
          REQUIRE(is_prefix(got.records, records));
          if (path != paths.back()) REQUIRE(got.records == records);
        } else {
          REQUIRE(got.status.code() == Code::kCorruption);
          REQUIRE(got.status.message().find(path + " at offset ") != std::string::npos);
        }
      }
    }
  }

  TEST_CASE("a segment missing in the middle, or at the beginning, is kCorruption") {
    std::vector<std::string> records;
    const auto disk = small_log(true, &records);
    const std::vector<std::string> paths = segment_paths(*disk);
    REQUIRE(paths.size() >= 3);
    for (size_t i = 0; i + 1 < paths.size(); ++i) {
      SimWorld world(1, disk->copy());
      REQUIRE(world.disk->remove(paths[i]).ok());
      const Status status = replay(world, 0).status;
      CHECK(status.code() == Code::kCorruption);
      CHECK(status.message().find(paths[i == 0 ? 1 : i - 1] + " at offset ") != std::string::npos);
    }
  }

  TEST_CASE("a segment under another's name is kCorruption") {
    std::vector<std::string> records;
    const auto disk = small_log(true, &records);
    const std::vector<std::string> paths = segment_paths(*disk);
    REQUIRE(paths.size() >= 3);
    SimWorld world(1, disk->copy());
    world.disk->set_contents(paths[1], disk->contents(paths[2]));
    const Status status = replay(world, 0).status;
    CHECK(status.code() == Code::kCorruption);
    CHECK(status.message().find(paths[1]) != std::string::npos);
  }

  TEST_CASE("a newer format is refused as too new, a damaged version number as damaged") {
    std::vector<std::string> records;
    const auto disk = small_log(true, &records, 1);
    const std::string path = segment_paths(*disk)[0];
    std::string bytes = disk->contents(path);
    SimWorld damaged(1, disk->copy());
    damaged.disk->flip_bit(path, 8, 1);
    CHECK(replay(damaged, 0).status.code() == Code::kCorruption);
    // The header's own checksum, over the same bytes with the version raised, as a later build would write
    // it.
    bytes.replace(8, 1, 1, static_cast<char>(kLogFormatVersion + 1));
    const std::string fixed = [&] {
      std::string header = bytes.substr(0, 24);
      const uint64_t checksum = XXH3_64bits(header.data(), header.size());
      header.append(reinterpret_cast<const char*>(&checksum), sizeof checksum);
      return header;
    }();
    bytes.replace(0, fixed.size(), fixed);
    SimWorld newer(1, disk->copy());
    newer.disk->set_contents(path, bytes);
    const Status status = replay(newer, 0).status;
    CHECK(status.code() == Code::kTooNew);
    CHECK(status.message() == path + ": log format 2, this build knows up to 1");
  }

  TEST_CASE("an error of the replayer ends it and comes back; one of the disk is not taken for an end") {
    std::vector<std::string> records;
    const auto disk = small_log(true, &records);
    SimWorld world(1, disk->copy());
    int seen = 0;
    const auto result = Log::open(
        world.env, options_for(SyncPolicy::kNo), 0,
        [&seen](Lsn, std::string_view) { return ++seen == 3 ? Status(Code::kInvalid, "stop") : Status(); },
        nullptr);
    CHECK(result.status().message() == "stop");
    CHECK(seen == 3);
    for (uint64_t read = 0;; ++read) {
      CAPTURE(read);
      SimWorld failing(1, disk->copy());
      failing.disk->fail_read(read, false);
      const Replayed got = replay(failing, 0);
      if (failing.disk->reads() <= read) break;
      if (got.status.ok()) {
        CHECK(got.records == records);
      } else {
        CHECK(got.status.code() == Code::kIoError);
      }
    }
  }

  TEST_CASE("what lies behind a cut is given up for good, also when the new history reaches its LSNs") {
    // Three frames, unsynced; the second never reached the disk, the third did.
    SimWorld world(1);
    Replayed opened = replay(world, 0, SyncPolicy::kNo);
    for (int i = 0; i < 3; ++i) {
      opened.log->append(record_of(static_cast<size_t>(i), 100));
      opened.log->end_turn();
    }
    const std::string path = segment_paths(*world.disk)[0];
    std::string bytes = world.disk->contents(path);
    SimWorld after(2, world.disk->copy());
    bytes.replace(4096 + 136, 136, 136, '\0');
    after.disk->set_contents(path, bytes);
    {
      Replayed got = replay(after, 0, SyncPolicy::kNo);
      REQUIRE(got.status.ok());
      CHECK(got.records.size() == 1);
      CHECK(got.recovery.end == 100);
      CHECK(got.recovery.cut_bytes == 272);
      CHECK(got.recovery.cut_at == path + " at offset 4232");
      got.log->append(std::string(100, 'n'));
      got.log->request_sync();
      after.executor.run_all();
      CHECK(got.log->synced() == 200);
    }
    const Replayed again = replay(after, 0);
    REQUIRE(again.status.ok());
    CHECK(again.records == std::vector<std::string>{record_of(0, 100), std::string(100, 'n')});
    CHECK(again.recovery.cut_bytes == 0);
  }

  TEST_CASE("a log that ends below what the tables have begins anew there") {
    std::vector<std::string> records;
    const auto disk = small_log(false, &records, 3);
    SimWorld world(1, disk->copy());
    Replayed got = replay(world, 100000);
    REQUIRE(got.status.ok());
    CHECK(got.records.empty());
    CHECK(got.log->end() == 100000);
    CHECK(got.log->oldest() == 100000);
    CHECK(segment_paths(*world.disk) == std::vector<std::string>{"log/00000000000186a0.log"});
  }

  TEST_CASE("random bytes and random damage never make a frame, nor a crash") {
    SimEntropy random(5);
    for (int round = 0; round < 300; ++round) {
      CAPTURE(round);
      const uint64_t id = random.next();
      std::string frame(kFrameHeaderBytes, '\0');
      for (uint64_t i = random.below(5); i > 0; --i)
        append_record(frame, record_of(i, 1 + random.below(300)));
      seal_frame(frame, id, 1000, 900);
      const auto whole = frame_at(frame, 0, id);
      REQUIRE(whole);
      CHECK(whole->first == 1000);
      CHECK(whole->synced == 900);
      CHECK_FALSE(frame_at(frame, 0, id + 1));  // Another life of the file.
      const uint64_t used = kFrameHeaderBytes + whole->payload.size();
      CHECK_FALSE(frame_at(std::string_view(frame).substr(0, used - 1), 0, id));
      std::string damaged = frame;
      for (uint64_t i = 1 + random.below(8); i > 0; --i)
        damaged[random.below(used)] = static_cast<char>(random.next());
      if (damaged != frame) CHECK_FALSE(frame_at(damaged, 0, id));
      std::string noise(random.below(600), '\0');
      for (char& byte : noise)
        byte = static_cast<char>(random.below(4) == 0 ? random.next() : random.below(3));
      for (uint64_t offset = 0; offset < noise.size() + 20; ++offset)
        CHECK_FALSE(frame_at(noise, offset, id));
      std::string_view payload = noise;
      uint64_t parsed = 0;
      while (const auto record = next_record(payload)) parsed += record->size();
      CHECK(parsed <= noise.size());
    }
  }

  // VARVE_WRITE_GOLDEN=1 makes the file anew: only for a new format version, under a new name.
  TEST_CASE("the format is the one that was pinned") {
    SimWorld world(42);
    Replayed opened = replay(world, 0);
    REQUIRE(opened.status.ok());
    opened.log->append("one");
    opened.log->append(std::string(200, 'x'));
    opened.log->end_turn();
    world.executor.run_all();
    opened.log->append("three");
    opened.log->end_turn();
    world.executor.run_all();
    REQUIRE(opened.log->close().ok());
    const std::string bytes = world.disk->contents("log/0000000000000000.log").substr(0, 3 * 4096 + 32);

    const std::string path = VARVE_TESTS_DIR "/golden/log.v1";
    const bool write = std::getenv("VARVE_WRITE_GOLDEN") != nullptr;
    std::FILE* file = std::fopen(path.c_str(), write ? "wb" : "rb");
    REQUIRE(file != nullptr);
    if (write) REQUIRE(std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size());
    std::string pinned(bytes.size() + 1, '\0');
    if (!write) pinned.resize(std::fread(pinned.data(), 1, pinned.size(), file));
    std::fclose(file);
    if (write) return;
    CHECK(pinned == bytes);
    // And a log of those bytes is read.
    SimWorld old(1, world.disk->copy());
    old.disk->set_contents("log/0000000000000000.log", pinned);
    CHECK(replay(old, 0).records == std::vector<std::string>{"one", std::string(200, 'x'), "three"});
  }
}
