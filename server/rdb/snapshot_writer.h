// server/rdb/snapshot_writer.h: all databases of one moment as an RDB file, pulled piece by piece.
//
//     SnapshotWriter writer(snapshot, databases, options);
//     do { out.clear(); status = writer.next(&out); send(out); } while (status.ok() && !writer.done());
//
// Memory: about what one call gives, some kPieceBytes, and what the reading of some kWalkBytes held; a
// string's or a collection's size does not matter.
//
// Threads: any worker, one at a time: it reads blocking. The snapshot is released where the owner says.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "server/rdb/value_writer.h"

namespace server::rdb {

class SnapshotWriter {
 public:
  static constexpr size_t kPieceBytes = 256 << 10;
  static constexpr size_t kWalkBytes = 8 << 20;

  struct Database {
    uint32_t number;
    ObjectId object;
  };
  struct Options {
    int64_t now_ms = 0;      // What has expired by then is left out.
    int version = kVersion;  // At most kVersionWithFieldExpiry; below that fields lose their expiries.
    std::vector<std::pair<std::string, std::string>> aux;  // Facts about the file, in front.
    std::vector<std::string> functions;                    // Code of libraries.
  };
  SnapshotWriter(std::shared_ptr<const engine::Snapshot> snapshot, std::vector<Database> databases,
                 Options options);
  ~SnapshotWriter();

  // Appends the next piece; the last one ends with the checksum.
  // Errors: kCorruption, kIoError: the data cannot be read. Then there is nothing more to come.
  engine::Status next(std::string* out);
  bool done() const { return phase_ == Phase::kDone; }

  uint64_t keys() const { return keys_; }
  uint64_t expiries_lost() const { return expiries_lost_; }  // Of fields, for want of a newer version.

 private:
  struct Walk;
  void write_head(std::string* out);
  void write_keys(std::string* out);
  void begin_key(View& view, const Header& header, std::string_view key, std::string* out);

  std::shared_ptr<const engine::Snapshot> snapshot_;
  const std::vector<Database> databases_;
  const Options options_;
  enum class Phase : uint8_t { kHead, kKeys, kDone } phase_ = Phase::kHead;
  uint64_t checksum_ = 0;
  size_t at_database_ = 0;
  bool selected_ = false;             // The database has been named.
  std::unique_ptr<Walk> walk_;        // Null: the next one begins at
  std::string next_key_;              // this header key; empty: the database's first.
  std::optional<ValueWriter> value_;  // Of that key, when it is half written.
  uint64_t keys_ = 0, expiries_lost_ = 0;
};

}  // namespace server::rdb
