// A primary and its replicas as processes: copies, cuts, kill -9, promotion, rejoining.
#include <doctest/doctest.h>
#include <signal.h>

#include <chrono>
#include <functional>
#include <map>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/blackbox/replicas.h"

namespace {

using namespace replicas;

std::vector<std::string> options(std::vector<std::string> more = {}) {
  std::vector<std::string> all{"--repl-ping-replica-period", "1", "--repl-timeout", "5"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

}  // namespace

TEST_SUITE("blackbox/replication") {
  TEST_CASE("a replica becomes a copy, stays one, refuses writes, and can be followed itself") {
    // Small memtables, so that the copy has tables, and what comes meanwhile too.
    ServerProcess primary(options({"--memtable-size", "1mb"}));
    ServerProcess replica(options({"--memtable-size", "1mb"}));
    ServerProcess chained(options());
    Client writer = Client::over_tcp(primary);
    std::string pipeline;
    for (int i = 0; i < 5000; ++i)
      pipeline +=
          Client::encode({"SET", "k" + std::to_string(i), std::string(500, static_cast<char>('a' + i % 26))});
    writer.send_raw(pipeline);
    for (int i = 0; i < 5000; ++i) CHECK(to_text(writer.read()) == "OK");
    CHECK(ask(replica, {"SET", "of", "its own"}) == "OK");  // Is gone afterwards.
    follow(replica, primary);
    for (int i = 0; i < 300; ++i) writer.command({"HSET", "hash", "f" + std::to_string(i), "v"});
    in_step(replica, primary);
    CHECK(ask(replica, {"DBSIZE"}) == "5001");
    CHECK(ask(replica, {"GET", "of"}) == "nil");
    CHECK(ask(replica, {"HLEN", "hash"}) == "300");
    CHECK(ask(replica, {"SET", "k", "v"}) == "(error) READONLY You can't write against a read only replica.");
    CHECK(info(replica, "role") == "slave");
    CHECK(info(primary, "connected_slaves") == "1");
    CHECK(info(primary, "slave0").find("state=online") != std::string::npos);

    follow(chained, replica);
    in_step(chained, primary);
    writer.command({"SET", "late", "word"});
    writer.command({"FLUSHDB"});
    writer.command({"SET", "last", "word"});
    in_step(chained, primary);
    CHECK(all_strings(chained) == std::map<std::string, std::string>{{"last", "word"}});
    CHECK(all_strings(replica) == all_strings(chained));
  }

  TEST_CASE("a link that is cut, and a replica that was away, cost no full copy") {
    ServerProcess primary(options()), replica(options());
    Client writer = Client::over_tcp(primary);
    writer.command({"SET", "a", "1"});
    follow(replica, primary);
    in_step(replica, primary);
    CHECK(info(primary, "sync_full") == "1");
    for (int i = 0; i < 5; ++i) {
      writer.command({"INCR", "n"});
      CHECK(to_text(writer.command({"CLIENT", "KILL", "TYPE", "replica"})) == "1");
      writer.command({"INCR", "n"});
      in_step(replica, primary);
    }
    replica.kill();
    for (int i = 0; i < 100; ++i) writer.command({"INCR", "n"});
    replica.start(options({"--replicaof", "127.0.0.1 " + std::to_string(primary.port())}));
    in_step(replica, primary);
    CHECK(ask(replica, {"GET", "n"}) == "\"110\"");
    CHECK(info(primary, "sync_full") == "1");
    // The other end of the link, by the replica's hand.
    CHECK(ask(replica, {"CLIENT", "KILL", "TYPE", "master"}) == "1");
    writer.command({"INCR", "n"});
    in_step(replica, primary);
    CHECK(info(primary, "sync_full") == "1");
  }

  TEST_CASE("after a promotion the others continue, and a former primary gives up what nobody got") {
    ServerProcess first(options()), second(options()), third(options());
    Client writer = Client::over_tcp(first);
    writer.command({"SET", "a", "1"});
    follow(second, first);
    follow(third, first);
    in_step(second, first);
    in_step(third, first);
    CHECK(ask(second, {"REPLICAOF", "NO", "ONE"}) == "OK");
    writer.command({"SET", "lost", "1"});  // To the old one, which does not know.
    in_step(third, first);
    CHECK(ask(second, {"SET", "b", "2"}) == "OK");
    CHECK(info(second, "master_replid2") == info(first, "master_replid"));

    // The third has what nobody else will have: it notices.
    follow(third, second);
    in_step(third, second);
    CHECK(ask(third, {"GET", "lost"}) == "nil");
    CHECK(third.log().find("it is dropped, and kept in") != std::string::npos);
    // The first as well.
    follow(first, second);
    in_step(first, second);
    CHECK(all_strings(first) == std::map<std::string, std::string>{{"a", "1"}, {"b", "2"}});
    CHECK(all_strings(third) == all_strings(first));

    // Neither needed a copy: they went back to where the histories part.
    CHECK(info(second, "sync_full") == "0");
    // And one that has nothing too much continues.
    CHECK(ask(third, {"REPLICAOF", "NO", "ONE"}) == "OK");
    CHECK(ask(third, {"SET", "c", "3"}) == "OK");
    const std::string copies = info(third, "sync_full");
    follow(second, third);
    in_step(second, third);
    CHECK(info(third, "sync_full") == copies);
    CHECK(ask(second, {"GET", "c"}) == "\"3\"");
  }

  TEST_CASE("WAIT, WAITAOF, WAITLSN, min-replicas-to-write and min-sync-replicas keep their words") {
    ServerProcess primary(options()), replica(options());
    Client writer = Client::over_tcp(primary);
    CHECK(to_text(writer.command({"SET", "a", "1"})) == "OK");
    CHECK(to_text(writer.command({"WAIT", "1", "50"})) == "0");
    writer.command({"CONFIG", "SET", "min-replicas-to-write", "1"});
    CHECK(to_text(writer.command({"SET", "a", "2"})) ==
          "(error) NOREPLICAS Not enough good replicas to write.");
    follow(replica, primary);
    in_step(replica, primary);
    until("a good replica", [&] { return to_text(writer.command({"SET", "a", "2"})) == "OK"; });
    CHECK(to_text(writer.command({"WAIT", "1", "0"})) == "1");
    CHECK(to_text(writer.command({"WAITAOF", "1", "1", "0"})) == "[1, 1]");
    const std::string lsn = to_text(writer.command({"WAITLSN"}));
    CHECK(std::stoull(ask(replica, {"WAITLSN", lsn, "0"})) >= std::stoull(lsn));
    CHECK(std::stoull(ask(replica, {"WAITLSN", "99999999", "30"})) < 99999999);

    writer.command({"CONFIG", "SET", "min-sync-replicas", "1"});
    for (int i = 0; i < 20; ++i) {
      CHECK(to_text(writer.command({"SET", "a", std::to_string(i)})) == "OK");
      CHECK(ask(replica, {"GET", "a"}) == "\"" + std::to_string(i) + "\"");
    }
    writer.command({"CONFIG", "SET", "sync-replica-timeout", "300"});
    replica.kill();
    // Unanswered: nobody can say whether it counts. Or refused, once the replica is known to be gone.
    try {
      const Reply reply = writer.command({"SET", "a", "late"});
      CHECK(reply.text.starts_with("NOREPLICAS"));
    } catch (const std::runtime_error&) {
      CHECK(primary.running());
    }
  }

  TEST_CASE("functions, messages and expiry reach replicas") {
    ServerProcess primary(options()), replica(options());
    Client writer = Client::over_tcp(primary);
    CHECK(to_text(writer.command({"FUNCTION", "LOAD",
                                  "#!lua name=before\nredis.register_function{function_name='before', "
                                  "callback=function() return 'yes' end, flags={'no-writes'}}"})) ==
          "\"before\"");
    follow(replica, primary);
    in_step(replica, primary);
    CHECK(ask(replica, {"FCALL_RO", "before", "0"}) == "\"yes\"");
    writer.command({"FUNCTION", "LOAD",
                    "#!lua name=after\nredis.register_function{function_name='after', "
                    "callback=function() return 'too' end, flags={'no-writes'}}"});
    in_step(replica, primary);
    CHECK(ask(replica, {"FCALL_RO", "after", "0"}) == "\"too\"");
    CHECK(ask(replica, {"EVAL", "return redis.call('set', 'a', 'b')", "0"}).find("READONLY") !=
          std::string::npos);

    Client listener = Client::over_tcp(replica);
    CHECK(to_text(listener.command({"SUBSCRIBE", "channel"})) == "[\"subscribe\", \"channel\", 1]");
    writer.command({"PUBLISH", "channel", "word"});
    CHECK(to_text(listener.read()) == "[\"message\", \"channel\", \"word\"]");

    // It expires for readers of both at once, and is reclaimed by the primary alone.
    writer.command({"SET", "short", "lived", "PX", "50"});
    until("it is gone here and there", [&] {
      return ask(primary, {"DBSIZE"}) == "0" && ask(replica, {"DBSIZE"}) == "0" &&
             ask(replica, {"GET", "short"}) == "nil";
    });
    in_step(replica, primary);

    // What a watcher and a waiting reader on the replica care for.
    Client watcher = Client::over_tcp(replica);
    watcher.command({"WATCH", "watched"});
    Client reader = Client::over_tcp(replica);
    reader.send({"XREAD", "BLOCK", "0", "STREAMS", "stream", "0"});
    until("it waits", [&] { return info(replica, "blocked_clients") == "1"; });
    writer.command({"SET", "watched", "1"});
    writer.command({"XADD", "stream", "1-1", "f", "v"});
    CHECK(to_text(reader.read()) == "[[\"stream\", [[\"1-1\", [\"f\", \"v\"]]]]]");
    watcher.command({"MULTI"});
    watcher.command({"GET", "watched"});
    CHECK(to_text(watcher.command({"EXEC"})) == "nil");
  }

  TEST_CASE("what happens to keys is told by replicas too, and by theirs, when they have it") {
    ServerProcess primary(options()), replica(options()), chained(options());
    follow(replica, primary);
    in_step(replica, primary);
    follow(chained, replica);
    in_step(chained, replica);
    Client writer = Client::over_tcp(primary);
    writer.command({"SET", "early", "1"});  // Nobody wants to hear of it.
    // The replica itself tells nothing of strings, but the one behind it does.
    CHECK(ask(replica, {"CONFIG", "SET", "notify-keyspace-events", "Elg"}) == "OK");
    CHECK(ask(chained, {"CONFIG", "SET", "notify-keyspace-events", "KE$g"}) == "OK");
    Client at_replica = Client::over_tcp(replica), at_chained = Client::over_tcp(chained);
    for (Client* listener : {&at_replica, &at_chained}) {
      listener->command({"PSUBSCRIBE", "__key*", "channel"});
      CHECK(to_text(listener->read()) == "[\"psubscribe\", \"channel\", 2]");
    }
    // They are asked for from the place where the commands run.
    Client reader = Client::over_tcp(chained);
    int tries = 0;
    until("the wish is known", [&] {
      writer.command({"SELECT", "1"});
      writer.command({"SET", "probe", std::to_string(++tries)});
      writer.command({"SELECT", "0"});
      writer.command({"PUBLISH", "channel", "probed"});
      const std::string first = to_text(at_chained.read());
      if (first == "[\"pmessage\", \"channel\", \"channel\", \"probed\"]") return false;
      CHECK(first == "[\"pmessage\", \"__key*\", \"__keyspace@1__:probe\", \"set\"]");
      CHECK(to_text(at_chained.read()) == "[\"pmessage\", \"__key*\", \"__keyevent@1__:set\", \"probe\"]");
      return to_text(at_chained.read()) == "[\"pmessage\", \"channel\", \"channel\", \"probed\"]";
    });
    writer.command({"SET", "a", "1"});
    writer.command({"RPUSH", "list", "x"});
    writer.command({"SET", "short", "lived", "PX", "1"});
    until("it is gone", [&] { return ask(primary, {"DBSIZE"}) == "3"; });
    writer.command({"PUBLISH", "channel", "end"});
    const auto heard = [](Client& listener) {
      std::vector<std::string> all;
      for (;;) {
        const Reply push = listener.read();
        if (push.items[3].text == "end") return all;
        if (push.items[3].text != "probed") all.push_back(push.items[2].text + " " + push.items[3].text);
      }
    };
    CHECK(heard(at_replica) == std::vector<std::string>{"__keyevent@0__:rpush list",
                                                        "__keyevent@0__:expire short",
                                                        "__keyevent@0__:del short"});
    CHECK(heard(at_chained) ==
          std::vector<std::string>{"__keyspace@0__:a set", "__keyevent@0__:set a", "__keyspace@0__:short set",
                                   "__keyevent@0__:set short", "__keyspace@0__:short expire",
                                   "__keyevent@0__:expire short", "__keyspace@0__:short del",
                                   "__keyevent@0__:del short"});
    // A message is never there before what was written before it.
    for (int i = 0; i < 300; ++i) {
      const std::string number = std::to_string(i);
      writer.send({"SET", "n", number});
      writer.send({"PUBLISH", "channel", number});
      writer.read();
      writer.read();
      while (at_chained.read().items[3].text != number) {
      }
      CHECK(std::stoi(reader.command({"GET", "n"}).text) >= i);
    }
  }

  TEST_CASE("FAILOVER hands the role over, and loses nothing") {
    ServerProcess first(options()), second(options());
    Client writer = Client::over_tcp(first);
    writer.command({"SET", "n", "0"});
    CHECK(to_text(writer.command({"FAILOVER"})) == "(error) ERR FAILOVER requires connected replicas.");
    follow(second, first);
    in_step(second, first);
    for (int i = 0; i < 50; ++i) writer.command({"INCR", "n"});
    CHECK(to_text(writer.command({"FAILOVER"})) == "OK");
    until("the roles have changed",
          [&] { return info(first, "role") == "slave" && info(second, "role") == "master"; });
    in_step(first, second);
    CHECK(ask(second, {"INCR", "n"}) == "51");
    in_step(first, second);
    CHECK(ask(first, {"GET", "n"}) == "\"51\"");
    CHECK(info(second, "sync_full") == "0");
    until("it says so", [&] { return info(first, "master_failover_state") == "no-failover"; });
  }
}

namespace {

// Writes to whoever is the primary and remembers what was answered.
class Logger {
 public:
  explicit Logger(uint64_t seed) : random_(seed) {}
  void write(ServerProcess& primary, int at_least) {
    try {
      Client client = Client::over_tcp(primary);
      for (int i = 0; i < at_least + static_cast<int>(random_() % 200); ++i) {
        const std::string key = "key" + std::to_string(random_() % 500);
        const std::string value = std::to_string(++count_) + std::string(random_() % 300, 'x');
        sent_[key] = value;
        if (to_text(client.command({"SET", key, value})) == "OK") {
          answered_[key] = value;
          ++answers;
        }
      }
    } catch (const std::runtime_error&) {
    }
  }
  // Of each key the last answered value, or the one sent after it and not answered.
  void check(ServerProcess& primary) {
    const auto found = all_strings(primary);
    for (const auto& [key, value] : answered_) {
      CAPTURE(key);
      REQUIRE(found.contains(key));
      const std::string& seen = found.at(key);
      CHECK((seen == value || seen == sent_[key]));
    }
    for (const auto& [key, value] : found) answered_[key] = sent_[key] = value;
  }
  int answers = 0;

 private:
  std::mt19937_64 random_;
  uint64_t count_ = 0;
  std::map<std::string, std::string> sent_, answered_;
};

void kill_rounds(int rounds, uint64_t seed) {
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  std::vector<std::unique_ptr<ServerProcess>> servers;
  for (int i = 0; i < 3; ++i)
    servers.push_back(
        std::make_unique<ServerProcess>(options({"--min-sync-replicas", "1", "--memtable-size", "1mb"})));
  size_t primary = 0;
  for (size_t i = 1; i < 3; ++i) follow(*servers[i], *servers[0]);
  for (size_t i = 1; i < 3; ++i) in_step(*servers[i], *servers[0]);
  Logger logger(seed);
  for (int round = 0; round < rounds; ++round) {
    CAPTURE(round);
    ServerProcess& old = *servers[primary];
    std::thread writer([&] { logger.write(old, 20000); });
    std::this_thread::sleep_for(std::chrono::milliseconds(200 + random() % 300));
    old.kill();
    writer.join();
    // As Sentinel does: the one that has come furthest.
    size_t best = (primary + 1) % 3, other = (primary + 2) % 3;
    if (std::stoull(info(*servers[other], "slave_repl_offset")) >
        std::stoull(info(*servers[best], "slave_repl_offset")))
      std::swap(best, other);
    REQUIRE(ask(*servers[best], {"REPLICAOF", "NO", "ONE"}) == "OK");
    follow(*servers[other], *servers[best]);
    // The old one comes back as what it was, and is told.
    old.start();
    follow(old, *servers[best]);
    in_step(old, *servers[best]);
    in_step(*servers[other], *servers[best]);
    primary = best;
    logger.check(*servers[primary]);
    CHECK(all_strings(old) == all_strings(*servers[primary]));
    CHECK(all_strings(*servers[other]) == all_strings(*servers[primary]));
  }
  CHECK(logger.answers > rounds * 10);
  MESSAGE(logger.answers, " writes answered in ", rounds, " rounds");
}

}  // namespace

TEST_SUITE("blackbox/replication") {
  TEST_CASE("kill -9 of the primary under a writer with min-sync-replicas 1 loses nothing answered") {
    kill_rounds(2, 1);
  }
}

TEST_SUITE("slow/blackbox/replication") {
  TEST_CASE("a replica that is frozen is let go, and continues when it thaws") {
    ServerProcess primary({"--repl-timeout", "2", "--repl-ping-replica-period", "1"});
    ServerProcess replica({"--repl-timeout", "2", "--repl-ping-replica-period", "1"});
    Client writer = Client::over_tcp(primary);
    follow(replica, primary);
    in_step(replica, primary);
    REQUIRE(::kill(replica.pid(), SIGSTOP) == 0);
    for (int i = 0; i < 20; ++i) {
      for (int k = 0; k < 200; ++k)
        writer.command({"SET", "k" + std::to_string(k), std::string(5000, static_cast<char>('a' + i))});
    }
    until("the primary has noticed", [&] { return info(primary, "connected_slaves") == "0"; });
    REQUIRE(::kill(replica.pid(), SIGCONT) == 0);
    in_step(replica, primary);
    CHECK(all_strings(replica) == all_strings(primary));
    CHECK(info(primary, "sync_full") == "1");
  }

  TEST_CASE("a replica that holds back too much of the log is let go, and gets a full copy") {
    ServerProcess primary({"--repl-lag-size-max", "1mb", "--repl-backlog-size", "1mb", "--memtable-size",
                           "1mb", "--log-segment-size", "1mb"});
    ServerProcess replica(options());
    Client writer = Client::over_tcp(primary);
    follow(replica, primary);
    in_step(replica, primary);
    REQUIRE(::kill(replica.pid(), SIGSTOP) == 0);
    for (int i = 0; i < 400; ++i) writer.command({"SET", "k" + std::to_string(i), std::string(50'000, 'v')});
    until("it is let go", [&] { return info(primary, "connected_slaves") == "0"; });
    until("so is the log", [&] { return std::stoull(info(primary, "repl_backlog_histlen")) < 10'000'000; });
    REQUIRE(::kill(replica.pid(), SIGCONT) == 0);
    in_step(replica, primary);
    CHECK(all_strings(replica) == all_strings(primary));
    CHECK(info(primary, "sync_full") == "2");
    CHECK(primary.log().find("gets a checkpoint: it has nothing of this history") != std::string::npos);
    CHECK(primary.log().find("gets a checkpoint: it needs the log from LSN ") != std::string::npos);
  }

  TEST_CASE("a primary that has had no replica for long keeps no log for them") {
    ServerProcess primary({"--repl-backlog-ttl", "1"}), replica(options());
    CHECK(info(primary, "repl_backlog_active") == "1");
    until("it gives it up", [&] { return info(primary, "repl_backlog_active") == "0"; });
    follow(replica, primary);
    in_step(replica, primary);
    until("it keeps it again", [&] { return info(primary, "repl_backlog_active") == "1"; });
  }

  TEST_CASE("a checkpoint that is cut off by kill -9 of either side is brought to its end") {
    std::mt19937_64 random(7);
    ServerProcess primary(options({"--memtable-size", "1mb"}));
    {
      Client writer = Client::over_tcp(primary);
      std::string pipeline;
      for (int i = 0; i < 20000; ++i)
        pipeline += Client::encode(
            {"SET", "k" + std::to_string(i), std::to_string(random()) + std::string(2000, 'x')});
      writer.send_raw(pipeline);
      for (int i = 0; i < 20000; ++i) CHECK(to_text(writer.read()) == "OK");
    }
    ServerProcess replica(options());
    const auto as_replica = options({"--replicaof", "127.0.0.1 " + std::to_string(primary.port())});
    for (int round = 0; round < 12; ++round) {
      replica.kill();
      replica.start_and_kill(std::chrono::milliseconds(random() % 600));
      replica.start(as_replica);
      std::this_thread::sleep_for(std::chrono::milliseconds(random() % 300));
      if (round % 3 == 2) {
        primary.kill();
        primary.start();
      }
    }
    in_step(replica, primary);
    CHECK(all_strings(replica) == all_strings(primary));
  }

  TEST_CASE("many rounds of it") {
    for (uint64_t seed = 2; seed < 6; ++seed) kill_rounds(15, seed);
  }
}
