#include "engine/segment_writer.h"

#include "engine/log_format.h"

namespace engine {

SegmentWriter::SegmentWriter(std::unique_ptr<File> file, uint64_t id)
    : file_(std::move(file)), id_(id), offset_(kFirstFrameOffset) {}

Result<std::unique_ptr<SegmentWriter>> SegmentWriter::create(FileSystem& files, const std::string& path,
                                                             uint64_t id) {
  auto file = files.open(path, OpenMode::kCreate);
  if (!file.ok()) return file.status();
  if (Status s = (*file)->write(0, segment_header(id)); !s.ok()) return s;
  return std::unique_ptr<SegmentWriter>(new SegmentWriter(std::move(file).value(), id));
}

Status SegmentWriter::append(const LogChunk& chunk) {
  std::string frame(kFrameHeaderBytes, '\0');
  frame += chunk.payload;
  seal_frame(frame, id_, chunk.first, chunk.first);
  if (Status s = file_->write(offset_, frame); !s.ok()) return s;
  offset_ += frame.size();
  return {};
}

Status SegmentWriter::finish() {
  if (Status s = file_->truncate(round_up(offset_, kLogPageBytes)); !s.ok()) return s;
  return file_->sync();
}

}  // namespace engine
