// replication/replica.h: the replica's side: it follows one primary for ever.
//
//            start()                connected()            kContinue
//     kOff ──────────▶ kWaiting ─▶ kConnecting ─▶ kGreeting ─────────▶ kStreaming
//       ▲                ▲  │ back-off                │ kCheckpoint         ▲
//       └── stop()       │  └─────────                ▼                     │ the engine is open again
//                        │                        kCheckpoint ─▶ kInstalling┘ (kDiverged: kInstalling,
//                        kWaiting) └── any connection that ends, any error, silence; twice as long a wait
//                        each time
//
// It is fed bytes and gives bytes. Records are applied in the order of their LSNs, each whole; where the
// engine has no room it stops taking input. A checkpoint is gathered beside the store that serves on
// (engine/incoming.h), by workers, and takes its place when it is whole.
//
// Invariants
//   R1  The log here is at every moment a prefix of the history that it says it is of.
//   R2  A tail that the primary's history does not have goes to a file of its own before it is given up.
//
// Threads: the reactor.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "engine/engine.h"
#include "engine/incoming.h"
#include "replication/history.h"
#include "replication/protocol.h"

namespace replication {

struct ReplicaOptions {
  uint64_t timeout_us = 60'000'000;
  uint64_t retry_us = 500'000;  // The first wait; each is twice the last,
  uint64_t retry_max_us = 8'000'000;
  uint64_t ack_period_us = 1'000'000;
  std::string run_id, announce_ip;
  uint64_t port = 0;
  bool take_over = false;  // Whoever is greeted is to become the primary.
};

// What it needs done.
class ReplicaHost {
 public:
  virtual void connect() = 0;  // connected() or disconnected() is called later.
  virtual void send(std::string bytes) = 0;
  virtual void disconnect() = 0;  // No call of disconnected() follows.
  // Makes the record the newest writes (Engine::apply_foreign), and tells whoever has to know.
  virtual void apply(const engine::Batch& record) = 0;
  // Engine::reopen() and all that depends on it; afterwards `done`. Not OK: there is no store any more.
  virtual void reopen(std::function<void(engine::Status)> done) = 0;
  virtual void published(const Published& message) = 0;
  virtual void happened(const Event& event) = 0;
  virtual void say(const std::string& what) = 0;  // For people.

 protected:
  ~ReplicaHost() = default;
};

class Replica {
 public:
  static constexpr size_t kInputMax = 4 << 20;  // More is not taken while what there is cannot be used.

  Replica(engine::Env& env, engine::Engine& engine, const History& history, const ReplicaOptions& options,
          ReplicaHost& host);
  ~Replica();
  Replica(const Replica&) = delete;
  Replica& operator=(const Replica&) = delete;

  void start();
  // False: it is just installing a checkpoint and cannot be stopped.
  bool stop();
  bool off() const { return state_ == State::kOff; }

  void connected();
  void disconnected(const std::string& why);
  void received(std::string_view bytes);
  bool wants_input() const { return in_.buffered() < kInputMax; }
  // The engine got on.
  void progressed();
  void tick();                 // Some ten times a second.
  void wish(uint32_t events);  // Of which it wants to hear from now on.

  enum class State : uint8_t {
    kOff,
    kWaiting,
    kConnecting,
    kGreeting,
    kCheckpoint,
    kInstalling,
    kStreaming,
  };
  State state() const { return state_; }
  bool link_up() const { return state_ == State::kStreaming; }
  bool in_sync() const { return state_ == State::kCheckpoint || state_ == State::kInstalling; }

  // ---- facts
  uint64_t last_io_us() const { return last_io_us_; }
  uint64_t down_since_us() const { return down_since_us_; }
  Lsn primary_end() const { return primary_end_; }
  uint64_t sync_bytes_total() const { return sync_total_; }
  uint64_t sync_bytes_left() const { return sync_left_; }
  uint64_t sync_bytes_read() const { return sync_total_ - sync_left_; }
  uint64_t full_copies() const { return full_copies_; }
  uint64_t cuts() const { return cuts_; }  // How often it gave up a tail and continued.
  uint64_t continues() const { return continues_; }
  const std::string& refusal() const { return refusal_; }  // What the primary said when it last refused.

 private:
  void process();
  bool handle(MessageType type, std::string_view payload);
  void on_continue(const Continue& answer);
  void on_diverged(Lsn common);
  void go_back(Lsn common);
  void on_checkpoint(CheckpointOffer offer);
  void begin_incoming();
  void ask_for_tables();
  void on_file(FilePart part);
  void on_checkpoint_records(engine::LogChunk chunk);
  void maybe_install();
  void install();
  bool apply_some();
  void look_ahead();
  void ack(bool now);
  void say_wish();
  void fail(const std::string& why);
  void give_up(const std::string& why);  // The same, of an installation.
  void wait();
  // Runs `work` on a worker; nothing more is handled until `then` has been called with its outcome, or the
  // connection has ended.
  void on_worker(std::function<engine::Status()> work, std::function<void()> then);
  struct Tail;  // What is put aside before a checkpoint takes the store's place.
  void save_tail(Lsn common, std::function<void()> then);
  void save_more(std::shared_ptr<Tail> tail);

  engine::Env& env_;
  engine::Engine& engine_;
  const History& history_;
  const ReplicaOptions& options_;
  ReplicaHost& host_;
  State state_ = State::kOff;
  MessageReader in_;
  uint64_t generation_ = 0;  // Of the connection: what workers bring for an older one is dropped.
  int working_ = 0;          // Jobs under way, those of older connections included.
  bool busy_ = false;
  uint64_t retry_at_us_ = 0, retry_wait_us_ = 0;
  uint64_t last_io_us_ = 0, down_since_us_ = 0, last_ack_us_ = 0;
  Ack last_ack_;
  uint32_t wish_ = 0, wish_said_ = 0;  // The second: on this connection.
  Lsn primary_end_ = 0;

  // Records that the engine has not taken yet.
  engine::LogChunk chunk_;
  std::string_view rest_;  // Into chunk_.payload.
  engine::Batch batch_;
  std::string_view record_;    // The next one, already in batch_; empty: none.
  unsigned looked_ahead_ = 0;  // At so many records of rest_.

  CheckpointOffer offer_;
  std::shared_ptr<engine::IncomingCheckpoint> incoming_;
  std::shared_ptr<const engine::Snapshot> keep_tables_;  // Those that need not come.
  std::unique_ptr<engine::LogReader> tail_reader_;
  uint64_t sync_total_ = 0, sync_left_ = 0;
  uint64_t full_copies_ = 0, cuts_ = 0, continues_ = 0;
  std::string refusal_;
  const std::shared_ptr<Replica*> self_;
};

}  // namespace replication
