#include "server/types/zset.h"

#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "engine/key_head.h"

namespace server {

namespace {

constexpr size_t kOrderBytes = 8;   // Of a score in a key.
constexpr double kWholeMax = 1e15;  // Whole numbers below are written as varints.

[[noreturn]] void damaged(const char* what) {
  throw StorageError{engine::Status(engine::Code::kCorruption, std::string("a sorted set: ") + what)};
}

// Eight bytes whose order is the order of scores.
std::string order_of(double score) {
  uint64_t bits = std::bit_cast<uint64_t>(score == 0 ? 0.0 : score);
  bits = (bits >> 63) != 0 ? ~bits : bits | (uint64_t{1} << 63);
  const uint64_t big_endian = __builtin_bswap64(bits);
  return {reinterpret_cast<const char*>(&big_endian), sizeof big_endian};
}
double score_of(std::string_view order, std::string_view value) {
  uint64_t bits = engine::load_head(order.data());
  bits = (bits >> 63) != 0 ? bits & ~(uint64_t{1} << 63) : ~bits;
  return value.empty() ? std::bit_cast<double>(bits) : -0.0;
}

bool minus_zero(double score) { return score == 0 && std::signbit(score); }

std::string double_bytes(double score) {
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &score, 8);
  return bytes;
}
double double_from(std::string_view bytes) {
  if (bytes.size() != 8) damaged("a score is malformed");
  double score = 0;
  std::memcpy(&score, bytes.data(), 8);
  return score;
}

// ---- entries of the inline form

void append_entry(std::string* out, double score, std::string_view member) {
  engine::FieldWriter fields;
  if (std::abs(score) < kWholeMax && std::trunc(score) == score && !minus_zero(score)) {
    const auto whole = static_cast<int64_t>(score);
    fields.number(((static_cast<uint64_t>(whole) << 1) ^ (whole < 0 ? ~uint64_t{0} : 0)) * 2 + 1);
    *out += fields.take();
  } else {
    *out += '\0';
    *out += double_bytes(score);
  }
  *out += engine::FieldWriter().number(member.size()).take();
  *out += member;
}

size_t entry_bytes(double score, std::string_view member) {
  std::string entry;
  append_entry(&entry, score, {});  // With one byte for the length.
  const auto length_bits = static_cast<size_t>(std::bit_width(member.size() | 1));
  return entry.size() + (length_bits + 6) / 7 - 1 + member.size();
}

uint64_t take_number(std::string_view* bytes) {
  uint64_t n = 0;
  for (size_t i = 0; i < bytes->size() && i < 9; ++i) {
    const auto byte = static_cast<uint8_t>((*bytes)[i]);
    n |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
    if (byte >= 0x80) continue;
    bytes->remove_prefix(i + 1);
    return n;
  }
  damaged("a number is malformed");
}

std::string_view take_bytes(std::string_view* bytes, uint64_t size) {
  if (bytes->size() < size) damaged("an entry is cut off");
  const std::string_view taken = bytes->substr(0, size);
  bytes->remove_prefix(size);
  return taken;
}

ScoredMember take_entry(std::string_view* bytes) {
  ScoredMember entry;
  const uint64_t number = take_number(bytes);
  if (number == 0) {
    entry.score = double_from(take_bytes(bytes, 8));
  } else {
    const uint64_t zigzag = number / 2;
    entry.score =
        static_cast<double>(static_cast<int64_t>((zigzag >> 1) ^ ((zigzag & 1) != 0 ? ~uint64_t{0} : 0)));
  }
  entry.member = take_bytes(bytes, take_number(bytes));
  return entry;
}

bool lies_before(const ScoredMember& entry, std::string_view border) {
  const std::string order = order_of(entry.score);
  const int by_score = std::string_view(order).compare(border.substr(0, 8));
  if (by_score != 0 || border.size() < 8) return by_score < 0;
  return entry.member < border.substr(8);
}

}  // namespace

bool comes_before(const ScoredMember& a, const ScoredMember& b) {
  return a.score < b.score || (a.score == b.score && a.member < b.member);
}

