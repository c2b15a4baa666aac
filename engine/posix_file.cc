#include "engine/posix_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace engine {
namespace {

constexpr uint64_t kPage = 4096;
constexpr size_t kBounceBytesMax = 1 << 20;
constexpr size_t kTransferBytesMax = 1 << 30;  // Linux moves at most 2 GB - 4 KB a call.

uint64_t page_of(uint64_t offset) { return offset & ~(kPage - 1); }
uint64_t page_end(uint64_t offset) { return page_of(offset + kPage - 1); }
bool aligned(const void* memory) { return (reinterpret_cast<uintptr_t>(memory) & (kPage - 1)) == 0; }

// Page-aligned memory for one transfer.
class Bounce {
 public:
  explicit Bounce(size_t bytes) : memory_(static_cast<char*>(std::aligned_alloc(kPage, bytes))) {
    INVARIANT(memory_ != nullptr);
  }
  ~Bounce() { std::free(memory_); }
  Bounce(const Bounce&) = delete;
  Bounce& operator=(const Bounce&) = delete;
  char* get() { return memory_; }

 private:
  char* memory_;
};

}  // namespace

PosixFile::PosixFile(std::string path, int fd, uint64_t size, bool direct)
    : path_(std::move(path)),
      fd_(fd),
      direct_(direct),
      tracks_size_(direct),
      size_(size),
      padded_size_(size) {}

PosixFile::~PosixFile() {
  // Whoever wanted to hear of an error has called sync().
  [[maybe_unused]] const Status ignored = trim();
  if (synced_fd_ >= 0) ::close(synced_fd_);
  ::close(fd_);
}

Status PosixFile::error(const char* operation, uint64_t offset, uint64_t length, int code) const {
  return posix_error(std::string(operation) + " " + path_ + " at offset " + std::to_string(offset) + " (" +
                         std::to_string(length) + " bytes)",
                     code);
}

void PosixFile::leave_direct() const {
  const int flags = ::fcntl(fd_, F_GETFL);
  if (flags >= 0) ::fcntl(fd_, F_SETFL, flags & ~O_DIRECT);
  direct_.store(false, std::memory_order_relaxed);
}

Result<size_t> PosixFile::transfer_in(uint64_t offset, char* out, size_t length) const {
  size_t done = 0;
  while (done < length) {
    const size_t want = std::min(length - done, kTransferBytesMax);
    const ssize_t got = ::pread(fd_, out + done, want, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EINVAL && direct()) {
      leave_direct();
      continue;
    }
    if (got < 0) return error("read", offset + done, length - done, errno);
    if (got == 0) break;
    done += static_cast<size_t>(got);
    // An unaligned end under O_DIRECT is the end of the file; asking on from there would be refused.
    if (direct() && done % kPage != 0) break;
  }
  return done;
}

Status PosixFile::transfer_out(uint64_t offset, const char* data, size_t length) {
  size_t done = 0;
  while (done < length) {
    const size_t want = std::min(length - done, kTransferBytesMax);
    const ssize_t put = ::pwrite(fd_, data + done, want, static_cast<off_t>(offset + done));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && errno == EINVAL && direct()) {
      leave_direct();
      continue;
    }
    if (put < 0) return error("write", offset + done, length - done, errno);
    if (put == 0) return error("write", offset + done, length - done, EIO);
    done += static_cast<size_t>(put);
  }
  return {};
}

Result<size_t> PosixFile::read(uint64_t offset, std::span<char> out) const {
  return direct() ? read_direct(offset, out) : transfer_in(offset, out.data(), out.size());
}

Result<size_t> PosixFile::read_direct(uint64_t offset, std::span<char> out) const {
  size_t length = out.size();
  if (padded_size_ > size_) {
    length = offset < size_ ? static_cast<size_t>(std::min<uint64_t>(length, size_ - offset)) : 0;
  }
  if (aligned(out.data()) && offset % kPage == 0 && length % kPage == 0) {
    return transfer_in(offset, out.data(), length);
  }
  const uint64_t span = page_end(offset + length) - page_of(offset);
  Bounce bounce(static_cast<size_t>(std::min<uint64_t>(span, kBounceBytesMax)));
  size_t done = 0;
  while (done < length) {
    const uint64_t at = offset + done;
    const uint64_t from = page_of(at);
    const uint64_t want = std::min<uint64_t>(page_end(offset + length) - from, kBounceBytesMax);
    Result<size_t> got = transfer_in(from, bounce.get(), static_cast<size_t>(want));
    if (!got.ok()) return got;
    const size_t skip = static_cast<size_t>(at - from);
    if (*got <= skip) break;
    const size_t useful = std::min(*got - skip, length - done);
    std::memcpy(out.data() + done, bounce.get() + skip, useful);
    done += useful;
    if (*got < want) break;
  }
  return done;
}

Status PosixFile::write(uint64_t offset, std::string_view data) {
  if (data.empty()) return {};
  if (direct()) return write_direct(offset, data);
  Status status = transfer_out(offset, data.data(), data.size());
  grown_to(offset + data.size());
  return status;
}

void PosixFile::grown_to(uint64_t end) {
  if (!tracks_size_) return;
  size_ = std::max(size_, end);
  padded_size_ = std::max(padded_size_, size_);
}

