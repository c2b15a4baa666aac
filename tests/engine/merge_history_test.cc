// Random histories of blind and knowing writes, deletes, renames, dying objects and databases, flushed and
// merged at random, against a map: what is shown, what is counted and what is dead must be right.
#include <doctest/doctest.h>

#include <map>
#include <random>
#include <set>

#include "engine/file_names.h"
#include "engine/manifest.h"
#include "engine/merge_job.h"
#include "engine/merging_iterator.h"
#include "engine/record.h"
#include "engine/sim.h"
#include "tests/engine/object_schema.h"
#include "tests/engine/vector_iterator.h"

namespace engine {
namespace {

using State = Iterator::State;

// The engine's reactor in miniature: everything between the parts under test.
class Store {
 public:
  explicit Store(uint64_t seed) : random_(seed), world_(seed) {
    REQUIRE(world_.disk->make_directory("/d").ok());
    for (ObjectId& database : databases_) database = next_id_++;
  }

  void random_step() {
    switch (random_() % 24) {
      case 0: flush(); break;
      case 1: merge(); break;
      case 2:
        if (random_() % 6 == 0) flush_database();
        break;
      case 3: rename(); break;
      case 4:
      case 5: erase(random_() % 2 == 0); break;
      case 6:
      case 7:
      case 8: create_object(random_() % 2 == 0); break;
      case 9:
      case 10:
      case 11: write_element(); break;
      default: write(random_key(), "plain" + std::to_string(random_()), random_() % 2 == 0);
    }
  }
  void settle() {
    flush();
    merge_down(0, version_->level(0).runs.size(), 5);
    merge_down(5, version_->level(5).runs.size(), 6);
    // The first drops headers of dead databases and so finds dead objects, the second drops those.
    for (int i = 0; i < 2; ++i)
      if (!version_->level(6).runs.empty()) rewrite_bottom();
  }

  void check() {
    // What a reader sees: the newest records, without tombstones and what dead owners own.
    std::map<std::string, std::string> seen;
    const auto source = blocking_source(0);
    std::vector<std::unique_ptr<Iterator>> children;
    children.push_back(std::make_unique<VectorIterator>(memtable_run()));
    add_iterators(*version_, "", "", *source, &children);
    const auto it = merging_iterator(std::move(children));
    for (State s = it->seek_first(); s == State::kAt; s = it->next()) {
      if ((it->flags() & kTombstone) == 0 && !dead_.is_dead(schema_.owner(it->key())))
        seen.emplace(it->key(), it->value());
    }
    REQUIRE(it->state() == State::kEnd);
    // Elements of an object that is dead, though no merge has found it yet, may be there still.
    for (auto& [key, value] : model_) REQUIRE((seen.count(key) != 0 && seen[key] == value));
    for (auto& [key, value] : seen)
      if (schema_.counted(key)) REQUIRE(model_.count(key) == 1);

    for (const ObjectId id : dead_.ids()) REQUIRE_FALSE(alive(id));
    for (const ObjectId database : databases_) REQUIRE(counts_[database] >= live_headers(database));
  }
  void check_settled() {
    check();
    REQUIRE(version_->unsettled() == 0);
    for (const TableRef& table : version_->all_tables()) REQUIRE(table->meta().tombstones == 0);
    for (const ObjectId database : databases_) REQUIRE(counts_[database] == live_headers(database));
    std::set<ObjectId> dead;
    for (const ObjectId id : created_)
      if (!alive(id)) dead.insert(id);
    const std::vector<ObjectId> found = dead_.ids();
    REQUIRE(std::set<ObjectId>(found.begin(), found.end()) == dead);
    // And nothing of theirs is left.
    uint64_t entries = 0;
    for (const TableRef& table : version_->all_tables()) entries += table->meta().entries;
    REQUIRE(entries == model_.size());
  }

 private:
  struct Held {
    std::string value;
    uint8_t flags;
  };

  ObjectId random_database() { return databases_[random_() % 2]; }
  std::string random_key() { return header_key(random_database(), "k" + std::to_string(random_() % 30)); }
  int64_t live_headers(ObjectId database) {
    int64_t n = 0;
    for (const auto& [key, value] : model_) n += schema_.counted(key) && schema_.owner(key) == database;
    return n;
  }
  bool alive(ObjectId id) {
    if (id == databases_[0] || id == databases_[1]) return true;
    for (const auto& [key, value] : model_)
      if (schema_.reference(key, value).id == id) return true;
    return false;
  }
  void forget_elements(ObjectId id) {
    std::erase_if(model_, [&](const auto& entry) {
      return !schema_.counted(entry.first) && schema_.owner(entry.first) == id;
    });
  }

