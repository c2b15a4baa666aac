#include "engine/log_cut.h"

#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "engine/log_format.h"
#include "engine/raw_integers.h"
#include "engine/segment_writer.h"
#include "engine/small_files.h"

namespace engine {
namespace {

std::string order_path(const std::string& directory) { return directory + "/CUT"; }

// The records of a segment from its beginning up to `lsn`, frame by frame; false: none begins there.
bool records_up_to(std::string_view segment, uint64_t id, Lsn first, Lsn lsn, std::vector<LogChunk>* chunks) {
  Lsn at = first;
  uint64_t offset = kFirstFrameOffset;
  while (at < lsn) {
    auto frame = frame_at(segment, offset, id);
    if (!frame || frame->first != at) frame = frame_at(segment, round_up(offset, kLogPageBytes), id);
    if (!frame || frame->first != at || frame->payload.empty()) return false;
    LogChunk chunk{at, at, {}};
    std::string_view rest = frame->payload;
    while (!rest.empty() && at < lsn) {
      const auto record = next_record(rest);
      if (!record) return false;
      at += record->size();
    }
    chunk.end = at;
    chunk.payload = frame->payload.substr(0, frame->payload.size() - rest.size());
    chunks->push_back(std::move(chunk));
    offset = frame->end;
  }
  return at == lsn;
}

}  // namespace

Status order_cut(FileSystem& files, const std::string& directory, Lsn lsn) {
  const std::string path = order_path(directory);
  if (Status s = remove_if_there(files, path); !s.ok()) return s;
  auto file = files.open(path, OpenMode::kCreate);
  if (!file.ok()) return file.status();
  std::string order(16, '\0');
  store(order.data(), lsn);
  store(order.data() + 8, XXH3_64bits(order.data(), sizeof lsn));
  if (Status s = (*file)->write(0, order); !s.ok()) return s;
  if (Status s = (*file)->sync(); !s.ok()) return s;
  return files.sync_directory(directory);
}

Result<std::optional<Lsn>> ordered_cut(FileSystem& files, const std::string& directory) {
  const auto there = files.exists(order_path(directory));
  if (!there.ok()) return there.status();
  if (!there.value()) return std::optional<Lsn>();
  const auto order = read_whole(files, order_path(directory));
  if (!order.ok()) return order.status();
  const char* bytes = order.value().data();
  if (order.value().size() != 16 || XXH3_64bits(bytes, sizeof(Lsn)) != load<uint64_t>(bytes + 8))
    return std::optional<Lsn>();
  return std::optional(load<Lsn>(bytes));
}

Status forget_cut(FileSystem& files, const std::string& directory) {
  if (Status s = remove_if_there(files, order_path(directory)); !s.ok()) return s;
  return files.sync_directory(directory);
}

Status cut_log(Env& env, const std::string& directory, Lsn lsn) {
  FileSystem& files = env.files;
  const auto names = files.list(directory);
  if (!names.ok()) return names.status();
  struct Segment {
    Lsn first;
    std::string path;
    bool operator<(const Segment& other) const { return first < other.first; }
  };
  std::vector<Segment> segments;
  std::vector<std::string> empty;
  for (const std::string& name : names.value()) {
    const std::string path = directory + "/" + name;
    if (const auto first = parse_segment_name(name)) {
      segments.push_back({*first, path});
    } else if (is_spare_name(name)) {  // Perhaps a segment that had not been given its name.
      const auto bytes = read_whole(files, path);
      if (!bytes.ok()) return bytes.status();
      const auto id = parse_segment_header(path, bytes.value());
      const auto frame = id.ok() ? frame_at(bytes.value(), kFirstFrameOffset, id.value()) : std::nullopt;
      if (frame) segments.push_back({frame->first, path});
      if (!frame) empty.push_back(path);
    }
  }
  std::sort(segments.begin(), segments.end());
  // The last that begins below `lsn` is to end there; the ones behind it go, the newest first, so that at no
  // moment there is a gap.
  const auto behind = std::lower_bound(segments.begin(), segments.end(), Segment{lsn, {}});
  std::string temporary;
  if (behind != segments.begin()) {
    const Segment& last = *std::prev(behind);
    const auto bytes = read_whole(files, last.path);
    if (!bytes.ok()) return bytes.status();
    const auto id = parse_segment_header(last.path, bytes.value());
    if (!id.ok()) return {};  // Recovery says what is wrong with it.
    std::vector<LogChunk> chunks;
    if (!records_up_to(bytes.value(), id.value(), last.first, lsn, &chunks)) return {};
    temporary = directory + "/cut.tmp";
    if (Status s = remove_if_there(files, temporary); !s.ok()) return s;
    auto writer = SegmentWriter::create(files, temporary, env.entropy.next());
    if (!writer.ok()) return writer.status();
    Status written;
    for (const LogChunk& chunk : chunks)
      if (written.ok()) written = (*writer)->append(chunk);
    if (written.ok()) written = (*writer)->finish();
    if (!written.ok()) {
      (void)files.remove(temporary).ok();  // It may be space that is short.
      return written;
    }
  }
  // The frames of the new one say that all before them is on the disk.
  for (auto segment = segments.begin(); segment != behind; ++segment) {
    auto file = files.open(segment->path, OpenMode::kReadWrite);
    if (!file.ok()) return file.status();
    if (Status s = (*file)->sync(); !s.ok()) return s;
  }
  for (const std::string& path : empty)
    if (Status s = files.remove(path); !s.ok()) return s;
  for (auto segment = segments.end(); segment != behind;) {
    --segment;
    if (Status s = files.remove(segment->path); !s.ok()) return s;
    if (Status s = files.sync_directory(directory); !s.ok()) return s;
  }
  if (temporary.empty()) return {};
  const Segment& last = *std::prev(behind);
  const std::string path = directory + "/" + segment_name(last.first);
  if (Status s = files.rename(temporary, path); !s.ok()) return s;
  if (path != last.path) {  // It had no name yet.
    if (Status s = files.remove(last.path); !s.ok()) return s;
  }
  return files.sync_directory(directory);
}

}  // namespace engine
