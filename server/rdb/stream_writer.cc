#include "server/rdb/stream_writer.h"

#include "server/rdb/words.h"

namespace server::rdb {
namespace {

constexpr int64_t kSameFields = 2;

std::string raw_id(StreamId id) {
  std::string bytes;
  put_stream_id_key(&bytes, id);
  return bytes;
}
void put_id(std::string* out, StreamId id) {
  put_length(out, id.ms);
  put_length(out, id.seq);
}

std::vector<std::string_view> fields_of(std::string_view entry) {
  StreamFields fields(entry);
  std::vector<std::string_view> all;
  for (uint64_t left = fields.count(); left > 0; --left) all.push_back(fields.next());
  return all;
}

// One node: its first entry says what fields the others most likely have.
class Node {
 public:
  void add(StreamId id, std::string_view entry) {
    std::vector<std::string_view> fields = fields_of(entry);
    if (count_++ == 0) {
      first_ = id;
      for (size_t i = 0; i < fields.size(); i += 2) master_.emplace_back(fields[i]);
    }
    bool same = fields.size() == 2 * master_.size();
    for (size_t i = 0; same && i < master_.size(); ++i) same = fields[2 * i] == master_[i];
    const auto pairs = static_cast<int64_t>(fields.size() / 2);
    entries_.number(same ? kSameFields : 0);
    entries_.number(static_cast<int64_t>(id.ms - first_.ms));
    entries_.number(static_cast<int64_t>(id.seq - first_.seq));
    if (!same) entries_.number(pairs);
    for (size_t i = 0; i < fields.size(); ++i)
      if (!same || i % 2 == 1) entries_.text(fields[i]);
    entries_.number(same ? pairs + 3 : 2 * pairs + 4);
  }
  void write(std::string* out) {
    ListpackWriter whole;
    whole.number(count_);
    whole.number(0);  // Deleted.
    whole.number(static_cast<int64_t>(master_.size()));
    for (const std::string& field : master_) whole.text(field);
    whole.number(0);
    whole.append(entries_);
    put_string(out, raw_id(first_));
    put_string(out, whole.take());
    *this = {};
  }
  bool empty() const { return count_ == 0; }

 private:
  StreamId first_;
  int64_t count_ = 0;
  std::vector<std::string> master_;
  ListpackWriter entries_;
};

}  // namespace

bool StreamWriter::next(View& view, Stream& stream, std::string* out) {
  switch (phase_) {
    case Phase::kCount:
      if (!count_nodes(stream, out)) phase_ = Phase::kNodes;
      return true;
    case Phase::kNodes:
      if (!write_nodes(stream, out)) phase_ = Phase::kState;
      return true;
    case Phase::kState:
      write_state(stream, out);
      phase_ = Phase::kGroups;
      return stream.facts().groups > 0;
    case Phase::kGroups: return write_group(view, stream, out);
  }
  return false;
}

bool StreamWriter::count_nodes(Stream& stream, std::string* out) {
  uint64_t left = kPartEntries;
  if (stream.facts().length > 0) {
    for (Stream::Walk walk(stream, from_, kStreamIdMax, true); walk.next();) {
      if (left-- == 0) {
        from_ = walk.id();
        return true;
      }
      ++node_entries_;
      node_bytes_ += walk.entry().size();
      if (node_entries_ < kNodeEntries && node_bytes_ < kNodeBytes) continue;
      ++nodes_;
      node_entries_ = node_bytes_ = 0;
    }
  }
  nodes_ += node_entries_ > 0;
  put_length(out, nodes_);
  from_ = {};
  return false;
}

// Whole nodes, so that a part begins where the count had a node begin.
bool StreamWriter::write_nodes(Stream& stream, std::string* out) {
  if (nodes_ == 0) return false;
  const size_t before = out->size();
  Node node;
  uint64_t entries = 0, bytes = 0;
  for (Stream::Walk walk(stream, from_, kStreamIdMax, true); walk.next();) {
    if (node.empty() && out->size() - before >= kPartBytes) {
      from_ = walk.id();
      return true;
    }
    node.add(walk.id(), walk.entry());
    ++entries;
    bytes += walk.entry().size();
    if (entries < kNodeEntries && bytes < kNodeBytes) continue;
    node.write(out);
    entries = bytes = 0;
  }
  if (!node.empty()) node.write(out);
  return false;
}

void StreamWriter::write_state(Stream& stream, std::string* out) {
  const Stream::Facts& facts = stream.facts();
  put_length(out, facts.length);
  put_id(out, facts.last);
  put_id(out, facts.first);
  put_id(out, facts.max_deleted);
  put_length(out, facts.added);
  put_length(out, facts.groups);
}

// A group at a time, with all that is pending in it. False: it was the last.
bool StreamWriter::write_group(View& view, Stream& stream, std::string* out) {
  bool written = false, more = false;
  StreamGroup::each(view, stream, [&](StreamGroup& group) {
    if (any_group_ && group.name() <= std::string_view(group_)) return;
    if (written) {
      more = true;
      return;
    }
    written = any_group_ = true;
    group_ = group.name();
    put_string(out, group.name());
    put_id(out, group.last());
    put_length(out, group.read().value_or(~uint64_t{0}));
    put_length(out, group.pending());
    for (StreamGroup::Walk walk(group, nullptr, {}, kStreamIdMax); walk.next();) {
      const PendingEntry entry = walk.pending();
      out->append(raw_id(walk.id()));
      put_fixed(out, entry.delivered_ms);
      put_length(out, entry.deliveries);
    }
    put_length(out, group.consumers());
    group.each_consumer([&](const Consumer& consumer) {
      put_string(out, consumer.name);
      put_fixed(out, consumer.seen_ms);
      put_length(out, consumer.pending);
      for (StreamGroup::Walk walk(group, &consumer, {}, kStreamIdMax); walk.next();)
        out->append(raw_id(walk.id()));
    });
  });
  return more;
}

}  // namespace server::rdb
