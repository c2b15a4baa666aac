// server/view.h: what a command's handler sees of the data, and the batch that it writes.
//
// A handler is a plain function: it reads through the view, writes into it, and has no other effect. If a
// block that it needs is not in memory the view leaves it by ColdRead; nothing had happened, the block is
// fetched, and the handler runs again from its start. A read-only handler that turns out long leaves by
// LongRead and runs once more on a worker, on a snapshot. One function catches both (server/dispatch).
//
// Reads see the handler's own writes. Values that reads return stay valid until the handler ends.
//
// A command that writes a single key may leave by LongRead too; it is then worked out by a worker and written
// in steps (server/long_write.h).
//
// Threads: one at a time: the reactor, or a worker for a LongRead.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/batch.h"
#include "engine/engine.h"
#include "engine/reader.h"
#include "server/keyspace.h"

namespace server {

class KeyWatcher;  // server/key_watcher.h

struct ColdRead {};    // Thrown: a block is missing; the ReadContext knows which.
struct LongRead {};    // Thrown: run this on a worker.
struct StorageError {  // Thrown: the disk or the data on it is bad; the reply is an error.
  engine::Status status;
};

class View {
 public:
  // On the reactor `engine` gives out ids; on a worker it is null and nothing may be written.
  View(engine::Reader& reader, engine::Engine* engine, engine::Batch& batch, int64_t now_ms);
  ~View();
  View(const View&) = delete;
  View& operator=(const View&) = delete;

  int64_t now_ms() const { return now_ms_; }  // Frozen at the command's start.

  // On a worker: it may write all the same. Its new objects get these ids, which outlive it; what is put
  // under them goes to `elements` and not into the batch.
  void allow_writes(std::span<const ObjectId> new_objects, engine::Batch& elements) {
    elements_ = &elements;
    new_objects_ = new_objects;
  }

  // Who hears of keys that are missed, created or found expired; null: nobody.
  void watch(KeyWatcher* watcher) { watcher_ = watcher; }

  // ---- records as they are
  std::optional<std::string_view> get(std::string_view key);
  // The same; if the key is cold, those that `ahead` names are fetched along, as it is likely to be followed
  // by them.
  using Ahead = std::function<void(std::vector<std::string>& keys)>;
  std::optional<std::string_view> get(std::string_view key, const Ahead& ahead);
  // As get() of each, fetched together. Replaces *values.
  void get_all(std::span<const std::string> keys, std::vector<std::optional<std::string_view>>* values);
  void put(std::string_view key, std::string_view value,
           engine::Existence before = engine::Existence::kUnknown);
  void erase(std::string_view key, engine::Existence before = engine::Existence::kUnknown);
  // All that a command will read, named first, so that one round fetches it. Throws ColdRead if anything is
  // cold.
  void prefetch(std::span<const std::string> keys);
  // Records in [begin, end) (empty end: no end), own writes included. Moving throws ColdRead, StorageError,
  // and is charged, for what erased records it passes over as well.
  class Range;
  Range range(std::string_view begin, std::string_view end);
  // A key of a record in [begin, end) by chance, or nothing this time (engine::Reader::sample). Not of this
  // batch. Throws ColdRead, StorageError.
  std::optional<std::string> sample(std::string_view begin, std::string_view end, uint64_t random);
  ObjectId new_object();

  // ---- headers of user keys, expiry applied
  // Nothing when the key is absent or has expired.
  std::optional<Header> header(ObjectId database, std::string_view user_key);
  // As header() for many keys: fetched together. Throws ColdRead if any is cold.
  void prefetch_headers(ObjectId database, std::span<const std::string_view> user_keys);
  // Writes the header and keeps the index by time in step; reads what was there before.
  void put_header(ObjectId database, std::string_view user_key, const Header& header);
  // The same, unread, for a writer that has just looked. Requires: `old` is what header() gave for the key in
  // this run, and nothing has written it since.
  void put_header(ObjectId database, std::string_view user_key, const Header& header,
                  const std::optional<Header>& old);
  // The same for a writer that has not looked (a plain SET): what was there is overwritten unread.
  void put_header_blind(ObjectId database, std::string_view user_key, const Header& header);
  void erase_header(ObjectId database, std::string_view user_key);
  // The header moves, with the object that it refers to, to `to` (in what may be another database); what was
  // there is overwritten. Requires: header(from) gave something.
  void move_header(ObjectId from_database, std::string_view from, ObjectId to_database, std::string_view to);
  // An id changes its home outside headers (the directory of databases). See engine::Batch::moved.
  void moved(ObjectId id, uint32_t generation);

