#include "engine/cold_fetch.h"

namespace engine {

void ColdFetcher::fetch(ReadContext& context, Task done) {
  INVARIANT(context.cold());
  ReadContext::Impl& impl = *context.impl;
  ++fetches_;
  ++impl.fetches;
  auto waiter = std::make_shared<Waiter>(Waiter{&context, std::move(done), impl.missing.size()});
  const auto missing = std::move(impl.missing);
  impl.missing.clear();
  impl.noted.clear();
  const VersionRef version = std::move(impl.version);
  const uint64_t now = env_.clock.monotonic_us();
  for (const auto& [table, index] : missing) {
    const BlockId id{table->meta().number, index};
    auto& waiters = under_way_[id];
    waiters.push_back(waiter);
    if (waiters.size() > 1) continue;
    ++blocks_;
    auto block = std::make_shared<Result<BlockRef>>(BlockRef());
    env_.executor.submit(
        Lane::kColdRead,
        [table = table, index = index, version, block] { *block = table->read_block(index); },
        [this, id, version, block, now] { arrived(id, std::move(*block), now); });
  }
}

void ColdFetcher::arrived(BlockId id, Result<BlockRef> block, uint64_t started_us) {
  microseconds_ += env_.clock.monotonic_us() - started_us;
  const auto at = under_way_.find(id);
  const auto waiters = std::move(at->second);
  under_way_.erase(at);
  if (block.ok()) {
    bytes_ += block.value()->memory_bytes();
    if (!cache_.contains(id)) cache_.insert(id, block.value());
  }
  for (const auto& waiter : waiters) {
    ReadContext::Impl& impl = *waiter->context->impl;
    if (block.ok())
      impl.pins.emplace(id, block.value());
    else
      impl.failed.emplace(id, block.status());
    if (--waiter->blocks_left == 0) waiter->done();
  }
}

}  // namespace engine
