// engine/env.h: all that the engine knows of the world outside: files, time, randomness, threads.
//
// One implementation on POSIX and libuv (engine/env_posix.h, engine/uv_executor.h), one in memory, seeded
// (engine/sim.h), under which one thread can run everything and cut the power at any step. Nothing
// else in engine/, replication/ or server/ calls the system for these.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/status.h"
#include "engine/task.h"

namespace engine {

// An open file. Threads: any one at a time, but read() may be called by many at once, and sync() may run
// beside write() of a file opened with Caching::kKernel.
class File {
 public:
  virtual ~File() = default;

  // Fills `out` from `offset`; fewer bytes only at the end of the file.
  virtual Result<size_t> read(uint64_t offset, std::span<char> out) const = 0;
  // Writes all of `data` at `offset`, growing the file as needed. After an error the range holds anything.
  // Errors: kNoSpace, kIoError.
  virtual Status write(uint64_t offset, std::string_view data) = 0;
  // Blocks until data and size are on stable storage (fdatasync). Never retry a failed one: the kernel may
  // have dropped the dirty pages, and the second call would report success for bytes that are gone.
  virtual Status sync() = 0;
  // Writes `data` and returns when it is on stable storage; says nothing of other writes. Quicker than
  // write() and sync() where the system can write past its cache. Requires: the range lies within the file's
  // durable size; `offset` is a multiple of 4096, and nobody else's bytes lie in the rest of the last 4096:
  // they may become zeros. Errors: as write(), and never retried, as sync().
  virtual Status write_synced(uint64_t offset, std::string_view data) = 0;
  // Reserves disk space for the range and extends the file over it, reading as zeros.
  virtual Status allocate(uint64_t offset, uint64_t length) = 0;
  virtual Status truncate(uint64_t size) = 0;
  virtual Result<uint64_t> size() const = 0;
  virtual const std::string& path() const = 0;
  // What the system knows the file by, if whole pages of it can be read past the page cache; -1 if not.
  virtual int page_descriptor() const { return -1; }
};

// A read of whole pages for Executor::begin(). Offset, size and memory are multiples of 4096.
class PageRead {
 public:
  virtual ~PageRead() = default;
  // On the reactor: so many bytes have come, fewer than asked for at the end of the file, negative if the
  // read failed. Why it did is for File::read() to say, or to do better. The executor does not touch it any
  // more.
  virtual void ended(int64_t got) = 0;

  const File* file = nullptr;
  uint64_t offset = 0;
  std::span<char> out;
};

enum class OpenMode : unsigned char {
  kRead,       // Must exist. Read only.
  kReadWrite,  // Must exist.
  kCreate,     // Must not exist; durable only after a sync_dir() of its directory.
};
enum class Caching : unsigned char {
  kKernel,  // Through the page cache.
  kNone,    // Past it (O_DIRECT) where the file system allows; the implementation does any aligning.
};

// Held while it lives; the file stays behind.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

// Paths are relative to the process or absolute; a directory has no trailing slash. Threads: any.
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode,
                                             Caching caching = Caching::kKernel) = 0;
  virtual Result<bool> exists(const std::string& path) = 0;
  // The names (not paths) in a directory, sorted, without . and ..
  virtual Result<std::vector<std::string>> list(const std::string& directory) = 0;
  virtual Status make_directory(
      const std::string& directory) = 0;  // An existing one is OK; parents must exist.
  virtual Status rename(const std::string& from, const std::string& to) = 0;  // Replaces `to`.
  virtual Status remove(const std::string& path) = 0;
  // Makes creations, renames and removals in the directory durable.
  virtual Status sync_directory(const std::string& directory) = 0;
  // Errors: kBusy, naming the pid that holds it.
  virtual Result<std::unique_ptr<FileLock>> lock(const std::string& path) = 0;
  virtual Result<uint64_t> free_bytes(const std::string& directory) = 0;
};

class Clock {
 public:
  virtual ~Clock() = default;
  virtual int64_t wall_ms() const = 0;        // Unix time; may jump.
  virtual uint64_t monotonic_us() const = 0;  // Never goes back; its zero means nothing.
};

class Entropy {
 public:
  virtual ~Entropy() = default;
  virtual uint64_t next() = 0;
};

// Lanes in falling order of urgency. Lower ones are served only as workers are free of higher ones, and
// never by so many workers that a sync or a cold read would have to wait for them.
enum class Lane : unsigned char { kLog, kColdRead, kFlush, kLongRead, kCompaction };
inline constexpr int kLanes = 5;

// Threads: submit(), begin() and post() on the reactor only, report() within `work` only.
class Executor {
 public:
  virtual ~Executor() = default;
  // Runs `work` on a worker, then `done` on the reactor. Both always run, also during shutdown.
  virtual void submit(Lane lane, Task work, Task done) = 0;
  // Begins a read that needs no worker; its ended() is called after the present call has returned, also
  // during shutdown. False: not here, not of this file or not now; `read` is untouched, and a worker has to.
  virtual bool begin(PageRead& /*read*/) { return false; }
  // Runs `task` on the reactor, after the present call has returned and soon.
  virtual void post(Task task) = 0;
  // For work that goes on: runs `task` on the reactor, soon, and before the job's `done`.
  virtual void report(Task task) = 0;
  // For work that looks out for more: lets a microsecond pass, or others run where there are any.
  virtual void yield() {}
};

struct Env {
  FileSystem& files;
  Clock& clock;
  Entropy& entropy;
  Executor& executor;
};

}  // namespace engine
