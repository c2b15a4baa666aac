// engine/env_posix.h: files, clock and entropy of a real system.
//
// Every Status names the operation, the file, the offset and what the system said; ENOSPC and EDQUOT become
// kNoSpace. A call that a signal interrupts is resumed, a short transfer is continued; a failed fdatasync is
// reported and never repeated.
//
// Caching::kNone is O_DIRECT with 4 KB alignment kept inside: whole pages of aligned memory go straight
// through, anything else by a bounce buffer. Where the file system refuses O_DIRECT (EINVAL at open or at any
// transfer) the file silently becomes a buffered one.
//
// Threads: any; one File as engine/env.h says.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/env.h"

namespace engine {

class PosixFileSystem final : public FileSystem {
 public:
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode, Caching caching) override;
  Result<bool> exists(const std::string& path) override;
  Result<std::vector<std::string>> list(const std::string& directory) override;
  Status make_directory(const std::string& directory) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Status sync_directory(const std::string& directory) override;
  // By flock(), so that it also excludes a second holder in this process. The file holds the pid as text.
  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override;
  Result<uint64_t> free_bytes(const std::string& directory) override;
};

class SystemClock final : public Clock {
 public:
  int64_t wall_ms() const override;
  uint64_t monotonic_us() const override;
};

// getrandom(), a call each.
class SystemEntropy final : public Entropy {
 public:
  uint64_t next() override;
};

}  // namespace engine
