#include "engine/incoming.h"

#include <xxhash.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <set>
#include <utility>

#include "engine/file_names.h"
#include "engine/log_format.h"
#include "engine/manifest.h"
#include "engine/manifest_edit.h"
#include "engine/raw_integers.h"
#include "engine/segment_writer.h"
#include "engine/small_files.h"

namespace engine {
namespace {

constexpr uint64_t kSegmentBytes = 32 << 20;
constexpr const char* kInstall = "/INSTALL";
constexpr const char* kCleared = "/INSTALL.cleared";

std::string incoming_directory(const std::string& directory) { return directory + "/incoming"; }

std::string stem(uint64_t number) {
  const std::string path = table_path("", number);  // "/000042.vst"
  return path.substr(1, path.size() - 5);
}

std::string received_name(uint64_t number, uint64_t checksum) {
  char digits[20];
  std::snprintf(digits, sizeof digits, "-%016llx", static_cast<unsigned long long>(checksum));
  return stem(number) + digits + ".vst";
}

class Hash {
 public:
  Hash() : state_(XXH3_createState()) { reset(); }
  ~Hash() { XXH3_freeState(state_); }
  Hash(const Hash&) = delete;
  Hash& operator=(const Hash&) = delete;
  void reset() { XXH3_64bits_reset(state_); }
  void add(std::string_view bytes) { XXH3_64bits_update(state_, bytes.data(), bytes.size()); }
  uint64_t value() const { return XXH3_64bits_digest(state_); }

 private:
  XXH3_state_t* state_;
};

class IncomingImpl final : public IncomingCheckpoint {
 public:
  IncomingImpl(FileSystem& files, uint64_t entropy, const std::string& directory)
      : files_(files), entropy_(entropy), directory_(directory), incoming_(incoming_directory(directory)) {}

  Status begin(std::string_view state, const std::vector<CheckpointFile>& own);
  const std::vector<CheckpointFile>& wanted() const override { return wanted_; }
  Status write(uint64_t number, std::string_view data) override;
  Status append(const LogChunk& chunk) override;
  Lsn log_end() const override { return log_end_; }
  Status commit() override;

 private:
  std::string path(const std::string& name) const { return incoming_ + "/" + name; }
  std::string part() const { return path(stem(wanted_.front().number) + ".part"); }
  Status end_segment();

