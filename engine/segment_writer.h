// engine/segment_writer.h: records into a file that has the form of a log segment, and is no part of a log
// yet.
//
// For what comes from elsewhere (engine/incoming.h) and for what is put aside. Threads: any one at a time;
// everything blocks.
#pragma once

#include <memory>
#include <string>

#include "engine/env.h"
#include "engine/log.h"

namespace engine {

class SegmentWriter {
 public:
  // Errors: as all others, what the file system says; there may be half a file then.
  static Result<std::unique_ptr<SegmentWriter>> create(FileSystem& files, const std::string& path,
                                                       uint64_t id);
  // One frame. It says that all before it is on the disk, which must be true before anybody replays it.
  Status append(const LogChunk& chunk);
  uint64_t bytes() const { return offset_; }
  // Whole pages, as every segment has them, and synced; its name is not.
  Status finish();

 private:
  SegmentWriter(std::unique_ptr<File> file, uint64_t id);
  std::unique_ptr<File> file_;
  const uint64_t id_;
  uint64_t offset_;
};

}  // namespace engine
