// engine/table_iterator.h: a position in a table, and the means to go on from one table to the next.
//
// table_iterator() makes one of a single table. A run's tables lie one behind the other: its iterator
// (engine/version.cc) is this one with another table put under it where one ends, so that between two records
// nothing lies but a block's offsets.
//
// Threads: its owner's.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "engine/table.h"

namespace engine {

class TableIterator : public Iterator {
 public:
  TableIterator(std::shared_ptr<const Table> table, BlockSource& source)
      : table_(std::move(table)), source_(source) {}

  State seek_first() override { return table_first(); }
  State seek_last() override { return table_last(); }
  State seek(std::string_view key) override { return table_seek(key); }
  State seek_before(std::string_view key) override { return table_seek_before(key); }
  State next() final;
  State prev() final;
  const Status& status() const final { return status_; }

 protected:
  // Of the present table alone, but for what lies beyond its ends.
  State table_first();
  State table_last();
  State table_seek(std::string_view key);
  State table_seek_before(std::string_view key);
  // Where to go when the table ends.
  virtual State beyond_table() { return end(); }
  virtual State before_table() { return end(); }

  bool has_table() const { return table_ != nullptr; }
  void put_table(std::shared_ptr<const Table> table) {
    table_ = std::move(table);
    block_ = {};
  }

 private:
  bool final() const { return here_.state == State::kCold || here_.state == State::kFailed; }
  State first_of(uint32_t index);
  State last_before(uint32_t index);
  bool enter(uint32_t index);
  State stand_on(uint32_t entry);

  std::shared_ptr<const Table> table_;
  BlockSource& source_;
  Status status_;
  BlockRef block_;
  uint32_t index_ = 0;  // Of block_, when there is one.
  uint32_t entry_ = 0;
  size_t prefix_bytes_ = 0;
  std::string buffer_;  // The block's prefix, then the present suffix; longer than both.
};

}  // namespace engine
