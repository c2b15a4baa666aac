// One engine following another: the same bytes at the same LSNs, by the log alone or by a checkpoint and the
// log, whatever crashes in between.
#include <functional>

#include "engine/incoming.h"
#include "engine/log_cut.h"
#include "engine/log_format.h"
#include "tests/engine/engine_player.h"

using namespace engine_test;

namespace {

EngineOptions stream_options(SyncPolicy policy = SyncPolicy::kEverySec) {
  EngineOptions options = small_options();
  options.memtable_bytes = 4 << 10;
  options.log_segment_bytes = 16 << 10;
  options.sync = policy;
  return options;
}

Model settled_model(Store& store) {
  Model model = store.read_model(kDatabases);
  Store::drop_empty(&model);
  return model;
}

// Some records of the leader's log, from where `from` says.
LogChunk read_some(Store& leader, LogReader& reader) {
  LogChunk chunk;
  if (leader.roll(2) == 0 && reader.take(&chunk)) return chunk;
  bool done = false;
  reader.fetch(1 + leader.roll(5000), [&](Result<LogChunk> result) {
    INFO(result.status().message());
    REQUIRE(result.ok());
    chunk = result.value();
    done = true;
  });
  while (!done) REQUIRE(leader.world().executor.run_one());
  return chunk;
}

void apply_chunk(Store& follower, const LogChunk& chunk) {
  REQUIRE(chunk.first == follower.engine().end());
  std::string_view rest = chunk.payload;
  Batch batch;
  while (!rest.empty()) {
    const auto record = next_record(rest);
    REQUIRE(record.has_value());
    REQUIRE(batch.assign(*record).ok());
    for (int i = 0; follower.engine().foreign_admission(record->size()) != Engine::Admission::kOpen; ++i) {
      REQUIRE(i < 10000);
      follower.turn();
      follower.world().executor.run_one();
    }
    follower.engine().apply_foreign(batch);
    follower.turn();
  }
}

std::shared_ptr<const Checkpoint> take_checkpoint(Store& leader) {
  std::shared_ptr<const Checkpoint> checkpoint;
  leader.engine().checkpoint([&](Result<std::shared_ptr<const Checkpoint>> result) {
    REQUIRE(result.ok());
    checkpoint = result.value();
  });
  for (int i = 0; !checkpoint; ++i) {
    REQUIRE(i < 10000);
    if (!leader.world().executor.run_one()) leader.turn();
  }
  return checkpoint;
}

// Brings a checkpoint into the follower's directory; returns how many bytes of tables had to come.
Result<uint64_t> bring(Store& leader, const Checkpoint& checkpoint, SimDisk& disk,
                       const std::vector<CheckpointFile>& own, uint64_t seed) {
  auto incoming = IncomingCheckpoint::begin(disk, seed, "/db", checkpoint.state(), own);
  if (!incoming.ok()) return incoming.status();
  uint64_t bytes = 0;
  while (!(*incoming)->wanted().empty()) {
    const CheckpointFile file = (*incoming)->wanted().front();
    for (uint64_t at = 0; at < file.bytes; at += 700) {
      const auto data = checkpoint.read(file.number, at, std::min<uint64_t>(700, file.bytes - at));
      REQUIRE(data.ok());
      Result<std::string> copy = data;
      if (Status s = (*incoming)->write(file.number, *copy); !s.ok()) return s;
      bytes += copy->size();
    }
  }
  const auto reader = leader.engine().read_log(checkpoint.flushed());
  REQUIRE(reader != nullptr);
  while ((*incoming)->log_end() < checkpoint.whole_at())
    if (Status s = (*incoming)->append(read_some(leader, *reader)); !s.ok()) return s;
  if (Status s = (*incoming)->commit(); !s.ok()) return s;
  return bytes;
}

void play(Store& store, Player& player, int commands) {
  for (int i = 0; i < commands; ++i) {
    REQUIRE(store.admit());
    player.play();
    store.turn();
  }
}

void reopen(Store& store) {
  bool done = false;
  store.engine().reopen([&](const Status& status) {
    INFO(status.message());
    REQUIRE(status.ok());
    done = true;
  });
  for (int i = 0; !done; ++i) {
    REQUIRE(i < 100000);
    REQUIRE(store.world().executor.run_one());
  }
}

}  // namespace