Status PosixFile::write_direct(uint64_t offset, std::string_view data) {
  while (!data.empty()) {
    const uint64_t page = page_of(offset);
    size_t taken;
    Status status;
    if (offset != page || data.size() < kPage) {
      taken = static_cast<size_t>(std::min<uint64_t>(page + kPage - offset, data.size()));
      status = write_partial_page(page, offset - page, data.substr(0, taken));
    } else if (aligned(data.data())) {
      taken = static_cast<size_t>(page_of(data.size()));
      status = transfer_out(offset, data.data(), taken);
    } else {
      taken = static_cast<size_t>(std::min<uint64_t>(page_of(data.size()), kBounceBytesMax));
      Bounce bounce(taken);
      std::memcpy(bounce.get(), data.data(), taken);
      status = transfer_out(offset, bounce.get(), taken);
    }
    if (!tail_.empty() && tail_offset_ != page && offset <= tail_offset_ && tail_offset_ < offset + taken) {
      tail_.clear();
    }
    offset += taken;
    data.remove_prefix(taken);
    // Also after an error: the range holds anything, and the size is the caller's to judge.
    grown_to(offset);
    if (!status.ok()) {
      tail_.clear();
      return status;
    }
  }
  return {};
}

Status PosixFile::write_partial_page(uint64_t page, uint64_t from, std::string_view data) {
  Bounce bounce(kPage);
  std::memset(bounce.get(), 0, kPage);
  const uint64_t known =
      size_ > page ? std::min(size_ - page, kPage) : 0;  // Bytes of the page that are real.
  if (!tail_.empty() && tail_offset_ == page) {
    std::memcpy(bounce.get(), tail_.data(), kPage);
  } else if (known > 0) {
    Result<size_t> got = transfer_in(page, bounce.get(), kPage);
    if (!got.ok()) return got.status();
    std::memset(bounce.get() + std::min<uint64_t>(*got, known), 0, kPage - std::min<uint64_t>(*got, known));
  }
  std::memcpy(bounce.get() + from, data.data(), data.size());
  Status status = transfer_out(page, bounce.get(), kPage);
  if (!status.ok()) return status;
  padded_size_ = std::max(padded_size_, page + kPage);
  tail_.assign(bounce.get(), kPage);
  tail_offset_ = page;
  return {};
}

Status PosixFile::trim() {
  if (!tracks_size_ || padded_size_ <= size_) return {};
  if (::ftruncate(fd_, static_cast<off_t>(size_)) != 0) return error("truncate", size_, 0, errno);
  padded_size_ = size_;
  return {};
}

Status PosixFile::sync() {
  Status status = trim();
  if (!status.ok()) return status;
  if (::fdatasync(fd_) != 0) return posix_error("sync " + path_, errno);
  return {};
}

Status PosixFile::write_synced(uint64_t offset, std::string_view data) {
  INVARIANT(!tracks_size_ && offset % kPage == 0);
  if (synced_fd_ < 0 && !no_synced_fd_) {
    // Through /proc, for the file may have another name by now.
    const std::string self = "/proc/self/fd/" + std::to_string(fd_);
    synced_fd_ = ::open(self.c_str(), O_WRONLY | O_CLOEXEC | O_DIRECT | O_DSYNC);
    no_synced_fd_ = synced_fd_ < 0;
  }
  while (!no_synced_fd_ && !data.empty()) {
    const auto taken = static_cast<size_t>(std::min<uint64_t>(data.size(), kBounceBytesMax));
    const auto padded = static_cast<size_t>(page_end(taken));
    Bounce bounce(padded);
    std::memcpy(bounce.get(), data.data(), taken);
    std::memset(bounce.get() + taken, 0, padded - taken);
    const ssize_t put = ::pwrite(synced_fd_, bounce.get(), padded, static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && errno == EINVAL) {
      no_synced_fd_ = true;
      break;
    }
    if (put < 0) return error("write", offset, padded, errno);
    if (put == 0 || (static_cast<size_t>(put) < padded && static_cast<size_t>(put) % kPage != 0))
      return error("write", offset, padded, EIO);
    const size_t done = std::min(taken, static_cast<size_t>(put));
    offset += done;
    data.remove_prefix(done);
  }
  if (data.empty()) return {};
  Status status = write(offset, data);
  return status.ok() ? sync() : status;
}

Status PosixFile::allocate(uint64_t offset, uint64_t length) {
  Status status = trim();
  if (!status.ok()) return status;
  int result;
  do result = ::fallocate(fd_, 0, static_cast<off_t>(offset), static_cast<off_t>(length));
  while (result != 0 && errno == EINTR);
  if (result == 0) {
    grown_to(offset + length);
    return {};
  }
  if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL)
    return error("allocate", offset, length, errno);
  // The file system cannot reserve: zeros written behind the end do.
  const std::string zeros(64 << 10, '\0');
  Result<uint64_t> now = size();
  if (!now.ok()) return now.status();
  for (uint64_t at = *now; at < offset + length;) {
    const uint64_t step = std::min<uint64_t>(zeros.size(), offset + length - at);
    status = write(at, std::string_view(zeros).substr(0, static_cast<size_t>(step)));
    if (!status.ok()) return status;
    at += step;
  }
  return trim();
}

Status PosixFile::truncate(uint64_t size) {
  if (::ftruncate(fd_, static_cast<off_t>(size)) != 0) return error("truncate", size, 0, errno);
  if (tracks_size_) size_ = padded_size_ = size;
  tail_.clear();
  return {};
}

Result<uint64_t> PosixFile::size() const {
  if (tracks_size_ && padded_size_ > size_) return size_;
  struct stat info;  // Asked, not remembered: another File of the same path may have grown it.
  if (::fstat(fd_, &info) != 0) return posix_error("stat " + path_, errno);
  return static_cast<uint64_t>(info.st_size);
}

}  // namespace engine
