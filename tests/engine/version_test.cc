#include "engine/version.h"

#include <doctest/doctest.h>

#include <random>

#include "engine/file_names.h"
#include "engine/manifest.h"
#include "engine/merging_iterator.h"
#include "engine/sim_disk.h"
#include "engine/table_builder.h"
#include "tests/engine/fake_table.h"
#include "tests/engine/vector_iterator.h"

namespace engine {
namespace {

using State = Iterator::State;

std::vector<uint64_t> numbers(const Run& run) {
  std::vector<uint64_t> out;
  for (const TableRef& table : run.tables()) out.push_back(table->meta().number);
  return out;
}

// "L0.2[1 5] L6.1[3]": levels and runs newest first, tables by key.
std::string describe(const Version& version) {
  std::string out;
  for (int n = 0; n < kLevels; ++n) {
    for (const Run& run : version.level(n).runs) {
      out += (out.empty() ? "L" : " L") + std::to_string(n) + "." + std::to_string(run.number()) + "[";
      for (const uint64_t number : numbers(run))
        out += (out.back() == '[' ? "" : " ") + std::to_string(number);
      out += "]";
    }
  }
  return out;
}

PlacedTable placed(int level, uint64_t run, uint64_t number, std::string smallest, std::string largest) {
  return {level, run, fake_meta(number, std::move(smallest), std::move(largest))};
}

struct Tree {
  ManifestState state;
  TableMap opened;
  VersionRef version = std::make_shared<Version>();

