// replication/primary.h: the primary's side of one replica's connection.
//
//     kHello ─▶ answered ─┬─▶ streaming: records from its LSN on
//                         ├─▶ (what it wrote beyond this history it can give up: it is told, and comes again)
//                         └─▶ offering (a checkpoint is made) ─▶ offered ─▶ kWanted: sending tables ─▶
//                         streaming
//
// It is fed bytes and gives bytes. Records are read from the log as the connection takes them: what is on its
// way to a slow replica is bounded, and what it has not got stays in the log (and, while a checkpoint goes
// out, in pinned tables). Records of a millisecond go together while nobody waits for their being
// acknowledged: each message costs both sides a dozen system calls and thread switches. Tables go evenly, a
// small piece at a time: neither the disk nor the reactor is at it for longer than a command may notice.
//
// Invariants
//   P1  A replica is sent only what was handed to the kernel here, and under `always` only what is synced.
//   P2  From the making of a checkpoint on, the log is pinned from its flushed LSN until it has been read.
//
// Threads: the reactor. Tables and old records are read by workers.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "engine/engine.h"
#include "replication/history.h"
#include "replication/protocol.h"

namespace replication {

struct PrimaryOptions {
  uint64_t ping_period_us = 10'000'000;
  uint64_t timeout_us = 60'000'000;
  uint64_t checkpoint_bytes_per_second = 0;  // Of tables, to one replica; 0: as fast as it goes.
  bool prompt = true;                        // Somebody waits for acknowledgements.
  // The log is there from further back on, but cannot be read below this: who comes from there gets a copy.
  Lsn readable_from = 0;
};

class PrimarySession {
 public:
  static constexpr size_t kUnsentMax = 1 << 20;
  static constexpr size_t kTablesUnsentMax = 256 << 10;
  static constexpr uint64_t kReadBytes = 256 << 10;
  static constexpr uint64_t kTableReadBytes = 64 << 10;
  static constexpr size_t kNotesBytesMax = 64 << 20;
  static constexpr uint64_t kGatherUs = 1000;
  static constexpr uint64_t kGatherBytes = 64 << 10;
  static constexpr uint64_t kCatchUpUs = 20'000;  // Of the rate, when something else came in between.

  struct Peer {
    std::function<void(std::string)> send;
    std::function<size_t()> unsent;  // Bytes that were given to send() and have not left.
    std::function<void()> changed;   // An acknowledgement came, or it is over: closed() tells.
    // The log cannot be read at this LSN: from now on readable_from is to be higher. Null: nobody minds.
    std::function<void(Lsn)> unreadable;
    // A primary that stands aside greets us: becomes the primary in its place. Null: never.
    std::function<void()> take_over;
  };
  // `history` and `options` are the owner's, looked at whenever needed.
  PrimarySession(engine::Env& env, engine::Engine& engine, const History& history,
                 const PrimaryOptions& options, Peer peer);
  ~PrimarySession();
  PrimarySession(const PrimarySession&) = delete;
  PrimarySession& operator=(const PrimarySession&) = delete;

  void received(std::string_view bytes);
  // The log has grown, or the connection has taken something.
  void pump();
  void tick();  // Some ten times a second.
  // What goes with the records: the replica hears it when it has all that was written before.
  void publish(const Published& message);
  void tell(const Event& event);  // If it wants to hear of its class.
  uint32_t events() const { return online() ? wish_.events : 0; }
  // Ends it, for a reason that the replica is told. It may come again.
  void let_go(std::string why) { refuse(false, std::move(why)); }

  enum class State : uint8_t { kWaiting, kOffering, kOffered, kTables, kStreaming };
  State state() const { return state_; }
  // Not OK: it is over, for this reason; the connection is to be closed once all has been sent.
  const engine::Status& closed() const { return closed_; }
  const Hello& hello() const { return hello_; }
  // pump() left something undone because too much was unsent.
  bool wants_room() const { return wants_room_; }
  // When pump() is to be called though nothing has happened; 0: never.
  uint64_t due_us() const { return due_us_; }
  // It has caught up with a whole store and takes the stream.
  bool online() const { return state_ == State::kStreaming && ack_.streaming && closed_.ok(); }
  const Ack& ack() const { return ack_; }
  // The log stays from here on because of it; engine.end(): it holds none.
  Lsn holds_from() const { return reader_ ? reader_->position() : engine_.end(); }
  uint64_t last_ack_us() const { return last_ack_us_; }
  // Why it is given a checkpoint, and not just the stream; empty: it is given just the stream.
  const std::string& why_copied() const { return why_copied_; }

 private:
  void on_hello(std::string_view payload);
  std::string why_copy(std::optional<Lsn> common) const;
  void offer(std::optional<Lsn> common);
  void make_checkpoint(std::optional<Lsn> common);
  void on_wanted(std::string_view payload);
  void on_ack(std::string_view payload);
  void on_wish(std::string_view payload);
  void add_note(std::string message);
  void send_notes();
  bool has_room(size_t unsent_max);
  bool gathers();
  bool paced(uint64_t bytes);
  void send_tables();
  void send_records();
  void refuse(bool final, std::string why);
  void close(engine::Code code, std::string why);

  engine::Env& env_;
  engine::Engine& engine_;
  const History& history_;
  const PrimaryOptions& options_;
  Peer peer_;
  MessageReader in_;
  State state_ = State::kWaiting;
  engine::Status closed_;
  Hello hello_;
  Ack ack_;
  Wish wish_;
  struct Note {
    Lsn lsn;  // Where the log ended when it was made.
    std::string message;
  };
  std::deque<Note> notes_;
  size_t notes_bytes_ = 0;
  uint64_t last_ack_us_, last_sent_us_;
  uint64_t last_records_us_ = 0, due_us_ = 0;
  std::string why_copied_;
  bool wants_room_ = false;

  std::unique_ptr<engine::LogReader> reader_;
  std::shared_ptr<const engine::Checkpoint> checkpoint_;
  Wanted wanted_;
  size_t table_ = 0;  // Of wanted_.
  uint64_t table_offset_ = 0;
  bool reading_table_ = false;
  uint64_t next_table_us_ = 0;                   // By the rate.
  const std::shared_ptr<PrimarySession*> self_;  // Jobs find null here when the session is gone.
};

}  // namespace replication
