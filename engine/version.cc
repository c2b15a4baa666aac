#include "engine/version.h"

#include <algorithm>
#include <set>

#include "engine/key_head.h"
#include "engine/manifest.h"
#include "engine/table_iterator.h"

namespace engine {

// ---- Run

Run::Run() {
  static const std::shared_ptr<const Body> empty = std::make_shared<Body>();
  body_ = empty;
}

Run::Run(std::vector<TableRef> tables, uint64_t number) {
  auto body = std::make_shared<Body>();
  std::sort(tables.begin(), tables.end(),
            [](const TableRef& a, const TableRef& b) { return a->meta().smallest < b->meta().smallest; });
  for (size_t i = 0; i < tables.size(); ++i) {
    const TableMeta& meta = tables[i]->meta();
    INVARIANT(meta.smallest <= meta.largest);
    INVARIANT(i == 0 || tables[i - 1]->meta().largest < meta.smallest);  // V2
    body->bytes += meta.file_bytes;
  }
  if (!tables.empty()) {
    // Sorted keys share what the first and the last share.
    const std::string& first = tables.front()->meta().largest;
    body->prefix = first.substr(0, common_prefix(first, tables.back()->meta().largest));
    body->heads.reserve(tables.size());
    for (const TableRef& table : tables)
      body->heads.push_back(key_head(std::string_view(table->meta().largest).substr(body->prefix.size())));
  }
  body->number = number;
  body->tables = std::move(tables);
  body_ = std::move(body);
}

size_t Run::lower_bound(std::string_view key) const {
  const Body& body = *body_;
  const int order = key.substr(0, body.prefix.size()).compare(body.prefix);
  if (order < 0) return 0;
  if (order > 0) return body.tables.size();
  const uint64_t head = key_head(key.substr(body.prefix.size()));
  auto at =
      static_cast<size_t>(std::lower_bound(body.heads.begin(), body.heads.end(), head) - body.heads.begin());
  while (at < body.heads.size() && body.heads[at] == head && body.tables[at]->meta().largest < key) ++at;
  return at;
}

const Table* Run::find(std::string_view key) const {
  const size_t at = lower_bound(key);
  if (at == body_->tables.size()) return nullptr;
  const Table* table = body_->tables[at].get();
  return table->meta().smallest <= key ? table : nullptr;
}

std::pair<size_t, size_t> Run::overlapping(std::string_view begin, std::string_view end_inclusive) const {
  const size_t first = lower_bound(begin);
  size_t last = lower_bound(end_inclusive);
  if (last < tables().size() && tables()[last]->meta().smallest <= end_inclusive) ++last;
  return {first, std::max(first, last)};
}

// ---- Level, Version

uint64_t Level::bytes() const {
  uint64_t sum = 0;
  for (const Run& run : runs) sum += run.bytes();
  return sum;
}

size_t Level::tables() const {
  size_t sum = 0;
  for (const Run& run : runs) sum += run.tables().size();
  return sum;
}

Version::Version(Levels levels) : levels_(std::move(levels)) {
  for (const Level& level : levels_) runs_.insert(runs_.end(), level.runs.begin(), level.runs.end());
}

bool Version::overlaps(std::string_view begin, std::string_view end_inclusive, int from_level) const {
  for (int n = from_level; n < kLevels; ++n) {
    for (const Run& run : level(n).runs) {
      const auto [first, last] = run.overlapping(begin, end_inclusive);
      if (first < last) return true;
    }
  }
  return false;
}

uint64_t Version::bytes() const {
  uint64_t sum = 0;
  for (const Level& level : levels_) sum += level.bytes();
  return sum;
}

size_t Version::tables() const {
  size_t sum = 0;
  for (const Level& level : levels_) sum += level.tables();
  return sum;
}

uint64_t Version::unsettled() const {
  uint64_t sum = 0;
  for (const Level& level : levels_)
    for (const Run& run : level.runs)
      for (const TableRef& table : run.tables()) sum += table->meta().unsettled;
  return sum;
}

std::vector<TableRef> Version::all_tables() const {
  std::vector<TableRef> all;
  all.reserve(tables());
  for (const Level& level : levels_)
    for (const Run& run : level.runs) all.insert(all.end(), run.tables().begin(), run.tables().end());
  return all;
}

// ---- making versions

namespace {

using RunTables = std::map<uint64_t, std::vector<TableRef>, std::greater<>>;  // Newest run first.

Level make_level(RunTables runs) {
  Level level;
  for (auto& [number, tables] : runs)
    if (!tables.empty()) level.runs.emplace_back(std::move(tables), number);
  return level;
}

const TableRef& lookup(const TableMap& opened, uint64_t number) {
  const auto found = opened.find(number);
  INVARIANT(found != opened.end() && found->second != nullptr);
  return found->second;
}

}  // namespace

VersionRef build_version(const ManifestState& state, const TableMap& opened) {
  std::vector<RunTables> levels(kLevels);
  for (const auto& [number, placed] : state.tables)
    levels.at(static_cast<size_t>(placed.level))[placed.run].push_back(lookup(opened, number));
  Version::Levels made;
  for (RunTables& runs : levels) made.push_back(make_level(std::move(runs)));
  return std::make_shared<Version>(std::move(made));
}

VersionRef apply_edit(const Version& old, const VersionEdit& edit, const TableMap& opened) {
  const std::set<uint64_t> removed(edit.removed.begin(), edit.removed.end());
  TableMap moved;
  Version::Levels made;
  size_t found = 0;
  for (int n = 0; n < kLevels; ++n) {
    Level level;
    for (const Run& run : old.level(n).runs) {
      std::vector<TableRef> kept;
      for (const TableRef& table : run.tables()) {
        if (removed.count(table->meta().number) != 0) {
          moved[table->meta().number] = table;
          ++found;
        } else {
          kept.push_back(table);
        }
      }
      if (kept.size() == run.tables().size()) {
        level.runs.push_back(run);
      } else if (!kept.empty()) {
        level.runs.emplace_back(std::move(kept), run.number());
      }
    }
    made.push_back(std::move(level));
  }
  INVARIANT(found == removed.size());

  std::vector<RunTables> added(kLevels);
  for (const PlacedTable& placed : edit.added) {
    const auto from_old = moved.find(placed.meta.number);
    added.at(static_cast<size_t>(placed.level))[placed.run].push_back(
        from_old != moved.end() ? from_old->second : lookup(opened, placed.meta.number));
  }
  for (size_t n = 0; n < added.size(); ++n) {
    for (auto& [number, tables] : added[n]) {
      std::vector<Run>& runs = made[n].runs;
      const auto at = std::find_if(runs.begin(), runs.end(), [&, run_number = number](const Run& run) {
        return run.number() <= run_number;
      });
      if (at != runs.end() && at->number() == number) {
        tables.insert(tables.end(), at->tables().begin(), at->tables().end());
        *at = Run(std::move(tables), number);
      } else {
        runs.insert(at, Run(std::move(tables), number));
      }
    }
  }
  return std::make_shared<Version>(std::move(made));
}

std::vector<uint64_t> place_flush(const Version& version, const std::vector<TableMeta>& tables) {
  const std::vector<Run>& runs = version.level(0).runs;
  std::vector<uint64_t> numbers;
  for (const TableMeta& meta : tables) {
    uint64_t number = 0;
    for (const Run& run : runs) {  // Newest first: the last one seen that the table does not overlap.
      const auto [first, last] = run.overlapping(meta.smallest, meta.largest);
      if (first < last) {
        if (number == 0) number = run.number() + 1;  // Above the newest run.
        break;
      }
      number = run.number();
    }
    numbers.push_back(number == 0 ? 1 : number);
  }
  return numbers;
}

// ---- iterating

namespace {

class RunIterator final : public TableIterator {
 public:
  RunIterator(Run run, BlockSource& source) : TableIterator(nullptr, source), run_(std::move(run)) {}

