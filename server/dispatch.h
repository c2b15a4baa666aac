// server/dispatch.h: from a parsed request to a reply in the output buffer.
//
//     process() ─▶ parse ahead ─▶ check ─▶ run ─┬─▶ finish: apply the batch, hold the reply, count
//                                   ▲           ├─ ColdRead ──▶ fetch ──────────▶ run again
//                                   │           ├─ LongRead ──▶ run on a worker ─▶ finish
//                                   ├── blocked ◀─ nothing there (BLPOP): until a key is written, or time is
//                                   up └── parked ◀┴─ no room for its writes, or CLIENT PAUSE
//
// This is the one place that catches what a view throws. Before a handler runs the reply's place is marked
// and the batch is empty; when it is left, the reply is taken back and the batch cleared: nothing has
// happened. A connection whose command waits executes nothing else meanwhile.
//
// Invariants
//   D1  A command's clock and random seed are the same in all of its runs.
//   D2  A batch is applied at most once, after the handler has returned.
//   D3  One call of process() executes at most kCommandsPerTurn requests and then lets others go first.
//
// A read-only command that keeps meeting cold blocks goes on on a worker. Any other has to come to its end
// here, and a walk over a large cold collection that began anew at every block would take the square of its
// length. So after kRoundsBeforeReadAhead rounds of fetching, each cold block of a walk brings those behind
// it along, twice as many a round, which bounds the repeated work by the work; and after
// kRoundsBeforeBlocking (it leaps from one cold place to the next) it reads where it stands, and everybody
// waits. INFO counts that.
//
// Four files: dispatch.cc is a connection's turn, dispatch_run.cc one run of one command, dispatch_waits.cc
// is about commands that wait, dispatch_pieces.cc about those whose reply is longer than what should be in
// memory at once.
//
// Threads: the reactor. run_on_worker() is what a worker runs; it touches only what was handed to it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/batch.h"
#include "engine/engine.h"
#include "server/blocking.h"
#include "server/call_log.h"
#include "server/client.h"
#include "server/command.h"
#include "server/command_table.h"
#include "server/long_write.h"
#include "server/present_reader.h"

namespace server {

class Dispatcher {
 public:
  static constexpr unsigned kCommandsPerTurn = 64;
  static constexpr uint64_t kTurnBudgetUs = 1000;
  static constexpr size_t kParseAhead = 16;
  static constexpr uint32_t kRoundsBeforeReadAhead = 2;
  static constexpr uint32_t kReadAheadBlocksMax = 4096;
  static constexpr uint32_t kRoundsBeforeBlocking = 32;

  Dispatcher(Server& server, engine::Engine& engine, engine::Env& env);

  // Executes what `client` has sent, as far as its turn goes.
  void process(Client& client);
  // Tries those again that wait for admission or for the end of a pause.
  void retry_parked();
  bool any_parked() const { return !parked_.empty(); }
  // Runs those again for whose keys something has come.
  void serve_blocked();
  size_t blocked() const;  // For a key, or for the end of CLIENT PAUSE.
  // Ends the waits whose time is up.
  void time_out_blocked();
  // CLIENT UNBLOCK: false: it does not wait for a key.
  bool unblock(uint64_t client_id, Unblock how);
  // The server is a replica now: nothing will come by anybody's hand.
  void unblock_all();
  // What waiting commands hold of the store: it is another one now. Requires: none fetches.
  void forget_blocks();
  // The client is closed: forgets that it was parked.
  void forget(Client& client);

  // For a handler that starts something and answers later: the command stays open until answer() is called,
  // once, on the reactor, with the client it was given. The answer tells of what was written up to `lsn`.
  void suspend(Client& client);
  // The same, for one that has come to nothing: the command begins anew.
  void begin_anew(Client& client);
  // What is said to who wants to write and may not, and where the disk fails.
  std::string refusal_error() const;
  static std::string storage_error(const engine::Status& status);
  template <typename Write>
  void answer(Client& client, Write write, engine::Lsn lsn = 0) {
    if (in_handler_) {  // It was done at once. But the command that started it has to return first.
      env_.executor.post(engine::Task([this, &client, write, lsn] { answer(client, write, lsn); }));
      return;
    }
    if (!begin_answer(client)) return;
    const uint64_t mark = client.reply.mark();
    write(client.reply);
    end_answer(client, mark, lsn);
  }