  // A write that knows whether there is a record beneath, or does not.
  void put(const std::string& key, const std::string& value, bool tombstone, bool knows) {
    const auto held = memtable_.find(key);
    const bool was = model_.count(key) != 0;
    uint8_t flags = tombstone ? kTombstone : kPut;
    const Reference old = was ? schema_.reference(key, model_[key]) : Reference();
    if (held != memtable_.end()) {
      // In place: what is overwritten is seen, and a debt stays.
      flags = static_cast<uint8_t>(flags | (held->second.flags & kUnsettled));
      knows = true;
    } else if (!knows) {
      flags |= kUnsettled;
    }
    const bool counted_before = knows && was;
    if (schema_.counted(key)) {
      counts_[schema_.owner(key)] += (tombstone ? 0 : 1) - (counted_before ? 1 : 0);
      if (was && knows && old.id != kNoObject && (tombstone || schema_.reference(key, value).id != old.id))
        dead_.kill(old, 0);
    }
    memtable_[key] = {value, flags};
    if (tombstone) {
      model_.erase(key);
    } else {
      model_[key] = value;
    }
    if (old.id != kNoObject && !alive(old.id)) forget_elements(old.id);
  }
  void write(const std::string& key, const std::string& value, bool knows) { put(key, value, false, knows); }
  void erase(bool knows) { put(random_key(), "", true, knows); }

  void create_object(bool knows) {
    const ObjectId id = next_id_++;
    created_.push_back(id);
    write(random_key(), object_value(id, 0), knows);
    for (uint64_t n = random_() % 5; n > 0; --n) put(element_key(id, std::to_string(n)), "e", false, true);
  }
  const std::string* random_object_header() {
    const std::string* found = nullptr;
    uint64_t seen = 0;
    for (const auto& [key, value] : model_)
      if (schema_.reference(key, value).id != kNoObject && random_() % ++seen == 0) found = &key;
    return found;
  }
  void write_element() {
    const std::string* header = random_object_header();
    if (header == nullptr) return;
    const ObjectId id = schema_.reference(*header, model_[*header]).id;
    const std::string key = *header;
    put(element_key(id, std::to_string(random_() % 8)), "e" + std::to_string(random_()), random_() % 3 == 0,
        true);
    if (random_() % 2 == 0) write(key, std::string(model_[key]), true);  // The same header again.
  }
  void rename() {
    const std::string* header = random_object_header();
    if (header == nullptr) return;
    const std::string from = *header, to = random_key();
    if (from == to) return;
    const Reference reference = schema_.reference(from, model_[from]);
    dead_.moved(reference.id, reference.generation + 1);
    write(to, object_value(reference.id, reference.generation + 1), random_() % 2 == 0);
    put(from, "", true, true);
  }
  void flush_database() {
    ObjectId& database = databases_[random_() % 2];
    const ObjectId old = database;
    dead_.kill({old, 0}, 0);
    counts_.erase(old);
    database = next_id_++;
    created_.push_back(old);
    std::vector<ObjectId> objects;
    std::erase_if(model_, [&](const auto& entry) {
      if (!schema_.counted(entry.first) || schema_.owner(entry.first) != old) return false;
      objects.push_back(schema_.reference(entry.first, entry.second).id);
      return true;
    });
    for (const ObjectId id : objects) forget_elements(id);
  }

