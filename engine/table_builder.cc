#include "engine/table_builder.h"

#include <lz4.h>
#include <xxhash.h>

#include <string>
#include <utility>
#include <vector>

#include "engine/filter.h"
#include "engine/record.h"
#include "engine/table_block_writer.h"
#include "engine/table_format.h"
#include "engine/table_index.h"

namespace engine {

namespace {

constexpr uint64_t kWriteBytes = 256 << 10;

// LZ4 must save this much, or decompressing is not worth its time: stored < raw * 88 / 100.
constexpr uint64_t kWorthPercent = 88;

struct HashState {
  HashState() : state(XXH3_createState()) { XXH3_64bits_reset(state); }
  ~HashState() { XXH3_freeState(state); }
  HashState(const HashState&) = delete;
  HashState& operator=(const HashState&) = delete;
  XXH3_state_t* state;
};

class FileSink final : public TableSink {
 public:
  explicit FileSink(std::unique_ptr<File> file) : file_(std::move(file)) {}
  Status append(std::string_view bytes) override {
    Status s = file_->write(written_, bytes);
    written_ += bytes.size();
    return s;
  }
  Status end() override { return file_->sync(); }

 private:
  const std::unique_ptr<File> file_;
  uint64_t written_ = 0;
};

}  // namespace

struct TableBuilder::Impl {
  Impl(std::unique_ptr<TableSink> new_sink, uint64_t number, const TableOptions& the_options)
      : sink(std::move(new_sink)), options(the_options) {
    meta.number = number;
    const uint64_t wanted = options.block_bytes;
    block_bytes_max =
        wanted > 2 * Block::kOverheadBytes ? wanted - Block::kOverheadBytes : Block::kOverheadBytes;
  }

  uint64_t offset() const { return written + pending.size(); }

  Status add(std::string_view key, std::string_view value, uint8_t flags) {
    if (!failed.ok()) return failed;
    if (key.size() + value.size() > table_format::kRecordBytesMax) {
      return failed = {Code::kInvalid, "a record of " + std::to_string(key.size() + value.size()) +
                                           " bytes is too long for a table"};
    }
    INVARIANT(meta.entries == 0 || key > block_last_key());
    if (!block.fits(key, value, block_bytes_max)) {
      if (Status s = end_block(); !s.ok()) return s;
      index.separate(meta.largest, key);
    }
    if (meta.entries == 0) meta.smallest = key;
    const uint64_t hash = hash_key(key, options.hash_seed);
    block.add(key, value, flags, hash);
    if (options.filter_bits_per_key != 0) hashes.push_back(hash);
    ++meta.entries;
    meta.data_bytes += key.size() + value.size();
    if ((flags & kTombstone) != 0) ++meta.tombstones;
    if ((flags & kUnsettled) != 0) ++meta.unsettled;
    return {};
  }

  std::string_view block_last_key() const { return block.empty() ? meta.largest : block.last_key(); }

  Status end_block() {
    meta.largest = block.last_key();
    block.finish(raw);
    const uint64_t start = offset();
    const bool packed = options.compression == Compression::kLz4 && compress();
    if (!packed) pending.append(raw);
    end_section(start, packed ? table_format::kLz4 : table_format::kRaw);
    index.add_block(offset() - start);
    return write_full();
  }

  // Appends the block compressed if that is worth it.
  bool compress() {
    if (raw.size() > LZ4_MAX_INPUT_SIZE) return false;
    const size_t start = pending.size();
    const uint64_t worth = raw.size() * kWorthPercent / 100;
    if (worth <= 4) return false;
    append(pending, static_cast<uint32_t>(raw.size()));
    pending.resize(start + worth);
    const int packed = LZ4_compress_default(raw.data(), pending.data() + start + 4,
                                            static_cast<int>(raw.size()), static_cast<int>(worth - 4));
    pending.resize(packed > 0 ? start + 4 + static_cast<size_t>(packed) : start);
    return packed > 0;
  }

  // Writes the trailer of the section that began at file offset `start` and ends with `pending`.
  void end_section(uint64_t start, table_format::SectionType type) {
    pending.push_back(static_cast<char>(type));
    const std::string_view covered = std::string_view(pending).substr(start - written);
    const uint64_t trailer = table_format::make_trailer(covered, meta.number, start);
    pending.pop_back();
    append(pending, trailer);
  }

