#include "engine/log_recovery.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace engine {
namespace {

std::string at(const std::string& path, uint64_t offset) {
  return path + " at offset " + std::to_string(offset);
}

// A segment's bytes in memory.
struct Image {
  std::string bytes;
  uint64_t id = 0;
};

// What lies behind a break.
struct Leftovers {
  Lsn synced = 0;         // The furthest that a valid frame says the log was synced,
  std::string synced_at;  // and where it says so.
  uint64_t bytes = 0;     // From the break to the end of the last frame, file by file.
};

class Recovery {
 public:
  Recovery(Env& env, const LogOptions& options, Lsn from, const Log::Replay& replay)
      : files_(env.files), options_(options), from_(from), replay_(replay) {}

  Result<LogHistory> run();

 private:
  Status find_segments();
  Status look_into_spare(const std::string& path);
  Result<Image> load(const std::string& path);
  size_t first_needed() const;
  Status follow(size_t first);
  Status follow_segment(LogSegment& segment, const Image& image);
  Status replay_frame(const LogSegment& segment, uint64_t offset, const LogFrame& frame);
  Status judge_break(size_t broken, const Image& image);
  static void scan(const std::string& path, const Image& image, uint64_t from_offset, Lsn at_least,
                   Leftovers* out);
  Status settle(size_t needed, size_t used);

  FileSystem& files_;
  const LogOptions& options_;
  const Lsn from_;
  const Log::Replay& replay_;

