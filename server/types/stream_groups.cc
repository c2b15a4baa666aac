#include "server/types/stream_groups.h"

#include <algorithm>
#include <bit>
#include <vector>

namespace server {

using engine::Existence;

namespace {

void put_number_key(std::string* out, uint64_t number) {
  const int bytes = (64 - std::countl_zero(number | 1) + 7) / 8;
  out->push_back(static_cast<char>(bytes));
  for (int i = bytes - 1; i >= 0; --i) out->push_back(static_cast<char>(number >> (8 * i)));
}
uint64_t take_number_key(std::string_view* in) {
  const auto bytes = take_fixed<uint8_t>(in);
  if (bytes == 0 || bytes > 8) malformed();
  uint64_t number = 0;
  for (int i = 0; i < bytes; ++i) number = number << 8 | take_fixed<uint8_t>(in);
  return number;
}

std::string group_key(ObjectId object, std::string_view name) {
  std::string key;
  element_key(object, "g", &key);
  return key += name;
}
std::string members_prefix(ObjectId object, uint64_t group) {
  std::string key;
  element_key(object, "m", &key);
  put_number_key(&key, group);
  return key;
}
std::string dead_prefix(ObjectId object) {
  std::string key;
  element_key(object, "d", &key);
  return key;
}

std::string encode(const PendingEntry& entry) {
  std::string record;
  put_varint(&record, entry.consumer);
  put_varint(&record, static_cast<uint64_t>(entry.delivered_ms));
  put_varint(&record, entry.deliveries);
  return record;
}
PendingEntry decode_pending(std::string_view record) {
  PendingEntry entry;
  entry.consumer = take_varint(&record);
  entry.delivered_ms = static_cast<int64_t>(take_varint(&record));
  entry.deliveries = take_varint(&record);
  return entry;
}

// Erases up to `at_most` records under a prefix; how many more it might be 0 for sure only if fewer went.
size_t erase_some(View& view, const std::string& prefix, size_t at_most) {
  std::vector<std::string> keys;
  if (at_most > 0) {
    each_with_prefix(view, prefix, [&](std::string_view rest, std::string_view) {
      keys.push_back(prefix + std::string(rest));
      return keys.size() < at_most;
    });
  }
  for (const std::string& key : keys) view.erase(key, Existence::kPresent);
  return keys.size();
}

}  // namespace

// ------------------------------------------------------------------ groups

std::optional<StreamGroup> StreamGroup::find(View& view, Stream& stream, std::string_view name) {
  if (stream.facts().groups == 0) return std::nullopt;
  const auto record = view.get(group_key(stream.object(), name));
  if (!record) return std::nullopt;
  StreamGroup group(view, stream.object(), name);
  if (!group.decode(*record)) malformed();
  return group;
}

StreamGroup StreamGroup::create(View& view, Stream& stream, std::string_view name, StreamId last,
                                std::optional<uint64_t> read) {
  StreamGroup group(view, stream.make_large(), name);
  Stream::Facts& facts = stream.group_facts();
  ++facts.groups;
  group.number_ = facts.next_group++;
  group.set_last(last, read);
  return group;
}

bool StreamGroup::decode(std::string_view record) {
  number_ = take_varint(&record);
  last_ = take_stream_id(&record);
  read_plus_1_ = take_varint(&record);
  pending_ = take_varint(&record);
  consumers_ = take_varint(&record);
  next_consumer_ = take_varint(&record);
  first_pending_ = take_stream_id(&record);
  highest_pending_ = take_stream_id(&record);
  return record.empty();
}

void StreamGroup::save() {
  for (Known& known : known_) {
    if (!known.changed || known.gone) continue;
    std::string key = member_key('c'), record;
    put_number_key(&key, known.consumer.number);
    put_varint(&record, static_cast<uint64_t>(known.consumer.seen_ms));
    put_varint(&record, known.consumer.pending);
    record += known.name;
    view_->put(key, record);
    known.changed = false;
  }
  if (!changed_) return;
  if (first_acknowledged_ && pending_ > 0) {  // S2
    Walk walk(*this, nullptr, first_pending_, highest_pending_);
    if (!walk.next()) malformed();
    first_pending_ = walk.id();
  }
  first_acknowledged_ = false;
  std::string record;
  put_varint(&record, number_);
  put_stream_id(&record, last_);
  put_varint(&record, read_plus_1_);
  put_varint(&record, pending_);
  put_varint(&record, consumers_);
  put_varint(&record, next_consumer_);
  put_stream_id(&record, first_pending_);
  put_stream_id(&record, highest_pending_);
  view_->put(group_key(object_, name_), record);
  changed_ = false;
}

void StreamGroup::destroy(Stream& stream, size_t erased_at_once) {
  view_->erase(group_key(object_, name_), Existence::kPresent);
  Stream::Facts& facts = stream.group_facts();
  --facts.groups;
  if (erase_some(*view_, members_prefix(object_, number_), erased_at_once) < erased_at_once) return;
  std::string dead = dead_prefix(object_);
  put_number_key(&dead, number_);
  view_->put(dead, {});
  ++facts.dead_groups;
}

bool StreamGroup::sweep(View& view, Stream& stream, size_t at_most) {
  if (stream.facts().dead_groups == 0) return false;
  const std::string prefix = dead_prefix(stream.object());
  std::string first;
  each_with_prefix(view, prefix, [&](std::string_view rest, std::string_view) {
    first = rest;
    return false;
  });
  std::string_view in = first;
  if (erase_some(view, members_prefix(stream.object(), take_number_key(&in)), at_most) == at_most)
    return false;
  view.erase(prefix + first, Existence::kPresent);
  --stream.group_facts().dead_groups;
  return true;
}

void StreamGroup::set_last(StreamId last, std::optional<uint64_t> read) {
  last_ = last;
  read_plus_1_ = read ? *read + 1 : 0;
  changed_ = true;
}

void StreamGroup::advance(const Stream& stream, StreamId id) {
  auto read = this->read();
  if (read && !stream.has_holes_from(id))
    ++*read;
  else if (stream.facts().added > 0)
    read = stream.added_up_to(id);
  set_last(id, read);
}

std::optional<int64_t> StreamGroup::lag(const Stream& stream) const {
  const uint64_t added = stream.facts().added;
  if (added == 0) return 0;
  auto read = this->read();
  if (!read || stream.has_holes_from(last_)) read = stream.added_up_to(last_);
  if (!read) return std::nullopt;
  return static_cast<int64_t>(added - *read);
}

// ------------------------------------------------------------------ consumers

std::string StreamGroup::member_key(char kind) const {
  std::string key = members_prefix(object_, number_);
  key.push_back(kind);
  return key;
}

Consumer* StreamGroup::load(uint64_t number, std::string_view record) {
  Known& known = known_.emplace_back();
  known.consumer.number = number;
  known.consumer.seen_ms = static_cast<int64_t>(take_varint(&record));
  known.consumer.pending = take_varint(&record);
  known.name = record;
  known.consumer.name = known.name;
  return &known.consumer;
}

Consumer* StreamGroup::consumer(std::string_view name) {
  for (Known& known : known_)
    if (!known.gone && known.name == name) return &known.consumer;
  if (consumers_ == 0) return nullptr;
  auto number = view_->get(member_key('n').append(name));
  return number ? consumer(take_varint(&*number)) : nullptr;
}

Consumer* StreamGroup::consumer(uint64_t number) {
  for (Known& known : known_)
    if (known.consumer.number == number) return &known.consumer;
  std::string key = member_key('c');
  put_number_key(&key, number);
  const auto record = view_->get(key);
  if (!record) malformed();
  return load(number, *record);
}

Consumer* StreamGroup::add_consumer(std::string_view name, int64_t now_ms) {
  Known& known = known_.emplace_back();
  known.consumer.number = next_consumer_++;
  known.consumer.seen_ms = now_ms;
  known.name = name;
  known.consumer.name = known.name;
  known.changed = true;
  std::string number;
  put_varint(&number, known.consumer.number);
  view_->put(member_key('n').append(name), number);
  ++consumers_;
  changed_ = true;
  return &known.consumer;
}

namespace {
template <typename Known>
Known& holder(std::deque<Known>& all, const Consumer* consumer) {
  return *std::find_if(all.begin(), all.end(),
                       [&](const Known& known) { return &known.consumer == consumer; });
}
}  // namespace

void StreamGroup::touch(Consumer* consumer, int64_t now_ms) {
  consumer->seen_ms = now_ms;
  holder(known_, consumer).changed = true;
}

void StreamGroup::erase_consumer(Consumer* consumer) {
  std::vector<StreamId> ids;
  for (Walk walk(*this, consumer, kNoStreamId, kStreamIdMax); walk.next();) ids.push_back(walk.id());
  for (const StreamId id : ids) acknowledge(id, {consumer->number, 0, 0});
  Known& known = holder(known_, consumer);
  known.gone = true;
  std::string key = member_key('c');
  put_number_key(&key, consumer->number);
  view_->erase(key, Existence::kPresent);
  view_->erase(member_key('n').append(known.name), Existence::kPresent);
  --consumers_;
  changed_ = true;
}

// ------------------------------------------------------------------ pending entries

std::string StreamGroup::pending_key(StreamId id) const {
  std::string key = member_key('p');
  put_stream_id_key(&key, id);
  return key;
}

std::string StreamGroup::consumer_pending_key(uint64_t consumer, StreamId id) const {
  std::string key = member_key('q');
  put_number_key(&key, consumer);
  put_stream_id_key(&key, id);
  return key;
}

std::optional<PendingEntry> StreamGroup::pending(StreamId id) {
  if (pending_ == 0 || id < first_pending_ || id > highest_pending_) return std::nullopt;  // S2, S3
  const auto record = view_->get(pending_key(id));
  if (!record) return std::nullopt;
  return decode_pending(*record);
}

void StreamGroup::prefetch(std::span<const StreamId> ids) {
  std::vector<std::string> keys;
  for (const StreamId id : ids)
    if (pending_ > 0 && id >= first_pending_ && id <= highest_pending_) keys.push_back(pending_key(id));
  if (keys.size() > 1) view_->prefetch(keys);
}

void StreamGroup::put(StreamId id, const PendingEntry& entry, const std::optional<PendingEntry>& before) {
  view_->put(pending_key(id), encode(entry), before ? Existence::kPresent : Existence::kAbsent);
  if (before && before->consumer == entry.consumer) return;
  if (before) {
    view_->erase(consumer_pending_key(before->consumer, id), Existence::kPresent);
    Consumer* old = consumer(before->consumer);
    --old->pending;
    holder(known_, old).changed = true;
  } else {
    if (pending_++ == 0 || id < first_pending_) {
      first_pending_ = id;
      first_acknowledged_ = false;
    }
    highest_pending_ = std::max(highest_pending_, id);
    changed_ = true;
  }
  view_->put(consumer_pending_key(entry.consumer, id), {}, Existence::kAbsent);
  Consumer* now = consumer(entry.consumer);
  ++now->pending;
  holder(known_, now).changed = true;
}

void StreamGroup::acknowledge(StreamId id, const PendingEntry& before) {
  view_->erase(pending_key(id), Existence::kPresent);
  view_->erase(consumer_pending_key(before.consumer, id), Existence::kPresent);
  Consumer* consumer = this->consumer(before.consumer);
  --consumer->pending;
  holder(known_, consumer).changed = true;
  first_acknowledged_ |= id == first_pending_;
  if (--pending_ == 0) first_acknowledged_ = false;
  changed_ = true;
}

std::optional<StreamId> StreamGroup::first_pending() const {
  return pending_ == 0 ? std::nullopt : std::optional(first_pending_);
}

std::optional<StreamId> StreamGroup::last_pending() {
  if (pending_ == 0) return std::nullopt;
  const std::string prefix = member_key('p');
  auto range = view_->range(pending_key(first_pending_), pending_key(highest_pending_) + '\0');
  if (!range.seek_last()) malformed();
  std::string_view id = range.key().substr(prefix.size());
  return take_stream_id_key(&id);
}

StreamGroup::Walk::Walk(StreamGroup& group, const Consumer* consumer, StreamId from, StreamId to)
    : group_(group), of_consumer_(consumer != nullptr) {
  from = std::max(from, group.first_pending_);
  to = std::min(to, group.highest_pending_);
  if (group.pending_ == 0 || from > to) return;
  const auto key = [&](StreamId id) {
    return consumer ? group.consumer_pending_key(consumer->number, id) : group.pending_key(id);
  };
  range_.emplace(group.view_->range(key(from), key(to) + '\0'));
}

bool StreamGroup::Walk::next() {
  if (!range_) return false;
  const bool there = begun_ ? range_->next() : range_->seek_first();
  begun_ = true;
  if (!there) return false;
  const std::string_view key = range_->key();
  std::string_view id = key.substr(key.size() - std::min(key.size(), kStreamIdBytes));
  id_ = take_stream_id_key(&id);
  return true;
}

PendingEntry StreamGroup::Walk::pending() {
  if (!of_consumer_) return decode_pending(range_->value());
  const auto found = group_.pending(id_);
  if (!found) malformed();
  return *found;
}

}  // namespace server
