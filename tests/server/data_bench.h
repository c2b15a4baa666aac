// tests/server/data_bench.h: a simulated engine with tiny memtables under the representations of data types,
// driven as the dispatcher drives it.
#pragma once

#include <doctest/doctest.h>

#include <memory>

#include "engine/sim.h"
#include "server/view.h"

namespace server_test {

// What a handler has read through it: gets, and steps of iterators.
class CountingReader final : public engine::Reader {
 public:
  CountingReader(engine::Reader& inner, uint64_t* touched) : inner_(inner), touched_(touched) {}
  engine::Lookup get(std::string_view key) override {
    ++*touched_;
    return inner_.get(key);
  }
  std::unique_ptr<engine::Iterator> iterator(std::string_view begin, std::string_view end) override {
    return std::make_unique<Counting>(inner_.iterator(begin, end), touched_);
  }
  void on_passed(Passed passed) override { inner_.on_passed(std::move(passed)); }
  const engine::Status& status() const override { return inner_.status(); }
  engine::Lsn newest() const override { return inner_.newest(); }

 private:
  class Counting final : public engine::Iterator {
   public:
    Counting(std::unique_ptr<engine::Iterator> inner, uint64_t* touched)
        : inner_(std::move(inner)), touched_(touched) {}
    State seek_first() override { return inner_->seek_first(), moved(); }
    State seek_last() override { return inner_->seek_last(), moved(); }
    State seek(std::string_view key) override { return inner_->seek(key), moved(); }
    State seek_before(std::string_view key) override { return inner_->seek_before(key), moved(); }
    State next() override { return inner_->next(), moved(); }
    State prev() override { return inner_->prev(), moved(); }
    const engine::Status& status() const override { return inner_->status(); }

   private:
    State moved() { return ++*touched_, follow(*inner_); }

    std::unique_ptr<engine::Iterator> inner_;
    uint64_t* touched_;
  };
  engine::Reader& inner_;
  uint64_t* touched_;
};

class DataBench {
 public:
  explicit DataBench(uint64_t seed, uint32_t cold_chance = 0, uint64_t memtable_bytes = 8 << 10)
      : world(seed), dice(seed), cold_chance_(cold_chance), memtable_bytes_(memtable_bytes) {
    open();
  }
  ~DataBench() { stop(); }

  void restart() {
    stop();
    open();
  }

  // Runs a handler as the dispatcher does: again after each cold read, then applies its batch. The handler
  // must be the same in every run.
  template <typename F>
  void run(F&& handler) {
    engine::ReadContext context;
    for (fetches = 0;; ++fetches) {
      engine::Batch batch;
      const auto inner = engine->reader(context);
      touched = 0;
      CountingReader reader(*inner, &touched);
      server::View view(reader, engine.get(), batch, world.clock.wall_ms());
      try {
        handler(view);
      } catch (const server::ColdRead&) {
        bool fetched = false;
        engine->fetch(context, [&] { fetched = true; });
        while (!fetched) REQUIRE(world.executor.run_one());
        continue;
      }
      written = batch.operations();
      while (engine->admission(batch.bytes().size(), false) != engine::Engine::Admission::kOpen) {
        engine->end_turn();
        REQUIRE(world.executor.run_one());
      }
      engine->apply(batch);
      engine->end_turn();
      world.executor.run_one();
      return;
    }
  }

  engine::SimWorld world;
  engine::SimEntropy dice;
  server::KeyspaceSchema schema;
  std::unique_ptr<engine::Engine> engine;
  uint64_t touched = 0, written = 0;  // By the last run: records read, operations of its batch.
  uint64_t fetches = 0;               // How often the last handler had to wait for cold blocks.

 private:
  void open() {
    engine::EngineOptions options;
    options.directory = "/db";
    options.memory_bytes = 4 << 20;
    options.memtable_bytes = memtable_bytes_;
    options.log_segment_bytes = 1 << 20;
    options.reserve_bytes = 0;
    options.cold_chance = cold_chance_;
    auto opened = engine::Engine::open(world.env, options, schema, nullptr);
    REQUIRE(opened.ok());
    engine = std::move(opened).value();
  }
  void stop() {
    engine->stop([](engine::Status) {});
    world.executor.run_all();
    engine.reset();
  }

  uint32_t cold_chance_;
  uint64_t memtable_bytes_;
};

}  // namespace server_test
