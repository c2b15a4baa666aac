#include "engine/merge_job.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "engine/loser_tree.h"
#include "engine/merge_output.h"
#include "engine/record.h"
#include "engine/run_ahead.h"

namespace engine {
namespace {

// Whether a run below the output can hold a key; asked for rising keys.
class Below {
 public:
  Below(VersionRef version, int from_level) : version_(std::move(version)) {
    if (!version_) return;
    for (int n = from_level; n < kLevels; ++n)
      for (const Run& run : version_->level(n).runs) runs_.push_back({&run, std::nullopt});
  }
  bool may_hold(std::string_view key, uint64_t hash_seed) {
    if (!version_) return true;
    std::optional<uint64_t> hash;
    for (Cursor& cursor : runs_) {
      const std::vector<TableRef>& tables = cursor.run->tables();
      if (!cursor.at) cursor.at = cursor.run->lower_bound(key);
      size_t& at = *cursor.at;
      while (at < tables.size() && tables[at]->meta().largest < key) ++at;
      if (at == tables.size() || tables[at]->meta().smallest > key) continue;
      if (!hash) hash = hash_key(key, hash_seed);
      if (tables[at]->may_contain(*hash)) return true;
    }
    return false;
  }

 private:
  struct Cursor {
    const Run* run;
    std::optional<size_t> at;  // The first table that ends at the last key asked for, or behind it.
  };
  const VersionRef version_;
  std::vector<Cursor> runs_;
};

}  // namespace

struct MergeJob::Impl {
  Impl(Env& env, const Schema& the_schema, MergeOptions the_options,
       std::vector<std::unique_ptr<Iterator>> inputs, std::vector<std::shared_ptr<const void>> kept,
       std::function<uint64_t()> next_number, std::vector<std::shared_ptr<RunAhead>> the_ahead)
      : schema(the_schema),
        options(std::move(the_options)),
        keep_alive(std::move(kept)),
        ahead(std::move(the_ahead)),
        tree(std::move(inputs)),
        below(options.below, options.below_level),
        output(env.files, options, std::move(next_number)) {}

  Status merge(uint64_t bytes);
  Status merge_key();
  Status emit(std::string_view key, std::string_view value, uint8_t flags);
  void step();
  bool owner_is_dead(std::string_view key);
  void kill(const Reference& reference) {
    if (reference.id != kNoObject) result.kills.push_back(reference);
  }

  const Schema& schema;
  const MergeOptions options;
  const std::vector<std::shared_ptr<const void>> keep_alive;  // Outlives the tree,
  const std::vector<std::shared_ptr<RunAhead>> ahead;         // and so do these.
  LoserTree tree;
  Below below;
  MergeOutput output;
  MergeResult result;
  uint64_t read_bytes = 0;  // In this slice.
  bool started = false;
  bool merged = false;  // All there was.
  bool discarded = false;

  ObjectId owner = kNoObject;  // Of the last key, and what is known of it.
  bool owner_dead = false;

