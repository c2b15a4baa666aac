#include "server/types/stream.h"

#include <algorithm>

namespace server {

using engine::Existence;

namespace {

constexpr uint8_t kLarge = 1, kGarbage = 2, kGroups = 4;
constexpr char kEntryTag = 'e';
// How far trimming looks to tell how many entries the first block has.
constexpr uint64_t kCountedMax = 1024;

// About what Redis's listpack has around a block and around an entry.
constexpr uint64_t kBlockBytes = 16, kEntryBytes = 9, kValueBytes = 2;

StreamId id_of(std::string_view element_key) {
  std::string_view element = element_of(element_key);
  if (element.size() != 1 + kStreamIdBytes) malformed();
  element.remove_prefix(1);
  return take_stream_id_key(&element);
}

uint64_t block_of(std::string_view entry) { return take_varint(&entry); }

}  // namespace

Stream::Stream(View& view, ObjectId database, std::string_view key, const std::optional<Header>& header,
               const StreamLimits& limits)
    : view_(view), database_(database), key_(key), header_(header), limits_(limits) {
  if (!header_) return;
  object_ = header_->object;
  decode(header_->payload);
}

void Stream::decode(std::string_view payload) {
  const auto form = take_fixed<uint8_t>(&payload);
  if (((form & kLarge) != 0) == is_inline()) malformed();
  facts_.last = take_stream_id(&payload);
  facts_.first = take_stream_id(&payload);
  facts_.max_deleted = take_stream_id(&payload);
  facts_.length = take_varint(&payload);
  facts_.added = take_varint(&payload);
  first_block_ = take_varint(&payload);
  first_block_entries_ = take_varint(&payload);
  last_block_ = take_varint(&payload);
  last_block_entries_ = take_varint(&payload);
  last_block_bytes_ = take_varint(&payload);
  if (form & kGarbage) {
    garbage_ = true;
    garbage_first_ = take_stream_id(&payload);
    garbage_last_ = take_stream_id(&payload);
  }
  if (form & kGroups) {
    facts_.groups = take_varint(&payload);
    facts_.next_group = take_varint(&payload);
    facts_.dead_groups = take_varint(&payload);
  }
  while (!payload.empty()) {
    const StreamId id = take_stream_id(&payload);
    items_.push_back({id, take_bytes(&payload)});
  }
}

void Stream::encode(std::string* out) const {
  const bool groups = facts_.next_group > 0;
  out->push_back(
      static_cast<char>((is_inline() ? 0 : kLarge) | (garbage_ ? kGarbage : 0) | (groups ? kGroups : 0)));
  put_stream_id(out, facts_.last);
  put_stream_id(out, facts_.first);
  put_stream_id(out, facts_.max_deleted);
  for (const uint64_t number : {facts_.length, facts_.added, first_block_, first_block_entries_, last_block_,
                                last_block_entries_, last_block_bytes_})
    put_varint(out, number);
  if (garbage_) {
    put_stream_id(out, garbage_first_);
    put_stream_id(out, garbage_last_);
  }
  if (groups) {
    put_varint(out, facts_.groups);
    put_varint(out, facts_.next_group);
    put_varint(out, facts_.dead_groups);
  }
  for (const Item& item : items_) {
    put_stream_id(out, item.id);
    put_bytes(out, item.entry);
  }
}

std::string Stream::entry_key(StreamId id) const {
  std::string key;
  element_key(object_.id, std::string_view(&kEntryTag, 1), &key);
  put_stream_id_key(&key, id);
  return key;
}

// ------------------------------------------------------------------ reading

std::optional<std::string_view> Stream::find(StreamId id) {
  if (facts_.length == 0 || id < facts_.first || id > facts_.last) return std::nullopt;
  if (!is_inline()) return view_.get(entry_key(id));
  for (const Item& item : items_)
    if (item.id == id) return item.entry;
  return std::nullopt;
}

void Stream::prefetch(std::span<const StreamId> ids) {
  if (is_inline() || ids.size() < 2) return;
  std::vector<std::string> keys;
  for (const StreamId id : ids)
    if (id >= facts_.first && id <= facts_.last) keys.push_back(entry_key(id));
  view_.prefetch(keys);
}

std::optional<StreamId> Stream::last_entry() {
  if (facts_.length == 0) return std::nullopt;
  Walk walk(*this, facts_.first, facts_.last, false);
  if (!walk.next()) malformed();
  return walk.id();
}

std::optional<uint64_t> Stream::added_up_to(StreamId id) const {
  if (facts_.added == 0) return 0;
  if (facts_.length == 0 && id <= facts_.last) return facts_.added;
  if (id == facts_.last) return facts_.added;
  if (id > facts_.last) return std::nullopt;
  if (facts_.max_deleted == kNoStreamId || facts_.max_deleted < facts_.first) {
    if (id < facts_.first) return facts_.added - facts_.length;
    if (id == facts_.first) return facts_.added - facts_.length + 1;
  }
  return std::nullopt;
}

bool Stream::has_holes_from(StreamId from) const {
  if (facts_.length == 0 || facts_.max_deleted == kNoStreamId) return false;
  return facts_.first <= facts_.max_deleted && from <= facts_.max_deleted;
}

Stream::Walk::Walk(Stream& stream, StreamId from, StreamId to, bool forward)
    : stream_(stream), forward_(forward) {
  const Facts& facts = stream.facts_;
  from = std::max(from, facts.first);  // X2
  to = std::min(to, facts.last);
  if (facts.length == 0 || from > to) return;
  if (!stream.is_inline()) {
    // The end of a range is not in it, and nothing lies between this and the next id.
    range_.emplace(stream.view_.range(stream.entry_key(from), stream.entry_key(to) + '\0'));
    return;
  }
  const auto& items = stream.items_;
  const auto before = [](const Item& item, StreamId id) { return item.id < id; };
  const auto after = [](StreamId id, const Item& item) { return id < item.id; };
  at_ = static_cast<size_t>(std::lower_bound(items.begin(), items.end(), from, before) - items.begin());
  end_ = static_cast<size_t>(std::upper_bound(items.begin(), items.end(), to, after) - items.begin());
}

bool Stream::Walk::next() {
  if (!range_) {
    if (at_ >= end_) return false;
    const Item& item = stream_.items_[forward_ ? at_++ : --end_];
    id_ = item.id;
    entry_ = item.entry;
    return true;
  }
  bool there;
  if (!begun_)
    there = forward_ ? range_->seek_first() : range_->seek_last();
  else
    there = forward_ ? range_->next() : range_->prev();
  begun_ = true;
  if (!there) return false;
  id_ = id_of(range_->key());
  entry_ = range_->value();
  return true;
}

// ------------------------------------------------------------------ appending

void Stream::add(StreamId id, std::span<const std::string_view> fields) {
  INVARIANT(!added_ && id > facts_.last);
  uint64_t bytes = 0, kept = kEntryBytes;
  for (size_t i = 0; i < fields.size(); ++i) {
    bytes += fields[i].size();
    if (i % 2 == 1) kept += fields[i].size() + kValueBytes;
  }
  const bool full = last_block_entries_ > 0 &&
                    ((limits_.block_bytes > 0 && last_block_bytes_ + bytes >= limits_.block_bytes) ||
                     (limits_.block_entries > 0 && last_block_entries_ >= limits_.block_entries));
  if (full) {
    ++last_block_;
    last_block_entries_ = 0;
  }
  if (last_block_entries_ == 0) last_block_bytes_ = kBlockBytes + (bytes + kEntryBytes - kept);
  ++last_block_entries_;
  last_block_bytes_ += kept;
  if (facts_.length == 0) {
    facts_.first = id;
    first_block_ = last_block_;
    first_block_entries_ = 1;
  } else if (first_block_ == last_block_ && first_block_entries_ > 0) {
    ++first_block_entries_;
  }
  ++facts_.length;
  ++facts_.added;
  facts_.last = id;

  put_varint(&added_entry_, last_block_);
  put_varint(&added_entry_, fields.size());
  for (const std::string_view field : fields) put_bytes(&added_entry_, field);
  added_ = {id, added_entry_};
}

// ------------------------------------------------------------------ removing

void Stream::remove_record(StreamId id) {
  if (added_ && added_->id == id) return added_.reset();
  if (is_inline())
    std::erase_if(items_, [&](const Item& item) { return item.id == id; });
  else
    view_.erase(entry_key(id), Existence::kPresent);
}

bool Stream::erase(StreamId id) {
  const auto entry = find(id);
  if (!entry) return false;
  if (block_of(*entry) == first_block_ && first_block_entries_ > 0) --first_block_entries_;
  remove_record(id);
  --facts_.length;
  facts_.max_deleted = std::max(facts_.max_deleted, id);
  first_erased_ |= id == facts_.first;
  if (facts_.length == 0) become_empty();
  return true;
}

void Stream::set_ids(StreamId last, std::optional<uint64_t> added, std::optional<StreamId> max_deleted) {
  if (garbage_ && last < garbage_last_) sweep(SIZE_MAX);  // New entries may get ids that it has.
  facts_.last = last;
  if (added) facts_.added = *added;
  if (max_deleted) facts_.max_deleted = *max_deleted;
}

// All entries in order, the one being added as well.
class Stream::Front {
 public:
  explicit Front(Stream& stream)
      : added_(stream.added_), walk_(stream, stream.facts_.first, stream.facts_.last, true) {}
  bool next() {
    if (!at_added_ && walk_.next()) return true;
    if (at_added_) return false;
    at_added_ = true;
    return added_.has_value();
  }
  StreamId id() const { return at_added_ ? added_->id : walk_.id(); }
  std::string_view entry() const { return at_added_ ? added_->entry : walk_.entry(); }

