// server/view.h: what a command's handler sees of the data, and the batch that it writes.
//
// A handler is a plain function: it reads through the view, writes into it, and has no other effect. If a
// block that it needs is not in memory the view leaves it by ColdRead; nothing had happened, the block is
// fetched, and the handler runs again from its start. A read-only handler that turns out long leaves by
// LongRead and runs once more on a worker, on a snapshot. One function catches both (server/dispatch).
//
// Reads see the handler's own writes. Values that reads return stay valid until the handler ends.
//
// Threads: one at a time: the reactor, or a worker for a LongRead.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "engine/batch.h"
#include "engine/engine.h"
#include "engine/reader.h"
#include "server/keyspace.h"

namespace server {

struct ColdRead {};    // Thrown: a block is missing; the ReadContext knows which.
struct LongRead {};    // Thrown: run this on a worker.
struct StorageError {  // Thrown: the disk or the data on it is bad; the reply is an error.
  engine::Status status;
};

// Gives out ids and answers what batches cannot know; the engine on the reactor, nobody on a worker.
class View {
 public:
  // `engine` is null on a worker: then nothing may be written and block() reads block.
  View(engine::Reader& reader, engine::Engine* engine, engine::Batch& batch, int64_t now_ms);
  ~View();

  int64_t now_ms() const { return now_ms_; }  // Frozen at the command's start.

  // ---- records as they are
  std::optional<std::string_view> get(std::string_view key);
  void put(std::string_view key, std::string_view value,
           engine::Existence before = engine::Existence::kUnknown);
  void erase(std::string_view key, engine::Existence before = engine::Existence::kUnknown);
  // All that a command will read, named first, so that one round fetches it: throws ColdRead if anything is
  // cold.
  void prefetch(std::span<const std::string> keys);
  // Records in [begin, end), own writes included. Throws ColdRead and StorageError where the iterator would
  // say kCold or kFailed. Charges the time budget: after `kLongReadRecords` steps on the reactor a read-only
  // command leaves by LongRead.
  class Range;
  Range range(std::string_view begin, std::string_view end);
  ObjectId new_object();
  void moved(ObjectId id, uint32_t generation);

  // ---- headers of user keys, expiry applied
  // Nothing when the key is absent or expired (an expired header is removed by this command if it writes).
  std::optional<Header> header(ObjectId database, std::string_view user_key);
  // Writes the header and keeps the index by time in step. `old` is what header() just gave, nullopt for
  // absent; kBlind: not looked (a plain SET).
  void put_header(ObjectId database, std::string_view user_key, const Header& header);
  // As put_header, for a writer that has not looked: whatever is there is overwritten unread.
  void put_header_blind(ObjectId database, std::string_view user_key, const Header& header);
  // Requires: header() gave it in this run.
  void erase_header(ObjectId database, std::string_view user_key);

  // ---- for the dispatcher
  engine::Lsn seen() const;  // The highest LSN of what was read.
  bool on_worker() const { return engine_ == nullptr; }
  bool may_leave() const;  // LongRead may be thrown: on the reactor, nothing written yet.
  // Charged by anything that walks: throws LongRead when the budget of a read-only command is spent.
  void charge(uint64_t steps);

 private:
  struct Overlay;
  engine::Reader& reader_;
  engine::Engine* engine_;
  engine::Batch& batch_;
  int64_t now_ms_;
  engine::Lsn seen_ = 0;
  uint64_t steps_ = 0;
  std::unique_ptr<Overlay> overlay_;  // The batch by key; made by the first write.
};

class View::Range {
 public:
  Range(Range&&) noexcept;
  ~Range();
  bool seek_first();  // All return whether there is a record.
  bool seek_last();
  bool seek(std::string_view key);
  bool seek_before(std::string_view key);
  bool next();
  bool prev();
  std::string_view key() const;
  std::string_view value() const;

 private:
  friend class View;
  struct Impl;
  explicit Range(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace server
