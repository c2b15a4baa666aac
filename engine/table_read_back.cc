#include "engine/table_read_back.h"

#include <xxhash.h>

#include <algorithm>
#include <utility>

namespace engine {

namespace {
constexpr uint64_t kReadBytes = 256 << 10;
}  // namespace

struct TableReadBack::Impl {
  Impl(FileSystem& the_files, std::string the_path, const TableMeta& meta)
      : files(the_files),
        path(std::move(the_path)),
        bytes(meta.file_bytes),
        checksum(meta.checksum),
        state(XXH3_createState()) {
    XXH3_64bits_reset(state);
  }
  ~Impl() { XXH3_freeState(state); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Status differs() const {
    return {Code::kIoError, "table " + path + ", offset 0: the disk returns other bytes than were written"};
  }

  FileSystem& files;
  const std::string path;
  const uint64_t bytes, checksum;
  XXH3_state_t* const state;
  std::unique_ptr<File> file;
  std::string buffer;
  uint64_t at = 0;
};

TableReadBack::TableReadBack(FileSystem& files, std::string path, const TableMeta& meta)
    : impl_(std::make_unique<Impl>(files, std::move(path), meta)) {}
TableReadBack::~TableReadBack() = default;

Result<bool> TableReadBack::step(uint64_t bytes) {
  Impl& impl = *impl_;
  if (!impl.file) {
    auto file = impl.files.open(impl.path, OpenMode::kRead, Caching::kNone);
    if (!file.ok()) return file.status();
    impl.file = std::move(file).value();
    impl.buffer.resize(std::min(impl.bytes, kReadBytes));
  }
  const uint64_t until = std::min(impl.bytes, impl.at + bytes);
  while (impl.at < until) {
    const std::span<char> part(impl.buffer.data(),
                               std::min<uint64_t>(impl.buffer.size(), impl.bytes - impl.at));
    const auto got = impl.file->read(impl.at, part);
    if (!got.ok()) return got.status();
    if (got.value() != part.size()) return impl.differs();
    XXH3_64bits_update(impl.state, part.data(), part.size());
    impl.at += part.size();
  }
  if (impl.at < impl.bytes) return false;
  if (XXH3_64bits_digest(impl.state) != impl.checksum) return impl.differs();
  return true;
}

}  // namespace engine
