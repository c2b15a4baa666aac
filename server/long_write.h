// server/long_write.h: a command that writes one key, takes long and stays atomic: a worker works it out, and
// what is much goes into the store in steps before it can be seen.
//
//     handler ─▶ may_take_long() ─▶ walks far: LongRead
//                                      │
//     worker, over a snapshot:         ▼            ┌───────── again, if the key was written meanwhile
//              the handler anew ─▶ elements of new objects │ all other writes, the reply, the events
//                                      │                   │
//     reactor:      put, some at a time, under 'B' object  ▼
//              others go on between the steps ─────▶ one batch: the header refers to the object, 'B' goes
//
// So COPY, SUNIONSTORE, SORT … STORE, RESTORE make their result without holding others up, and LINSERT, LREM,
// LPOP search where nobody waits. In a transaction or a script all is done at once.
//
// Invariants
//   W1  Others see nothing of it before its last batch, and all of it from then on.
//   W2  The key that it writes is as the snapshot has it when that batch is applied; else it begins anew,
//       and after kAttempts it is done at once. What it only reads is as at the snapshot, all at one moment.
//   W3  An object that has elements and no header yet is named by a record 'B' from its first element on.
//       Who starts on such a record, or becomes a primary with it, erases that: the object dies with it.
//
// Threads: the reactor, but for work() and what handlers ask on a worker.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "resp/output_buffer.h"
#include "server/blocking.h"
#include "server/command.h"
#include "server/command_table.h"
#include "server/databases.h"
#include "server/key_watch.h"
#include "server/settings.h"

namespace server {

// ---- for handlers

// What a handler asks for.
struct LongWriteWanted {
  bool wanted = false;
  uint32_t database = 0;
  std::string key = {};
  std::optional<Header> header = {};  // Its payload is not looked at.
};

// From here on the command may leave for a worker. `key`: the only one that it writes (in its own database,
// or in `database`). To be called before its walks, and again in each run; reads the key's header.
void may_take_long(CommandContext& c, std::string_view key);
void may_take_long(CommandContext& c, std::string_view key, uint32_t database);

// Where such a command runs: good on the worker too.
const Settings& settings_of(const CommandContext& c);
const Databases& databases_of(const CommandContext& c);

// ---- for the dispatcher

class LongWrite : public std::enable_shared_from_this<LongWrite> {
 public:
  static constexpr uint32_t kAttempts = 3;
  static constexpr size_t kElementsAtOnce = 1000;
  static constexpr size_t kElementsPerStep = 250;
  static constexpr size_t kBytesPerStep = 64 << 10;
  static constexpr size_t kNewObjects = 4;  // A command makes at most so many.

  struct Job {
    Handler handler;
    std::span<const std::string_view> args;  // Held still by C1 (server/client.h).
    int64_t now_ms;
    uint64_t seed;
    uint64_t bulk_max;
    uint32_t database_number;
    ObjectId database;
  };
  LongWrite(Server& server, Client& client, const Job& job, LongWriteWanted wanted);

  // The client waits until it is answered, or its command begins anew.
  void start();

  // ---- on the worker
  const Settings& settings() const { return settings_; }
  const Databases& databases() const { return databases_; }
  // The elements of `to`, a new object, shall be those of `from`, as the snapshot has them.
  void copy_elements(ObjectId from, ObjectId to) { copies_.push_back({from, to, {}}); }

 private:
  struct Copy {
    ObjectId from, to;
    std::string reached;  // The next element's key.
  };

  void work();
  void worked();
  void raise_generations();
  void go_on();
  void put_some();
  void read_some();
  void write_rest();
  bool conflicts() const;
  void give_up(bool again);
  void end(const engine::Status& status, engine::Lsn lsn);
  bool left() const;

  Server& server_;
  Client& client_;
  const Job job_;
  const LongWriteWanted wanted_;
  // As they were when it began.
  const Settings settings_;
  const Databases databases_;
  std::shared_ptr<const engine::Snapshot> snapshot_;
  std::vector<ObjectId> new_objects_;
  Watcher watcher_;

  // Of the worker's run.
  resp::OutputBuffer output_;
  resp::ReplyWriter reply_{output_};
  BlockRequest block_;  // Never looked at: it has found what it waits for.
  Effects effects_;
  engine::Batch elements_, rest_;
  std::vector<Copy> copies_;
  engine::Status failure_;
  engine::Lsn seen_ = 0;

  std::vector<ObjectId> built_;  // Those that the header will refer to.
  size_t put_bytes_ = 0;         // Of elements_.
  bool begun_ = false;           // 'B' is in the store.
  bool conflict_ = false;
};

// What the server keeps of all of them: W3.
class LongWrites {
 public:
  explicit LongWrites(Server& server) : server_(server) {}
  // Now and then: erases what others have left unfinished, once it may.
  void tick();

 private:
  friend class LongWrite;
  void sweep();

  Server& server_;
  std::set<ObjectId> under_way_;
  bool swept_ = false;
};

}  // namespace server
