// server/config/paths.h: paths of configuration files: made absolute, and found by wildcards.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/env.h"
#include "engine/status.h"

namespace server {

// `path` as seen from `directory`, without "." and doubled slashes, and without "..": by spelling alone, so
// wrong only where ".." follows a symbolic link.
std::string absolute_path(std::string_view directory, std::string_view path);

// Files that match a path with *, ? or [] in any of its parts, sorted; names with a leading dot only where
// the pattern has one. A directory that is not there matches nothing. Without a wildcard: the path itself.
std::vector<std::string> expand_path(engine::FileSystem& files, std::string_view pattern);

// All of a configuration file. Errors: those of the system; kInvalid if it is far too big to be one.
engine::Result<std::string> read_config_file(engine::FileSystem& files, const std::string& path);

}  // namespace server
