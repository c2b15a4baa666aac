#include "server/view.h"

#include <algorithm>
#include <deque>
#include <map>
#include <numeric>

#include "server/key_watcher.h"

namespace server {

using engine::Existence;
using engine::Iterator;
using engine::Lookup;

// The batch by key. Values live in a deque so that what a read returned survives later writes.
struct View::Overlay {
  struct Entry {
    std::string_view value;
    bool erased;
  };
  using Entries = std::map<std::string, Entry, std::less<>>;
  Entries entries;
  std::deque<std::string> values;
  size_t read_bytes = 0;  // Of the batch, so far.

  void follow(const engine::Batch& batch) {
    if (read_bytes == batch.bytes().size()) return;
    engine::BatchReader operations(batch.bytes().substr(read_bytes));
    while (operations.next()) {
      if (operations.op() == engine::Batch::Op::kMoved) continue;
      Entry entry{{}, operations.op() == engine::Batch::Op::kErase};
      if (!entry.erased) entry.value = values.emplace_back(operations.value());
      const auto at = entries.find(operations.key());
      if (at != entries.end())
        at->second = entry;
      else
        entries.emplace(std::string(operations.key()), entry);
    }
    INVARIANT(operations.status().ok());
    read_bytes = batch.bytes().size();
  }
};

View::View(engine::Reader& reader, engine::Engine* engine, engine::Batch& batch, int64_t now_ms)
    : reader_(reader), engine_(engine), batch_(batch), now_ms_(now_ms) {}
View::~View() = default;

bool View::is_new_element(std::string_view key) const {
  if (new_elements_.empty()) [[likely]]
    return false;
  for (const std::string& begin : new_elements_)
    if (key.starts_with(begin)) return true;
  return false;
}

View::Overlay& View::overlay(bool new_element) {
  std::unique_ptr<Overlay>& overlay = new_element ? elements_overlay_ : overlay_;
  if (!overlay) overlay = std::make_unique<Overlay>();
  overlay->follow(batch_of(new_element));
  return *overlay;
}

std::optional<std::string_view> View::get(std::string_view key) { return get(key, nullptr); }

std::optional<std::string_view> View::get(std::string_view key, const Ahead& ahead) {
  const bool is_new = is_new_element(key);
  if (!batch_of(is_new).empty()) {
    const Overlay& own = overlay(is_new);
    const auto at = own.entries.find(key);
    if (at != own.entries.end()) {
      if (at->second.erased) return std::nullopt;
      return at->second.value;
    }
  }
  const Lookup found = reader_.get(key);
  if (ahead && found.state == Lookup::State::kCold) [[unlikely]] {
    std::vector<std::string> keys;
    ahead(keys);
    for (const std::string& next : keys) reader_.get(next);  // Notes what is cold.
  }
  return value_of(found);
}

std::optional<std::string_view> View::value_of(const Lookup& found) {
  if (found.lsn > seen_) seen_ = found.lsn;
  switch (found.state) {
    case Lookup::State::kFound: return found.value;
    case Lookup::State::kAbsent: return std::nullopt;
    case Lookup::State::kCold: throw ColdRead{};
    case Lookup::State::kFailed: break;
  }
  throw StorageError{reader_.status()};
}

void View::get_all(std::span<const std::string> keys, std::vector<std::optional<std::string_view>>* values) {
  values->clear();
  if (engine_ == nullptr) {  // It reads where it stands: neighbours one after the other.
    std::vector<uint32_t> order(keys.size());
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return keys[a] < keys[b]; });
    values->resize(keys.size());
    for (const uint32_t i : order) (*values)[i] = get(keys[i]);
    return;
  }
  bool cold = false;
  for (const std::string& key : keys) {
    const bool is_new = is_new_element(key);
    if (!batch_of(is_new).empty()) {
      const Overlay& own = overlay(is_new);
      const auto at = own.entries.find(key);
      if (at != own.entries.end()) {
        values->push_back(at->second.erased ? std::nullopt : std::optional(at->second.value));
        continue;
      }
    }
    const Lookup found = reader_.get(key);
    if (found.state == Lookup::State::kCold) {
      cold = true;
      values->emplace_back();
    } else {
      values->push_back(value_of(found));
    }
  }
  if (cold) throw ColdRead{};
}

