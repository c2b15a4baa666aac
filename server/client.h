// server/client.h: one connection: its socket, its buffers, and the command that it waits for.
//
//     socket ──▶ input ──▶ parser ──▶ requests ──▶ dispatch ──▶ output ──▶ gate ──▶ socket
//
// Reads and writes go straight to the socket; libuv tells when it is ready. While requests wait to be
// executed nothing is read, so their arguments stay where they are.
//
// Invariants
//   C1  Bytes are read only when no request is queued and no command waits.
//   C2  A Client lives until its handle is closed and nothing that was started for it is under way.
//
// Threads: the reactor. A worker reads the arguments of the command that waits for it, which C1 holds still.
#pragma once

#include <uv.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "engine/engine.h"
#include "resp/input_buffer.h"
#include "resp/output_buffer.h"
#include "resp/reply_writer.h"
#include "resp/request_parser.h"
#include "server/client_stream.h"
#include "server/reply_gate.h"
#include "server/request_queue.h"
#include "server/session.h"

namespace server {

class Client;
class Transaction;
struct PiecewiseReply;
class Watcher;
struct Command;

// Who is told what happens on a connection.
class ClientOwner {
 public:
  virtual void on_input(Client& client, size_t bytes) = 0;  // So many came.
  virtual void on_writable(Client& client) = 0;  // The socket takes more of what send() could not write.
  virtual void on_gone(Client& client) = 0;      // It will say and hear no more; destroy it when C2 allows.

 protected:
  ~ClientOwner() = default;
};

// What a command that has begun and not ended waits for.
struct Waiting {
  enum class For : uint8_t {
    kBlocks,     // Cold blocks, being fetched.
    kWorker,     // Its own run on a worker.
    kAdmission,  // Room for its writes.
    kPause,      // The end of CLIENT PAUSE.
    kKey,        // A key to hold something for it (server/blocking.h).
    kOutcome,    // Something that its handler started and that will answer (SAVE, COMPACT).
    kReader,     // Its client to take what there is of its reply.
  };
  For what = For::kBlocks;
  bool in_flight = false;  // Somebody will call back: C2.
  engine::ReadContext context;
  int64_t now_ms = 0;  // The command's clock and seed, the same in every run.
  uint64_t random_seed = 0;
  uint64_t started_us = 0;
  uint32_t runs = 0;
  uint32_t long_writes = 0;                // How often it was worked out in vain (server/long_write.h).
  bool blocked = false;                    // It has waited for a key, and may do so again.
  std::optional<std::string> ready_key;    // What this run is about.
  std::shared_ptr<PiecewiseReply> pieces;  // Its reply goes out as it is made (server/reply_source.h).

  // As Redis counts: for a key, or for the end of a pause.
  bool counts_as_blocked() const { return blocked || what == For::kPause; }
};

class Client {
 public:
  // Takes over a connected, non-blocking socket.
  Client(uv_loop_t* loop, int fd, uint64_t client_id, ClientOwner& owner);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  const uint64_t id;
  Session session;

  resp::InputBuffer input;
  resp::RequestParser parser;
  RequestQueue requests;
  resp::OutputBuffer output;
  resp::ReplyWriter reply;
  ReplyGate gate;
  std::unique_ptr<Waiting> waiting;
  std::unique_ptr<Transaction> transaction;  // Since MULTI; null: it is not in one.
  std::unique_ptr<Watcher> watcher;          // Null: it has never watched a key.
  std::unique_ptr<ClientStream> stream;      // Null: it speaks RESP.
  engine::Lsn last_write_lsn = 0;            // Where its last write ended: WAIT.

  // ---- the socket
  void read_on(bool wanted);  // Whether on_input() is wanted.
  // Whether it closes when the peer says no more although nothing is read: while a command waits for a key.
  void watch_for_end(bool wanted);
  enum class Sent : uint8_t { kAll, kSome, kGone };
  // Writes what the gate lets out; asks libuv to be called when the socket takes more.
  Sent send(const CommitPoint& commit);
  // Closes at once; on_gone() follows within this call.
  void close();
  // No more requests; closes once all replies are out.
  void close_after_reply() { close_after_reply_ = true; }
  bool closing_after_reply() const { return close_after_reply_; }
  bool closed() const { return closed_; }
  // C2: nothing refers to it any more.
  bool destructible() const { return handle_closed_ && !(waiting && waiting->in_flight); }

  bool is_unix_socket() const { return unix_socket_; }
  bool is_loopback() const { return loopback_; }
  const std::string& peer_address() const { return peer_address_; }  // "127.0.0.1:5000", "PATH:0".
  const std::string& local_address() const { return local_address_; }
  int fd() const { return fd_; }

  // ---- facts for CLIENT LIST, timeouts and limits
  int64_t created_ms = 0;
  int64_t last_interaction_ms = 0;
  const Command* last_command = nullptr;
  uint64_t over_soft_limit_since_us = 0;  // 0: its output is within the soft limit.
  uint64_t bytes_out = 0, commands = 0;

  // ---- where the server has it on a list
  bool in_dirty = false;  // Has output that nobody has tried to send.
  bool in_held = false;   // Its gate holds something.
  bool in_ready = false;  // Has work left over from an earlier turn.

 private:
  void update_poll();
  void on_poll(int status, int events);
  void on_readable();

  ClientOwner& owner_;
  uv_poll_t poll_{};
  int fd_;
  int polled_events_ = 0;
  bool want_read_ = false;
  bool want_write_ = false;
  bool watch_for_end_ = false;
  bool close_after_reply_ = false;
  bool closed_ = false;
  bool handle_closed_ = false;
  bool unix_socket_ = false;
  bool loopback_ = false;
  std::string peer_address_;
  std::string local_address_;
};

}  // namespace server
