// RANDOMKEY. How keys are drawn is engine/sample.h's and tested there.
#include <doctest/doctest.h>

#include <map>

#include "tests/server/sim_server.h"

using namespace server;

TEST_SUITE("server/randomkey") {
  TEST_CASE("RANDOMKEY gives keys that are there, and in the long run all of them") {
    for (const uint32_t cold_chance : {uint32_t{0}, UINT32_MAX / 5}) {
      CAPTURE(cold_chance);
      SimServer sim(1, cold_chance);
      CHECK(sim.command({"RANDOMKEY"}).is_null());
      for (int n = 0; n < 200; ++n) {
        sim.command({"SET", "k" + std::to_string(n), std::string(100, 'v')});
        sim.command({"SET", "gone" + std::to_string(n), "v", "PX", "1"});
      }
      sim.world.clock.advance_ms(10);
      sim.command({"SELECT", "1"});
      sim.command({"SET", "elsewhere", "v"});
      CHECK(sim.text({"RANDOMKEY"}) == "\"elsewhere\"");
      sim.command({"SELECT", "0"});
      std::map<std::string, int> drawn;
      for (int n = 0; n < 3000; ++n) {
        const std::string key = sim.command({"RANDOMKEY"}).text;
        REQUIRE(key.starts_with("k"));
        ++drawn[key];
      }
      CHECK(drawn.size() == 200);
    }
  }

  TEST_CASE("RANDOMKEY finds the one key among thousands that were deleted or have expired") {
    SimServer sim(2);
    for (int n = 0; n < 3000; ++n) sim.command({"SET", "k" + std::to_string(n), "v", "PX", "100000"});
    for (int n = 0; n < 3000; n += 2) sim.command({"DEL", "k" + std::to_string(n)});
    sim.command({"SET", "kept", "v"});
    sim.world.clock.advance_ms(200'000);
    for (int n = 0; n < 20; ++n) REQUIRE(sim.command({"RANDOMKEY"}).text == "kept");
    sim.command({"DEL", "kept"});
    CHECK(sim.command({"RANDOMKEY"}).is_null());
  }
}
