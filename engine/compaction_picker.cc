#include "engine/compaction_picker.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <map>
#include <utility>

namespace engine {
namespace {

constexpr int kLast = kLevels - 1;
constexpr uint64_t kDeadSample = 256;        // So many dead ids are looked for in tables.
constexpr uint64_t kDeadSlackBytes = 16384;  // approximate_bytes() is as coarse as blocks.

// Keys from `begin` to `end`, both inclusive.
struct Hull {
  std::string_view begin, end;
  bool empty = true;

  void add(const Hull& other) {
    if (other.empty) return;
    begin = empty ? other.begin : std::min(begin, other.begin);
    end = empty ? other.end : std::max(end, other.end);
    empty = false;
  }
  bool overlaps(const Hull& other) const {
    return !empty && !other.empty && begin <= other.end && other.begin <= end;
  }
  bool holds(const Hull& other) const { return begin <= other.begin && other.end <= end; }
};

Hull hull_of(const Table& table) { return {table.meta().smallest, table.meta().largest, false}; }

uint64_t bytes_of(const std::vector<TableRef>& tables) {
  uint64_t sum = 0;
  for (const TableRef& table : tables) sum += table->meta().file_bytes;
  return sum;
}

std::vector<TableRef> overlapping(const Run& run, const Hull& hull) {
  if (hull.empty) return {};
  const auto [first, last] = run.overlapping(hull.begin, hull.end);
  return {run.tables().begin() + static_cast<std::ptrdiff_t>(first),
          run.tables().begin() + static_cast<std::ptrdiff_t>(last)};
}

// Tables from the newest run on, some of each.
using Upper = std::vector<std::vector<TableRef>>;

class Picker {
 public:
  Picker(const Version& version, const CompactionTuning& tuning, const std::set<uint64_t>& busy)
      : version_(version),
        tuning_(tuning),
        busy_(busy),
        targets_(level_targets(version, tuning)),
        busy_hulls_(kLevels) {
    // What a job on a table of some level may touch: that level, and the one that it merges into.
    for (int n = 0; n < kLevels; ++n) {
      for (const Run& run : version.level(n).runs) {
        for (const TableRef& table : run.tables()) {
          if (!is_busy(*table)) continue;
          for (int touched = n; touched <= std::max(n + 1, n == 0 ? targets_.base : 0); ++touched)
            if (touched < kLevels) busy_hulls_[static_cast<size_t>(touched)].add(hull_of(*table));
        }
      }
    }
  }

  std::optional<CompactionPlan> by_size();
  std::optional<CompactionPlan> by_death(const DeadObjects::Set* dead, const Schema& schema);
  std::optional<CompactionPlan> by_density(const DeadObjects::Set* dead, const Schema& schema);
  std::optional<CompactionPlan> by_hand(const Hull& range);
  std::optional<CompactionPlan> by_key(std::string_view key);

 private:
  bool is_busy(const Table& table) const { return busy_.count(table.meta().number) != 0; }
  int next_level(int n) const { return n == 0 ? targets_.base : std::min(n + 1, kLast); }

  std::optional<CompactionPlan> plan(int input_level, int output_level, Upper upper) const;
  std::optional<CompactionPlan> plan_from(int level, const TableRef& seed, size_t run) const;
  Upper column(size_t run, const TableRef& seed) const;
  void widen(CompactionPlan* plan) const;
  void set_borders(CompactionPlan* plan) const;
  bool pays_to_rewrite(const CompactionPlan& plan) const;
  std::optional<CompactionPlan> best_of_l0() const;
  std::optional<CompactionPlan> best_of_level(int level) const;
  std::map<uint64_t, uint64_t> dead_bytes(const DeadObjects::Set& dead, const Schema& schema) const;

