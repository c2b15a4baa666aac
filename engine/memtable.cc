#include "engine/memtable.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <utility>

#include "engine/arena.h"
#include "engine/memtable_tree.h"

namespace engine {
namespace {

// MemRecord::marks
constexpr uint8_t kReplaced = 1;  // Another record stands for the key.

// A value that has outgrown its record will grow again: so much of its size is kept free, up to a limit.
constexpr size_t kSlackDivisor = 4;
constexpr size_t kSlackBytesMax = 4096;

constexpr size_t kRecordAlignment = alignof(MemRecord);

}  // namespace

struct Memtable::Impl {
  // What the writer knows of a view.
  struct Mark {
    uint64_t epoch;                 // Nodes made in it or before can be seen.
    Lsn last_lsn;                   // So can records whose LSN is not above this.
    std::atomic<bool> gone{false};  // Set once, by the view's destructor on any thread.
  };

  explicit Impl(uint8_t home_id) : tree(arena), home(home_id) {}

  // The newest view alive, or null. Whatever an older one sees that this one does not, has been replaced.
  const Mark* newest_view() {
    while (!views.empty() && views.back()->gone.load(std::memory_order_acquire)) {
      views.pop_back();
      if (views.empty()) tree.reuse_replaced();
    }
    return views.empty() ? nullptr : views.back().get();
  }

  MemRecord* new_record(std::string_view key, size_t value_bytes) {
    const size_t bytes = sizeof(MemRecord) + key.size() + value_bytes;
    const size_t rounded = (bytes + kRecordAlignment - 1) & ~(kRecordAlignment - 1);
    INVARIANT(rounded <= std::numeric_limits<uint32_t>::max());
    auto* record = reinterpret_cast<MemRecord*>(arena.allocate(rounded, kRecordAlignment));
    record->key_size = static_cast<uint32_t>(key.size());
    record->value_capacity = static_cast<uint32_t>(rounded - sizeof(MemRecord) - key.size());
    record->home = home;
    record->heat = 0;
    record->marks = 0;
    std::memcpy(reinterpret_cast<char*>(record + 1), key.data(), key.size());
    return record;
  }

  void fill(MemRecord* record, std::string_view value, uint8_t flags, Lsn lsn) {
    // A move: the value may be a part of what it replaces.
    std::memmove(reinterpret_cast<char*>(record + 1) + record->key_size, value.data(), value.size());
    record->value_size = static_cast<uint32_t>(value.size());
    record->flags = flags;
    record->lsn = lsn;
    unsettled += (flags & kUnsettled) != 0;
  }

  Arena arena;
  tree::Tree tree;
  std::vector<std::unique_ptr<Mark>> views;  // By epoch.
  uint64_t records = 0;
  uint64_t unsettled = 0;
  Lsn first_lsn = 0;
  Lsn last_lsn = 0;
  uint8_t home;
  bool frozen = false;
};

// ---- Iterators ----

namespace {

class TreeIterator : public Iterator {
 public:
  State seek_first() final {
    cursor_.seek_first(root());
    return stand();
  }
  State seek_last() final {
    cursor_.seek_last(root());
    return stand();
  }
  State seek(std::string_view key) final {
    cursor_.seek(root(), key);
    return stand();
  }
  State seek_before(std::string_view key) final {
    cursor_.seek_before(root(), key);
    return stand();
  }
  State next() final {
    cursor_.next();
    return stand();
  }
  State prev() final {
    cursor_.prev();
    return stand();
  }
  const Status& status() const final { return status_; }

 private:
  virtual const tree::Node* root() const = 0;

  State stand() {
    if (!cursor_.at()) return end();
    const MemRecord* record = cursor_.record();
    here_ = {State::kAt, record->flags, record->key(), record->value()};
    return State::kAt;
  }

  tree::Cursor cursor_;
  Status status_;
};

}  // namespace

class Memtable::View final : public TreeView, public std::enable_shared_from_this<View> {
 public:
  View(std::shared_ptr<const Impl> memtable, const tree::Node* root, uint64_t records,
       std::atomic<bool>* gone)
      : memtable_(std::move(memtable)), root_(root), records_(records), gone_(gone) {}
  // The writer may free the mark as soon as it is set.
  ~View() override { gone_->store(true, std::memory_order_release); }

  const MemRecord* find(std::string_view key) const override { return tree::find(root_, key); }
  std::unique_ptr<Iterator> iterator() const override;
  uint64_t records() const override { return records_; }