std::string border_at(double score) { return order_of(score); }
std::string border_after(double score) {
  std::string border = order_of(score);  // Never all 0xff, which would be a NaN.
  for (size_t i = 8; i-- > 0;)
    if (++border[i] != 0) break;
  return border;
}
std::string border_at(double score, std::string_view member) {
  std::string border;
  border.reserve(kOrderBytes + member.size());
  return border.append(order_of(score)).append(member);
}
std::string border_after(double score, std::string_view member) {
  return order_of(score).append(member).append(1, '\0');
}

// ---- opening

Zset::Zset(View& view, const std::optional<Header>& header, const ZsetLimits& limits)
    : view_(view), limits_(limits) {
  header_.type = Type::kZset;
  if (!header) {
    decoded_ = true;
    return;
  }
  header_ = *header;
  old_header_ = header;
  object_ = header_.object.id;
  std::string_view payload = header_.payload;
  if (payload.empty()) damaged("the header is malformed");
  skiplist_ = (static_cast<uint8_t>(payload[0]) & kSkiplist) != 0;
  payload.remove_prefix(1);
  if (!large()) {
    inline_size_ = take_number(&payload);
    encoded_ = payload;
    inline_bytes_ = payload.size();
    return;
  }
  engine::FieldReader fields(payload);
  const RankIndex::Root root = RankIndex::Root::read(fields);
  low_ = fields.text();
  high_ = fields.text();
  erased_ = fields.number();
  if (!fields.ok()) damaged("the header is malformed");
  open_index(root);
}

bool Zset::says_skiplist(const Header& header) {
  return !header.payload.empty() && (static_cast<uint8_t>(header.payload[0]) & kSkiplist) != 0;
}

RankIndex::Plan Zset::plan() {
  std::string counters;
  element_key(object_, "c", &counters);
  return {score_key({}), std::move(counters), nullptr, limits_.children_max};
}

void Zset::open_index(const RankIndex::Root& root) {
  index_.emplace(view_, plan(), root);
  index_->begin_at(low_);
}

const std::string& Zset::member_key(std::string_view member) {
  const uint64_t hash = XXH3_64bits(member.data(), member.size());
  const char head[] = {'m', static_cast<char>(hash >> 24), static_cast<char>(hash >> 16),
                       static_cast<char>(hash >> 8), static_cast<char>(hash)};
  element_key(object_, {head, sizeof head}, &key_);
  return key_.append(member);
}

const std::string& Zset::score_key(std::string_view border) {
  element_key(object_, "s", &key_);
  return key_.append(border);
}

std::vector<ScoredMember>& Zset::entries() {
  if (decoded_) return entries_;
  entries_.reserve(inline_size_ + 1);
  for (std::string_view rest = encoded_; !rest.empty();) entries_.push_back(take_entry(&rest));
  if (entries_.size() != inline_size_) damaged("the header counts other than there are");
  decoded_ = true;
  return entries_;
}

std::vector<ScoredMember>::iterator Zset::place_of(double score, std::string_view member) {
  return std::lower_bound(entries().begin(), entries().end(), ScoredMember{score, member}, comes_before);
}

// ---- questions

std::optional<double> Zset::score(std::string_view member) {
  if (!large()) {
    for (const ScoredMember& entry : entries())
      if (entry.member == member) return entry.score;
    return std::nullopt;
  }
  const auto value = view_.get(member_key(member));
  if (!value) return std::nullopt;
  return double_from(*value);
}

void Zset::scores(std::span<const std::string_view> members, std::vector<std::optional<double>>* scores) {
  scores->assign(members.size(), std::nullopt);
  if (!large()) {
    for (size_t i = 0; i < members.size(); ++i) (*scores)[i] = score(members[i]);
    return;
  }
  std::vector<std::string> keys;
  keys.reserve(members.size());
  for (const std::string_view member : members) keys.push_back(member_key(member));
  std::vector<std::optional<std::string_view>> values;
  view_.charge(members.size());
  view_.get_all(keys, &values);
  for (size_t i = 0; i < members.size(); ++i)
    if (values[i]) (*scores)[i] = double_from(*values[i]);
}

