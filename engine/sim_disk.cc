#include "engine/sim_disk.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/sim.h"

namespace engine {
namespace {

constexpr uint64_t kSector = 512;
constexpr uint64_t kPage = 4096;

std::string parent_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

bool is_root(const std::string& directory) {
  return directory == "." || directory == "/" || directory.empty();
}

}  // namespace

struct SimDisk::Inode {
  // A write (data) or a change of size (no data).
  struct Change {
    uint64_t offset;
    std::string data;
    uint64_t size_after;
    bool doomed = false;  // A sync of it has failed; none will succeed.
  };

  std::string data;     // As seen.
  std::string durable;  // As of the last successful sync.
  std::vector<Change> changes;

  void add(uint64_t offset, std::string bytes) {
    const uint64_t size = std::max<uint64_t>(data.size(), offset + bytes.size());
    data.resize(size);
    data.replace(offset, bytes.size(), bytes);
    changes.push_back({offset, std::move(bytes), size});
  }
  void resize(uint64_t size) {
    data.resize(size);
    changes.push_back({size, {}, size});
  }
  void sync() {
    std::vector<Change> doomed;
    for (Change& change : changes) {
      if (change.doomed) {
        doomed.push_back(std::move(change));
        continue;
      }
      durable.resize(change.size_after);
      durable.replace(change.offset, change.data.size(), change.data);
    }
    changes = std::move(doomed);
  }
  // The last write alone; what was written before it elsewhere stays as it is.
  void sync_last() {
    durable.replace(changes.back().offset, changes.back().data.size(), changes.back().data);
    changes.pop_back();
  }
  // What a failed sync left in the page cache alone is forgotten: the file reads as the disk has it.
  void evict() {
    if (std::none_of(changes.begin(), changes.end(), [](const Change& change) { return change.doomed; }))
      return;
    std::erase_if(changes, [](const Change& change) { return change.doomed; });
    data = durable;
    for (const Change& change : changes) {
      data.resize(std::max(change.size_after, change.offset + change.data.size()));
      data.replace(change.offset, change.data.size(), change.data);
    }
  }
  std::string crashed(SimEntropy& entropy, CrashOptions options) const;
};

// What a power cut may leave of the file. The style is drawn first, so that the extremes come up often
// enough.
std::string SimDisk::Inode::crashed(SimEntropy& entropy, CrashOptions options) const {
  const uint64_t style = entropy.below(6);
  if (style == 0) return durable;
  if (style == 1) return data;
  const uint64_t unit = entropy.below(2) == 0 ? kSector : kPage;
  const uint64_t kept_of_100 = style == 2 ? 50 : style == 3 ? 90 : 10;
  const bool in_order = style == 4;  // A prefix of the changes, only the last of them torn.

  uint64_t size = durable.size();
  const uint64_t size_choice = entropy.below(changes.size() + 1);
  const size_t prefix = in_order ? static_cast<size_t>(size_choice) : changes.size();
  if (size_choice > 0) size = changes[static_cast<size_t>(size_choice) - 1].size_after;

  std::vector<size_t> order(prefix);
  for (size_t i = 0; i < prefix; ++i) order[i] = i;
  if (!in_order) {
    for (size_t i = prefix; i > 1; --i) std::swap(order[i - 1], order[static_cast<size_t>(entropy.below(i))]);
  }
  std::string result = durable;
  for (const size_t i : order) {
    const Change& change = changes[i];
    const uint64_t end = change.offset + change.data.size();
    if (result.size() < end) result.resize(end);
    for (uint64_t at = change.offset; at < end;) {
      const uint64_t next = std::min(end, (at / unit + 1) * unit);
      const bool whole = in_order && i + 1 < prefix;
      if (whole || entropy.below(100) < kept_of_100) {
        result.replace(at, next - at, change.data, at - change.offset, next - at);
      } else if (options.junk && entropy.below(4) == 0) {
        // The whole sector is lost, neighbours of the written range included.
        const uint64_t from = at / kSector * kSector;
        for (uint64_t b = from; b < std::min<uint64_t>(result.size(), from + kSector); ++b) {
          result[b] = static_cast<char>(entropy.next());
        }
      }
      at = next;
    }
  }
  result.resize(size);
  return result;
}

// One change of one or two names.
struct SimDisk::EntryChange {
  enum Kind : unsigned char { kAdd, kRemove, kRename } kind;
  std::string name;
  std::string to;                // kRename.
  std::shared_ptr<Inode> inode;  // Null for a directory.

