// Varve as a replica of a redis-server, and a redis-server as one of Varve.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/blackbox/random_writer.h"

namespace {

using differential::Dice;
using support::Client;
using support::Command;
using support::ServerProcess;

struct Redis {
  explicit Redis(std::vector<std::string> options = {}) : port(support::free_port()) {
    for (const char* word : {"--enable-debug-command", "yes", "--repl-diskless-sync-delay", "0", "--port"})
      options.emplace_back(word);
    options.push_back(std::to_string(port));
    server = RealRedis::start({}, options);
  }
  resp::Reply ask(const Command& command) const {
    auto reply = server->ask(command);
    if (!reply) throw std::runtime_error("redis-server hung up");
    return std::move(*reply);
  }
  const int port;
  std::unique_ptr<RealRedis> server;
};

std::string ask(ServerProcess& server, const Command& command) {
  return to_text(Client::over_tcp(server).command(command));
}

std::string field(const std::string& info, const std::string& name) {
  const size_t at = info.find("\n" + name + ":");
  if (at == std::string::npos) return "(none)";
  const size_t begin = at + name.size() + 2;
  return info.substr(begin, info.find('\r', begin) - begin);
}
std::string info(ServerProcess& server, const std::string& name) {
  return field(Client::over_tcp(server).command({"INFO", "everything"}).text, name);
}

// A test that waits for ever would say nothing: two minutes is more than any of this takes, sanitised too.
bool until(const std::string& what, const std::function<bool()>& true_now) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(2);
  while (std::chrono::steady_clock::now() < deadline) {
    try {
      if (true_now()) return true;
    } catch (const std::runtime_error&) {
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  FAIL_CHECK("never came to be: " << what);
  return false;
}

bool present(const Redis& redis) {
  if (redis.server == nullptr) MESSAGE("no redis-server here");
  return redis.server != nullptr;
}

// Their order means nothing.
std::vector<std::string> libraries(const resp::Reply& list) {
  std::vector<std::string> all;
  for (const resp::Reply& library : list.items) all.push_back(to_text(library));
  std::sort(all.begin(), all.end());
  return all;
}

void same_data(const Redis& redis, ServerProcess& varve) {
  Client client = Client::over_tcp(varve);
  const auto equal = [&](const Command& question) {
    return to_text(client.command(question)) == to_text(redis.ask(question));
  };
  // Once is enough: a key may expire between the two questions.
  if (!until("equal data", [&] { return equal({"DEBUG", "DIGEST"}); })) {
    for (const char* database : {"0", "1", "2", "3"}) {
      client.command({"SELECT", database});
      redis.ask({"SELECT", database});
      for (const resp::Reply& key : redis.ask({"KEYS", "*"}).items) {
        CAPTURE(key.text);
        CHECK(equal({"DEBUG", "DIGEST-VALUE", key.text}));
        CHECK(equal({"PEXPIRETIME", key.text}));
      }
      CHECK(equal({"DBSIZE"}));
    }
  }
  CHECK(libraries(client.command({"FUNCTION", "LIST", "WITHCODE"})) ==
        libraries(redis.ask({"FUNCTION", "LIST", "WITHCODE"})));
}

// A replica of Redis's kind as far as the socket sees it.
class RawReplica {
 public:
  explicit RawReplica(const ServerProcess& varve) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(varve.port()));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
      throw std::runtime_error("cannot connect");
    send({"PSYNC", "?", "-1"});
    const std::string answer = read_line();  // +FULLRESYNC id offset
    stream_id_ = answer.substr(12, 40);
    offset_ = answer.substr(53);
    mark_ = read_line().substr(5);  // $EOF:mark
  }
  ~RawReplica() { ::close(fd_); }
  RawReplica(const RawReplica&) = delete;
  RawReplica& operator=(const RawReplica&) = delete;

  const std::string& stream_id() const { return stream_id_; }
  void read_file() { read_until(mark_); }
  // All has been read, and the mark was the last of it.
  bool at_mark() const {
    pollfd readable{fd_, POLLIN, 0};
    return bytes_.ends_with(mark_) && ::poll(&readable, 1, 0) == 0;
  }
  void acknowledge() { send({"REPLCONF", "ACK", offset_}); }
  void read_until(const std::string& text) {
    while (bytes_.find(text) == std::string::npos) read_some();
  }

