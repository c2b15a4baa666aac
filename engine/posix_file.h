// engine/posix_file.h: one open file of a real system, buffered or past the page cache.
//
// Direct transfers need file offset, length and memory aligned to a page, and a caller's writes need not be.
// So a write that does not end on a page writes its last page padded with zeros, remembers that page (the
// next append then needs no read), and the padding is trimmed off by sync(), truncate(), allocate() or the
// end of the File. Reads are clamped to the size that the caller knows.
//
// write_synced() has a descriptor of its own, O_DIRECT and O_DSYNC: on space that was written before one such
// write costs the device's latency and no more, a half to a third of pwrite() and fdatasync().
//
// Not here: names, directories, locks (engine/env_posix.h).
#pragma once

#include <atomic>
#include <string>

#include "engine/env.h"

namespace engine {

// "what: No space left on device", with the code that fits.
Status posix_error(const std::string& what, int error);

class PosixFile final : public File {
 public:
  // Takes over `fd`, opened with O_DIRECT if `direct`.
  PosixFile(std::string path, int fd, uint64_t size, bool direct);
  ~PosixFile() override;
  PosixFile(const PosixFile&) = delete;
  PosixFile& operator=(const PosixFile&) = delete;

  Result<size_t> read(uint64_t offset, std::span<char> out) const override;
  Status write(uint64_t offset, std::string_view data) override;
  Status sync() override;
  Status write_synced(uint64_t offset, std::string_view data) override;
  Status allocate(uint64_t offset, uint64_t length) override;
  Status truncate(uint64_t size) override;
  Result<uint64_t> size() const override;
  const std::string& path() const override { return path_; }
  // A file that is being written has bytes that its size does not tell of.
  int page_descriptor() const override { return direct() && padded_size_ == size_ ? fd_ : -1; }

  bool direct() const { return direct_.load(std::memory_order_relaxed); }

 private:
  Status error(const char* operation, uint64_t offset, uint64_t length, int code) const;
  // Loops of pread and pwrite. An EINVAL under O_DIRECT turns it off and goes on.
  Result<size_t> transfer_in(uint64_t offset, char* out, size_t length) const;
  Status transfer_out(uint64_t offset, const char* data, size_t length);
  Result<size_t> read_direct(uint64_t offset, std::span<char> out) const;
  Status write_direct(uint64_t offset, std::string_view data);
  Status write_partial_page(uint64_t page, uint64_t from, std::string_view data);
  void grown_to(uint64_t end);
  Status trim();
  void leave_direct() const;

  const std::string path_;
  const int fd_;
  int synced_fd_ = -1;                // The same file, opened O_DIRECT | O_DSYNC by the first write_synced().
  bool no_synced_fd_ = false;         // The file system has no such thing.
  mutable std::atomic<bool> direct_;  // Turned off by whichever reader or writer is refused first.
  const bool tracks_size_;            // Opened direct. A buffered file's size is the system's alone, so that
                                      // sync() may run beside write().
  uint64_t size_;                     // As the caller knows it. Like the rest below, of direct files only.
  uint64_t padded_size_;              // As the system knows it; more than size_ until trim().
  std::string tail_;                  // The page at tail_offset_ as last written, or empty.
  uint64_t tail_offset_ = 0;
};

}  // namespace engine
