#include "server/types/stream.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "server/types/stream_groups.h"
#include "tests/server/data_bench.h"

using namespace server;
using server_test::DataBench;

namespace {

constexpr ObjectId kDatabase = 7;
constexpr StreamLimits kTiny{
    .inline_bytes = 80, .block_entries = 3, .block_bytes = 0, .erased_at_once = 4, .erased_per_write = 2};

struct GroupModel {
  StreamId last;
  std::map<std::string, int64_t> consumers;  // Name -> seen.
  struct Pending {
    std::string consumer;
    int64_t delivered_ms = 0;
    uint64_t deliveries = 0;
    bool operator==(const Pending&) const = default;
  };
  std::map<StreamId, Pending> pending;
};

struct Model {
  std::map<StreamId, std::vector<std::string>> entries;
  StreamId last, max_deleted;
  uint64_t added = 0;
  bool exists = false;
  std::map<std::string, GroupModel> groups;

  StreamId first() const { return entries.empty() ? kNoStreamId : entries.begin()->first; }
};

Stream open_stream(View& view, const StreamLimits& limits = kTiny) {
  return {view, kDatabase, "k", view.header(kDatabase, "k"), limits};
}

std::vector<std::string> fields_of(std::string_view entry) {
  StreamFields fields(entry);
  std::vector<std::string> all;
  for (uint64_t left = fields.count(); left > 0; --left) all.emplace_back(fields.next());
  return all;
}

// An id that is there, or one near those that are.
template <typename Map>
StreamId some_id(const Map& entries, engine::SimEntropy& dice) {
  if (entries.empty() || dice.below(4) == 0) return {dice.below(400), dice.below(3)};
  auto at = entries.begin();
  std::advance(at, static_cast<ptrdiff_t>(dice.below(entries.size())));
  return at->first;
}

// ---- one command's worth of change, to the stream and to its model alike

void append(Stream& stream, Model& model, engine::SimEntropy& dice, std::vector<std::string>* bytes) {
  StreamId id = model.last;
  id.increment();
  if (dice.below(2) == 0) id = {id.ms + dice.below(3) + 1, dice.below(3)};
  for (uint64_t i = 2 * (1 + dice.below(2)); i > 0; --i) bytes->push_back(std::string(dice.below(9), 'v'));
  const std::vector<std::string_view> fields(bytes->begin(), bytes->end());
  stream.add(id, fields);
  model.entries[id] = *bytes;
  model.last = id;
  ++model.added;
}

// Of blocks this checks only what any choice of them has to obey; which they are is compared with Redis
// elsewhere.
void trim(Stream& stream, Model& model, engine::SimEntropy& dice) {
  StreamTrim trim;
  trim.by = dice.below(2) == 0 ? StreamTrim::By::kLength : StreamTrim::By::kId;
  trim.length = dice.below(model.entries.size() + 2);
  if (dice.below(3) > 0)
    trim.length = model.entries.size() - std::min<size_t>(model.entries.size(), dice.below(9));
  trim.id = some_id(model.entries, dice);
  trim.whole_blocks = dice.below(2) == 0;
  if (trim.whole_blocks && dice.below(3) == 0) trim.limit = 1 + dice.below(9);
  const bool by_length = trim.by == StreamTrim::By::kLength;
  uint64_t most = 0;
  if (by_length)
    most = model.entries.size() - std::min<size_t>(model.entries.size(), trim.length);
  else
    most = static_cast<uint64_t>(std::distance(model.entries.begin(), model.entries.lower_bound(trim.id)));
  if (trim.limit > 0) most = std::min(most, trim.limit);
  const uint64_t gone = stream.trim(trim);
  if (trim.whole_blocks) {
    REQUIRE(gone <= most);
    if (trim.limit == 0) REQUIRE(most - gone < kTiny.block_entries);
  } else {
    REQUIRE(gone == most);
  }
  for (uint64_t i = 0; i < gone; ++i) model.entries.erase(model.entries.begin());
}

void change_entries(View& view, Model& model, engine::SimEntropy& dice, bool shrinks) {
  Stream stream = open_stream(view);
  std::vector<std::string> bytes;
  switch (dice.below(shrinks ? 6 : 12)) {
    case 0:
    case 1:
      for (int i = 0; i < 3; ++i) {
        const StreamId id = some_id(model.entries, dice);
        const bool there = model.entries.erase(id) > 0;
        REQUIRE(stream.erase(id) == there);
        if (there) model.max_deleted = std::max(model.max_deleted, id);
      }
      break;
    case 2:
    case 3: trim(stream, model, dice); break;
    case 4: {
      // Back, if nothing is there: ids may then come again.
      StreamId last = model.last;
      if (model.entries.empty() && dice.below(2) == 0)
        last = {dice.below(last.ms + 1), 0};
      else
        last.ms += dice.below(3);
      stream.set_ids(last, model.added + 1, std::nullopt);
      model.last = last;
      ++model.added;
      break;
    }
    default:
      append(stream, model, dice, &bytes);
      if (dice.below(4) == 0) trim(stream, model, dice);
      break;
  }
  stream.save();
  model.exists = true;
}

void put_pending(StreamGroup& group, GroupModel& model, StreamId id, const std::string& name,
                 uint64_t deliveries, int64_t now_ms) {
  Consumer* consumer = group.consumer(name);
  REQUIRE((consumer != nullptr) == model.consumers.contains(name));
  if (!consumer)
    consumer = group.add_consumer(name, now_ms);
  else
    group.touch(consumer, now_ms);
  model.consumers[name] = now_ms;
  group.put(id, {consumer->number, now_ms, deliveries}, group.pending(id));
  model.pending[id] = {name, now_ms, deliveries};
}

void change_groups(View& view, Model& model, engine::SimEntropy& dice) {
  static const std::vector<std::string> kNames = {"", "a", "ab", "b"};
  const auto name = [&] { return kNames[dice.below(kNames.size())]; };
  Stream stream = open_stream(view);
  const std::string group_name = name();
  auto group = StreamGroup::find(view, stream, group_name);
  const auto known = model.groups.find(group_name);
  REQUIRE(group.has_value() == (known != model.groups.end()));
  if (!group) {
    const StreamId last{dice.below(100), 0};
    StreamGroup::create(view, stream, group_name, last, std::nullopt).save();
    StreamGroup::sweep(view, stream, 3);
    stream.save();
    model.groups[group_name].last = last;
    model.exists = true;
    return;
  }
  GroupModel& of = known->second;
  const int64_t now_ms = 1000 + static_cast<int64_t>(dice.below(1000));
  switch (dice.below(14)) {
    case 0:
      group->destroy(stream, 5);
      StreamGroup::sweep(view, stream, 3);
      stream.save();
      model.groups.erase(known);
      return;
    case 1: {
      const std::string consumer = name();
      if (Consumer* there = group->consumer(consumer)) {
        group->erase_consumer(there);
        of.consumers.erase(consumer);
        std::erase_if(of.pending, [&](const auto& one) { return one.second.consumer == consumer; });
      }
      break;
    }
    case 2:
      of.last = {dice.below(200), 1};
      group->set_last(of.last, 5);
      break;
    case 3:
    case 4:
    case 5:
    case 6:
    case 7:
      for (int i = 0; i < 3; ++i) {
        const StreamId id = some_id(of.pending, dice);
        const auto pending = group->pending(id);
        REQUIRE(pending.has_value() == of.pending.contains(id));
        if (!pending) continue;
        group->acknowledge(id, *pending);
        of.pending.erase(id);
      }
      break;
    default:
      for (int i = 0; i < 3; ++i)
        put_pending(*group, of, {dice.below(200), dice.below(2)}, name(), dice.below(5), now_ms);
      break;
  }
  group->save();
}

// ---- comparing

void check_range(Stream& stream, const Model& model, StreamId from, StreamId to) {
  std::vector<std::pair<StreamId, std::vector<std::string>>> expected, found;
  for (const auto& entry : model.entries)
    if (entry.first >= from && entry.first <= to) expected.push_back(entry);
  for (Stream::Walk walk(stream, from, to, true); walk.next();)
    found.emplace_back(walk.id(), fields_of(walk.entry()));
  CHECK(found == expected);
  found.clear();
  for (Stream::Walk walk(stream, from, to, false); walk.next();)
    found.emplace_back(walk.id(), fields_of(walk.entry()));
  std::reverse(found.begin(), found.end());
  CHECK(found == expected);
}

void check_group(StreamGroup& group, const GroupModel& model) {
  CHECK(group.last() == model.last);
  REQUIRE(group.pending() == model.pending.size());
  REQUIRE(group.consumers() == model.consumers.size());
  std::map<std::string, int64_t> consumers;
  std::map<StreamId, GroupModel::Pending> by_consumer, all;
  group.each_consumer([&](const Consumer& consumer) {
    consumers[std::string(consumer.name)] = consumer.seen_ms;
    uint64_t pending = 0;
    for (StreamGroup::Walk walk(group, &consumer, kNoStreamId, kStreamIdMax); walk.next(); ++pending) {
      const PendingEntry entry = walk.pending();
      CHECK(entry.consumer == consumer.number);
      by_consumer[walk.id()] = {std::string(consumer.name), entry.delivered_ms, entry.deliveries};
    }
    CHECK(consumer.pending == pending);
  });
  CHECK(consumers == model.consumers);
  CHECK(by_consumer == model.pending);
  for (StreamGroup::Walk walk(group, nullptr, kNoStreamId, kStreamIdMax); walk.next();) {
    const PendingEntry entry = walk.pending();
    all[walk.id()] = {std::string(group.consumer(entry.consumer)->name), entry.delivered_ms,
                      entry.deliveries};
  }
  CHECK(all == model.pending);
  if (model.pending.empty()) {
    CHECK(!group.first_pending());
    CHECK(!group.last_pending());
  } else {
    CHECK(group.first_pending() == model.pending.begin()->first);
    CHECK(group.last_pending() == model.pending.rbegin()->first);
  }
}

void check_same(View& view, const Model& model, engine::SimEntropy& dice) {
  REQUIRE(view.header(kDatabase, "k").has_value() == model.exists);
  Stream stream = open_stream(view);
  const Stream::Facts& facts = stream.facts();
  CHECK(facts.length == model.entries.size());
  CHECK(facts.first == model.first());  // X1
  CHECK(facts.last == model.last);
  CHECK(facts.max_deleted == model.max_deleted);
  CHECK(facts.added == model.added);
  CHECK(facts.groups == model.groups.size());
  CHECK(stream.last_entry().value_or(kNoStreamId) ==
        (model.entries.empty() ? kNoStreamId : model.entries.rbegin()->first));
  check_range(stream, model, kNoStreamId, kStreamIdMax);
  check_range(stream, model, some_id(model.entries, dice), some_id(model.entries, dice));
  for (int i = 0; i < 3; ++i) {
    const StreamId id = some_id(model.entries, dice);
    const auto entry = stream.find(id);
    REQUIRE(entry.has_value() == model.entries.contains(id));
    if (entry) CHECK(fields_of(*entry) == model.entries.at(id));
  }
  auto next = model.groups.begin();
  StreamGroup::each(view, stream, [&](StreamGroup& group) {
    REQUIRE(next != model.groups.end());
    CHECK(group.name() == next->first);
    check_group(group, next->second);
    ++next;
  });
  CHECK(next == model.groups.end());
}

uint64_t count_elements(View& view) {
  uint64_t count = 0;
  auto range = view.range("S", "T");
  for (bool there = range.seek_first(); there; there = range.next()) ++count;
  return count;
}

void add_plain(View& view, uint64_t ms, const StreamLimits& limits) {
  Stream stream = open_stream(view, limits);
  const std::vector<std::string_view> fields = {"field", "value"};
  stream.add({ms, 0}, fields);
  stream.save();
}

}  // namespace