  LogHistory history_;
  std::vector<LogSegmentPtr> found_;  // By first LSN.
  std::vector<std::string> useless_;  // To be removed.
  Leftovers in_spares_;               // Frames in a spare whose first one is unreadable.
  Lsn end_ = 0;
  bool closed_ = false;  // The last frame was that of a proper close.
};

Result<Image> Recovery::load(const std::string& path) {
  // Past the page cache: after a failed sync that may hold bytes which the disk does not.
  Result<std::unique_ptr<File>> file = files_.open(path, OpenMode::kRead, Caching::kNone);
  if (!file.ok()) return file.status();
  Result<uint64_t> size = (*file)->size();
  if (!size.ok()) return size.status();
  Image image;
  image.bytes.resize(*size);
  Result<size_t> got = (*file)->read(0, image.bytes);
  if (!got.ok()) return got.status();
  image.bytes.resize(*got);
  Result<uint64_t> id = parse_segment_header(path, image.bytes);
  if (!id.ok()) return id.status();
  image.id = *id;
  return image;
}

Status Recovery::find_segments() {
  Result<std::vector<std::string>> names = files_.list(options_.directory);
  if (!names.ok()) return names.status();
  for (const std::string& name : *names) {
    const std::string path = options_.directory + "/" + name;
    if (is_spare_name(name)) {
      Status status = look_into_spare(path);
      if (!status.ok()) return status;
    } else if (const std::optional<Lsn> first = parse_segment_name(name)) {
      auto segment = std::make_shared<LogSegment>();
      segment->path = path;
      segment->first = *first;
      segment->named = true;
      found_.push_back(std::move(segment));
    }
  }
  std::sort(found_.begin(), found_.end(), [](const auto& a, const auto& b) { return a->first < b->first; });
  for (size_t i = 1; i < found_.size(); ++i) {
    if (found_[i - 1]->first != found_[i]->first) continue;
    return {Code::kCorruption,
            found_[i]->path + " at offset 0: begins where " + found_[i - 1]->path + " does"};
  }
  return {};
}

// A spare is an unused file, or a segment that had not been renamed yet.
Status Recovery::look_into_spare(const std::string& path) {
  Result<Image> image = load(path);
  if (image.status().code() == Code::kCorruption) {
    useless_.push_back(path);  // Half made: the header is written last.
    return {};
  }
  if (!image.ok()) return image.status();
  auto segment = std::make_shared<LogSegment>();
  segment->path = path;
  segment->id = image->id;
  segment->bytes = image->bytes.size();
  if (const auto frame = frame_at(image->bytes, kFirstFrameOffset, image->id)) {
    segment->first = frame->first;
    found_.push_back(std::move(segment));
    return {};
  }
  const uint64_t before = in_spares_.bytes;
  scan(path, *image, kFirstFrameOffset, 0, &in_spares_);
  if (in_spares_.bytes > before || segment->bytes != options_.segment_bytes) {
    useless_.push_back(path);
  } else {
    history_.spares.push_back(std::move(segment));
  }
  return {};
}

// The index of the segment that holds `from_`, or the number of segments.
size_t Recovery::first_needed() const {
  size_t index = found_.size();
  for (size_t i = 0; i < found_.size() && found_[i]->first <= from_; ++i) index = i;
  return index;
}

Status Recovery::replay_frame(const LogSegment& segment, uint64_t offset, const LogFrame& frame) {
  std::string_view rest = frame.payload;
  while (!rest.empty()) {
    const std::optional<std::string_view> record = next_record(rest);
    if (!record)
      return {Code::kCorruption, at(segment.path, offset) + ": a frame whose records do not parse"};
    end_ += record->size();
    if (end_ <= from_) continue;
    ++history_.report.records;
    history_.report.bytes += record->size();
    Status status = replay_(end_, *record);
    if (!status.ok()) return status;
  }
  return {};
}

// Replays frames as long as each begins where the last one ended, and leaves the segment's `offset` behind
// them.
Status Recovery::follow_segment(LogSegment& segment, const Image& image) {
  uint64_t offset = kFirstFrameOffset;
  for (;;) {
    std::optional<LogFrame> frame = frame_at(image.bytes, offset, image.id);
    if (!frame || frame->first != end_) {
      const uint64_t page = round_up(offset, kLogPageBytes);
      frame = frame_at(image.bytes, page, image.id);
      if (!frame || frame->first != end_) break;
      offset = page;
    }
    Status status = replay_frame(segment, offset, *frame);
    if (!status.ok()) return status;
    closed_ = frame->payload.empty() && frame->synced == end_;
    offset = frame->end;
  }
  segment.offset = offset;
  segment.end = end_;
  return {};
}

Status Recovery::follow(size_t first) {
  end_ = found_[first]->first;
  for (size_t i = first;; ++i) {
    LogSegment& segment = *found_[i];
    Result<Image> image = load(segment.path);
    if (!image.ok()) return image.status();
    segment.id = image->id;
    segment.bytes = image->bytes.size();
    closed_ = false;
    const auto begin = frame_at(image->bytes, kFirstFrameOffset, image->id);
    if (begin && begin->first != segment.first) {
      return {Code::kCorruption, at(segment.path, kFirstFrameOffset) + ": begins with LSN " +
                                     std::to_string(begin->first) + ", which is not what its name says"};
    }
    Status status = follow_segment(segment, *image);
    if (!status.ok()) return status;
    const bool last = i + 1 == found_.size();
    if (!last && found_[i + 1]->first < end_) {
      return {Code::kCorruption, found_[i + 1]->path + " at offset 0: begins before LSN " +
                                     std::to_string(end_) + ", where " + segment.path + " ends"};
    }
    if (!last && found_[i + 1]->first == end_) continue;
    status = judge_break(i, *image);
    if (!status.ok()) return status;
    return settle(first, i + 1);
  }
}

// Looks for valid frames at every place where one might begin. `at_least` is an LSN that they must exceed.
void Recovery::scan(const std::string& path, const Image& image, uint64_t from_offset, Lsn at_least,
                    Leftovers* out) {
  uint64_t last = from_offset;
  for (uint64_t offset = round_up(from_offset, kFrameAlignment); offset < image.bytes.size();) {
    const std::optional<LogFrame> frame = frame_at(image.bytes, offset, image.id);
    if (!frame || frame->first < at_least) {
      offset += kFrameAlignment;
      continue;
    }
    if (frame->synced > out->synced) {
      out->synced = frame->synced;
      out->synced_at = at(path, offset);
    }
    last = offset = frame->end;
  }
  out->bytes += last - from_offset;
}

Status Recovery::judge_break(size_t broken, const Image& image) {
  const LogSegment& segment = *found_[broken];
  Leftovers left;
  scan(segment.path, image, segment.offset, end_, &left);
  if (left.bytes == 0) {
    // No whole frame, but perhaps a torn one.
    auto torn = torn_frame_end(image.bytes, segment.offset, end_);
    if (!torn) torn = torn_frame_end(image.bytes, round_up(segment.offset, kLogPageBytes), end_);
    if (torn) left.bytes = *torn - segment.offset;
  }
  for (size_t i = broken + 1; i < found_.size(); ++i) {
    Result<Image> later = load(found_[i]->path);
    if (!later.ok()) return later.status();
    scan(found_[i]->path, *later, kFirstFrameOffset, end_, &left);
  }
  if (in_spares_.synced > left.synced) {
    left.synced = in_spares_.synced;
    left.synced_at = in_spares_.synced_at;
  }
  left.bytes += in_spares_.bytes;
  if (left.synced > end_) {
    return {Code::kCorruption, at(segment.path, segment.offset) + ": damaged or missing at LSN " +
                                   std::to_string(end_) + ", though the frame in " + left.synced_at +
                                   " says that the log was synced up to LSN " + std::to_string(left.synced)};
  }
  history_.report.cut_bytes = left.bytes;
  if (left.bytes > 0) history_.report.cut_at = at(segment.path, segment.offset);
  history_.clean = closed_ && left.bytes == 0 && broken + 1 == found_.size();
  return {};
}

// Keeps the first `used` segments, of which those before `needed` were not read, and makes them durable.
Status Recovery::settle(size_t needed, size_t used) {
  if (end_ < from_) {
    // Everything that the log still has is also where `from_` comes from, and there is a gap up to there.
    history_.clean = false;
    used = 0;
    end_ = from_;
  }
  history_.report.end = end_;
  history_.report.clean = history_.clean;
  for (size_t i = 0; i < found_.size(); ++i) {
    LogSegment& segment = *found_[i];
    const bool empty = i + 1 == used && segment.end == segment.first && !history_.clean;
    if (i >= used || empty) {
      useless_.push_back(segment.path);
      continue;
    }
    Result<std::unique_ptr<File>> file = files_.open(segment.path, OpenMode::kReadWrite);
    if (!file.ok()) return file.status();
    Result<uint64_t> size = (*file)->size();
    if (!size.ok()) return size.status();
    segment.bytes = *size;
    if (i < needed) segment.end = found_[i + 1]->first;
    Status status = (*file)->sync();
    if (!status.ok()) return status;
    if (!segment.named) {
      const std::string path = options_.directory + "/" + segment_name(segment.first);
      status = files_.rename(segment.path, path);
      if (!status.ok()) return status;
      segment.path = path;
      segment.named = true;
    }
    history_.segments.push_back(found_[i]);
  }
  for (const std::string& path : useless_) {
    Status status = files_.remove(path);
    if (!status.ok()) return status;
  }
  // Before anything new is written: it will use the LSNs of what was given up.
  return files_.sync_directory(options_.directory);
}

Result<LogHistory> Recovery::run() {
  Status status = find_segments();
  if (!status.ok()) return status;
  if (found_.empty()) {
    if (in_spares_.synced > from_) {
      return Status(Code::kCorruption, in_spares_.synced_at + ": the frames before this one are missing");
    }
    end_ = from_;
    history_.report.cut_bytes = in_spares_.bytes;
    if (in_spares_.bytes > 0) history_.report.cut_at = options_.directory + " at offset 0";
    status = settle(0, 0);
  } else if (const size_t first = first_needed(); first < found_.size()) {
    status = follow(first);
  } else {
    status = {Code::kCorruption, found_[0]->path + " at offset 0: the log begins with LSN " +
                                     std::to_string(found_[0]->first) + ", but is needed from " +
                                     std::to_string(from_)};
  }
  if (!status.ok()) return status;
  return std::move(history_);
}

}  // namespace

Result<LogHistory> recover_log(Env& env, const LogOptions& options, Lsn from, const Log::Replay& replay) {
  return Recovery(env, options, from, replay).run();
}

}  // namespace engine
