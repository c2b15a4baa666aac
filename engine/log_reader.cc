#include "engine/log_reader.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "engine/log_format.h"
#include "engine/log_segments.h"

namespace engine {
namespace {

constexpr uint64_t kReadBytes = 256 << 10;

}  // namespace

// Reads frames of one segment.
struct LogReader::Job {
  FileSystem* files = nullptr;
  std::string path;
  bool named = false;
  std::shared_ptr<File> file;
  uint64_t id = 0;
  uint64_t offset = 0;
  Lsn at = 0;     // Of the frame at `offset`.
  Lsn want = 0;   // The first record that is wanted,
  Lsn until = 0;  // and where the segment can be read no further.
  uint64_t bytes = 0;
  LogChunk chunk;
  Status status;
  bool opened = false;
  std::function<void(Result<LogChunk>)> done;

  void run() {
    status = open();
    opened = status.ok();
    if (status.ok()) status = read();
  }

  Status open() {
    if (file) return {};
    auto made = files->open(path, OpenMode::kRead);
    if (!made.ok()) return made.status();
    file = std::move(made).value();
    std::string header(kSegmentHeaderBytes, '\0');
    auto got = file->read(0, header);
    if (!got.ok()) return got.status();
    auto parsed = parse_segment_header(path, std::string_view(header).substr(0, *got));
    if (!parsed.ok()) return parsed.status();
    id = *parsed;
    return {};
  }

  Status read() {
    chunk.first = chunk.end = want;
    std::string buffer;
    uint64_t base = offset;  // Where in the file the buffer begins.
    while (at < until && chunk.payload.size() < bytes) {
      std::optional<LogFrame> frame;
      // The next frame, here or on the next page; a longer one than was read is read again, whole.
      for (const uint64_t place : {offset, round_up(offset, kLogPageBytes)}) {
        if (Status s = fill(place, &base, &buffer); !s.ok()) return s;
        frame = frame_at(buffer, place - base, id);
        if (frame && frame->first == at) break;
        frame.reset();
      }
      if (!frame) {
        return {Code::kCorruption, path + " at offset " + std::to_string(offset) +
                                       ": no frame there that begins with LSN " + std::to_string(at)};
      }
      // One without records: here the log was closed, and then opened again.
      if (Status s = take(*frame); !s.ok()) return s;
      offset = round_up(base + frame->end, kFrameAlignment);
    }
    return {};
  }

  // Sees that the buffer holds all of the frame at `place`, as far as its header can be believed.
  Status fill(uint64_t place, uint64_t* base, std::string* buffer) {
    uint64_t need = kFrameHeaderBytes;
    for (int round = 0; round < 2; ++round) {
      const bool there = place >= *base && place + need <= *base + buffer->size();
      if (!there) {
        buffer->resize(std::max(kReadBytes, need));
        auto got = file->read(place, *buffer);
        if (!got.ok()) return got.status();
        buffer->resize(*got);
        *base = place;
      }
      const auto end = torn_frame_end(*buffer, place - *base, at);
      uint64_t length = 0;
      if (!end) return {};
      std::memcpy(&length, buffer->data() + (place - *base) + 8, sizeof length);
      if (length > until - at + (until - at) * kRecordPrefixBytesMax) return {};  // Not a frame of ours.
      need = kFrameHeaderBytes + length;
    }
    return {};
  }

  Status take(const LogFrame& frame) {
    std::string_view rest = frame.payload;
    while (!rest.empty()) {
      const std::string_view before = rest;
      const auto record = next_record(rest);
      if (!record) {
        return {Code::kCorruption,
                path + " at offset " + std::to_string(offset) + ": a frame whose records do not parse"};
      }
      if (at >= want) chunk.payload.append(before.substr(0, before.size() - rest.size()));
      at += record->size();
      if (at > want && chunk.payload.empty()) {
        return {Code::kInvalid, "no record of the log begins at LSN " + std::to_string(want)};
      }
    }
    chunk.end = std::max(chunk.end, at);
    return {};
  }
};

LogReader::LogReader(Env& env, Log& log, Lsn from)
    : env_(env), log_(log), pin_(log.pin(from)), self_(std::make_shared<LogReader*>(this)) {}

LogReader::~LogReader() { *self_ = nullptr; }

bool LogReader::take(LogChunk* chunk) {
  INVARIANT(!busy_);
  if (!log_.recent(position(), chunk)) return false;
  pin_->advance(chunk->end);
  return true;
}

void LogReader::fetch(uint64_t bytes, std::function<void(Result<LogChunk>)> done) {
  INVARIANT(!busy_ && !at_end());
  busy_ = true;
  auto job = std::make_shared<Job>();
  job->done = std::move(done);
  job->want = position();
  const auto segment = log_.find_segment(position(), &job->until);
  if (segment == nullptr) {
    job->status = {Code::kInvalid, "the log begins behind LSN " + std::to_string(position())};
    env_.executor.post([self = self_, job] {
      if (*self != nullptr) (*self)->finish(*job);
    });
    return;
  }
  if (segment_ != segment || offset_lsn_ > position()) {
    segment_ = segment;
    file_.reset();
    offset_ = kFirstFrameOffset;
    offset_lsn_ = segment->first;
  }
  job->files = &env_.files;
  job->path = segment->path;
  job->named = segment->named;
  job->file = file_;
  job->id = segment_id_;
  job->offset = offset_;
  job->at = offset_lsn_;
  job->bytes = bytes;
  env_.executor.submit(
      Lane::kColdRead, [job] { job->run(); },
      [job, self = self_] {
        if (*self != nullptr) (*self)->finish(*job);
      });
}

void LogReader::finish(Job& job) {
  busy_ = false;
  if (!job.status.ok()) {
    // It may have been given its name while the worker looked for the old one.
    const bool renamed = !job.opened && !job.path.empty() && !job.named;
    file_.reset();
    segment_.reset();
    if (renamed) return fetch(job.bytes, std::move(job.done));
    return job.done(std::move(job.status));
  }
  file_ = std::move(job.file);
  segment_id_ = job.id;
  offset_ = job.offset;
  offset_lsn_ = job.at;
  pin_->advance(job.chunk.end);
  job.done(std::move(job.chunk));
}

}  // namespace engine
