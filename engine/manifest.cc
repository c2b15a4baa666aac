#include "engine/manifest.h"

#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "engine/file_names.h"
#include "engine/manifest_edit.h"
#include "engine/raw_integers.h"
#include "engine/small_files.h"
#include "engine/version.h"

namespace engine {
namespace {

static_assert(std::endian::native == std::endian::little, "integers are stored as they lie in memory");

constexpr uint64_t kPageBytes = 4096;
constexpr std::string_view kMagic = "VARVEMAN";
constexpr uint32_t kFormatVersion = 1;
constexpr size_t kEditHeadBytes = 24;
constexpr uint64_t kEditBytesMax = uint64_t{1} << 30;  // A longer length is damage.
constexpr uint64_t kRolloverRatio = 4;
constexpr uint64_t kRolloverBytesMin = 1 << 20;

uint64_t padded(uint64_t bytes) { return (bytes + kPageBytes - 1) / kPageBytes * kPageBytes; }

std::string header_page(uint64_t number) {
  std::string page(kPageBytes, '\0');
  kMagic.copy(page.data(), kMagic.size());
  store<uint32_t>(&page[16], kFormatVersion);
  store<uint64_t>(&page[24], number);
  store<uint64_t>(&page[8], XXH3_64bits(&page[16], page.size() - 16));
  return page;
}

uint64_t edit_checksum(std::string_view pages, uint64_t number, uint64_t offset) {
  return XXH3_64bits_withSeed(pages.data() + 8, pages.size() - 8, number * 0x9e3779b97f4a7c15 + offset);
}

// The pages of an edit that goes to `offset`.
std::string edit_pages(std::string_view edit, uint64_t number, uint64_t offset, uint64_t synced) {
  std::string pages(padded(kEditHeadBytes + edit.size()), '\0');
  store<uint64_t>(&pages[8], edit.size());
  store<uint64_t>(&pages[16], synced);
  edit.copy(&pages[kEditHeadBytes], edit.size());
  store<uint64_t>(&pages[0], edit_checksum(pages, number, offset));
  return pages;
}

struct FoundEdit {
  std::string_view edit;
  uint64_t synced;
  uint64_t end;  // Offset behind its pages.
};

// The edit at `offset` of the file's bytes, if it is whole.
std::optional<FoundEdit> edit_at(std::string_view file, uint64_t number, uint64_t offset) {
  if (file.size() - offset < kPageBytes) return std::nullopt;
  const auto length = load<uint64_t>(&file[offset + 8]);
  if (length > kEditBytesMax) return std::nullopt;
  const uint64_t bytes = padded(kEditHeadBytes + length);
  if (bytes > file.size() - offset) return std::nullopt;
  const std::string_view pages = file.substr(offset, bytes);
  if (load<uint64_t>(pages.data()) != edit_checksum(pages, number, offset)) return std::nullopt;
  return FoundEdit{pages.substr(kEditHeadBytes, length), load<uint64_t>(&pages[16]), offset + bytes};
}

Status damaged(const std::string& path, uint64_t offset, const std::string& what) {
  return {Code::kCorruption, path + ": damaged at offset " + std::to_string(offset) + ": " + what};
}

// CURRENT: one line, the manifest's name and sixteen hex digits of XXH3 over it.
std::string current_line(uint64_t number) {
  std::string name = manifest_path("", number).substr(1);
  char digits[20];
  std::snprintf(digits, sizeof digits, "%016llx",
                static_cast<unsigned long long>(XXH3_64bits(name.data(), name.size())));
  return name + " " + digits + "\n";
}

std::optional<uint64_t> parse_current(std::string_view line) {
  const auto number = parse_manifest_name(line.substr(0, line.find(' ')));
  if (!number || current_line(*number) != line) return std::nullopt;
  return number;
}

// What an edit asks of the state that it is applied to.
bool fits(const ManifestState& state, const VersionEdit& edit) {
  std::map<uint64_t, int> left;  // How often each number that the edit names is in the state.
  for (const uint64_t number : edit.removed) left[number] = static_cast<int>(state.tables.count(number));
  for (const uint64_t number : edit.removed)
    if (--left[number] < 0) return false;
  for (const PlacedTable& placed : edit.added) {
    const auto [at, first] =
        left.try_emplace(placed.meta.number, static_cast<int>(state.tables.count(placed.meta.number)));
    if (++at->second > 1) return false;
  }
  return true;
}

// V2 of version.h.
bool disjoint(const ManifestState& state) {
  std::map<std::pair<int, uint64_t>, std::vector<const TableMeta*>> runs;
  for (const auto& [number, placed] : state.tables) runs[{placed.level, placed.run}].push_back(&placed.meta);
  for (auto& [place, tables] : runs) {
    std::sort(tables.begin(), tables.end(), [](auto* a, auto* b) { return a->smallest < b->smallest; });
    for (size_t i = 1; i < tables.size(); ++i)
      if (tables[i - 1]->largest >= tables[i]->smallest) return false;
  }
  return true;
}

class FileManifest final : public Manifest {
 public:
  FileManifest(FileSystem& files, const std::string& directory) : files_(files), directory_(directory) {}

