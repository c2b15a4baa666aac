// What was acknowledged is there after a crash of the process, at whatever moment it comes.
//
// Writers on connections of their own, with keys of their own, send pipelines of random commands and note
// which were answered. Then the server is killed and started again. Of each writer's commands there must be a
// prefix: all that were answered, perhaps some of those that were not, none in part, nothing else. What the
// answers said must be what the model says.
#include <doctest/doctest.h>
#include <unistd.h>

#include <chrono>
#include <map>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/client.h"
#include "tests/support/server_process.h"

namespace {

using resp::Reply;
using resp::to_text;
using support::Client;
using support::Command;
using support::ServerProcess;

constexpr int kWriters = 4;
constexpr int kStrings = 12, kCounters = 4, kShort = 4;  // Keys of one writer, of each kind.
constexpr int kShortLifeMs = 20;
constexpr int kPipelineMax = 24;
constexpr size_t kLongOffset = 40'000;  // So that some strings are long ones.

using Random = std::mt19937_64;
uint64_t below(Random& random, uint64_t n) { return random() % n; }

struct Value {
  std::string text;
  bool expires = false;
  bool operator==(const Value&) const = default;
};
using State = std::map<std::string, Value>;

// Does what the server has to do; returns the reply as to_text() shows it.
std::string perform(const Command& command, State& state) {
  const std::string& verb = command[0];
  const auto number = [](int64_t n) { return std::to_string(n); };
  if (verb == "SET" || verb == "MSET") {
    const size_t end = verb == "MSET" ? command.size() : 3;
    for (size_t i = 1; i < end; i += 2) state[command[i]] = {command[i + 1]};
    if (verb == "SET" && command.size() > 3) state.erase(command[1]);  // Has expired before anybody looks.
    return "OK";
  }
  const std::string& key = command[1];
  if (verb == "APPEND") return number(static_cast<int64_t>((state[key].text += command[2]).size()));
  if (verb == "SETRANGE") {
    std::string& text = state[key].text;
    const size_t offset = std::stoul(command[2]);
    if (text.size() < offset + command[3].size()) text.resize(offset + command[3].size());
    text.replace(offset, command[3].size(), command[3]);
    return number(static_cast<int64_t>(text.size()));
  }
  if (verb == "INCRBY") {
    Value& value = state[key];
    value.text = number((value.text.empty() ? 0 : std::stoll(value.text)) + std::stoll(command[2]));
    return value.text;
  }
  if (verb == "DEL") return number(static_cast<int64_t>(state.erase(key)));
  const auto at = state.find(key);
  if (verb == "EXPIRE") {
    if (at != state.end()) at->second.expires = true;
    return number(at != state.end());
  }
  if (verb == "RENAME") {
    if (at == state.end()) return "(error) ERR no such key";
    const Value moved = at->second;
    state.erase(at);
    state[command[2]] = moved;
    return "OK";
  }
  throw std::logic_error("no such command in the model: " + verb);
}

class Writer {
 public:
  Writer(int number, uint64_t seed) : prefix_("w" + std::to_string(number) + ":"), random_(seed) {}

  // Until the connection breaks.
  void write(const ServerProcess& server) {
    sent_.clear();
    replies_.clear();
    try {
      Client client = Client::over_tcp(server);
      for (;;) {
        const size_t more = 1 + below(random_, kPipelineMax);
        std::string bytes;
        for (size_t i = 0; i < more; ++i) bytes += Client::encode(sent_.emplace_back(random_command()));
        client.send_raw(bytes);
        while (replies_.size() < sent_.size()) replies_.push_back(to_text(client.read()));
      }
    } catch (const std::runtime_error&) {
    }
  }

