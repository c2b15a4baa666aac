// server/types/stream_groups.h: how a stream's consumer groups lie in the store.
//
//     elements of the stream's object:
//     'g' | name                                  -> a group: number | last id | entries read + 1 | pending |
//                                                    consumers | next consumer's number |
//                                                    first pending id | highest id that ever was pending
//     'm' | group | 'c' | consumer                -> a consumer: seen (ms) | pending | name
//     'm' | group | 'n' | consumer's name         -> its number
//     'm' | group | 'p' | id (16)                 -> a pending entry: consumer | delivered (ms) | deliveries
//     'm' | group | 'q' | consumer | id (16)      -> (nothing)     the same entries by consumer
//     'd' | group                                 -> (nothing)     a destroyed group with records left
//
// numbers in values are varints; `group` and `consumer` in keys are numbers, their length in bytes (1) before
// them. Names may change hands, numbers do not: they are never given out twice.
//
// What a command does to pending entries costs a few records each, however many there are. A group that is
// destroyed loses its name, and a bounded number of records; the others are erased by later commands on the
// stream's groups.
//
// Invariants
//   S1  A pending entry has one record under 'p' and one under 'q', of the same consumer.
//   S2  `first pending id` is that of the first record under 'p': acknowledged entries before it are never
//       walked over.
//   S3  Above `highest id that ever was pending` nothing is pending, so most deliveries are blind writes.
//
// A StreamGroup is one command's hold of a group: it writes the pending entries at once, what it counts when
// it is saved.
//
// Threads: that of the view. Not here: the stream's entries (server/types/stream.h), RESP, options.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "server/types/stream.h"

namespace server {

struct Consumer {
  uint64_t number = 0;
  std::string_view name;  // Valid as long as the group.
  int64_t seen_ms = 0;
  uint64_t pending = 0;
};

struct PendingEntry {
  uint64_t consumer = 0;
  int64_t delivered_ms = 0;
  uint64_t deliveries = 0;
};

class StreamGroup {
 public:
  // Nothing: the stream has no group of that name.
  static std::optional<StreamGroup> find(View& view, Stream& stream, std::string_view name);
  // Makes the stream large; stream.save() has to follow. Requires: there is none of that name.
  static StreamGroup create(View& view, Stream& stream, std::string_view name, StreamId last,
                            std::optional<uint64_t> read);
  // All groups of the stream, by name. `use` is given a StreamGroup.
  template <typename Use>
  static void each(View& view, Stream& stream, Use use);
  // Erases some of what destroyed groups have left. stream.save() has to follow if it returns true.
  static bool sweep(View& view, Stream& stream, size_t at_most);

  std::string_view name() const { return name_; }
  uint64_t pending() const { return pending_; }
  uint64_t consumers() const { return consumers_; }
  StreamId last() const { return last_; }
  std::optional<uint64_t> read() const {  // So many entries, if that is known.
    return read_plus_1_ == 0 ? std::nullopt : std::optional(read_plus_1_ - 1);
  }
  void set_last(StreamId last, std::optional<uint64_t> read);
  // An entry of the stream is delivered for the first time: id > last().
  void advance(const Stream& stream, StreamId id);
  // How many entries it has not read, if that is known.
  std::optional<int64_t> lag(const Stream& stream) const;

  // ---- consumers. Pointers are valid as long as the group.
  Consumer* consumer(std::string_view name);  // Null: there is none.
  Consumer* consumer(uint64_t number);        // Requires: there is one.
  Consumer* add_consumer(std::string_view name, int64_t now_ms);
  void touch(Consumer* consumer, int64_t now_ms);
  void erase_consumer(Consumer* consumer);  // With its pending entries.
  // By name. `use` is given a Consumer.
  template <typename Use>
  void each_consumer(Use use);

  // ---- pending entries
  std::optional<PendingEntry> pending(StreamId id);
  void prefetch(std::span<const StreamId> ids);
  // It is pending from now on, or in another way than before. `before`: what pending(id) gave.
  void put(StreamId id, const PendingEntry& entry, const std::optional<PendingEntry>& before);
  void acknowledge(StreamId id, const PendingEntry& before);
  std::optional<StreamId> first_pending() const;
  std::optional<StreamId> last_pending();
  // Those in [from, to], of all consumers or of one; the group must not change meanwhile.
  //     for (StreamGroup::Walk walk(group, nullptr, from, to); walk.next();) use(walk.id(), walk.pending());
  class Walk;

  void save();
  // With all that belongs to it. Requires: nothing else was changed. stream.save() has to follow.
  void destroy(Stream& stream, size_t erased_at_once = 1024);

 private:
  StreamGroup(View& view, ObjectId object, std::string_view name)
      : view_(&view), object_(object), name_(name) {}
  bool decode(std::string_view record);
  std::string member_key(char kind) const;
  std::string pending_key(StreamId id) const;
  std::string consumer_pending_key(uint64_t consumer, StreamId id) const;
  Consumer* load(uint64_t number, std::string_view record);

  View* view_;
  ObjectId object_;
  std::string name_;
  uint64_t number_ = 0;
  StreamId last_;
  uint64_t read_plus_1_ = 0;
  uint64_t pending_ = 0, consumers_ = 0, next_consumer_ = 0;
  StreamId first_pending_, highest_pending_;
  bool changed_ = false, first_acknowledged_ = false;

  struct Known {
    Consumer consumer;
    std::string name;
    bool changed = false, gone = false;
  };
  std::deque<Known> known_;
};

class StreamGroup::Walk {
 public:
  Walk(StreamGroup& group, const Consumer* consumer, StreamId from, StreamId to);
  bool next();
  StreamId id() const { return id_; }
  PendingEntry pending();  // Of one consumer's: looked up.

 private:
  StreamGroup& group_;
  bool of_consumer_, begun_ = false;
  std::optional<View::Range> range_;
  StreamId id_;
};

// ------------------------------------------------------------------ templates

// The records under a prefix: `use` is given what follows it, and the value. Stops when it returns false.
template <typename Use>
void each_with_prefix(View& view, const std::string& prefix, Use use) {
  auto range = view.range(prefix, prefix_end(prefix));
  for (bool there = range.seek_first(); there; there = range.next())
    if (!use(range.key().substr(prefix.size()), range.value())) return;
}

template <typename Use>
void StreamGroup::each(View& view, Stream& stream, Use use) {
  if (stream.facts().groups == 0) return;
  std::string prefix;
  element_key(stream.object(), "g", &prefix);
  each_with_prefix(view, prefix, [&](std::string_view name, std::string_view record) {
    StreamGroup group(view, stream.object(), name);
    if (!group.decode(record)) malformed();
    use(group);
    return true;
  });
}

template <typename Use>
void StreamGroup::each_consumer(Use use) {
  if (consumers_ == 0) return;
  each_with_prefix(*view_, member_key('n'), [&](std::string_view, std::string_view record) {
    use(*consumer(take_varint(&record)));
    return true;
  });
}

}  // namespace server
