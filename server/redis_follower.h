// server/redis_follower.h: this server as the replica of a Redis or a Valkey: the way in without downtime.
//
//     begin() ─▶ kGreeting ── +CONTINUE ───────────────────────────▶ kStreaming
//                 ▲     └─ +FULLRESYNC ─▶ kPromised ─▶ kLoading ─────────▲
//                 │                       all is emptied   portions of an RDB file, a batch each
//     kWaiting ◀──┴── any connection that ends, any error, silence
//
// It is fed bytes and gives bytes. Commands are executed as those of a transaction are, as many as have come
// in one batch, and never a part of a MULTI. The place in the primary's stream up to which its commands are
// here stands in that same batch (kPlaceKey), so after a crash, too, it goes on exactly there. A place is
// good for the epoch of the history it was written in: who has written something of his own meanwhile has
// begun another one.
//
// Expired keys are the primary's to delete: its commands see all keys as alive, whatever the clock here says.
//
// Invariants
//   V1  What is here is what the primary had at place(), once kLoading is over.
//   V2  No more is taken from the socket than kInputMax while what there is cannot be applied.
//   V3  What is acknowledged to the primary has been handed to the kernel here.
//
// Threads: the reactor.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "resp/input_buffer.h"
#include "resp/request_parser.h"
#include "server/rdb/loader.h"
#include "server/replay.h"

namespace server {

class Client;
struct Command;

class RedisFollower {
 public:
  static constexpr size_t kInputMax = 1 << 20;
  static constexpr std::string_view kPlaceKey = "P";

  // What it needs done.
  struct Host {
    std::function<void()> connect;  // connected() or disconnected() is called later.
    std::function<void(std::string_view)> send;
    std::function<void()> disconnect;
    std::function<Client*()> client;  // The connection, while there is one.
    std::function<bool()> may_write;
    std::function<std::string()> epoch;  // Of the history here.
  };
  RedisFollower(Server& server, Host host);

  // The connection leads to a Redis. From now on this server writes, so a new epoch has to begin; the one
  // before it is what decides whether the place that stands here is good.
  void begin();
  void stop();
  bool active() const { return state_ != State::kOff; }

  void connected();
  void disconnected(const std::string& why);
  void received(std::string_view bytes);
  bool wants_input() const { return !replay_.busy() || in_->size() < kInputMax; }
  void progressed();  // The engine got on.
  void tick();        // Some ten times a second.

  enum class State : uint8_t {
    kOff,
    kWaiting,
    kConnecting,
    kGreeting,
    kPromised,
    kLoading,
    kTail,
    kStreaming
  };
  State state() const { return state_; }
  bool link_up() const { return state_ == State::kStreaming; }
  bool in_sync() const {
    return state_ == State::kPromised || state_ == State::kLoading || state_ == State::kTail;
  }

  // ---- facts
  uint64_t last_io_us() const { return last_io_us_; }
  uint64_t down_since_us() const { return down_since_us_; }
  uint64_t offset() const { return place_.offset; }  // Of the primary's stream: up to here all is applied.
  uint64_t offset_read() const { return place_.offset + unapplied(); }
  uint64_t sync_bytes_total() const { return transfer_bytes_; }  // 0: the primary does not say.
  uint64_t sync_bytes_read() const { return loader_ ? loader_->offset() : 0; }

 private:
  // Where the primary's stream has been applied up to.
  struct Place {
    std::string id;  // Of the primary's history; empty: nowhere.
    uint64_t offset = 0;
    uint32_t database = 0;  // As its last SELECT says.
  };
  struct Call {
    const Command* command;
    std::string bytes;           // All arguments, end to end.
    std::vector<uint32_t> ends;  // Of each, in there.
    uint64_t end = 0;            // Its offset in the stream.
    bool timed = false;          // It counts from now, and so must see the clock.
  };
  struct Group {
    std::vector<Call> calls;
    size_t bytes = 0;
    uint64_t end = 0;
    bool timed = false;
    uint64_t seed = 0;
  };

  bool step();
  bool take_line(std::string* line);
  bool on_greeting();
  bool on_promise();
  bool load_more();
  bool on_tail();
  void load_portion();
  void put_place(View& view, const Place& place) const;
  void empty_all();
  void finish_load();
  bool gather();
  bool take_command(bool* full);
  void execute(const Group& group, Replay::Scene& scene, Place* place);
  void run_group();
  void read_place();
  void begin_stream();
  uint64_t unapplied() const;
  void process();
  void ack();
  void settle();
  void fail(const std::string& why);
  void wait();

  Server& server_;
  const Host host_;
  Replay replay_;
  State state_ = State::kOff;
  Place place_;
  bool processing_ = false;

  // Of the connection
  std::unique_ptr<resp::InputBuffer> in_;
  std::unique_ptr<resp::RequestParser> parser_;
  int answers_ = 0;                                   // To the greeting, so far.
  uint64_t stream_offset_ = 0, stream_position_ = 0;  // in_'s position that is this offset of the stream.

  // Of a full copy
  Place promised_;
  std::unique_ptr<rdb::Loader> loader_;
  std::shared_ptr<rdb::Portion> portion_;
  std::string mark_;             // What its end looks like; empty: its length is known.
  uint64_t transfer_bytes_ = 0;  // That length,
  uint64_t transfer_left_ = 0;   // and what has not been fed of it.
  size_t fed_ = 0;               // The front of in_, which the loader has been given.

  // Of the stream
  std::shared_ptr<Group> group_;
  std::optional<Call> held_;  // The first of the next group.
  bool in_transaction_ = false;
  bool ack_wanted_ = false;
  std::deque<std::pair<engine::Lsn, uint64_t>> unsettled_;  // Applied, perhaps not yet in the kernel.
  std::optional<uint64_t> settled_;

  uint64_t retry_at_us_ = 0, retry_wait_us_ = 0;
  uint64_t last_io_us_ = 0, down_since_us_ = 0, last_ack_us_ = 0;
};

}  // namespace server