  bool touches(const std::string& directory) const {
    return parent_of(name) == directory || (kind == kRename && parent_of(to) == directory);
  }
};

struct SimDisk::Locks {
  std::set<std::string> held;
};

void SimDisk::apply(Entries& entries, const EntryChange& change) {
  switch (change.kind) {
    case EntryChange::kAdd: entries[change.name] = change.inode; break;
    case EntryChange::kRemove: entries.erase(change.name); break;
    case EntryChange::kRename:
      if (const auto old = entries.find(change.name); old != entries.end() && old->second == change.inode) {
        entries.erase(old);
      }
      entries[change.to] = change.inode;
      break;
  }
}

class SimFile final : public File {
 public:
  SimFile(SimDisk& disk, std::string path, std::shared_ptr<SimDisk::Inode> inode, bool writable)
      : disk_(disk), path_(std::move(path)), inode_(std::move(inode)), writable_(writable) {}

  Result<size_t> read(uint64_t offset, std::span<char> out) const override {
    Status status = disk_.begin_read("read " + path_ + " at offset " + std::to_string(offset));
    if (!status.ok()) return status;
    if (offset >= inode_->data.size()) return size_t{0};
    const size_t n = std::min<size_t>(out.size(), inode_->data.size() - offset);
    std::memcpy(out.data(), inode_->data.data() + offset, n);
    return n;
  }
  Status write(uint64_t offset, std::string_view data) override {
    INVARIANT(writable_);
    Status status = disk_.begin("write " + range(offset, data.size()));
    if (!status.ok()) {
      if (!disk_.power_is_cut() && data.size() > 1 && offset + data.size() / 2 <= inode_->data.size()) {
        inode_->add(offset, std::string(data.substr(0, data.size() / 2)));
      }
      return status;
    }
    status = disk_.grow(*inode_, offset + data.size());
    if (!status.ok()) return status;
    inode_->add(offset, std::string(data));
    return {};
  }
  Status sync() override {
    Status status = disk_.begin("sync " + path_);
    if (status.ok()) {
      inode_->sync();
    } else {
      for (auto& change : inode_->changes) change.doomed = true;
    }
    return status;
  }
  Status write_synced(uint64_t offset, std::string_view data) override {
    INVARIANT(offset % kPage == 0 && offset + data.size() <= inode_->durable.size());
    Status status = write(offset, data);
    if (!status.ok()) return status;
    status = disk_.begin("sync " + path_);
    if (status.ok()) {
      inode_->sync_last();
    } else {
      inode_->changes.back().doomed = true;
    }
    return status;
  }
  Status allocate(uint64_t offset, uint64_t length) override {
    INVARIANT(writable_);
    Status status = disk_.begin("allocate " + range(offset, length));
    if (!status.ok() || offset + length <= inode_->data.size()) return status;
    status = disk_.grow(*inode_, offset + length);
    if (status.ok()) inode_->resize(offset + length);
    return status;
  }
  Status truncate(uint64_t size) override {
    INVARIANT(writable_);
    Status status = disk_.begin("truncate " + range(size, 0));
    if (status.ok()) status = disk_.grow(*inode_, size);
    if (status.ok()) inode_->resize(size);
    return status;
  }
  Result<uint64_t> size() const override {
    Status status = disk_.begin_read("stat " + path_);
    if (!status.ok()) return status;
    return static_cast<uint64_t>(inode_->data.size());
  }
  const std::string& path() const override { return path_; }

 private:
  std::string range(uint64_t offset, uint64_t length) const {
    return path_ + " at offset " + std::to_string(offset) + "+" + std::to_string(length);
  }