  const Version& version_;
  const CompactionTuning& tuning_;
  const std::set<uint64_t>& busy_;
  const LevelTargets targets_;
  std::vector<Hull> busy_hulls_;  // By level.
};

// The plan for `upper`, with what it overlaps in the output level; nothing if a running job is in the way.
std::optional<CompactionPlan> Picker::plan(int input_level, int output_level, Upper upper) const {
  CompactionPlan plan;
  plan.input_level = input_level;
  plan.output_level = output_level;
  Hull hull;
  bool disjoint = true;
  for (std::vector<TableRef>& tables : upper) {
    if (tables.empty()) continue;
    Run run(tables);
    for (const TableRef& table : tables) {
      if (is_busy(*table)) return std::nullopt;
      for (const Run& newer : plan.inputs) disjoint = disjoint && overlapping(newer, hull_of(*table)).empty();
      hull.add(hull_of(*table));
      plan.upper.push_back(table);
    }
    plan.inputs.push_back(std::move(run));
  }
  const std::vector<Run>& below = version_.level(output_level).runs;
  // Deeper than L0 there is one run a level.
  plan.output_run = below.empty() ? 1 : below.front().number();
  if (output_level != input_level) {
    for (const Run& run : below) {
      std::vector<TableRef> tables = overlapping(run, hull);
      if (tables.empty()) continue;
      for (const TableRef& table : tables) {
        if (is_busy(*table)) return std::nullopt;
        plan.lower.push_back(table);
      }
      plan.inputs.emplace_back(std::move(tables));
    }
  }
  for (const TableRef& table : plan.lower) hull.add(hull_of(*table));
  for (int n = input_level; n <= output_level; ++n)
    if (busy_hulls_[static_cast<size_t>(n)].overlaps(hull)) return std::nullopt;

  plan.trivial_move = plan.lower.empty() && disjoint && output_level != input_level && !pays_to_rewrite(plan);
  return plan;
}

// Fills in where the output is best cut.
void Picker::set_borders(CompactionPlan* plan) const {
  if (plan->output_level == kLast) return;
  Hull hull;
  for (const Run& run : plan->inputs)
    for (const TableRef& table : run.tables()) hull.add(hull_of(*table));
  for (const Run& run : version_.level(plan->output_level + 1).runs)
    for (const TableRef& table : overlapping(run, hull))
      if (table->meta().smallest > hull.begin) plan->borders.push_back(table->meta().smallest);
  std::sort(plan->borders.begin(), plan->borders.end());
}

// Whether many of the records would go if the tables were merged instead of moved.
bool Picker::pays_to_rewrite(const CompactionPlan& plan) const {
  uint64_t entries = 0, going = 0;
  for (const TableRef& table : plan.upper) {
    const TableMeta& meta = table->meta();
    entries += meta.entries;
    if (!version_.overlaps(meta.smallest, meta.largest, plan.output_level + 1))
      going += meta.tombstones + meta.unsettled;
  }
  return going * 10 > entries;
}

// A table of L0 and all older ones that overlap it, or one of them.
Upper Picker::column(size_t run, const TableRef& seed) const {
  const std::vector<Run>& runs = version_.level(0).runs;
  Upper upper = {{seed}};
  Hull hull = hull_of(*seed);
  for (size_t i = run + 1; i < runs.size(); ++i) {
    upper.push_back(overlapping(runs[i], hull));
    for (const TableRef& table : upper.back()) hull.add(hull_of(*table));
  }
  return upper;
}

std::optional<CompactionPlan> Picker::plan_from(int level, const TableRef& seed, size_t run) const {
  if (is_busy(*seed)) return std::nullopt;
  return plan(level, next_level(level), level == 0 ? column(run, seed) : Upper{{seed}});
}

// Takes along what the lower tables pay for anyway: tables of the input level that lie within them.
void Picker::widen(CompactionPlan* made) const {
  if (made->lower.empty()) return;
  Hull lower;
  for (const TableRef& table : made->lower) lower.add(hull_of(*table));
  const std::vector<Run>& runs = version_.level(made->input_level).runs;
  std::set<uint64_t> chosen;
  for (const TableRef& table : made->upper) chosen.insert(table->meta().number);
  uint64_t bytes = made->input_bytes();
  for (size_t i = runs.size();
       i-- > 0;) {  // The oldest first: what a table overlaps must be chosen before it.
    for (const TableRef& table : overlapping(runs[i], lower)) {
      const TableMeta& meta = table->meta();
      if (chosen.count(meta.number) != 0 || is_busy(*table) || !lower.holds(hull_of(*table))) continue;
      if (bytes + meta.file_bytes > tuning_.input_bytes_max) continue;
      bool closed = true;
      for (size_t older = i + 1; older < runs.size() && closed; ++older)
        for (const TableRef& under : overlapping(runs[older], hull_of(*table)))
          closed = closed && chosen.count(under->meta().number) != 0;
      if (!closed) continue;
      chosen.insert(meta.number);
      bytes += meta.file_bytes;
    }
  }
  if (chosen.size() == made->upper.size()) return;
  Upper upper;
  for (const Run& run : runs) {
    upper.emplace_back();
    for (const TableRef& table : run.tables())
      if (chosen.count(table->meta().number) != 0) upper.back().push_back(table);
  }
  if (auto wider = plan(made->input_level, made->output_level, std::move(upper))) *made = std::move(*wider);
}

// How many bytes a table counts for: tombstones that go down free what they cover.
double weight(const Table& table) {
  const TableMeta& meta = table.meta();
  const double deletes = static_cast<double>(meta.tombstones) / static_cast<double>(meta.entries + 1);
  return static_cast<double>(meta.file_bytes + 1) * (1 + 4 * deletes);
}

// The plan that moves a byte of L0 down at the least cost.
std::optional<CompactionPlan> Picker::best_of_l0() const {
  std::optional<CompactionPlan> best;
  double best_cost = 0;
  const std::vector<Run>& runs = version_.level(0).runs;
  for (size_t i = 0; i < runs.size(); ++i) {
    for (const TableRef& seed : runs[i].tables()) {
      auto made = plan_from(0, seed, i);
      if (!made) continue;
      double freed = 0;
      for (const TableRef& table : made->upper) freed += weight(*table);
      double cost = made->trivial_move ? 0 : static_cast<double>(made->input_bytes()) / freed;
      if (made->input_bytes() > tuning_.input_bytes_max) cost *= 4;
      if (best && best_cost <= cost) continue;
      best_cost = cost;
      best = std::move(made);
    }
  }
  return best;
}

// The same of a deeper level, where the tables of the oldest run may go one by one. There may be thousands:
// only those that look best are planned.
std::optional<CompactionPlan> Picker::best_of_level(int level) const {
  const Run& run = version_.level(level).runs.back();
  std::vector<std::pair<double, size_t>> costs;
  for (size_t i = 0; i < run.tables().size(); ++i) {
    const Table& seed = *run.tables()[i];
    if (is_busy(seed)) continue;
    uint64_t below = 0;
    for (const Run& lower : version_.level(level + 1).runs) {
      const auto [first, last] = lower.overlapping(seed.meta().smallest, seed.meta().largest);
      for (size_t at = first; at < last; ++at) below += lower.tables()[at]->meta().file_bytes;
    }
    const double moved = below == 0 ? 0 : static_cast<double>(seed.meta().file_bytes);
    costs.emplace_back((moved + static_cast<double>(below)) / weight(seed), i);
  }
  std::sort(costs.begin(), costs.end());
  for (const auto& [cost, i] : costs)
    if (auto made = plan_from(level, run.tables()[i], version_.level(level).runs.size() - 1)) return made;
  return std::nullopt;
}

std::optional<CompactionPlan> Picker::by_size() {
  struct Candidate {
    double score;
    int level;
  };
  std::vector<Candidate> candidates;
  const double l0_bytes = static_cast<double>(version_.level(0).bytes());
  candidates.push_back({std::max(static_cast<double>(l0_depth(version_)) / tuning_.l0_sublevels_start,
                                 l0_bytes / static_cast<double>(tuning_.base_bytes)),
                        0});
  for (int n = 1; n < kLast; ++n) {
    const uint64_t target = targets_.bytes[static_cast<size_t>(n)];
    const uint64_t bytes = version_.level(n).bytes();
    if (bytes > target)
      candidates.push_back({static_cast<double>(bytes) / static_cast<double>(target + 1), n});
  }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) { return a.score > b.score; });
  for (const Candidate& candidate : candidates) {
    if (candidate.score < 1) break;
    auto made = candidate.level == 0 ? best_of_l0() : best_of_level(candidate.level);
    if (!made) continue;
    widen(&*made);
    set_borders(&*made);
    return made;
  }
  return std::nullopt;
}

