// Replicas behind links that a test cuts, freezes and slows down, and servers that are killed meanwhile.
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/blackbox/replicas.h"
#include "tests/support/link_proxy.h"

namespace {

using namespace replicas;
using std::chrono::milliseconds;
using support::LinkProxy;

std::vector<std::string> options(std::vector<std::string> more = {}) {
  std::vector<std::string> all{"--repl-ping-replica-period", "1", "--repl-timeout",  "3",
                               "--min-sync-replicas",        "1", "--memtable-size", "1mb"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

// Writes without end to whoever is said to be the primary, and remembers what was answered.
class Logger {
 public:
  explicit Logger(uint64_t seed) : random_(seed) {}
  ~Logger() { stop(); }
  void start(ServerProcess& primary) {
    over_ = false;
    thread_ = std::thread([this, &primary] { run(primary); });
  }
  void stop() {
    over_ = true;
    if (thread_.joinable()) thread_.join();
  }
  // Of each key the last answered value is there, or one that was sent after it and not answered.
  void check(const std::map<std::string, std::string>& found) {
    for (const auto& [key, number] : answered_) {
      CAPTURE(key);
      REQUIRE(found.contains(key));
      const uint64_t seen = std::stoull(found.at(key));
      CHECK(seen >= number);
      CHECK(seen <= sent_[key]);
    }
  }
  uint64_t answers() const { return answers_; }

 private:
  void run(ServerProcess& primary) {
    while (!over_) {
      try {
        Client client = Client::over_tcp(primary);
        while (!over_) {
          const std::string key = "key" + std::to_string(random_() % 500);
          sent_[key] = ++count_;
          const std::string value = std::to_string(count_) + std::string(random_() % 300, 'x');
          if (to_text(client.command({"SET", key, value})) != "OK") continue;
          answered_[key] = sent_[key];
          ++answers_;
        }
      } catch (const std::runtime_error&) {  // It was killed.
        std::this_thread::sleep_for(milliseconds(5));
      }
    }
  }

  std::mt19937_64 random_;
  uint64_t count_ = 0;
  std::map<std::string, uint64_t> sent_, answered_;
  std::atomic<uint64_t> answers_{0};
  std::atomic<bool> over_{true};
  std::thread thread_;
};

// Three that take turns as the primary, and one that follows one of them whatever that is.
class Fleet {
 public:
  Fleet() {
    for (size_t i = 0; i < kServers; ++i) servers_.push_back(std::make_unique<ServerProcess>(options()));
    for (size_t i = 0; i < kServers; ++i) links_.push_back(std::make_unique<LinkProxy>(servers_[0]->port()));
    arrange();
    settle();
  }
  ServerProcess& primary() { return *servers_[primary_]; }

  // Something that happens to links and servers; the primary lives on, or comes back as what it was.
  void trouble(std::mt19937_64& random) {
    const size_t i = random() % kServers;
    LinkProxy& link = *links_[i];
    switch (random() % 8) {
      case 0:
      case 1: return link.cut();
      case 2: return link.freeze(true);
      case 3: return link.freeze(false);
      case 4: return link.delay(milliseconds(random() % 40));
      case 5: return link.cut_after(1 + random() % 100'000);
      case 6: return die(i);
      default: return link.heal();
    }
  }
  // And comes back as what it was.
  void die(size_t i) {
    servers_[i]->kill();
    if (i == primary_) return servers_[i]->start(options());
    servers_[i]->start(options({"--replicaof", "127.0.0.1 " + std::to_string(links_[i]->port())}));
  }
  // The primary dies for good, as far as the others know: the one that has come furthest takes its place.
  // The former one comes back later, as what it was, and is told.
  void fail_over(Logger& logger) {
    ServerProcess& former = primary();
    former.kill();
    logger.stop();
    size_t best = kServers;
    uint64_t furthest = 0;
    for (size_t i = 0; i < kServers; ++i) {
      if (i == primary_ || i == kChained) continue;
      const uint64_t offset = std::stoull(info(*servers_[i], "slave_repl_offset"));
      if (best != kServers && offset <= furthest) continue;
      best = i;
      furthest = offset;
    }
    primary_ = best;
    REQUIRE(ask(primary(), {"REPLICAOF", "NO", "ONE"}) == "OK");
    former.start(options());
    heal();
    arrange();
  }
  void heal() {
    for (const auto& link : links_) link->heal();
  }
  void settle() {
    for (size_t i = 0; i < kServers; ++i)
      if (i != primary_) in_step(*servers_[i], primary());
  }
  void check(Logger& logger) {
    const auto all = all_strings(primary());
    logger.check(all);
    for (size_t i = 0; i < kServers; ++i) {
      CAPTURE(i);
      CHECK(all_strings(*servers_[i]) == all);
    }
  }
  // Of the store's tables, by any of them to any of them.
  uint64_t full_copies() {
    uint64_t count = 0;
    for (const auto& server : servers_) {
      const std::string log = server->log();
      for (size_t at = 0; (at = log.find("gets a checkpoint", at)) != std::string::npos; ++at) ++count;
    }
    return count;
  }

 private:
  static constexpr size_t kServers = 4, kChained = 3;
  void arrange() {
    const size_t middle = primary_ == 0 ? 1 : 0;  // Whom the last one follows.
    for (size_t i = 0; i < kServers; ++i) {
      if (i == primary_) continue;
      links_[i]->aim(servers_[i == kChained ? middle : primary_]->port());
      follow(*servers_[i], links_[i]->port());
    }
  }

  std::vector<std::unique_ptr<ServerProcess>> servers_;
  std::vector<std::unique_ptr<LinkProxy>> links_;  // From each to whom it follows.
  size_t primary_ = 0;
};

void storm(int rounds, uint64_t seed) {
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  Fleet fleet;
  Logger logger(seed);
  for (int round = 0; round < rounds; ++round) {
    CAPTURE(round);
    const uint64_t before = logger.answers();
    logger.start(fleet.primary());
    until("something is answered", [&] { return logger.answers() > before + 20; });
    for (uint64_t left = 2 + random() % 6; left > 0; --left) {
      fleet.trouble(random);
      std::this_thread::sleep_for(milliseconds(random() % 120));
    }
    if (round % 3 == 1) fleet.fail_over(logger);
    fleet.heal();
    logger.stop();
    fleet.settle();
    fleet.check(logger);
  }
  MESSAGE(logger.answers(), " writes answered in ", rounds, " rounds; ", fleet.full_copies(),
          " copies of a store were made");
}

// ------------------------------------------------------------------ checkpoints

struct Asked {
  uint64_t tables, bytes;
};
// What a replica has asked for, copy by copy.
std::vector<Asked> asked(const ServerProcess& replica) {
  std::vector<Asked> all;
  const std::string log = replica.log();
  constexpr std::string_view kBegin = "asking for ";
  for (size_t at = 0; (at = log.find(kBegin, at)) != std::string::npos;) {
    at += kBegin.size();
    const size_t second = log.find(", ", at) + 2;
    all.push_back({std::stoull(log.substr(at)), std::stoull(log.substr(second))});
  }
  return all;
}

void fill(ServerProcess& server, const std::string& prefix, int count, uint64_t seed) {
  std::mt19937_64 random(seed);
  Client client = Client::over_tcp(server);
  std::string pipeline;
  for (int i = 0; i < count; ++i) {
    std::string value;
    while (value.size() < 1000) value += std::to_string(random());
    pipeline += Client::encode({"SET", prefix + std::to_string(i), value});
  }
  client.send_raw(pipeline);
  for (int i = 0; i < count; ++i) REQUIRE(to_text(client.read()) == "OK");
}

}  // namespace

TEST_SUITE("blackbox/links") {
  TEST_CASE(
      "links are cut, frozen and slow, servers killed: all end alike, and nothing answered is missing") {
    storm(3, 1);
  }

  TEST_CASE("a checkpoint whose link is cut goes on file by file") {
    const std::vector<std::string> small{"--memtable-size", "1mb"};
    ServerProcess primary(small), replica(small);
    fill(primary, "k", 16'000, 1);
    CHECK(ask(primary, {"COMPACT"}) == "OK");  // Nothing changes the tables any more.
    LinkProxy link(primary.port());
    link.cut_after(5'000'000);
    follow(replica, link.port());
    until("it is cut", [&] { return link.cuts() == 1; });
    link.cut_after(4'000'000);
    until("again", [&] { return link.cuts() == 2; });
    in_step(replica, primary);
    CHECK(all_strings(replica) == all_strings(primary));

    const std::vector<Asked> copies = asked(replica);
    REQUIRE(copies.size() == 3);
    CHECK(copies[0].tables > 6);
    const uint64_t longest_table = 3'000'000;
    CHECK(copies[0].bytes / copies[0].tables < longest_table);
    for (size_t i = 1; i < copies.size(); ++i) {
      CAPTURE(i);
      CHECK(copies[i].tables < copies[i - 1].tables);
      CHECK(copies[i].bytes < copies[i - 1].bytes);
    }
    // All that has passed: the tables once, of those that were cut off a part, and what is said besides.
    CHECK(link.bytes_from_target() < copies[0].bytes + 2 * longest_table);
    CHECK(link.bytes_from_target() > copies[0].bytes);
  }

  TEST_CASE("a replica that has most of the tables is sent the others only") {
    const std::vector<std::string> small{"--memtable-size",     "1mb", "--log-segment-size", "1mb",
                                         "--repl-backlog-size", "1mb"};
    ServerProcess primary(small), replica(small);
    fill(primary, "k", 8'000, 2);
    CHECK(ask(primary, {"COMPACT"}) == "OK");
    LinkProxy link(primary.port());
    follow(replica, link.port());
    in_step(replica, primary);
    replica.kill();
    fill(primary, "z", 8'000, 3);
    CHECK(ask(primary, {"SAVE"}) == "OK");
    replica.start();
    follow(replica, link.port());
    in_step(replica, primary);
    CHECK(all_strings(replica) == all_strings(primary));
    CHECK(info(primary, "sync_full") == "2");
    const std::vector<Asked> copies = asked(replica);
    REQUIRE(copies.size() == 2);
    CHECK(copies[0].bytes > 3'000'000);
    CHECK(link.bytes_from_target() < copies[0].bytes + copies[1].bytes + 3'000'000);
    MESSAGE("asked for ", copies[0].bytes, " bytes, then for ", copies[1].bytes);
  }
}

TEST_SUITE("slow/blackbox/links") {
  TEST_CASE("many rounds of cut, frozen and slow links, and of servers that are killed") {
    for (uint64_t seed = 2; seed < 6; ++seed) storm(30, seed);
  }
}