void View::put(std::string_view key, std::string_view value, Existence before) {
  INVARIANT(writable());
  batch_of(is_new_element(key)).put(key, value, before);
}

void View::erase(std::string_view key, Existence before) {
  INVARIANT(writable());
  batch_of(is_new_element(key)).erase(key, before);
}

void View::prefetch(std::span<const std::string> keys) {
  if (engine_ == nullptr) return;
  bool cold = false;
  for (const std::string& key : keys) cold |= reader_.get(key).state == Lookup::State::kCold;
  if (cold) throw ColdRead{};
}

void View::prefetch_headers(ObjectId database, std::span<const std::string_view> user_keys) {
  if (engine_ == nullptr) return;
  bool cold = false;
  for (const std::string_view user_key : user_keys) {
    header_key(database, user_key, &key_);
    cold |= reader_.get(key_).state == Lookup::State::kCold;
  }
  if (cold) throw ColdRead{};
}

std::optional<std::string> View::sample(std::string_view begin, std::string_view end, uint64_t random) {
  std::string key;
  switch (reader_.sample(begin, end, random, &key)) {
    case Lookup::State::kFound: return key;
    case Lookup::State::kAbsent: return std::nullopt;
    case Lookup::State::kCold: throw ColdRead{};
    case Lookup::State::kFailed: break;
  }
  throw StorageError{reader_.status()};
}

ObjectId View::new_object() {
  if (engine_ != nullptr) return engine_->new_object();
  INVARIANT(!new_objects_.empty());
  const ObjectId id = new_objects_.front();
  new_objects_ = new_objects_.subspan(1);
  new_elements_.push_back(element_begin(id));
  return id;
}

void View::moved(ObjectId id, uint32_t generation) { batch_.moved(id, generation); }

std::optional<Header> View::header(ObjectId database, std::string_view user_key) {
  header_key(database, user_key, &key_);
  const auto record = get(key_);
  if (!record) {
    ++misses_;
    if (watcher_) watcher_->missed(database, user_key);
    return std::nullopt;
  }
  auto header = decode_header(*record);
  if (!header) {
    throw StorageError{engine::Status(engine::Code::kCorruption,
                                      "the header of key '" + std::string(user_key) + "' is malformed")};
  }
  if (header->expired(now_ms_)) {
    if (writable()) expired_.push_back({database, std::string(user_key)});
    ++misses_;
    if (watcher_) watcher_->missed(database, user_key);
    return std::nullopt;
  }
  ++hits_;
  if (watcher_) watcher_->found(database, user_key, *header);
  return header;
}

void View::put_expiries(ObjectId database, std::string_view user_key, const Header& old, const Header& now) {
  if (old.expiry_ms == now.expiry_ms && old.elements_expiry_ms == now.elements_expiry_ms) return;
  const int64_t before[] = {old.expiry_ms, old.elements_expiry_ms};
  const int64_t after[] = {now.expiry_ms, now.elements_expiry_ms};
  for (const int64_t ms : before)
    if (ms != kNoExpiry && ms != after[0] && ms != after[1]) erase(expiry_key(ms, database, user_key));
  for (const int64_t ms : after)
    if (ms != kNoExpiry && ms != before[0] && ms != before[1]) put(expiry_key(ms, database, user_key), {});
}

// What lay there is about to be written over (`put`) or erased.
void View::tell_of_old(ObjectId database, std::string_view user_key, const std::optional<Header>& old,
                       bool put) {
  if (!watcher_) return;
  const bool expired = old && old->expired(now_ms_);
  if (expired) watcher_->expired(database, user_key, *old);
  if (put && (!old || expired)) watcher_->created(database, user_key);
}

void View::put_header(ObjectId database, std::string_view user_key, const Header& header) {
  header_key(database, user_key, &key_);
  const auto record = get(key_);
  const auto old = record ? decode_header(*record) : std::nullopt;
  tell_of_old(database, user_key, old, true);
  encode_header(header, &value_);
  put(key_, value_, record ? Existence::kPresent : Existence::kAbsent);
  put_expiries(database, user_key, old.value_or(Header{}), header);
}