void Zset::prefetch(std::span<const std::string_view> members) {
  if (!large() || members.size() < 2) return;
  std::vector<std::string> keys;
  keys.reserve(members.size());
  for (const std::string_view member : members) keys.push_back(member_key(member));
  view_.prefetch(keys);
}

uint64_t Zset::rank(std::string_view border) {
  if (!large()) {
    const auto& all = entries();
    return static_cast<uint64_t>(std::lower_bound(all.begin(), all.end(), border, lies_before) - all.begin());
  }
  if (border <= std::string_view(low_)) return 0;
  if (border >= kLastBorder || (!high_.empty() && border >= std::string_view(high_))) return size();
  return index_->weight_before(border);
}

// ---- changes

void Zset::put(std::string_view member, double score, std::optional<double> old) {
  if (!old && !skiplist_ && (size() + 1 > limits_.entries || member.size() > limits_.value_bytes)) {
    skiplist_ = true;
    make_large();
  }
  // Redis's listpacks do not keep the sign of zero, its skiplists do.
  if (!skiplist_ && score == 0) score = 0;
  if (!large()) {
    if (old) {
      entries().erase(place_of(*old, member));
      inline_bytes_ -= entry_bytes(*old, member);
    }
    entries().insert(place_of(score, member), {score, member});
    inline_bytes_ += entry_bytes(score, member);
    inline_size_ = entries_.size();
    if (inline_bytes_ > limits_.payload_bytes) make_large();
    return;
  }
  const std::string border = border_at(score, member);
  if (old) {
    const std::string old_border = border_at(*old, member);
    index_->approach(old_border);
    index_->remove(old_border);
    index_->approach(border);
    view_.erase(score_key(old_border), engine::Existence::kPresent);
    ++erased_;
  } else {
    index_->approach(border);
  }
  write_element(member, score, old ? engine::Existence::kPresent : engine::Existence::kAbsent);
  index_->add(border);
  if (border < low_) {
    low_ = border.substr(0, kEdgeBytes);
    index_->begin_at(low_);
  }
  if (!high_.empty() && border >= high_) high_ = prefix_end(std::string_view(border).substr(0, kEdgeBytes));
}

void Zset::write_element(std::string_view member, double score, engine::Existence before) {
  char bytes[8];
  std::memcpy(bytes, &score, sizeof bytes);
  view_.put(member_key(member), {bytes, sizeof bytes}, before);
  score_key(order_of(score));
  key_.append(member);
  view_.put(key_, minus_zero(score) ? "-" : "", engine::Existence::kAbsent);
}

void Zset::erase(std::string_view member, double old) {
  if (!large()) {
    entries().erase(place_of(old, member));
    inline_bytes_ -= entry_bytes(old, member);
    inline_size_ = entries_.size();
    return;
  }
  const std::string border = border_at(old, member);
  view_.erase(member_key(member), engine::Existence::kPresent);
  view_.erase(score_key(border), engine::Existence::kPresent);
  index_->remove(border);
  ++erased_;
}

void Zset::erase_all() {
  if (large()) return open_index({});  // The header goes, and with it everything.
  entries().clear();
  inline_size_ = inline_bytes_ = 0;
}

