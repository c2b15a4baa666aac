#include "engine/run_ahead.h"

#include <algorithm>
#include <utility>

namespace engine {

RunAhead::Place RunAhead::place_of(const Table& table, uint32_t index) const {
  // Nearly always the table of the window, or the next one.
  const size_t tables = run_.tables().size();
  for (size_t n = 0; n < tables; ++n) {
    const size_t at = (window_.first.table + n) % tables;
    if (run_.tables()[at].get() == &table) return {at, index};
  }
  INVARIANT(false);  // The iterators over this source are over this run.
  return {};
}

RunAhead::Place RunAhead::behind(const Stretch& stretch) const {
  const uint32_t next = stretch.first.block + static_cast<uint32_t>(stretch.blocks.size());
  const bool more = next < run_.tables()[stretch.first.table]->blocks();
  return more ? Place{stretch.first.table, next} : Place{stretch.first.table + 1, 0};
}

Result<RunAhead::Stretch> RunAhead::read_from(Place place) const {
  const Table& table = *run_.tables()[place.table];
  const uint64_t end = table.block_offset(place.block) + stretch_bytes_;
  uint32_t count = 1;
  while (place.block + count < table.blocks() && table.block_offset(place.block + count + 1) <= end) ++count;
  auto blocks = table.read_blocks(place.block, count);
  if (!blocks.ok()) return blocks.status();
  return Stretch{place, std::move(blocks).value()};
}

BlockRef RunAhead::block(const Table& table, uint32_t index) {
  if (!status_.ok()) return {};
  const Place place = place_of(table, index);
  if (!window_.has(place)) {
    if (ahead_.has(place)) {
      window_ = std::exchange(ahead_, {});
    } else {
      window_ = {};
      Result<Stretch> stretch = read_from(place);
      if (!stretch.ok()) {  // Perhaps only a block further on is bad, and nobody will ask for it.
        Result<BlockRef> one = table.read_block(index);
        if (!one.ok()) {
          status_ = one.status();
          return {};
        }
        stretch = Stretch{place, {}};
        stretch->blocks.push_back(std::move(*one));
      }
      window_ = std::move(*stretch);
      passed_ = std::max(passed_, behind(window_));
    }
  }
  return window_.blocks[place.block - window_.first.block];
}

void RunAhead::hand_over() {
  // What the slice could not wait for is of no use any more.
  if (!fetched_.blocks.empty() && fetched_.first < passed_) fetched_ = {};
  if (until_ < passed_) until_ = passed_;
  if (ahead_.blocks.empty() && !fetched_.blocks.empty()) ahead_ = std::exchange(fetched_, {});
}

void RunAhead::read() {
  Result<Stretch> stretch = read_from(until_);
  gave_up_ = !stretch.ok();
  if (gave_up_) return;
  fetched_ = std::move(*stretch);
  until_ = behind(fetched_);
}

}  // namespace engine
