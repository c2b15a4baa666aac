// The two ways through a table that are not a point read: the iterator, and the block source of workers.
#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "engine/table.h"

namespace engine {

namespace {

class TableIterator final : public Iterator {
 public:
  TableIterator(std::shared_ptr<const Table> table, BlockSource& source)
      : table_(std::move(table)), source_(source) {}

  State seek_first() override {
    if (final()) return state_;
    if (table_->blocks() == 0) return end();
    return enter(0) ? stand_on(0) : state_;
  }

  State seek_last() override {
    if (final()) return state_;
    if (table_->blocks() == 0) return end();
    return enter(table_->blocks() - 1) ? stand_on(block_->entries() - 1) : state_;
  }

  State seek(std::string_view key) override {
    if (final()) return state_;
    const uint32_t index = table_->find_block(key);
    if (index == table_->blocks()) return end();
    if (!enter(index)) return state_;
    const uint32_t entry = block_->lower_bound(key);
    return entry < block_->entries() ? stand_on(entry) : first_of(index + 1);
  }

  State seek_before(std::string_view key) override {
    if (final()) return state_;
    const uint32_t index = table_->find_block(key);
    if (index == table_->blocks()) return seek_last();
    if (!enter(index)) return state_;
    const uint32_t entry = block_->lower_bound(key);
    return entry > 0 ? stand_on(entry - 1) : last_before(index);
  }

  State next() override {
    INVARIANT(state_ == State::kAt);
    return entry_ + 1 < block_->entries() ? stand_on(entry_ + 1) : first_of(index_ + 1);
  }

  State prev() override {
    INVARIANT(state_ == State::kAt);
    return entry_ > 0 ? stand_on(entry_ - 1) : last_before(index_);
  }

  State state() const override { return state_; }
  std::string_view key() const override { return key_; }
  std::string_view value() const override { return record_.value; }
  uint8_t flags() const override { return record_.flags; }
  const Status& status() const override { return status_; }

 private:
  bool final() const { return state_ == State::kCold || state_ == State::kFailed; }
  State end() { return state_ = State::kEnd; }

  State first_of(uint32_t index) {
    if (index == table_->blocks()) return end();
    return enter(index) ? stand_on(0) : state_;
  }
  State last_before(uint32_t index) {
    if (index == 0) return end();
    return enter(index - 1) ? stand_on(block_->entries() - 1) : state_;
  }

  // Makes block `index` the present one. False: state_ says why not.
  bool enter(uint32_t index) {
    if (block_ && index == index_) return true;
    BlockRef block = source_.block(*table_, index);
    if (!block) {
      status_ = source_.status();
      state_ = status_.ok() ? State::kCold : State::kFailed;
      return false;
    }
    block_ = std::move(block);
    index_ = index;
    const std::string_view prefix = block_->prefix();
    buffer_.assign(prefix);
    return true;
  }

  State stand_on(uint32_t entry) {
    entry_ = entry;
    record_ = block_->record(entry);
    const size_t prefix_bytes = block_->prefix().size();
    if (prefix_bytes == 0) {
      key_ = record_.suffix;  // Lies whole in the block.
    } else {
      const size_t key_bytes = prefix_bytes + record_.suffix.size();
      if (key_bytes > buffer_.size()) buffer_.resize(key_bytes);
      std::memcpy(buffer_.data() + prefix_bytes, record_.suffix.data(), record_.suffix.size());
      key_ = {buffer_.data(), key_bytes};
    }
    return state_ = State::kAt;
  }

  std::shared_ptr<const Table> table_;
  BlockSource& source_;
  State state_ = State::kEnd;
  Status status_;
  BlockRef block_;
  uint32_t index_ = 0;  // Of block_, when there is one.
  uint32_t entry_ = 0;
  Block::Record record_;
  std::string_view key_;
  std::string buffer_;  // The block's prefix, then the present suffix; may be longer than both.
};

class BlockingSource final : public BlockSource {
 public:
  explicit BlockingSource(uint64_t read_ahead_bytes) : read_ahead_bytes_(read_ahead_bytes) {}

  BlockRef block(const Table& table, uint32_t index) override {
    if (!status_.ok()) return {};
    const bool same_table = table.meta().number == number_ && !window_.empty();
    if (same_table && index >= first_ && index - first_ < window_.size()) return window_[index - first_];
    // In order means: the next block behind the window, or the one before it.
    uint32_t first = index;
    uint32_t last = index;
    if (same_table && read_ahead_bytes_ > 0) {
      if (index == first_ + window_.size()) {
        const uint64_t until = table.block_offset(index) + read_ahead_bytes_;
        while (last + 1 < table.blocks() && table.block_offset(last + 2) <= until) ++last;
      } else if (index + 1 == first_) {
        const uint64_t end = table.block_offset(index + 1);
        while (first > 0 && end - table.block_offset(first - 1) <= read_ahead_bytes_) --first;
      }
    }
    window_.clear();
    if (last > first) {
      if (Result<std::vector<BlockRef>> blocks = table.read_blocks(first, last - first + 1); blocks.ok()) {
        keep(table, first, std::move(*blocks));
        return window_[index - first];
      }
      // Perhaps only a block further on is bad, and nobody will ask for it.
    }
    Result<BlockRef> one = table.read_block(index);
    if (!one.ok()) {
      status_ = one.status();
      return {};
    }
    keep(table, index, {*one});
    return *one;
  }

  const Status& status() const override { return status_; }

 private:
  void keep(const Table& table, uint32_t first, std::vector<BlockRef> blocks) {
    number_ = table.meta().number;
    first_ = first;
    window_ = std::move(blocks);
  }

  const uint64_t read_ahead_bytes_;
  Status status_;        // Final once it is an error.
  uint64_t number_ = 0;  // Of the table that the window is of.
  uint32_t first_ = 0;
  std::vector<BlockRef> window_;  // Blocks from first_ on.
};

}  // namespace

std::unique_ptr<Iterator> table_iterator(std::shared_ptr<const Table> table, BlockSource& source) {
  return std::make_unique<TableIterator>(std::move(table), source);
}

std::unique_ptr<BlockSource> blocking_source(uint64_t read_ahead_bytes) {
  return std::make_unique<BlockingSource>(read_ahead_bytes);
}

}  // namespace engine
