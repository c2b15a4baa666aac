#include "engine/merge_output.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <utility>

#include "engine/file_names.h"
#include "engine/merge_job.h"

namespace engine {

namespace {

constexpr size_t kPage = 4096;

struct Free {
  void operator()(char* memory) const { std::free(memory); }
};

}  // namespace

struct MergeOutput::Stretch {
  uint64_t number = 0;  // Of its table.
  // On a page's border, as writing past the page cache wants it: else it would be copied once more.
  std::unique_ptr<char, Free> memory;
  size_t bytes = 0;
  std::optional<TableMeta> last;  // The table ends with it.
};

// Takes a table's bytes from its builder.
class MergeOutput::Sink final : public TableSink {
 public:
  Sink(std::deque<Stretch>& made, uint64_t number) : made_(made), number_(number) {}
  Status append(std::string_view bytes) override {
    Stretch& stretch = made_.emplace_back();
    stretch.number = number_;
    stretch.bytes = bytes.size();
    stretch.memory.reset(
        static_cast<char*>(std::aligned_alloc(kPage, (bytes.size() + kPage - 1) / kPage * kPage)));
    INVARIANT(stretch.memory != nullptr);
    std::memcpy(stretch.memory.get(), bytes.data(), bytes.size());
    return {};
  }
  Status end() override { return {}; }  // Whoever writes the last stretch syncs.

 private:
  std::deque<Stretch>& made_;
  const uint64_t number_;
};

MergeOutput::MergeOutput(FileSystem& files, const MergeOptions& options,
                         std::function<uint64_t()> next_number)
    : files_(files), options_(options), next_number_(std::move(next_number)) {}
MergeOutput::~MergeOutput() = default;

// ---- the slice's side

Status MergeOutput::add(std::string_view key, std::string_view value, uint8_t flags) {
  const bool at_border = pass_borders(key);
  if (builder_ && ends_before(at_border)) {
    if (Status s = end_file(); !s.ok()) return s;
  }
  if (!builder_) begin_file();
  return builder_->add(key, value, flags);
}

Status MergeOutput::finish() {
  finished_ = true;
  return builder_ ? end_file() : Status();
}

// Moves on to the first border behind `key`; true if the table, as it is, ends before one that is passed.
bool MergeOutput::pass_borders(std::string_view key) {
  const size_t before = border_;
  while (border_ < options_.borders.size() && options_.borders[border_] <= key) ++border_;
  borders_passed_ += border_ - before;
  return border_ != before;
}

bool MergeOutput::ends_before(bool at_border) const {
  const uint64_t bytes = builder_->file_bytes();
  const uint64_t full = options_.table_bytes;
  // Where borders come rarely one is worth a short file, where they come often the next will do as well.
  if (at_border) return bytes >= full / 16 * std::min<uint64_t>(3 + borders_passed_, 12);
  if (bytes < full) return false;
  return border_ == options_.borders.size() || bytes >= full + full / 2;
}

void MergeOutput::begin_file() {
  number_ = next_number_();
  builder_ = std::make_unique<TableBuilder>(std::make_unique<Sink>(made_, number_), number_, options_.table);
  borders_passed_ = 0;
}

Status MergeOutput::end_file() {
  auto meta = builder_->finish(options_.first_lsn, options_.last_lsn);
  builder_.reset();
  if (!meta.ok()) return meta.status();
  made_.back().last = std::move(meta).value();  // A table ends with its footer, so there is a stretch.
  return {};
}

// ---- between

void MergeOutput::hand_over() {
  INVARIANT(handed_.empty());
  handed_ = std::exchange(made_, {});
  ended_ = finished_;
}

// ---- the errand's side

std::string MergeOutput::path_of(uint64_t number) const { return table_path(options_.directory, number); }

Status MergeOutput::work(uint64_t bytes) {
  if (!unread_.empty()) {
    if (Status s = read_back(bytes); !s.ok()) return s;
  }
  while (!handed_.empty()) {
    if (Status s = write(handed_.front()); !s.ok()) return s;
    handed_.pop_front();
  }
  if (!ended_ || !unread_.empty()) return {};
  if (!tables_.empty()) {
    if (Status s = files_.sync_directory(options_.directory); !s.ok()) return s;
  }
  done_ = true;
  return {};
}

Status MergeOutput::write(Stretch& stretch) {
  if (!file_) {
    auto file = files_.open(path_of(stretch.number), OpenMode::kCreate, Caching::kNone);
    if (!file.ok()) return file.status();
    created_.push_back(stretch.number);
    file_ = std::move(file).value();
    file_bytes_ = 0;
  }
  if (Status s = file_->write(file_bytes_, {stretch.memory.get(), stretch.bytes}); !s.ok()) return s;
  file_bytes_ += stretch.bytes;
  if (!stretch.last) return {};
  if (Status s = file_->sync(); !s.ok()) return s;
  file_.reset();
  unread_.push_back(std::move(*stretch.last));
  return {};
}

Status MergeOutput::read_back(uint64_t bytes) {
  const TableMeta& table = unread_.front();
  if (!reading_back_) reading_back_ = std::make_unique<TableReadBack>(files_, path_of(table.number), table);
  Result<bool> whole = reading_back_->step(bytes);
  if (!whole.ok()) return whole.status();
  if (!*whole) return {};
  reading_back_.reset();
  tables_.push_back(std::move(unread_.front()));
  unread_.pop_front();
  return {};
}

void MergeOutput::remove_all() {
  builder_.reset();
  reading_back_.reset();
  file_.reset();
  for (const uint64_t number : created_) (void)files_.remove(path_of(number)).ok();
  created_.clear();
  handed_.clear();
  made_.clear();
  unread_.clear();
  tables_.clear();
}

}  // namespace engine
