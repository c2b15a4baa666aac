// tests/engine/engine_harness.h: an engine in a simulated world, a small object store over it, and a model of
// both.
//
// The object store is the least that uses all the engine knows of objects:
//
//     'D' n              -> reference                 which object database n is
//     'H' db(8) name     -> 'v' text | 'o' reference  a plain value, or one with elements under an object
//     'S' object(8) name -> text
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/sim.h"

namespace engine_test {

using namespace engine;

inline std::string id_bytes(ObjectId id) {
  std::string out(8, '\0');
  for (size_t i = 0; i < 8; ++i) out[i] = static_cast<char>(id >> (56 - 8 * i));
  return out;
}
inline ObjectId id_from(std::string_view bytes) {
  ObjectId id = 0;
  for (size_t i = 0; i < 8; ++i) id = id << 8 | static_cast<uint8_t>(bytes[i]);
  return id;
}
inline std::string reference_bytes(Reference reference) {
  return id_bytes(reference.id) + id_bytes(reference.generation);
}
inline Reference reference_from(std::string_view bytes) {
  return {id_from(bytes.substr(0, 8)), static_cast<uint32_t>(id_from(bytes.substr(8, 8)))};
}

class TestSchema final : public Schema {
 public:
  ObjectId owner(std::string_view key) const override {
    return key.size() >= 9 && (key[0] == 'H' || key[0] == 'S') ? id_from(key.substr(1)) : kNoObject;
  }
  Reference reference(std::string_view key, std::string_view value) const override {
    if (key[0] == 'D') return reference_from(value);
    if (key[0] == 'H' && value.size() == 17 && value[0] == 'o') return reference_from(value.substr(1));
    return {};
  }
  bool counted(std::string_view key) const override { return key[0] == 'H'; }
  std::vector<KeyRange> ranges(ObjectId id) const override {
    return {{"H" + id_bytes(id), "H" + id_bytes(id + 1)}, {"S" + id_bytes(id), "S" + id_bytes(id + 1)}};
  }
};

// What the store should hold. An object's elements go with its last reference.
struct Model {
  struct Entry {
    std::string text;
    std::optional<std::map<std::string, std::string>> elements;
    bool operator==(const Entry&) const = default;
  };
  std::map<int, std::map<std::string, Entry>> databases;
  bool operator==(const Model&) const = default;
};

// Thrown by a Store whose disk has lost its power, wherever a test happens to be.
struct PowerCut {};
// Thrown by a Store whose engine admits no writes; engine().refusal() says why. Nothing was written.
struct Refused {};

// Drives one engine through its life on one simulated disk.
class Store {
 public:
  explicit Store(uint64_t seed, EngineOptions options,
                 std::unique_ptr<SimDisk> disk = std::make_unique<SimDisk>())
      : world_(std::make_unique<SimWorld>(seed, std::move(disk))),
        options_(std::move(options)),
        dice_(seed * 31 + 7) {}

  Status open() {
    auto engine = Engine::open(world_->env, options_, schema_, &recovery_);
    if (!engine.ok()) return engine.status();
    engine_ = std::move(engine).value();
    return {};
  }
  ~Store() { abandon(); }

  // The process dies: nothing more runs. What it had in memory is freed.
  void abandon() {
    if (!engine_) return;
    if (!stopped_) {
      world_->disk->cut_power_at(0);
      engine_->stop([](Status) {});
      world_->executor.run_all();
    }
    engine_.reset();
  }
  // The same; what is left is the disk, as the power cut finds it.
  std::unique_ptr<SimDisk> power_off() {
    abandon();
    return std::move(world_->disk);
  }
  Status stop() {
    Status status(Code::kInvalid, "never stopped");
    engine_->stop([&](Status s) { status = s, stopped_ = true; });
    world_->executor.run_all();
    return status;
  }

  // Its reopen() failed: it can only be destroyed.
  void reopen_failed() { stopped_ = true; }

  Engine& engine() { return *engine_; }
  SimWorld& world() { return *world_; }
  SimDisk& disk() { return *world_->disk; }
  const LogRecovery& recovery() const { return recovery_; }
  uint64_t roll(uint64_t bound) { return dice_.below(bound); }