// Whether all keys of the table belong to dead objects. Counted keys may refer to objects: those are read.
bool wholly_dead(const TableMeta& meta, const DeadObjects::Set& dead, const Schema& schema) {
  std::string key = meta.smallest;
  for (int steps = 0; steps < 16; ++steps) {
    const ObjectId owner = schema.owner(key);
    if (owner == kNoObject || schema.counted(key) || !dead.contains(owner)) return false;
    bool further = false;
    for (const KeyRange& range : schema.ranges(owner)) {
      if (key < range.begin || (!range.end.empty() && key >= range.end)) continue;
      if (range.end.empty() || meta.largest < range.end) return true;
      key = range.end;  // The next key lies there or behind it.
      further = true;
      break;
    }
    if (!further) return false;
  }
  return false;
}

std::optional<CompactionPlan> Picker::by_death(const DeadObjects::Set* dead, const Schema& schema) {
  if (dead == nullptr || dead->count() == 0) return std::nullopt;
  for (int n = 0; n < kLevels; ++n) {
    CompactionPlan drop;
    drop.input_level = drop.output_level = n;
    drop.only_drop = true;
    for (const Run& run : version_.level(n).runs)
      for (const TableRef& table : run.tables())
        if (!is_busy(*table) && wholly_dead(table->meta(), *dead, schema)) drop.upper.push_back(table);
    if (!drop.upper.empty()) return drop;
  }
  return std::nullopt;
}