  State seek_first() override { return open(0) ? table_first() : end(); }
  State seek_last() override { return open(run_.tables().size() - 1) ? table_last() : end(); }
  State seek(std::string_view key) override { return open(run_.lower_bound(key)) ? table_seek(key) : end(); }
  State seek_before(std::string_view key) override {
    // The first table that reaches `key` may hold a lesser key too; all after it hold none.
    const size_t at = run_.lower_bound(key);
    const bool inside = at < run_.tables().size() && run_.tables()[at]->meta().smallest < key;
    return open(inside ? at : at - 1) ? table_seek_before(key) : end();
  }

 private:
  // False: there is no such table (nor one before the first, whose number wraps).
  bool open(size_t at) {
    if (at >= run_.tables().size()) return false;
    if (has_table() && at_ == at) return true;
    at_ = at;
    put_table(run_.tables()[at]);
    return true;
  }
  // A table is never empty, so one step to a neighbour is enough.
  State beyond_table() override { return open(at_ + 1) ? table_first() : end(); }
  State before_table() override { return open(at_ - 1) ? table_last() : end(); }

  const Run run_;
  size_t at_ = 0;  // Which table it is in.
};

}  // namespace

std::unique_ptr<Iterator> run_iterator(const Run& run, BlockSource& source) {
  return std::make_unique<RunIterator>(run, source);
}

size_t add_iterators(const Version& version, std::string_view begin, std::string_view end,
                     BlockSource& source, std::vector<std::unique_ptr<Iterator>>* out) {
  const size_t before = out->size();
  size_t in_l0 = 0;
  for (int n = 0; n < kLevels; ++n) {
    for (const Run& run : version.level(n).runs) {
      const std::vector<TableRef>& tables = run.tables();
      const auto reaches = [&](size_t i) {
        return i < tables.size() && (end.empty() || tables[i]->meta().smallest < end);
      };
      const size_t first = run.lower_bound(begin);
      if (!reaches(first)) continue;
      // One table is the usual case for a short range, and cheaper than a run.
      out->push_back(reaches(first + 1) ? run_iterator(run, source) : table_iterator(tables[first], source));
    }
    if (n == 0) in_l0 = out->size() - before;
  }
  return in_l0;
}

}  // namespace engine