TEST_SUITE("engine/stream") {
  TEST_CASE("an engine that applies another's records has the same data at every LSN, and ids go on") {
    for (uint64_t seed = 1; seed <= 12; ++seed) {
      CAPTURE(seed);
      Store leader(seed, stream_options());
      Store follower(seed + 100, stream_options());
      REQUIRE(leader.open().ok());
      REQUIRE(follower.open().ok());
      Player player(leader, {});
      {
        const auto reader = leader.engine().read_log(0);
        REQUIRE(reader != nullptr);
        for (int round = 0; round < 12; ++round) {
          play(leader, player, 20);
          leader.engine().request_sync();
          leader.pump(200);
          while (!reader->at_end()) apply_chunk(follower, read_some(leader, *reader));
        }
        leader.settle();
        while (!reader->at_end()) apply_chunk(follower, read_some(leader, *reader));
      }
      CHECK(follower.engine().end() == leader.engine().end());
      follower.settle();
      Model expected = player.model();
      Store::drop_empty(&expected);
      REQUIRE(settled_model(follower) == expected);
      CHECK(follower.engine().new_object() >= leader.engine().new_object() - 1);
      // Promoted, it lives on.
      Player heir(follower, player.model());
      play(follower, heir, 60);
      follower.settle();
      expected = heir.model();
      Store::drop_empty(&expected);
      REQUIRE(settled_model(follower) == expected);
      CHECK(follower.stop().ok());
      CHECK(leader.stop().ok());
    }
  }

  TEST_CASE("a checkpoint and the log from it on make the same store, and the log goes on from there") {
    for (uint64_t seed = 1; seed <= 12; ++seed) {
      CAPTURE(seed);
      Store leader(seed, stream_options());
      Store follower(seed + 100, stream_options());
      REQUIRE(leader.open().ok());
      REQUIRE(follower.open().ok());
      Player own(follower, {});  // What it held before is to be gone.
      play(follower, own, 30);
      Player player(leader, {});
      play(leader, player, 300);
      auto checkpoint = take_checkpoint(leader);
      play(leader, player, 60);  // Goes on meanwhile.
      const auto brought = bring(leader, *checkpoint, follower.disk(), follower.engine().tables(), seed);
      INFO(brought.status().message());
      REQUIRE(brought.ok());
      checkpoint.reset();
      reopen(follower);
      const auto reader = leader.engine().read_log(follower.engine().end());
      REQUIRE(reader != nullptr);
      leader.settle();
      while (!reader->at_end()) apply_chunk(follower, read_some(leader, *reader));
      follower.settle();
      Model expected = player.model();
      Store::drop_empty(&expected);
      REQUIRE(settled_model(follower) == expected);
      for (int n = 0; n < kDatabases; ++n) {
        const ObjectId database = follower.database(n).id;
        CHECK(follower.engine().count(database) == leader.engine().count(database));
      }
      Player heir(follower, player.model());
      play(follower, heir, 60);
      Model lived = heir.model();
      Store::drop_empty(&lived);
      REQUIRE(settled_model(follower) == lived);
      CHECK(follower.stop().ok());
      CHECK(leader.stop().ok());
    }
  }

  TEST_CASE("tables that the follower has are not brought again") {
    Store leader(5, stream_options());
    Store follower(6, stream_options());
    REQUIRE(leader.open().ok());
    REQUIRE(follower.open().ok());
    Player player(leader, {});
    play(leader, player, 400);
    leader.settle();
    const auto first = take_checkpoint(leader);
    const auto all = bring(leader, *first, follower.disk(), follower.engine().tables(), 1);
    REQUIRE(all.ok());
    reopen(follower);
    play(leader, player, 5);
    const auto second = take_checkpoint(leader);
    // Received ones of an attempt that was cut off count as well.
    const auto rest = bring(leader, *second, follower.disk(), follower.engine().tables(), 2);
    REQUIRE(rest.ok());
    Result<uint64_t> a = all, b = rest;
    CHECK(*a > 4000);
    CHECK(*b < *a / 2);
    reopen(follower);
    CHECK(follower.engine().end() >= second->whole_at());
    CHECK(follower.stop().ok());
  }

  TEST_CASE("C1: whenever the power is cut while a checkpoint comes in, it is the old store or the new") {
    for (uint64_t seed = 1; seed <= 3; ++seed) {
      CAPTURE(seed);
      Store leader(seed, stream_options());
      REQUIRE(leader.open().ok());
      Player player(leader, {});
      play(leader, player, 150);
      leader.settle();
      const auto checkpoint = take_checkpoint(leader);
      Model fresh = player.model();
      Store::drop_empty(&fresh);

      // The follower's old life, the same in every round.
      std::unique_ptr<SimDisk> start;
      Model old;
      {
        Store follower(seed + 50, stream_options(SyncPolicy::kAlways));
        REQUIRE(follower.open().ok());
        Player own(follower, {});
        play(follower, own, 60);
        old = own.model();
        Store::drop_empty(&old);
        REQUIRE(follower.stop().ok());
        start = follower.disk().copy();
      }
      uint64_t olds = 0, news = 0;
      for (uint64_t cut = 0;; cut += 1 + seed) {
        CAPTURE(cut);
        auto disk = start->copy();
        const uint64_t before = disk->operations().size();
        disk->cut_power_at(before + cut);
        // What comes in, and the install at the next open.
        bool finished = bring(leader, *checkpoint, *disk, {}, seed).ok();
        if (finished) finished = install_incoming(*disk, "/db").ok();
        Store again(seed + 99, stream_options(SyncPolicy::kAlways), disk->crash(cut * 7 + seed));
        const Status opened = again.open();
        INFO(opened.message());
        REQUIRE(opened.ok());
        const Model seen = settled_model(again);
        const bool is_old = seen == old, is_new = seen == fresh;
        CHECK((is_old || is_new));
        olds += is_old;
        news += is_new;
        CHECK(again.stop().ok());
        if (finished) {
          CHECK(is_new);
          break;
        }
      }
      CHECK(olds > 5);
      CHECK(news > 5);
    }
  }

  TEST_CASE("C2: what comes with a wrong checksum is asked for again, and a store is never made of it") {
    Store leader(3, stream_options());
    REQUIRE(leader.open().ok());
    Player player(leader, {});
    play(leader, player, 150);
    leader.settle();
    const auto checkpoint = take_checkpoint(leader);
    SimDisk disk;
    REQUIRE(disk.make_directory("/db").ok());
    auto incoming = IncomingCheckpoint::begin(disk, 1, "/db", checkpoint->state(), {});
    REQUIRE(incoming.ok());
    const CheckpointFile file = (*incoming)->wanted().front();
    auto data = checkpoint->read(file.number, 0, file.bytes);
    REQUIRE(data.ok());
    std::string damaged = *data;
    damaged[damaged.size() / 2] = static_cast<char>(damaged[damaged.size() / 2] ^ 4);
    CHECK((*incoming)->write(file.number, damaged).code() == Code::kCorruption);
    CHECK((*incoming)->wanted().front() == file);
    CHECK((*incoming)->write(file.number, *data).ok());
    CHECK((*incoming)->wanted().front().number != file.number);
    CHECK(!IncomingCheckpoint::begin(disk, 1, "/db", "nonsense", {}).ok());
  }

  TEST_CASE("a store is taken back to any LSN from its floor on, whenever the power is cut, and lives on") {
    uint64_t cuts = 0;
    for (uint64_t seed = 1; seed <= 60; ++seed) {
      CAPTURE(seed);
      EngineOptions options = stream_options(static_cast<SyncPolicy>(seed % 3));
      if (seed % 4 != 0) options.memtable_bytes = 64 << 10;
      auto store = std::make_unique<Store>(seed, options);
      REQUIRE(store->open().ok());
      std::map<Lsn, Model> at;
      Player player(*store, {});
      for (int i = 0; i < 120; ++i) {
        play(*store, player, 1);
        at[store->engine().end()] = player.model();
        Store::drop_empty(&at[store->engine().end()]);
      }
      // One of the last places that are left.
      auto place = at.lower_bound(store->engine().cut_floor());
      if (place == at.end() || place->first == store->engine().end()) continue;
      for (uint64_t n = store->roll(4); n > 0 && std::next(place) != at.end(); --n) ++place;
      const Lsn lsn = place->first;
      CAPTURE(lsn);
      CAPTURE(store->engine().end());
      store->engine().request_sync();
      store->settle();
      if (store->engine().cut_floor() > lsn) continue;
      REQUIRE(order_cut(store->disk(), "/db", lsn).ok());
      // The power may go while it is done, and then it is done anew.
      store->disk().cut_power_at(store->disk().operations().size() + store->roll(60));
      bool done = false;
      store->engine().reopen([&](const Status& status) { done = status.ok(); });
      store->world().executor.run_all();
      if (store->disk().power_is_cut()) {
        if (!done) store->reopen_failed();
        auto disk = store->power_off();
        store = std::make_unique<Store>(seed + 1000, options, disk->crash(seed));
        const Status opened = store->open();
        INFO(opened.message());
        REQUIRE(opened.ok());
      } else {
        REQUIRE(done);
        store->disk().no_faults();
      }
      ++cuts;
      CHECK(store->engine().end() == lsn);
      REQUIRE(settled_model(*store) == place->second);
      Player heir(*store, place->second);
      play(*store, heir, 40);
      Model lived = heir.model();
      Store::drop_empty(&lived);
      REQUIRE(settled_model(*store) == lived);
      for (int n = 0; n < kDatabases; ++n) {
        uint64_t names = 0;
        if (lived.databases.contains(n)) names = lived.databases.at(n).size();
        store->settle();
        if (store->engine().unsettled() == 0) CHECK(store->engine().count(store->database(n).id) == names);
      }
      CHECK(store->stop().ok());
    }
    CHECK(cuts > 15);
  }

  TEST_CASE("an engine that is opened again syncs as it was last told to") {
    // It went back to what it was first opened with, and writes under `always` waited a second.
    Store store(1, stream_options());
    REQUIRE(store.open().ok());
    Player player(store, {});
    for (const SyncPolicy policy : {SyncPolicy::kNo, SyncPolicy::kAlways}) {
      store.engine().set_sync_policy(policy);
      reopen(store);
      play(store, player, 3);
      store.world().executor.run_all();
      store.turn();
      CHECK((store.engine().synced() == store.engine().end()) == (policy == SyncPolicy::kAlways));
    }
  }

  TEST_CASE("the log is read through the places where it was closed and opened again") {
    // A reader took the frame of a close for damage, so no replica that was behind could go on after its
    // primary had been restarted.
    Store store(2, stream_options());
    REQUIRE(store.open().ok());
    Player player(store, {});
    store.engine().keep_log(1 << 30);
    const Lsn begin = store.engine().end();
    for (int closes = 0; closes < 4; ++closes) {
      if (closes != 2) play(store, player, 5);  // Two closes with nothing between them, too.
      reopen(store);
    }
    play(store, player, 5);
    store.settle();
    const auto reader = store.engine().read_log(begin);
    REQUIRE(reader != nullptr);
    while (reader->position() < store.engine().end()) {
      const Lsn before = reader->position();
      bool done = false;
      reader->fetch(1, [&](const Result<LogChunk>& chunk) {
        INFO(chunk.status().message());
        REQUIRE(chunk.ok());
        done = true;
      });
      while (!done) REQUIRE(store.world().executor.run_one());
      CHECK(reader->position() > before);
    }
  }
}
