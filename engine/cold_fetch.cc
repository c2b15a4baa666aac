#include "engine/cold_fetch.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <utility>

namespace engine {

namespace {
constexpr uint64_t kLingerUs = 50;
constexpr int kLingerYields = 256;  // At most, also where the clock stands still.

constexpr uint64_t kPage = 4096;
// What the reactor may decode itself: some ten microseconds.
constexpr uint64_t kPagesBytesMax = 32 << 10;
constexpr uint64_t kSparePagesBytes = 2 * kPage;  // Nearly all blocks lie in one page or two.
constexpr size_t kSparePagesMax = 64;
// So that a command over a million keys does not take memory for all of their blocks at once, and a sync does
// not wait behind them.
constexpr size_t kPagesUnderWayMax = 128;
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

// A block's pages on their way into memory of its own.
class ColdFetcher::Pages final : public PageRead {
 public:
  Pages(ColdFetcher& fetcher, uint64_t bytes)
      : fetcher_(fetcher), bytes_(bytes), memory_(static_cast<char*>(std::aligned_alloc(kPage, bytes))) {
    INVARIANT(memory_ != nullptr);
  }
  ~Pages() override { std::free(memory_); }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

  static uint64_t bytes_of(const Order& order) {
    const uint64_t end = order.table->block_offset(order.id.index + 1);
    return (end + kPage - 1) / kPage * kPage - first_page(order);
  }
  void take(std::unique_ptr<Order> order) {
    file = &order->table->file();
    offset = first_page(*order);
    out = {memory_, bytes_of(*order)};
    order_ = std::move(order);
  }
  std::unique_ptr<Order> give_back() { return std::move(order_); }
  uint64_t bytes() const { return bytes_; }

  // What of the `got` bytes is the block; empty if that is not all of it.
  std::string_view block(int64_t got) const {
    const uint64_t begin = order_->table->block_offset(order_->id.index) - offset;
    const uint64_t end = order_->table->block_offset(order_->id.index + 1) - offset;
    if (got < static_cast<int64_t>(end)) return {};
    return {memory_ + begin, end - begin};
  }

  void ended(int64_t got) override { fetcher_.ended(std::unique_ptr<Pages>(this), got); }

 private:
  static uint64_t first_page(const Order& order) {
    return order.table->block_offset(order.id.index) / kPage * kPage;
  }

  ColdFetcher& fetcher_;
  const uint64_t bytes_;
  char* const memory_;
  std::unique_ptr<Order> order_;
};

ColdFetcher::ColdFetcher(Env& env, BlockCache& cache)
    : env_(env), cache_(cache), mailbox_(std::make_shared<Mailbox>()) {}
ColdFetcher::~ColdFetcher() = default;

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
  if (!begin(order)) read_on_worker(std::move(order));
}

// False: the order is still there.
bool ColdFetcher::begin(std::unique_ptr<Order>& order) {
  if (Pages::bytes_of(*order) > kPagesBytesMax) return false;
  if (pages_under_way_ == kPagesUnderWayMax) {
    waiting_.push_back(std::move(order));
    return true;
  }
  std::unique_ptr<Pages> pages = pages_for(*order);
  pages->take(std::move(order));
  if (env_.executor.begin(*pages)) {
    (void)pages.release();  // It comes back by ended().
    ++pages_under_way_;
    return true;
  }
  order = pages->give_back();
  keep(std::move(pages));
  return false;
}

void ColdFetcher::ended(std::unique_ptr<Pages> pages, int64_t got) {
  --pages_under_way_;
  const std::string_view bytes = pages->block(got);
  std::unique_ptr<Order> order = pages->give_back();
  if (!bytes.empty()) order->block = order->table->decode_block(order->id.index, bytes);
  keep(std::move(pages));
  if (!waiting_.empty()) {
    std::unique_ptr<Order> next = std::move(waiting_.front());
    waiting_.pop_front();
    read(std::move(next));
  }
  if (bytes.empty()) return read_on_worker(std::move(order));  // It says what is wrong, or does better.
  let_go(std::move(order->version));
  ++without_worker_;
  arrived(*order);
}

std::unique_ptr<ColdFetcher::Pages> ColdFetcher::pages_for(const Order& order) {
  const uint64_t bytes = Pages::bytes_of(order);
  if (bytes > kSparePagesBytes || spare_pages_.empty())
    return std::make_unique<Pages>(*this, std::max(bytes, kSparePagesBytes));
  std::unique_ptr<Pages> pages = std::move(spare_pages_.back());
  spare_pages_.pop_back();
  return pages;
}

void ColdFetcher::keep(std::unique_ptr<Pages> pages) {
  if (pages->bytes() == kSparePagesBytes && spare_pages_.size() < kSparePagesMax)
    spare_pages_.push_back(std::move(pages));
}

// Where that closes files it is a worker's.
void ColdFetcher::let_go(VersionRef version) {
  if (version.use_count() != 1) return;
  env_.executor.submit(
      Lane::kColdRead, [version = std::move(version)]() mutable { version.reset(); }, [] {});
}

void ColdFetcher::read_on_worker(std::unique_ptr<Order> order) {
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