  // What the server has now must be what all answered commands and some of the others made.
  void check(Client& client) {
    INFO("writer ", prefix_, " sent ", sent_.size(), " commands and got ", replies_.size(), " answers");
    for (size_t i = 0; i < replies_.size(); ++i) {
      INFO("command ", i, ": ", to_line(sent_[i]));
      REQUIRE(perform(sent_[i], state_) == replies_[i]);
    }
    const State found = read_all(client);
    size_t executed = replies_.size();
    while (executed < sent_.size() && found != state_) perform(sent_[executed++], state_);
    if (found != state_) {
      // Back to what is certain, to name a key.
      for (const auto& [key, value] : state_) {
        INFO(key, " has ", value.text.size(), " bytes in the model and ",
             found.contains(key) ? std::to_string(found.at(key).text.size()) : "none", " in the server");
        CHECK((found.contains(key) && found.at(key) == value));
      }
      FAIL("no prefix of the commands gives what the server has");
    }
  }
  size_t answered() const { return replies_.size(); }
  size_t keys() const { return state_.size(); }

 private:
  static std::string to_line(const Command& command) {
    std::string line;
    for (const std::string& word : command)
      line += (word.size() > 40 ? "<" + std::to_string(word.size()) + " bytes>" : word) + " ";
    return line;
  }
  std::string string_key() { return prefix_ + "s" + std::to_string(below(random_, kStrings)); }
  // Written with a short life, and by nothing else.
  std::string short_key() { return prefix_ + "x" + std::to_string(below(random_, kShort)); }
  std::string counter_key() { return prefix_ + "c" + std::to_string(below(random_, kCounters)); }
  std::string random_text(size_t size_max) {
    std::string text(below(random_, size_max) + 1, 0);
    for (char& c : text) c = static_cast<char>(random_());
    return text;
  }
  Command random_command() {
    switch (below(random_, 16)) {
      case 0:
      case 1:
      case 2: return {"SET", string_key(), random_text(300)};
      case 3: return {"SET", string_key(), random_text(6000)};
      case 4:
        return {"SET", short_key(), "short-lived", "PX", std::to_string(1 + below(random_, kShortLifeMs))};
      case 5:
      case 6: return {"APPEND", string_key(), random_text(200)};
      case 7: return {"SETRANGE", string_key(), std::to_string(below(random_, 500)), random_text(100)};
      case 8:
        return {"SETRANGE", string_key(), std::to_string(below(random_, kLongOffset)), random_text(100)};
      case 9: return {"DEL", string_key()};
      case 10: return {"EXPIRE", string_key(), "100000"};
      case 11: return {"RENAME", string_key(), string_key()};
      case 12: {
        Command command{"MSET"};
        for (int i = 0; i < 4; ++i) {
          command.push_back(string_key());
          command.push_back(random_text(100));
        }
        return command;
      }
      case 13: return {"DEL", counter_key()};
      default:
        return {"INCRBY", counter_key(), std::to_string(static_cast<int64_t>(below(random_, 100)) - 20)};
    }
  }
  State read_all(Client& client) {
    State found;
    std::vector<std::string> keys;
    for (int i = 0; i < kStrings; ++i) keys.push_back(prefix_ + "s" + std::to_string(i));
    for (int i = 0; i < kCounters; ++i) keys.push_back(prefix_ + "c" + std::to_string(i));
    for (int i = 0; i < kShort; ++i) keys.push_back(prefix_ + "x" + std::to_string(i));
    for (const std::string& key : keys) {
      const Reply value = client.command({"GET", key});
      const Reply ttl = client.command({"TTL", key});
      if (value.is_null()) {
        CHECK(ttl.integer == -2);
        continue;
      }
      found[key] = {value.text, ttl.integer > 0};
    }
    return found;
  }

