#include "server/types/set.h"

#include <algorithm>

#include "server/units.h"

namespace server {
namespace {

constexpr uint8_t kHashtableFlag = 2;

bool is_integer(std::string_view name) { return parse_integer(name).has_value(); }

// Puts them in order if they are all integers.
void order_integers(std::vector<std::string_view>* members) {
  std::vector<std::pair<int64_t, std::string_view>> numbers;
  numbers.reserve(members->size());
  for (const std::string_view member : *members) {
    const auto number = parse_integer(member);
    if (!number) return;
    numbers.emplace_back(*number, member);
  }
  std::sort(numbers.begin(), numbers.end());
  for (size_t i = 0; i < numbers.size(); ++i) (*members)[i] = numbers[i].second;
}

// Empty if they do not fit.
std::string encode_inline(std::span<const std::string_view> members, bool hashtable,
                          const SetLimits& limits) {
  std::string payload;
  if (members.size() > std::min(limits.intset_entries, kInlineSetMembers)) return payload;
  payload.push_back(static_cast<char>(hashtable ? kHashtableFlag : 0));
  put_varint(&payload, members.size());
  for (const std::string_view member : members) {
    put_bytes(&payload, member);
    if (payload.size() > kInlineSetBytes) return {};
  }
  return payload;
}

std::string encode_large(uint64_t count, uint64_t seed, bool hashtable) {
  std::string payload(1, static_cast<char>(hashtable ? kHashtableFlag : 0));
  put_fixed(&payload, count);
  put_fixed(&payload, seed);
  return payload;
}

void put_members(View& view, const HashedObject& object, std::span<const std::string_view> members) {
  std::string key;
  for (const std::string_view member : members) {
    hashed_key(object, member, &key);
    view.put(key, {}, engine::Existence::kAbsent);
  }
}

}  // namespace

std::string_view set_encoding(const Header& header) {
  if (header.payload.empty()) malformed();
  return static_cast<uint8_t>(header.payload[0]) & kHashtableFlag ? "hashtable" : "intset";
}

Set::Set(View& view, ObjectId database, std::string_view key, const std::optional<Header>& header)
    : view_(view), database_(database), key_(key), header_(header) {
  if (!header_) return;
  std::string_view payload = header_->payload;
  hashtable_ = take_fixed<uint8_t>(&payload) & kHashtableFlag;
  if (header_->object.id == engine::kNoObject) {
    count_ = take_varint(&payload);
    members_ = payload;
    return;
  }
  count_ = take_fixed<uint64_t>(&payload);
  object_ = {header_->object.id, take_fixed<uint64_t>(&payload)};
}

void Set::load(std::span<const std::string_view> names) {
  names_ = NameIndex(names);
  slots_.assign(names_.size(), {});
  if (!large()) {
    for (std::string_view rest = members_; !rest.empty();)
      if (const auto slot = names_.find(take_bytes(&rest))) slots_[*slot] = {true, true};
    return;
  }
  if (slots_.size() == 1) {
    hashed_key(object_, names_.name(0), &element_key_);
    slots_[0].there = slots_[0].stored = view_.get(element_key_).has_value();
    return;
  }
  std::vector<std::string> keys(slots_.size());
  for (size_t i = 0; i < slots_.size(); ++i) hashed_key(object_, names_.name(i), &keys[i]);
  std::vector<std::optional<std::string_view>> values;
  view_.charge(keys.size());
  view_.get_all(keys, &values);
  for (size_t i = 0; i < slots_.size(); ++i) slots_[i].there = slots_[i].stored = values[i].has_value();
}

void Set::load_members(std::span<const std::string_view> names) {
  names_ = NameIndex(names);
  slots_.assign(names_.size(), {true, true});
}

void Set::contains(std::span<const std::string> names, std::vector<char>* result) {
  result->resize(names.size());
  view_.charge(names.size());
  if (!large()) {
    if (sorted_.size() != count_) {
      for (std::string_view rest = members_; !rest.empty();) sorted_.push_back(take_bytes(&rest));
      std::sort(sorted_.begin(), sorted_.end());
    }
    for (size_t i = 0; i < names.size(); ++i)
      (*result)[i] = std::binary_search(sorted_.begin(), sorted_.end(), std::string_view(names[i]));
    return;
  }
  std::vector<std::string> keys(names.size());
  for (size_t i = 0; i < names.size(); ++i) hashed_key(object_, names[i], &keys[i]);
  std::vector<std::optional<std::string_view>> values;
  view_.get_all(keys, &values);
  for (size_t i = 0; i < names.size(); ++i) (*result)[i] = values[i].has_value();
}

bool Set::save(const SetLimits& limits, uint64_t random_seed) {
  bool changed = false;
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].there == slots_[i].stored) continue;
    changed = true;
    hashtable_ = hashtable_ || (slots_[i].there && !is_integer(names_.name(i)));
  }
  if (!changed) return exists();
  return large() ? save_large(limits) : save_inline(limits, random_seed);
}

