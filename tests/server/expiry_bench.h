// tests/server/expiry_bench.h: a simulated server with an expiry cron of its own, whose reports go to `told`.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/expiry_cron.h"
#include "tests/server/sim_server.h"

namespace server {

struct ExpiryBench {
  explicit ExpiryBench(uint64_t seed, uint32_t cold_chance = 0) : sim(seed, cold_chance) { begin(); }
  ~ExpiryBench() { end(); }

  void restart() {
    end();
    sim.restart();
    begin();
  }
  // What a tick starts is carried out.
  void tick(bool active = true) {
    cron->tick(active);
    for (int idle = 0; idle < 3;) idle = sim.step() ? 0 : idle + 1;
  }
  int64_t now() const { return sim.world.clock.wall_ms(); }
  // All entries of the index by time, and how many of them are due.
  std::pair<size_t, size_t> index() {
    const auto snapshot = sim.engine->snapshot();
    const auto reader = snapshot->reader();
    const auto entries = reader->iterator(expiry_begin(), prefix_end(expiry_begin()));
    std::pair<size_t, size_t> found{0, 0};
    for (auto state = entries->seek_first(); state == engine::Iterator::State::kAt; state = entries->next()) {
      ++found.first;
      found.second += decode_expiry_key(entries->key())->expiry_ms <= now();
    }
    return found;
  }

  SimServer sim;
  std::unique_ptr<ExpiryCron> cron;
  std::function<void(uint32_t, std::string)> told = [](uint32_t, const std::string&) {};

 private:
  void begin() {
    cron = std::make_unique<ExpiryCron>(
        *sim.engine, sim.world.env, sim.server->batches(),
        ExpiryCron::Host{
            [this](ObjectId object) { return sim.server->databases().number(object); },
            [this](uint32_t database, std::string_view key) { told(database, std::string(key)); },
            [this](uint32_t database, std::string_view key, bool all) {
              if (all) told(database, std::string(key));
            }});
    sim.server->on_expired_met = [this](const std::vector<View::Expired>& keys) { cron->met(keys); };
  }
  void end() {
    cron->stop();
    sim.server->batches().stop();
    sim.world.executor.run_all();
  }
};

}  // namespace server