  // Keys that this run met expired, physically still there: the caller has them reclaimed.
  struct Expired {
    ObjectId database;
    std::string user_key;
  };
  const std::vector<Expired>& expired() const { return expired_; }
  size_t writes() const { return batch_.operations(); }  // So far.
  // How often header() found a key in this run, and how often not: INFO's keyspace_hits and keyspace_misses.
  uint32_t hits() const { return hits_; }
  uint32_t misses() const { return misses_; }

  // How many records more there are under `database` than without this batch. Reads what it replaces.
  int64_t change_of_count(ObjectId database);

  // ---- for the dispatcher, and for handlers that walk
  engine::Lsn seen() const { return seen_; }  // The highest LSN of what was read.
  bool on_worker() const { return engine_ == nullptr; }
  bool writable() const { return engine_ != nullptr || elements_ != nullptr; }
  // A read-only command: when its budget is spent on the reactor it leaves by LongRead.
  void allow_long_read() { may_leave_ = true; }
  // The same for one that writes, even when it has written something: what it wrote is taken back.
  void allow_long_write() { may_leave_ = may_leave_written_ = true; }
  // Throws LongRead when a command that may leave has taken more than kStepsOnReactor steps (records, some ns
  // each).
  void charge(uint64_t steps);

 private:
  struct Overlay;
  // Where a write of this key goes, and what is to be seen of such writes.
  bool is_new_element(std::string_view key) const;
  engine::Batch& batch_of(bool new_element) { return new_element ? *elements_ : batch_; }
  Overlay& overlay(bool new_element = false);
  std::optional<std::string_view> value_of(const engine::Lookup& found);
  void put_expiries(ObjectId database, std::string_view user_key, const Header& old, const Header& now);
  void tell_of_old(ObjectId database, std::string_view user_key, const std::optional<Header>& old, bool put);

  KeyWatcher* watcher_ = nullptr;
  engine::Reader& reader_;
  engine::Engine* engine_;
  engine::Batch& batch_;
  int64_t now_ms_;
  engine::Lsn seen_ = 0;
  uint64_t steps_ = 0;
  uint32_t hits_ = 0, misses_ = 0;
  bool may_leave_ = false, may_leave_written_ = false;
  // On a worker that may write.
  engine::Batch* elements_ = nullptr;
  std::span<const ObjectId> new_objects_;  // Still to be given out.
  std::vector<std::string> new_elements_;  // Where those of the others begin.
  std::unique_ptr<Overlay> elements_overlay_;
  std::vector<Expired> expired_;
  std::string key_, value_;           // Scratch.
  std::unique_ptr<Overlay> overlay_;  // The batch by key, made by the first read that follows a write.
};

inline constexpr uint64_t kStepsOnReactor = 2000;

class View::Range {
 public:
  Range(Range&&) noexcept;
  ~Range();
  bool seek_first();  // All return whether there is a record.
  bool seek_last();
  bool seek(std::string_view key);
  // The same; if it is cold there, so may be the places that `ahead` names, where seeks will come next: they
  // are fetched along.
  bool seek(std::string_view key, const Ahead& ahead);
  bool seek_before(std::string_view key);
  bool next();
  bool prev();
  std::string_view key() const;  // Valid until the range moves; so is the value.
  std::string_view value() const;

 private:
  friend class View;
  struct Impl;
  explicit Range(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace server
