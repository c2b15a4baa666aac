// engine/small_files.h: what those do who keep a fact in a small file of its own. Threads: any.
#pragma once

#include <string>

#include "engine/env.h"
#include "engine/status.h"

namespace engine {

// All of a file, in memory.
Result<std::string> read_whole(FileSystem& files, const std::string& path);
Status remove_if_there(FileSystem& files, const std::string& path);

}  // namespace engine
