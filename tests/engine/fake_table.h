// tests/engine/fake_table.h: a table that is its TableMeta and no more, for tests of what only arranges
// tables.
#pragma once

#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/table.h"

namespace engine {

inline TableMeta fake_meta(uint64_t number, std::string smallest, std::string largest,
                           uint64_t file_bytes = 1000) {
  TableMeta meta;
  meta.number = number;
  meta.file_bytes = file_bytes;
  meta.entries = 100;
  meta.smallest = std::move(smallest);
  meta.largest = std::move(largest);
  return meta;
}

class FakeTable final : public Table {
 public:
  explicit FakeTable(TableMeta meta) : meta_(std::move(meta)) {}
  const TableMeta& meta() const override { return meta_; }
  bool may_contain(uint64_t) const override { return true; }
  void prefetch_filter(uint64_t) const override {}
  uint32_t blocks() const override { return 0; }
  uint32_t find_block(std::string_view) const override { return 0; }
  uint64_t block_offset(uint32_t) const override { return 0; }
  Result<BlockRef> read_block(uint32_t) const override {
    return Status(Code::kIoError, "a fake has no blocks");
  }
  const File& file() const override { std::abort(); }
  Result<BlockRef> decode_block(uint32_t, std::string_view) const override {
    return Status(Code::kIoError, "a fake has no blocks");
  }
  Result<std::vector<BlockRef>> read_blocks(uint32_t, uint32_t) const override {
    return Status(Code::kIoError, "a fake has no blocks");
  }
  // All of it or nothing.
  uint64_t approximate_bytes(std::string_view begin, std::string_view end) const override {
    return begin <= meta_.smallest && (end.empty() || meta_.largest < end) ? meta_.file_bytes : 0;
  }
  uint64_t memory_bytes() const override { return sizeof *this; }

 private:
  const TableMeta meta_;
};

inline std::shared_ptr<const Table> fake_table(TableMeta meta) {
  return std::make_shared<FakeTable>(std::move(meta));
}

}  // namespace engine