  // A few steps of everything else.
  void pump(uint64_t steps) {
    for (uint64_t i = 0; i < steps; ++i) world_->executor.run_one();
  }
  void turn() {
    engine_->end_turn();
    world_->clock.advance_ms(roll(30));
    if (roll(4) == 0) engine_->tick();
    pump(roll(4));
  }
  void settle() {
    for (int i = 0; i < 400; ++i) {
      engine_->end_turn();
      world_->clock.advance_ms(150);
      engine_->tick();
      world_->executor.run_all();
    }
  }
  // Until writes are admitted; false if they are refused.
  bool admit() {
    for (int i = 0; i < 10000; ++i) {
      if (disk().power_is_cut()) throw PowerCut{};
      const auto admission = engine_->admission(128 << 10, false);
      if (admission == Engine::Admission::kOpen) return true;
      if (admission == Engine::Admission::kRefused) return false;
      turn();
      world_->executor.run_one();
    }
    FAIL("writes are never admitted again");
    return false;
  }

  std::optional<std::string> get(const std::string& key) {
    ReadContext context;
    for (int round = 0; round < 100; ++round) {
      const Lookup found = engine_->get(key, context);
      if (found.state == Lookup::State::kFound) return std::string(found.value);
      if (found.state == Lookup::State::kAbsent) return std::nullopt;
      if (disk().power_is_cut()) throw PowerCut{};
      REQUIRE(found.state == Lookup::State::kCold);
      fetch(context);
    }
    FAIL("a read never comes to an end");
    return std::nullopt;
  }
  std::map<std::string, std::string> range(const std::string& begin, const std::string& end,
                                           bool reverse = false) {
    ReadContext context;
    for (int round = 0; round < 10000; ++round) {
      std::map<std::string, std::string> out;
      const auto reader = engine_->reader(context);
      const auto records = reader->iterator(begin, end);
      auto state = reverse ? records->seek_last() : records->seek_first();
      while (state == Iterator::State::kAt) {
        REQUIRE(out.emplace(std::string(records->key()), std::string(records->value())).second);
        state = reverse ? records->prev() : records->next();
      }
      if (state == Iterator::State::kEnd) return out;
      if (disk().power_is_cut()) throw PowerCut{};
      REQUIRE(state == Iterator::State::kCold);
      fetch(context);
    }
    FAIL("a scan never comes to an end");
    return {};
  }
  static std::map<std::string, std::string> range(const Snapshot& snapshot, const std::string& begin,
                                                  const std::string& end) {
    std::map<std::string, std::string> out;
    const auto reader = snapshot.reader();
    const auto records = reader->iterator(begin, end);
    auto state = records->seek_first();
    for (; state == Iterator::State::kAt; state = records->next())
      out.emplace(std::string(records->key()), std::string(records->value()));
    REQUIRE(state == Iterator::State::kEnd);
    return out;
  }

  // ---- the object store
  Reference database(int n) {
    const auto found = get("D" + std::to_string(n));
    return found ? reference_from(*found) : Reference{};
  }
  std::string header(int n, const std::string& name) { return "H" + id_bytes(database(n).id) + name; }
  Lsn apply(Batch& batch) {
    // Reading may have let other things happen since the command was admitted.
    if (!admit()) throw Refused{};
    const Lsn lsn = engine_->apply(batch);
    batch.clear();
    return lsn;
  }
  Model read_model(int databases) {
    Model model;
    for (int n = 0; n < databases; ++n) {
      const Reference db = database(n);
      if (db.id == kNoObject) continue;
      const std::string begin = "H" + id_bytes(db.id);
      for (const auto& [key, value] : range(begin, "H" + id_bytes(db.id + 1), roll(2) == 0)) {
        Model::Entry& entry = model.databases[n][key.substr(9)];
        if (value[0] == 'v') {
          entry.text = value.substr(1);
          continue;
        }
        entry.elements.emplace();
        const ObjectId object = reference_from(value.substr(1)).id;
        for (const auto& [element, text] :
             range("S" + id_bytes(object), "S" + id_bytes(object + 1), roll(2) == 0))
          (*entry.elements)[element.substr(9)] = text;
      }
    }
    return model;
  }

  void fetch(ReadContext& context) {
    bool done = false;
    engine_->fetch(context, [&] { done = true; });
    while (!done) REQUIRE(world_->executor.run_one());
  }

  static void drop_empty(Model* model) {
    std::erase_if(model->databases, [](const auto& database) { return database.second.empty(); });
  }

 private:
  TestSchema schema_;
  std::unique_ptr<SimWorld> world_;
  EngineOptions options_;
  SimEntropy dice_;
  std::unique_ptr<Engine> engine_;
  LogRecovery recovery_;
  bool stopped_ = false;
};

inline EngineOptions small_options() {
  EngineOptions options;
  options.directory = "/db";
  options.memory_bytes = 1 << 20;
  options.memtable_bytes = 16 << 10;
  options.log_segment_bytes = 256 << 10;
  options.reserve_bytes = 0;
  options.block_bytes = 512;
  return options;
}

}  // namespace engine_test
