#include "engine/read_context.h"

#include <algorithm>

namespace engine {

ReadContext::ReadContext() = default;
ReadContext::~ReadContext() = default;
ReadContext::ReadContext(ReadContext&&) noexcept = default;
ReadContext& ReadContext::operator=(ReadContext&&) noexcept = default;

bool ReadContext::cold() const { return impl && !impl->missing.empty(); }
uint32_t ReadContext::fetches() const { return impl ? impl->fetches : 0; }
uint64_t ReadContext::blocked() const { return impl ? impl->blocked : 0; }
void ReadContext::read_ahead(uint32_t blocks) { own().read_ahead = blocks; }
void ReadContext::may_block() { own().may_block = true; }

ReadContext::Impl& ReadContext::own() {
  if (!impl) impl = std::make_unique<Impl>();
  return *impl;
}

bool CachedBlocks::pretend_cold() {
  if (cold_chance_ == 0) return false;
  *dice_ += 0x9e3779b97f4a7c15u;  // SplitMix64.
  uint64_t z = *dice_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return static_cast<uint32_t>(z ^ (z >> 31)) < cold_chance_;
}

BlockRef CachedBlocks::block(const Table& table, uint32_t index) {
  status_ = {};
  const BlockId id{table.meta().number, index};
  if (context_->impl) {
    const ReadContext::Impl& impl = *context_->impl;
    if (const auto pinned = impl.pins.find(id); pinned != impl.pins.end()) return pinned->second;
    if (const auto failed = impl.failed.find(id); failed != impl.failed.end()) {
      status_ = failed->second;
      return {};
    }
  }
  if (!pretend_cold()) {
    if (BlockRef found = cache_.find(id)) return found;
  }
  ReadContext::Impl& impl = context_->own();
  if (impl.may_block) return read_here(table, index);
  impl.miss(table, index);
  bool forward = true;
  const uint32_t more = behind(table, index, impl.read_ahead, &forward);
  for (uint32_t n = 1; n <= more; ++n) {
    const uint32_t next = forward ? index + n : index - n;
    if (!at_hand({id.table, next})) impl.miss(table, next);
  }
  impl.version = *version_;
  return {};
}

bool CachedBlocks::at_hand(BlockId id) const {
  return context_->impl->pins.contains(id) || cache_.contains(id);
}

// How many blocks a walk that has come to this one is likely to want next, and on which side they lie: not
// where it has been.
uint32_t CachedBlocks::behind(const Table& table, uint32_t index, uint32_t blocks_max, bool* forward) const {
  if (!walks_ || blocks_max == 0) return 0;
  const uint64_t number = table.meta().number;
  *forward = index == 0 || at_hand({number, index - 1});
  if (*forward) return std::min(blocks_max, table.blocks() - 1 - index);
  const bool backward = index + 1 == table.blocks() || at_hand({number, index + 1});
  return backward ? std::min(blocks_max, index) : 0;
}

BlockRef CachedBlocks::read_here(const Table& table, uint32_t index) {
  constexpr uint32_t kBlocksAhead = 63;  // One read of some 256 KB.
  ReadContext::Impl& impl = *context_->impl;
  const BlockId id{table.meta().number, index};
  bool forward = true;
  const uint32_t more = behind(table, index, kBlocksAhead, &forward);
  const uint32_t first = forward ? index : index - more;
  auto blocks = table.read_blocks(first, more + 1);
  if (!blocks.ok() && more > 0) blocks = table.read_blocks(index, 1);  // The damaged one may be another.
  if (!blocks.ok()) {
    status_ = blocks.status();
    impl.failed.emplace(id, status_);
    return {};
  }
  const uint32_t begin = blocks.value().size() == 1 ? index : first;
  impl.blocked += blocks.value().size();
  for (uint32_t n = 0; n < blocks.value().size(); ++n) {
    const BlockId read{id.table, begin + n};
    if (!cache_.contains(read)) cache_.insert(read, blocks.value()[n]);
    impl.pins.emplace(read, std::move(blocks.value()[n]));
  }
  return impl.pins.at(id);
}

}  // namespace engine
