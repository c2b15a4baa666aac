#include "engine/table.h"

#include <algorithm>
#include <utility>

#include "engine/filter.h"
#include "engine/table_format.h"
#include "engine/table_index.h"

namespace engine {

namespace {

using table_format::Footer;
using table_format::kFooterBytes;
using table_format::kTrailerBytes;

// Bytes of one file, and how to speak of them.
struct FileBytes {
  const File& file;
  uint64_t table;

  Status corrupt(uint64_t offset, const std::string& what) const {
    return {Code::kCorruption, "table " + file.path() + ", offset " + std::to_string(offset) + ": " + what};
  }
  Status at(uint64_t offset, const Status& s) const {
    return {s.code(), "table " + file.path() + ", offset " + std::to_string(offset) + ": " + s.message()};
  }
  Status read(uint64_t offset, std::span<char> out) const {
    Result<size_t> got = file.read(offset, out);
    if (!got.ok()) return got.status();
    if (*got != out.size()) return corrupt(offset, "the file ends early");
    return {};
  }
  Status check(std::string_view section, uint64_t offset) const {
    if (table_format::trailer_holds(section, table, offset)) return {};
    return corrupt(offset, "the checksum is wrong");
  }
  Status check(std::string_view section, uint64_t offset, table_format::SectionType type) const {
    if (Status s = check(section, offset); !s.ok()) return s;
    if (table_format::section_type(section) != type) return corrupt(offset, "a section of another type");
    return {};
  }
};

class FileTable final : public Table {
 public:
  FileTable(std::unique_ptr<File> file, const TableMeta& meta) : file_(std::move(file)), meta_(meta) {}

  Status load(uint64_t hash_seed);

  const TableMeta& meta() const override { return meta_; }
  bool may_contain(uint64_t hash) const override { return filter_.may_contain(hash); }
  void prefetch_filter(uint64_t hash) const override { filter_.prefetch(hash); }
  uint32_t blocks() const override { return index_.blocks(); }
  uint32_t find_block(std::string_view key) const override { return index_.find(key); }
  uint64_t block_offset(uint32_t index) const override {
    INVARIANT(index <= blocks());
    return index_.offset(index);
  }
  Result<BlockRef> read_block(uint32_t index) const override;
  const File& file() const override { return *file_; }
  Result<BlockRef> decode_block(uint32_t index, std::string_view section) const override;
  Result<std::vector<BlockRef>> read_blocks(uint32_t first, uint32_t count) const override;
  uint64_t approximate_bytes(std::string_view begin, std::string_view end) const override;
  uint64_t memory_bytes() const override {
    return sizeof *this + index_.memory_bytes() + filter_.bytes().size() + meta_.smallest.capacity() +
           meta_.largest.capacity();
  }

 private:
  FileBytes disk() const { return {*file_, meta_.number}; }
  Status check_footer(const Footer& footer, uint64_t hash_seed) const;
  Status load_index(const Footer& footer, std::string_view bytes);