  SimDisk& disk_;
  const std::string path_;
  const std::shared_ptr<SimDisk::Inode> inode_;
  const bool writable_;
};

SimDisk::SimDisk() : locks_(std::make_shared<Locks>()) {}
SimDisk::~SimDisk() = default;

void SimDisk::no_faults() {
  cut_power_at_ = fail_operation_ = fail_read_ = capacity_ = kNever;
  fail_forever_ = fail_reads_forever_ = power_is_cut_ = false;
  fail_prefix_.clear();
}

Status SimDisk::begin(std::string operation) {
  if (during_io_ && (operation.starts_with("write ") || operation.starts_with("sync "))) {
    const std::function<void()> f = std::exchange(during_io_, nullptr);
    f();
    during_io_ = f;
  }
  const uint64_t n = operations_.size();
  operations_.push_back(operation);
  if (n >= cut_power_at_) {
    power_is_cut_ = true;
    return {Code::kIoError, operation + ": the power is cut"};
  }
  const bool of_kind = !fail_prefix_.empty() && operation.starts_with(fail_prefix_);
  if (of_kind || n == fail_operation_ || (fail_forever_ && n > fail_operation_)) {
    return {Code::kIoError, operation + ": injected failure"};
  }
  return {};
}

Status SimDisk::begin_read(const std::string& operation) const {
  const uint64_t n = reads_++;
  if (operations_.size() > cut_power_at_) return {Code::kIoError, operation + ": the power is cut"};
  if (n == fail_read_ || (fail_reads_forever_ && n > fail_read_)) {
    return {Code::kIoError, operation + ": injected failure"};
  }
  return {};
}

uint64_t SimDisk::used_bytes() const {
  uint64_t sum = 0;
  for (const auto& [path, inode] : entries_) sum += inode == nullptr ? 0 : inode->data.size();
  return sum;
}

Status SimDisk::grow(Inode& inode, uint64_t size) {
  if (size <= inode.data.size() || capacity_ == kNever) return {};
  const uint64_t more = size - inode.data.size();
  if (used_bytes() + more <= capacity_) return {};
  return {Code::kNoSpace, operations_.back() + ": No space left on device"};
}

const std::shared_ptr<SimDisk::Inode>* SimDisk::find(const std::string& path) const {
  const auto found = entries_.find(path);
  return found == entries_.end() || found->second == nullptr ? nullptr : &found->second;
}

Status SimDisk::need_directory_of(const std::string& path) const {
  const std::string directory = parent_of(path);
  if (is_root(directory)) return {};
  const auto found = entries_.find(directory);
  if (found != entries_.end() && found->second == nullptr) return {};
  return {Code::kIoError, path + ": No such directory"};
}

Result<std::unique_ptr<File>> SimDisk::open(const std::string& path, OpenMode mode, Caching caching) {
  if (mode != OpenMode::kCreate) {
    Status status = begin_read("open " + path);
    if (!status.ok()) return status;
    const auto* inode = find(path);
    if (inode == nullptr) return Status(Code::kIoError, "open " + path + ": No such file or directory");
    if (caching == Caching::kNone) (*inode)->evict();
    return std::unique_ptr<File>(
        std::make_unique<SimFile>(*this, path, *inode, mode == OpenMode::kReadWrite));
  }
  Status status = begin("create " + path);
  if (status.ok()) status = need_directory_of(path);
  if (!status.ok()) return status;
  if (entries_.contains(path)) return Status(Code::kIoError, "create " + path + ": File exists");
  auto inode = std::make_shared<Inode>();
  entry_changes_.push_back({EntryChange::kAdd, path, {}, inode});
  apply(entries_, entry_changes_.back());
  return std::unique_ptr<File>(std::make_unique<SimFile>(*this, path, inode, true));
}

Result<bool> SimDisk::exists(const std::string& path) {
  Status status = begin_read("stat " + path);
  if (!status.ok()) return status;
  return entries_.contains(path) || is_root(path);
}

Result<std::vector<std::string>> SimDisk::list(const std::string& directory) {
  Status status = begin_read("list " + directory);
  if (!status.ok()) return status;
  if (!is_root(directory)) {
    const auto found = entries_.find(directory);
    if (found == entries_.end() || found->second != nullptr) {
      return Status(Code::kIoError, "list " + directory + ": No such directory");
    }
  }
  std::vector<std::string> names;
  for (const auto& [path, inode] : entries_) {
    if (parent_of(path) == directory) names.push_back(path.substr(path.rfind('/') + 1));
  }
  return names;
}

Status SimDisk::make_directory(const std::string& directory) {
  Status status = begin("make directory " + directory);
  if (status.ok()) status = need_directory_of(directory);
  if (!status.ok()) return status;
  if (const auto found = entries_.find(directory); found != entries_.end()) {
    if (found->second == nullptr) return {};
    return {Code::kIoError, "make directory " + directory + ": File exists"};
  }
  entry_changes_.push_back({EntryChange::kAdd, directory, {}, nullptr});
  apply(entries_, entry_changes_.back());
  return {};
}

Status SimDisk::rename(const std::string& from, const std::string& to) {
  Status status = begin("rename " + from + " to " + to);
  if (status.ok()) status = need_directory_of(to);
  if (!status.ok()) return status;
  const auto* inode = find(from);
  if (inode == nullptr) return {Code::kIoError, "rename " + from + " to " + to + ": No such file"};
  if (from == to) return {};
  entry_changes_.push_back({EntryChange::kRename, from, to, *inode});
  apply(entries_, entry_changes_.back());
  return {};
}

Status SimDisk::remove(const std::string& path) {
  Status status = begin("remove " + path);
  if (!status.ok()) return status;
  const auto found = entries_.find(path);
  if (found == entries_.end()) return {Code::kIoError, "remove " + path + ": No such file or directory"};
  entry_changes_.push_back({EntryChange::kRemove, path, {}, found->second});
  apply(entries_, entry_changes_.back());
  return {};
}

Status SimDisk::sync_directory(const std::string& directory) {
  Status status = begin("sync directory " + directory);
  if (!status.ok()) return status;
  std::vector<EntryChange> others;
  for (EntryChange& change : entry_changes_) {
    if (change.touches(directory)) {
      apply(durable_entries_, change);
    } else {
      others.push_back(std::move(change));
    }
  }
  entry_changes_ = std::move(others);
  return {};
}

Result<std::unique_ptr<FileLock>> SimDisk::lock(const std::string& path) {
  class SimLock final : public FileLock {
   public:
    SimLock(std::shared_ptr<Locks> locks, std::string name)
        : locks_(std::move(locks)), path_(std::move(name)) {}
    ~SimLock() override { locks_->held.erase(path_); }

   private:
    std::shared_ptr<Locks> locks_;
    std::string path_;
  };
  Status status = begin_read("lock " + path);
  if (!status.ok()) return status;
  if (!locks_->held.insert(path).second) return Status(Code::kBusy, path + " is held by process 1");
  return std::unique_ptr<FileLock>(std::make_unique<SimLock>(locks_, path));
}

Result<uint64_t> SimDisk::free_bytes(const std::string& directory) {
  Status status = begin_read("ask free space of " + directory);
  if (!status.ok()) return status;
  if (capacity_ == kNever) return uint64_t{1} << 40;
  const uint64_t used = used_bytes();
  return used < capacity_ ? capacity_ - used : 0;
}

std::unique_ptr<SimDisk> SimDisk::crash(uint64_t seed, CrashOptions options) const {
  SimEntropy entropy(seed);
  // A journal keeps the order of entries; a file system without one may not.
  const uint64_t style = entropy.below(4);
  Entries entries = durable_entries_;
  const uint64_t prefix = style == 0   ? 0
                          : style == 1 ? entry_changes_.size()
                                       : entropy.below(entry_changes_.size() + 1);
  for (size_t i = 0; i < entry_changes_.size(); ++i) {
    if (style == 3 ? entropy.below(2) == 0 : i < prefix) apply(entries, entry_changes_[i]);
  }
  auto disk = std::make_unique<SimDisk>();
  for (const auto& [path, inode] : entries) {
    // What lies in a directory that never became durable is gone with it.
    bool reachable = true;
    for (std::string up = parent_of(path); !is_root(up); up = parent_of(up)) {
      const auto found = entries.find(up);
      if (found == entries.end() || found->second != nullptr) reachable = false;
    }
    if (!reachable) continue;
    std::shared_ptr<Inode> fresh;
    if (inode != nullptr) {
      fresh = std::make_shared<Inode>();
      fresh->data = fresh->durable = inode->crashed(entropy, options);
    }
    disk->entries_[path] = disk->durable_entries_[path] = std::move(fresh);
  }
  return disk;
}

std::unique_ptr<SimDisk> SimDisk::copy() const {
  auto disk = std::make_unique<SimDisk>();
  for (const auto& [path, inode] : entries_) {
    std::shared_ptr<Inode> fresh;
    if (inode != nullptr) {
      fresh = std::make_shared<Inode>();
      fresh->data = fresh->durable = inode->data;
    }
    disk->entries_[path] = disk->durable_entries_[path] = std::move(fresh);
  }
  return disk;
}

std::string SimDisk::contents(const std::string& path) const {
  const auto* inode = find(path);
  INVARIANT(inode != nullptr);
  return (*inode)->data;
}

void SimDisk::set_contents(const std::string& path, std::string contents) {
  const auto* inode = find(path);
  INVARIANT(inode != nullptr);
  (*inode)->data = (*inode)->durable = std::move(contents);
  (*inode)->changes.clear();
}

void SimDisk::flip_bit(const std::string& path, uint64_t byte, int bit) {
  std::string bytes = contents(path);
  INVARIANT(byte < bytes.size());
  bytes[byte] = static_cast<char>(bytes[byte] ^ (1 << bit));
  set_contents(path, std::move(bytes));
}

}  // namespace engine