  const std::string prefix_;
  Random random_;
  State state_;
  std::vector<Command> sent_;
  std::vector<std::string> replies_;
};

// How the server's life ends in each round, and what may happen before it lives again.
enum class End { kKill, kKillAndAgainWhileItRecovers, kTerminate };

void run_rounds(uint64_t seed, int rounds, End end, const std::vector<std::string>& options) {
  CAPTURE(seed);
  Random random(seed);
  ServerProcess server(options);
  std::vector<Writer> writers;
  for (int n = 0; n < kWriters; ++n) writers.emplace_back(n, random());
  size_t answered = 0;
  for (int round = 0; round < rounds; ++round) {
    CAPTURE(round);
    std::vector<std::thread> threads;
    for (Writer& writer : writers) threads.emplace_back([&] { writer.write(server); });
    std::this_thread::sleep_for(std::chrono::microseconds(2000 + below(random, 60'000)));
    if (end == End::kTerminate)
      CHECK(server.stop() == 0);
    else
      server.kill();
    for (std::thread& thread : threads) thread.join();
    if (end == End::kKillAndAgainWhileItRecovers) {
      for (uint64_t times = below(random, 4); times > 0; --times)
        server.start_and_kill(std::chrono::microseconds(below(random, 30'000)));
    }
    server.start();
    std::this_thread::sleep_for(
        std::chrono::milliseconds(kShortLifeMs + 1));  // Past the short-lived keys' time.
    Client client = Client::over_tcp(server);
    size_t keys = 0;
    for (Writer& writer : writers) {
      writer.check(client);
      answered += writer.answered();
      keys += writer.keys();
    }
    // Expired keys count until they are reclaimed, as in Redis.
    const int64_t counted = client.command({"DBSIZE"}).integer;
    CHECK(counted >= static_cast<int64_t>(keys));
    CHECK(counted <= static_cast<int64_t>(keys) + kWriters * kShort);
  }
  CHECK(answered > 0);
}

// Memtables so small that the kill nearly always meets a flush or a compaction, and a log of many segments.
std::vector<std::string> tiny(std::vector<std::string> options = {}) {
  for (const char* word : {"--memtable-size", "64kb", "--maxmemory", "32mb", "--log-segment-size", "1mb"})
    options.emplace_back(word);
  return options;
}

}  // namespace

TEST_SUITE("blackbox/durability") {
  TEST_CASE("everysec: kill -9 loses nothing that was acknowledged") {
    run_rounds(1, 3, End::kKill, {"--appendfsync", "everysec"});
  }
  TEST_CASE("always: kill -9 loses nothing that was acknowledged") {
    run_rounds(2, 2, End::kKill, {"--appendfsync", "always"});
  }
  TEST_CASE("no: kill -9 loses nothing that was acknowledged") {
    run_rounds(3, 2, End::kKill, {"--appendfsync", "no"});
  }
  TEST_CASE("kill -9 amid flushes and compactions loses nothing") { run_rounds(4, 3, End::kKill, tiny()); }
  TEST_CASE("kill -9 during recovery, again and again, loses nothing") {
    run_rounds(5, 3, End::kKillAndAgainWhileItRecovers, tiny());
  }
  TEST_CASE("SIGTERM amid pipelines: status 0, and nothing acknowledged is lost") {
    run_rounds(6, 1, End::kTerminate, {});
    run_rounds(7, 2, End::kTerminate, tiny({"--appendfsync", "always"}));
  }

  TEST_CASE("a second server on the same directory is refused and told the pid of the first") {
    ServerProcess server;
    const support::Ended second = support::run_server(
        {"--dir", server.data_directory(), "--port", std::to_string(support::free_port())});
    CHECK(second.status != 0);
    CHECK(second.output.find(std::to_string(server.pid())) != std::string::npos);
    CHECK(to_text(Client::over_tcp(server).command({"SET", "k", "v"})) == "OK");
    // The lock goes with its process, however that ends.
    server.kill();
    server.start();
    CHECK(to_text(Client::over_tcp(server).command({"GET", "k"})) == "\"v\"");
  }
}

TEST_SUITE("slow/blackbox/durability") {
  TEST_CASE("many seeds, many rounds, every way to end") {
    for (uint64_t seed = 100; seed < 105; ++seed) {
      for (const char* fsync : {"everysec", "always", "no"}) {
        run_rounds(seed, 20, End::kKill, {"--appendfsync", fsync});
        run_rounds(seed, 20, End::kKillAndAgainWhileItRecovers, tiny({"--appendfsync", fsync}));
        run_rounds(seed, 10, End::kTerminate, tiny({"--appendfsync", fsync}));
      }
    }
  }
}
