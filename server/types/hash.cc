#include "server/types/hash.h"

#include <algorithm>

#include "server/types/packed.h"

namespace server {
namespace {

constexpr uint8_t kTimedFlag = 1;
constexpr uint8_t kHashtableFlag = 2;

constexpr char kPlainElement = 0;
constexpr char kTimedElement = 1;

constexpr char kIndexTag = 't';
constexpr size_t kIndexPositionBytes = 5;

// Everything in the index before this is due earlier than expiry_ms.
std::string index_key(ObjectId object, int64_t expiry_ms) {
  std::string element(1, kIndexTag);
  put_fixed(&element, __builtin_bswap64(static_cast<uint64_t>(expiry_ms)));
  std::string key;
  element_key(object, element, &key);
  return key;
}

std::string index_begin(ObjectId object) {
  std::string key;
  element_key(object, {&kIndexTag, 1}, &key);
  return key;
}
std::string index_end(ObjectId object) { return prefix_end(index_begin(object)); }

struct IndexEntry {
  int64_t expiry_ms;
  std::string_view name;
};
IndexEntry decode_index(std::string_view key) {
  std::string_view entry = element_of(key).substr(1);
  IndexEntry decoded{static_cast<int64_t>(__builtin_bswap64(take_fixed<uint64_t>(&entry))), {}};
  if (entry.size() < kIndexPositionBytes) malformed();
  decoded.name = entry.substr(kIndexPositionBytes);
  return decoded;
}

int64_t earlier(int64_t a_ms, int64_t b_ms) {
  if (a_ms == kNoExpiry) return b_ms;
  return b_ms == kNoExpiry ? a_ms : std::min(a_ms, b_ms);
}

}  // namespace

std::string_view hash_encoding(const Header& header) {
  if (header.payload.empty()) malformed();
  const auto flags = static_cast<uint8_t>(header.payload[0]);
  if (flags & kHashtableFlag) return "hashtable";
  return flags & kTimedFlag ? "listpackex" : "listpack";
}

// ---- reading

bool Hash::Reader::next(Field* field) {
  if (rest_.empty()) return false;
  field->name = take_bytes(&rest_);
  field->value = take_bytes(&rest_);
  field->expiry_ms = timed_ ? take_fixed<int64_t>(&rest_) : kNoExpiry;
  return true;
}

Hash::Hash(View& view, ObjectId database, std::string_view key, const std::optional<Header>& header)
    : view_(view), database_(database), key_(key), header_(header) {
  if (!header_) return;
  std::string_view payload = header_->payload;
  const auto flags = take_fixed<uint8_t>(&payload);
  timed_ = flags & kTimedFlag;
  hashtable_ = flags & kHashtableFlag;
  if (header_->object.id == engine::kNoObject) {
    inline_count_ = take_varint(&payload);
    fields_ = payload;
    return;
  }
  count_ = take_fixed<uint64_t>(&payload);
  object_ = {header_->object.id, take_fixed<uint64_t>(&payload)};
  if (timed_) timed_count_ = take_fixed<uint64_t>(&payload);
}

Hash::Field Hash::decode_element(std::string_view name, std::string_view value) const {
  Field field{name, value, kNoExpiry};
  if (take_fixed<char>(&field.value) == kTimedElement) field.expiry_ms = take_fixed<int64_t>(&field.value);
  return field;
}

uint64_t Hash::count_past() {
  if (!any_past()) return 0;
  uint64_t past_fields = 0;
  if (large()) {
    auto due = view_.range(index_begin(object_.id), index_key(object_.id, view_.now_ms() + 1));
    for (bool there = due.seek_first(); there; there = due.next()) ++past_fields;
  } else {
    Reader fields = reader();
    for (Field field; fields.next(&field);) past_fields += past(field.expiry_ms);
  }
  return past_fields;
}

uint64_t Hash::size() { return (large() ? count_ : inline_count_) - count_past(); }

void Hash::load(std::span<const std::string_view> names, size_t stride) {
  names_ = NameIndex(names, stride);
  slots_.assign(names_.size(), {});
  for (size_t i = 0; i < slots_.size(); ++i) slots_[i].now.name = names_.name(i);
  const auto found = [this](Slot& slot, const Field& field) {
    slot.stored = true;
    slot.stored_expiry_ms = field.expiry_ms;
    if (past(field.expiry_ms)) return;
    slot.there = true;
    slot.now.value = field.value;
    slot.now.expiry_ms = field.expiry_ms;
  };
  if (!large()) {
    Reader fields = reader();
    for (Field field; fields.next(&field);)
      if (const auto slot = names_.find(field.name)) found(slots_[*slot], field);
    return;
  }
  if (slots_.size() == 1) {
    hashed_key(object_, slots_[0].now.name, &element_key_);
    if (const auto value = view_.get(element_key_))
      found(slots_[0], decode_element(slots_[0].now.name, *value));
    return;
  }
  std::vector<std::string> keys(slots_.size());
  for (size_t i = 0; i < slots_.size(); ++i) hashed_key(object_, slots_[i].now.name, &keys[i]);
  std::vector<std::optional<std::string_view>> values;
  view_.charge(keys.size());
  view_.get_all(keys, &values);
  for (size_t i = 0; i < slots_.size(); ++i)
    if (values[i]) found(slots_[i], decode_element(slots_[i].now.name, *values[i]));
}

const Hash::Field* Hash::field(size_t i) const {
  const Slot& slot = slots_[names_.slot(i)];
  return slot.there ? &slot.now : nullptr;
}

// ---- changing

void Hash::set(size_t i, std::string_view value, int64_t expiry_ms) {
  Slot& slot = slots_[names_.slot(i)];
  slot.now.value = value;
  slot.now.expiry_ms = expiry_ms;
  slot.there = slot.changed = true;
}

void Hash::erase(size_t i) {
  Slot& slot = slots_[names_.slot(i)];
  slot.changed |= slot.there;
  slot.there = false;
}

bool Hash::save(const HashLimits& limits, uint64_t random_seed) {
  const bool changed =
      std::any_of(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.changed; });
  if (!changed) return exists();
  for (const Slot& slot : slots_) hashtable_ |= slot.changed && slot.there && listpack_lost(limits, slot.now);
  if (!large()) return save_inline(limits, random_seed);
  return save_large(limits);
}

