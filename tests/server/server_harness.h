// tests/server/server_harness.h: a whole Server in this thread: real sockets, everything else simulated.
//
// Disk, clock, workers and randomness are SimWorld's, so a test may cut, fill or fail the disk and say when a
// worker's job is done. Only the sockets (pairs, of which the test holds one end) go through libuv.
#pragma once

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/sim.h"
#include "resp/reply_parser.h"
#include "server/command_line.h"
#include "server/config.h"
#include "server/engine_settings.h"
#include "server/keyspace.h"
#include "server/server.h"

namespace server {

// The client's end of a connection.
class Peer {
 public:
  explicit Peer(int fd) : fd_(fd) {}
  ~Peer() { hang_up(); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  void send(const std::vector<std::string>& words) { send_raw(encode(words)); }
  void send_raw(const std::string& text) {
    REQUIRE(::send(fd_, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
  }
  static std::string encode(const std::vector<std::string>& words) {
    std::string text = "*" + std::to_string(words.size()) + "\r\n";
    for (const std::string& word : words) text += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
    return text;
  }
  void hang_up() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  // What has come, as text, one reply each; "closed" when the server has ended the connection.
  std::vector<std::string> received() {
    std::vector<std::string> replies;
    while (take()) {
    }
    while (parser_.next(in_) == resp::ReplyParser::Outcome::kReply)
      replies.push_back(to_text(parser_.reply()));
    return replies;
  }
  // Reads a little; false: there is nothing.
  bool take() {
    const auto room = in_.room();
    const ssize_t n = ::recv(fd_, room.data(), room.size(), MSG_DONTWAIT);
    if (n > 0) in_.received(static_cast<size_t>(n));
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) closed_ = true;
    return n > 0;
  }
  bool closed() const { return closed_; }

 private:
  int fd_;
  bool closed_ = false;
  resp::InputBuffer in_;
  resp::ReplyParser parser_;
};

class Harness {
 public:
  explicit Harness(uint64_t seed, std::vector<const char*> options = {}, uint32_t cold_chance = 0,
                   std::unique_ptr<engine::SimDisk> disk = std::make_unique<engine::SimDisk>())
      : world(seed, std::move(disk)), config("/") {
    char directory[] = "/tmp/varve-harness-XXXXXX";
    REQUIRE(::mkdtemp(directory) != nullptr);
    directory_ = directory;
    const std::string socket = directory_ + "/socket";
    std::vector<const char*> words{"--port", "0",           "--unixsocket", socket.c_str(),           "--dir",
                                   "/data",  "--maxmemory", "32mb",         "--enable-debug-command", "yes"};
    words.insert(words.end(), options.begin(), options.end());
    auto line = parse_command_line(words);
    REQUIRE(line.ok());
    REQUIRE_MESSAGE(config.load(*world.disk, line.value(), "").ok(), "config");
    REQUIRE(world.disk->make_directory("/data").ok());
    REQUIRE(uv_loop_init(&loop) == 0);
    engine::EngineOptions engine_settings = engine_options(config.settings());
    engine_settings.cold_chance = cold_chance;
    engine_settings.memtable_bytes = 1 << 20;
    engine_settings.log_segment_bytes = 1 << 20;
    engine_settings.reserve_bytes = 1 << 20;
    auto opened = engine::Engine::open(world.env, engine_settings, schema_, nullptr);
    REQUIRE_MESSAGE(opened.ok(), opened.status().message());
    engine = std::move(opened).value();
    server = std::make_unique<Server>(&loop, world.env, *engine, config);
    const auto started = server->start();
    REQUIRE_MESSAGE(started.ok(), started.message());
  }
  ~Harness() {
    bool done = false;
    server->stop([&done](engine::Status) { done = true; });
    for (int i = 0; i < 100000 && !done; ++i) {
      step();
      world.clock.advance_us(100);  // It waits some seconds for commands that a broken disk keeps waiting.
    }
    CHECK(done);
    while (uv_run(&loop, UV_RUN_NOWAIT) != 0) world.executor.run_one();
    server.reset();
    engine.reset();
    CHECK(uv_loop_close(&loop) == 0);
    ::rmdir(directory_.c_str());
  }
  Harness(const Harness&) = delete;
  Harness& operator=(const Harness&) = delete;

  std::unique_ptr<Peer> connect() {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    server->on_connection(ends[0], true);
    return std::make_unique<Peer>(ends[1]);
  }

  // One turn of the loop, and one step of a worker or of what it brought forth.
  void step() {
    turn();
    world.executor.run_one();
    world.clock.advance_us(20);
  }
  // A turn without workers: as if they were all busy.
  void turn() { uv_run(&loop, UV_RUN_NOWAIT); }
  void turns(int count) {
    for (int i = 0; i < count; ++i) turn();
  }

  // Runs until `count` replies have come, or the connection is closed. A reply that waits for one of the
  // server's timers takes real time: after many steps for nothing each further lot begins at the loop's next
  // event, at the latest the tick.
  std::vector<std::string> replies(Peer& peer, size_t count) {
    constexpr int kStepsPerEvent = 10'000, kEventsMax = 300;
    std::vector<std::string> all;
    for (int i = 1; all.size() < count && !peer.closed(); ++i) {
      REQUIRE_MESSAGE(i < kStepsPerEvent * kEventsMax, "no reply came");
      if (i % kStepsPerEvent == 0) uv_run(&loop, UV_RUN_ONCE);
      step();
      for (std::string& reply : peer.received()) all.push_back(std::move(reply));
    }
    return all;
  }
  std::string call(Peer& peer, const std::vector<std::string>& words) {
    peer.send(words);
    const auto got = replies(peer, 1);
    return got.empty() ? "closed" : got[0];
  }

  engine::SimWorld world;
  Config config;
  uv_loop_t loop{};
  std::unique_ptr<engine::Engine> engine;
  std::unique_ptr<Server> server;

 private:
  KeyspaceSchema schema_;
  std::string directory_;
};

}  // namespace server
