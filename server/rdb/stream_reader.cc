#include "server/rdb/stream_reader.h"

#include <algorithm>

namespace server::rdb {
namespace {

constexpr int64_t kEntryDeleted = 1, kEntrySameFields = 2;
constexpr size_t kIdBytes = 16;

StreamId decode_id(std::string_view bytes) {
  StreamId id;
  for (size_t i = 0; i < 8 && bytes.size() == kIdBytes; ++i) {
    id.ms = id.ms << 8 | static_cast<uint8_t>(bytes[i]);
    id.seq = id.seq << 8 | static_cast<uint8_t>(bytes[8 + i]);
  }
  return id;
}

StreamId take_id(Input& in) {
  StreamId id;
  id.ms = in.length();
  id.seq = in.length();
  return id;
}

}  // namespace

Step StreamReader::next(Input& in, Item* item) {
  for (;;) {
    switch (phase_) {
      case Phase::kBegin:
        nodes_ = in.length();
        if (!in.ok()) return in.stopped();
        in.commit();
        phase_ = Phase::kNodes;
        break;
      case Phase::kNodes:
        if (packed_) {
          const Step step = next_entry(in, item);
          if (step != Step::kEnd) return step;
        } else if (nodes_ == 0) {
          phase_ = Phase::kState;
        } else if (const Step step = next_node(in); step != Step::kItem) {
          return step;
        }
        break;
      case Phase::kState: return read_state(in, item);
      case Phase::kGroups:
        if (groups_ > 0) return read_group(in, item);
        phase_ = Phase::kEnd;
        break;
      case Phase::kPending:
        if (pending_ == 0) {
          phase_ = Phase::kConsumerCount;
        } else if (const Step step = read_pending(in); step != Step::kItem) {
          return step;
        }
        break;
      case Phase::kConsumerCount:
        if (const Step step = read_consumers(in); step != Step::kItem) return step;
        break;
      case Phase::kConsumers:
        if (consumers_ > 0) return read_consumer(in, item);
        if (!all_owned()) {
          in.damaged("an entry of a stream is pending for nobody");
          return in.stopped();
        }
        phase_ = Phase::kGroups;
        break;
      case Phase::kOwned:
        if (pending_ > 0) return read_owned(in, item);
        phase_ = Phase::kConsumers;
        break;
      case Phase::kEnd: return Step::kEnd;
    }
  }
}

// ---- entries

Step StreamReader::next_node(Input& in) {
  const std::string_view id = in.string(&name_);
  first_ = decode_id(id);
  if (in.ok() && id.size() != kIdBytes) in.damaged("a stream's node without an id");
  const std::string_view listpack = in.string(&blob_);
  if (!in.ok()) return in.stopped();
  in.commit();
  --nodes_;
  packed_.emplace(Packing::kListpack, listpack);
  if (!open_node()) {
    in.damaged("a stream's node is malformed");
    return in.stopped();
  }
  return Step::kItem;
}

bool StreamReader::take_number(int64_t* number) {
  PackedValue value;
  if (packed_->next(&value) != PackedReader::Step::kValue || !value.is_number) return false;
  *number = value.number;
  return true;
}

bool StreamReader::take_text(std::deque<std::string>* scratch, std::string_view* text) {
  PackedValue value;
  if (packed_->next(&value) != PackedReader::Step::kValue) return false;
  *text = value.is_number ? value.text(&scratch->emplace_back()) : value.bytes;
  return true;
}

bool StreamReader::open_node() {
  int64_t fields = 0;
  if (!take_number(&present_) || !take_number(&deleted_) || !take_number(&fields)) return false;
  if (present_ < 0 || deleted_ < 0 || fields < 0) return false;
  if (present_ == 0) return false;  // Redis removes such nodes.
  master_.clear();
  numbers_.clear();
  for (int64_t i = 0; i < fields; ++i) {  // As many as there are bytes for.
    std::string_view field;
    if (!take_text(&numbers_, &field)) return false;
    master_.emplace_back(field);
  }
  int64_t end = 0;
  return take_number(&end) && end == 0;
}

Step StreamReader::next_entry(Input& in, Item* item) {
  for (;;) {
    PackedValue flags;
    const auto step = packed_->next(&flags);
    if (step == PackedReader::Step::kEnd && present_ == 0 && deleted_ == 0) {
      packed_.reset();
      return Step::kEnd;
    }
    if (step != PackedReader::Step::kValue || !flags.is_number || !read_entry(flags.number, item)) {
      in.damaged("a stream's node is malformed");
      return in.stopped();
    }
    if ((flags.number & kEntryDeleted) != 0) {
      --deleted_;
      continue;
    }
    --present_;
    ++entries_;
    return Step::kItem;
  }
}

bool StreamReader::read_entry(int64_t flags, Item* item) {
  const bool deleted = (flags & kEntryDeleted) != 0;
  const bool same = (flags & kEntrySameFields) != 0;
  if ((deleted ? deleted_ : present_) <= 0 || flags < 0) return false;
  *item = {};
  item->kind = Item::Kind::kEntry;
  int64_t ms = 0, sequence = 0, fields = static_cast<int64_t>(master_.size());
  if (!take_number(&ms) || !take_number(&sequence)) return false;
  item->id = {first_.ms + static_cast<uint64_t>(ms), first_.seq + static_cast<uint64_t>(sequence)};
  if (item->id <= last_ || item->id < first_) return false;  // 0-0 is none.
  last_ = item->id;
  if (!same && (!take_number(&fields) || fields < 0)) return false;
  numbers_.clear();
  for (int64_t i = 0; i < fields; ++i) {
    std::string_view field, value;
    if (same)
      field = master_[static_cast<size_t>(i)];
    else if (!take_text(&numbers_, &field))
      return false;
    if (!take_text(&numbers_, &value)) return false;
    item->fields.push_back(field);
    item->fields.push_back(value);
  }
  int64_t length = 0;
  return take_number(&length) && length == (same ? fields + 3 : 2 * fields + 4);
}

// ---- what comes behind the entries

Step StreamReader::read_state(Input& in, Item* item) {
  *item = {};
  item->kind = Item::Kind::kStream;
  item->count = in.length();
  item->id = take_id(in);
  item->added = Item::kUntold;
  if (later(ValueType::kStreamListpacks2)) {
    item->first_id = take_id(in);
    item->deleted_id = take_id(in);
    item->added = in.length();
  }
  groups_ = in.length();
  if (in.ok() && item->count != entries_) in.damaged("a stream counts other entries than it has");
  if (in.ok() && item->id < last_) in.damaged("a stream's last id is less than an entry's");
  if (!in.ok()) return in.stopped();
  in.commit();
  phase_ = Phase::kGroups;
  return Step::kItem;
}

Step StreamReader::read_group(Input& in, Item* item) {
  *item = {};
  item->kind = Item::Kind::kGroup;
  item->name = in.string(&name_);
  item->id = take_id(in);
  item->added = later(ValueType::kStreamListpacks2) ? in.length() : Item::kUntold;
  pending_ = in.length();
  if (in.ok() && group_names_.contains(item->name)) in.damaged("a stream's group comes twice");
  if (!in.ok()) return in.stopped();
  in.commit();
  group_ = item->name;
  group_names_.insert(group_);
  consumer_names_.clear();
  all_pending_.clear();
  --groups_;
  phase_ = Phase::kPending;
  return Step::kItem;
}

Step StreamReader::read_pending(Input& in) {
  Pending one{decode_id(in.bytes(kIdBytes)), 0, 0, false};
  one.time_ms = in.little<int64_t>();
  one.count = in.length();
  if (in.ok() && !all_pending_.empty() && one.id <= all_pending_.back().id)
    in.damaged("a stream's pending entries are not in order");
  if (!in.ok()) return in.stopped();
  in.commit();
  all_pending_.push_back(one);
  --pending_;
  return Step::kItem;
}

Step StreamReader::read_consumers(Input& in) {
  consumers_ = in.length();
  if (!in.ok()) return in.stopped();
  in.commit();
  phase_ = Phase::kConsumers;
  return Step::kItem;
}

Step StreamReader::read_consumer(Input& in, Item* item) {
  *item = {};
  item->kind = Item::Kind::kConsumer;
  item->name = in.string(&name_);
  item->value = group_;
  item->time_ms = in.little<int64_t>();
  if (later(ValueType::kStreamListpacks3)) in.little<int64_t>();  // When it was last given something.
  pending_ = in.length();
  if (in.ok() && consumer_names_.contains(item->name)) in.damaged("a group's consumer comes twice");
  if (!in.ok()) return in.stopped();
  in.commit();
  consumer_ = item->name;
  consumer_names_.insert(consumer_);
  --consumers_;
  phase_ = Phase::kOwned;
  return Step::kItem;
}

Step StreamReader::read_owned(Input& in, Item* item) {
  const StreamId id = decode_id(in.bytes(kIdBytes));
  if (!in.ok()) return in.stopped();
  const auto pending = std::lower_bound(all_pending_.begin(), all_pending_.end(), id,
                                        [](const Pending& a, StreamId b) { return a.id < b; });
  if (pending == all_pending_.end() || pending->id != id || pending->owned) {
    in.damaged("an entry of a stream is pending for a consumer, but not in its group, or for two of them");
    return in.stopped();
  }
  in.commit();
  pending->owned = true;
  --pending_;
  *item = {};
  item->kind = Item::Kind::kPending;
  item->name = consumer_;
  item->value = group_;
  item->id = id;
  item->time_ms = pending->time_ms;
  item->count = pending->count;
  return Step::kItem;
}

bool StreamReader::all_owned() const {
  return std::all_of(all_pending_.begin(), all_pending_.end(), [](const Pending& one) { return one.owned; });
}

}  // namespace server::rdb