// About how many bytes of each table (by number) belong to dead objects; never too many.
std::map<uint64_t, uint64_t> Picker::dead_bytes(const DeadObjects::Set& dead, const Schema& schema) const {
  std::map<uint64_t, uint64_t> bytes;
  for (const ObjectId id : dead.sample(kDeadSample)) {
    for (const KeyRange& range : schema.ranges(id)) {
      for (int n = 0; n < kLevels; ++n) {
        for (const Run& run : version_.level(n).runs) {
          const std::vector<TableRef>& tables = run.tables();
          for (size_t i = run.lower_bound(range.begin);
               i < tables.size() && (range.end.empty() || tables[i]->meta().smallest < range.end); ++i) {
            const uint64_t held = tables[i]->approximate_bytes(range.begin, range.end);
            if (held > kDeadSlackBytes) bytes[tables[i]->meta().number] += held - kDeadSlackBytes;
          }
        }
      }
    }
  }
  return bytes;
}

// A table half of which would go.
std::optional<CompactionPlan> Picker::by_density(const DeadObjects::Set* dead, const Schema& schema) {
  std::map<uint64_t, uint64_t> dying;
  if (dead != nullptr && dead->count() != 0) dying = dead_bytes(*dead, schema);
  // Tombstones of L0 go down soon enough by its depth; but what is dead may be the last that was written.
  if (!dying.empty()) {
    for (const Run& run : version_.level(0).runs) {
      for (const TableRef& table : run.tables()) {
        const auto dies = dying.find(table->meta().number);
        if (dies == dying.end() || dies->second * 2 < table->meta().file_bytes) continue;
        auto made = plan(0, 0, {{table}});
        if (!made) continue;
        made->output_run = run.number();
        return made;
      }
    }
  }
  for (int n = 1; n < kLevels; ++n) {
    const std::vector<Run>& runs = version_.level(n).runs;
    if (runs.empty()) continue;
    for (const TableRef& table : runs.back().tables()) {
      const TableMeta& meta = table->meta();
      const auto dies = dying.find(meta.number);
      const bool half_dead = dies != dying.end() && dies->second * 2 >= meta.file_bytes;
      if (!half_dead && meta.tombstones * 2 < meta.entries + 1) continue;
      // The dead go wherever the table is written anew; tombstones must sink to what they cover.
      auto made = half_dead || n == kLast ? plan(n, n, {{table}}) : plan_from(n, table, runs.size() - 1);
      if (!made) continue;
      set_borders(&*made);
      return made;
    }
  }
  return std::nullopt;
}

std::optional<CompactionPlan> Picker::by_hand(const Hull& range) {
  const std::vector<Run>& l0 = version_.level(0).runs;
  for (size_t i = 0; i < l0.size(); ++i) {
    for (const TableRef& table : overlapping(l0[i], range)) {
      auto made = plan_from(0, table, i);
      if (!made) return made;
      widen(&*made);
      set_borders(&*made);
      return made;
    }
  }
  for (int n = 1; n < kLevels; ++n) {
    if (version_.level(n).runs.empty()) continue;
    Upper upper(1);
    uint64_t bytes = 0;
    for (const TableRef& table : overlapping(version_.level(n).runs.back(), range)) {
      if (n == kLast && table->meta().tombstones + table->meta().unsettled == 0) {
        if (bytes > 0) break;
        continue;
      }
      if (bytes > 0 && bytes + table->meta().file_bytes > tuning_.input_bytes_max / 4) break;
      upper.front().push_back(table);
      bytes += table->meta().file_bytes;
    }
    if (upper.front().empty()) continue;
    auto made = plan(n, std::min(n + 1, kLast), std::move(upper));
    if (made) set_borders(&*made);
    return made;
  }
  return std::nullopt;
}

std::optional<CompactionPlan> Picker::by_key(std::string_view key) {
  const std::vector<Run>& l0 = version_.level(0).runs;
  for (size_t i = 0; i < l0.size(); ++i) {
    // The next table will do where none holds the key: a walk that begins there comes to it.
    const size_t at = l0[i].lower_bound(key);
    if (at == l0[i].tables().size()) continue;
    auto made = plan_from(0, l0[i].tables()[at], i);
    if (!made || made->upper.size() < 2) continue;
    widen(&*made);
    set_borders(&*made);
    return made;
  }
  return std::nullopt;
}

}  // namespace

uint64_t CompactionPlan::input_bytes() const { return bytes_of(upper) + bytes_of(lower); }