uint64_t Zset::erase_between(std::string_view first, std::string_view end, uint64_t at_most,
                             std::string* reached) {
  if (!large()) {
    auto& all = entries();
    const auto from = std::lower_bound(all.begin(), all.end(), first, lies_before);
    const auto to = std::lower_bound(all.begin(), all.end(), end, lies_before);
    if (from >= to) return 0;
    const auto count = static_cast<uint64_t>(to - from);
    for (auto at = from; at != to; ++at) inline_bytes_ -= entry_bytes(at->score, at->member);
    all.erase(from, to);
    inline_size_ = all.size();
    return count;
  }
  std::vector<std::string> borders;
  bool at_front = false, at_back = false;
  {
    const size_t prefix = score_key({}).size();
    const std::string lowest = score_key(low_),
                      highest = high_.empty() ? prefix_end(score_key({})) : score_key(high_);
    const std::string from = std::max(score_key(first), lowest), to = std::min(score_key(end), highest);
    if (from >= to) return 0;
    auto all = view_.range(lowest, highest);
    bool there = all.seek(from);
    for (; there && all.key() < to && borders.size() < at_most; there = all.next())
      borders.emplace_back(all.key().substr(prefix));
    if (borders.empty()) return 0;
    const bool more = there && all.key() < to;
    if (more) {
      *reached = borders.back() + '\0';
      end = *reached;
    }
    at_front = from == lowest || (all.seek_first() && all.key().substr(prefix) == borders.front());
    at_back = !more && (to == highest || (all.seek_last() && all.key().substr(prefix) == borders.back()));
  }
  const uint64_t count = borders.size();
  if (count == size()) {
    erase_all();
    return count;
  }
  for (const std::string& border : borders) index_->remove(border);
  if (at_front) raise_low(end);
  if (at_back) high_ = prefix_end(first.substr(0, kEdgeBytes));
  // The records themselves go when nothing is read any more: save() erases them.
  doomed_.reserve(2 * count);
  for (const std::string& border : borders) {
    doomed_.push_back(member_key(std::string_view(border).substr(8)));
    doomed_.push_back(score_key(border));
  }
  return count;
}

void Zset::raise_low(std::string_view border) {
  low_ = border.substr(0, kEdgeBytes);
  index_->begin_at(low_);
}

// After so many erasures a walk from low_ may meet that many erased records: look where the first element is.
void Zset::find_low() {
  erased_ = 0;
  const std::string all = score_key({});
  auto range = view_.range(all + low_, prefix_end(all));
  if (range.seek_first()) raise_low(range.key().substr(all.size()));
}

void Zset::make_large() {
  if (large()) return;
  entries();
  object_ = view_.new_object();
  header_.object = {object_, 0};
  RankIndex::Builder builder(view_, plan());
  for (const ScoredMember& entry : entries_) {
    write_element(entry.member, entry.score, engine::Existence::kAbsent);
    builder.add(border_at(entry.score, entry.member));
  }
  open_index(builder.finish());
  entries_.clear();
}

void Zset::save(ObjectId database, std::string_view key) {
  if (size() == 0) return view_.erase_header(database, key);
  std::string payload(1, static_cast<char>(skiplist_ ? kSkiplist : 0));
  if (large()) {
    index_->flush();
    constexpr uint64_t kErasedMax = 64;
    if (erased_ > kErasedMax && doomed_.empty()) find_low();
    engine::FieldWriter fields;
    index_->root().write(fields);
    payload += fields.text(low_).text(high_).number(erased_).take();
  } else {
    payload += engine::FieldWriter().number(inline_size_).take();
    for (const ScoredMember& entry : entries()) append_entry(&payload, entry.score, entry.member);
  }
  header_.payload = payload;
  if (old_header_)
    view_.put_header(database, key, header_, old_header_);
  else
    view_.put_header(database, key, header_);
  for (const std::string& record : doomed_) view_.erase(record, engine::Existence::kPresent);
  doomed_.clear();
}

void Zset::write(View& view, ObjectId database, std::string_view key, std::span<const ScoredMember> sorted,
                 const ZsetLimits& limits) {
  Zset zset(view, std::nullopt, limits);
  bool fits = sorted.size() <= limits.entries;
  for (const ScoredMember& entry : sorted) {
    if (!fits) break;
    fits = entry.member.size() <= limits.value_bytes;
  }
  zset.skiplist_ = !fits;
  uint64_t bytes = 0;
  for (size_t i = 0; fits && i < sorted.size(); ++i) {
    bytes += entry_bytes(sorted[i].score, sorted[i].member);
    fits = bytes <= limits.payload_bytes;
  }
  if (fits) {
    for (const ScoredMember& entry : sorted)
      zset.entries_.push_back({entry.score == 0 ? 0 : entry.score, entry.member});
    zset.inline_size_ = sorted.size();
    return zset.save(database, key);
  }
  zset.object_ = view.new_object();
  zset.header_.object = {zset.object_, 0};
  RankIndex::Builder builder(view, zset.plan());
  for (const ScoredMember& entry : sorted) builder.add(border_at(entry.score, entry.member));
  zset.open_index(builder.finish());
  zset.save(database, key);
  for (const ScoredMember& entry : sorted)
    zset.write_element(entry.member, zset.skiplist_ || entry.score != 0 ? entry.score : 0,
                       engine::Existence::kAbsent);
}