  Status open_or_create(const VersionEdit& initial);
  Status create(const VersionEdit& initial);
  const ManifestState& state() const override { return state_; }
  Status apply(const VersionEdit& edit) override;
  uint64_t file_bytes() const override { return end_; }

 private:
  Status create(const VersionEdit& initial, const std::vector<std::string>& names);
  Status load(const std::vector<std::string>& names);
  Status replay(const std::string& path, std::string_view file, bool* unsure);
  void sweep(const std::vector<std::string>& names);
  Status begin_file();
  Status write_file(const std::string& path, std::string_view bytes, std::unique_ptr<File>* kept);
  void mark_synced();

  FileSystem& files_;
  const std::string directory_;
  ManifestState state_;
  std::unique_ptr<File> file_;
  uint64_t number_ = 0;       // Of the file.
  uint64_t next_number_ = 1;  // Of the next: none twice, so that nothing is overwritten that may count.
  uint64_t end_ = 0;          // Where the next edit goes.
  uint64_t synced_ = 0;       // The file is on stable storage up to here.
  uint64_t first_end_ = 0;    // Where the whole state, its first edit, ended.
  bool broken_ = false;       // Whether the file, or CURRENT, holds what a failed call meant to put there.
};

Status FileManifest::open_or_create(const VersionEdit& initial) {
  const auto names = files_.list(directory_);
  if (!names.ok()) return names.status();
  for (const std::string& name : names.value())
    if (const auto number = parse_manifest_name(name)) next_number_ = std::max(next_number_, *number + 1);
  const auto exists = files_.exists(current_path(directory_));
  if (!exists.ok()) return exists.status();
  return exists.value() ? load(names.value()) : create(initial, names.value());
}

Status FileManifest::create(const VersionEdit& initial, const std::vector<std::string>& names) {
  // CURRENT comes last when a store is made. Without it there may be the beginnings of manifest 1, and no
  // more.
  for (const std::string& name : names) {
    if (parse_table_name(name) || parse_manifest_name(name).value_or(1) != 1)
      return {Code::kCorruption, current_path(directory_) + ": missing, although " + name + " is there"};
  }
  next_number_ = 1;
  for (const std::string& name : names) {
    if (!parse_manifest_name(name)) continue;
    if (Status s = files_.remove(directory_ + "/" + name); !s.ok()) return s;
  }
  INVARIANT(fits(state_, initial));
  state_.apply(initial);
  if (Status s = begin_file(); !s.ok()) return s;
  sweep(names);
  return {};
}

Status FileManifest::create(const VersionEdit& initial) {
  const auto names = files_.list(directory_);
  if (!names.ok()) return names.status();
  // Those of an attempt that a crash has ended.
  for (const std::string& name : names.value()) {
    if (!parse_manifest_name(name) && name != "CURRENT.tmp") continue;
    if (Status s = files_.remove(directory_ + "/" + name); !s.ok()) return s;
  }
  state_.apply(initial);
  return begin_file();
}

Status FileManifest::load(const std::vector<std::string>& names) {
  const std::string current = current_path(directory_);
  const auto line = read_whole(files_, current);
  if (!line.ok()) return line.status();
  const auto number = parse_current(line.value());
  if (!number) return damaged(current, 0, "it does not name a manifest with the right checksum");
  number_ = *number;
  const std::string path = manifest_path(directory_, number_);
  const auto exists = files_.exists(path);
  if (!exists.ok()) return exists.status();
  if (!exists.value()) return {Code::kCorruption, path + ": missing, although " + current + " names it"};

  const auto bytes = read_whole(files_, path);
  if (!bytes.ok()) return bytes.status();
  bool unsure = false;
  if (Status s = replay(path, bytes.value(), &unsure); !s.ok()) return s;
  if (unsure) {
    // What lies behind the end is not touched: it goes with the file. And what was perhaps never synced is
    // not synced now: after a sync that failed before our time another could be OK for bytes that are gone.
    if (Status s = begin_file(); !s.ok()) return s;
  } else {
    auto file = files_.open(path, OpenMode::kReadWrite);
    if (!file.ok()) return file.status();
    file_ = std::move(file.value());
  }
  sweep(names);
  return {};
}

Status FileManifest::replay(const std::string& path, std::string_view file, bool* unsure) {
  if (file.size() < kPageBytes || !file.starts_with(kMagic) ||
      engine::load<uint64_t>(&file[8]) != XXH3_64bits(&file[16], kPageBytes - 16))
    return damaged(path, 0, "no header of a manifest");
  if (const auto version = engine::load<uint32_t>(&file[16]); version != kFormatVersion)
    return {Code::kTooNew, path + ": has format version " + std::to_string(version) + ", this build knows " +
                               std::to_string(kFormatVersion)};
  if (engine::load<uint64_t>(&file[24]) != number_) return damaged(path, 24, "it is another manifest");

  uint64_t edits_end = 0;
  end_ = kPageBytes;
  while (end_ < file.size()) {
    const auto found = edit_at(file, number_, end_);
    if (!found) break;
    VersionEdit edit;
    if (Status s = decode_edit(found->edit, &edit); !s.ok())
      return {s.code(), path + ": at offset " + std::to_string(end_) + ": " + s.message()};
    if (!fits(state_, edit)) return damaged(path, end_, "an edit removes or adds what it cannot");
    state_.apply(edit);
    end_ = found->end;
    synced_ = found->synced;
    if (!found->edit.empty()) edits_end = end_;
    if (first_end_ == 0) first_end_ = end_;
  }
  // CURRENT named the file only when its first edit was synced.
  if (first_end_ == 0) return damaged(path, end_, "the first edit is not whole");
  *unsure = end_ < file.size() || synced_ < edits_end;
  for (uint64_t behind = end_ + kPageBytes; behind < file.size(); behind += kPageBytes) {
    const auto found = edit_at(file, number_, behind);
    if (found && found->synced > end_)
      return damaged(
          path, end_,
          "an edit behind it, at offset " + std::to_string(behind) + ", says that this one was synced");
  }
  if (!disjoint(state_)) return damaged(path, kPageBytes, "tables of one run overlap");
  return {};
}

// Best effort: what stays is swept at the next start.
void FileManifest::sweep(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    const auto number = parse_manifest_name(name);
    if ((number && *number != number_) || name == "CURRENT.tmp")
      (void)files_.remove(directory_ + "/" + name).ok();
  }
}

Status FileManifest::write_file(const std::string& path, std::string_view bytes,
                                std::unique_ptr<File>* kept) {
  auto file = files_.open(path, OpenMode::kCreate);
  if (!file.ok()) return file.status();
  if (Status s = (*file)->write(0, bytes); !s.ok()) return s;
  if (Status s = (*file)->sync(); !s.ok()) return s;
  if (kept != nullptr) *kept = std::move(file.value());
  return {};
}

// Begins a manifest with the whole state and makes it the current one. A failure before the rename leaves the
// old one as it was; a later one sets `broken_`.
Status FileManifest::begin_file() {
  const uint64_t number = next_number_++;
  const std::string path = manifest_path(directory_, number);
  const std::string current = current_path(directory_);
  const std::string temporary = current + ".tmp";
  const std::string bytes =
      header_page(number) + edit_pages(encode_edit(state_.as_edit()), number, kPageBytes, 0);

  const auto give_up = [&](Status status) {
    (void)files_.remove(path).ok();
    (void)files_.remove(temporary).ok();
    return status;
  };
  std::unique_ptr<File> file;
  if (Status s = write_file(path, bytes, &file); !s.ok()) return give_up(std::move(s));
  // CURRENT must not come to name a file that a crash takes away.
  if (Status s = files_.sync_directory(directory_); !s.ok()) return give_up(std::move(s));
  const auto left_over = files_.exists(temporary);
  if (!left_over.ok()) return give_up(left_over.status());
  if (left_over.value()) {
    if (Status s = files_.remove(temporary); !s.ok()) return give_up(std::move(s));
  }
  if (Status s = write_file(temporary, current_line(number), nullptr); !s.ok()) return give_up(std::move(s));

  broken_ = true;
  if (Status s = files_.rename(temporary, current); !s.ok()) return s;
  if (Status s = files_.sync_directory(directory_); !s.ok()) return s;
  broken_ = false;
  const uint64_t old = number_;
  file_ = std::move(file);
  number_ = number;
  end_ = synced_ = first_end_ = bytes.size();
  if (old != 0) (void)files_.remove(manifest_path(directory_, old)).ok();
  mark_synced();
  return {};
}

Status FileManifest::apply(const VersionEdit& edit) {
  INVARIANT(fits(state_, edit));
  if (broken_) {
    if (Status s = begin_file(); !s.ok()) return s;
  }
  const std::string pages = edit_pages(encode_edit(edit), number_, end_, synced_);
  INVARIANT(pages.size() <= kEditBytesMax);
  broken_ = true;
  if (Status s = file_->write(end_, pages); !s.ok()) return s;
  if (Status s = file_->sync(); !s.ok()) return s;
  broken_ = false;
  end_ += pages.size();
  synced_ = end_;
  state_.apply(edit);
  mark_synced();
  // The edit stands in any case. A file that cannot be begun now is tried again with the next edit.
  if (end_ > std::max(kRolloverRatio * first_end_, kRolloverBytesMin)) (void)begin_file().ok();
  return {};
}

// Not synced itself. Where it cannot be written there is one witness less, and the next edit takes its place.
void FileManifest::mark_synced() {
  const std::string pages = edit_pages({}, number_, end_, synced_);
  if (file_->write(end_, pages).ok()) end_ += pages.size();
}

}  // namespace