  FileSystem& files_;
  uint64_t entropy_;
  const std::string directory_;
  const std::string incoming_;
  std::string state_;
  std::vector<CheckpointFile> wanted_;
  std::unique_ptr<File> part_;
  uint64_t part_bytes_ = 0;
  Hash part_hash_;
  std::unique_ptr<SegmentWriter> segment_;
  Lsn log_end_ = 0;
};

Status IncomingImpl::begin(std::string_view state, const std::vector<CheckpointFile>& own) {
  VersionEdit edit;
  if (Status s = decode_edit(state, &edit); !s.ok()) return s;
  if (!edit.removed.empty() || !edit.flushed)
    return {Code::kCorruption, "what was received is not the state of a store"};
  state_ = state;
  log_end_ = *edit.flushed;
  if (Status s = files_.make_directory(incoming_); !s.ok()) return s;
  if (Status s = files_.sync_directory(directory_); !s.ok()) return s;
  auto names = files_.list(incoming_);
  if (!names.ok()) return names.status();
  std::set<std::string> useful;
  for (const PlacedTable& placed : edit.added) {
    const CheckpointFile file{placed.meta.number, placed.meta.file_bytes, placed.meta.checksum};
    const std::string name = received_name(file.number, file.checksum);
    if (std::find(own.begin(), own.end(), file) != own.end()) continue;
    if (std::binary_search(names->begin(), names->end(), name)) {
      useful.insert(name);
    } else {
      wanted_.push_back(file);
    }
  }
  for (const std::string& name : *names) {
    if (useful.contains(name)) continue;
    if (Status s = files_.remove(path(name)); !s.ok()) return s;
  }
  return {};
}

Status IncomingImpl::write(uint64_t number, std::string_view data) {
  if (wanted_.empty() || wanted_.front().number != number)
    return {Code::kCorruption, "table " + std::to_string(number) + " came out of turn"};
  const CheckpointFile& file = wanted_.front();
  const auto begin_anew = [&](Status status) {
    part_.reset();
    return status;
  };
  if (!part_) {
    if (Status s = remove_if_there(files_, part()); !s.ok()) return s;
    // Past the cache: what is not kept there for hours must not push out what is, nor reach the disk all at
    // once.
    auto made = files_.open(part(), OpenMode::kCreate, Caching::kNone);
    if (!made.ok()) return made.status();
    part_ = std::move(made).value();
    part_bytes_ = 0;
    part_hash_.reset();
  }
  if (data.size() > file.bytes - part_bytes_)
    return begin_anew({Code::kCorruption, "table " + std::to_string(number) + " is longer than announced"});
  if (Status s = part_->write(part_bytes_, data); !s.ok()) return begin_anew(s);
  part_bytes_ += data.size();
  part_hash_.add(data);
  if (part_bytes_ < file.bytes) return {};
  if (part_hash_.value() != file.checksum)  // C2
    return begin_anew({Code::kCorruption, "table " + std::to_string(number) + " came with a wrong checksum"});
  if (Status s = part_->sync(); !s.ok()) return begin_anew(s);
  const std::string from = part();
  part_.reset();
  if (Status s = files_.rename(from, path(received_name(number, file.checksum))); !s.ok()) return s;
  wanted_.erase(wanted_.begin());
  return {};
}

Status IncomingImpl::end_segment() {
  if (!segment_) return {};
  const Status finished = segment_->finish();
  segment_.reset();
  return finished;
}

Status IncomingImpl::append(const LogChunk& chunk) {
  INVARIANT(chunk.first == log_end_);
  if (segment_ && segment_->bytes() > kSegmentBytes) {
    if (Status s = end_segment(); !s.ok()) return s;
  }
  if (!segment_) {
    entropy_ = entropy_ * 0x5851f42d4c957f2d + 0x14057b7ef767814f;
    auto made = SegmentWriter::create(files_, path(segment_name(log_end_)), entropy_);
    if (!made.ok()) return made.status();
    segment_ = std::move(made).value();
  }
  if (Status s = segment_->append(chunk); !s.ok()) return s;
  log_end_ = chunk.end;
  return {};
}

Status IncomingImpl::commit() {
  INVARIANT(wanted_.empty());
  if (Status s = end_segment(); !s.ok()) return s;
  if (Status s = files_.sync_directory(incoming_); !s.ok()) return s;
  std::string order(8, '\0');
  order += state_;
  store(order.data(), XXH3_64bits(state_.data(), state_.size()));
  const std::string install = directory_ + kInstall;
  const std::string temporary = install + ".tmp";
  if (Status s = remove_if_there(files_, temporary); !s.ok()) return s;
  {
    auto file = files_.open(temporary, OpenMode::kCreate);
    if (!file.ok()) return file.status();
    if (Status s = (*file)->write(0, order); !s.ok()) return s;
    if (Status s = (*file)->sync(); !s.ok()) return s;
  }
  Status s = files_.rename(temporary, install);
  if (s.ok()) s = files_.sync_directory(directory_);
  if (s.ok()) return s;
  // Who goes on with the old store must not find it gone later.
  (void)files_.remove(install).ok();
  (void)files_.sync_directory(directory_).ok();
  return s;
}

// ------------------------------------------------------------------ installing

Result<VersionEdit> read_order(FileSystem& files, const std::string& path) {
  auto order = read_whole(files, path);
  if (!order.ok()) return order.status();
  VersionEdit edit;
  if (order->size() < 8 || XXH3_64bits(order->data() + 8, order->size() - 8) != load<uint64_t>(order->data()))
    return Status(Code::kCorruption, path + " at offset 0: damaged");
  if (Status s = decode_edit(std::string_view(*order).substr(8), &edit); !s.ok())
    return Status(s.code(), path + ": " + s.message());
  return edit;
}

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::binary_search(names.begin(), names.end(), name);
}

Status clear_old(FileSystem& files, const std::string& directory, const VersionEdit& edit,
                 const std::vector<std::string>& received) {
  std::set<std::string> kept;
  for (const PlacedTable& placed : edit.added)
    if (!contains(received, received_name(placed.meta.number, placed.meta.checksum)))
      kept.insert(stem(placed.meta.number) + ".vst");
  auto names = files.list(directory);
  if (!names.ok()) return names.status();
  for (const std::string& name : *names) {
    const bool old = name == "CUT" || name == "CURRENT" || name == "CURRENT.tmp" ||
                     parse_manifest_name(name) || parse_table_name(name) || parse_segment_name(name) ||
                     is_spare_name(name);
    if (!old || kept.contains(name)) continue;
    if (Status s = files.remove(directory + "/" + name); !s.ok()) return s;
  }
  return files.sync_directory(directory);
}

Status move_new(FileSystem& files, const std::string& directory, const VersionEdit& edit,
                const std::vector<std::string>& received) {
  const std::string incoming = incoming_directory(directory) + "/";
  for (const PlacedTable& placed : edit.added) {
    const std::string name = received_name(placed.meta.number, placed.meta.checksum);
    if (!contains(received, name)) continue;
    if (Status s = files.rename(incoming + name, table_path(directory, placed.meta.number)); !s.ok())
      return s;
  }
  for (const std::string& name : received) {
    if (!parse_segment_name(name)) continue;
    if (Status s = files.rename(incoming + name, directory + "/" + name); !s.ok()) return s;
  }
  if (Status s = remove_if_there(files, current_path(directory)); !s.ok()) return s;
  if (Status s = Manifest::create(files, directory, edit); !s.ok()) return s;
  if (Status s = files.sync_directory(incoming_directory(directory)); !s.ok()) return s;
  return files.sync_directory(directory);
}

}  // namespace

