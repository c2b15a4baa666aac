#include "engine/merge_job.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "engine/file_names.h"
#include "engine/loser_tree.h"
#include "engine/record.h"
#include "engine/table_read_back.h"

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

// The files of the output, one after the other.
class Output {
 public:
  Output(FileSystem& files, const MergeOptions& options, std::function<uint64_t()> next_number)
      : files_(files), options_(options), next_number_(std::move(next_number)) {}

  Status add(std::string_view key, std::string_view value, uint8_t flags) {
    const bool at_border = pass_borders(key);
    if (builder_ && ends_before(at_border)) {
      if (Status s = end_file(); !s.ok()) return s;
    }
    if (!builder_) {
      if (Status s = begin_file(); !s.ok()) return s;
    }
    return builder_->add(key, value, flags);
  }
  Status finish() {
    if (builder_) {
      if (Status s = end_file(); !s.ok()) return s;
    }
    return tables_.empty() ? Status() : files_.sync_directory(options_.directory);
  }
  void remove_all() {
    builder_.reset();
    for (const uint64_t number : created_) (void)files_.remove(table_path(options_.directory, number)).ok();
    created_.clear();
    tables_.clear();
  }
  std::vector<TableMeta>& tables() { return tables_; }

 private:
  // Moves on to the first border behind `key`; true if the file, as it is, ends before one that is passed.
  bool pass_borders(std::string_view key) {
    const size_t before = border_;
    while (border_ < options_.borders.size() && options_.borders[border_] <= key) ++border_;
    borders_passed_ += border_ - before;
    return border_ != before;
  }
  bool ends_before(bool at_border) const {
    const uint64_t bytes = builder_->file_bytes();
    const uint64_t full = options_.table_bytes;
    // Where borders come rarely one is worth a short file, where they come often the next will do as well.
    if (at_border) return bytes >= full / 16 * std::min<uint64_t>(3 + borders_passed_, 12);
    if (bytes < full) return false;
    return border_ == options_.borders.size() || bytes >= full + full / 2;
  }
  Status begin_file() {
    const uint64_t number = next_number_();
    auto file = files_.open(table_path(options_.directory, number), OpenMode::kCreate, Caching::kNone);
    if (!file.ok()) return file.status();
    created_.push_back(number);
    builder_ = std::make_unique<TableBuilder>(std::move(file.value()), number, options_.table);
    borders_passed_ = 0;
    return {};
  }
  Status end_file() {
    auto meta = builder_->finish(options_.first_lsn, options_.last_lsn);
    builder_.reset();
    if (!meta.ok()) return meta.status();
    tables_.push_back(std::move(meta.value()));
    return {};
  }

  FileSystem& files_;
  const MergeOptions& options_;
  const std::function<uint64_t()> next_number_;
  std::unique_ptr<TableBuilder> builder_;  // Of the file that is being written.
  std::vector<uint64_t> created_;
  std::vector<TableMeta> tables_;
  size_t border_ = 0;            // The first border behind the last key.
  uint64_t borders_passed_ = 0;  // Since the file began.
};

}  // namespace

struct MergeJob::Impl {
  Impl(Env& env, const Schema& the_schema, MergeOptions the_options,
       std::vector<std::unique_ptr<Iterator>> inputs, std::vector<std::shared_ptr<const void>> kept,
       std::function<uint64_t()> next_number)
      : schema(the_schema),
        options(std::move(the_options)),
        keep_alive(std::move(kept)),
        tree(std::move(inputs)),
        below(options.below, options.below_level),
        output(env.files, options, std::move(next_number)),
        files(env.files) {}

  Status run(uint64_t bytes);
  Status read_back(uint64_t bytes);
  Status merge_key();
  Status emit(std::string_view key, std::string_view value, uint8_t flags);
  void step();
  bool owner_is_dead(std::string_view key);
  void kill(const Reference& reference) {
    if (reference.id != kNoObject) result.kills.push_back(reference);
  }

  const Schema& schema;
  const MergeOptions options;
  const std::vector<std::shared_ptr<const void>> keep_alive;  // Outlives the tree.
  LoserTree tree;
  Below below;
  Output output;
  MergeResult result;
  FileSystem& files;
  std::unique_ptr<TableReadBack> reading_back;
  size_t read_back_tables = 0;  // So many of the result are known to be on the disk as they were written.
  bool written = false;
  uint64_t read_bytes = 0;  // In this slice.
  bool started = false;
  bool over = false;  // Finished, failed or discarded.
  bool finished = false;

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

Status MergeJob::Impl::run(uint64_t bytes) {
  using State = Iterator::State;
  if (written) return read_back(bytes);
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

  if (Status s = output.finish(); !s.ok()) return s;
  result.tables = std::move(output.tables());
  for (const TableMeta& table : result.tables) result.written_bytes += table.file_bytes;
  written = true;
  finished = over = result.tables.empty();
  return {};
}

Status MergeJob::Impl::read_back(uint64_t bytes) {
  const TableMeta& table = result.tables[read_back_tables];
  if (!reading_back)
    reading_back = std::make_unique<TableReadBack>(files, table_path(options.directory, table.number), table);
  Result<bool> whole = reading_back->step(bytes);
  if (!whole.ok()) return whole.status();
  if (!*whole) return {};
  reading_back.reset();
  finished = over = ++read_back_tables == result.tables.size();
  return {};
}

MergeJob::MergeJob(Env& env, const Schema& schema, MergeOptions options,
                   std::vector<std::unique_ptr<Iterator>> inputs,
                   std::vector<std::shared_ptr<const void>> keep_alive, std::function<uint64_t()> next_number)
    : impl_(std::make_unique<Impl>(env, schema, std::move(options), std::move(inputs), std::move(keep_alive),
                                   std::move(next_number))) {}
MergeJob::~MergeJob() = default;

Status MergeJob::run_slice(uint64_t bytes) {
  INVARIANT(!impl_->over);
  Status s = impl_->run(bytes);
  if (!s.ok()) discard();
  return s;
}

bool MergeJob::finished() const { return impl_->finished; }

MergeResult MergeJob::take_result() {
  INVARIANT(impl_->finished);
  return std::move(impl_->result);
}

void MergeJob::discard() {
  impl_->over = true;
  impl_->output.remove_all();
}

}  // namespace engine
