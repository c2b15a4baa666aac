// tests/server/sim_server.h: the server's inside in the simulated world: parser, dispatcher, commands and
// engine on a disk in memory, with workers that run when the seed says so. No socket is read; the event loop
// does not run.
#pragma once

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <memory>
#include <string>
#include <vector>

#include "engine/sim.h"
#include "resp/reply_parser.h"
#include "server/authorize.h"
#include "server/config.h"
#include "server/server.h"

namespace server {

class SimServer {
 public:
  // `cold_chance` (of 2^32): with it a block that is in memory is treated as cold.
  explicit SimServer(uint64_t seed, uint32_t cold_chance = 0)
      : world(seed), cold_chance_(cold_chance), config_("/") {
    uv_loop_init(&loop_);
    open();
  }
  ~SimServer() {
    close();
    uv_loop_close(&loop_);
  }
  SimServer(const SimServer&) = delete;
  SimServer& operator=(const SimServer&) = delete;

  // Stops in order and starts again on the same data.
  void restart() {
    close();
    open();
  }

  struct Connection {
    Client* client;
    resp::InputBuffer replies;
    resp::ReplyParser parser;
  };
  std::unique_ptr<Connection> connect() {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
    ::close(ends[1]);
    auto made = std::make_unique<Connection>();
    made->client = &server->clients().add(&loop_, ends[0], *server);
    become_default_user(*server, made->client->session);
    return made;
  }

  void send(Connection& to, const std::vector<std::string>& words) {
    std::string request = "*" + std::to_string(words.size()) + "\r\n";
    for (const std::string& word : words)
      request += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
    to.client->input.append(request);
    server->dispatcher().process(*to.client);
  }
  // Whether the reply to what was sent first is there, in connection.parser.reply().
  bool replied(Connection& from) {
    if (!from.client->waiting && !from.client->output.empty()) {
      from.replies.append(from.client->output.to_string());
      from.client->output.consume(from.client->output.size());
    }
    return from.parser.next(from.replies) == resp::ReplyParser::Outcome::kReply;
  }
  // One drawn step of the world, and the end of a turn; false when nothing was waiting: then time passes.
  bool step() {
    const bool ran = world.executor.run_one();
    if (!ran) {
      world.clock.advance_ms(1);
      if (!server->still()) engine->tick();
    }
    if (!server->still()) engine->end_turn();
    server->dispatcher().retry_parked();
    server->batches().retry();
    return ran;
  }
  resp::Reply wait(Connection& from) {
    for (int idle = 0; !replied(from);) {
      idle = step() ? 0 : idle + 1;
      REQUIRE(idle < 1000);
    }
    return from.parser.reply();
  }
  resp::Reply command(const std::vector<std::string>& words) {
    send(*connection, words);
    return wait(*connection);
  }
  std::string text(const std::vector<std::string>& words) { return resp::to_text(command(words)); }

  engine::SimWorld world;
  std::unique_ptr<engine::Engine> engine;
  std::unique_ptr<Server> server;
  std::unique_ptr<Connection> connection;  // That of command().

 private:
  void open() {
    engine::EngineOptions options;
    options.directory = "/db";
    options.memory_bytes = 1 << 20;
    options.memtable_bytes = 16 << 10;
    options.log_segment_bytes = 256 << 10;
    options.reserve_bytes = 0;
    options.cold_chance = cold_chance_;
    auto opened = engine::Engine::open(world.env, options, schema_, nullptr);
    REQUIRE(opened.ok());
    engine = std::move(opened).value();
    server = std::make_unique<Server>(&loop_, world.env, *engine, config_);
    REQUIRE(server->databases().open(*engine, 16).ok());
    connection = connect();
  }
  void close() {
    server->batches().stop();
    server->clients().each([](Client& client) { client.close(); });
    world.executor.run_all();
    uv_run(&loop_, UV_RUN_NOWAIT);
    engine->stop([](const engine::Status&) {});
    world.executor.run_all();
    connection.reset();
    server.reset();
    engine.reset();
  }

  const uint32_t cold_chance_;
  KeyspaceSchema schema_;
  Config config_;
  uv_loop_t loop_{};
};

}  // namespace server
