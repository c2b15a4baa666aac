#include "server/rdb/stream_reader.h"

namespace server::rdb {
namespace {

constexpr int64_t kEntryDeleted = 1, kEntrySameFields = 2;
constexpr size_t kIdBytes = 16;

EntryId decode_id(std::string_view bytes) {
  EntryId id;
  for (size_t i = 0; i < 8 && bytes.size() == kIdBytes; ++i) {
    id.ms = id.ms << 8 | static_cast<uint8_t>(bytes[i]);
    id.sequence = id.sequence << 8 | static_cast<uint8_t>(bytes[8 + i]);
  }
  return id;
}

EntryId take_id(Input& in) {
  EntryId id;
  id.ms = in.length();
  id.sequence = in.length();
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
      case Phase::kConsumerPending:
        if (pending_ > 0) return read_pending(in, item);
        if (phase_ == Phase::kPending) {
          consumers_ = in.length();
          if (!in.ok()) return in.stopped();
          in.commit();
        }
        phase_ = Phase::kConsumers;
        break;
      case Phase::kConsumers:
        if (consumers_ > 0) return read_consumer(in, item);
        phase_ = Phase::kGroups;
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
  item->id = {first_.ms + static_cast<uint64_t>(ms), first_.sequence + static_cast<uint64_t>(sequence)};
  if ((any_ && item->id <= last_) || item->id < first_) return false;
  last_ = item->id;
  any_ = true;
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
  item->added = Item::kUnknown;
  if (later(ValueType::kStreamListpacks2)) {
    item->first_id = take_id(in);
    item->deleted_id = take_id(in);
    item->added = in.length();
  }
  groups_ = in.length();
  if (in.ok() && item->count != entries_) in.damaged("a stream counts other entries than it has");
  if (in.ok() && any_ && item->id < last_) in.damaged("a stream's last id is less than an entry's");
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
  item->added = later(ValueType::kStreamListpacks2) ? in.length() : Item::kUnknown;
  pending_ = in.length();
  if (!in.ok()) return in.stopped();
  in.commit();
  --groups_;
  any_ = false;
  phase_ = Phase::kPending;
  return Step::kItem;
}

Step StreamReader::read_pending(Input& in, Item* item) {
  *item = {};
  const bool of_group = phase_ == Phase::kPending;
  item->kind = of_group ? Item::Kind::kPending : Item::Kind::kConsumerPending;
  item->id = decode_id(in.bytes(kIdBytes));
  if (of_group) {
    item->time_ms = in.little<int64_t>();
    item->count = in.length();
  }
  if (in.ok() && any_ && item->id <= last_) in.damaged("a stream's pending entries are not in order");
  if (!in.ok()) return in.stopped();
  in.commit();
  any_ = true;
  last_ = item->id;
  --pending_;
  return Step::kItem;
}

Step StreamReader::read_consumer(Input& in, Item* item) {
  *item = {};
  item->kind = Item::Kind::kConsumer;
  item->name = in.string(&name_);
  item->time_ms = in.little<int64_t>();
  item->active_ms = later(ValueType::kStreamListpacks3) ? in.little<int64_t>() : item->time_ms;
  pending_ = in.length();
  if (!in.ok()) return in.stopped();
  in.commit();
  --consumers_;
  any_ = false;
  phase_ = Phase::kConsumerPending;
  return Step::kItem;
}

}  // namespace server::rdb