 private:
  void send(const Command& words) {
    const std::string bytes = Client::encode(words);
    if (::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(bytes.size()))
      throw std::runtime_error("cannot send");
  }
  void read_some() {
    pollfd readable{fd_, POLLIN, 0};
    char some[65536];
    const ssize_t n = ::poll(&readable, 1, 60'000) == 1 ? ::read(fd_, some, sizeof(some)) : 0;
    if (n <= 0) throw std::runtime_error("the primary says nothing more");
    bytes_.append(some, static_cast<size_t>(n));
  }
  std::string read_line() {
    read_until("\r\n");
    std::string line = bytes_.substr(0, bytes_.find("\r\n"));
    bytes_.erase(0, line.size() + 2);
    return line;
  }

  const int fd_;
  std::string bytes_, stream_id_, offset_, mark_;
};

const std::vector<std::string> kVarve = {"--enable-debug-command", "yes", "--memtable-size", "1mb"};

}  // namespace

TEST_SUITE("blackbox/redis replication") {
  TEST_CASE(
      "from a redis-server with all types, under writes, with cuts and kills, to a primary of its own") {
    for (const char* diskless : {"yes", "no"}) {
      CAPTURE(diskless);
      const Redis redis({"--repl-diskless-sync", diskless});
      if (!present(redis)) return;
      Dice dice(diskless[0] == 'y' ? 11 : 12);
      const auto write = [&](int times) {
        for (int i = 0; i < times; ++i)
          differential::write_something(dice, [&](const Command& command) { redis.ask(command); });
      };
      redis.ask({"DEBUG", "POPULATE", "20000", "key", "100"});
      for (int i = 0; i < 3000; ++i) {
        const std::string n = std::to_string(i);
        redis.ask({"HSET", "large hash", "field" + n, "value" + n});
        redis.ask({"ZADD", "large zset", n, "member" + n});
      }
      write(3000);

      ServerProcess varve(kVarve), chained(kVarve);
      CHECK(ask(varve, {"SET", "of", "its own"}) == "OK");
      REQUIRE(ask(varve, {"REPLICAOF", "127.0.0.1", std::to_string(redis.port)}) == "OK");
      write(2000);
      REQUIRE(ask(chained, {"REPLICAOF", "127.0.0.1", std::to_string(varve.port())}) == "OK");
      until("the link is up", [&] { return info(varve, "master_link_status") == "up"; });
      CHECK(info(varve, "role") == "slave");
      CHECK(info(varve, "master_port") == std::to_string(redis.port));
      CHECK(ask(varve, {"SET", "k", "v"}) == "(error) READONLY You can't write against a read only replica.");
      for (int cut = 0; cut < 3; ++cut) {
        write(1000);
        redis.ask({"CLIENT", "KILL", "TYPE", "replica"});
        write(1000);
        // It may be called up until the cut is noticed.
        until("the link is up again", [&] {
          return field(redis.ask({"INFO", "stats"}).text, "sync_partial_ok") == std::to_string(cut + 1) &&
                 info(varve, "master_link_status") == "up";
        });
      }
      write(500);
      varve.kill();
      write(500);
      std::vector<std::string> again = kVarve;
      again.insert(again.end(), {"--replicaof", "127.0.0.1 " + std::to_string(redis.port)});
      varve.start(again);
      write(500);
      until("the link is up", [&] { return info(varve, "master_link_status") == "up"; });
      same_data(redis, varve);
      const std::string stats = redis.ask({"INFO", "stats"}).text;
      CHECK(field(stats, "sync_full") == "1");  // Neither a cut nor a kill costs a copy.
      CHECK(field(stats, "sync_partial_ok") == "4");
      same_data(redis, chained);

      redis.ask({"SET", "last", "word"});
      CHECK(to_text(redis.ask({"WAIT", "1", "20000"})) == "1");
      CHECK(ask(varve, {"REPLICAOF", "NO", "ONE"}) == "OK");
      CHECK(ask(varve, {"SET", "own", "word"}) == "OK");
      CHECK(info(varve, "role") == "master");
      until("the chained one follows", [&] { return ask(chained, {"GET", "own"}) == "\"word\""; });
    }
  }

  TEST_CASE("what comes late from a redis-server finds the keys that it found there, expired here or not") {
    const Redis redis;
    if (!present(redis)) return;
    ServerProcess varve(kVarve);
    ask(varve, {"REPLICAOF", "127.0.0.1", std::to_string(redis.port)});
    redis.ask({"XGROUP", "CREATE", "stream", "group", "0", "MKSTREAM"});
    redis.ask({"XADD", "stream", "*", "f", "1"});
    redis.ask({"SET", "string", "v"});
    same_data(redis, varve);
    REQUIRE(::kill(varve.pid(), SIGSTOP) == 0);
    // XADD and XREADGROUP note the time, so the replica's clock counts for them.
    for (const char* key : {"stream", "string"}) redis.ask({"PEXPIRE", key, "3000"});
    redis.ask({"XADD", "stream", "*", "f", "2"});
    redis.ask({"XREADGROUP", "GROUP", "group", "consumer", "STREAMS", "stream", ">"});
    redis.ask({"APPEND", "string", "w"});
    for (const char* key : {"stream", "string"}) CHECK(to_text(redis.ask({"PERSIST", key})) == "1");
    std::this_thread::sleep_for(std::chrono::milliseconds(3200));
    REQUIRE(::kill(varve.pid(), SIGCONT) == 0);
    redis.ask({"SET", "last", "word"});
    CHECK(to_text(redis.ask({"WAIT", "1", "60000"})) == "1");
    same_data(redis, varve);
    CHECK(ask(varve, {"XLEN", "stream"}) == "2");
    CHECK(ask(varve, {"XPENDING", "stream", "group"}) == to_text(redis.ask({"XPENDING", "stream", "group"})));
  }

  TEST_CASE("what was written after leaving a redis-server is given up with a full copy on coming back") {
    const Redis redis;
    if (!present(redis)) return;
    redis.ask({"SET", "k", "v"});
    ServerProcess varve(kVarve);
    const Command follow = {"REPLICAOF", "127.0.0.1", std::to_string(redis.port)};
    ask(varve, follow);
    same_data(redis, varve);
    ask(varve, {"REPLICAOF", "NO", "ONE"});
    CHECK(ask(varve, {"SET", "own", "word"}) == "OK");
    ask(varve, follow);
    same_data(redis, varve);
    CHECK(ask(varve, {"GET", "own"}) == "nil");
  }

  TEST_CASE("a primary that wants a password gets it, and one that refuses is asked again") {
    const Redis redis({"--requirepass", "secret"});
    if (!present(redis)) return;
    redis.ask({"AUTH", "secret"});
    redis.ask({"SET", "k", "v"});
    ServerProcess varve(kVarve);
    ask(varve, {"REPLICAOF", "127.0.0.1", std::to_string(redis.port)});
    until("it is refused", [&] { return varve.log().find("NOAUTH") != std::string::npos; });
    CHECK(info(varve, "master_link_status") == "down");
    ask(varve, {"CONFIG", "SET", "masterauth", "secret"});
    same_data(redis, varve);
  }

  TEST_CASE(
      "a redis-server follows a Varve under writes of all types, with cuts, and a file can be fetched") {
    const Redis redis;
    if (!present(redis)) return;
    Dice dice(21);
    ServerProcess varve(kVarve);
    Client writer = Client::over_tcp(varve);
    const auto write = [&](int times) {
      for (int i = 0; i < times; ++i)
        differential::write_something(dice, [&](const Command& command) { writer.command(command); });
    };
    writer.command({"DEBUG", "POPULATE", "20000", "key", "100"});
    writer.command({"SELECT", "9"});  // Where nobody else writes.
    for (int i = 0; i < 3000; ++i) {
      const std::string n = std::to_string(i);
      writer.command({"HSET", "large hash", "field" + n, "value" + n});
      writer.command({"ZADD", "large zset", n, "member" + n});
    }
    writer.command({"SELECT", "0"});
    write(2000);
    redis.ask({"SET", "of", "its own"});
    redis.ask({"REPLICAOF", "127.0.0.1", std::to_string(varve.port())});
    const auto up = [&] {
      return field(redis.ask({"INFO", "replication"}).text, "master_link_status") == "up";
    };
    write(2000);
    until("the link is up", up);
    until("it is counted", [&] { return info(varve, "redis_replicas") == "1"; });
    write(3000);
    until("it is online", [&] {  // After SWAPDB it gets a new copy.
      return info(varve, "slave0")
          .starts_with("ip=127.0.0.1,port=" + std::to_string(redis.port) + ",state=online");
    });
    CHECK(info(varve, "connected_slaves") == "1");
    // Elements alone, their header unwritten.
    same_data(redis, varve);
    writer.command({"SELECT", "9"});
    writer.command({"HSET", "large hash", "field7", "another value"});
    writer.command({"MULTI"});
    writer.command({"ZADD", "large zset", "0.5", "member8"});
    writer.command({"EXEC"});
    writer.command({"SELECT", "0"});
    same_data(redis, varve);
    CHECK(redis.ask({"GET", "of"}).is_null());
    writer.command({"CLIENT", "KILL", "TYPE", "replica"});
    write(1000);
    until("the link is up", up);
    write(1000);
    writer.command({"FLUSHALL"});
    write(1000);
    same_data(redis, varve);

    // What WAIT counts it has.
    writer.command({"SELECT", "0"});
    redis.ask({"SELECT", "0"});
    for (const char* value : {"1", "2", "3"}) {
      writer.command({"SET", "waited for", value});
      CHECK(to_text(writer.command({"WAIT", "1", "20000"})) == "1");
      CHECK(to_text(redis.ask({"GET", "waited for"})) == "\"" + std::string(value) + "\"");
    }
    CHECK(to_text(writer.command({"WAITAOF", "0", "1", "10"})).find("0") != std::string::npos);
    const resp::Reply role = writer.command({"ROLE"});
    REQUIRE(role.items.size() == 3);
    REQUIRE(role.items[2].items.size() == 1);
    CHECK(role.items[2].items[0].items[1].text == std::to_string(redis.port));

    const support::TemporaryDirectory directory;
    const std::string file = directory.path() + "/out.rdb";
    const std::string fetch = "redis-cli -p " + std::to_string(varve.port()) + " --rdb " + file +
                              " > /dev/null 2>&1 && redis-check-rdb " + file + " > /dev/null";
    CHECK(std::system(fetch.c_str()) == 0);
    const auto loaded = RealRedis::start(file, {"--enable-debug-command", "yes"});
    REQUIRE(loaded != nullptr);
    until("the file is loaded", [&] {
      const Command digest = {"DEBUG", "DIGEST"};
      return loaded->ask(digest)->text == writer.command(digest).text;
    });
  }

  // The mark at the file's end is looked for at the end of each read. What followed it at once, a round of
  // writes that came meanwhile or a ping, now and then came with it in one read, and hid it: the copy began
  // again after a minute.
  TEST_CASE("nothing follows the file before its end has been acknowledged") {
    ServerProcess varve(kVarve);
    Client writer = Client::over_tcp(varve);
    writer.command({"DEBUG", "POPULATE", "20000", "key", "100"});
    RawReplica silent(varve);
    writer.command({"SET", "meanwhile", "1"});
    silent.read_file();
    RawReplica other(varve);
    other.read_file();
    other.acknowledge();
    writer.command({"SET", "afterwards", "1"});
    other.read_until("afterwards");
    CHECK(silent.at_mark());
    silent.acknowledge();
    silent.read_until("meanwhile");
    silent.read_until("afterwards");
  }

  TEST_CASE("two replicas are not promised one and the same stream") {
    ServerProcess varve(kVarve);
    const RawReplica one(varve), another(varve);
    CHECK(one.stream_id() != another.stream_id());
  }

  TEST_CASE("files are fetched one after the other from a server under writes") {
    if (!RealRedis::start({}, {})) return;  // redis-cli comes with it.
    ServerProcess varve(kVarve);
    Client::over_tcp(varve).command({"DEBUG", "POPULATE", "50000", "key", "100"});
    std::atomic<bool> over = false;
    std::thread writing([&] {
      Client writer = Client::over_tcp(varve);
      for (int i = 0; !over; ++i) writer.command({"SET", "key:" + std::to_string(i % 1000), "x"});
    });
    const support::TemporaryDirectory directory;
    const std::string fetch = "timeout 30 redis-cli -p " + std::to_string(varve.port()) + " --rdb " +
                              directory.path() + "/out.rdb > /dev/null 2>&1";
    for (int copy = 0; copy < 20; ++copy) {
      CAPTURE(copy);
      CHECK(std::system(fetch.c_str()) == 0);
    }
    over = true;
    writing.join();
  }
}