  std::unique_ptr<File> file_;
  TableMeta meta_;
  TableIndex index_;
  Filter filter_;
};

Status FileTable::load(uint64_t hash_seed) {
  Result<uint64_t> size = file_->size();
  if (!size.ok()) return size.status();
  if (*size != meta_.file_bytes) {
    return disk().corrupt(*size, "the file is " + std::to_string(*size) +
                                     " bytes long and was written with " + std::to_string(meta_.file_bytes));
  }
  if (*size < kFooterBytes) return disk().corrupt(0, "the file is shorter than a footer");
  const uint64_t footer_offset = *size - kFooterBytes;
  std::string bytes(kFooterBytes, '\0');
  if (Status s = disk().read(footer_offset, bytes); !s.ok()) return s;
  Result<Footer> footer = Footer::decode(bytes);
  if (!footer.ok()) return disk().at(footer_offset, footer.status());
  if (Status s = check_footer(*footer, hash_seed); !s.ok()) return s;

  bytes.resize(footer_offset - footer->index_offset);
  if (Status s = disk().read(footer->index_offset, bytes); !s.ok()) return s;
  const std::string_view sections(bytes);
  const std::string_view filter = sections.substr(footer->filter_offset - footer->index_offset);
  if (Status s = disk().check(filter, footer->filter_offset, table_format::kFilter); !s.ok()) return s;
  const uint64_t filter_bytes = filter.size() - kTrailerBytes;
  if (filter_bytes % Filter::kBlockBytes != 0) {
    return disk().corrupt(footer->filter_offset, "the filter is not made of whole blocks");
  }
  filter_ = Filter(filter.substr(0, filter_bytes));
  return load_index(*footer, sections.substr(0, footer->filter_offset - footer->index_offset));
}

Status FileTable::check_footer(const Footer& f, uint64_t hash_seed) const {
  const uint64_t footer_offset = meta_.file_bytes - kFooterBytes;
  const auto differs = [&](const char* what, uint64_t here, uint64_t expected) {
    return disk().corrupt(footer_offset, std::string("the footer tells another ") + what + " (" +
                                             std::to_string(here) + ") than expected (" +
                                             std::to_string(expected) + ")");
  };
  if (f.number != meta_.number) return differs("table number", f.number, meta_.number);
  if (f.data_bytes != meta_.data_bytes)
    return differs("number of data bytes", f.data_bytes, meta_.data_bytes);
  if (f.entries != meta_.entries) return differs("number of entries", f.entries, meta_.entries);
  if (f.tombstones != meta_.tombstones)
    return differs("number of tombstones", f.tombstones, meta_.tombstones);
  if (f.unsettled != meta_.unsettled) return differs("number of unsettled", f.unsettled, meta_.unsettled);
  if (f.first_lsn != meta_.first_lsn) return differs("first LSN", f.first_lsn, meta_.first_lsn);
  if (f.last_lsn != meta_.last_lsn) return differs("last LSN", f.last_lsn, meta_.last_lsn);
  if (f.hash_seed != hash_seed) return differs("hash seed", f.hash_seed, hash_seed);
  if (f.index_offset > f.root_offset || f.root_offset > f.filter_offset || f.filter_offset > footer_offset) {
    return disk().corrupt(footer_offset, "the footer's offsets are out of order");
  }
  return {};
}

// `bytes` are the partitions and the root.
Status FileTable::load_index(const Footer& footer, std::string_view bytes) {
  const uint64_t root_offset = footer.root_offset;
  std::string_view root = bytes.substr(root_offset - footer.index_offset);
  if (Status s = disk().check(root, root_offset, table_format::kRoot); !s.ok()) return s;
  root.remove_suffix(kTrailerBytes);
  if (root.size() < 8) return disk().corrupt(root_offset, "the index root is too short");
  const uint64_t smallest_bytes = engine::load<uint32_t>(root.data());
  const uint64_t largest_bytes = engine::load<uint32_t>(root.data() + 4);
  root.remove_prefix(8);
  if (smallest_bytes + largest_bytes > root.size())
    return disk().corrupt(root_offset, "the root's keys pass its end");
  const std::string_view smallest = root.substr(0, smallest_bytes);
  const std::string_view largest = root.substr(smallest_bytes, largest_bytes);
  root.remove_prefix(smallest_bytes + largest_bytes);
  if (smallest != meta_.smallest || largest != meta_.largest) {
    return disk().corrupt(root_offset, "the table's smallest or largest key is another than expected");
  }
  Result<IndexNode> partitions = IndexNode::decode(root);
  if (!partitions.ok()) return disk().at(root_offset, partitions.status());

  std::vector<IndexNode> nodes;
  nodes.reserve(partitions->size());
  uint64_t offset = footer.index_offset;
  uint64_t blocks = 0;
  uint64_t data_end = 0;
  uint64_t tail_bytes = 0;
  for (size_t i = 0; i < partitions->size(); ++i) {
    const uint64_t length = partitions->lengths[i];
    if (length > root_offset - offset)
      return disk().corrupt(root_offset, "a partition of the index passes its end");
    const std::string_view section = bytes.substr(offset - footer.index_offset, length);
    if (Status s = disk().check(section, offset, table_format::kPartition); !s.ok()) return s;
    Result<IndexNode> node = IndexNode::decode(section.substr(0, length - kTrailerBytes));
    if (!node.ok()) return disk().at(offset, node.status());
    if (node->size() == 0) return disk().corrupt(offset, "an empty partition of the index");
    const size_t last = node->size() - 1;
    if (partitions->compare(i, node->heads[last], node->tail(last)) != 0) {
      return disk().corrupt(offset, "a partition of the index ends elsewhere than the root says");
    }
    if (i > 0 && partitions->compare(i - 1, node->heads[0], node->tail(0)) >= 0) {
      return disk().corrupt(offset, "partitions of the index are out of order");
    }
    for (const uint32_t block : node->lengths) data_end += block;
    blocks += node->size();
    tail_bytes += node->tails.size();
    offset += length;
    nodes.push_back(std::move(*node));
  }
  if (offset != root_offset) return disk().corrupt(root_offset, "the index has bytes of no partition");
  if (data_end != footer.index_offset || blocks != footer.blocks || blocks >= UINT32_MAX ||
      tail_bytes > TableIndex::kTailBytesMax || (blocks == 0) != (meta_.entries == 0)) {
    return disk().corrupt(footer.index_offset, "the index does not cover the data blocks");
  }
  index_ = TableIndex(smallest, largest, nodes, data_end);
  // Every key must fall on a block that exists, and nothing beyond the largest may.
  if (blocks != 0 &&
      (index_.find(largest) != blocks - 1 || index_.find(std::string(largest) + '\0') != blocks)) {
    return disk().corrupt(root_offset, "the index does not end with the largest key");
  }
  return {};
}

Result<BlockRef> FileTable::decode_block(uint32_t index, std::string_view section) const {
  const uint64_t offset = index_.offset(index);
  if (Status s = disk().check(section, offset); !s.ok()) return s;
  Result<BlockRef> block = Block::make(section);
  if (!block.ok()) return disk().at(offset, block.status());
  // With this the keys of the whole table rise, however its blocks came to be.
  const Block& b = **block;
  if (const std::string first = b.key(0);
      !index_.covers(index, first, b.key(b.entries() - 1)) || (index == 0 && first != meta_.smallest)) {
    return disk().corrupt(offset, "the block's keys lie outside of what the index says");
  }
  return block;
}

Result<BlockRef> FileTable::read_block(uint32_t index) const {
  INVARIANT(index < blocks());
  const uint64_t offset = index_.offset(index);
  const uint64_t length = index_.offset(index + 1) - offset;
  const auto bytes = std::make_unique_for_overwrite<char[]>(length);
  if (Status s = disk().read(offset, {bytes.get(), length}); !s.ok()) return s;
  return decode_block(index, {bytes.get(), length});
}

Result<std::vector<BlockRef>> FileTable::read_blocks(uint32_t first, uint32_t count) const {
  INVARIANT(first <= blocks() && count <= blocks() - first);
  const uint64_t offset = index_.offset(first);
  const uint64_t length = index_.offset(first + count) - offset;
  const auto bytes = std::make_unique_for_overwrite<char[]>(length);
  if (Status s = disk().read(offset, {bytes.get(), length}); !s.ok()) return s;
  std::vector<BlockRef> result;
  result.reserve(count);
  for (uint32_t i = first; i < first + count; ++i) {
    const uint64_t begin = index_.offset(i) - offset;
    Result<BlockRef> block = decode_block(i, {bytes.get() + begin, index_.offset(i + 1) - offset - begin});
    if (!block.ok()) return block.status();
    result.push_back(std::move(*block));
  }
  return result;
}

uint64_t FileTable::approximate_bytes(std::string_view begin, std::string_view end) const {
  if (!end.empty() && end <= begin) return 0;
  if (blocks() == 0 || begin > meta_.largest || (!end.empty() && end <= meta_.smallest)) return 0;
  const uint32_t first = index_.find(begin);
  const uint32_t last = end.empty() ? blocks() : index_.find(end);
  return index_.offset(last < blocks() ? last + 1 : last) - index_.offset(first);
}

}  // namespace

Result<std::shared_ptr<const Table>> Table::open(FileSystem& files, const std::string& path,
                                                 const TableMeta& meta, uint64_t hash_seed) {
  Result<std::unique_ptr<File>> file = files.open(path, OpenMode::kRead, Caching::kNone);
  if (!file.ok()) return file.status();
  auto table = std::make_shared<FileTable>(std::move(*file), meta);
  if (Status s = table->load(hash_seed); !s.ok()) return s;
  return std::shared_ptr<const Table>(std::move(table));
}

}  // namespace engine