  const tree::Node* root() const override { return root_; }

 private:
  std::shared_ptr<const Impl> memtable_;
  const tree::Node* root_;
  uint64_t records_;
  std::atomic<bool>* gone_;
};

class Memtable::LiveIterator final : public TreeIterator {
 public:
  explicit LiveIterator(std::shared_ptr<const Impl> memtable) : memtable_(std::move(memtable)) {}

 private:
  const tree::Node* root() const override { return memtable_->tree.root(); }

  std::shared_ptr<const Impl> memtable_;
};

class Memtable::ViewIterator final : public TreeIterator {
 public:
  explicit ViewIterator(std::shared_ptr<const View> view) : view_(std::move(view)) {}

 private:
  const tree::Node* root() const override { return view_->root(); }

  std::shared_ptr<const View> view_;
};

std::unique_ptr<Iterator> Memtable::View::iterator() const {
  return std::make_unique<ViewIterator>(shared_from_this());
}

// ---- Memtable ----

Memtable::Memtable(uint8_t home) : impl_(std::make_shared<Impl>(home)) {}
Memtable::~Memtable() = default;

MemRecord* Memtable::put(std::string_view key, std::string_view value, uint8_t flags, Lsn lsn,
                         MemRecord* old) {
  Impl& m = *impl_;
  INVARIANT(!m.frozen);
  const Impl::Mark* view = m.newest_view();
  if (m.records == 0) m.first_lsn = lsn;
  m.last_lsn = std::max(m.last_lsn, lsn);

  tree::Path path;
  bool walked = false;
  if (old == nullptr) {
    walked = true;
    if (m.tree.locate(key, &path)) old = path.leaf()->record[path.slot[0]];
  }
  if (old != nullptr) {
    INVARIANT(old->home == m.home && (old->marks & kReplaced) == 0);
    m.unsettled -= (old->flags & kUnsettled) != 0;
    const bool seen = view != nullptr && old->lsn <= view->last_lsn;
    if (!seen && value.size() <= old->value_capacity) {
      m.fill(old, value, flags, lsn);
      return old;
    }
  }

  const bool outgrown = old != nullptr && value.size() > old->value_capacity;
  const size_t slack = outgrown ? std::min(value.size() / kSlackDivisor, kSlackBytesMax) : 0;
  MemRecord* record = m.new_record(key, value.size() + slack);
  m.fill(record, value, flags, lsn);

  const uint64_t visible_epoch = view != nullptr ? view->epoch : 0;
  if (old == nullptr) {
    m.tree.insert(path, record, visible_epoch);
    ++m.records;
    return record;
  }
  if (!walked) INVARIANT(tree::locate(m.tree.root(), key, &path));
  INVARIANT(path.leaf()->record[path.slot[0]] == old);
  m.tree.replace(path, record, visible_epoch);
  record->heat = old->heat;
  old->marks |= kReplaced;
  return record;
}

const MemRecord* Memtable::find(std::string_view key) const { return tree::find(impl_->tree.root(), key); }

std::unique_ptr<Iterator> Memtable::iterator() const { return std::make_unique<LiveIterator>(impl_); }

std::shared_ptr<const Memtable::TreeView> Memtable::view() {
  Impl& m = *impl_;
  // Views that died before a newer one did would pile up. Few are alive at a time.
  std::erase_if(m.views, [](const auto& mark) { return mark->gone.load(std::memory_order_acquire); });
  if (m.views.empty()) m.tree.reuse_replaced();
  auto mark = std::make_unique<Impl::Mark>();
  mark->epoch = m.tree.end_epoch();
  mark->last_lsn = m.last_lsn;
  auto view = std::make_shared<View>(impl_, m.tree.root(), m.records, &mark->gone);
  m.views.push_back(std::move(mark));
  return view;
}

const tree::Node* Memtable::root() const { return impl_->tree.root(); }

void Memtable::freeze() { impl_->frozen = true; }

uint64_t Memtable::bytes() const { return impl_->arena.bytes(); }
uint64_t Memtable::records() const { return impl_->records; }
uint64_t Memtable::unsettled() const { return impl_->unsettled; }
Lsn Memtable::first_lsn() const { return impl_->first_lsn; }
Lsn Memtable::last_lsn() const { return impl_->last_lsn; }

}  // namespace engine