  // ---- for replies that go out in pieces (server/reply_source.h)
  // The client has taken some of what it was sent.
  void more_room(Client& client);
  // What others say to it stands behind the reply. False: nothing is in its way.
  static bool say_behind_reply(Client& client, std::string_view bytes, engine::Lsn lsn);
  static size_t bytes_behind_reply(const Client& client);
  // It has taken nothing for long, and keeps old data on the disk meanwhile.
  static bool reader_is_stuck(Client& client, uint64_t now_us);

  // How many connections wait for data, room or an outcome.
  size_t waiting() const { return waiting_; }
  uint64_t now_us() const { return now_us_; }  // When the running command began.

 private:
  enum class Ran : uint8_t { kDone, kWaits };
  using Request = RequestQueue::Request;
  using Args = std::span<const std::string_view>;
  struct LongRun;
  struct Piece;

  bool parse(Client& client);
  void prefetch(Client& client);
  Ran execute(Client& client, Request request);
  bool refused(Client& client, const Command& command, Args args);
  bool must_pause(uint32_t flags) const;
  engine::Engine::Admission admit(uint32_t flags, size_t bytes);
  void queue(Client& client, const Request& request);
  enum class Run : uint8_t { kInEarnest, kRehearsal };  // server/nested_call.h

  struct Fate;
  struct Attempt;
  Ran run(Client& client, const Request& request, uint32_t flags, Run kind);
  Fate fate_of(Client& client);
  engine::ReadContext& reads_of(Client& client);
  void clear_scratch();
  Ran call(Attempt& attempt);
  void meet_key(Attempt& attempt);
  void take_back(const Attempt& attempt);
  Waiting& must_wait(const Attempt& attempt, Waiting::For what);
  std::optional<Ran> find_room(const Attempt& attempt, size_t bytes);
  Ran rehearsed(Attempt& attempt);
  void settle(Attempt& attempt);
  void finish(Client& client, const Request& request, uint64_t mark, engine::Lsn lsn, bool wrote);
  void reject(Client& client, const Command* command, std::string_view error);
  static void hurry(engine::ReadContext& reads);
  void after_reply(Client& client, uint64_t mark, bool push = false);
  void warn_of_http(Client& client);

  Waiting& wait(Client& client, Waiting::For what);
  Ran park(Client& client, Waiting::For what);
  void block(Client& client, bool absent);
  void end_block(Client& client, Unblock how);
  void fetch(Client& client);
  void run_on_worker(Client& client, const Request& request);
  Ran begin_long_write(const Attempt& attempt);
  void worker_done(Client& client, LongRun& run);
  void tell_of(Client& client, LongRun& run, bool remembers);
  void begin_pieces(Client& client, LongRun& run);
  void make_piece(Client& client);
  void end_pieces(Client& client, uint64_t mark);
  void rerun(Client& client);
  void end_wait(Client& client);
  void go_on(Client& client);
  void go_on_later(Client& client);
  void drop(Client& client);
  bool begin_answer(Client& client);
  void end_answer(Client& client, uint64_t mark, engine::Lsn lsn);

  Server& server_;
  engine::Engine& engine_;
  engine::Env& env_;

  // Reused by every command: no allocation on the way.
  engine::Batch batch_;
  engine::ReadContext context_;
  Effects effects_;
  CallLog calls_;
  PresentReader present_;
  std::string key_;

  BlockRequest block_;
  LongWriteWanted long_write_;
  bool serving_ = false;
  bool in_handler_ = false;
  uint64_t seed_;
  uint64_t now_us_ = 0;        // The running command's start: the end of the one before it.
  int64_t turn_ms_ = 0;        // Wall clock and
  uint64_t turn_us_ = 0;       // monotonic clock when this connection's turn began.
  size_t admitted_bytes_ = 0;  // What the engine has room for, as it told the running command.
  uint64_t last_http_warning_us_ = 0;
  size_t waiting_ = 0;
  std::vector<Client*> parked_;
};

}  // namespace server