  void apply(const VersionEdit& edit) {
    for (const PlacedTable& added : edit.added)
      if (opened.count(added.meta.number) == 0) opened[added.meta.number] = fake_table(added.meta);
    state.apply(edit);
    version = apply_edit(*version, edit, opened);
  }
};

TEST_SUITE("engine/version") {
  TEST_CASE("a run finds the one table whose range holds a key") {
    std::mt19937_64 random(1);
    for (int round = 0; round < 200; ++round) {
      CAPTURE(round);
      // Sorted keys, taken in twos and threes as ranges; heads tie often.
      std::set<std::string> keys;
      const std::string prefix(random() % 12, 'p');
      for (int i = 0; i < 40; ++i) {
        std::string key = prefix;
        for (uint64_t n = random() % 12; n > 0; --n) key += static_cast<char>('a' + random() % 2);
        keys.insert(key);
      }
      std::vector<std::string> sorted(keys.begin(), keys.end());
      std::vector<TableRef> tables;
      for (size_t i = 0; i + 1 < sorted.size();) {
        const size_t last = std::min(sorted.size() - 1, i + random() % 3);
        tables.push_back(fake_table(fake_meta(tables.size() + 1, sorted[i], sorted[last])));
        i = last + 1 + random() % 2;
      }
      const std::vector<TableRef> in_order = tables;
      std::shuffle(tables.begin(), tables.end(), random);
      const Run run(tables);
      REQUIRE(run.tables() == in_order);
      for (const std::string& key :
           {std::string(), sorted[random() % sorted.size()], sorted[0] + "a", prefix + "b", std::string("a"),
            std::string("z"), sorted[random() % sorted.size()] + "a"}) {
        CAPTURE(key);
        const Table* expected = nullptr;
        size_t bound = in_order.size();
        for (size_t i = in_order.size(); i-- > 0;) {
          const TableMeta& meta = in_order[i]->meta();
          if (meta.largest >= key) bound = i;
          if (meta.smallest <= key && key <= meta.largest) expected = in_order[i].get();
        }
        REQUIRE(run.lower_bound(key) == bound);
        REQUIRE(run.find(key) == expected);
        const std::string end = key + "b";
        size_t overlapping = 0;
        for (const TableRef& table : in_order)
          overlapping += table->meta().largest >= key && table->meta().smallest <= end;
        const auto [first, last] = run.overlapping(key, end);
        REQUIRE(last - first == overlapping);
        REQUIRE((overlapping == 0 || first == bound));
      }
    }
  }

  TEST_CASE("an empty run and an empty version hold nothing") {
    CHECK(Run().find("a") == nullptr);
    CHECK(Run(std::vector<TableRef>{}).lower_bound("a") == 0);
    const Version version;
    CHECK_FALSE(version.overlaps("", "z", 0));
    CHECK(version.bytes() == 0);
    CHECK(version.all_tables().empty());
  }

  TEST_CASE("an edit adds, removes and moves tables; untouched runs keep their number and body") {
    Tree tree;
    VersionEdit edit;
    edit.added = {placed(0, 1, 1, "a", "c"), placed(0, 2, 2, "b", "d"), placed(6, 1, 3, "a", "b"),
                  placed(6, 1, 4, "c", "d")};
    tree.apply(edit);
    CHECK(describe(*tree.version) == "L0.2[2] L0.1[1] L6.1[3 4]");

    edit = {};
    edit.removed = {4, 1};
    edit.added = {placed(5, 1, 4, "c", "d"), placed(0, 1, 5, "x", "z"), placed(0, 3, 6, "a", "b"),
                  placed(0, 2, 7, "e", "f")};
    tree.apply(edit);
    CHECK(describe(*tree.version) == "L0.3[6] L0.2[2 7] L0.1[5] L5.1[4] L6.1[3]");

    edit = {};
    edit.removed = {2, 7};
    tree.apply(edit);
    CHECK(describe(*tree.version) == "L0.3[6] L0.1[5] L5.1[4] L6.1[3]");
    CHECK(tree.version->tables() == 4);
    CHECK(tree.version->all_tables().size() == 4);
  }

  TEST_CASE("edits one by one give the version that the whole state gives") {
    for (uint64_t seed = 0; seed < 50; ++seed) {
      CAPTURE(seed);
      std::mt19937_64 random(seed);
      Tree tree;
      uint64_t next = 1;
      for (int step = 0; step < 40; ++step) {
        VersionEdit edit;
        for (uint64_t n = random() % 4; n > 0; --n, ++next) {
          // A place of its own in the key space for each number, so any run can take it.
          const std::string key = std::to_string(1000 + next * 7 % 997);
          edit.added.push_back(
              placed(static_cast<int>(random() % 3), 1 + random() % 3, next, key + "a", key + "b"));
        }
        for (const auto& [number, at] : tree.state.tables) {
          if (random() % 5 != 0) continue;
          edit.removed.push_back(number);
          if (random() % 2 == 0) {
            edit.added.push_back(at);
            edit.added.back().level = 6;
            edit.added.back().run = 1;
          }
        }
        tree.apply(edit);
        REQUIRE(describe(*tree.version) == describe(*build_version(tree.state, tree.opened)));
      }
    }
  }

  TEST_CASE("V1: a flushed table goes above all that it overlaps and as low as that allows") {
    Tree tree;
    VersionEdit edit;
    edit.added = {placed(0, 1, 1, "a", "b"), placed(0, 1, 2, "f", "m"), placed(0, 2, 3, "e", "g"),
                  placed(0, 3, 4, "c", "d")};
    tree.apply(edit);
    const auto place = [&](const std::string& smallest, const std::string& largest) {
      return place_flush(*tree.version, {fake_meta(9, smallest, largest)})[0];
    };
    CHECK(place("a", "b") == 2);
    CHECK(place("b", "c") == 4);
    CHECK(place("c", "d") == 4);
    CHECK(place("e", "z") == 3);
    CHECK(place("h", "z") == 2);
    CHECK(place("n", "z") == 1);
    CHECK(place("bb", "bc") == 1);
    CHECK(place_flush(*tree.version, {fake_meta(9, "a", "b"), fake_meta(10, "c", "d"),
                                      fake_meta(11, "e", "z")}) == std::vector<uint64_t>{2, 4, 3});
    CHECK(place_flush(Version(), {fake_meta(9, "a", "b")}) == std::vector<uint64_t>{1});
  }

  TEST_CASE("V1, V2: whatever is flushed, of two tables that overlap the later lies above") {
    for (uint64_t seed = 0; seed < 30; ++seed) {
      CAPTURE(seed);
      std::mt19937_64 random(seed);
      Tree tree;
      uint64_t next = 1;
      for (int flush = 0; flush < 30; ++flush) {
        std::set<std::string> keys;
        while (keys.size() < 8) keys.insert(std::to_string(100 + random() % 300));
        std::vector<TableMeta> metas;
        for (auto key = keys.begin(); key != keys.end(); ++key) {
          const std::string smallest = *key++;
          if (random() % 2 == 0) metas.push_back(fake_meta(next++, smallest, *key));
        }
        const std::vector<uint64_t> runs = place_flush(*tree.version, metas);
        VersionEdit edit;
        for (size_t i = 0; i < metas.size(); ++i) edit.added.push_back({0, runs[i], metas[i]});
        // Holes, as compactions leave them: the oldest go.
        for (const auto& [number, at] : tree.state.tables)
          if (number + 40 < next && random() % 2 == 0) edit.removed.push_back(number);
        tree.apply(edit);  // Run checks V2.
        for (const auto& [a, left] : tree.state.tables)
          for (const auto& [b, right] : tree.state.tables)
            if (a < b && left.meta.smallest <= right.meta.largest && right.meta.smallest <= left.meta.largest)
              REQUIRE(left.run < right.run);
      }
    }
  }

  TEST_CASE("overlaps() looks at the levels from the one named down") {
    Tree tree;
    VersionEdit edit;
    edit.added = {placed(0, 1, 7, "a", "c"), placed(3, 1, 2, "m", "p"), placed(6, 1, 9, "x", "z")};
    tree.apply(edit);
    const Version& version = *tree.version;
    CHECK(version.overlaps("c", "d", 0));
    CHECK_FALSE(version.overlaps("c", "d", 1));
    CHECK(version.overlaps("a", "z", 4));
    CHECK(version.overlaps("l", "m", 3));
    CHECK_FALSE(version.overlaps("q", "w", 0));
  }
}

// ---- over real tables

struct Disk {
  SimDisk files;
  ManifestState state;
  TableMap opened;

