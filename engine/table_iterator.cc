// The two ways through a table that are not a point read: the iterator, and the block source of workers.
#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "engine/table.h"
#include "engine/table_iterator.h"

namespace engine {

inline TableIterator::State TableIterator::stand_on(uint32_t entry) {
  entry_ = entry;
  const Block::Record record = block_->record(entry);
  std::string_view key = record.suffix;
  if (prefix_bytes_ > 0) {  // Else it lies whole in the block.
    const size_t key_bytes = prefix_bytes_ + record.suffix.size();
    if (key_bytes + Block::kSlackBytes > buffer_.size()) buffer_.resize(key_bytes + Block::kSlackBytes);
    char* to = buffer_.data() + prefix_bytes_;
    const char* from = record.suffix.data();
    // By whole words, some of it slack on either side: most are two, and a call to copy them costs more.
    for (size_t n = 0; n < record.suffix.size(); n += Block::kSlackBytes)
      std::memcpy(to + n, from + n, Block::kSlackBytes);
    key = {buffer_.data(), key_bytes};
  }
  here_ = {State::kAt, record.flags, key, record.value};
  return State::kAt;
}

TableIterator::State TableIterator::next() {
  INVARIANT(here_.state == State::kAt);
  return entry_ + 1 < block_->entries() ? stand_on(entry_ + 1) : first_of(index_ + 1);
}

TableIterator::State TableIterator::prev() {
  INVARIANT(here_.state == State::kAt);
  return entry_ > 0 ? stand_on(entry_ - 1) : last_before(index_);
}

TableIterator::State TableIterator::table_first() {
  if (final()) return here_.state;
  if (table_->blocks() == 0) return end();
  return enter(0) ? stand_on(0) : here_.state;
}

TableIterator::State TableIterator::table_last() {
  if (final()) return here_.state;
  if (table_->blocks() == 0) return end();
  return enter(table_->blocks() - 1) ? stand_on(block_->entries() - 1) : here_.state;
}

TableIterator::State TableIterator::table_seek(std::string_view key) {
  if (final()) return here_.state;
  const uint32_t index = table_->find_block(key);
  if (index == table_->blocks()) return beyond_table();
  if (!enter(index)) return here_.state;
  const uint32_t entry = block_->lower_bound(key);
  return entry < block_->entries() ? stand_on(entry) : first_of(index + 1);
}

TableIterator::State TableIterator::table_seek_before(std::string_view key) {
  if (final()) return here_.state;
  const uint32_t index = table_->find_block(key);
  if (index == table_->blocks()) return table_last();
  if (!enter(index)) return here_.state;
  const uint32_t entry = block_->lower_bound(key);
  return entry > 0 ? stand_on(entry - 1) : last_before(index);
}

TableIterator::State TableIterator::first_of(uint32_t index) {
  if (index == table_->blocks()) return beyond_table();
  return enter(index) ? stand_on(0) : here_.state;
}

TableIterator::State TableIterator::last_before(uint32_t index) {
  if (index == 0) return before_table();
  return enter(index - 1) ? stand_on(block_->entries() - 1) : here_.state;
}

// Makes block `index` the present one. False: state() says why not.
bool TableIterator::enter(uint32_t index) {
  if (block_ && index == index_) return true;
  BlockRef block = source_.block(*table_, index);
  if (!block) {
    status_ = source_.status();
    here_.state = status_.ok() ? State::kCold : State::kFailed;
    return false;
  }
  block_ = std::move(block);
  index_ = index;
  prefix_bytes_ = block_->prefix().size();
  buffer_.assign(block_->prefix());
  return true;
}

namespace {

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
    const bool goes_on = same_table && (index == first_ + window_.size() || index + 1 == first_);
    if (!goes_on) stretch_ = 0;
    if (goes_on && read_ahead_bytes_ > 0) {
      if (index == first_ + window_.size()) {
        const uint64_t until = table.block_offset(index) + stretch();
        while (last + 1 < table.blocks() && table.block_offset(last + 2) <= until) ++last;
      } else {
        const uint64_t end = table.block_offset(index + 1), wanted = stretch();
        while (first > 0 && end - table.block_offset(first - 1) <= wanted) --first;
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
  // Who goes on goes further: twice as far each time.
  uint64_t stretch() { return stretch_ = std::min(std::max(2 * stretch_, kFirstStretch), read_ahead_bytes_); }
  static constexpr uint64_t kFirstStretch = 16 << 10;

  void keep(const Table& table, uint32_t first, std::vector<BlockRef> blocks) {
    number_ = table.meta().number;
    first_ = first;
    window_ = std::move(blocks);
  }

  const uint64_t read_ahead_bytes_;
  uint64_t stretch_ = 0;
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
