#include "engine/compaction_picker.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <random>

#include "engine/manifest.h"
#include "tests/engine/fake_table.h"
#include "tests/engine/object_schema.h"

namespace engine {
namespace {

constexpr uint64_t kMega = 1 << 20;

PlacedTable placed(int level, uint64_t run, uint64_t number, std::string smallest, std::string largest,
                   uint64_t bytes = 10 * kMega) {
  return {level, run, fake_meta(number, std::move(smallest), std::move(largest), bytes)};
}

VersionRef version_of(const std::vector<PlacedTable>& tables) {
  ManifestState state;
  TableMap opened;
  for (const PlacedTable& table : tables) {
    state.tables[table.meta.number] = table;
    opened[table.meta.number] = fake_table(table.meta);
  }
  return build_version(state, opened);
}

using Numbers = std::vector<uint64_t>;
Numbers numbers(const std::vector<TableRef>& tables) {
  Numbers out;
  for (const TableRef& table : tables) out.push_back(table->meta().number);
  return out;
}

std::optional<CompactionPlan> pick(const VersionRef& version, const CompactionTuning& tuning = {},
                                   const std::set<uint64_t>& busy = {}, DeadObjects* dead = nullptr) {
  return pick_compaction(*version, tuning, busy, dead == nullptr ? nullptr : dead->usable(0).get(),
                         ObjectSchema());
}

CompactionTuning small() {
  CompactionTuning tuning;
  tuning.l0_sublevels_start = 2;
  tuning.base_bytes = 100 * kMega;
  return tuning;
}

TEST_SUITE("engine/compaction_picker") {
  TEST_CASE("an empty tree and a shallow one need nothing") {
    CHECK_FALSE(pick(version_of({})));
    CHECK_FALSE(pick(version_of({placed(0, 1, 1, "a", "m"), placed(6, 1, 2, "a", "z")}), small()));
    CHECK(compaction_debt(*version_of({placed(0, 1, 1, "a", "m")}), small()) == 0);
  }

  TEST_CASE("depth counts tables over one key, not files or runs") {
    CHECK(l0_depth(*version_of({})) == 0);
    CHECK(l0_depth(*version_of(
              {placed(0, 1, 1, "a", "b"), placed(0, 1, 2, "c", "d"), placed(0, 2, 3, "e", "f")})) == 1);
    CHECK(l0_depth(*version_of(
              {placed(0, 1, 1, "a", "c"), placed(0, 2, 2, "c", "d"), placed(0, 3, 3, "d", "f")})) == 2);
  }

  TEST_CASE("levels are sized from the last one up, until the first is small enough") {
    const auto targets = [](uint64_t mega) {
      return level_targets(*version_of({placed(6, 1, 1, "a", "b", mega * kMega)}), small());
    };
    CHECK(targets(100).base == 6);
    CHECK(targets(101).base == 5);
    CHECK(targets(1001).base == 4);
    CHECK(targets(1001).bytes[5] / kMega == 100);
    CHECK(targets(1001).bytes[4] / kMega == 10);
    // Data above what its size asks for: L0 must not be merged past it.
    const auto shrunk = version_of({placed(3, 1, 1, "a", "b"), placed(6, 1, 2, "a", "b")});
    CHECK(level_targets(*shrunk, small()).base == 3);
    const auto plan = pick(shrunk, small());
    REQUIRE(plan);
    CHECK(plan->input_level == 3);
    CHECK(plan->trivial_move);
  }

  TEST_CASE("V1: older tables of L0 come along with what they overlap, newer ones stay where they may") {
    // The right column is shallow; the left one is two deep over 4, which reaches under it.
    const auto version = version_of({placed(0, 3, 1, "a", "c"), placed(0, 2, 2, "b", "f"),
                                     placed(0, 1, 3, "e", "h"), placed(0, 2, 4, "p", "q"),
                                     placed(6, 1, 5, "a", "i"), placed(6, 1, 6, "p", "z", 90 * kMega)});
    const auto plan = pick(version, small());
    REQUIRE(plan);
    CHECK(plan->input_level == 0);
    CHECK(plan->output_level == 6);
    CHECK(numbers(plan->upper) == Numbers{1, 2, 3});
    CHECK(numbers(plan->lower) == Numbers{5});
    REQUIRE(plan->inputs.size() == 4);
    CHECK(numbers(plan->inputs[0].tables()) == Numbers{1});
    CHECK(numbers(plan->inputs[3].tables()) == Numbers{5});
    CHECK_FALSE(plan->trivial_move);
    CHECK(plan->output_run == 1);
    CHECK(plan->input_bytes() == 40 * kMega);
  }

  TEST_CASE("what overlaps nothing moves down unread; in L0 the oldest first") {
    const auto version = version_of({placed(0, 2, 1, "a", "c"), placed(0, 1, 2, "b", "f")});
    const auto plan = pick(version, small());
    REQUIRE(plan);
    CHECK(plan->trivial_move);
    CHECK(numbers(plan->upper) == Numbers{2});
    CHECK(plan->output_level == 6);
  }

  TEST_CASE("tables full of tombstones are merged into the bottom and not moved there") {
    PlacedTable old = placed(0, 1, 2, "b", "f");
    old.meta.tombstones = 50;
    const auto plan = pick(version_of({placed(0, 2, 1, "a", "c"), old}), small());
    REQUIRE(plan);
    CHECK_FALSE(plan->trivial_move);
  }

  TEST_CASE(
      "of a level that is too big the table with the least overlap below goes, with the borders under it") {
    std::vector<PlacedTable> tables = {
        placed(4, 1, 1, "a", "b", 60 * kMega),   placed(4, 1, 2, "c", "d", 60 * kMega),
        placed(5, 1, 3, "a", "b", 90 * kMega),   placed(5, 1, 4, "d", "e", 8 * kMega),
        placed(6, 1, 5, "a", "cc", 900 * kMega), placed(6, 1, 6, "cd", "dd"),
        placed(6, 1, 7, "de", "z", 900 * kMega)};
    const auto plan = pick(version_of(tables), small());
    REQUIRE(plan);
    CHECK(plan->input_level == 4);
    CHECK(numbers(plan->upper) == Numbers{2});
    CHECK(numbers(plan->lower) == Numbers{4});
    CHECK(plan->borders == std::vector<std::string>{"cd", "de"});
    CHECK(compaction_debt(*version_of(tables), small()) > 50 * kMega);
  }

  TEST_CASE("what the tables below pay for anyway is taken along") {
    const auto version =
        version_of({placed(5, 1, 1, "a", "b", 60 * kMega), placed(5, 1, 2, "c", "d", 70 * kMega),
                    placed(6, 1, 3, "a", "k", 60 * kMega), placed(6, 1, 4, "l", "m", 60 * kMega)});
    const auto plan = pick(version, small());
    REQUIRE(plan);
    CHECK(numbers(plan->upper) == Numbers{1, 2});
    CHECK(numbers(plan->lower) == Numbers{3});
  }

  TEST_CASE("no plan takes a busy table, or merges where a running job may write") {
    const auto version = version_of({placed(0, 2, 1, "a", "c"), placed(0, 1, 2, "b", "f"),
                                     placed(0, 2, 3, "p", "r"), placed(0, 1, 4, "q", "t")});
    // 2 is being merged into an empty level, where only its own range shows.
    const auto plan = pick(version, small(), {2});
    REQUIRE(plan);
    CHECK(numbers(plan->upper) == Numbers{4});
    CHECK_FALSE(pick(version, small(), {2, 4}));
    CHECK_FALSE(pick(version, small(), {1, 2, 3, 4}));
  }

  TEST_CASE("a table that is wholly dead goes unread, one that may hold references does not") {
    DeadObjects dead;
    for (const ObjectId id : {5, 6, 7}) dead.kill({id, 0}, 0);
    std::vector<PlacedTable> tables = {placed(6, 1, 1, element_key(4, "a"), element_key(5, "z")),
                                       placed(6, 1, 2, element_key(6, "a"), element_key(7, "z")),
                                       placed(6, 1, 3, header_key(5, "a"), header_key(5, "z"))};
    const auto plan = pick(version_of(tables), small(), {}, &dead);
    REQUIRE(plan);
    CHECK(plan->only_drop);
    CHECK(numbers(plan->upper) == Numbers{2});
    CHECK_FALSE(pick(version_of({tables[0]}), small(), {2}, &dead));
  }

  TEST_CASE("a table of which half is dead is written anew where it lies") {
    DeadObjects dead;
    dead.kill({5, 0}, 0);
    // The fake says that a range which covers it covers all its bytes: headers of a dead database.
    const auto version = version_of({placed(6, 1, 3, header_key(5, "a"), header_key(5, "z"))});
    const auto plan = pick(version, small(), {}, &dead);
    REQUIRE(plan);
    CHECK_FALSE(plan->only_drop);
    CHECK(plan->input_level == 6);
    CHECK(plan->output_level == 6);
    CHECK(numbers(plan->upper) == Numbers{3});
    CHECK(plan->inputs.size() == 1);
  }

  TEST_CASE("so is one of L0, in its own run, though L0 is shallow") {
    DeadObjects dead;
    dead.kill({5, 0}, 0);
    const auto version = version_of({placed(0, 2, 3, header_key(5, "a"), header_key(5, "z")),
                                     placed(0, 1, 4, header_key(6, "a"), header_key(7, "z"))});
    const auto plan = pick(version, small(), {}, &dead);
    REQUIRE(plan);
    CHECK_FALSE(plan->only_drop);
    CHECK_FALSE(plan->trivial_move);
    CHECK(plan->input_level == 0);
    CHECK(plan->output_level == 0);
    CHECK(plan->output_run == 2);
    CHECK(numbers(plan->upper) == Numbers{3});
    CHECK(plan->inputs.size() == 1);
  }

  TEST_CASE("a table half of which is tombstones sinks though its level is small") {
    PlacedTable dense = placed(5, 1, 1, "a", "c", kMega);
    dense.meta.tombstones = 60;
    const auto plan = pick(version_of({dense, placed(6, 1, 2, "b", "z", 200 * kMega)}), small());
    REQUIRE(plan);
    CHECK(numbers(plan->upper) == Numbers{1});
    CHECK(numbers(plan->lower) == Numbers{2});
  }
}

// ---- a simulation: tables whose keys are drawn, each for 64 KB

constexpr uint64_t kSampleBytes = 64 << 10;

struct Simulation {
  CompactionTuning tuning;
  std::mt19937_64 random{1};
  std::map<uint64_t, std::vector<uint64_t>> keys;  // By table; sorted.
  ManifestState state;
  TableMap opened;
  VersionRef version = std::make_shared<Version>();
  uint64_t next = 1;
  uint64_t flushed = 0, merged = 0, plans = 0, moves = 0;
  int depth_max = 0;
  size_t l0_tables_max = 0;

