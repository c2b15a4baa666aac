// The dispatcher and the gate in a whole server over a simulated disk.
#include "server/dispatch.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "tests/server/server_harness.h"

using namespace server;

namespace {

using Words = std::vector<std::string>;

Words random_command(std::mt19937_64& random) {
  const std::string key = "k" + std::to_string(random() % 300);
  const std::string other = "k" + std::to_string(random() % 300);
  switch (random() % 14) {
    case 0: return {"SET", key, std::string(random() % 300, static_cast<char>('a' + random() % 26))};
    case 1: return {"SET", key, std::to_string(random() % 1000), "NX", "GET"};
    case 2: return {"GET", key};
    case 3: return {"MGET", key, other, "k1", "absent"};
    case 4: return {"APPEND", key, "tail"};
    case 5: return {"INCR", key};
    case 6: return {"DEL", key, other};
    case 7: return {"EXISTS", key, other, key};
    case 8: return {"RENAME", key, other};
    case 9: return {"COPY", key, other, "REPLACE"};
    case 10: return {"EXPIRE", key, "1000"};
    case 11: return {"TTL", key};
    case 12: return random() % 20 == 0 ? Words{"FLUSHDB"} : Words{"STRLEN", key};
    default: return random() % 10 == 0 ? Words{"SAVE"} : Words{"DBSIZE"};
  }
}

}  // namespace

