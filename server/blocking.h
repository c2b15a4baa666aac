// server/blocking.h: connections whose command waits until a key holds something for it.
//
//     handler says c.block ─▶ add() ──▶ ┌ waiting ┐ ◀──────────── passed(): there was nothing for it
//                                       └────┬────┘                   ▲
//     a batch that puts the key ─▶ applied() ▼                        │
//     after the command:           next() ─▶ running: its command runs anew, for that one key
//                                            └─▶ remove(): it is answered, timed out, or gone
//
// Nothing is handed to a waiter by whoever wrote the key: the waiter's own command runs again, with all that
// belongs to a run (cold blocks, a full memtable, errors). So whatever makes a key come to be, RENAME, COPY,
// RESTORE or SORT STORE, serves those who wait for it, and a transaction does so once, as a whole.
//
// Invariants
//   B1  Per key, waiters are tried in the order in which they came; who is tried in vain keeps its place.
//   B2  While a waiter runs, nobody else is tried for the key that it runs for.
//   B3  Keys are served in the order in which they were written, and each waiter for the key that was
//       written, not for another one of its keys (as Redis 7.0 does).
//
// Threads: the reactor. Not here: running commands and replying (server/dispatch.h), timers
// (server/server.h).
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "server/keyspace.h"

namespace engine {
class Batch;
}

namespace server {

class Databases;
struct CommandContext;

// What a handler asks for when it finds nothing: to run again when one of the keys holds something of this
// type.
struct BlockRequest {
  bool wanted = false;
  Type type = Type::kList;
  std::span<const std::string_view> keys;  // Of the command's arguments.
  int64_t timeout_ms = 0;                  // 0: for ever.
  // It runs again, too, when a key is gone or holds something else.
  bool when_gone = false;
  std::string remember = {};  // What the run that waits shall know of this one.
};

// How CLIENT UNBLOCK ends a wait.
enum class Unblock : uint8_t { kNo, kTimeout, kError, kRoleChanged };

class Blocking {
 public:
  // A connection waits, until this time (monotonic; 0: for ever). Requires: it does not wait yet.
  void add(uint64_t client, uint32_t database, const BlockRequest& request, uint64_t deadline_us);
  void remove(uint64_t client);  // It waits no more, for whatever reason. Fine if it does not.
  size_t size() const { return waiters_.size(); }
  bool contains(uint64_t client) const { return waiters_.contains(client); }

  // ---- what happens to keys
  // The batch has been applied, and `databases` says where each of them is now.
  void applied(const engine::Batch& batch, const Databases& databases);
  // Keys may have come to be without being written: databases were swapped.
  void databases_changed();

  // ---- serving
  bool any_ready() const { return !ready_.empty(); }
  struct Turn {
    uint64_t client;
    std::string_view key;  // Until the client is removed or has passed.
  };
  // Whose turn it is: from now on it runs, until remove() or passed().
  std::optional<Turn> next();
  // Whether the waiter has anything to do with what its key holds now.
  bool wants(uint64_t client, const std::optional<Header>& header) const {
    const Waiter& waiter = waiters_.at(client);
    return waiter.when_gone || (header && header->type == waiter.type);
  }
  std::string_view remembered(uint64_t client) const { return waiters_.at(client).remember; }
  // It ran in vain and waits on. `absent`: the key is gone, nothing is left for those behind it either,
  // unless that is what they wait for. Returns how its wait is to be ended now, if that was asked for
  // meanwhile.
  Unblock passed(uint64_t client, bool absent, uint64_t now_us);

  // ---- the end of waiting
  uint64_t next_deadline_us() const { return deadlines_.empty() ? 0 : deadlines_.begin()->first; }
  std::vector<uint64_t> due(uint64_t now_us) const;
  // CLIENT UNBLOCK. kNo: it does not wait; kTimeout: end it; kError: it runs, and passed() will say so.
  enum class Ended : uint8_t { kNotWaiting, kNow, kLater };
  Ended end(uint64_t client, Unblock how);

 private:
  struct Waiter {
    uint64_t order = 0;  // B1
    Type type = Type::kList;
    bool when_gone = false;
    std::string remember;
    std::vector<std::string> keys;  // Each with its database, see name_of().
    uint64_t deadline_us = 0;
    std::string running_for;  // Empty: it does not run.
    bool skipped = false;     // Another key of its became ready while it ran.
    Unblock ended = Unblock::kNo;
  };
  struct Queue {
    std::map<uint64_t, uint64_t> waiters;  // Order -> client.
    size_t when_gone = 0;                  // So many of them want to know when the key is gone.
    bool ready = false;
    uint64_t tried = 0;    // Everyone up to this order has been tried since it became ready.
    bool running = false;  // B2
  };

  static std::string name_of(uint32_t database, std::string_view key);
  void mark_ready(const std::string& name, Queue& queue);
  void stop_running(Waiter& waiter);

  std::unordered_map<uint64_t, Waiter> waiters_;
  std::unordered_map<std::string, Queue> queues_;
  std::deque<std::string> ready_;  // Names of queues that may be served; some may be out of date.
  std::set<std::pair<uint64_t, uint64_t>> deadlines_;  // Time, client. Of those that do not run.
  uint64_t next_order_ = 1;
};

// ---- for handlers

// BLPOP's argument: seconds with a fraction, as milliseconds. Nothing: the error is written.
std::optional<int64_t> parse_block_timeout(CommandContext& c, std::string_view text);
// The keys that this run is about: all that the command names, or the one that has become ready.
std::span<const std::string_view> keys_to_try(CommandContext& c, std::span<const std::string_view> keys);
// There was nothing. Waits for one of the keys, or, where that cannot be (in MULTI, in a script), writes
// `nothing`.
enum class Nothing : uint8_t { kNull, kNullArray };
void block_for(CommandContext& c, Type type, std::span<const std::string_view> keys, int64_t timeout_ms,
               Nothing nothing);
void block_for(CommandContext& c, BlockRequest request, Nothing nothing);

}  // namespace server
