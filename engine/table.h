// engine/table.h: an immutable sorted file, read.
//
// The file is drawn in engine/table_format.h; engine/table_builder.h writes it. An open Table keeps
// its index and filter in memory; data blocks come through a BlockSource, so that the same code serves
// the reactor (cached blocks, or "cold") and workers (blocking reads).
//
// Threads: a Table is immutable; any. A BlockRef belongs to the thread that obtained it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/env.h"
#include "engine/iterator.h"
#include "engine/lsn.h"
#include "engine/schema.h"
#include "engine/table_block.h"

namespace engine {

// What the manifest says of a table.
struct TableMeta {
  uint64_t number = 0;  // Names the file; never used twice.
  uint64_t file_bytes = 0;
  uint64_t data_bytes = 0;  // Keys and values before compression.
  uint64_t entries = 0;
  uint64_t tombstones = 0;
  uint64_t unsettled = 0;
  uint64_t checksum = 0;  // XXH3 of the whole file.
  Lsn first_lsn = 0;      // The writes in it lie within these.
  Lsn last_lsn = 0;
  std::string smallest;  // Keys, both inclusive.
  std::string largest;
};

class Table;

// Where data blocks come from.
class BlockSource {
 public:
  virtual ~BlockSource() = default;
  // The block, or null: it is cold (noted by the source), or reading it failed and status() says how.
  virtual BlockRef block(const Table& table, uint32_t index) = 0;
  virtual const Status& status() const = 0;
};

class Table {
 public:
  // Reads footer, index and filter (blocking). Errors: kCorruption naming file and offset; kTooNew; kIoError.
  static Result<std::shared_ptr<const Table>> open(FileSystem& files, const std::string& path,
                                                   const TableMeta& meta, uint64_t hash_seed);
  virtual ~Table() = default;

  virtual const TableMeta& meta() const = 0;
  // False: the key is certainly not here. `hash` is hash_key(key, the store's seed).
  virtual bool may_contain(uint64_t hash) const = 0;
  virtual void prefetch_filter(uint64_t hash) const = 0;  // The line that may_contain() will look at.
  virtual uint32_t blocks() const = 0;
  // The one block that would hold `key`; blocks() when the key lies beyond the last.
  virtual uint32_t find_block(std::string_view key) const = 0;
  // Where a block begins in the file; block_offset(blocks()) is where the last one ends.
  virtual uint64_t block_offset(uint32_t index) const = 0;
  // Reads and verifies a block (checksum before decompression). Blocking. Threads: any.
  // Errors: kCorruption naming file and offset; kIoError.
  virtual Result<BlockRef> read_block(uint32_t index) const = 0;
  // For who reads the file itself: a block out of its bytes there, of which nothing is believed unchecked.
  // Errors: kCorruption naming file and offset. Threads: any.
  virtual const File& file() const = 0;
  virtual Result<BlockRef> decode_block(uint32_t index, std::string_view bytes) const = 0;
  // As read_block, `count` blocks from `first` on, with one read of the file.
  virtual Result<std::vector<BlockRef>> read_blocks(uint32_t first, uint32_t count) const = 0;
  // About how many bytes of the file lie in [begin, end); an empty end is the end of all.
  virtual uint64_t approximate_bytes(std::string_view begin, std::string_view end) const = 0;
  virtual uint64_t memory_bytes() const = 0;  // Index, filter and the object itself.
};

// Iterates over one table. The source must outlive it.
std::unique_ptr<Iterator> table_iterator(std::shared_ptr<const Table> table, BlockSource& source);

// Reads blocks where it stands and keeps the last one: for workers. `read_ahead_bytes` > 0 reads that much at
// a time when blocks are taken in order (compactions, long scans).
std::unique_ptr<BlockSource> blocking_source(uint64_t read_ahead_bytes);

}  // namespace engine
