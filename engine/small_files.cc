#include "engine/small_files.h"

namespace engine {

Result<std::string> read_whole(FileSystem& files, const std::string& path) {
  auto file = files.open(path, OpenMode::kRead);
  if (!file.ok()) return file.status();
  const auto size = (*file)->size();
  if (!size.ok()) return size.status();
  std::string bytes(size.value(), '\0');
  const auto got = (*file)->read(0, bytes);
  if (!got.ok()) return got.status();
  bytes.resize(got.value());
  return bytes;
}

Status remove_if_there(FileSystem& files, const std::string& path) {
  const auto there = files.exists(path);
  if (!there.ok()) return there.status();
  return there.value() ? files.remove(path) : Status();
}

}  // namespace engine