TEST_SUITE("server/dispatch") {
  TEST_CASE("D1: replies do not depend on which blocks happen to be in memory") {
    for (uint64_t seed = 1; seed <= 3; ++seed) {
      CAPTURE(seed);
      std::vector<std::vector<std::string>> transcripts;
      for (const uint32_t cold_chance : {0u, 1u << 31, UINT32_MAX / 10 * 9}) {
        Harness harness(seed, {}, cold_chance);
        const auto peer = harness.connect();
        std::mt19937_64 random(seed);
        std::vector<std::string> transcript;
        for (int i = 0; i < 600; ++i) {
          if (cold_chance != 0 && i % 40 == 39) harness.engine->drop_caches();
          transcript.push_back(harness.call(*peer, random_command(random)));
        }
        if (cold_chance != 0) CHECK(harness.server->stats().cold_restarts > 0);
        CHECK(harness.server->dispatcher().waiting() == 0);
        transcripts.push_back(std::move(transcript));
      }
      for (size_t i = 0; i < transcripts[0].size(); ++i) {
        CAPTURE(i);
        REQUIRE(transcripts[1][i] == transcripts[0][i]);
        REQUIRE(transcripts[2][i] == transcripts[0][i]);
      }
    }
  }

  TEST_CASE("a connection whose command waits for the disk executes nothing more, and others go on") {
    Harness harness(1);
    const auto writer = harness.connect();
    CHECK(harness.call(*writer, {"SET", "cold", "value"}) == "OK");
    CHECK(harness.call(*writer, {"DEBUG", "RELOAD"}) == "OK");
    const auto waiter = harness.connect();
    waiter->send({"GET", "cold"});
    waiter->send({"PING"});
    harness.turns(20);  // No worker runs: the block does not come.
    CHECK(waiter->received().empty());
    CHECK(harness.server->dispatcher().waiting() == 1);
    writer->send({"PING"});
    harness.turns(3);
    CHECK(writer->received() == std::vector<std::string>{"PONG"});
    CHECK(waiter->received().empty());
    CHECK(harness.replies(*waiter, 2) == std::vector<std::string>{"\"value\"", "PONG"});
    CHECK(harness.server->stats().cold_commands == 1);
  }

  TEST_CASE("who hangs up while his command waits for the disk is forgotten when the block has come") {
    Harness harness(2);
    const auto writer = harness.connect();
    CHECK(harness.call(*writer, {"SET", "cold", "value"}) == "OK");
    CHECK(harness.call(*writer, {"DEBUG", "RELOAD"}) == "OK");
    const auto waiter = harness.connect();
    waiter->send({"GET", "cold"});
    harness.turns(5);
    CHECK(harness.server->dispatcher().waiting() == 1);
    CHECK(harness.call(*writer, {"CLIENT", "KILL", "TYPE", "normal"}) == "1");
    CHECK(harness.server->clients().size() <= 2);
    for (int i = 0; i < 50; ++i) harness.step();
    CHECK(harness.server->dispatcher().waiting() == 0);
    CHECK(harness.server->clients().size() == 1);
    CHECK(harness.call(*writer, {"GET", "cold"}) == "\"value\"");
  }

  TEST_CASE("under appendfsync always no reply tells what a power cut could take back") {
    Harness harness(3, {"--appendfsync", "always"});
    const auto writer = harness.connect();
    const auto reader = harness.connect();
    CHECK(harness.call(*writer, {"SET", "k", "old"}) == "OK");
    writer->send({"SET", "k", "new"});
    harness.turns(3);
    reader->send({"GET", "k"});
    reader->send({"PING"});
    harness.turns(10);  // The sync is a worker's job, and none runs.
    CHECK(harness.engine->synced() < harness.engine->end());
    CHECK(writer->received().empty());
    CHECK(reader->received().empty());
    // A reader of something else does not wait.
    const auto other = harness.connect();
    other->send({"GET", "absent"});
    other->send({"PING"});
    harness.turns(3);
    CHECK(other->received() == std::vector<std::string>{"nil", "PONG"});
    CHECK(harness.replies(*reader, 2) == std::vector<std::string>{"\"new\"", "PONG"});
    CHECK(harness.engine->synced() == harness.engine->end());
    CHECK(harness.replies(*writer, 1) == std::vector<std::string>{"OK"});
  }

  TEST_CASE("CLIENT DURABILITY ALWAYS waits for the disk where others do not, and NO the other way round") {
    Harness harness(4, {"--appendfsync", "everysec"});
    const auto careful = harness.connect();
    CHECK(harness.call(*careful, {"CLIENT", "DURABILITY", "ALWAYS"}) == "OK");
    CHECK(harness.call(*careful, {"CLIENT", "DURABILITY", "SOMETIMES"}) == "(error) ERR syntax error");
    for (int i = 0; i < 3; ++i) {
      CHECK(harness.call(*careful, {"SET", "k", std::to_string(i)}) == "OK");
      CHECK(harness.engine->synced() == harness.engine->end());
    }
    Harness strict(5, {"--appendfsync", "always"});
    const auto hasty = strict.connect();
    CHECK(strict.call(*hasty, {"CLIENT", "DURABILITY", "NO"}) == "OK");
    CHECK(strict.call(*hasty, {"SET", "k", "v"}) == "OK");
    CHECK(strict.engine->written() == strict.engine->end());
  }

  TEST_CASE("when a sync has failed held replies are never sent, writers are refused, and reads go on") {
    Harness harness(6, {"--appendfsync", "always"});
    const auto writer = harness.connect();
    CHECK(harness.call(*writer, {"SET", "settled", "value"}) == "OK");
    harness.world.disk->fail_operations("sync");
    CHECK(harness.call(*writer, {"SET", "k", "v"}) == "closed");
    const auto next = harness.connect();
    CHECK(harness.call(*next, {"SET", "k", "v"}).starts_with("(error) MISCONF "));
    CHECK(harness.call(*next, {"GET", "settled"}) == "\"value\"");
    CHECK(harness.call(*next, {"PING"}) == "PONG");
    // Whoever asks for what may be lost is told so, and does not wait; walks over other keys go on.
    CHECK(harness.call(*next, {"GET", "k"}).starts_with("(error) MISCONF "));
    CHECK(harness.call(*next, {"KRANGE", "-", "+"}).starts_with("(error) MISCONF "));
    CHECK(harness.call(*next, {"KRANGE", "[s", "+"}) == "[\"settled\"]");
    CHECK(harness.call(*next, {"EXISTS", "absent"}) == "0");
    harness.world.disk->no_faults();
  }

  TEST_CASE("under everysec, too, nobody waits for a log that has failed") {
    Harness harness(13, {"--appendfsync", "everysec"});
    const auto writer = harness.connect(), reader = harness.connect();
    CHECK(harness.call(*writer, {"SET", "settled", "value"}) == "OK");
    harness.world.disk->fail_operations("write");
    CHECK(harness.call(*writer, {"SET", "k", "v"}) == "closed");
    CHECK(harness.call(*reader, {"GET", "k"}).starts_with("(error) MISCONF "));
    CHECK(harness.call(*reader, {"GET", "settled"}) == "\"value\"");
    CHECK(harness.call(*reader, {"SET", "k", "w"}).starts_with("(error) MISCONF "));
    CHECK(harness.call(*reader, {"EVAL", "return redis.call('get', 'k')", "0"})
              .starts_with("(error) MISCONF "));
    CHECK(harness.call(*reader, {"INFO", "persistence"}).find("aof_last_write_status:err") !=
          std::string::npos);
    harness.world.disk->no_faults();
  }

  TEST_CASE("writes that are refused for want of a flush do not make others fear for the log") {
    Harness harness(14, {"--appendfsync", "always"});
    const auto peer = harness.connect();
    harness.world.disk->fail_operations("write /data/MANIFEST");  // What a flush ends with.
    std::string reply;
    for (int i = 0; i < 3000 && !reply.starts_with("(error) MISCONF"); ++i) {
      reply = harness.call(*peer, {"SET", "k" + std::to_string(i), std::string(4000, 'x')});
      CAPTURE(i);
      REQUIRE(reply != "closed");
    }
    CHECK(reply.starts_with("(error) MISCONF"));
    // What makes room is let further, and its reply comes when it is safe.
    CHECK(harness.call(*peer, {"DEL", "k1"}) == "1");
    CHECK(harness.call(*peer, {"INFO", "persistence"}).find("aof_last_write_status:ok") != std::string::npos);
    harness.world.disk->no_faults();
    harness.call(*peer, {"SAVE"});
    for (int i = 0; i < 1000 && reply != "OK"; ++i) {
      harness.world.clock.advance_us(1'000'000);
      harness.step();
      reply = harness.call(*peer, {"SET", "k", "v"});
    }
    CHECK(reply == "OK");
    CHECK(harness.call(*peer, {"EVAL", "return redis.call('set', 'k', 'w')", "0"}) == "OK");
  }

  TEST_CASE("a full disk refuses writes with a clear error, lets deletes and reads through, and heals") {
    Harness harness(7);
    const auto peer = harness.connect();
    std::mt19937_64 random(7);
    std::string value;  // That no compression makes smaller.
    while (value.size() < 20'000) value += static_cast<char>('#' + random() % 57);
    harness.world.disk->set_capacity(harness.world.disk->used_bytes() + (3 << 20));
    std::string answer = "OK";
    int written = 0;
    std::string first;
    for (; written < 2000 && answer == "OK"; ++written) {
      std::shuffle(value.begin(), value.end(), random);
      if (written == 0) first = value;
      answer = harness.call(*peer, {"SET", "k" + std::to_string(written), value});
    }
    CAPTURE(answer);
    CHECK(answer.starts_with("(error) MISCONF No disk space"));
    CHECK(harness.call(*peer, {"GET", "k0"}) == "\"" + first + "\"");
    CHECK(harness.call(*peer, {"DEL", "k1"}) == "1");
    CHECK(harness.call(*peer, {"PING"}) == "PONG");
    harness.world.disk->set_capacity(UINT64_MAX);
    for (int i = 0; i < 3000; ++i) harness.step();
    bool healed = false;
    for (int i = 0; i < 300 && !healed; ++i) {
      harness.engine->tick();
      harness.world.clock.advance_ms(100);
      for (int j = 0; j < 20; ++j) harness.step();
      healed = harness.call(*peer, {"SET", "again", "v"}) == "OK";
    }
    CHECK(healed);
  }

  TEST_CASE("DEBUG RELOAD and LOADAOF close the store and open it again, and clients only wait") {
    for (const char* how : {"RELOAD", "LOADAOF"}) {
      CAPTURE(how);
      Harness harness(15);
      const auto peer = harness.connect(), other = harness.connect(), blocked = harness.connect();
      CHECK(harness.call(*peer, {"CONFIG", "SET", "appendfsync", "always"}) == "OK");
      CHECK(harness.call(*peer, {"SELECT", "3"}) == "OK");
      CHECK(harness.call(*peer, {"SET", "k", "v", "EX", "100"}) == "OK");
      CHECK(harness.call(*peer, {"RPUSH", "list", "a", "b"}) == "2");
      CHECK(harness.call(*other, {"SELECT", "3"}) == "OK");
      CHECK(harness.call(*other, {"WATCH", "k"}) == "OK");
      CHECK(harness.call(*blocked, {"SELECT", "3"}) == "OK");
      blocked->send({"BLPOP", "nothing", "0"});
      harness.turns(3);
      peer->send({"APPEND", "k", "w"});  // In the same turn.
      peer->send({"DEBUG", how});
      peer->send({"GET", "k"});
      other->send({"RPUSH", "list", "c"});
      CHECK(harness.replies(*peer, 3) == std::vector<std::string>{"2", "OK", "\"vw\""});
      CHECK(harness.replies(*other, 1) == std::vector<std::string>{"3"});
      CHECK(harness.call(*peer, {"LRANGE", "list", "0", "-1"}) == "[\"a\", \"b\", \"c\"]");
      CHECK(harness.call(*peer, {"TTL", "k"}) == "100");
      CHECK(harness.call(*peer, {"DBSIZE"}) == "2");
      // As in Redis, all data went and came.
      CHECK(harness.call(*other, {"MULTI"}) == "OK");
      CHECK(harness.call(*other, {"GET", "k"}) == "QUEUED");
      CHECK(harness.call(*other, {"EXEC"}) == "nil");
      CHECK(blocked->received().empty());
      CHECK(harness.call(*peer, {"RPUSH", "nothing", "x"}) == "1");
      CHECK(harness.replies(*blocked, 1) == std::vector<std::string>{"[\"nothing\", \"x\"]"});
      CHECK(harness.call(*peer, {"SET", "safe", "1"}) == "OK");
      CHECK(harness.engine->synced() == harness.engine->end());
    }
  }

  TEST_CASE("a long read answers from a snapshot, in its place, while others write") {
    Harness harness(11);
    const auto peer = harness.connect();
    for (int i = 0; i < 50; ++i) CHECK(harness.call(*peer, {"SET", "k" + std::to_string(i), "v"}) == "OK");
    CHECK(harness.call(*peer, {"DEBUG", "RELOAD"}) == "OK");
    // Blind overwrites of keys that nobody remembers: DBSIZE has to look, and does so on a worker.
    for (int i = 25; i < 75; ++i) CHECK(harness.call(*peer, {"SET", "k" + std::to_string(i), "v"}) == "OK");
    REQUIRE(harness.engine->unsettled() > 0);
    peer->send({"DBSIZE"});
    peer->send({"PING"});
    harness.turns(5);
    CHECK(peer->received().empty());
    const auto other = harness.connect();
    other->send({"SET", "later", "v"});
    harness.turns(3);
    CHECK(harness.replies(*peer, 2) == std::vector<std::string>{"75", "PONG"});
    CHECK(harness.server->stats().long_reads == 1);
  }

  TEST_CASE("what a worker may not compute is refused, however cold the strings that tell it are") {
    // In many blocks, for noise does not compress: once the run after the fourth cold one was a worker's,
    // which asked for no limit and made a table of as many cells as it liked.
    for (uint64_t seed = 1; seed <= 5; ++seed) {
      CAPTURE(seed);
      Harness harness(seed, {}, UINT32_MAX / 4 * 3);
      const auto peer = harness.connect();
      engine::SimEntropy noise(seed);
      const auto set = [&](const char* key, size_t bytes) {
        std::string value(bytes, '\0');
        for (char& c : value) c = static_cast<char>(noise.next());
        CHECK(harness.call(*peer, {"SET", key, value}) == "OK");
      };
      set("a", 150'000);
      set("b", 1000);
      set("short", 4500);
      CHECK(harness.call(*peer, {"COMPACT"}) == "OK");
      CHECK(harness.call(*peer, {"LCS", "a", "b", "LEN"}) ==
            "(error) ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
      CHECK(harness.call(*peer, {"LCS", "short", "short", "LEN"}) == "4500");
    }
  }

  TEST_CASE("D3: one long pipeline is cut into turns, and what others send is executed between them") {
    Harness harness(8);
    const auto greedy = harness.connect();
    const auto modest = harness.connect();
    constexpr size_t kCommands = Dispatcher::kCommandsPerTurn * 8;
    std::string pipeline;
    for (size_t i = 0; i < kCommands; ++i) pipeline += Peer::encode({"PING"});
    greedy->send_raw(pipeline);
    harness.turn();
    modest->send({"ECHO", "me too"});
    size_t before = greedy->received().size();
    std::vector<std::string> answer;
    while (answer.empty()) {
      harness.step();
      before += greedy->received().size();
      answer = modest->received();
    }
    CHECK(before < kCommands);
    CHECK(before + harness.replies(*greedy, kCommands - before).size() == kCommands);
  }

  TEST_CASE("hits and misses count what read-only commands looked for, once however often they began anew") {
    for (const uint32_t cold_chance : {0u, 1u << 31}) {
      Harness harness(12, {}, cold_chance);
      const auto peer = harness.connect();
      CHECK(harness.call(*peer, {"SET", "k", "v"}) == "OK");
      CHECK(harness.call(*peer, {"DEBUG", "RELOAD"}) == "OK");
      CHECK(harness.call(*peer, {"GET", "k"}) == "\"v\"");
      CHECK(harness.call(*peer, {"MGET", "k", "absent", "k"}) == "[\"v\", nil, \"v\"]");
      CHECK(harness.call(*peer, {"DEL", "absent"}) == "0");
      CHECK(harness.server->stats().keyspace_hits == 3);
      CHECK(harness.server->stats().keyspace_misses == 1);
    }
  }

  TEST_CASE("a command that answers later keeps its place in the pipeline") {
    Harness harness(9);
    const auto peer = harness.connect();
    peer->send({"SET", "k", "v"});
    peer->send({"SAVE"});
    peer->send({"GET", "k"});
    peer->send({"COMPACT"});
    peer->send({"ECHO", "end"});
    CHECK(harness.replies(*peer, 5) == std::vector<std::string>{"OK", "OK", "\"v\"", "OK", "\"end\""});
  }

  TEST_CASE(
      "databases are independent, FLUSHDB empties one, SWAPDB exchanges two, and a restart finds them so") {
    auto world_after = [](std::unique_ptr<engine::SimDisk> disk, auto test) {
      Harness harness(10, {"--appendfsync", "always"}, 0, std::move(disk));
      const auto peer = harness.connect();
      test([&](const Words& words) { return harness.call(*peer, words); });
      return harness.world.disk->crash(77);
    };
    auto disk = world_after(std::make_unique<engine::SimDisk>(), [](auto call) {
      for (const char* database : {"0", "1", "2"}) {
        CHECK(call({"SELECT", database}) == "OK");
        CHECK(call({"SET", "k", database}) == "OK");
      }
      CHECK(call({"FLUSHDB"}) == "OK");
      CHECK(call({"DBSIZE"}) == "0");
      CHECK(call({"SWAPDB", "0", "1"}) == "OK");
      CHECK(call({"SELECT", "0"}) == "OK");
      CHECK(call({"GET", "k"}) == "\"1\"");
    });
    disk = world_after(std::move(disk), [](auto call) {
      CHECK(call({"GET", "k"}) == "\"1\"");
      CHECK(call({"SELECT", "1"}) == "OK");
      CHECK(call({"GET", "k"}) == "\"0\"");
      CHECK(call({"SELECT", "2"}) == "OK");
      CHECK(call({"GET", "k"}) == "nil");
      CHECK(call({"FLUSHALL", "ASYNC"}) == "OK");
      CHECK(call({"SELECT", "0"}) == "OK");
      CHECK(call({"DBSIZE"}) == "0");
    });
    world_after(std::move(disk), [](auto call) {
      CHECK(call({"DBSIZE"}) == "0");
      CHECK(call({"GET", "k"}) == "nil");
    });
  }
}