  Status write_full() {
    const uint64_t length = pending.size() / kWriteBytes * kWriteBytes;
    return length == 0 ? Status() : write(length);
  }

  Status write(uint64_t length) {
    const std::string_view bytes = std::string_view(pending).substr(0, length);
    XXH3_64bits_update(checksum.state, bytes.data(), bytes.size());
    if (Status s = sink->append(bytes); !s.ok()) return failed = s;
    written += length;
    pending.erase(0, length);
    return {};
  }

  Status finish(Lsn first_lsn, Lsn last_lsn) {
    if (!failed.ok()) return failed;
    if (!block.empty()) {
      if (Status s = end_block(); !s.ok()) return s;
    }
    if (index.separator_bytes() + meta.largest.size() >= TableIndex::kTailBytesMax ||
        index.blocks() >= UINT32_MAX) {
      return failed = {Code::kInvalid, "the table's index would be too long"};
    }
    table_format::Footer footer;
    footer.index_offset = offset();
    footer.blocks = index.blocks();
    IndexNode partitions;
    for (const IndexNode& node : index.finish(meta.smallest, meta.largest)) {
      const uint64_t start = offset();
      node.encode(pending);
      end_section(start, table_format::kPartition);
      const size_t last = node.size() - 1;
      partitions.add(node.heads[last], node.tail(last), static_cast<uint32_t>(offset() - start));
    }
    footer.root_offset = offset();
    append(pending, static_cast<uint32_t>(meta.smallest.size()));
    append(pending, static_cast<uint32_t>(meta.largest.size()));
    pending.append(meta.smallest);
    pending.append(meta.largest);
    partitions.encode(pending);
    end_section(footer.root_offset, table_format::kRoot);
    footer.filter_offset = offset();
    pending.append(Filter(hashes, options.filter_bits_per_key).bytes());
    end_section(footer.filter_offset, table_format::kFilter);
    meta.first_lsn = first_lsn;
    meta.last_lsn = last_lsn;
    footer.number = meta.number;
    footer.data_bytes = meta.data_bytes;
    footer.entries = meta.entries;
    footer.tombstones = meta.tombstones;
    footer.unsettled = meta.unsettled;
    footer.first_lsn = first_lsn;
    footer.last_lsn = last_lsn;
    footer.hash_seed = options.hash_seed;
    footer.encode(pending);
    if (Status s = write(pending.size()); !s.ok()) return s;
    if (Status s = sink->end(); !s.ok()) return failed = s;
    meta.file_bytes = written;
    meta.checksum = XXH3_64bits_digest(checksum.state);
    return {};
  }

  const std::unique_ptr<TableSink> sink;
  TableOptions options;
  uint64_t block_bytes_max;
  TableMeta meta;        // largest: the last key of the last block that was ended.
  BlockWriter block;     // Being filled.
  std::string raw;       // Of the block being ended.
  std::string pending;   // The end of the file, not written yet.
  uint64_t written = 0;  // Bytes of the file before `pending`.
  TableIndexWriter index;
  std::vector<uint64_t> hashes;  // Of all keys.
  HashState checksum;            // Of the bytes written.
  Status failed;                 // The first error; final.
};

TableBuilder::TableBuilder(std::unique_ptr<TableSink> sink, uint64_t number, const TableOptions& options)
    : impl_(std::make_unique<Impl>(std::move(sink), number, options)) {}
TableBuilder::TableBuilder(std::unique_ptr<File> file, uint64_t number, const TableOptions& options)
    : TableBuilder(std::make_unique<FileSink>(std::move(file)), number, options) {}
TableBuilder::~TableBuilder() = default;

Status TableBuilder::add(std::string_view key, std::string_view value, uint8_t flags) {
  return impl_->add(key, value, flags);
}
uint64_t TableBuilder::file_bytes() const { return impl_->offset(); }
uint64_t TableBuilder::entries() const { return impl_->meta.entries; }

Result<TableMeta> TableBuilder::finish(Lsn first_lsn, Lsn last_lsn) {
  if (Status s = impl_->finish(first_lsn, last_lsn); !s.ok()) return s;
  return impl_->meta;
}

}  // namespace engine