 private:
  std::optional<Item> added_;
  Walk walk_;
  bool at_added_ = false;
};

uint64_t Stream::trim(const StreamTrim& trim) {
  if (trim.by == StreamTrim::By::kNothing || facts_.length == 0) return 0;
  const bool any = trim.by == StreamTrim::By::kLength ? facts_.length > trim.length : facts_.first < trim.id;
  if (!any) return 0;
  return trim.whole_blocks ? trim_blocks(trim) : trim_exactly(trim);
}

bool Stream::trim_is_long(const StreamTrim& trim, uint64_t entries) {
  const uint64_t length = facts_.length;
  if (length <= entries || trim.limit > 0) return false;
  if (trim.by == StreamTrim::By::kLength)
    return length > trim.length && std::min(trim.length, length - trim.length) > entries;
  if (trim.by != StreamTrim::By::kId || trim.id <= facts_.first) return false;
  Walk walk(*this, facts_.first, trim.id, true);
  for (uint64_t left = entries; left > 0; --left)
    if (!walk.next() || walk.id() >= trim.id) return false;
  return true;
}

uint64_t Stream::trim_exactly(const StreamTrim& trim) {
  const bool by_length = trim.by == StreamTrim::By::kLength;
  const uint64_t length = facts_.length;
  if (by_length && trim.limit == 0 &&
      length - trim.length > std::max<uint64_t>(trim.length, limits_.erased_at_once)) {
    // What stays is fewer than what goes.
    if (trim.length == 0) return cut_all({});
    StreamId first = added_ ? added_->id : kNoStreamId;
    uint64_t block = last_block_;
    Walk walk(*this, facts_.first, facts_.last, false);
    for (uint64_t left = trim.length - (added_ ? 1 : 0); left > 0; --left) {
      if (!walk.next()) malformed();
      first = walk.id();
      block = block_of(walk.entry());
    }
    return cut({}, length - trim.length, first, block, 0);
  }
  std::vector<StreamId> known;
  uint64_t gone = 0, of_first_block = 0;
  Front front(*this);
  for (; front.next(); ++gone) {
    const StreamId id = front.id();
    const uint64_t block = block_of(front.entry());
    const bool stays = by_length ? length - gone <= trim.length : id >= trim.id;
    if (stays || (trim.limit > 0 && gone == trim.limit)) {
      const bool partly = block == first_block_ && first_block_entries_ > of_first_block;
      return cut(known, gone, id, block, partly ? first_block_entries_ - of_first_block : 0);
    }
    if (known.size() < limits_.erased_at_once) known.push_back(id);
    of_first_block += block == first_block_;
  }
  return cut_all(known);
}

uint64_t Stream::trim_blocks(const StreamTrim& trim) {
  const bool by_length = trim.by == StreamTrim::By::kLength;
  const uint64_t length = facts_.length;
  uint64_t gone = 0;
  const auto may_go = [&](uint64_t more) {
    return (!by_length || length - gone >= trim.length + more) &&
           (trim.limit == 0 || gone + more <= trim.limit);
  };
  if (first_block_entries_ > 0 && !may_go(first_block_entries_)) return 0;

  std::vector<StreamId> known;
  Front front(*this);
  bool there = front.next();
  while (there) {
    const StreamId first = front.id();
    const uint64_t block = block_of(front.entry());
    bool goes = !by_length || length - gone > trim.length;
    uint64_t entries = 0;
    bool whole = false;
    while (!whole) {
      goes = goes && may_go(entries + 1) && (by_length || front.id() < trim.id);
      const bool enough = gone == 0 && first_block_entries_ > 0;
      if (!goes && (enough || entries >= kCountedMax)) break;
      if (goes) known.push_back(front.id());
      ++entries;
      there = front.next();
      whole = !there || block_of(front.entry()) != block;
    }
    if (goes) {
      gone += entries;
      continue;
    }
    if (gone == 0) {
      if (whole) first_block_entries_ = entries;
      return 0;
    }
    known.resize(gone);
    return cut(known, gone, first, block, whole ? entries : 0);
  }
  return cut_all(known);
}

// The first `gone` entries go, among them all that are `known`; these are erased now.
uint64_t Stream::cut(const std::vector<StreamId>& known, uint64_t gone, StreamId first, uint64_t first_block,
                     uint64_t block_entries) {
  for (const StreamId id : known) remove_record(id);
  if (gone > known.size()) {
    StreamId last = first;
    last.decrement();
    to_garbage(known.empty() ? facts_.first : known.back(), last);
  }
  facts_.length -= gone;
  facts_.first = first;
  first_block_ = first_block;
  first_block_entries_ = block_entries;
  return gone;
}

uint64_t Stream::cut_all(const std::vector<StreamId>& known) {
  for (const StreamId id : known) remove_record(id);
  added_.reset();
  const uint64_t gone = facts_.length;
  if (gone > known.size()) to_garbage(known.empty() ? facts_.first : known.back(), facts_.last);
  become_empty();
  return gone;
}

void Stream::become_empty() {
  facts_.length = 0;
  facts_.first = kNoStreamId;
  first_erased_ = false;
  ++last_block_;
  last_block_entries_ = 0;
}

void Stream::to_garbage(StreamId first, StreamId last) {
  if (is_inline()) {
    std::erase_if(items_, [&](const Item& item) { return item.id <= last; });
    return;
  }
  if (!garbage_) garbage_first_ = first;
  garbage_last_ = last;
  garbage_ = true;
}

void Stream::sweep(size_t at_most) {
  if (!garbage_) return;
  std::vector<std::string> keys;
  auto range = view_.range(entry_key(garbage_first_), entry_key(garbage_last_) + '\0');
  bool there = range.seek_first();
  for (; there && keys.size() < at_most; there = range.next()) keys.emplace_back(range.key());
  garbage_ = there;
  if (there) garbage_first_ = id_of(range.key());
  for (const std::string& key : keys) view_.erase(key, Existence::kPresent);
}

// ------------------------------------------------------------------ writing

ObjectId Stream::make_large() {
  if (!is_inline()) return object_.id;
  object_ = {view_.new_object(), 0};
  for (const Item& item : items_) view_.put(entry_key(item.id), item.entry, Existence::kAbsent);
  items_.clear();
  return object_.id;
}

void Stream::save() {
  sweep(limits_.erased_per_write);
  if (first_erased_) {
    Walk walk(*this, facts_.first, facts_.last, true);
    if (!walk.next()) malformed();
    facts_.first = walk.id();
    if (const uint64_t block = block_of(walk.entry()); block != first_block_) {
      first_block_ = block;
      first_block_entries_ = 0;
    }
    first_erased_ = false;
  }
  if (added_ && is_inline()) {
    size_t bytes = 0;
    items_.push_back(*added_);
    for (const Item& item : items_) bytes += item.entry.size() + sizeof(StreamId) / 2;
    if (bytes > limits_.inline_bytes) make_large();
  } else if (added_) {
    view_.put(entry_key(added_->id), added_->entry, Existence::kAbsent);
  }
  added_.reset();
  std::string payload;
  encode(&payload);
  Header header = header_.value_or(Header{});
  header.type = Type::kStream;
  header.object = object_;
  header.payload = payload;
  view_.put_header(database_, key_, header, header_);
}

}  // namespace server
