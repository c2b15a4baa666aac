#include "engine/cold_fetch.h"

#include <atomic>
#include <utility>

namespace engine {

namespace {
constexpr uint64_t kLingerUs = 50;
constexpr int kLingerYields = 256;  // At most, also where the clock stands still.
}  // namespace

struct ColdFetcher::Order {
  BlockId id;
  const Table* table;
  VersionRef version;  // Keeps the table open.
  uint64_t started_us;
  Result<BlockRef> block;

  void carry_out() {
    block = table->read_block(id.index);
    version.reset();  // If it was the last one, files are closed here and not on the reactor.
  }
};

// Where a lingering worker finds its next order. Holds null (nobody lingers), open_ (somebody does) or an
// order (for the one who does).
class ColdFetcher::Mailbox {
 public:
  // The reactor's: takes the order over if somebody lingers.
  bool put(std::unique_ptr<Order>& order) {
    Order* expected = open_.get();
    if (!next_.compare_exchange_strong(expected, order.get())) return false;
    (void)order.release();
    return true;
  }
  // A worker's, before it says that it is done with its last order. False: another one lingers.
  bool open() {
    Order* expected = nullptr;
    return next_.compare_exchange_strong(expected, open_.get());
  }
  std::unique_ptr<Order> linger(Executor& executor, const Clock& clock) {
    const uint64_t until = clock.monotonic_us() + kLingerUs;
    for (int n = 0; n < kLingerYields && next_.load() == open_.get(); ++n) {
      if (clock.monotonic_us() >= until) break;
      executor.yield();
    }
    Order* found = next_.exchange(nullptr);
    return found == open_.get() ? nullptr : std::unique_ptr<Order>(found);
  }

 private:
  const std::unique_ptr<Order> open_ = std::make_unique<Order>(Order{{}, nullptr, nullptr, 0, BlockRef()});
  std::atomic<Order*> next_{nullptr};
};

ColdFetcher::ColdFetcher(Env& env, BlockCache& cache)
    : env_(env), cache_(cache), mailbox_(std::make_shared<Mailbox>()) {}

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
    read(std::make_unique<Order>(Order{id, table, version, now, BlockRef()}));
  }
}

void ColdFetcher::read(std::unique_ptr<Order> order) {
  if (mailbox_->put(order)) return;
  auto last = std::make_shared<std::unique_ptr<Order>>(std::move(order));  // Not reported.
  env_.executor.submit(
      Lane::kColdRead,
      [this, last, mailbox = mailbox_, &executor = env_.executor, &clock = env_.clock] {
        while (*last) {
          (*last)->carry_out();
          if (!mailbox->open()) return;
          // From here on only what waits for a block keeps the fetcher.
          executor.report([this, order = std::move(*last)] { arrived(*order); });
          *last = mailbox->linger(executor, clock);
        }
      },
      [this, last] {
        if (*last) arrived(**last);
      });
}

void ColdFetcher::arrived(Order& order) {
  const BlockId id = order.id;
  Result<BlockRef>& block = order.block;
  microseconds_ += env_.clock.monotonic_us() - order.started_us;
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
