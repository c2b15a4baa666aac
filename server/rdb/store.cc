#include "server/rdb/store.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "server/string_value.h"
#include "server/types/list.h"
#include "server/types/stream_groups.h"

namespace server::rdb {
namespace {

engine::Status twice(const Run& run, std::string_view what) {
  return {engine::Code::kCorruption, "RDB: a " + std::string(what) + " comes twice in key '" + run.key + "'"};
}

std::vector<std::string_view> names_of(const std::vector<Item>& items) {
  std::vector<std::string_view> names;
  names.reserve(items.size());
  for (const Item& item : items) names.push_back(item.name);
  return names;
}

void store_list(View& view, ObjectId database, const Run& run, const std::optional<Header>& header) {
  List list(view, database, run.key, header);
  for (const Item& item : run.items) list.push(End::kRight, item.value);
  list.save();
}

engine::Status store_set(View& view, ObjectId database, const Run& run, const std::optional<Header>& header,
                         const SetLimits& limits, uint64_t random_seed) {
  Set set(view, database, run.key, header);
  set.load(names_of(run.items));
  for (size_t i = 0; i < run.items.size(); ++i) {
    if (set.has(i)) return twice(run, "member");
    set.add(i);
  }
  set.save(limits, random_seed);
  return {};
}

engine::Status store_hash(View& view, ObjectId database, const Run& run, const std::optional<Header>& header,
                          const HashLimits& limits, uint64_t random_seed) {
  Hash hash(view, database, run.key, header);
  hash.load(names_of(run.items));
  for (size_t i = 0; i < run.items.size(); ++i) {
    const Item& item = run.items[i];
    if (hash.field(i)) return twice(run, "field");
    if (item.expiry_ms == kNoExpiry || item.expiry_ms > view.now_ms())
      hash.set(i, item.value, item.expiry_ms);
  }
  hash.save(limits, random_seed);
  return {};
}

engine::Status store_zset(View& view, ObjectId database, const Run& run, const std::optional<Header>& header,
                          const ZsetLimits& limits) {
  std::vector<std::string_view> names = names_of(run.items);
  if (header) {
    Zset zset(view, header, limits);
    std::vector<std::optional<double>> before;
    zset.scores(names, &before);
    for (const auto& score : before)
      if (score) return twice(run, "member");
    std::sort(names.begin(), names.end());
    if (std::adjacent_find(names.begin(), names.end()) != names.end()) return twice(run, "member");
    for (const Item& item : run.items) zset.put(item.name, item.score, std::nullopt);
    zset.save(database, run.key);
    return {};
  }
  std::sort(names.begin(), names.end());
  if (std::adjacent_find(names.begin(), names.end()) != names.end()) return twice(run, "member");
  std::vector<ScoredMember> sorted;
  sorted.reserve(run.items.size());
  for (const Item& item : run.items) sorted.push_back({item.score, item.name});
  std::sort(sorted.begin(), sorted.end(), comes_before);
  Zset::write(view, database, run.key, sorted, limits);
  return {};
}

// What comes of a stream, in the order in which it comes; names and ids are as they must be.
class StreamStore {
 public:
  StreamStore(View& view, ObjectId database, const Run& run, const StreamLimits& limits)
      : view_(view), database_(database), key_(run.key), limits_(limits), begun_(!run.first) {}

  void add(const Item& item) {
    switch (item.kind) {
      case Item::Kind::kEntry: {
        Stream stream = open();
        stream.add(item.id, item.fields);
        stream.save();
        break;
      }
      case Item::Kind::kStream: {
        Stream stream = open();
        if (item.added >= Item::kUntold)
          stream.set_ids(item.id, std::nullopt, std::nullopt);
        else
          stream.set_ids(item.id, item.added, item.deleted_id);
        stream.save();
        break;
      }
      case Item::Kind::kGroup: {
        finish();
        Stream stream = open();
        auto read = std::optional(item.added);
        if (item.added == Item::kUnknown) read = std::nullopt;
        if (item.added == Item::kUntold) read = stream.added_up_to(item.id);
        group_ = std::make_unique<StreamGroup>(StreamGroup::create(view_, stream, item.name, item.id, read));
        stream.save();
        break;
      }
      case Item::Kind::kConsumer: group(item.value).add_consumer(item.name, item.time_ms); break;
      case Item::Kind::kPending: {
        StreamGroup& own = group(item.value);
        Consumer* consumer = own.consumer(item.name);
        if (consumer == nullptr) malformed();
        own.put(item.id, {consumer->number, item.time_ms, item.count}, std::nullopt);
        break;
      }
      default: malformed();
    }
    begun_ = true;
  }
  void finish() {
    if (group_) group_->save();
    group_.reset();
  }

 private:
  Stream open() {
    return Stream(view_, database_, key_, begun_ ? view_.header(database_, key_) : std::nullopt, limits_);
  }
  StreamGroup& group(std::string_view name) {
    if (!group_) {
      Stream stream = open();
      auto found = StreamGroup::find(view_, stream, name);
      if (!found) malformed();
      group_ = std::make_unique<StreamGroup>(std::move(*found));
    }
    return *group_;
  }

  View& view_;
  const ObjectId database_;
  const std::string_view key_;
  const StreamLimits& limits_;
  bool begun_;
  std::unique_ptr<StreamGroup> group_;
};

void store_stream(View& view, ObjectId database, const Run& run, const StreamLimits& limits) {
  StreamStore stream(view, database, run, limits);
  for (const Item& item : run.items) stream.add(item);
  stream.finish();
}

}  // namespace

StoreLimits::StoreLimits(const Settings& settings)
    : hash{settings.hash_max_listpack_entries, settings.hash_max_listpack_value_bytes},
      set{settings.set_max_intset_entries} {
  zset.entries = settings.zset_max_listpack_entries;
  zset.value_bytes = settings.zset_max_listpack_value_bytes;
  stream.block_bytes = settings.stream_node_max_bytes;
  stream.block_entries = settings.stream_node_max_entries;
}

engine::Status store(View& view, ObjectId database, const Run& run, const StoreLimits& limits,
                     uint64_t random_seed) {
  if (run.type == Type::kString) {
    // In whichever run it comes; there may be another, empty one that says it was the last.
    for (const Item& item : run.items)
      write_string(view, {database, run.key}, item.value, run.expiry_ms, false);
    return {};
  }
  std::optional<Header> header;
  if (!run.first) header = view.header(database, run.key);
  engine::Status status;
  if (!run.items.empty()) {
    switch (run.type) {
      case Type::kList: store_list(view, database, run, header); break;
      case Type::kSet: status = store_set(view, database, run, header, limits.set, random_seed); break;
      case Type::kHash: status = store_hash(view, database, run, header, limits.hash, random_seed); break;
      case Type::kZset: status = store_zset(view, database, run, header, limits.zset); break;
      case Type::kString: break;
      case Type::kStream: store_stream(view, database, run, limits.stream); break;
    }
  }
  if (!status.ok() || !run.last || run.expiry_ms == kNoExpiry) return status;
  if (auto stored = view.header(database, run.key)) {
    stored->expiry_ms = run.expiry_ms;
    view.put_header(database, run.key, *stored, stored);
  }
  return status;
}

}  // namespace server::rdb
