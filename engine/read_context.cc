#include "engine/read_context.h"

#include <algorithm>

namespace engine {

ReadContext::ReadContext() = default;
ReadContext::~ReadContext() = default;
ReadContext::ReadContext(ReadContext&&) noexcept = default;
ReadContext& ReadContext::operator=(ReadContext&&) noexcept = default;

bool ReadContext::cold() const { return impl && !impl->missing.empty(); }
uint32_t ReadContext::fetches() const { return impl ? impl->fetches : 0; }

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
    for (const auto& [pinned, ref] : context_->impl->pins)
      if (pinned == id) return ref;
    for (const auto& [failed, status] : context_->impl->failed) {
      if (failed == id) {
        status_ = status;
        return {};
      }
    }
  }
  if (!pretend_cold()) {
    if (BlockRef found = cache_.find(id)) return found;
  }
  if (!context_->impl) context_->impl = std::make_unique<ReadContext::Impl>();
  ReadContext::Impl& impl = *context_->impl;
  const std::pair<const Table*, uint32_t> miss{&table, index};
  if (std::find(impl.missing.begin(), impl.missing.end(), miss) == impl.missing.end())
    impl.missing.push_back(miss);
  impl.version = *version_;
  return {};
}

}  // namespace engine