void ManifestState::apply(const VersionEdit& edit) {
  for (const uint64_t number : edit.removed) tables.erase(number);
  for (const PlacedTable& placed : edit.added) tables[placed.meta.number] = placed;
  if (edit.flushed) flushed = *edit.flushed;
  for (const auto& [owner, delta] : edit.count_deltas)
    if ((counts[owner] += delta) == 0) counts.erase(owner);
  for (const ObjectId owner : edit.forgotten_counts) counts.erase(owner);
  if (edit.next_table) next_table = *edit.next_table;
  if (edit.next_object) next_object = *edit.next_object;
  if (edit.dead_objects) dead_objects = *edit.dead_objects;
  for (const auto& [name, value] : edit.properties) {
    if (value.empty()) {
      properties.erase(name);
    } else {
      properties[name] = value;
    }
  }
}

VersionEdit ManifestState::as_edit() const {
  VersionEdit edit;
  for (const auto& [number, placed] : tables) edit.added.push_back(placed);
  edit.flushed = flushed;
  edit.count_deltas = counts;
  edit.next_table = next_table;
  edit.next_object = next_object;
  edit.dead_objects = dead_objects;
  edit.properties = properties;
  return edit;
}

Result<std::unique_ptr<Manifest>> Manifest::open(FileSystem& files, const std::string& directory,
                                                 const VersionEdit& initial) {
  auto manifest = std::make_unique<FileManifest>(files, directory);
  if (Status s = manifest->open_or_create(initial); !s.ok()) return s;
  return std::unique_ptr<Manifest>(std::move(manifest));
}

Status Manifest::create(FileSystem& files, const std::string& directory, const VersionEdit& state) {
  return FileManifest(files, directory).create(state);
}

}  // namespace engine