LevelTargets level_targets(const Version& version, const CompactionTuning& tuning) {
  LevelTargets targets;
  targets.bytes.assign(kLevels, 0);
  uint64_t largest = 0;
  int first = kLast;  // The first level below L0 that holds data.
  for (int n = kLast; n > 0; --n) {
    largest = std::max(largest, version.level(n).bytes());
    if (version.level(n).bytes() > 0) first = n;
  }
  auto size = static_cast<double>(largest);
  targets.base = kLast;
  targets.bytes[kLast] = std::numeric_limits<uint64_t>::max();
  while (targets.base > 1 && size > static_cast<double>(tuning.base_bytes)) {
    size /= tuning.ratio;
    targets.bytes[static_cast<size_t>(--targets.base)] = static_cast<uint64_t>(size);
  }
  // Data that has shrunk may have left some above: that comes first, and L0 must not be merged past it.
  targets.base = std::min(targets.base, first);
  return targets;
}

int l0_depth(const Version& version) {
  // A sweep over the ends of tables: a begin counts up, and what ends in front of it counts down.
  std::vector<std::string_view> begins, ends;
  for (const Run& run : version.level(0).runs) {
    for (const TableRef& table : run.tables()) {
      begins.push_back(table->meta().smallest);
      ends.push_back(table->meta().largest);
    }
  }
  std::sort(begins.begin(), begins.end());
  std::sort(ends.begin(), ends.end());
  int depth = 0;
  size_t ended = 0;
  for (size_t begun = 0; begun < begins.size(); ++begun) {
    while (ended < ends.size() && ends[ended] < begins[begun]) ++ended;
    depth = std::max(depth, static_cast<int>(begun + 1 - ended));
  }
  return depth;
}

std::optional<CompactionPlan> pick_compaction(const Version& version, const CompactionTuning& tuning,
                                              const std::set<uint64_t>& busy, const DeadObjects::Set* dead,
                                              const Schema& schema) {
  Picker picker(version, tuning, busy);
  if (auto plan = picker.by_death(dead, schema)) return plan;
  if (auto plan = picker.by_size()) return plan;
  return picker.by_density(dead, schema);
}

std::optional<CompactionPlan> pick_manual(const Version& version, const CompactionTuning& tuning,
                                          const std::set<uint64_t>& busy, std::string_view begin,
                                          std::string_view end_inclusive) {
  Hull range{begin, end_inclusive, false};
  std::string last;
  if (end_inclusive.empty()) {
    for (const TableRef& table : version.all_tables()) last = std::max(last, table->meta().largest);
    range.end = last;
  }
  return Picker(version, tuning, busy).by_hand(range);
}

std::optional<CompactionPlan> pick_column(const Version& version, const CompactionTuning& tuning,
                                          const std::set<uint64_t>& busy, std::string_view key) {
  return Picker(version, tuning, busy).by_key(key);
}

uint64_t compaction_debt(const Version& version, const CompactionTuning& tuning) {
  const LevelTargets targets = level_targets(version, tuning);
  double debt = 0;
  // L0: the part that is too deep, with what it meets in the base.
  double coming = 0;
  const int depth = l0_depth(version);
  if (depth >= tuning.l0_sublevels_start) {
    const double part = static_cast<double>(depth - tuning.l0_sublevels_start + 1) / depth;
    coming = part * static_cast<double>(version.level(0).bytes());
    debt += coming + part * static_cast<double>(version.level(targets.base).bytes());
  }
  for (int n = targets.base; n < kLast; ++n) {
    const double bytes = static_cast<double>(version.level(n).bytes()) + coming;
    const double over = bytes - static_cast<double>(targets.bytes[static_cast<size_t>(n)]);
    coming = std::max(0.0, over);
    const double below = static_cast<double>(version.level(n + 1).bytes());
    debt += coming * (1 + std::min(tuning.ratio, below / std::max(bytes, 1.0)));
  }
  return static_cast<uint64_t>(debt);
}

std::vector<std::string> flush_borders(const Version& version, const CompactionTuning& tuning) {
  // Those of L0 as it is, so that its tables lie one above the other; for the first, those of the base.
  const bool first = version.level(0).runs.empty();
  std::vector<std::string> borders;
  for (const Run& run : version.level(first ? level_targets(version, tuning).base : 0).runs)
    for (const TableRef& table : run.tables()) borders.push_back(table->meta().smallest);
  std::sort(borders.begin(), borders.end());
  borders.erase(std::unique(borders.begin(), borders.end()), borders.end());
  return borders;
}

}  // namespace engine
