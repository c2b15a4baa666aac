// server/types/stream.h: how a stream lies in the store.
//
//     inline   header payload:   form (1) | facts | { id | length | entry } ...
//     large    header payload:   form (1) | facts
//              header refers to an object; elements:   'e' | id (16) -> entry
//              and what belongs to groups (server/types/stream_groups.h)
//     entry    block | fields and values | { length | bytes } ...
//     facts    last id | first id | greatest deleted id | length | added | first block | its entries |
//              last block | its entries | its bytes | [garbage: first id | last id] |
//              [groups | next group's number | dead groups]
//
// numbers are varints, an id two of them. form: bit 0 large, bit 1 garbage, bit 2 groups.
//
// An entry is a record, so that an append writes that and the header, some hundred bytes. Blocks are what
// trimming with ~ takes or leaves as one, as Redis does with its nodes: a block ends when it has as many
// entries (or about as many bytes) as stream-node-max-entries (-bytes) say. They are nothing but a number in
// each entry; how many entries the first one has stands in the header, 0 if that is not known.
//
// Trimming erases a bounded number of records; what is left of those trimmed, the garbage, lies in one range
// of ids that no reader looks at. Every later write to the stream erases some of it.
//
// Invariants
//   X1  first id is that of the first entry, 0-0 if there is none; all entries lie in [first id, last id].
//   X2  Records of the object below first id (without entries: all) are garbage, and within its range.
//   X3  A stream with groups is large. A large stream never becomes inline again.
//
// Threads: that of the view. Not here: RESP, options, ids as text.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/types/stream_id.h"
#include "server/view.h"

namespace server {

// Tests make all of them tiny.
struct StreamLimits {
  size_t inline_bytes = 512;                         // Every append rewrites them.
  uint64_t block_entries = 100, block_bytes = 4096;  // 0: any number.
  size_t erased_at_once = 8192;                      // By one trim,
  size_t erased_per_write = 64;                      // and of the garbage.
};

struct StreamTrim {
  enum class By : uint8_t { kNothing, kLength, kId };
  By by = By::kNothing;
  uint64_t length = 0;        // So many stay,
  StreamId id;                // or those from here on.
  bool whole_blocks = false;  // Of the others only blocks that can go as a whole.
  uint64_t limit = 0;         // Not more entries than this (0: any number).
};

// What an entry holds: fields and values by turns.
class StreamFields {
 public:
  explicit StreamFields(std::string_view entry) : rest_(entry) {
    take_varint(&rest_);
    count_ = take_varint(&rest_);
  }
  uint64_t count() const { return count_; }               // Fields and values.
  std::string_view next() { return take_bytes(&rest_); }  // Requires: called `count` times at most.

 private:
  std::string_view rest_;
  uint64_t count_;
};

class Stream {
 public:
  // `header` is what view.header() gave for the key; without one the stream is empty. Its type is kStream.
  Stream(View& view, ObjectId database, std::string_view key, const std::optional<Header>& header,
         const StreamLimits& limits = {});

  struct Facts {
    StreamId last, first, max_deleted;
    uint64_t length = 0, added = 0;
    uint64_t groups = 0, next_group = 0, dead_groups = 0;
  };
  const Facts& facts() const { return facts_; }
  uint64_t blocks() const { return facts_.length == 0 ? 0 : last_block_ - first_block_ + 1; }

  // The entry, or nothing. Valid until the handler ends.
  std::optional<std::string_view> find(StreamId id);
  // Named first, so that one round fetches those.
  void prefetch(std::span<const StreamId> ids);
  // The id of the last entry, which may be less than facts().last.
  std::optional<StreamId> last_entry();

  // How many entries were ever added up to this id, as far as the facts tell.
  std::optional<uint64_t> added_up_to(StreamId id) const;
  // Whether an entry at or after `from` was deleted, as far as the facts tell.
  bool has_holes_from(StreamId from) const;

  // ---- changes. Nothing may be read between add() and save().
  // Requires: id > facts().last, none added yet. `fields` must live until save().
  void add(StreamId id, std::span<const std::string_view> fields);
  uint64_t trim(const StreamTrim& trim);  // How many went.
  // Whether trim() would look at more entries than this.
  bool trim_is_long(const StreamTrim& trim, uint64_t entries);
  bool erase(StreamId id);  // False: it is not there.
  void set_ids(StreamId last, std::optional<uint64_t> added, std::optional<StreamId> max_deleted);
  Facts& group_facts() { return facts_; }         // Only groups, next_group and dead_groups may be changed.
  ObjectId make_large();                          // The object that holds its elements, once saved.
  ObjectId object() const { return object_.id; }  // kNoObject: it is inline.
  void save();

  // Entries with ids in [from, to], in either direction. The stream must not change meanwhile.
  //     for (Stream::Walk walk(stream, from, to, true); walk.next();) use(walk.id(), walk.entry());
  class Walk {
   public:
    Walk(Stream& stream, StreamId from, StreamId to, bool forward);
    bool next();
    StreamId id() const { return id_; }
    std::string_view entry() const { return entry_; }  // Until next().

   private:
    Stream& stream_;
    bool forward_, begun_ = false;
    size_t at_ = 0, end_ = 0;  // Inline.
    std::optional<View::Range> range_;
    StreamId id_;
    std::string_view entry_;
  };

 private:
  struct Item {
    StreamId id;
    std::string_view entry;
  };
  class Front;
  bool is_inline() const { return object_.id == engine::kNoObject; }
  void decode(std::string_view payload);
  void encode(std::string* out) const;
  std::string entry_key(StreamId id) const;
  uint64_t trim_exactly(const StreamTrim& trim);
  uint64_t trim_blocks(const StreamTrim& trim);
  uint64_t cut(const std::vector<StreamId>& known, uint64_t gone, StreamId first, uint64_t first_block,
               uint64_t block_entries);
  uint64_t cut_all(const std::vector<StreamId>& known);
  void become_empty();
  void to_garbage(StreamId first, StreamId last);
  void remove_record(StreamId id);
  void sweep(size_t at_most);

  View& view_;
  ObjectId database_;
  std::string_view key_;
  std::optional<Header> header_;
  StreamLimits limits_;

  Facts facts_;
  uint64_t first_block_ = 0, first_block_entries_ = 0;
  uint64_t last_block_ = 0, last_block_entries_ = 0, last_block_bytes_ = 0;
  bool garbage_ = false;
  StreamId garbage_first_, garbage_last_;

  std::vector<Item> items_;  // Inline.
  engine::Reference object_;
  std::optional<Item> added_;  // Not yet written; its entry is in added_entry_.
  std::string added_entry_;
  bool first_erased_ = false;
};

}  // namespace server
