// Whole data sets: written from a snapshot, and loaded from bytes as they come.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "server/rdb/loader.h"
#include "server/rdb/snapshot_writer.h"
#include "tests/server/rdb_corpus.h"
#include "tests/server/sim_server.h"

using namespace server;

namespace {

// What `server` holds as an RDB file; `largest` is the largest piece of it.
std::string saved(SimServer& server, size_t* largest, int version = rdb::kVersion) {
  std::vector<rdb::SnapshotWriter::Database> databases;
  for (uint32_t i = 0; i < server.server->databases().count(); ++i)
    databases.push_back({i, server.server->databases().object(i)});
  rdb::SnapshotWriter::Options options;
  options.now_ms = server.world.clock.wall_ms();
  options.version = version;
  options.aux = {{"redis-ver", "7.0.15"}};
  options.functions = {"#!lua name=f\n"};
  rdb::SnapshotWriter writer(server.engine->snapshot(), databases, options);
  std::string all, piece;
  *largest = 0;
  while (!writer.done()) {
    piece.clear();
    const auto status = writer.next(&piece);
    REQUIRE(status.ok());
    *largest = std::max(*largest, piece.size());
    all += piece;
  }
  return all;
}

// Feeds `bytes`, `step` at a time; writes into `server` what comes of it. The damage, or an empty string.
std::string load(SimServer& server, const std::string& bytes, size_t step, size_t* functions = nullptr) {
  rdb::Loader loader(512 << 20, server.world.clock.wall_ms());
  std::vector<ObjectId> databases;
  for (uint32_t i = 0; i < server.server->databases().count(); ++i)
    databases.push_back(server.server->databases().object(i));
  const rdb::StoreLimits limits(server.server->settings());
  rdb::Portion portion;
  for (size_t at = 0;;) {
    switch (loader.next(&portion)) {
      case rdb::Step::kEnd: return "";
      case rdb::Step::kDamaged: return loader.damage().message();
      case rdb::Step::kMore:
        if (at == bytes.size()) {
          loader.end();
        } else {
          loader.feed(bytes.substr(at, step));
          at += std::min(step, bytes.size() - at);
        }
        break;
      case rdb::Step::kItem: {
        if (functions) *functions += portion.functions.size();
        bool done = false;
        std::string error;
        server.server->batches().run([&](View& view) { rdb::write(view, portion, databases, limits, 42); },
                                     [&](const BatchRunner::Outcome& outcome) {
                                       done = true;
                                       error = outcome.status.message();
                                     });
        while (!done) server.step();
        server.step();
        if (!error.empty()) return error;
      }
    }
  }
}

const std::vector<std::vector<std::string>> kQuestions = {{"DBSIZE"},
                                                          {"GET", "text"},
                                                          {"GET", "long"},
                                                          {"STRLEN", "sparse"},
                                                          {"LRANGE", "list", "0", "-1"},
                                                          {"LRANGE", "inserted", "0", "-1"},
                                                          {"SCARD", "set"},
                                                          {"SMISMEMBER", "set", "m0", "m1999", "m3999", "x"},
                                                          {"ZRANGE", "zset", "0", "-1", "WITHSCORES"},
                                                          {"ZRANK", "zset", "m2500"},
                                                          {"HLEN", "hash"},
                                                          {"HMGET", "hash", "f0", "f1999", "f3999", "x"},
                                                          {"HGETALL", "small"},
                                                          {"XRANGE", "stream", "-", "+"},
                                                          {"XPENDING", "stream", "group"},
                                                          {"XINFO", "STREAM", "stream", "FULL", "COUNT", "0"},
                                                          {"PEXPIRETIME", "small"},
                                                          {"PEXPIRETIME", "hash"},
                                                          {"SELECT", "7"},
                                                          {"DBSIZE"},
                                                          {"GET", "elsewhere"},
                                                          {"SELECT", "0"}};

void fill(SimServer& server) {
  server.command({"SET", "text", "hello"});
  server.command({"SET", "long", std::string(600'000, 'x') + "end"});
  server.command({"SETRANGE", "sparse", "300000", "y"});
  for (int i = 0; i < 4000; ++i) {
    const std::string n = std::to_string(i);
    server.command({"RPUSH", "list", n});
    server.command({"SADD", "set", "m" + n});
    server.command({"ZADD", "zset", std::to_string(i % 100) + ".5", "m" + n});
    server.command({"HSET", "hash", "f" + n, n});
    server.command({"XADD", "stream", n + "-1", i % 9 == 0 ? "other" : "field", n});
    if (i % 10 == 0) server.command({"LINSERT", "inserted", "BEFORE", std::to_string(i / 20 * 10), n});
    if (i % 10 == 0) server.command({"RPUSH", "inserted", n});
  }
  server.command({"XDEL", "stream", "7-1"});
  server.command({"XGROUP", "CREATE", "stream", "group", "100"});
  for (const char* consumer : {"alice", "bob"})
    server.command({"XREADGROUP", "GROUP", "group", consumer, "COUNT", "700", "STREAMS", "stream", ">"});
  server.command({"HSET", "small", "a", "1", "b", "2"});
  server.command({"PEXPIREAT", "small", "4102444800000"});
  server.command({"PEXPIREAT", "hash", "4102444800001"});
  server.command({"SELECT", "7"});
  server.command({"SET", "elsewhere", "7"});
  server.command({"SELECT", "0"});
}

}  // namespace

TEST_SUITE("server/rdb/file") {
  TEST_CASE("what a snapshot writes a loader reads, however the bytes come, and over cold blocks") {
    for (const uint32_t cold_chance : {0u, 1u << 30}) {
      CAPTURE(cold_chance);
      SimServer from(1, cold_chance);
      fill(from);
      size_t largest = 0, functions = 0;
      const std::string bytes = saved(from, &largest);
      CHECK(bytes.size() > 800'000);
      CHECK(largest < 600'000);  // Nothing is held as a whole.
      for (const size_t step : {size_t{1} << 20, size_t{1009}}) {
        CAPTURE(step);
        SimServer to(2, cold_chance);
        CHECK(load(to, bytes, step, &functions) == "");
        for (const auto& question : kQuestions) {
          CAPTURE(question[0]);
          CHECK((to.text(question) == from.text(question)));
        }
        to.restart();
        CHECK(to.text({"DBSIZE"}) == "10");
        CHECK(to.text({"ZCARD", "zset"}) == "4000");
      }
      CHECK(functions == 2);
    }
  }

  TEST_CASE("fields that expire keep their time in version 12, and stay in version 10") {
    SimServer from(3);
    from.command({"HSET", "h", "a", "1", "b", "2"});
    from.command({"HPEXPIREAT", "h", "4102444800000", "FIELDS", "1", "a"});
    size_t largest = 0;
    for (const int version : {rdb::kVersion, rdb::kVersionWithFieldExpiry}) {
      SimServer to(4);
      CHECK(load(to, saved(from, &largest, version), 100) == "");
      CHECK(to.text({"HPEXPIRETIME", "h", "FIELDS", "2", "a", "b"}) ==
            (version == rdb::kVersion ? "[-1, -1]" : "[4102444800000, -1]"));
    }
  }

  TEST_CASE("keys that have expired are neither written nor loaded") {
    SimServer from(5);
    from.command({"SET", "gone", "x", "PX", "5"});
    from.command({"SET", "going", "x", "PX", "50000"});
    from.world.clock.advance_ms(10);
    size_t largest = 0;
    const std::string bytes = saved(from, &largest);
    CHECK(bytes.find("gone") == std::string::npos);
    SimServer to(6);
    to.world.clock.advance_ms(100'000);
    CHECK(load(to, bytes, 100) == "");
    CHECK(to.text({"DBSIZE"}) == "0");
  }

  TEST_CASE("a file of which any byte is changed or missing is refused, at an offset") {
    SimServer from(7);
    from.command({"SET", "text", "hello"});
    from.command({"PEXPIREAT", "text", "4102444800000"});
    from.command({"RPUSH", "list", "a", "b", "12345"});
    from.command({"ZADD", "zset", "1", "a", "2", "b"});
    from.command({"HSET", "hash", "f", "v"});
    from.command({"SADD", "set", "m"});
    size_t largest = 0;
    const std::string whole = saved(from, &largest);
    const auto damage_of = [](const std::string& bytes) {
      rdb::Loader loader(512 << 20, 0);
      loader.feed(bytes);
      loader.end();
      rdb::Portion portion;
      for (;;) {
        const rdb::Step step = loader.next(&portion);
        if (step == rdb::Step::kEnd) return std::string("none");
        if (step == rdb::Step::kDamaged) return loader.damage().message();
      }
    };
    CHECK(damage_of(whole) == "none");
    for (size_t at = 0; at < whole.size(); ++at) {
      CAPTURE(at);
      for (int bit = 0; bit < 8; ++bit) {
        std::string damaged = whole;
        damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
        // Older versions end without a checksum.
        if (at >= 5 && at < 9 && damage_of(damaged) == "none") continue;
        CHECK(damage_of(damaged).find("at offset") != std::string::npos);
      }
      CHECK(damage_of(whole.substr(0, at)).find("at offset") != std::string::npos);
    }
  }

  TEST_CASE("a key that comes twice, and one in a database that is not here, are refused") {
    const auto file = [](const std::string& parts) {
      return "REDIS0010" + parts + "\xff" + std::string(8, '\0');  // Without a checksum.
    };
    const std::string key = std::string("\0", 1) + rdb_corpus::text("k") + rdb_corpus::text("v");
    SimServer server(8);
    CHECK(load(server, file(key + key), 100).find("comes twice") != std::string::npos);
    CHECK(load(server, file("\xfe\x10" + key), 100).find("database 16") != std::string::npos);
    CHECK(load(server, file(key), 100) == "");
    CHECK(load(server, file(key), 100).find("is here already") != std::string::npos);
    CHECK(server.text({"GET", "k"}) == "\"v\"");
  }

  TEST_CASE("what belongs to modules is stepped over, their keys are not") {
    SimServer server(9);
    const std::string aux = std::string("\xf7\x05", 2) + "\x02\x01" + "\x05" + rdb_corpus::text("text") +
                            "\x04" + std::string(8, 'd') + "\x03" + "ffff" + "\x01\x07" +
                            std::string(1, '\0');
    const std::string key = std::string("\0", 1) + rdb_corpus::text("k") + rdb_corpus::text("v");
    CHECK(load(server, "REDIS0010" + aux + key + "\xff" + std::string(8, '\0'), 3) == "");
    CHECK(server.text({"GET", "k"}) == "\"v\"");
    CHECK(
        load(server, "REDIS0010\x07" + rdb_corpus::text("mod"), 3).find("key 'mod' is of a module's type") !=
        std::string::npos);
  }
}
