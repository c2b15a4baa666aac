#include "server/reply_gate.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <vector>

using server::CommitPoint;
using server::Durability;
using server::ReplyGate;

namespace {

CommitPoint at(engine::Lsn written, engine::Lsn synced, uint64_t now_us = 0) {
  return {written, synced, now_us};
}

}  // namespace

TEST_SUITE("server/reply_gate") {
  TEST_CASE("nothing held: all may leave") {
    ReplyGate gate;
    CHECK(gate.open_until(at(0, 0), 77) == 77);
    CHECK(gate.empty());
  }

  TEST_CASE("a held reply stops itself and all behind it until its class has reached its LSN") {
    ReplyGate gate;
    gate.hold(10, 100, Durability::kSynced, 0, 50);
    CHECK(gate.open_until(at(200, 99), 30) == 10);
    CHECK(gate.beyond(at(200, 99)));
    CHECK(gate.open_until(at(200, 100), 30) == 30);
    CHECK(gate.empty());

    gate.hold(40, 100, Durability::kWritten, 0, 50);
    CHECK(gate.open_until(at(99, 0), 60) == 40);
    CHECK(gate.open_until(at(100, 0), 60) == 60);
  }

  TEST_CASE("G2: what one frame holds is let go together, and once") {
    ReplyGate gate;
    for (uint64_t i = 0; i < 100; ++i) gate.hold(i * 5, 1000 + i, Durability::kWritten, 0, 999);
    CHECK(gate.open_until(at(1050, 0), 500) == 0);
    CHECK(gate.open_until(at(1099, 0), 500) == 500);
  }

  TEST_CASE("replies of several frames leave frame by frame") {
    ReplyGate gate;
    gate.hold(0, 10, Durability::kSynced, 0, 0);
    gate.hold(5, 20, Durability::kSynced, 0, 10);
    gate.hold(9, 30, Durability::kSynced, 0, 20);
    CHECK(gate.open_until(at(30, 9), 15) == 0);
    CHECK(gate.open_until(at(30, 10), 15) == 5);
    CHECK(gate.open_until(at(30, 25), 15) == 9);
    CHECK(gate.open_until(at(30, 30), 15) == 15);
  }

  TEST_CASE("a connection that changes its class keeps what it was promised for earlier replies") {
    ReplyGate gate;
    gate.hold(0, 10, Durability::kSynced, 0, 0);
    gate.hold(5, 20, Durability::kWritten, 0, 10);
    CHECK(gate.open_until(at(20, 0), 15) == 0);
    CHECK(gate.open_until(at(20, 10), 15) == 15);
    // The weaker one came first: the stronger one behind it still waits for its sync.
    gate.hold(20, 30, Durability::kWritten, 0, 20);
    gate.hold(25, 31, Durability::kSynced, 0, 20);
    CHECK(gate.open_until(at(31, 10), 30) == 25);
    CHECK(gate.open_until(at(31, 31), 30) == 30);
  }

  TEST_CASE("a delayed reply waits for its time as well") {
    ReplyGate gate;
    gate.hold(0, 10, Durability::kWritten, 5000, 0);
    CHECK(gate.open_until(at(10, 10, 4999), 8) == 0);
    CHECK(gate.due_us() == 5000);
    CHECK_FALSE(gate.beyond(at(10, 10, 4999)));
    CHECK(gate.open_until(at(10, 10, 5000), 8) == 8);
  }

  TEST_CASE("G1: under random histories no byte leaves before its own and all earlier replies may") {
    for (uint64_t seed = 1; seed <= 200; ++seed) {
      CAPTURE(seed);
      std::mt19937_64 random(seed);
      struct Reply {
        uint64_t end;
        engine::Lsn lsn;
        Durability durability;
      };
      std::vector<Reply> replies;
      ReplyGate gate;
      uint64_t end = 0, sent = 0;
      engine::Lsn lsn = 0, frame = 0, written = 0, synced = 0;
      for (int step = 0; step < 300; ++step) {
        switch (random() % 4) {
          case 0:
          case 1: {  // A command: a write, or a read of something recent.
            if (random() % 2 == 0) lsn += 1 + random() % 9;
            const engine::Lsn seen = lsn - (lsn > 0 ? random() % std::min<uint64_t>(lsn, 5) : 0);
            const auto durability = random() % 8 == 0 ? Durability::kSynced : Durability::kWritten;
            const CommitPoint now = at(written, synced);
            if (seen > now.of(durability)) gate.hold(end, seen, durability, 0, frame);
            end += 1 + random() % 20;
            replies.push_back({end, seen, durability});
            break;
          }
          case 2: frame = lsn; break;  // The turn ends.
          case 3:
            written += frame > written ? random() % (frame - written + 1) : 0;
            synced += written > synced ? random() % (written - synced + 1) : 0;
            break;
        }
        const CommitPoint now = at(written, synced);
        const uint64_t open = gate.open_until(now, end);
        REQUIRE(open >= sent);
        sent = open;
        for (const Reply& reply : replies) {
          if (reply.end > sent) break;
          REQUIRE(now.of(reply.durability) >= reply.lsn);
        }
      }
      const CommitPoint all = at(lsn, lsn);
      CHECK(gate.open_until(all, end) == end);
    }
  }
}