bool Hash::save_inline(const HashLimits& limits, uint64_t random_seed) {
  std::vector<Field> fields;
  fields.reserve(inline_count_ + slots_.size());
  std::vector<bool> written(slots_.size());
  Reader stored = reader();
  for (Field field; stored.next(&field);) {
    if (past(field.expiry_ms)) continue;  // F4
    const auto slot = names_.find(field.name);
    if (!slot) {
      fields.push_back(field);
    } else if (slots_[*slot].there) {
      written[*slot] = true;
      fields.push_back(slots_[*slot].now);
    }
  }
  for (size_t i = 0; i < slots_.size(); ++i)
    if (slots_[i].there && !written[i]) fields.push_back(slots_[i].now);
  if (fields.empty()) {
    if (header_) view_.erase_header(database_, key_);
    return false;
  }

  Header header;
  header.type = Type::kHash;
  if (header_) header = *header_;
  int64_t last_ms = kNoExpiry;
  timed_count_ = 0;
  header.elements_expiry_ms = kNoExpiry;
  for (const Field& field : fields) {
    if (field.expiry_ms == kNoExpiry) continue;
    ++timed_count_;
    header.elements_expiry_ms = earlier(header.elements_expiry_ms, field.expiry_ms);
    last_ms = std::max(last_ms, field.expiry_ms);
  }
  header.death_ms = timed_count_ == fields.size() ? last_ms : kNoExpiry;  // F3
  timed_ = timed_count_ > 0;
  hashtable_ |= fields.size() > limits.listpack_entries;

  std::string payload;
  if (fields.size() <= std::min(limits.listpack_entries, kInlineHashFields)) {
    payload.push_back(static_cast<char>((timed_ ? kTimedFlag : 0) | (hashtable_ ? kHashtableFlag : 0)));
    put_varint(&payload, fields.size());
    for (const Field& field : fields) {
      put_bytes(&payload, field.name);
      put_bytes(&payload, field.value);
      if (timed_) put_fixed(&payload, field.expiry_ms);
      if (payload.size() > kInlineHashBytes) break;
    }
  }
  if (payload.empty() || payload.size() > kInlineHashBytes) {
    object_ = {view_.new_object(), random_seed};
    header.object = {object_.id, 0};
    count_ = fields.size();
    for (const Field& field : fields) put_element(field, false);
    encode_large(&header, &payload);
  }
  header.payload = payload;
  view_.put_header(database_, key_, header, header_);
  return true;
}

void Hash::encode_large(Header* header, std::string* payload) {
  timed_ = timed_count_ > 0;
  payload->assign(1, static_cast<char>((timed_ ? kTimedFlag : 0) | (hashtable_ ? kHashtableFlag : 0)));
  put_fixed(payload, count_);
  put_fixed(payload, object_.seed);
  if (timed_) put_fixed(payload, timed_count_);
  header->payload = *payload;
}