  static std::string key_of(uint64_t key) { return big_endian(key, 8); }

  std::vector<TableMeta> cut(const std::vector<uint64_t>& sorted, uint64_t table_bytes,
                             const std::vector<std::string>& borders) {
    std::vector<TableMeta> out;
    std::vector<uint64_t> part;
    size_t border = 0, passed = 0;
    const auto end = [&] {
      if (part.empty()) return;
      const uint64_t number = next++;
      out.push_back(fake_meta(number, key_of(part.front()), key_of(part.back()), part.size() * kSampleBytes));
      keys[number] = std::move(part);
      part.clear();
      passed = 0;
    };
    for (const uint64_t key : sorted) {  // As MergeJob does it.
      const size_t before = border;
      while (border < borders.size() && borders[border] <= key_of(key)) ++border;
      passed += border - before;
      const uint64_t bytes = part.size() * kSampleBytes;
      if (border != before
              ? bytes >= table_bytes / 16 * std::min<uint64_t>(3 + passed, 12)
              : bytes >= table_bytes && (border == borders.size() || bytes >= table_bytes + table_bytes / 2))
        end();
      part.push_back(key);
    }
    end();
    return out;
  }
  void apply(const VersionEdit& edit) {
    for (const PlacedTable& added : edit.added)
      if (opened.count(added.meta.number) == 0) opened[added.meta.number] = fake_table(added.meta);
    state.apply(edit);
    version = apply_edit(*version, edit, opened);  // Run checks V2.
    depth_max = std::max(depth_max, l0_depth(*version));
    l0_tables_max = std::max(l0_tables_max, version->level(0).tables());
  }
  void flush(std::vector<uint64_t> drawn) {
    std::sort(drawn.begin(), drawn.end());
    drawn.erase(std::unique(drawn.begin(), drawn.end()), drawn.end());
    const auto tables = cut(drawn, tuning.flush_table_bytes, flush_borders(*version, tuning));
    const auto runs = place_flush(*version, tables);
    VersionEdit edit;
    for (size_t i = 0; i < tables.size(); ++i) {
      edit.added.push_back({0, runs[i], tables[i]});
      flushed += tables[i].file_bytes;
    }
    apply(edit);
  }
  void check(const CompactionPlan& plan) {
    // V1: nothing older that overlaps an input stays above the output.
    std::set<uint64_t> in;
    for (const TableRef& table : plan.upper) in.insert(table->meta().number);
    for (const TableRef& table : plan.upper) {
      const TableMeta& meta = table->meta();
      const uint64_t run = state.tables.at(meta.number).run;
      for (int n = plan.input_level; n < plan.output_level; ++n) {
        for (const Run& other : version->level(n).runs) {
          if (n == plan.input_level && other.number() >= run) continue;
          const auto [first, last] = other.overlapping(meta.smallest, meta.largest);
          for (size_t i = first; i < last; ++i) REQUIRE(in.count(other.tables()[i]->meta().number) == 1);
        }
      }
    }
    size_t tables = 0;
    for (const Run& run : plan.inputs) tables += run.tables().size();
    REQUIRE((plan.only_drop || tables == plan.upper.size() + plan.lower.size()));
  }
  void run(const CompactionPlan& plan) {
    ++plans;
    check(plan);
    VersionEdit edit;
    if (plan.trivial_move) {
      ++moves;
      for (const TableRef& table : plan.upper) {
        edit.removed.push_back(table->meta().number);
        edit.added.push_back({plan.output_level, plan.output_run, table->meta()});
      }
    } else {
      std::vector<uint64_t> all;
      for (const Run& input : plan.inputs) {
        for (const TableRef& table : input.tables()) {
          edit.removed.push_back(table->meta().number);
          const auto& of = keys.at(table->meta().number);
          all.insert(all.end(), of.begin(), of.end());
        }
      }
      std::sort(all.begin(), all.end());
      all.erase(std::unique(all.begin(), all.end()), all.end());
      for (const TableMeta& meta : cut(all, tuning.table_bytes, plan.borders)) {
        edit.added.push_back({plan.output_level, plan.output_run, meta});
        merged += meta.file_bytes;
      }
    }
    apply(edit);
    for (const TableRef& table : plan.upper)
      if (!plan.trivial_move) keys.erase(table->meta().number);
  }
  // All that is due; a plan that leads nowhere would never end.
  void compact() {
    uint64_t limit = 10000;
    while (const auto plan = pick_compaction(*version, tuning, {}, nullptr, PlainSchema())) {
      run(*plan);
      REQUIRE(--limit > 0);
    }
  }
  // Bytes written to disk for each user byte: log, flush and merges.
  double amplification() const {
    const double user = static_cast<double>(flushed) / 0.57;  // Compressed.
    return 1.05 + static_cast<double>(flushed + merged) / user;
  }
  std::string describe() const {
    std::string out;
    for (int n = 0; n < kLevels; ++n)
      if (version->level(n).tables() > 0)
        out += " L" + std::to_string(n) + "=" + std::to_string(version->level(n).bytes() / kMega) + "/" +
               std::to_string(version->level(n).tables());
    return out + " plans=" + std::to_string(plans) + " moves=" + std::to_string(moves) +
           " depth<=" + std::to_string(depth_max) + " l0 tables<=" + std::to_string(l0_tables_max) +
           " written=" + std::to_string(amplification());
  }
};

std::vector<uint64_t> uniform(std::mt19937_64& random, uint64_t bytes) {
  std::vector<uint64_t> drawn(bytes / kSampleBytes);
  for (uint64_t& key : drawn) key = random();
  return drawn;
}

TEST_SUITE("engine/compaction_picker") {
  TEST_CASE("ten million random keys are written at most three and a half times, log and flush included") {
    Simulation simulation;
    // 1.16 GB of user bytes in memtables of 64 MB, which hold some 48 MB of them: 28 MB compressed.
    for (int flush = 0; flush < 24; ++flush) {
      simulation.flush(uniform(simulation.random, 28 * kMega));
      simulation.compact();
    }
    INFO(simulation.describe());
    CHECK(simulation.amplification() <= 3.5);
    CHECK(simulation.depth_max <= simulation.tuning.l0_sublevels_start);
  }

  TEST_CASE("write amplification grows with the logarithm of the data") {
    Simulation simulation;
    for (int flush = 1; flush <= 120; ++flush) {
      simulation.flush(uniform(simulation.random, 36 * kMega));
      simulation.compact();
      INFO(simulation.describe());
      if (flush == 40) CHECK(simulation.amplification() <= 3.5);
    }
    INFO(simulation.describe());
    CHECK(simulation.amplification() <= 4.7);
    CHECK(simulation.version->level(5).tables() > 0);
    CHECK(simulation.l0_tables_max < 100);
  }

  TEST_CASE("keys that only rise are written once to the log and once to a table") {
    Simulation simulation;
    uint64_t key = 1;
    for (int flush = 0; flush < 60; ++flush) {
      std::vector<uint64_t> rising(36 * kMega / kSampleBytes);
      for (uint64_t& next : rising) next = key += simulation.random() % 1000 + 1;
      simulation.flush(std::move(rising));
      simulation.compact();
    }
    INFO(simulation.describe());
    CHECK(simulation.merged == 0);
    CHECK(simulation.moves > 0);
  }

  TEST_CASE("overwrites of the same keys leave no more than a tenth and L0 besides the data") {
    Simulation simulation;
    std::vector<uint64_t> keys = uniform(simulation.random, 3000 * kMega);
    for (int flush = 0; flush < 250; ++flush) {
      std::vector<uint64_t> drawn(36 * kMega / kSampleBytes);
      for (uint64_t& key : drawn) key = keys[simulation.random() % keys.size()];
      simulation.flush(std::move(drawn));
      simulation.compact();
    }
    INFO(simulation.describe());
    CHECK(simulation.version->bytes() - simulation.version->level(0).bytes() < 3400 * kMega);
  }

  // Any shape, any order of jobs that run side by side: V1 and V2 hold and the tree comes to rest.
  TEST_CASE(
      "V1, V2: plans that run side by side leave a tree in which no older record lies above a newer one") {
    for (uint64_t seed = 0; seed < 40; ++seed) {
      CAPTURE(seed);
      Simulation simulation;
      std::mt19937_64& random = simulation.random;
      random.seed(seed);
      CompactionTuning& tuning = simulation.tuning;
      tuning.l0_sublevels_start = 1 + static_cast<int>(random() % 5);
      tuning.table_bytes = (1 + random() % 4) * kMega;
      tuning.flush_table_bytes = (1 + random() % 2) * kMega;
      tuning.base_bytes = (1 + random() % 50) * kMega;
      tuning.ratio = static_cast<double>(2 + random() % 9);
      tuning.input_bytes_max = (1 + random() % 60) * kMega;
      std::vector<CompactionPlan> running;
      std::set<uint64_t> busy;
      const auto finish = [&](size_t i) {
        const CompactionPlan plan = std::move(running[i]);
        running.erase(running.begin() + static_cast<std::ptrdiff_t>(i));
        for (const auto& tables : {plan.upper, plan.lower})
          for (const TableRef& table : tables) busy.erase(table->meta().number);
        simulation.run(plan);
      };
      for (int step = 0; step < 150; ++step) {
        if (random() % 3 == 0) {
          // Wide or narrow, anywhere.
          const uint64_t shift = random() % 20, base = random();
          std::vector<uint64_t> drawn = uniform(random, (1 + random() % 8) * kMega);
          for (uint64_t& key : drawn) key = base + (key >> shift);
          simulation.flush(std::move(drawn));
        } else if (random() % 2 == 0 && !running.empty()) {
          finish(random() % running.size());
        } else if (running.size() < 4) {
          auto plan = random() % 4 == 0
                          ? pick_manual(*simulation.version, tuning, busy, Simulation::key_of(random()), "")
                          : pick_compaction(*simulation.version, tuning, busy, nullptr, PlainSchema());
          if (!plan) continue;
          for (const auto& tables : {plan->upper, plan->lower})
            for (const TableRef& table : tables) REQUIRE(busy.insert(table->meta().number).second);
          running.push_back(std::move(*plan));
        }
      }
      while (!running.empty()) finish(0);
      simulation.compact();
      CHECK(compaction_debt(*simulation.version, tuning) == 0);
    }
  }

  TEST_CASE("by hand everything in a range goes to the bottom, and then there is nothing more to do") {
    for (const bool all : {true, false}) {
      Simulation simulation;
      simulation.tuning.base_bytes = 100 * kMega;
      for (int flush = 0; flush < 45; ++flush) {
        simulation.flush(uniform(simulation.random, 36 * kMega));
        if (flush < 40) simulation.compact();
      }
      REQUIRE(simulation.version->level(5).tables() > 0);
      REQUIRE(simulation.version->level(0).tables() > 0);
      const std::string begin = all ? "" : Simulation::key_of(uint64_t{1} << 62);
      const std::string end = all ? "" : Simulation::key_of(uint64_t{1} << 63);
      uint64_t limit = 2000;
      while (const auto plan = pick_manual(*simulation.version, simulation.tuning, {}, begin, end)) {
        simulation.run(*plan);
        REQUIRE(--limit > 0);
      }
      for (int n = 0; n < 6; ++n) {
        if (all) CHECK(simulation.version->level(n).tables() == 0);
        for (const Run& run : simulation.version->level(n).runs) {
          const auto [first, last] = run.overlapping(begin, end);
          if (!all) CHECK(first == last);
        }
      }
    }
  }

  TEST_CASE("by hand the bottom is written anew where tombstones or debts are left in it") {
    PlacedTable unsettled = placed(6, 1, 2, "c", "d");
    unsettled.meta.unsettled = 1;
    const auto version = version_of({placed(6, 1, 1, "a", "b"), unsettled, placed(6, 1, 3, "e", "f")});
    const auto plan = pick_manual(*version, small(), {}, "a", "z");
    REQUIRE(plan);
    CHECK(numbers(plan->upper) == Numbers{2});
    CHECK(plan->output_level == 6);
    CHECK_FALSE(plan->trivial_move);
    CHECK_FALSE(pick_manual(*version, small(), {}, "e", "z"));
    CHECK_FALSE(pick_manual(*version, small(), {2}, "a", "z"));
  }

  TEST_CASE("for walks from a key the tables of L0 above each other there go down, if there are two") {
    const auto version =
        version_of({placed(0, 3, 1, "k", "m"), placed(0, 2, 2, "a", "c"), placed(0, 2, 3, "l", "n"),
                    placed(0, 1, 4, "l", "p"), placed(6, 1, 5, "j", "z")});
    const auto column = [&](std::string_view key, const std::set<uint64_t>& busy = {}) {
      const auto plan = pick_column(*version, {}, busy, key);
      return plan ? numbers(plan->upper) : Numbers{};
    };
    CHECK_FALSE(pick(version));  // By its depth nothing would have to be done yet.
    CHECK(column("l") == Numbers{1, 3, 4});
    CHECK(column("n") == Numbers{1, 3, 4});  // The newer one lies within what is read anyway.
    CHECK(column("d") == Numbers{1, 3, 4});  // A walk from there comes to them.
    CHECK(column("o") == Numbers{});
    CHECK(column("q") == Numbers{});
    CHECK(column("l", {4}) == Numbers{});
  }

  TEST_CASE("debt rises with each flush that L0 is too deep by") {
    std::vector<PlacedTable> tables = {placed(6, 1, 1, "a", "z", 50 * kMega)};
    uint64_t last = 0;
    for (uint64_t run = 1; run < 8; ++run) {
      tables.push_back(placed(0, run, 1 + run, "a", "z"));
      const uint64_t debt = compaction_debt(*version_of(tables), small());
      CHECK((debt > last) == (run >= 2));
      last = debt;
    }
  }

  TEST_CASE("a flush is cut where L0 is cut already, or else where the base is") {
    const std::vector<PlacedTable> base = {placed(6, 1, 1, "b", "c"), placed(6, 1, 2, "d", "e")};
    CHECK(flush_borders(*version_of({}), small()).empty());
    CHECK(flush_borders(*version_of(base), small()) == std::vector<std::string>{"b", "d"});
    auto tables = base;
    tables.push_back(placed(0, 1, 3, "m", "n"));
    tables.push_back(placed(0, 2, 4, "m", "z"));
    CHECK(flush_borders(*version_of(tables), small()) == std::vector<std::string>{"m"});
  }
}

}  // namespace
}  // namespace engine
