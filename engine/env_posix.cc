#include "engine/env_posix.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <system_error>

#include "engine/posix_file.h"

namespace engine {
namespace {

Status failed(const char* operation, const std::string& path, int error) {
  return posix_error(std::string(operation) + " " + path, error);
}

class PosixLock final : public FileLock {
 public:
  explicit PosixLock(int fd) : fd_(fd) {}
  ~PosixLock() override { ::close(fd_); }

 private:
  int fd_;
};

std::string pid_in(int fd) {
  char text[32] = {};
  const ssize_t n = ::pread(fd, text, sizeof text - 1, 0);
  std::string pid(text, n > 0 ? static_cast<size_t>(n) : 0);
  pid.resize(std::min(pid.size(), pid.find_first_not_of("0123456789")));
  return pid;
}

}  // namespace

Status posix_error(const std::string& what, int error) {
  const bool full = error == ENOSPC || error == EDQUOT;
  return {full ? Code::kNoSpace : Code::kIoError, what + ": " + std::generic_category().message(error)};
}

Result<std::unique_ptr<File>> PosixFileSystem::open(const std::string& path, OpenMode mode, Caching caching) {
  int flags = O_CLOEXEC | (mode == OpenMode::kRead ? O_RDONLY : O_RDWR);
  if (mode == OpenMode::kCreate) flags |= O_CREAT | O_EXCL;
  const auto open_with = [&path](int all_flags) {
    int fd;
    do fd = ::open(path.c_str(), all_flags, 0600);
    while (fd < 0 && errno == EINTR);
    return fd;
  };
  bool direct = caching == Caching::kNone;
  int fd = open_with(flags | (direct ? O_DIRECT : 0));
  if (fd < 0 && errno == EINVAL && direct) {
    direct = false;
    fd = open_with(flags & ~O_EXCL);  // Linux refuses only after it has made the file: it is ours, and empty.
  }
  if (fd < 0) return failed(mode == OpenMode::kCreate ? "create" : "open", path, errno);
  struct stat info;
  if (::fstat(fd, &info) != 0) {
    const int error = errno;
    ::close(fd);
    return failed("stat", path, error);
  }
  return std::unique_ptr<File>(
      std::make_unique<PosixFile>(path, fd, static_cast<uint64_t>(info.st_size), direct));
}

Result<bool> PosixFileSystem::exists(const std::string& path) {
  struct stat info;
  if (::stat(path.c_str(), &info) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  return failed("stat", path, errno);
}

Result<std::vector<std::string>> PosixFileSystem::list(const std::string& directory) {
  DIR* stream = ::opendir(directory.c_str());
  if (stream == nullptr) return failed("list", directory, errno);
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(stream);
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  const int error = errno;
  ::closedir(stream);
  if (error != 0) return failed("list", directory, error);
  std::sort(names.begin(), names.end());
  return names;
}

Status PosixFileSystem::make_directory(const std::string& directory) {
  if (::mkdir(directory.c_str(), 0750) == 0) return {};
  const int error = errno;
  struct stat info;
  if (error == EEXIST && ::stat(directory.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return {};
  return failed("make directory", directory, error);
}

Status PosixFileSystem::rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) == 0) return {};
  return failed("rename", from + " to " + to, errno);
}

Status PosixFileSystem::remove(const std::string& path) {
  if (::unlink(path.c_str()) == 0) return {};
  if (errno == EISDIR && ::rmdir(path.c_str()) == 0) return {};
  return failed("remove", path, errno);
}

Status PosixFileSystem::sync_directory(const std::string& directory) {
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return failed("open directory", directory, errno);
  const int error = ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  if (error != 0) return failed("sync directory", directory, error);
  return {};
}

Result<std::unique_ptr<FileLock>> PosixFileSystem::lock(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return failed("open lock file", path, errno);
  auto lock = std::make_unique<PosixLock>(fd);
  int result;
  do result = ::flock(fd, LOCK_EX | LOCK_NB);
  while (result != 0 && errno == EINTR);
  if (result != 0 && errno == EWOULDBLOCK) {
    const std::string pid = pid_in(fd);
    return Status(Code::kBusy, path + " is held by " + (pid.empty() ? "another process" : "process " + pid));
  }
  if (result != 0) return failed("lock", path, errno);
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(fd, 0) != 0 ||
      ::pwrite(fd, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    return failed("write pid to", path, errno);
  }
  return std::unique_ptr<FileLock>(std::move(lock));
}

Result<uint64_t> PosixFileSystem::free_bytes(const std::string& directory) {
  struct statvfs info;
  if (::statvfs(directory.c_str(), &info) != 0) return failed("ask free space of", directory, errno);
  return static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
}

int64_t SystemClock::wall_ms() const {
  timespec now;
  INVARIANT(::clock_gettime(CLOCK_REALTIME, &now) == 0);
  return now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
}

uint64_t SystemClock::monotonic_us() const {
  timespec now;
  INVARIANT(::clock_gettime(CLOCK_MONOTONIC, &now) == 0);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
}

uint64_t SystemEntropy::next() {
  uint64_t value;
  ssize_t got;
  do got = ::getrandom(&value, sizeof value, 0);
  while (got < 0 && errno == EINTR);
  INVARIANT(got == sizeof value);  // Up to 256 bytes come whole (getrandom(2)).
  return value;
}

}  // namespace engine