  TestRun memtable_run() const {
    TestRun run;
    for (const auto& [key, held] : memtable_) run.push_back({key, held.value, held.flags});
    return run;
  }
  void flush() {
    if (memtable_.empty()) return;
    std::vector<std::unique_ptr<Iterator>> inputs;
    inputs.push_back(std::make_unique<VectorIterator>(memtable_run()));
    VersionEdit edit;
    install(std::move(inputs), 0, 0, std::move(edit));
    memtable_.clear();
  }
  void merge() {
    if (random_() % 3 == 0) {
      merge_down(5, version_->level(5).runs.size(), 6);
    } else {
      merge_down(0, random_() % (version_->level(0).runs.size() + 1), random_() % 3 == 0 ? 6 : 5);
    }
  }
  // The `runs` oldest runs of a level and what they overlap in the output level.
  void merge_down(int level, size_t runs, int output) {
    if (output == 6 && level == 0 && !version_->level(5).runs.empty()) output = 5;
    const std::vector<Run>& from = version_->level(level).runs;
    if (runs == 0) return;
    std::vector<Run> inputs(from.end() - static_cast<std::ptrdiff_t>(runs), from.end());
    std::string begin = inputs[0].tables().front()->meta().smallest, end;
    for (const Run& run : inputs) {
      begin = std::min(begin, run.tables().front()->meta().smallest);
      end = std::max(end, run.tables().back()->meta().largest);
    }
    for (const Run& run : version_->level(output).runs) {
      const auto [first, last] = run.overlapping(begin, end);
      inputs.emplace_back(std::vector<TableRef>(run.tables().begin() + static_cast<std::ptrdiff_t>(first),
                                                run.tables().begin() + static_cast<std::ptrdiff_t>(last)));
    }
    merge_runs(inputs, output);
  }
  void rewrite_bottom() { merge_runs(version_->level(6).runs, 6); }
  void merge_runs(const std::vector<Run>& runs, int output) {
    const auto source = blocking_source(4096);
    std::vector<std::unique_ptr<Iterator>> inputs;
    VersionEdit edit;
    for (const Run& run : runs) {
      inputs.push_back(run_iterator(run, *source));
      for (const TableRef& table : run.tables()) edit.removed.push_back(table->meta().number);
    }
    install(std::move(inputs), output, output + 1, std::move(edit));
  }
  void install(std::vector<std::unique_ptr<Iterator>> inputs, int output, int below_level, VersionEdit edit) {
    MergeOptions options;
    options.directory = "/d";
    options.table.block_bytes = 512;
    options.table_bytes = 500 + random_() % 3000;
    options.below = version_;
    options.below_level = below_level;
    options.dead = dead_.usable(0);
    for (int i = 0; i < 5; ++i) options.borders.push_back(random_key());
    std::sort(options.borders.begin(), options.borders.end());
    MergeJob job(world_.env, schema_, std::move(options), std::move(inputs), {},
                 [&] { return next_table_++; });
    while (!job.finished()) {
      const Status s = job.run_step(1 + random_() % 5000);
      INFO(s.message());
      REQUIRE(s.ok());
    }
    const MergeResult result = job.take_result();
    for (const Reference& kill : result.kills) dead_.kill(kill, 0);
    for (const auto& [owner, delta] : result.count_deltas)
      if (!dead_.is_dead(owner)) counts_[owner] += delta;
    TableMap opened;
    const std::vector<uint64_t> runs =
        output == 0 ? place_flush(*version_, result.tables) : std::vector<uint64_t>(result.tables.size(), 1);
    for (size_t i = 0; i < result.tables.size(); ++i) {
      const TableMeta& meta = result.tables[i];
      opened[meta.number] = Table::open(*world_.disk, table_path("/d", meta.number), meta, 0).value();
      edit.added.push_back({output, runs[i], meta});
    }
    version_ = apply_edit(*version_, edit, opened);
  }

  std::mt19937_64 random_;
  SimWorld world_;
  const ObjectSchema schema_;
  DeadObjects dead_;
  VersionRef version_ = std::make_shared<Version>();
  std::map<std::string, Held> memtable_;
  std::map<ObjectId, int64_t> counts_;
  uint64_t next_table_ = 1;

  std::map<std::string, std::string> model_;  // What there is.
  ObjectId databases_[2];
  std::vector<ObjectId> created_;  // Objects, and databases that were flushed.
  ObjectId next_id_ = 1;
};

TEST_SUITE("engine/merge_history") {
  TEST_CASE("whatever is written and however it is merged, what is shown, counted and dead is right") {
    for (uint64_t seed = 0; seed < 60; ++seed) {
      CAPTURE(seed);
      Store store(seed);
      for (int round = 0; round < 4; ++round) {
        for (int step = 0; step < 150; ++step) {
          store.random_step();
          if (step % 10 == 0) store.check();
        }
        store.settle();
        store.check_settled();
      }
    }
  }
}

}  // namespace
}  // namespace engine