  std::string key, value;  // The newest record of a key that has several.
};

bool MergeJob::Impl::owner_is_dead(std::string_view of) {
  const ObjectId id = schema.owner(of);
  if (id != owner) {
    owner = id;
    owner_dead = id != kNoObject && options.dead && options.dead->contains(id);
  }
  return owner_dead;
}

void MergeJob::Impl::step() {
  read_bytes += tree.key().size() + tree.winner().value().size();
  ++result.read_records;
  tree.step();
}

Status MergeJob::Impl::emit(std::string_view at, std::string_view with, uint8_t flags) {
  if ((flags & (kTombstone | kUnsettled)) != 0 && !below.may_hold(at, options.table.hash_seed)) {
    if ((flags & kTombstone) != 0) return {};
    flags &= static_cast<uint8_t>(~kUnsettled);
  }
  ++result.written_records;
  return output.add(at, with, flags);
}

// Merges all records of the key on which the tree stands, and leaves the tree on the next key.
Status MergeJob::Impl::merge_key() {
  using State = Iterator::State;
  const bool dead = owner_is_dead(tree.key());
  uint8_t flags = tree.winner().flags();
  const auto reference_here = [&] {
    return (tree.winner().flags() & kTombstone) != 0 ? Reference()
                                                     : schema.reference(tree.key(), tree.winner().value());
  };

  if (!tree.repeats()) {  // Nearly always.
    if (dead) {
      kill(reference_here());
    } else if (Status s = emit(tree.key(), tree.winner().value(), flags); !s.ok()) {
      return s;
    }
    step();
    return {};
  }

  key.assign(tree.key());
  value.assign(tree.winner().value());
  const Reference newest = reference_here();
  if (dead) kill(newest);
  for (step(); tree.state() == State::kAt && tree.key() == key; step()) {
    const uint8_t older = tree.winner().flags();
    if (const Reference dropped = reference_here(); dead || dropped.id != newest.id) kill(dropped);  // D1
    if (dead) continue;
    if ((flags & kUnsettled) != 0 && (older & kTombstone) == 0 && schema.counted(key))
      --result.count_deltas[owner];
    flags = static_cast<uint8_t>((flags & ~kUnsettled) | (older & kUnsettled));
  }
  // On a damaged input it is not known whether these were all.
  if (dead || tree.state() == State::kFailed || tree.state() == State::kCold) return {};
  return emit(key, value, flags);
}

Status MergeJob::Impl::merge(uint64_t bytes) {
  using State = Iterator::State;
  read_bytes = 0;
  if (!started) {
    started = true;
    tree.start(false, [](Iterator& it) { it.seek_first(); });
  }
  while (tree.state() == State::kAt && read_bytes < bytes) {
    if (Status s = merge_key(); !s.ok()) return s;
  }
  INVARIANT(tree.state() != State::kCold);  // Inputs of a worker block.
  if (tree.state() == State::kFailed) return tree.status();
  if (tree.state() == State::kAt) return {};
  merged = true;
  return output.finish();
}

MergeJob::MergeJob(Env& env, const Schema& schema, MergeOptions options,
                   std::vector<std::unique_ptr<Iterator>> inputs,
                   std::vector<std::shared_ptr<const void>> keep_alive, std::function<uint64_t()> next_number,
                   std::vector<std::shared_ptr<RunAhead>> ahead)
    : impl_(std::make_unique<Impl>(env, schema, std::move(options), std::move(inputs), std::move(keep_alive),
                                   std::move(next_number), std::move(ahead))) {}
MergeJob::~MergeJob() = default;

void MergeJob::begin_step() {
  INVARIANT(!impl_->discarded && !finished());
  impl_->output.hand_over();
  for (const auto& run : impl_->ahead) run->hand_over();
}

bool MergeJob::has_slice() const { return !impl_->merged; }

bool MergeJob::has_errand() const {
  const auto wants = [](const std::shared_ptr<RunAhead>& run) { return run->has_work(); };
  return impl_->output.has_work() ||
         (has_slice() && std::any_of(impl_->ahead.begin(), impl_->ahead.end(), wants));
}

Status MergeJob::slice(uint64_t bytes) { return impl_->merge(bytes); }

Status MergeJob::errand(uint64_t bytes) {
  // First what the next slice would wait for.
  for (const auto& run : impl_->ahead)
    if (run->has_work()) run->read();
  return impl_->output.has_work() ? impl_->output.work(bytes) : Status();
}

Status MergeJob::run_step(uint64_t bytes) {
  begin_step();
  Status s = has_errand() ? errand(bytes) : Status();
  if (s.ok() && has_slice()) s = slice(bytes);
  if (!s.ok()) discard();
  return s;
}

bool MergeJob::finished() const { return impl_->output.done(); }

MergeResult MergeJob::take_result() {
  INVARIANT(finished());
  MergeResult& result = impl_->result;
  result.tables = impl_->output.tables();
  for (const TableMeta& table : result.tables) result.written_bytes += table.file_bytes;
  return std::move(result);
}

void MergeJob::discard() {
  impl_->discarded = true;
  impl_->output.remove_all();
}

}  // namespace engine
