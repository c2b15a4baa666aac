#include "server/config/paths.h"

#include <algorithm>

#include "server/glob.h"

namespace server {
namespace {

constexpr uint64_t kFileBytesMax = 16 << 20;

std::vector<std::string_view> parts_of(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const size_t slash = std::min(path.find('/'), path.size());
    if (slash > 0) parts.push_back(path.substr(0, slash));
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return parts;
}

bool has_wildcard(std::string_view text) { return text.find_first_of("*?[") != std::string_view::npos; }

}  // namespace

std::string absolute_path(std::string_view directory, std::string_view path) {
  std::vector<std::string_view> kept =
      path.starts_with('/') ? std::vector<std::string_view>{} : parts_of(directory);
  for (const std::string_view part : parts_of(path)) {
    if (part == ".") continue;
    if (part != "..") {
      kept.push_back(part);
    } else if (!kept.empty()) {
      kept.pop_back();
    }
  }
  std::string result;
  for (const std::string_view part : kept) result.append("/").append(part);
  return result.empty() ? "/" : result;
}

std::vector<std::string> expand_path(engine::FileSystem& files, std::string_view pattern) {
  if (!has_wildcard(pattern)) return {std::string(pattern)};
  std::vector<std::string> found{pattern.starts_with('/') ? "/" : ""};
  for (const std::string_view part : parts_of(pattern)) {
    std::vector<std::string> next;
    for (const std::string& base : found) {
      const std::string prefix = base.empty() || base == "/" ? base : base + "/";
      if (!has_wildcard(part)) {
        next.push_back(prefix + std::string(part));
        continue;
      }
      const auto names = files.list(base.empty() ? "." : base);
      if (!names.ok()) continue;
      for (const std::string& name : names.value()) {
        if (name.starts_with('.') && !part.starts_with('.')) continue;
        if (glob_match(part, name)) next.push_back(prefix + name);
      }
    }
    found = std::move(next);
  }
  // A part without a wildcard behind one with it ("*/site.conf") need not be there in each directory.
  std::erase_if(found, [&](const std::string& path) {
    const auto exists = files.exists(path);
    return !exists.ok() || !exists.value();
  });
  std::sort(found.begin(), found.end());
  return found;
}

engine::Result<std::string> read_config_file(engine::FileSystem& files, const std::string& path) {
  auto file = files.open(path, engine::OpenMode::kRead);
  if (!file.ok()) return file.status();
  const auto size = file.value()->size();
  if (!size.ok()) return size.status();
  if (size.value() > kFileBytesMax) {
    return engine::Status(engine::Code::kInvalid, path + ": too big for a configuration file");
  }
  std::string text(size.value(), '\0');
  const auto read = file.value()->read(0, text);
  if (!read.ok()) return read.status();
  text.resize(read.value());
  return text;
}

}  // namespace server