TEST_SUITE("server/stream") {
  TEST_CASE("a stream with groups does what its model does, inline and large, cold, and after restarts") {
    for (uint64_t seed = 1; seed <= 24; ++seed) {
      CAPTURE(seed);
      DataBench bench(seed, seed % 2 == 0 ? UINT32_MAX / 6 : 0);
      Model model;
      for (int round = 0; round < 150; ++round) {
        CAPTURE(round);
        const Model before = model;
        const uint64_t script = bench.dice.next();
        // Groups come late in a third of the seeds, so that inline streams grow up.
        const bool groups = (seed % 3 != 0 || round > 75) && bench.dice.below(2) == 0;
        const bool shrinks = round / 50 % 2 == 1;
        bench.run([&](View& view) {
          engine::SimEntropy dice(script);  // The same at every run of the handler.
          model = before;
          if (groups)
            change_groups(view, model, dice);
          else
            change_entries(view, model, dice, shrinks);
        });
        if (bench.dice.below(20) == 0) bench.restart();
        if (round % 3 == 0) {
          const uint64_t look = bench.dice.next();
          bench.run([&](View& view) {
            engine::SimEntropy dice(look);
            check_same(view, model, dice);
          });
        }
      }
    }
  }

  TEST_CASE("an append to a long stream writes its entry and the header, and reads the header") {
    DataBench bench(2, 0, 1 << 20);
    for (uint64_t i = 1; i <= 500; ++i) bench.run([&](View& view) { add_plain(view, i, {}); });
    CHECK(bench.written == 2);
    CHECK(bench.touched == 1);
  }

  TEST_CASE("X2: what a large trim leaves is out of sight at once and goes with later writes") {
    DataBench bench(3, 0, 1 << 20);
    const StreamLimits limits{.erased_at_once = 10, .erased_per_write = 10};
    for (uint64_t i = 1; i <= 500; ++i) bench.run([&](View& view) { add_plain(view, i, limits); });
    bench.run([&](View& view) {
      Stream stream = open_stream(view, limits);
      CHECK(stream.trim({.by = StreamTrim::By::kLength, .length = 5, .id = {}}) == 495);
      stream.save();
    });
    CHECK(bench.touched < 40);  // Not what goes, but what stays, and some garbage.
    bench.run([&](View& view) {
      Stream stream = open_stream(view, limits);
      CHECK(stream.facts().length == 5);
      CHECK(stream.facts().first == StreamId{496, 0});
      CHECK(count_elements(view) > 400);
    });
    for (uint64_t i = 501; i <= 550; ++i) bench.run([&](View& view) { add_plain(view, i, limits); });
    bench.run([&](View& view) { CHECK(count_elements(view) == 55); });
  }

  TEST_CASE("ids that garbage has may be given out again") {
    DataBench bench(4, 0, 1 << 20);
    const StreamLimits limits{.inline_bytes = 0, .erased_at_once = 2, .erased_per_write = 1};
    for (uint64_t i = 1; i <= 50; ++i) bench.run([&](View& view) { add_plain(view, i, limits); });
    bench.run([&](View& view) {
      Stream stream = open_stream(view, limits);
      CHECK(stream.trim({.by = StreamTrim::By::kLength, .length = 0, .id = {}}) == 50);
      stream.save();
    });
    bench.run([&](View& view) {
      Stream stream = open_stream(view, limits);
      stream.set_ids({5, 0}, std::nullopt, std::nullopt);
      stream.save();
    });
    bench.run([&](View& view) { add_plain(view, 10, limits); });
    bench.run([&](View& view) {
      Stream stream = open_stream(view, limits);
      CHECK(stream.facts().length == 1);
      CHECK(count_elements(view) == 1);
    });
  }

  TEST_CASE("a destroyed group's records go with later commands on groups") {
    DataBench bench(5, 0, 1 << 20);
    bench.run([&](View& view) {
      Stream stream = open_stream(view);
      StreamGroup group = StreamGroup::create(view, stream, "g", {}, std::nullopt);
      const Consumer* consumer = group.add_consumer("c", 1);
      for (uint64_t i = 1; i <= 100; ++i) group.put({i, 0}, {consumer->number, 1, 1}, std::nullopt);
      group.save();
      stream.save();
    });
    bench.run([&](View& view) {
      Stream stream = open_stream(view);
      StreamGroup::find(view, stream, "g")->destroy(stream, 10);
      stream.save();
    });
    CHECK(bench.written < 20);
    for (int i = 0; i < 30; ++i) {
      bench.run([&](View& view) {
        Stream stream = open_stream(view);
        if (StreamGroup::sweep(view, stream, 10)) stream.save();
      });
    }
    bench.run([&](View& view) {
      CHECK(open_stream(view).facts().dead_groups == 0);
      CHECK(count_elements(view) == 0);
    });
  }

  TEST_CASE("S2: the first pending entry is found without a walk over those acknowledged before it") {
    DataBench bench(6, 0, 1 << 20);
    bench.run([&](View& view) {
      Stream stream = open_stream(view);
      StreamGroup group = StreamGroup::create(view, stream, "g", {}, std::nullopt);
      const Consumer* consumer = group.add_consumer("c", 1);
      for (uint64_t i = 1; i <= 1000; ++i) group.put({i, 0}, {consumer->number, 1, 1}, std::nullopt);
      group.save();
      stream.save();
    });
    for (uint64_t i = 1; i <= 900; ++i) {
      bench.run([&](View& view) {
        Stream stream = open_stream(view);
        auto group = StreamGroup::find(view, stream, "g");
        group->acknowledge({i, 0}, *group->pending({i, 0}));
        group->save();
      });
      REQUIRE(bench.touched < 10);
    }
    bench.run([&](View& view) {
      Stream stream = open_stream(view);
      CHECK(StreamGroup::find(view, stream, "g")->first_pending() == StreamId{901, 0});
    });
    CHECK(bench.touched < 5);
  }
}