void View::put_header(ObjectId database, std::string_view user_key, const Header& header,
                      const std::optional<Header>& old) {
  if (!old) {
    for (const Expired& one : expired_) {  // What lies there is a record all the same.
      if (one.database == database && one.user_key == user_key) return put_header(database, user_key, header);
    }
    tell_of_old(database, user_key, old, true);
  }
  header_key(database, user_key, &key_);
  encode_header(header, &value_);
  put(key_, value_, old ? Existence::kPresent : Existence::kAbsent);
  put_expiries(database, user_key, old.value_or(Header{}), header);
}

void View::put_header_blind(ObjectId database, std::string_view user_key, const Header& header) {
  if (watcher_ && watcher_->must_look()) [[unlikely]]
    return put_header(database, user_key, header);
  header_key(database, user_key, &key_);
  encode_header(header, &value_);
  put(key_, value_);
  put_expiries(database, user_key, {}, header);
}

void View::erase_header(ObjectId database, std::string_view user_key) {
  header_key(database, user_key, &key_);
  const auto record = get(key_);
  if (!record) return;
  const auto old = decode_header(*record);
  tell_of_old(database, user_key, old, false);
  erase(key_, Existence::kPresent);
  put_expiries(database, user_key, old.value_or(Header{}), {});
}

void View::move_header(ObjectId from_database, std::string_view from, ObjectId to_database,
                       std::string_view to) {
  auto header = this->header(from_database, from);
  INVARIANT(header.has_value());
  if (header->object.id != engine::kNoObject) moved(header->object.id, ++header->object.generation);
  put_header(to_database, to, *header);
  erase_header(from_database, from);
}

int64_t View::change_of_count(ObjectId database) {
  if (batch_.empty()) return 0;
  const Overlay& own = overlay();
  const std::string end = header_end(database);
  int64_t change = 0;
  for (auto at = own.entries.lower_bound(header_begin(database));
       at != own.entries.end() && (end.empty() || at->first < end); ++at) {
    change += (at->second.erased ? 0 : 1) - (value_of(reader_.get(at->first)) ? 1 : 0);
  }
  return change;
}

void View::charge(uint64_t steps) {
  steps_ += steps;
  if (steps_ <= kStepsOnReactor || !may_leave_ || engine_ == nullptr) [[likely]]
    return;
  if (batch_.empty() || may_leave_written_) throw LongRead{};
}

// The engine's records and the batch's, merged on the fly. The position is a key; the batch may grow
// meanwhile.
struct View::Range::Impl {
  Impl(View& the_view, std::string_view the_begin, std::string_view the_end)
      : view(the_view),
        begin(the_begin),
        end(the_end),
        of_new_elements(view.is_new_element(the_begin)),
        stored(view.reader_.iterator(the_begin, the_end)) {
    if (view.reader_.newest() > view.seen_) view.seen_ = view.reader_.newest();
  }

  View& view;
  std::string begin, end;
  const bool of_new_elements;
  std::unique_ptr<Iterator> stored;
  enum class Side { kStored, kOwn } side = Side::kStored;
  std::string own_key;  // When side is kOwn.
  std::string_view own_value;
  bool stored_waits = false;  // With side kOwn: `stored` stands on the next record of its own.
  enum class Heading { kForward, kBackward } heading = Heading::kForward;

  std::string_view key() const { return side == Side::kOwn ? std::string_view(own_key) : stored->key(); }

  bool nothing_own() const { return view.batch_of(of_new_elements).empty(); }

  bool check(Iterator::State state) {
    view.charge(1);
    switch (state) {
      case Iterator::State::kAt: return true;
      case Iterator::State::kEnd: return false;
      case Iterator::State::kCold: throw ColdRead{};
      case Iterator::State::kFailed: break;
    }
    throw StorageError{stored->status()};
  }

  bool take_stored(bool there) {
    side = Side::kStored;
    return there;
  }
  // The stored side waits behind this one.
  bool take_own(const Overlay::Entries::value_type& entry, bool has_stored) {
    side = Side::kOwn;
    own_key = entry.first;
    own_value = entry.second.value;
    stored_waits = has_stored;
    return true;
  }