// ---- walking

Zset::Cursor Zset::at(uint64_t rank) {
  if (large() && rank > 0 && rank + 1 == size()) return last_before(kLastBorder);
  if (large() && rank > 0) {
    const auto place = index_->at(rank);
    return first_from(place ? std::string_view(place->key) : kLastBorder);
  }
  if (large()) return first_from(kFirstBorder);
  Cursor cursor(*this);
  entries();
  cursor.position_ = rank;
  cursor.valid_ = rank < size();
  return cursor;
}

void Zset::walk_all(Cursor* cursor) {
  index_->flush();
  const std::string all = score_key({});
  cursor->prefix_bytes_ = all.size();
  cursor->range_.emplace(view_.range(all + low_, high_.empty() ? prefix_end(all) : all + high_));
}

Zset::Cursor Zset::first_from(std::string_view border) {
  Cursor cursor(*this);
  if (!large()) {
    cursor.position_ = rank(border);
    cursor.valid_ = cursor.position_ < size();
    return cursor;
  }
  walk_all(&cursor);
  cursor.valid_ =
      border > std::string_view(low_) ? cursor.range_->seek(score_key(border)) : cursor.range_->seek_first();
  return cursor;
}

Zset::Cursor Zset::last_before(std::string_view border) {
  Cursor cursor(*this);
  if (!large()) {
    const uint64_t before = rank(border);
    cursor.valid_ = before > 0;
    if (cursor.valid_) cursor.position_ = before - 1;
    return cursor;
  }
  walk_all(&cursor);
  cursor.valid_ =
      border < kLastBorder ? cursor.range_->seek_before(score_key(border)) : cursor.range_->seek_last();
  return cursor;
}

std::string_view Zset::Cursor::large_key() const {
  const std::string_view key = range_->key();
  if (key.size() < prefix_bytes_ + kOrderBytes) damaged("an element is malformed");
  return key;
}
double Zset::Cursor::score() const {
  if (!range_) return zset_->entries_[position_].score;
  return score_of(large_key().substr(prefix_bytes_, kOrderBytes), range_->value());
}
std::string_view Zset::Cursor::member() const {
  if (!range_) return zset_->entries_[position_].member;
  return large_key().substr(prefix_bytes_ + kOrderBytes);
}
bool Zset::Cursor::lies_before(std::string_view border) const {
  if (!range_) return server::lies_before(zset_->entries_[position_], border);
  return range_->key().substr(prefix_bytes_) < border;
}
void Zset::Cursor::next() {
  if (range_)
    valid_ = range_->next();
  else
    valid_ = ++position_ < zset_->entries_.size();
}
void Zset::Cursor::prev() {
  if (range_)
    valid_ = range_->prev();
  else if (position_ == 0)
    valid_ = false;
  else
    --position_;
}

// ---- ZSCAN

uint64_t Zset::scan(uint64_t cursor, uint64_t count, std::vector<Found>* found) {
  if (!large()) {
    for (const ScoredMember& entry : entries()) found->push_back({std::string(entry.member), entry.score});
    return 0;
  }
  if (cursor > UINT32_MAX) return 0;
  std::string prefix;
  element_key(object_, "m", &prefix);
  std::string begin = prefix;
  for (int shift = 24; shift >= 0; shift -= 8) begin += static_cast<char>(cursor >> shift);
  auto range = view_.range(begin, prefix_end(prefix));
  uint64_t last_hash = 0, taken = 0;
  for (bool there = range.seek_first(); there; there = range.next(), ++taken) {
    const std::string_view element = range.key().substr(prefix.size());
    if (element.size() < 4) damaged("an element is malformed");
    uint64_t hash = 0;
    for (size_t i = 0; i < 4; ++i) hash = hash << 8 | static_cast<uint8_t>(element[i]);
    if (taken >= count && hash != last_hash) return hash;
    last_hash = hash;
    found->push_back({std::string(element.substr(4)), double_from(range.value())});
  }
  return 0;
}

}  // namespace server