void Hash::put_element(const Field& field, bool over) {
  element_.clear();
  if (field.expiry_ms == kNoExpiry) {
    element_.push_back(kPlainElement);
  } else {
    element_.push_back(kTimedElement);
    put_fixed(&element_, field.expiry_ms);
  }
  element_.append(field.value);
  hashed_key(object_, field.name, &element_key_);
  view_.put(element_key_, element_, over ? engine::Existence::kPresent : engine::Existence::kAbsent);
  if (field.expiry_ms != kNoExpiry) {
    std::string entry = index_key(object_.id, field.expiry_ms);
    entry.append(element_key_.end() - static_cast<ptrdiff_t>(field.name.size() + kIndexPositionBytes),
                 element_key_.end());
    view_.put(entry, {});
  }
}

void Hash::erase_index(std::string_view name, int64_t expiry_ms) {
  if (expiry_ms == kNoExpiry) return;
  hashed_key(object_, name, &element_key_);
  std::string entry = index_key(object_.id, expiry_ms);
  entry.append(element_key_.end() - static_cast<ptrdiff_t>(name.size() + kIndexPositionBytes),
               element_key_.end());
  view_.erase(entry, engine::Existence::kPresent);
}

// The first or last expiry in the index, what this command wrote included.
int64_t Hash::index_edge(bool last) {
  auto index = view_.range(index_begin(object_.id), index_end(object_.id));
  if (!(last ? index.seek_last() : index.seek_first())) return kNoExpiry;
  return decode_index(index.key()).expiry_ms;
}

bool Hash::save_large(const HashLimits& limits) {
  const uint64_t count_before = count_, timed_before = timed_count_;
  Header header = *header_;
  const bool hashtable_before = static_cast<uint8_t>(header.payload[0]) & kHashtableFlag;
  for (const Slot& slot : slots_) {
    if (!slot.changed) continue;
    const bool timed = slot.there && slot.now.expiry_ms != kNoExpiry;
    count_ = count_ - slot.stored + slot.there;
    timed_count_ = timed_count_ - (slot.stored && slot.stored_expiry_ms != kNoExpiry) + timed;
    if (timed) header.elements_expiry_ms = earlier(header.elements_expiry_ms, slot.now.expiry_ms);
  }
  if (count_ == 0) {
    view_.erase_header(database_, key_);
    return false;
  }
  for (const Slot& slot : slots_) {
    if (!slot.changed) continue;
    if (slot.stored && (!slot.there || slot.now.expiry_ms != slot.stored_expiry_ms))
      erase_index(slot.now.name, slot.stored_expiry_ms);
    if (slot.there) {
      put_element(slot.now, slot.stored);
    } else if (slot.stored) {
      hashed_key(object_, slot.now.name, &element_key_);
      view_.erase(element_key_, engine::Existence::kPresent);
    }
  }
  hashtable_ |= count_ > limits.listpack_entries;
  if (timed_count_ == 0) header.elements_expiry_ms = kNoExpiry;
  header.death_ms = timed_count_ == count_ ? index_edge(true) : kNoExpiry;
  if (count_ == count_before && timed_count_ == timed_before && hashtable_ == hashtable_before &&
      header.elements_expiry_ms == header_->elements_expiry_ms && header.death_ms == header_->death_ms)
    return true;
  std::string payload;
  encode_large(&header, &payload);
  view_.put_header(database_, key_, header, header_);
  return true;
}

bool Hash::reclaim(uint64_t max, uint64_t* reclaimed) {
  *reclaimed = count_past();
  if (!large()) {
    if (*reclaimed == 0 && header_->elements_expiry_ms == kNoExpiry) return true;
    return save_inline({.listpack_entries = kInlineHashFields}, 0);
  }
  *reclaimed = 0;
  Header header = *header_;
  header.elements_expiry_ms = kNoExpiry;
  std::vector<std::pair<std::string, int64_t>> due;
  auto index = view_.range(index_begin(object_.id), index_end(object_.id));
  for (bool there = index.seek_first(); there; there = index.next()) {
    const IndexEntry entry = decode_index(index.key());
    if (!past(entry.expiry_ms) || due.size() == max) {
      header.elements_expiry_ms = entry.expiry_ms;
      break;
    }
    due.emplace_back(entry.name, entry.expiry_ms);
  }
  *reclaimed = due.size();
  count_ -= due.size();
  timed_count_ -= due.size();
  if (count_ == 0) {
    view_.erase_header(database_, key_);
    return false;
  }
  for (const auto& [name, expiry_ms] : due) {
    erase_index(name, expiry_ms);
    hashed_key(object_, name, &element_key_);
    view_.erase(element_key_, engine::Existence::kPresent);
  }
  std::string payload;
  encode_large(&header, &payload);
  view_.put_header(database_, key_, header, header_);
  return true;
}

}  // namespace server