Result<std::unique_ptr<IncomingCheckpoint>> IncomingCheckpoint::begin(
    FileSystem& files, uint64_t entropy, const std::string& directory, std::string_view state,
    const std::vector<CheckpointFile>& own) {
  auto incoming = std::make_unique<IncomingImpl>(files, entropy, directory);
  if (Status s = incoming->begin(state, own); !s.ok()) return s;
  return std::unique_ptr<IncomingCheckpoint>(std::move(incoming));
}

Status install_incoming(FileSystem& files, const std::string& directory) {
  const std::string install = directory + kInstall, cleared = directory + kCleared;
  const auto ordered = files.exists(install);
  if (!ordered.ok()) return ordered.status();
  const auto half_done = files.exists(cleared);
  if (!half_done.ok()) return half_done.status();
  if (!ordered.value() && !half_done.value()) return {};
  auto edit = read_order(files, half_done.value() ? cleared : install);
  if (!edit.ok()) return edit.status();
  auto received = files.list(incoming_directory(directory));
  if (!received.ok()) return received.status();
  std::sort(received->begin(), received->end());
  if (!half_done.value()) {
    const VersionEdit& state = edit.value();
    if (Status s = clear_old(files, directory, state, received.value()); !s.ok()) return s;
    if (Status s = files.rename(install, cleared); !s.ok()) return s;
    if (Status s = files.sync_directory(directory); !s.ok()) return s;
  }
  if (Status s = move_new(files, directory, edit.value(), received.value()); !s.ok()) return s;
  if (Status s = files.remove(cleared); !s.ok()) return s;
  return files.sync_directory(directory);
}

void discard_incoming(FileSystem& files, const std::string& directory) {
  const std::string incoming = incoming_directory(directory);
  auto names = files.list(incoming);
  if (!names.ok()) return;
  for (const std::string& name : *names) (void)files.remove(incoming + "/" + name).ok();
}

}  // namespace engine
