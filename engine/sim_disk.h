// engine/sim_disk.h: a disk in memory whose power can be cut.
//
// A file has a durable content and a list of writes and size changes since its last sync(); a directory entry
// has a durable state and a list of creations, renames and removals since the last sync_directory(). What
// running code sees is all of it; crash() makes the disk that a reboot might find:
//
//     unsynced writes     each 512-byte sector or 4 KB page of each write is there or not, in any order
//     unsynced sizes      the durable size, or that after any later change
//     unsynced entries    each creation, rename and removal has happened or not; a rename is never half done
//
// Faults: the power cut at the n-th operation, an operation that fails once or from then on, a capacity,
// damaged bytes. After a failed sync() the unsynced writes are in the state of Linux's page cache: still
// read, no longer dirty, so that no later sync() makes them durable; opening the file with Caching::kNone
// evicts them.
//
// Everything follows from the calls and the seeds. Threads: one.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "engine/env.h"

namespace engine {

struct CrashOptions {
  bool junk = false;  // A sector that was being written may hold neither the old nor the new bytes.
};

class SimDisk final : public FileSystem {
 public:
  SimDisk();
  ~SimDisk() override;

  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode, Caching caching) override;
  Result<bool> exists(const std::string& path) override;
  Result<std::vector<std::string>> list(const std::string& directory) override;
  Status make_directory(const std::string& directory) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Status sync_directory(const std::string& directory) override;
  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override;
  Result<uint64_t> free_bytes(const std::string& directory) override;

  // A disk as a power cut now might leave it. This one is unchanged and may be crashed again by another seed.
  std::unique_ptr<SimDisk> crash(uint64_t seed, CrashOptions options = {}) const;
  // A disk as it is now, as after a clean shutdown of the machine: everything is durable.
  std::unique_ptr<SimDisk> copy() const;

  // The operations that change something, in order, as "write /d/1.log 4096+120": what an exhaustive test
  // counts. Reads are counted apart.
  const std::vector<std::string>& operations() const { return operations_; }
  uint64_t reads() const { return reads_; }

  static constexpr uint64_t kNever = std::numeric_limits<uint64_t>::max();
  // From the n-th operation on (counted from 0 since the disk was made) nothing has an effect and every call
  // fails.
  void cut_power_at(uint64_t n) { cut_power_at_ = n; }
  bool power_is_cut() const { return power_is_cut_; }
  // The n-th operation fails with kIoError, and if `forever` all after it. A failed write may be half done.
  void fail_operation(uint64_t n, bool forever) { fail_operation_ = n, fail_forever_ = forever; }
  // Every operation whose text begins so fails, as "rename" or "sync /d/1.log".
  void fail_operations(std::string prefix) { fail_prefix_ = std::move(prefix); }
  void fail_read(uint64_t n, bool forever) { fail_read_ = n, fail_reads_forever_ = forever; }
  void no_faults();
  // Bytes that all files together may have; beyond them kNoSpace.
  void set_capacity(uint64_t bytes) { capacity_ = bytes; }
  uint64_t used_bytes() const;

  // Calls `f` as each write and sync begins, before it has an effect: what another thread does while this one
  // waits for the disk. What `f` itself does here calls nobody.
  void during_io(std::function<void()> f) { during_io_ = std::move(f); }

  // Behind the running code's back; both require that the file exists. Changes are durable at once.
  std::string contents(const std::string& path) const;
  void set_contents(const std::string& path, std::string contents);
  void flip_bit(const std::string& path, uint64_t byte, int bit);

 private:
  friend class SimFile;
  struct Inode;
  struct EntryChange;
  struct Locks;
  using Entries = std::map<std::string, std::shared_ptr<Inode>>;

  // Counts an operation; an error if it must fail without effect.
  Status begin(std::string operation);
  Status begin_read(const std::string& operation) const;
  Status grow(Inode& inode, uint64_t size);
  Status need_directory_of(const std::string& path) const;
  const std::shared_ptr<Inode>* find(const std::string& path) const;
  static void apply(Entries& entries, const EntryChange& change);

  Entries entries_;  // As seen. A directory is an entry without an inode.
  Entries durable_entries_;
  std::vector<EntryChange> entry_changes_;  // Since each directory's last sync, in order.

  std::vector<std::string> operations_;
  mutable uint64_t reads_ = 0;
  uint64_t cut_power_at_ = kNever;
  mutable bool power_is_cut_ = false;
  uint64_t fail_operation_ = kNever;
  bool fail_forever_ = false;
  std::string fail_prefix_;
  uint64_t fail_read_ = kNever;
  bool fail_reads_forever_ = false;
  std::function<void()> during_io_;
  uint64_t capacity_ = kNever;
  std::shared_ptr<Locks> locks_;
};

}  // namespace engine
