// A follower fed by a Redis that is only bytes: in odd pieces, cut anywhere, or telling lies.
#include "server/redis_follower.h"

#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "engine/fields.h"
#include "server/rdb/snapshot_writer.h"
#include "tests/server/server_harness.h"

using namespace server;

namespace {

using Words = std::vector<std::string>;

const std::string kId(40, 'a'), kOtherId(40, 'b'), kMark(40, 'm');
const std::string kGreetingAnswers = "+PONG\r\n+OK\r\n+OK\r\n+PONG\r\n";

// A server, and in it a follower whose primary is the test.
struct Follower {
  explicit Follower(uint64_t seed, uint32_t cold_chance = 0)
      : harness(seed, {}, cold_chance), peer(harness.connect()), random(seed) {
    harness.server->clients().each([this](Client& one) { client = &one; });
    begin_anew();
  }
  // As after a start of the server: what it knows is what stands in the store.
  void begin_anew() {
    redis = std::make_unique<RedisFollower>(
        *harness.server,
        RedisFollower::Host{[this] { ++connects; }, [this](std::string_view bytes) { said += bytes; },
                            [this] { ++disconnects; }, [this] { return client; },
                            [this] { return may_write; }, [this] { return epoch; }});
    redis->begin();
  }
  void rest(int steps = 60) {
    for (int i = 0; i < steps; ++i) {
      harness.step();
      redis->progressed();
    }
  }
  // In pieces of at most `longest` bytes, with some work in between.
  void feed(std::string_view bytes, size_t longest) {
    while (!bytes.empty()) {
      const size_t piece = std::min<size_t>(1 + random() % longest, bytes.size());
      redis->received(bytes.substr(0, piece));
      bytes.remove_prefix(piece);
      if (random() % 4 == 0) rest(static_cast<int>(random() % 3));
    }
  }
  std::string take_said() { return std::exchange(said, {}); }
  // Over the greeting: what it asks for.
  std::string greet(size_t longest = 1000) {
    feed(kGreetingAnswers, longest);
    const std::string text = take_said();
    const size_t at = text.find("PSYNC");
    return at == std::string::npos ? "" : text.substr(at);
  }
  // Cut off, and called again after a while.
  void reconnect() {
    redis->disconnected("cut");
    await_call();
  }
  void await_call() {
    const int before = connects;
    for (int i = 0; i < 100 && connects == before; ++i) {
      harness.world.clock.advance_us(100'000);
      redis->tick();
    }
    REQUIRE(connects == before + 1);
    take_said();
    redis->connected();
  }
  std::string ask(const Words& words) { return harness.call(*peer, words); }
  std::string digest() { return ask({"DEBUG", "DIGEST"}); }

  Harness harness;
  std::unique_ptr<Peer> peer;
  Client* client = nullptr;
  std::mt19937_64 random;
  std::unique_ptr<RedisFollower> redis;
  int connects = 0, disconnects = 0;
  std::string said, epoch = "one";
  bool may_write = true;
};

std::string psync_of(const std::string& id, uint64_t offset) {
  const std::string number = std::to_string(offset);
  return "PSYNC\r\n$40\r\n" + id + "\r\n$" + std::to_string(number.size()) + "\r\n" + number + "\r\n";
}
const std::string kPsyncAnew = "PSYNC\r\n$1\r\n?\r\n$2\r\n-1\r\n";

std::string acknowledges(uint64_t offset) {
  return Peer::encode({"REPLCONF", "ACK", std::to_string(offset)});
}

std::string saved(Harness& from) {
  std::vector<rdb::SnapshotWriter::Database> databases;
  for (uint32_t i = 0; i < from.server->databases().count(); ++i)
    databases.push_back({i, from.server->databases().object(i)});
  rdb::SnapshotWriter::Options options;
  options.now_ms = from.world.clock.wall_ms();
  options.aux = {{"redis-ver", "7.0.15"}};
  rdb::SnapshotWriter writer(from.engine->snapshot(), databases, options);
  std::string all;
  while (!writer.done()) REQUIRE(writer.next(&all).ok());
  return all;
}

// Has a full copy of a Redis without keys, whose offset is `offset`.
void follow_an_empty(Follower& follower, uint64_t offset, uint64_t seed = 1) {
  Harness nothing(seed);
  const std::string file = saved(nothing);
  CHECK(follower.greet() == kPsyncAnew);
  follower.feed("+FULLRESYNC " + kId + " " + std::to_string(offset) + "\r\n$" + std::to_string(file.size()) +
                    "\r\n" + file,
                5000);
}

// A write as a Redis passes it on.
Words random_write(std::mt19937_64& random) {
  const auto n = [&](uint64_t below) { return std::to_string(random() % below); };
  switch (random() % 9) {
    case 0: return {"SET", "s" + n(20), std::string(random() % 2000, 'v')};
    case 1: return {"INCRBY", "i" + n(5), n(1000)};
    case 2: return {"APPEND", "s" + n(20), "more"};
    case 3: return {"RPUSH", "l" + n(3), "a" + n(100), "b" + n(100)};
    case 4: return {"HSET", "h" + n(3), "f" + n(300), n(1000)};
    case 5: return {"SADD", "e" + n(3), n(5000), "m" + n(50)};
    case 6: return {"ZADD", "z" + n(3), n(100), "m" + n(400)};
    case 7: return {"DEL", "s" + n(20), "l" + n(3)};
    default: return {"LPOP", "l" + n(3)};
  }
}

}  // namespace

TEST_SUITE("server/redis_follower") {
  TEST_CASE("V1: a copy and a stream in pieces of any size give what the primary has") {
    for (uint64_t seed = 1; seed <= 12; ++seed) {
      CAPTURE(seed);
      std::mt19937_64 random(seed);
      Harness primary(seed);
      const auto writer = primary.connect();
      for (int i = 0; i < 300; ++i) primary.call(*writer, random_write(random));
      const std::string file = saved(primary);

      Follower follower(seed, seed % 2 == 0 ? UINT32_MAX / 3 : 0);
      follower.ask({"SET", "of", "its own"});
      const size_t longest = seed % 3 == 0 ? 1 : seed % 3 == 1 ? 97 : 5000;
      CHECK(follower.greet(longest) == kPsyncAnew);
      // As long as it prepares it sends empty lines.
      std::string text = "\n\n+FULLRESYNC " + kId + " 1000\r\n\n\n";
      const bool with_mark = random() % 2 == 0;
      text += with_mark ? "$EOF:" + kMark + "\r\n" : "$" + std::to_string(file.size()) + "\r\n";
      text += file;
      if (with_mark) text += kMark;
      // What is behind the copy comes in one piece with its end.
      std::string stream = Peer::encode({"SELECT", "0"});
      for (int i = 0; i < 200; ++i) {
        const bool together = random() % 8 == 0;
        if (together) stream += Peer::encode({"MULTI"});
        for (uint64_t left = together ? 1 + random() % 5 : 1; left > 0; --left) {
          const Words write = random_write(random);
          primary.call(*writer, write);
          stream += Peer::encode(write);
        }
        if (together) stream += Peer::encode({"EXEC"});
        if (random() % 30 == 0) stream += Peer::encode({"PING"});
      }
      follower.feed(text + stream, longest);
      follower.rest(3000);
      REQUIRE(follower.redis->link_up());
      CHECK(follower.redis->offset() == 1000 + stream.size());
      CHECK(follower.redis->offset_read() == 1000 + stream.size());
      CHECK(follower.digest() == primary.call(*writer, {"DEBUG", "DIGEST"}));
      CHECK(follower.ask({"EXISTS", "of"}) == "0");
      CHECK(follower.disconnects == 0);
      // What it said last is how far it is.
      follower.take_said();
      follower.feed(Peer::encode({"REPLCONF", "GETACK", "*"}), longest);
      follower.rest();
      const size_t question = Peer::encode({"REPLCONF", "GETACK", "*"}).size();
      CHECK(follower.said.find(acknowledges(1000 + stream.size() + question)) != std::string::npos);
    }
  }

  TEST_CASE("a stream that is cut anywhere goes on where it was left, and nothing counts twice") {
    int all_cuts = 0;
    for (uint64_t seed = 1; seed <= 8; ++seed) {
      CAPTURE(seed);
      std::mt19937_64 random(seed);
      std::string stream = Peer::encode({"SELECT", "3"});
      int increments = 0;
      for (int i = 0; i < 150; ++i) {
        const bool together = random() % 3 == 0;
        if (together) stream += Peer::encode({"MULTI"});
        for (uint64_t left = together ? 1 + random() % 4 : 1; left > 0; --left) {
          stream += Peer::encode({"INCR", "n"});
          stream += Peer::encode({"RPUSH", "list", std::to_string(++increments)});
        }
        if (together) stream += Peer::encode({"EXEC"});
      }
      Follower follower(seed, seed % 2 == 0 ? UINT32_MAX / 3 : 0);
      follow_an_empty(follower, 0, seed);
      follower.rest();
      REQUIRE(follower.redis->link_up());
      uint64_t sent = 0;
      std::string id = kId;
      int cuts = 0;
      while (follower.redis->offset() < stream.size()) {
        const uint64_t piece = std::min<uint64_t>(random() % 3000, stream.size() - sent);
        follower.feed(stream.substr(sent, piece), 1 + random() % 400);
        sent += piece;
        if (random() % 2 == 0) follower.rest(static_cast<int>(random() % 30));
        if (sent < stream.size() && random() % 2 == 0) continue;
        if (sent == stream.size()) follower.rest(300);
        ++cuts;
        if (random() % 4 == 0) {
          follower.redis->stop();
          follower.take_said();
          follower.begin_anew();
        } else {
          follower.reconnect();
        }
        const std::string asked = follower.greet();
        CHECK(asked == psync_of(id, follower.redis->offset() + 1));
        // Now and then the primary has been promoted meanwhile, and has a new name.
        if (random() % 3 == 0) {
          id = id == kId ? kOtherId : kId;
          follower.feed("+CONTINUE " + id + "\r\n", 7);
        } else {
          follower.feed("+CONTINUE\r\n", 7);
        }
        sent = follower.redis->offset();
      }
      all_cuts += cuts;
      follower.ask({"SELECT", "3"});
      CHECK(follower.ask({"GET", "n"}) == "\"" + std::to_string(increments) + "\"");
      CHECK(follower.ask({"LLEN", "list"}) == std::to_string(increments));
      CHECK(follower.ask({"LINDEX", "list", "-1"}) == "\"" + std::to_string(increments) + "\"");
    }
    CHECK(all_cuts > 20);
  }

  TEST_CASE("a transaction without its EXEC has no effect, nor any part of it") {
    Follower follower(1);
    follow_an_empty(follower, 50);
    const std::string before = Peer::encode({"SELECT", "0"}) + Peer::encode({"SET", "a", "1"});
    const std::string open =
        Peer::encode({"MULTI"}) + Peer::encode({"SET", "a", "2"}) + Peer::encode({"SET", "b", "2"});
    follower.feed(before, 5000);
    follower.rest(300);
    follower.feed(open, 5000);
    follower.rest(300);
    CHECK(follower.ask({"GET", "a"}) == "\"1\"");
    CHECK(follower.ask({"EXISTS", "b"}) == "0");
    CHECK(follower.redis->offset() == 50 + before.size());
    CHECK(follower.redis->offset_read() == 50 + before.size() + open.size());
    follower.reconnect();
    CHECK(follower.greet() == psync_of(kId, 50 + before.size() + 1));
    follower.feed("+CONTINUE\r\n" + open + Peer::encode({"EXEC"}), 5000);
    follower.rest(300);
    CHECK(follower.ask({"MGET", "a", "b"}) == "[\"2\", \"2\"]");
  }

  TEST_CASE("a place is good for the epoch that it was written in, and for nobody who wrote since") {
    Follower follower(1);
    follow_an_empty(follower, 50);
    const std::string stream = Peer::encode({"SELECT", "0"}) + Peer::encode({"SET", "a", "1"});
    follower.feed(stream, 5000);
    follower.rest();
    follower.redis->stop();
    follower.epoch = "two";
    follower.take_said();
    follower.begin_anew();
    CHECK(follower.greet() == kPsyncAnew);
    follower.redis->stop();
    follower.epoch = "one";
    follower.take_said();
    follower.begin_anew();
    CHECK(follower.greet() == psync_of(kId, 50 + stream.size() + 1));
  }

  TEST_CASE("a copy that breaks off leaves no place: the next one begins with nothing") {
    Harness primary(1);
    const auto writer = primary.connect();
    for (int i = 0; i < 400; ++i)
      primary.call(*writer, {"SET", "k" + std::to_string(i), std::string(2000, 'v')});
    const std::string file = saved(primary);
    const std::string promise = "+FULLRESYNC " + kId + " 7\r\n$" + std::to_string(file.size()) + "\r\n";
    Follower follower(1);
    follower.greet();
    follower.feed(promise + file.substr(0, file.size() / 2), 50'000);
    follower.rest(300);
    CHECK(follower.redis->in_sync());
    CHECK(follower.redis->sync_bytes_total() == file.size());
    CHECK(follower.redis->sync_bytes_read() > file.size() / 4);
    CHECK(follower.redis->sync_bytes_read() <= file.size() / 2);
    follower.reconnect();
    CHECK(follower.greet() == kPsyncAnew);
    follower.feed(promise + file, 50'000);
    follower.rest(3000);
    CHECK(follower.redis->link_up());
    CHECK(follower.digest() == primary.call(*writer, {"DEBUG", "DIGEST"}));
  }

  TEST_CASE("whatever a peer says instead of the truth ends the connection and nothing else") {
    Harness nothing(1);
    const std::string file = saved(nothing);
    const std::string promised = "+FULLRESYNC " + kId + " 50\r\n";
    const std::string with_length = promised + "$" + std::to_string(file.size()) + "\r\n";
    std::string wrong_checksum = file;
    wrong_checksum.back() = static_cast<char>(wrong_checksum.back() ^ 1);
    const std::string streaming = with_length + file;
    struct Lie {
      const char* what;
      std::string answers, rest;
    };
    const std::vector<Lie> lies = {
        {"it refuses to talk", "-NOAUTH Authentication required.\r\n", ""},
        {"a line without an end", std::string(100'000, 'x'), ""},
        {"it refuses PSYNC", kGreetingAnswers,
         "-NOMASTERLINK Can't SYNC while not connected with my master\r\n"},
        {"no id", kGreetingAnswers, "+FULLRESYNC\r\n"},
        {"no offset", kGreetingAnswers, "+FULLRESYNC " + kId + "\r\n"},
        {"an offset below zero", kGreetingAnswers, "+FULLRESYNC " + kId + " -5\r\n"},
        {"an offset that is none", kGreetingAnswers, "+FULLRESYNC " + kId + " 99999999999999999999\r\n"},
        {"another answer", kGreetingAnswers, "+OK\r\n"},
        {"instead of a copy an error", kGreetingAnswers, promised + "-ERR no\r\n"},
        {"a length that is none", kGreetingAnswers, promised + "$abc\r\n"},
        {"a length below zero", kGreetingAnswers, promised + "$-1\r\n"},
        {"a mark that is too short", kGreetingAnswers, promised + "$EOF:abc\r\n"},
        {"no RDB file", kGreetingAnswers, promised + "$100\r\n" + std::string(100, 'x')},
        {"an RDB file of tomorrow", kGreetingAnswers,
         promised + "$100\r\nREDIS9999" + std::string(91, '\xff')},
        {"a wrong checksum", kGreetingAnswers, with_length + wrong_checksum},
        {"a copy shorter than said", kGreetingAnswers,
         promised + "$" + std::to_string(file.size() - 3) + "\r\n" + file},
        {"a copy longer than it is", kGreetingAnswers,
         promised + "$" + std::to_string(file.size() + 3) + "\r\n" + file + "xyz"},
        {"another mark at its end", kGreetingAnswers, promised + "$EOF:" + kMark + "\r\n" + file + kOtherId},
        {"no RESP", kGreetingAnswers, streaming + "*1\r\n$abc\r\n"},
        {"a command longer than any", kGreetingAnswers, streaming + "*99999999999\r\n"},
        {"an argument longer than any", kGreetingAnswers, streaming + "*1\r\n$99999999999\r\n"},
    };
    for (const Lie& lie : lies) {
      for (const size_t longest : {1ul, 100'000ul}) {
        CAPTURE(std::string(lie.what));
        CAPTURE(longest);
        Follower follower(1);
        follower.feed(lie.answers, longest);
        if (follower.disconnects == 0) follower.feed(lie.rest, longest);
        follower.rest(300);
        CHECK(follower.disconnects == 1);
        CHECK(!follower.redis->link_up());
        CHECK(follower.redis->state() == RedisFollower::State::kWaiting);
        // What still comes of that connection is not heard; and it tries again, with the truth this time.
        follower.redis->received("+OK\r\n");
        CHECK(follower.disconnects == 1);
        follower.await_call();
        const std::string asked = follower.greet();
        const bool had_place = lie.rest.starts_with(streaming);
        CHECK(asked == (had_place ? psync_of(kId, 51) : kPsyncAnew));
        follower.feed(had_place ? "+CONTINUE\r\n" : streaming, 5000);
        follower.feed(Peer::encode({"SELECT", "0"}) + Peer::encode({"SET", "a", "1"}), 5000);
        follower.rest(300);
        CHECK(follower.redis->link_up());
        CHECK(follower.ask({"GET", "a"}) == "\"1\"");
      }
    }
  }

  TEST_CASE("a command that is unknown here, or fails, is left out, and the stream goes on") {
    Follower follower(1);
    follow_an_empty(follower, 0);
    std::string stream = Peer::encode({"SELECT", "0"});
    for (const Words& words : std::vector<Words>{{"SET", "a", "text"},
                                                 {"MODULE.WRITE", "a"},
                                                 {"SET", "a"},
                                                 {"INCR", "a"},
                                                 {"CONFIG", "SET", "maxclients", "1"},

                                                 {"SET", "b", "1"}})
      stream += Peer::encode(words);
    follower.feed(stream, 9);
    follower.rest(300);
    CHECK(follower.redis->link_up());
    CHECK(follower.redis->offset() == stream.size());
    CHECK(follower.ask({"MGET", "a", "b"}) == "[\"text\", \"1\"]");
    CHECK(follower.ask({"CONFIG", "GET", "maxclients"}) != "[\"maxclients\", \"1\"]");
  }

  TEST_CASE("a database that there is not is no reason to write into another one") {
    Follower follower(1);
    follow_an_empty(follower, 0);
    const std::string good = Peer::encode({"SELECT", "0"}) + Peer::encode({"SET", "a", "1"});
    const std::string rest = Peer::encode({"SELECT", "99"}) + Peer::encode({"SET", "a", "2"});
    follower.feed(good, 5000);
    follower.rest(300);
    for (int i = 0; i < 2; ++i) {
      follower.feed(rest, 5000);
      follower.rest(300);
      CHECK(follower.disconnects == i + 1);
      follower.await_call();
      CHECK(follower.greet() == psync_of(kId, good.size() + 1));
      follower.feed("+CONTINUE\r\n", 5000);
    }
    CHECK(follower.ask({"GET", "a"}) == "\"1\"");
  }

  TEST_CASE("V2, V3: while nothing can be applied little is taken, and nothing acknowledged") {
    Follower follower(1);
    follow_an_empty(follower, 0);
    follower.rest(300);
    REQUIRE(follower.redis->link_up());
    follower.take_said();
    follower.may_write = false;
    std::string stream = Peer::encode({"SELECT", "0"});
    uint64_t fed = 0;
    follower.feed(stream, 100);
    fed += stream.size();
    int count = 0;
    while (follower.redis->wants_input()) {
      const std::string one = Peer::encode({"SET", "k" + std::to_string(++count), std::string(10'000, 'v')});
      follower.redis->received(one);
      fed += one.size();
      REQUIRE(fed < 4 * RedisFollower::kInputMax);
    }
    CHECK(fed > RedisFollower::kInputMax / 2);
    const std::string question = Peer::encode({"REPLCONF", "GETACK", "*"});
    follower.redis->received(question);
    fed += question.size();
    follower.rest();
    for (int i = 0; i < 30; ++i) {
      follower.harness.world.clock.advance_us(100'000);
      follower.redis->tick();
    }
    CHECK(follower.redis->offset() == 0);
    CHECK(follower.said.find(acknowledges(0)) != std::string::npos);
    CHECK(follower.take_said().find(acknowledges(fed)) == std::string::npos);
    follower.may_write = true;
    follower.rest(3000);
    CHECK(follower.redis->wants_input());
    CHECK(follower.redis->offset() == fed);
    CHECK(follower.said.find(acknowledges(fed)) != std::string::npos);
    CHECK(follower.ask({"DBSIZE"}) == std::to_string(count));
    CHECK(follower.disconnects == 0);
  }

  TEST_CASE("a primary that is silent is left, and one that is slow to prepare a copy is not") {
    Follower follower(1);
    follower.greet();
    const auto pass = [&](int seconds) {
      for (int i = 0; i < 10 * seconds && follower.disconnects == 0; ++i) {
        follower.harness.world.clock.advance_us(100'000);
        follower.redis->tick();
      }
    };
    for (int i = 0; i < 10; ++i) {  // repl-timeout is a minute.
      pass(30);
      follower.feed("\n", 1);
    }
    follower.feed("+FULLRESYNC " + kId + " 0\r\n", 5);
    follower.take_said();
    pass(30);
    CHECK(follower.disconnects == 0);
    CHECK(follower.take_said().starts_with("\n\n"));  // It is there too.
    pass(40);
    CHECK(follower.disconnects == 1);
  }
}
