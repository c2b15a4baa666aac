// engine/table_builder.h: writes a table, record by record in rising key order.
//
// The file is drawn in engine/table_format.h. A record too big for a block gets a block of its own. Blocks go
// to the sink some 256 KB at a time, hashed on their way for TableMeta::checksum; the hashes of all keys (8
// bytes each) are kept for the filter until finish().
//
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "engine/env.h"
#include "engine/table.h"

namespace engine {

enum class Compression : uint8_t { kNone = 0, kLz4 = 1 };

struct TableOptions {
  uint64_t hash_seed = 0;
  uint32_t block_bytes = 4096;  // A data block decompressed in memory, the object around it included.
  uint32_t filter_bits_per_key = 10;
  Compression compression = Compression::kLz4;
};

// Where the bytes of a table go, in order. Errors: those of File.
class TableSink {
 public:
  virtual ~TableSink() = default;
  virtual Status append(std::string_view bytes) = 0;
  virtual Status end() = 0;  // That was all.
};

class TableBuilder {
 public:
  // `number` becomes meta().number.
  TableBuilder(std::unique_ptr<TableSink> sink, uint64_t number, const TableOptions& options);
  // `file` is new and empty, and synced at the end.
  TableBuilder(std::unique_ptr<File> file, uint64_t number, const TableOptions& options);
  ~TableBuilder();

  // Requires: key greater than the last. Errors: those of the sink; kInvalid for a record that passes
  // table_format::kRecordBytesMax; then nothing more can be added.
  Status add(std::string_view key, std::string_view value, uint8_t flags);
  uint64_t file_bytes() const;  // Written so far, about.
  uint64_t entries() const;
  // Writes index, filter and footer and ends the sink. The directory is the caller's to sync.
  Result<TableMeta> finish(Lsn first_lsn, Lsn last_lsn);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace engine