  Disk() { REQUIRE(files.make_directory("/d").ok()); }
  TableMeta write(uint64_t number, const TestRun& records) {
    const std::string path = table_path("/d", number);
    TableOptions options;
    options.block_bytes = 256;
    TableBuilder builder(std::move(files.open(path, OpenMode::kCreate, Caching::kKernel).value()), number,
                         options);
    for (const TestRecord& r : records) REQUIRE(builder.add(r.key, r.value, r.flags).ok());
    const TableMeta meta = builder.finish(1, 2).value();
    opened[number] = Table::open(files, path, meta, 0).value();
    return meta;
  }
};

TEST_SUITE("engine/version") {
  TEST_CASE("iterators over a version's runs, merged, walk both ways over what its tables hold") {
    for (uint64_t seed = 0; seed < 20; ++seed) {
      CAPTURE(seed);
      std::mt19937_64 random(seed);
      Disk disk;
      std::map<std::string, std::string> model;
      uint64_t next = 1;
      // The oldest first: one run at level 6, then flushes.
      for (int layer = 0; layer < 4; ++layer) {
        std::map<std::string, std::string> records;
        for (uint64_t n = 20 + random() % 300; n > 0; --n)
          records[std::to_string(1000 + random() % 900)] = std::to_string(layer);
        TestRun part;
        std::vector<TableMeta> metas;
        for (const auto& [key, value] : records) {
          part.push_back({key, value});
          model[key] = value;
          if (random() % 40 == 0) metas.push_back(disk.write(next++, part)), part.clear();
        }
        if (!part.empty()) metas.push_back(disk.write(next++, part));
        const auto runs = place_flush(*build_version(disk.state, disk.opened), metas);
        VersionEdit edit;
        for (size_t i = 0; i < metas.size(); ++i)
          edit.added.push_back({layer == 0 ? 6 : 0, layer == 0 ? 1 : runs[i], metas[i]});
        disk.state.apply(edit);
      }
      const VersionRef version = build_version(disk.state, disk.opened);
      const auto source = blocking_source(0);
      std::vector<std::unique_ptr<Iterator>> children;
      add_iterators(*version, "", "", *source, &children);
      const auto it = merging_iterator(std::move(children));

      auto at = model.begin();
      for (State s = it->seek_first(); s == State::kAt; s = it->next(), ++at) {
        REQUIRE(at != model.end());
        REQUIRE(it->key() == at->first);
        REQUIRE(it->value() == at->second);
      }
      REQUIRE(it->state() == State::kEnd);
      REQUIRE(at == model.end());
      for (State s = it->seek_last(); s == State::kAt; s = it->prev()) REQUIRE(it->key() == (--at)->first);
      REQUIRE(at == model.begin());

      for (int i = 0; i < 100; ++i) {
        const std::string key = std::to_string(1000 + random() % 900) + (random() % 2 == 0 ? "x" : "");
        CAPTURE(key);
        const auto bound = model.lower_bound(key);
        REQUIRE((it->seek(key) == State::kAt) == (bound != model.end()));
        if (bound != model.end()) REQUIRE(it->key() == bound->first);
        REQUIRE((it->seek_before(key) == State::kAt) == (bound != model.begin()));
        if (bound != model.begin()) REQUIRE(it->key() == std::prev(bound)->first);

        // A short range, by iterators made for it alone.
        const std::string end = std::to_string(std::stoul(key) + random() % 20);
        std::vector<std::unique_ptr<Iterator>> some;
        add_iterators(*version, key, end, *source, &some);
        const auto range = merging_iterator(std::move(some));
        auto in_range = model.lower_bound(key);
        for (State s = range->seek(key); s == State::kAt && range->key() < end;
             s = range->next(), ++in_range) {
          REQUIRE(in_range != model.end());
          REQUIRE(range->key() == in_range->first);
          REQUIRE(range->value() == in_range->second);
        }
        REQUIRE((in_range == model.end() || in_range->first >= end || key >= end));
      }
    }
  }
}

}  // namespace
}  // namespace engine