bool Set::save_inline(const SetLimits& limits, uint64_t random_seed) {
  std::vector<std::string_view> members;
  members.reserve(count_ + slots_.size());
  for (std::string_view rest = members_; !rest.empty();) {
    const std::string_view member = take_bytes(&rest);
    const auto slot = names_.find(member);
    if (!slot || slots_[*slot].there) members.push_back(member);
  }
  for (size_t i = 0; i < slots_.size(); ++i)
    if (slots_[i].there && !slots_[i].stored) members.push_back(names_.name(i));
  if (members.empty()) {
    if (header_) view_.erase_header(database_, key_);
    return false;
  }
  hashtable_ |= members.size() > limits.intset_entries;
  if (!hashtable_) order_integers(&members);

  Header header;
  header.type = Type::kSet;
  if (header_) header = *header_;
  std::string payload = encode_inline(members, hashtable_, limits);
  if (payload.empty()) {
    const HashedObject object{view_.new_object(), random_seed};
    put_members(view_, object, members);
    header.object = {object.id, 0};
    payload = encode_large(members.size(), object.seed, hashtable_);
  }
  header.payload = payload;
  view_.put_header(database_, key_, header, header_);
  return true;
}

bool Set::save_large(const SetLimits& limits) {
  for (const Slot& slot : slots_) count_ = count_ - slot.stored + slot.there;
  if (count_ == 0) {
    view_.erase_header(database_, key_);
    return false;
  }
  hashtable_ |= count_ > limits.intset_entries;
  Header header = *header_;
  const std::string payload = encode_large(count_, object_.seed, hashtable_);
  header.payload = payload;
  view_.put_header(database_, key_, header, header_);
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].there == slots_[i].stored) continue;
    hashed_key(object_, names_.name(i), &element_key_);
    if (slots_[i].there)
      view_.put(element_key_, {}, engine::Existence::kAbsent);
    else
      view_.erase(element_key_, engine::Existence::kPresent);
  }
  return true;
}

// ---- SetBuilder

void SetBuilder::add(std::string_view name) {
  names_.append(name);
  ends_.push_back(names_.size());
}

void SetBuilder::write(View& view, ObjectId database, std::string_view key, int64_t expiry_ms,
                       const SetLimits& limits, uint64_t random_seed) const {
  if (size() == 0) return view.erase_header(database, key);
  std::vector<std::string_view> members(size());
  for (size_t i = 0; i < members.size(); ++i) members[i] = name(i);
  const bool hashtable =
      members.size() > limits.intset_entries || !std::all_of(members.begin(), members.end(), is_integer);
  Header header;
  header.type = Type::kSet;
  header.expiry_ms = expiry_ms;
  if (members.size() <= kInlineSetMembers && !hashtable) order_integers(&members);
  std::string payload = encode_inline(members, hashtable, limits);
  HashedObject object;
  if (payload.empty()) {
    object = {view.new_object(), random_seed};
    header.object = {object.id, 0};
    payload = encode_large(members.size(), object.seed, hashtable);
  }
  header.payload = payload;
  view.put_header(database, key, header);
  if (object.id != engine::kNoObject) put_members(view, object, members);
}

}  // namespace server