  // `stored` stands at its first record >= from (or past its end): decides between it and the batch's first.
  bool settle_forward(bool has_stored, std::string from, bool inclusive) {
    heading = Heading::kForward;
    if (nothing_own()) return take_stored(has_stored);
    Overlay& own = view.overlay(of_new_elements);
    auto at = inclusive ? own.entries.lower_bound(from) : own.entries.upper_bound(from);
    for (;;) {
      if (at != own.entries.end() && !end.empty() && at->first >= end) at = own.entries.end();
      if (at == own.entries.end()) return take_stored(has_stored);
      const int order = has_stored ? stored->key().compare(at->first) : 1;
      if (order < 0) return take_stored(true);
      if (order == 0) has_stored = check(stored->next());
      if (!at->second.erased) return take_own(*at, has_stored);
      ++at;
    }
  }
  bool settle_backward(bool has_stored, std::string from, bool has_bound) {
    heading = Heading::kBackward;
    if (nothing_own()) return take_stored(has_stored);
    Overlay& own = view.overlay(of_new_elements);
    auto at = has_bound ? own.entries.lower_bound(from) : own.entries.end();
    for (;;) {
      const bool has_own = at != own.entries.begin() && std::prev(at)->first >= begin;
      if (!has_own) return take_stored(has_stored);
      --at;
      const int order = has_stored ? stored->key().compare(at->first) : -1;
      if (order > 0) return take_stored(true);
      if (order == 0) has_stored = check(stored->prev());
      if (!at->second.erased) return take_own(*at, has_stored);
    }
  }

  bool seek(std::string_view from, const Ahead& ahead = nullptr) {
    const std::string bound(from < std::string_view(begin) ? std::string_view(begin) : from);
    const Iterator::State state = stored->seek(bound);
    if (ahead && state == Iterator::State::kCold) [[unlikely]]
      note_cold(ahead);
    return settle_forward(check(state), bound, true);
  }
  void note_cold(const Ahead& ahead) {
    std::vector<std::string> keys;
    ahead(keys);
    for (const std::string& key : keys) view.reader_.iterator(begin, end)->seek(key);
  }
  bool seek_before(std::string_view before) {
    const bool past = !end.empty() && before > std::string_view(end);
    const std::string bound(past ? std::string_view(end) : before);
    return settle_backward(check(stored->seek_before(bound)), bound, true);
  }
  bool seek_last() {
    if (!end.empty()) return seek_before(end);
    return settle_backward(check(stored->seek_last()), {}, false);
  }
  bool next() {
    if (nothing_own()) return check(stored->next());
    const std::string here(key());
    if (heading == Heading::kBackward) return settle_forward(check(stored->seek(here + '\0')), here, false);
    const bool has_stored = side == Side::kStored ? check(stored->next()) : stored_waits;
    return settle_forward(has_stored, here, false);
  }
  bool prev() {
    if (nothing_own()) return check(stored->prev());
    const std::string here(key());
    if (heading == Heading::kForward) return settle_backward(check(stored->seek_before(here)), here, true);
    const bool has_stored = side == Side::kStored ? check(stored->prev()) : stored_waits;
    return settle_backward(has_stored, here, true);
  }
};

View::Range View::range(std::string_view begin, std::string_view end) {
  reader_.on_passed([this](uint64_t tombstones) { charge(tombstones); });
  return Range(std::make_unique<Range::Impl>(*this, begin, end));
}

View::Range::Range(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
View::Range::Range(Range&&) noexcept = default;
View::Range::~Range() = default;
bool View::Range::seek_first() { return impl_->seek(impl_->begin); }
bool View::Range::seek_last() { return impl_->seek_last(); }
bool View::Range::seek(std::string_view key) { return impl_->seek(key); }
bool View::Range::seek(std::string_view key, const Ahead& ahead) { return impl_->seek(key, ahead); }
bool View::Range::seek_before(std::string_view key) { return impl_->seek_before(key); }
bool View::Range::next() { return impl_->next(); }
bool View::Range::prev() { return impl_->prev(); }
std::string_view View::Range::key() const { return impl_->key(); }
std::string_view View::Range::value() const {
  return impl_->side == Impl::Side::kOwn ? impl_->own_value : impl_->stored->value();
}

}  // namespace server
